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


def column_codes(errors: IntArray, spec: TileSpec, upstream: Signed) -> IntArray:
    """BACKWARD codes of the downstream tile as column codes of this tile, with its gain.

    `upstream` is the format of `errors`; the gain is a power of two; one rounding, one saturation.
    """
    shift = upstream.bits - 1 - spec.column_code.bits - spec.column_gain_log2
    limit = spec.column_code.high
    return np.minimum(np.maximum(round_half_even(errors, shift), -limit), limit)
