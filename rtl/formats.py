"""Rounding and saturation of integers: the words of spec/formats.py as logic."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, Signal, Value

from spec.formats import Signed


def round_half_even(m: Module, value: Signal, shift: int, name: str) -> Signal:
    """value / 2^shift, ties to even; a negative shift is exact. The width grows as needed."""
    if shift <= 0:
        result = Signal(Shape(len(value) - shift, value.shape().signed), name=name)
        m.d.comb += result.eq(value << -shift)
        return result
    result = Signal(Shape(max(1, len(value) - shift) + 1, value.shape().signed), name=name)
    odd = value[shift] if shift < len(value) else value[-1] & value.shape().signed
    just_under_half = (1 << (shift - 1)) - 1
    m.d.comb += result.eq((value + just_under_half + odd) >> shift)
    return result


def saturate(value: Signal, code: Signed) -> Value:
    """A value limited to a signed format."""
    return Mux(value < code.low, code.low, Mux(value > code.high, code.high, value))
