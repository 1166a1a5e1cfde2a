"""What a tile keeps of its converter channels: offsets of both sides, a READ's zeros and sums.

One memory with a word a group, because only one of them is read at a time, and one written. No
back-pressure.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from rtl.phase import groups, index_bits
from rtl.window import window_signature
from spec.tile import TileSpec


class Kept(IntEnum):
    """What is kept, in the order of the memory."""

    BACKWARD_OFFSETS = 0
    FORWARD_OFFSETS = 1
    ZEROS = 2
    SUMS = 3


class ChannelMemory(wiring.Component):
    """Words of `lanes` signed numbers.

    `value` is the word at `read` two cycles later, and 0 in lanes that are `blank` in the cycle
    between. `write` puts `data` at `write_place`, to be read from the next cycle on.

    The windows are used while nothing else is; their `value` follows `index` by three cycles.
    """

    read: Signal
    blank: Signal
    value: Signal
    write: Signal
    write_place: Signal
    data: Signal
    forward_window: Any
    backward_window: Any

    def __init__(self, spec: TileSpec) -> None:
        """`first` has the place of group 0, by what is kept."""
        self.lanes, converters = spec.converters.lanes, spec.converters
        fraction_bits = converters.calibration_log2
        forward_bits = spec.forward_code.bits + fraction_bits
        backward_bits = spec.backward_code.bits + fraction_bits
        # A READ's sum has its zero taken away: as wide as a difference.
        sum_bits = spec.weight_code.bits + converters.read_average_log2 + 1
        self.bits = max(forward_bits, backward_bits, sum_bits)
        row_groups, column_groups = groups(spec, spec.rows), groups(spec, spec.columns)
        self.first: dict[Kept, int] = {}
        self.depth = 0
        for kept in Kept:
            self.first[kept] = self.depth
            self.depth += row_groups if kept is Kept.BACKWARD_OFFSETS else column_groups
        super().__init__(
            {
                "read": In(index_bits(self.depth)),
                "blank": In(self.lanes),
                "value": Out(self.lanes * self.bits),
                "write": In(1),
                "write_place": In(index_bits(self.depth)),
                "data": In(self.lanes * self.bits),
                "forward_window": In(window_signature(spec.columns, forward_bits)),
                "backward_window": In(window_signature(spec.rows, backward_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A memory, a register behind its own, and the host's way to an element."""
        m = Module()
        bits, lanes, lane_bits = self.bits, self.lanes, ceil_log2(self.lanes)
        # Nobody reads a word while it is written: synthesis need not say what would come of it.
        unchecked: Any = {"no_rw_check": 1}
        m.submodules.memory = memory = Memory(
            shape=lanes * bits, depth=self.depth, init=[], attrs=unchecked
        )
        write: WritePort = memory.write_port(granularity=bits)
        read: ReadPort = memory.read_port()
        forward, backward = self.forward_window, self.backward_window
        use, wanted, place = Signal(), Signal(lanes), Signal.like(self.read)
        given, lane = Signal(signed(bits)), Signal(max(1, lane_bits))
        for window, kept in (
            (forward, Kept.FORWARD_OFFSETS),
            (backward, Kept.BACKWARD_OFFSETS),
        ):
            with m.If(window.use):
                m.d.comb += [
                    place.eq((window.index >> lane_bits) + self.first[kept]),
                    lane.eq(window.index[:lane_bits]),
                    given.eq(window.data.as_signed()),
                    wanted.eq(window.write << window.index[:lane_bits]),
                ]
        m.d.comb += [
            use.eq(forward.use | backward.use),
            read.addr.eq(Mux(use, place, self.read)),
            write.addr.eq(Mux(use, place, self.write_place)),
            write.data.eq(Mux(use, given.replicate(lanes), self.data)),
            write.en.eq(Mux(use, wanted, self.write.replicate(lanes))),
        ]
        for number in range(lanes):
            found = read.data.word_select(number, bits)
            m.d.sync += self.value.word_select(number, bits).eq(Mux(self.blank[number], 0, found))
        element = Signal(bits)
        # The index stays as it is for as long as the host waits.
        m.d.sync += element.eq(self.value.word_select(lane, bits))
        m.d.comb += [forward.value.eq(element), backward.value.eq(element)]
        return m
