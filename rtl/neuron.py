"""Neurons: clipped ReLU or a table of segments, its derivative, and the gain of column codes.

Each works on `lanes` codes at a time, lane 0 lowest, and holds no register.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from rtl.formats import round_half_even
from spec.formats import Signed, SignMagnitude, Unsigned
from spec.segments import SLOPE, value_shift
from spec.tile import COLUMN_SHIFT


def slope(value: Value, code: Signed) -> Value:
    """Whether the clipped ReLU has slope one at a FORWARD code: above zero and below the clip."""
    magnitude = value[: code.bits - 1]
    return ~value[code.bits - 1] & magnitude.any() & ~magnitude.all()


class Activation(wiring.Component):
    """Signed FORWARD codes to row codes of the next tile."""

    codes: Any
    row_codes: Any

    def __init__(self, code: Signed, row_code: Unsigned, lanes: int) -> None:
        """The converter's full scale is the clip."""
        self.code, self.row_code, self.lanes = code, row_code, lanes
        super().__init__(
            {
                "codes": In(data.ArrayLayout(signed(code.bits), lanes)),
                "row_codes": Out(data.ArrayLayout(row_code.bits, lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A shift, two comparisons."""
        m = Module()
        high, magnitude_bits = self.row_code.high, self.code.bits - 1
        for lane in range(self.lanes):
            value, positive = self.codes[lane], Signal(magnitude_bits, name=f"positive_{lane}")
            m.d.comb += positive.eq(Mux(value > 0, value[:magnitude_bits], 0))
            shift = magnitude_bits - self.row_code.bits
            shifted = round_half_even(m, positive, shift, f"shifted_{lane}")
            m.d.comb += self.row_codes[lane].eq(Mux(shifted > high, high, shifted))
        return m


def place(value: Value, code: Signed, segments_log2: int) -> tuple[Value, Value]:
    """The segment of a FORWARD code, and how far within it the code is."""
    # Counted from the most negative code: its sign turned round.
    risen = Cat(value[: code.bits - 1], ~value[code.bits - 1])
    width = code.bits - segments_log2
    return risen[width:], risen[:width]


def segment_slope(value: Value, code: Signed, passes: Signal) -> Value:
    """Whether errors pass a FORWARD code: its segment, at a corner the one before too, no rail."""
    number, within = place(value, code, exact_log2(len(passes)))
    before = Cat(Const(0, 1), passes[:-1])
    inside = within.any() | before.bit_select(number, 1)
    high = value[: code.bits - 1].all() & ~value[code.bits - 1]
    return passes.bit_select(number, 1) & inside & ~high


class Segments(wiring.Component):
    """Signed FORWARD codes to row codes by a table: a line in each of 2^segments_log2 segments.

    `bases` and `slopes` are the table, segment 0 lowest. A multiplier a lane, of a slope and the
    bits of a code below its segment's number.
    """

    codes: Any
    bases: Signal
    slopes: Signal
    row_codes: Any

    def __init__(self, code: Signed, row_code: Unsigned, segments_log2: int, lanes: int) -> None:
        """`segments_log2` is at least 1, and leaves a bit of the code."""
        self.code, self.row_code, self.lanes = code, row_code, lanes
        self.segments_log2 = segments_log2
        super().__init__(
            {
                "codes": In(data.ArrayLayout(signed(code.bits), lanes)),
                "bases": In(row_code.bits << segments_log2),
                "slopes": In(SLOPE.bits << segments_log2),
                "row_codes": Out(data.ArrayLayout(row_code.bits, lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Select, multiply, add, round to even, clip."""
        m = Module()
        high, bits = self.row_code.high, self.row_code.bits
        shift = value_shift(self.code, self.row_code)
        width = self.code.bits - self.segments_log2
        line_bits = max(bits + 1 + shift, SLOPE.bits + width) + 1
        for lane in range(self.lanes):
            number, within = place(self.codes[lane], self.code, self.segments_log2)
            base = Signal(bits, name=f"base_{lane}")
            slope = Signal(signed(SLOPE.bits), name=f"slope_{lane}")
            rise = Signal(signed(SLOPE.bits + width), name=f"rise_{lane}")
            line = Signal(signed(line_bits), name=f"line_{lane}")
            m.d.comb += [
                base.eq(self.bases.word_select(number, bits)),
                slope.eq(self.slopes.word_select(number, SLOPE.bits)),
                rise.eq(slope * within),
                line.eq((base << shift) + rise),
            ]
            rounded = round_half_even(m, line, shift, f"rounded_{lane}")
            clipped = Mux(rounded < 0, 0, Mux(rounded > high, high, rounded))
            m.d.comb += self.row_codes[lane].eq(clipped)
        return m


class ColumnGain(wiring.Component):
    """BACKWARD codes to column codes of the tile above: code / 2^shift, rounded and saturated.

    `shift` is log2 of BACKWARD LSBs in a column code; a negative one is exact.
    """

    codes: Any
    shift: Signal
    column_codes: Any

    def __init__(self, code: Signed, column_code: SignMagnitude, lanes: int) -> None:
        """Any shift of spec.tile.COLUMN_SHIFT."""
        self.code, self.column_code, self.lanes = code, column_code, lanes
        given = data.StructLayout({"magnitude": column_code.bits, "negative": 1})
        super().__init__(
            {
                "codes": In(data.ArrayLayout(signed(code.bits), lanes)),
                "shift": In(signed(COLUMN_SHIFT.bits)),
                "column_codes": Out(data.ArrayLayout(given, lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The magnitude is shifted left against a fixed point, so that no bit is lost, and rounded.

        Ties to even fall alike on both sides of zero. A shift by the code's width or more leaves
        at most a half, which is rounded to 0; one by minus the magnitude's width saturates all.
        """
        m = Module()
        point, bits = self.code.bits, self.column_code.bits
        left = Signal(range(point + bits + 1))
        with m.If(self.shift >= point):
            m.d.comb += left.eq(0)
        with m.Elif(self.shift <= -bits):
            m.d.comb += left.eq(point + bits)
        with m.Else():
            m.d.comb += left.eq(point - self.shift)
        for lane in range(self.lanes):
            value, output = self.codes[lane], self.column_codes[lane]
            absolute = Signal(self.code.bits, name=f"absolute_{lane}")
            shifted = Signal(point + bits + self.code.bits, name=f"shifted_{lane}")
            floor, fraction = shifted[point : point + bits], shifted[:point]
            up, over = Signal(name=f"up_{lane}"), Signal(name=f"over_{lane}")
            m.d.comb += [
                absolute.eq(abs(value)),
                shifted.eq(absolute << left),
                up.eq(fraction[-1] & (fraction[:-1].any() | floor[0])),
                # Rounding up cannot go beyond the largest magnitude.
                over.eq(shifted[point + bits :].any() | (floor.all() & up)),
                output.magnitude.eq(Mux(over, self.column_code.high, floor + up)),
                output.negative.eq((value < 0) & (output.magnitude != 0)),
            ]
        return m
