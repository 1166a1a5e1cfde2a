"""Logarithm and exponential as integer tables, built by exact decimal arithmetic.

The platform's exp and log differ in the last bit between machines; these do not. Their digest is
tested.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

INDEX_BITS = 12
VALUE_BITS = 30
ONE = 1 << VALUE_BITS


def _build() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    entries = (1 << INDEX_BITS) + 1
    with localcontext() as context:
        context.prec = 30
        two, scale = Decimal(2), Decimal(ONE)
        ln2 = two.ln()
        log2 = [
            int(((1 + Decimal(k) / (entries - 1)).ln() / ln2 * scale).to_integral_value())
            for k in range(entries)
        ]
        ratio, value, exp2 = (-ln2 / (entries - 1)).exp(), Decimal(1), []
        for _ in range(entries):
            exp2.append(int((value * scale).to_integral_value()))
            value *= ratio
    return np.array(log2, np.int64), np.array(exp2, np.int64)


LOG2, EXP2 = _build()
"""LOG2[k] = 2^30 log2(1 + k/4096) and EXP2[k] = 2^30 2^(-k/4096), k = 0..4096."""


def log2(value: int) -> int:
    """2^30 log2(value) of a positive integer, by table and linear interpolation (1e-8)."""
    exponent = value.bit_length() - 1
    mantissa = (value << 62) >> exponent
    fraction = mantissa - (1 << 62)
    index = fraction >> (62 - INDEX_BITS)
    rest = (fraction >> (62 - INDEX_BITS - 16)) & 0xFFFF
    low, high = int(LOG2[index]), int(LOG2[index + 1])
    return (exponent << VALUE_BITS) + low + (((high - low) * rest) >> 16)


def exp2_negative(power: NDArray[np.int64]) -> NDArray[np.int64]:
    """2^30 2^(-power / 2^30) of non-negative powers, by table and linear interpolation."""
    whole = power >> VALUE_BITS
    index = (power >> (VALUE_BITS - INDEX_BITS)) & ((1 << INDEX_BITS) - 1)
    rest = (power >> (VALUE_BITS - INDEX_BITS - 16)) & 0xFFFF
    low, high = EXP2[index], EXP2[index + 1]
    value = low + (((high - low) * rest) >> 16)
    return value >> np.minimum(whole, 62)


def decay_loss(elapsed: Fraction, tau: Fraction) -> int:
    """2^30 (1 - exp(-elapsed / tau)), nearest integer: the share that a leak tick takes."""
    with localcontext() as context:
        context.prec = 40
        ratio = elapsed / tau
        lost = 1 - (-(Decimal(ratio.numerator) / Decimal(ratio.denominator))).exp()
        return int((lost * ONE).to_integral_value())
