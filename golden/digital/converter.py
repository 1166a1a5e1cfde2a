"""Converter codes: channel offsets, saturation, and the averaging of a READ."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from spec.formats import Signed

IntArray = NDArray[np.int64]


@cache
def _limits(code: Signed) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both rails, as arrays without dimensions: the form of a constant that costs NumPy least."""
    return np.array(code.low), np.array(code.high)


@cache
def _rails(code: Signed) -> NDArray[np.bool_]:
    """Which codes are rails (2^bits,), by code: negative codes index from the end."""
    rails = np.zeros(1 << code.bits, np.bool_)
    rails[[code.low, code.high]] = True
    return rails


def saturate(values: IntArray, code: Signed) -> IntArray:
    """Values limited to a signed format."""
    low, high = _limits(code)
    limited = np.maximum(values, low)
    return np.minimum(limited, high, out=limited)


def at_rail(raw: IntArray, code: Signed) -> int:
    """How many raw codes stand at a rail: they count as saturated."""
    return int(np.count_nonzero(_rails(code)[raw]))


def corrected(
    raw: IntArray, offsets: IntArray, fraction_bits: int, dither: int | IntArray, code: Signed
) -> IntArray:
    """sat(raw - offset of the channel), offsets in 2^-fraction_bits of an LSB; a rail stays a rail.

    Were a rail corrected too, a channel of positive offset could never reach full scale, and its
    neuron, clipped, would still pass errors. `dither` (0..2^fraction_bits - 1) runs through all
    fractions, so that over time a channel has no offset left: half an LSB on every error of a
    neuron would train its weights astray.
    """
    return _moved(raw, (dither - offsets) >> fraction_bits, _limits(code), _rails(code))[0]


def _moved(
    raw: IntArray, by: IntArray, limits: tuple[NDArray, NDArray], is_rail: NDArray[np.bool_]
) -> tuple[IntArray, int]:
    """raw + by within the limits, but a rail stays a rail; and how many rails there are."""
    codes = raw + by
    np.maximum(codes, limits[0], out=codes)
    np.minimum(codes, limits[1], out=codes)
    rails = is_rail[raw]
    count = int(np.count_nonzero(rails))
    if count:
        np.copyto(codes, raw, where=rails)
    return codes, count


class Correction:
    """`corrected` and `at_rail` of one side, again and again with the same offsets.

    The software rounds the offsets once for each value of the dither; hardware does as it converts.
    """

    def __init__(self, fraction_bits: int, code: Signed) -> None:
        """See `corrected`."""
        self._bits = fraction_bits
        self._limits, self._rails = _limits(code), _rails(code)
        self._rounded_of = b""
        self._rounded: list[IntArray] = []

    def apply(self, raw: IntArray, offsets: IntArray, dither: int) -> tuple[IntArray, int]:
        """Codes (channels,) of raw codes, and how many of these stand at a rail."""
        # As bytes: the comparison that costs least.
        if offsets.tobytes() != self._rounded_of:
            self._rounded_of = offsets.tobytes()
            self._rounded = [(value - offsets) >> self._bits for value in range(1 << self._bits)]
        return _moved(raw, self._rounded[dither], self._limits, self._rails)


def auto_zero(raw: IntArray) -> IntArray:
    """Channel offsets from 2^n zero-drive conversions (2^n, channels): in 2^-n of an LSB."""
    return raw.sum(axis=0)


class Dither:
    """A counter of n bits, read bit-reversed: successive values are far apart."""

    def __init__(self, bits: int) -> None:
        """`count` is state; 0 bits give always 0."""
        self._values = [bit_reversed(count, bits) for count in range(1 << bits)]
        self.count = 0

    def next(self) -> int:
        """The present value; then count."""
        value = self._values[self.count]
        self.count = (self.count + 1) % len(self._values)
        return value


def bit_reversed(count: int, bits: int) -> int:
    """The low `bits` bits of a count, the lowest first."""
    value = 0
    for _ in range(bits):
        value, count = (value << 1) | (count & 1), count >> 1
    return value


def read_code(
    driven: NDArray[np.signedinteger], undriven: IntArray, average_log2: int, code: Signed
) -> IntArray:
    """A READ: the mean of n = 2^a conversions (n, columns) minus that of n without drive.

    `undriven` (columns,) is the sum of those.
    """
    total = sum_of_codes(driven)
    total -= undriven
    if average_log2:
        # `round_half_even` in place: a transfer does it more often than all else.
        shift, one, below_half = _rounding(average_log2)
        odd = total >> shift
        odd &= one
        total += odd
        total += below_half
        total >>= shift
    return saturate(total, code)


@cache
def _rounding(shift: int) -> tuple[IntArray, IntArray, IntArray]:
    """The shift, one, and just under half, as arrays without dimensions (see `_limits`)."""
    return np.array(shift), np.array(1), np.array((1 << (shift - 1)) - 1)


def sum_of_codes(raw: NDArray[np.signedinteger]) -> IntArray:
    """Sums (columns,) of conversions (n, columns): at most 2^6 of 15 bits, so they fit 32."""
    return np.add.reduce(raw, axis=0, dtype=np.int32).astype(np.int64)
