"""The table of segments that may make a tile's row codes of its FORWARD codes.

The converter's range is cut into 2^s segments of equal width, segment 0 the most negative. Within
one the row code is a straight line; outside of the row codes it is clipped.
"""

from __future__ import annotations

from dataclasses import dataclass

from spec.formats import Signed, Unsigned

SLOPE = Signed(8)
SLOPE_FRACTION = 5
"""Bits of a slope behind its point. A slope of one takes the converter's full scale to a row's."""


@dataclass(frozen=True)
class Segments:
    """By segment: the row code of its first code, its slope, and whether errors pass it.

    A code passes where its segment does and, if it is the corner between two, the one before too;
    a code at a rail never does, because what is beyond it makes no difference.
    """

    bases: tuple[int, ...]
    slopes: tuple[int, ...]
    passes: tuple[int, ...]


def value_shift(code: Signed, row_code: Unsigned) -> int:
    """log2 of what a line has, slope x code, in a row code: never negative for legal widths."""
    return SLOPE_FRACTION + code.bits - 1 - row_code.bits


def clipped_relu(code: Signed, row_code: Unsigned, segments: int) -> Segments:
    """What the table holds after aresetn: the clipped ReLU, code by code."""
    half = segments // 2
    rise = (1 << row_code.bits) // half
    above = range(half)
    return Segments(
        bases=(0,) * half + tuple(rise * k for k in above),
        slopes=(0,) * half + (1 << SLOPE_FRACTION,) * half,
        passes=(0,) * half + (1,) * half,
    )
