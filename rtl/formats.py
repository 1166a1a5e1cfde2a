"""Rounding and saturation of integers: the words of spec/formats.py as logic."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value

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


def exceeds(value: Value, constant: int) -> Value:
    """value > constant, of an unsigned value: a few gates, where a comparison is a subtraction."""
    if constant < 0:
        return Const(1, 1)
    found: Value = Const(0, 1)
    for place, bit in enumerate(value):
        found = bit & found if (constant >> place) & 1 else bit | found
    return found & int(not constant >> len(value))


def times(value: Value, constant: int) -> Value:
    """value x constant >= 0, as a sum of few shifted values: where there are no multipliers.

    Of two bits that follow each other none or one is left once they may be subtracted as well.
    """
    added: list[Value] = []
    taken: list[Value] = []
    shift = 0
    while constant >> shift:
        if (constant >> shift) & 1:
            # ..11 is taken off from the next power of two.
            takes = bool((constant >> shift) & 2)
            constant += (1 << shift) * (1 if takes else -1)
            (taken if takes else added).append(value << shift)
        shift += 1
    total: Value = sum(added, start=Const(0, 1))
    return total - sum(taken, start=Const(0, 1)) if taken else total
