"""Counter-based randomness: Philox2x32-10 keyed by seed, mechanism, tile, line and ordinal.

A draw is a pure function of its address, so that no engine, order or thread can change it. From
Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 [found].
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spec.formats import nearest

ROUNDS = 10
MULTIPLIER = 0xD256D193
WEYL = 0x9E3779B9
MASK32 = 0xFFFFFFFF
TILE_BITS = 6
LINE_BITS = 22
ORDINAL_BITS = 32
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


def _word(value: int) -> NDArray[np.uint64]:
    """A constant as an array without dimensions: the form that costs NumPy least a call."""
    return np.array(value, np.uint64)


_MULTIPLIER, _MASK32 = _word(MULTIPLIER), _word(MASK32)
_16, _32 = _word(16), _word(32)
_FIELDS, _BOTH_HALVES = _word(0x0000FFFF0000FFFF), _word((1 << 32) + 1)
_BELL_CENTRE, _BELL_SHIFT = np.array(BELL_CENTRE), np.array(BELL_SHIFT)
_HALF = np.array(1 << (BELL_SHIFT - 1))


@cache
def _round_keys(seed: int) -> list[NDArray[np.uint64]]:
    return [_word((seed + index * WEYL) & MASK32) for index in range(ROUNDS)]


def philox(
    seed: int,
    mechanism: Mechanism | NDArray[np.integer],
    tile: int,
    lines: NDArray[np.integer] | int,
    ordinals: NDArray[np.integer] | int,
) -> NDArray[np.uint64]:
    """64 random bits an address; mechanisms, `lines` (22 bits), `ordinals` (32 bits) broadcast."""
    field = np.asarray(mechanism, np.uint64) << _word(TILE_BITS + LINE_BITS)
    address = field | _word(tile << LINE_BITS) | np.asarray(lines, np.uint64)
    keys = _round_keys(seed)
    # Lines and ordinals meet in the first round: what it does before is done for fewer.
    product = (np.asarray(ordinals, np.uint64) & _MASK32) * _MULTIPLIER
    low = np.asarray((product >> _32) ^ (address ^ keys[0]))
    few, high = product & _MASK32, np.empty_like(low)
    product = np.multiply(low, _MULTIPLIER, out=np.empty_like(low))
    np.right_shift(product, _32, out=low)
    low ^= few ^ keys[1]
    np.bitwise_and(product, _MASK32, out=high)
    # In place: with few draws a call the rounds are all overhead, with many all memory.
    for key in keys[2:]:
        np.multiply(low, _MULTIPLIER, out=product)
        np.right_shift(product, _32, out=low)
        low ^= high
        low ^= key
        np.bitwise_and(product, _MASK32, out=high)
    high <<= _32
    high |= low
    return high


def bell(bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    """A bell of four 16-bit uniforms per 64 bits: mean 0, sigma BELL_SIGMA, within 3.47 sigma."""
    # Two sums of two side by side, then both in the upper half by one multiplication.
    total = np.asarray(bits >> _16)
    total &= _FIELDS
    total += bits & _FIELDS
    total *= _BOTH_HALVES
    total >>= _32
    centred = total.view(np.int64)
    centred -= _BELL_CENTRE
    return centred


def bell_scale(sigma: Fraction) -> int:
    """The integer s for which `scaled(bell, s)` has this standard deviation."""
    return nearest(sigma * (1 << BELL_SHIFT) / BELL_SIGMA)


def scaled(values: NDArray[np.int64], scale: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """(bell * scale) >> BELL_SHIFT, rounded half up: one named rounding."""
    product = np.asarray(values * scale)
    product += _HALF
    product >>= _BELL_SHIFT
    return product


Form = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""What a taker of noise makes of bells (n, lines): elementwise, or with a constant a line."""


def as_bells(bells: NDArray[np.int64]) -> NDArray[np.float64]:
    """The bells themselves, in float64."""
    return bells.astype(np.float64)


