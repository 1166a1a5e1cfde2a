"""Converter codes: channel offsets, saturation, and the averaging of a READ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spec.formats import Signed, round_half_even

IntArray = NDArray[np.int64]


def saturate(values: IntArray, code: Signed) -> IntArray:
    """Values limited to a signed format."""
    return np.minimum(np.maximum(values, code.low), code.high)


def at_rail(raw: IntArray, code: Signed) -> int:
    """How many raw codes stand at a rail: they count as saturated."""
    return int(np.count_nonzero((raw == code.low) | (raw == code.high)))


def corrected(raw: IntArray, offsets: IntArray, code: Signed) -> IntArray:
    """sat(raw - offset of the channel)."""
    return saturate(raw - offsets, code)


def auto_zero(raw: IntArray, average_log2: int) -> IntArray:
    """Channel offsets from 2^n zero-drive conversions (2^n, channels)."""
    return round_half_even(raw.sum(axis=0), average_log2)


def read_code(driven: IntArray, undriven: IntArray, average_log2: int, code: Signed) -> IntArray:
    """A READ: n = 2^a conversions (n, columns) minus n times one zero-drive conversion."""
    total = driven.sum(axis=0) - (undriven << average_log2)
    return saturate(round_half_even(total, average_log2), code)
