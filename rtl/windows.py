"""The host's windows: an element of one of the tile's memories, five cycles after its strobe.

The host reaches them only while the tile is idle; the bank sees to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.registers import WindowSignature
from rtl.window import window_signature
from spec.registers import windows
from spec.tile import TileSpec

ACCESS_CYCLES = 4
"""From the strobe until a memory's value stands in its register."""


class Windows(wiring.Component):
    """The bank's one window to a window for each memory, by name of its code in small letters."""

    bank: Any
    polarity: Any
    column_enable: Any
    forward_offsets: Any
    backward_offsets: Any
    set_table: Any
    journal_codes: Any
    segment_bases: Any
    segment_slopes: Any
    segment_passes: Any

    def __init__(self, spec: TileSpec) -> None:
        """The memories are those of spec/registers.py."""
        self.memories = windows(spec)
        ports = {
            memory.code.name.lower(): Out(window_signature(memory.length, memory.element.bits))
            for memory in self.memories
        }
        super().__init__({"bank": In(WindowSignature(spec)), **ports})

    def elaborate(self, platform: object) -> Module:
        """A counter of cycles and a decoder."""
        m = Module()
        bank = self.bank
        cycle = Signal(range(ACCESS_CYCLES + 1))
        strobe = bank.write | bank.read
        with m.If(strobe | (cycle != 0)):
            m.d.sync += cycle.eq(Mux(cycle == ACCESS_CYCLES, 0, cycle + 1))
        m.d.comb += bank.ready.eq(cycle == ACCESS_CYCLES)
        # Both stand before the strobe.
        index, data = Signal.like(bank.index), Signal.like(bank.data)
        m.d.sync += [index.eq(bank.index), data.eq(bank.data)]
        for memory in self.memories:
            port = getattr(self, memory.code.name.lower())
            chosen = bank.select == memory.code
            m.d.comb += [port.index.eq(index), port.data.eq(data)]
            # From the cycle after the strobe on: what comes from the bus is late in its cycle.
            m.d.sync += port.write.eq(bank.write & chosen)
            with m.If(strobe | bank.ready):
                m.d.sync += port.use.eq(strobe & chosen)
        with m.Switch(bank.select):
            for memory in self.memories:
                with m.Case(memory.code):
                    m.d.comb += bank.value.eq(getattr(self, memory.code.name.lower()).value)
        return m


class LineBits(wiring.Component):
    """A bit a line that the host alone writes; all 1 at first. `value` as a memory's."""

    window: Any
    bits: Signal

    def __init__(self, lines: int) -> None:
        """`bits` (lines,)."""
        self.lines = lines
        super().__init__(
            {
                "window": In(window_signature(lines, 1)),
                "bits": Out(lines, init=(1 << lines) - 1),  # pyright: ignore[reportCallIssue]
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A decoder and a selector with two registers, as a memory has."""
        m = Module()
        window, found = self.window, Signal()
        chosen = Signal(self.lines)
        m.d.comb += chosen.eq((window.use & window.write) << window.index)
        m.d.sync += self.bits.eq(self.bits & ~chosen | Mux(window.data, chosen, 0))
        m.d.sync += [found.eq(self.bits.bit_select(window.index, 1)), window.value.eq(found)]
        return m


class Words(wiring.Component):
    """A few words that the host alone writes, all to be seen at once. `value` as a memory's."""

    window: Any
    words: Signal

    def __init__(self, first: Sequence[int], bits: int) -> None:
        """`first` is what they are at first; `words` has word 0 lowest."""
        self.count, self.bits = len(first), bits
        mask = (1 << bits) - 1
        joined = sum((word & mask) << (bits * place) for place, word in enumerate(first))
        super().__init__(
            {
                "window": In(window_signature(self.count, bits)),
                # The stubs know the older word for it only.
                "words": Out(self.count * bits, init=joined),  # pyright: ignore[reportCallIssue]
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A decoder and a selector with two registers, as a memory has."""
        m = Module()
        window, found = self.window, Signal(self.bits)
        for place in range(self.count):
            with m.If(window.use & window.write & (window.index == place)):
                m.d.sync += self.words.word_select(place, self.bits).eq(window.data)
        m.d.sync += [
            found.eq(self.words.word_select(window.index, self.bits)),
            window.value.eq(found),
        ]
        return m
