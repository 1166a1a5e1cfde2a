"""Neurons: clipped ReLU or a table of segments, derivative mask, and the gain of column codes."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from spec.formats import Signed, Unsigned, round_half_even
from spec.segments import Segments, value_shift
from spec.tile import TileSpec

IntArray = NDArray[np.int64]


def activate(codes: IntArray, code: Signed, row_code: Unsigned) -> NDArray[np.uint8]:
    """Clipped ReLU: signed FORWARD codes to row codes of the next tile.

    The converter's full scale is the clip: its top code becomes (close to) full duration.
    """
    return activations(code, row_code)[codes]


@cache
def activations(code: Signed, row_code: Unsigned) -> NDArray[np.uint8]:
    """Row codes (2^bits,) of all FORWARD codes; negative codes, which index from the end, give 0.

    The software looks up what hardware reckons: one pass instead of six.
    """
    shift = code.bits - 1 - row_code.bits
    table = np.zeros(1 << code.bits, np.uint8)
    positive = np.arange(code.high + 1)
    table[positive] = np.minimum(round_half_even(positive, shift), row_code.high)
    return table


def derivative(codes: IntArray, code: Signed) -> NDArray[np.bool_]:
    """Where the clipped ReLU has slope one: above zero and below the clip."""
    return derivatives(code)[codes]


@cache
def derivatives(code: Signed) -> NDArray[np.bool_]:
    """The derivative (2^bits,) at all FORWARD codes; negative codes index from the end."""
    table = np.zeros(1 << code.bits, np.bool_)
    table[1 : code.high] = True
    return table


def _places(codes: IntArray, code: Signed, segments: Segments) -> tuple[IntArray, IntArray]:
    """The segment of each FORWARD code, and how far within it the code is."""
    width = code.bits - (len(segments.bases).bit_length() - 1)
    place = codes.astype(np.int64) - code.low
    return place >> width, place & ((1 << width) - 1)


def activate_segments(
    codes: IntArray, code: Signed, row_code: Unsigned, segments: Segments
) -> NDArray[np.uint8]:
    """Signed FORWARD codes to row codes by the table: base + slope x place, ties to even, clipped.

    The sum is rounded, not the product, so that a line keeps its parity over its segments.
    """
    number, within = _places(codes, code, segments)
    shift = value_shift(code, row_code)
    bases, slopes = np.array(segments.bases, np.int64), np.array(segments.slopes, np.int64)
    exact = (bases[number] << shift) + slopes[number] * within
    rows = np.minimum(np.maximum(round_half_even(exact, shift), 0), row_code.high)
    return rows.astype(np.uint8)


def derivative_segments(codes: IntArray, code: Signed, segments: Segments) -> NDArray[np.bool_]:
    """Where errors pass: see `spec.segments.Segments`."""
    number, within = _places(codes, code, segments)
    passes = np.array(segments.passes, np.bool_)
    # Segment 0 has none before it.
    before = np.concatenate([[False], passes[:-1]])
    return passes[number] & ((within != 0) | before[number]) & (codes < code.high)


def column_codes(errors: IntArray, spec: TileSpec, downstream: TileSpec) -> IntArray:
    """BACKWARD codes of the downstream tile as column codes of this tile, with its gain.

    A column code of 2^column_bits is an error of 2^-gain: one rounding, one saturation.
    """
    return column_gains(spec, downstream)[errors]


@cache
def column_gains(spec: TileSpec, downstream: TileSpec) -> IntArray:
    """`column_codes` (2^bits,) of all BACKWARD codes; negative codes index from the end."""
    code = downstream.backward_code
    codes = np.concatenate([np.arange(code.high + 1), np.arange(code.low, 0)])
    return saturated_shift(codes, column_shift(spec, downstream), spec.column_code.high)


def column_shift(spec: TileSpec, downstream: TileSpec) -> int:
    """log2 of BACKWARD LSBs of the downstream tile in a column code of this one."""
    converters = downstream.converters
    lsb_log2 = converters.backward_range_log2 - (converters.backward_bits - 1)
    return -lsb_log2 - spec.column_code.bits - spec.column_gain_log2


def saturated_shift(values: IntArray, shift: int, limit: int) -> IntArray:
    """values / 2^shift, ties to even, within +-limit."""
    return np.minimum(np.maximum(round_half_even(values, shift), -limit), limit)
