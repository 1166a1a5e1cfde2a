"""Neurons: shift, clipped ReLU, derivative mask, and the gain of column codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spec.formats import Signed, Unsigned, round_half_even
from spec.tile import TileSpec

IntArray = NDArray[np.int64]


def activate(codes: IntArray, code: Signed, row_code: Unsigned) -> IntArray:
    """Clipped ReLU: signed FORWARD codes to row codes of the next tile.

    The converter's full scale is the clip: its top code becomes (close to) full duration.
    """
    shift = code.bits - 1 - row_code.bits
    positive = np.maximum(codes, 0)
    return np.minimum(round_half_even(positive, shift), row_code.high)


def derivative(codes: IntArray, code: Signed) -> NDArray[np.bool_]:
    """Where the clipped ReLU has slope one: above zero and below the clip."""
    return (codes > 0) & (codes < code.high)


def column_codes(errors: IntArray, spec: TileSpec, downstream: TileSpec) -> IntArray:
    """BACKWARD codes of the downstream tile as column codes of this tile, with its gain.

    A column code of 2^column_bits is an error of 2^-gain: one rounding, one saturation.
    """
    return saturated_shift(errors, column_shift(spec, downstream), spec.column_code.high)


def column_shift(spec: TileSpec, downstream: TileSpec) -> int:
    """log2 of BACKWARD LSBs of the downstream tile in a column code of this one."""
    converters = downstream.converters
    lsb_log2 = converters.backward_range_log2 - (converters.backward_bits - 1)
    return -lsb_log2 - spec.column_code.bits - spec.column_gain_log2


def saturated_shift(values: IntArray, shift: int, limit: int) -> IntArray:
    """values / 2^shift, ties to even, within +-limit."""
    return np.minimum(np.maximum(round_half_even(values, shift), -limit), limit)
