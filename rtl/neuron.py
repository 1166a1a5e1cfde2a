"""Neurons on a stream of codes: shift, clipped ReLU, derivative, and the gain of column codes.

Both blocks hold one code: latency one cycle, one code a cycle, back-pressure passed on.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.formats import round_half_even
from rtl.register_slice import register_slice
from spec.formats import Signed, SignMagnitude, Unsigned


class Activation(wiring.Component):
    """Signed FORWARD codes to row codes of the next tile, and whether the slope is one there."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, code: Signed, row_code: Unsigned) -> None:
        """The converter's full scale is the clip."""
        self.code, self.row_code = code, row_code
        output = data.StructLayout({"code": row_code.bits, "slope": 1})
        super().__init__(
            {
                "i": In(stream.Signature(signed(code.bits))),
                "o": Out(stream.Signature(output)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A shift, two comparisons."""
        m = Module()
        value = self.i.payload
        positive = Signal(self.code.bits - 1)
        m.d.comb += positive.eq(Mux(value > 0, value[: self.code.bits - 1], 0))
        shifted = round_half_even(m, positive, self.code.bits - 1 - self.row_code.bits, "shifted")
        high = self.row_code.high
        clipped = Mux(shifted > high, high, shifted)
        output: Any = Signal(self.o.payload.shape())
        m.d.comb += [
            output.code.eq(clipped),
            output.slope.eq((value > 0) & (value < self.code.high)),
        ]
        register_slice(m, self.i, self.o, output)
        return m


class ColumnGain(wiring.Component):
    """BACKWARD codes of the downstream tile to column codes: a rounding, a saturation, the mask.

    Input: a signed code and the slope (0 or 1) of its neuron. Output: sign and magnitude.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, code: Signed, shift: int, column_code: SignMagnitude) -> None:
        """`shift`: log2 of BACKWARD LSBs in a column code."""
        self.code, self.shift, self.column_code = code, shift, column_code
        taken = data.StructLayout({"code": signed(code.bits), "slope": 1})
        given = data.StructLayout({"magnitude": column_code.bits, "negative": 1})
        super().__init__({"i": In(stream.Signature(taken)), "o": Out(stream.Signature(given))})

    def elaborate(self, platform: object) -> Module:
        """The magnitude is rounded: ties to even fall alike on both sides of zero."""
        m = Module()
        value = self.i.payload.code
        absolute = Signal(self.code.bits)
        m.d.comb += absolute.eq(abs(value))
        shifted = round_half_even(m, absolute, self.shift, "shifted")
        high = self.column_code.high
        magnitude = Signal(self.column_code.bits)
        m.d.comb += magnitude.eq(Mux(shifted > high, high, shifted))
        output: Any = Signal(self.o.payload.shape())
        with m.If(self.i.payload.slope):
            m.d.comb += [
                output.magnitude.eq(magnitude),
                output.negative.eq((value < 0) & (magnitude != 0)),
            ]
        register_slice(m, self.i, self.o, output)
        return m
