"""Neurons: clipped ReLU or a table of segments, its derivative, and the gain of column codes.

Each works on `lanes` codes at a time, lane 0 lowest. Where it takes a step or two, the registers
between move with `move`; nothing here holds anything back.
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
    bits of a code below its segment's number. `row_codes` are those of two steps before.
    """

    move: Signal
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
                "move": In(1),
                "codes": In(data.ArrayLayout(signed(code.bits), lanes)),
                "bases": In(row_code.bits << segments_log2),
                "slopes": In(SLOPE.bits << segments_log2),
                "row_codes": Out(data.ArrayLayout(row_code.bits, lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Select; multiply, add; round to even, clip."""
        m = Module()
        high, bits = self.row_code.high, self.row_code.bits
        shift = value_shift(self.code, self.row_code)
        width = self.code.bits - self.segments_log2
        line_bits = max(bits + 1 + shift, SLOPE.bits + width) + 1
        for lane in range(self.lanes):
            number, within = place(self.codes[lane], self.code, self.segments_log2)
            base = Signal(bits, name=f"base_{lane}")
            slope = Signal(signed(SLOPE.bits), name=f"slope_{lane}")
            part = Signal(width, name=f"part_{lane}")
            line = Signal(signed(line_bits), name=f"line_{lane}")
            with m.If(self.move):
                m.d.sync += [
                    base.eq(self.bases.word_select(number, bits)),
                    slope.eq(self.slopes.word_select(number, SLOPE.bits)),
                    part.eq(within),
                    line.eq((base << shift) + slope * part),
                ]
            rounded = round_half_even(m, line, shift, f"rounded_{lane}")
            clipped = Mux(rounded < 0, 0, Mux(rounded > high, high, rounded))
            m.d.comb += self.row_codes[lane].eq(clipped)
        return m


class ColumnGain(wiring.Component):
    """BACKWARD codes to column codes of the tile above: code / 2^shift, rounded and saturated.

    `shift` is log2 of BACKWARD LSBs in a column code; a negative one is exact. `bytes` are those of
    the step before: with `scales`, which must hold meanwhile, column codes as a packet has them,
    else `others` as they were.
    """

    move: Signal
    codes: Any
    shift: Signal
    scales: Signal
    others: Any
    bytes: Any

    def __init__(self, code: Signed, column_code: SignMagnitude, lanes: int) -> None:
        """Any shift of spec.tile.COLUMN_SHIFT."""
        self.code, self.column_code, self.lanes = code, column_code, lanes
        super().__init__(
            {
                "move": In(1),
                "codes": In(data.ArrayLayout(signed(code.bits), lanes)),
                "shift": In(signed(COLUMN_SHIFT.bits)),
                "scales": In(1),
                "others": In(data.ArrayLayout(8, lanes)),
                "bytes": Out(data.ArrayLayout(8, lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A shift of the code, then the rounding of what is left.

        Ties to even fall alike on both sides of zero, so that it is the magnitude that counts. That
        of a negative code is all its bits turned, and one more: the turned ones are shifted, and
        the one is left to the rounding.
        """
        m = Module()
        point, bits = self.code.bits, self.column_code.bits
        # A shift by the code's width or more leaves at most a half, which is rounded to 0; one by
        # minus the magnitude's width saturates all but 0. `right` counts from that one. The shift
        # holds while codes come, so that what is common to all lanes may stand in registers.
        scales, right = Signal(), Signal(range(point + bits))
        over_mask, rest_mask = Signal(point), Signal(point)
        m.d.sync += scales.eq(self.scales & (self.shift < point))
        with m.If(self.shift > -bits):
            m.d.sync += right.eq(self.shift + bits)
        with m.Else():
            m.d.sync += right.eq(0)
        m.d.sync += [
            over_mask.eq(Cat(right <= place for place in range(point))),
            rest_mask.eq(Cat(right > place + bits + 1 for place in range(point))),
        ]
        for lane in range(self.lanes):
            value, name = self.codes[lane], f"_{lane}"
            negative = value[-1]
            turned = Signal(point, name=f"turned{name}")
            m.d.comb += turned.eq(value ^ negative.replicate(point))
            # A magnitude, and the half below it; of a negative code ones are shifted in.
            shifted: Value = Cat(negative.replicate(bits + 1), turned)
            for step in reversed(range(len(right))):
                shifted = Mux(right[step], shifted >> (1 << step), shifted)[: bits + (1 << step)]
            byte = Signal(8, name=f"byte{name}")
            half, rest = Signal(name=f"half{name}"), Signal(name=f"rest{name}")
            over = Signal(name=f"over{name}")
            with m.If(self.move):
                m.d.sync += [
                    half.eq(scales & shifted[0]),
                    # Of a negative code: whether what is left is one less than a half.
                    rest.eq(scales & ((value & rest_mask).any() ^ negative)),
                    over.eq(scales & (turned & over_mask).any()),
                ]
                with m.If(~self.scales):
                    m.d.sync += byte.eq(self.others[lane])
                with m.Elif(scales):
                    m.d.sync += byte.eq(Cat(shifted[1:], Const(0, 7 - bits), negative))
                with m.Else():
                    m.d.sync += byte.eq(0)

            floor, top = byte[:bits], byte[7]
            up, rounded = Signal(name=f"up{name}"), Signal(bits + 1, name=f"rounded{name}")
            magnitude = Signal(bits, name=f"magnitude{name}")
            m.d.comb += [
                up.eq(Mux(top, half | (rest & floor[0]), half & (rest | floor[0]))),
                rounded.eq(floor + up),
                # The largest magnitude is all ones.
                magnitude.eq(rounded | (over | rounded[bits]).replicate(bits)),
                self.bytes[lane].eq(
                    Cat(magnitude, byte[bits:7], top & (~self.scales | magnitude.any()))
                ),
            ]
        return m
