"""Integer number formats: named rounding and saturation, the same words on both sides.

Plain Python operators only, so that every function works on `int` and on integer arrays alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True)
class Signed:
    """A two's complement number of `bits` bits."""

    bits: int

    @property
    def low(self) -> int:
        """The most negative code."""
        return -(1 << (self.bits - 1))

    @property
    def high(self) -> int:
        """The most positive code."""
        return (1 << (self.bits - 1)) - 1


@dataclass(frozen=True)
class Unsigned:
    """A binary number of `bits` bits."""

    bits: int

    @property
    def low(self) -> int:
        """Zero."""
        return 0

    @property
    def high(self) -> int:
        """The largest code."""
        return (1 << self.bits) - 1


@dataclass(frozen=True)
class SignMagnitude:
    """A sign bit and `bits` bits of magnitude; zero has one code."""

    bits: int

    @property
    def low(self) -> int:
        """The most negative value."""
        return -self.high

    @property
    def high(self) -> int:
        """The largest magnitude."""
        return (1 << self.bits) - 1


def round_half_even(value: Any, shift: int) -> Any:
    """`value / 2**shift`, rounded to nearest, ties to even; a negative shift is exact."""
    if shift <= 0:
        return value << -shift
    # Just under half is added where the floor is even, half where it is odd.
    return (value + ((1 << (shift - 1)) - 1) + ((value >> shift) & 1)) >> shift


def nearest(value: Fraction) -> int:
    """The integer nearest to a fraction, ties to even (constants are turned to integers by it)."""
    return round(value)
