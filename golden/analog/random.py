"""Counter-based randomness: Philox2x32-10 keyed by seed, mechanism, tile, line and ordinal.

A draw is a pure function of its address, so that no engine, order or thread can change it. From
Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 [found].
"""

from __future__ import annotations

from enum import IntEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from spec.formats import nearest

ROUNDS = 10
MULTIPLIER = 0xD256D193
WEYL = 0x9E3779B9
MASK32 = 0xFFFFFFFF
TILE_BITS = 6
LINE_BITS = 22
SEED_LIMIT = 1 << 32

BELL_CENTRE = 2 * 65535
BELL_SIGMA = Fraction(75674, 2)
"""Standard deviation of a sum of four uniform 16-bit numbers: sqrt((2^32 - 1) / 3) = 37837."""
BELL_SHIFT = 16


class Mechanism(IntEnum):
    """What a draw is for; four bits of its address."""

    WEIGHT = 0
    SHUFFLE = 1
    STEP = 2
    MISMATCH = 3
    REFERENCE = 4
    STUCK = 5
    COLUMN_OFFSET = 6
    ROW_OFFSET = 7
    LFSR = 8
    COLUMN_NOISE = 9
    ROW_NOISE = 10
    SET = 11
    RESET = 12
    DRIFT = 13
    CYCLE = 14
    EVALUATION = 15


def philox(
    seed: int,
    mechanism: Mechanism,
    tile: int,
    lines: NDArray[np.integer] | int,
    ordinals: NDArray[np.integer] | int,
) -> NDArray[np.uint64]:
    """64 random bits an address; `lines` (22 bits) and `ordinals` (32 bits) broadcast."""
    lines, ordinals = np.asarray(lines, np.uint64), np.asarray(ordinals, np.uint64)
    address = np.uint64((int(mechanism) << (TILE_BITS + LINE_BITS)) | (tile << LINE_BITS))
    shape = np.broadcast_shapes(lines.shape, ordinals.shape)
    low = np.broadcast_to(ordinals & np.uint64(MASK32), shape).copy()
    high = np.broadcast_to(address | lines, shape).copy()
    key = seed & MASK32
    for _ in range(ROUNDS):
        product = low * np.uint64(MULTIPLIER)
        low = (product >> np.uint64(32)) ^ np.uint64(key) ^ high
        high = product & np.uint64(MASK32)
        key = (key + WEYL) & MASK32
    return (high << np.uint64(32)) | low


def bell(bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    """A bell of four 16-bit uniforms per 64 bits: mean 0, sigma BELL_SIGMA, within 3.47 sigma."""
    mask = np.uint64(0xFFFF)
    total = (bits & mask) + ((bits >> np.uint64(16)) & mask)
    total = total + ((bits >> np.uint64(32)) & mask) + (bits >> np.uint64(48))
    return total.astype(np.int64) - BELL_CENTRE


def bell_scale(sigma: Fraction) -> int:
    """The integer s for which `scaled(bell, s)` has this standard deviation."""
    return nearest(sigma * (1 << BELL_SHIFT) / BELL_SIGMA)


def scaled(values: NDArray[np.int64], scale: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """(bell * scale) >> BELL_SHIFT, rounded half up: one named rounding."""
    return (values * scale + (1 << (BELL_SHIFT - 1))) >> BELL_SHIFT


class NoiseLines:
    """One bell an ordinal for each of `lines` channels; blocks of ordinals are drawn at once."""

    BLOCK = 64

    def __init__(self, seed: int, mechanism: Mechanism, tile: int, lines: int) -> None:
        """`ordinals` (lines,) int64 count the conversions of each channel; part of the state."""
        self._seed, self._mechanism, self._tile = seed, mechanism, tile
        self.ordinals = np.zeros(lines, np.int64)
        self._lines = np.arange(lines)
        self._block_start = -1
        self._block = np.zeros((0, lines), np.int64)

    def draw(self, active: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """The next bell of every active channel (lines,); others give 0 and do not advance."""
        first = int(self.ordinals[0])
        if active is None or active.all():
            if (self.ordinals == first).all():
                start = first - first % self.BLOCK
                if start != self._block_start:
                    ordinals = np.arange(start, start + self.BLOCK)[:, None]
                    self._block, self._block_start = self._address(ordinals), start
                values = self._block[first - start]
            else:
                values = self._address(self.ordinals)
            self.ordinals += 1
            return values
        values = np.where(active, self._address(self.ordinals), 0)
        self.ordinals += active
        return values

    def _address(self, ordinals: NDArray[np.int64]) -> NDArray[np.int64]:
        return bell(philox(self._seed, self._mechanism, self._tile, self._lines, ordinals))
