"""Neurons: shift, clipped ReLU, its slope, and the gain of column codes.

Each works on `lanes` codes at a time, lane 0 lowest, and holds no register.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.formats import round_half_even
from spec.formats import Signed, SignMagnitude, Unsigned
from spec.tile import COLUMN_SHIFT


def slope(value: Value, code: Signed) -> Value:
    """Whether the clipped ReLU has slope one at a FORWARD code: above zero and below the clip."""
    return (value > 0) & (value < code.high)


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
