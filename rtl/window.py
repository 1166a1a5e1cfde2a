"""A host's view of one memory: an element at a time, while nobody else uses it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2


def window_signature(elements: int, bits: int) -> wiring.Signature:
    """`use`: the host owns the memory. `write` puts `data` at `index`; `value` is what was there.

    `value` follows `index` by two cycles.
    """
    return wiring.Signature(
        {
            "use": Out(1),
            "index": Out(max(1, ceil_log2(elements))),
            "write": Out(1),
            "data": Out(bits),
            "value": In(bits),
        }
    )


class GroupMemory(wiring.Component):
    """A memory of groups: `lanes` elements of `bits` bits a word, and a window to each element.

    `value` is the word of `read_group` a cycle later; `write` puts `data` at `write_group`.
    """

    read_group: Signal
    value: Signal
    write: Signal
    write_group: Signal
    data: Signal
    window: Any

    def __init__(self, elements: int, bits: int, lanes: int) -> None:
        """`lanes` is a power of two."""
        self.bits, self.lanes = bits, lanes
        self.groups = -(-elements // lanes)
        group_bits = max(1, ceil_log2(self.groups))
        super().__init__(
            {
                "read_group": In(group_bits),
                "value": Out(lanes * bits),
                "write": In(1),
                "write_group": In(group_bits),
                "data": In(lanes * bits),
                "window": In(window_signature(elements, bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One read port, one write port with an enable a lane."""
        m = Module()
        m.submodules.memory = memory = Memory(
            shape=self.lanes * self.bits, depth=self.groups, init=[]
        )
        write: WritePort = memory.write_port(granularity=self.bits)
        read: ReadPort = memory.read_port()
        lane_bits = ceil_log2(self.lanes)
        window = self.window
        lane = Signal(max(1, lane_bits))
        m.d.comb += [
            read.addr.eq(Mux(window.use, window.index >> lane_bits, self.read_group)),
            write.addr.eq(Mux(window.use, window.index >> lane_bits, self.write_group)),
            write.data.eq(Mux(window.use, window.data.replicate(self.lanes), self.data)),
            self.value.eq(read.data),
        ]
        with m.If(window.use):
            wanted: Value = window.index[:lane_bits] if lane_bits else Signal()
            m.d.comb += write.en.eq(window.write << wanted)
        with m.Else():
            m.d.comb += write.en.eq(self.write.replicate(self.lanes))
        if lane_bits:
            m.d.sync += lane.eq(window.index[:lane_bits])
        m.d.sync += window.value.eq(read.data.word_select(lane, self.bits))
        return m
