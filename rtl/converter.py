"""Converter codes: channel offsets with dither, rails, and the averaging of a READ.

`Corrector` holds one code: latency one cycle, one code a cycle, back-pressure passed on.
`ReadAverage` takes a conversion of all columns at a time, channels in order, one a cycle; it is
busy while it does, and gives its codes as a stream after the last conversion.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl.formats import round_half_even, saturate
from rtl.register_slice import register_slice
from spec.formats import Signed


class Dither(wiring.Component):
    """A counter of n bits read bit-reversed: successive values are far apart.

    `next` counts, from the cycle after on. While idle, `write` loads `new_count`.
    """

    next: Signal
    write: Signal
    new_count: Signal
    count: Signal
    value: Signal

    def __init__(self, bits: int) -> None:
        """0 bits give always 0."""
        self.bits = bits
        width = max(1, bits)
        super().__init__(
            {
                "next": In(1),
                "write": In(1),
                "new_count": In(width),
                "count": Out(width),
                "value": Out(width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One counter."""
        m = Module()
        with m.If(self.write):
            m.d.sync += self.count.eq(self.new_count)
        with m.Elif(self.next):
            m.d.sync += self.count.eq(self.count + int(self.bits > 0))
        if self.bits:
            m.d.comb += self.value.eq(self.count[::-1])
        return m


class Corrector(wiring.Component):
    """Raw codes to sat(raw - offset), the offset in 2^-fraction_bits LSB; a rail stays a rail.

    `dither` must hold while a vector passes. `at_rail` is high for a cycle with each railed code
    that is taken in: such codes count as saturated.
    """

    i: stream.Interface
    o: stream.Interface
    dither: Signal
    at_rail: Signal

    def __init__(self, code: Signed, fraction_bits: int) -> None:
        """Offsets are signed, of code.bits + fraction_bits bits."""
        self.code, self.fraction_bits = code, fraction_bits
        taken = data.StructLayout(
            {"raw": signed(code.bits), "offset": signed(code.bits + fraction_bits)}
        )
        super().__init__(
            {
                "i": In(stream.Signature(taken)),
                "o": Out(stream.Signature(signed(code.bits))),
                "dither": In(max(1, fraction_bits)),
                "at_rail": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Two adders and the saturation."""
        m = Module()
        raw = self.i.payload.raw
        shift = Signal(signed(self.code.bits + 2))
        exact = Signal(signed(self.code.bits + 3))
        railed = Signal()
        code = Signal(signed(self.code.bits))
        m.d.comb += [
            shift.eq((self.dither - self.i.payload.offset) >> self.fraction_bits),
            exact.eq(raw + shift),
            railed.eq((raw == self.code.low) | (raw == self.code.high)),
            code.eq(Mux(railed, raw, saturate(exact, self.code))),
            self.at_rail.eq(railed & self.i.valid & self.i.ready),
        ]
        register_slice(m, self.i, self.o, code)
        return m


class ReadAverage(wiring.Component):
    """A READ of `columns`: the mean of 2^a conversions minus that of 2^a without drive.

    First 2^a vectors without drive come in, then 2^a driven ones, `columns` raw codes each; then
    the codes go out. The total of a column lies in a memory between its conversions.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, columns: int, code: Signed, average_log2: int) -> None:
        """Raises ValueError where there is no column."""
        if columns < 1:
            raise ValueError("give at least one column")
        self.columns, self.code, self.average_log2 = columns, code, average_log2
        super().__init__(
            {
                "i": In(stream.Signature(signed(code.bits))),
                "o": Out(stream.Signature(signed(code.bits))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A memory of totals, an adder, and three counters' worth of sequence."""
        m = Module()
        repeats = 1 << self.average_log2
        wide = signed(self.code.bits + self.average_log2 + 1)
        m.submodules.totals = totals = Memory(shape=wide, depth=self.columns, init=[])
        write, read = totals.write_port(), totals.read_port(domain="comb")
        column = Signal(range(self.columns))
        conversion = Signal(range(2 * repeats))
        last_column = column == self.columns - 1
        before = Signal(wide)
        m.d.comb += [
            read.addr.eq(column),
            write.addr.eq(column),
            before.eq(Mux(conversion == 0, 0, read.data)),
            write.data.eq(
                Mux(conversion < repeats, before - self.i.payload, before + self.i.payload)
            ),
        ]
        total = Signal(wide)
        m.d.comb += total.eq(read.data)
        rounded = round_half_even(m, total, self.average_log2, "rounded")
        with m.FSM():
            with m.State("ADD"):
                m.d.comb += [self.i.ready.eq(1), write.en.eq(self.i.valid)]
                with m.If(self.i.valid):
                    m.d.sync += column.eq(Mux(last_column, 0, column + 1))
                    with m.If(last_column):
                        m.d.sync += conversion.eq(conversion + 1)
                        with m.If(conversion == 2 * repeats - 1):
                            m.d.sync += conversion.eq(0)
                            m.next = "GIVE"
            with m.State("GIVE"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(saturate(rounded, self.code))]
                with m.If(self.o.ready):
                    m.d.sync += column.eq(Mux(last_column, 0, column + 1))
                    with m.If(last_column):
                        m.next = "ADD"
        return m
