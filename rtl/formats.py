"""Rounding and saturation of integers: the words of spec/formats.py as logic."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value

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


def fits(value: Value, code: Signed) -> Value:
    """Whether a signed value is one of a signed format: its bits from the sign's place on agree."""
    high = value[code.bits - 1 :]
    return high.all() | ~high.any()


def saturate(value: Value, code: Signed) -> Value:
    """A signed value limited to a signed format; no comparison, hence no carry."""
    if len(value) <= code.bits:
        return value
    negative = value[-1]
    limit = Cat((~negative).replicate(code.bits - 1), negative)
    return Mux(fits(value, code), value[: code.bits], limit).as_signed()