class NoiseLines:
    """One bell an ordinal for each of `lines` channels; blocks of ordinals are drawn at once."""

    BLOCK_DRAWS = 15_000
    """Enough to outweigh the overhead of a draw, few enough for the processor's cache."""

    def __init__(self, seed: int, mechanism: Mechanism, tile: int, lines: int) -> None:
        """`ordinals` (lines,) int64 count the conversions of each channel; part of the state."""
        self._seed, self._mechanism, self._tile = seed, mechanism, tile
        self.ordinals = np.zeros(lines, np.int64)
        self._lines = np.arange(lines)
        self._first = self._next = -1
        self._block = np.zeros((0, lines), np.int64)
        # The block in every form asked for: a form sees many draws at once.
        self._formed: dict[Form, NDArray[np.float64]] = {}
        self._steps: dict[int, NDArray[np.int64]] = {}

    def draw(
        self,
        active: NDArray[np.bool_] | None = None,
        repeats: int = 1,
        form: Form = as_bells,
    ) -> NDArray[np.float64]:
        """The next `repeats` bells (repeats, lines) in a form; a view, to be left as it is.

        `active` (lines,): channels that are not give 0 and do not advance. None: all are.
        """
        if active is not None:
            noise = np.where(active, self._apart(repeats, form), 0)
            self.ordinals += repeats * active
            self._next = -1
            return noise
        # A first ordinal other than the one to come means a state restored: look at all of them.
        if self.ordinals.item(0) != self._next:
            if (self.ordinals != self.ordinals[0]).any():
                noise = self._apart(repeats, form)
                self.ordinals += repeats
                return noise
            self._next = self._first = int(self.ordinals[0])
            self._block = self._block[:0]
        if self._next + repeats > self._first + len(self._block):
            self._draw_ahead(repeats)
        if repeats not in self._steps:
            self._steps[repeats] = np.array(repeats)
        self.ordinals += self._steps[repeats]
        drawn = slice(self._next - self._first, self._next - self._first + repeats)
        self._next += repeats
        if repeats > 1:
            return form(self._block[drawn])
        # A single vector costs little but the calls: the whole block is formed at once.
        if form not in self._formed:
            self._formed[form] = form(self._block)
        return self._formed[form][drawn]

    def _apart(self, repeats: int, form: Form) -> NDArray[np.float64]:
        """Noise where channels stand at ordinals of their own."""
        return form(self._bells(self.ordinals + np.arange(repeats)[:, None]))

    def _draw_ahead(self, least: int) -> None:
        """Draw for channels that advance together, `least` ordinals or more beyond the block."""
        end = self._first + len(self._block)
        more = max(least, self.BLOCK_DRAWS // len(self.ordinals))
        drawn = self._bells(np.arange(end, end + more)[:, None])
        self._block = np.concatenate([self._block[self._next - self._first :], drawn])
        self._first = self._next
        self._formed.clear()

    def _bells(self, ordinals: NDArray[np.int64]) -> NDArray[np.int64]:
        return bell(philox(self._seed, self._mechanism, self._tile, self._lines, ordinals))


_MECHANISMS = np.array([Mechanism.RESET, Mechanism.SET, Mechanism.DRIFT])[:, None, None]
_EVENTS, _DEVICES = np.array([0, 1, 1])[:, None, None], np.arange(2)[:, None]


class ProgrammingNoise:
    """Bells of RESET, SET and drift of a row's pairs, drawn for several rows at once.

    Program-and-verify takes RESET and SET in turn, each with an ordinal of its own. Mostly one
    attempt does, and the next row follows.
    """

    BLOCK_DRAWS = 6_000
    """Enough to outweigh the overhead of a draw."""

    def __init__(self, seed: int, tile: int, columns: int, ordinals: NDArray[np.int64]) -> None:
        """`ordinals` (rows,) are those to come next; they only guess what will be asked for.

        Nothing here is state: a bell is a function of row, device and ordinal.
        """
        self._seed, self._tile, self._columns = seed, tile, columns
        self._ordinals = ordinals
        self._ahead = 1 + self.BLOCK_DRAWS // (6 * columns)
        self._drawn: dict[tuple[int, int], NDArray[np.int64]] = {}

    def reset(self, row: int, ordinal: int) -> NDArray[np.int64]:
        """Bells (2, columns) of a RESET, of G+ and of G-."""
        return self._attempt(row, ordinal)[0]

    def set(self, row: int, ordinal: int) -> NDArray[np.int64]:
        """Bells (2, 2, columns) of a SET: conductances and drift exponents, of G+ and of G-."""
        return self._attempt(row, ordinal - 1)[1:]

    def _attempt(self, row: int, first: int) -> NDArray[np.int64]:
        """Bells (3, 2, columns) of a RESET with ordinal `first` and the SET after it."""
        if (row, first) not in self._drawn:
            self._draw_ahead(row, first)
        return self._drawn[row, first]

    def _draw_ahead(self, row: int, first: int) -> None:
        """Draw this attempt, and the next one of each of the following rows."""
        firsts = self._ordinals[row : row + self._ahead].copy()
        firsts[0] = first
        rows = row + np.arange(len(firsts))
        cells = rows[:, None] * self._columns + np.arange(self._columns)
        ordinals = 2 * (firsts[:, None, None, None] + _EVENTS) + _DEVICES
        bits = philox(self._seed, _MECHANISMS, self._tile, cells[:, None, None], ordinals)
        keys = zip(rows.tolist(), firsts.tolist(), strict=True)
        self._drawn = dict(zip(keys, bell(bits), strict=True))
