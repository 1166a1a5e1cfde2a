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
    # Most of the time none does, which two passes find.
    if np.maximum.reduce(raw) < code.high and np.minimum.reduce(raw) > code.low:
        return 0
    return int(np.count_nonzero((raw == code.low) | (raw == code.high)))


def corrected(
    raw: IntArray, offsets: IntArray, fraction_bits: int, dither: int | IntArray, code: Signed
) -> IntArray:
    """sat(raw - offset of the channel), offsets in 2^-fraction_bits of an LSB; a rail stays a rail.

    Were a rail corrected too, a channel of positive offset could never reach full scale, and its
    neuron, clipped, would still pass errors. `dither` (0..2^fraction_bits - 1) runs through all
    fractions, so that over time a channel has no offset left: half an LSB on every error of a
    neuron would train its weights astray.
    """
    codes = saturate(raw + ((dither - offsets) >> fraction_bits), code)
    return np.where((raw == code.low) | (raw == code.high), raw, codes)


def auto_zero(raw: IntArray) -> IntArray:
    """Channel offsets from 2^n zero-drive conversions (2^n, channels): in 2^-n of an LSB."""
    return raw.sum(axis=0)


class Dither:
    """A counter of n bits, read bit-reversed: successive values are far apart."""

    def __init__(self, bits: int) -> None:
        """`count` is state; 0 bits give always 0."""
        self._bits = bits
        self.count = 0

    def next(self) -> int:
        """The present value; then count."""
        value = bit_reversed(self.count, self._bits)
        self.count = (self.count + 1) % (1 << self._bits)
        return value


def bit_reversed(count: int, bits: int) -> int:
    """The low `bits` bits of a count, the lowest first."""
    value = 0
    for _ in range(bits):
        value, count = (value << 1) | (count & 1), count >> 1
    return value


def read_code(driven: IntArray, undriven: IntArray, average_log2: int, code: Signed) -> IntArray:
    """A READ: the mean of n = 2^a conversions (n, columns) minus that of n without drive."""
    total = np.add.reduce(driven, axis=0) - np.add.reduce(undriven, axis=0)
    return saturate(round_half_even(total, average_log2), code)
