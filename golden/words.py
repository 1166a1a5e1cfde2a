"""Words of an UPDATE: in which slots lines pulse, as bits of machine words.

`words` (parts, lines) uint32 have slot s of a line in bit s % 32 of part s // 32. Up to 32 slots
are one part, of which the bits above the slots are zero.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from spec.tile import MAX_SLOTS

Words = NDArray[np.uint32]

PART_SLOTS = 32


def parts_of(slots: int) -> int:
    """Parts that hold so many slots."""
    return -(-slots // PART_SLOTS)


def words_of(numbers: Iterable[int], slots: int) -> Words:
    """Words of lines whose bit s is slot s."""
    every = list(numbers)
    mask = (1 << PART_SLOTS) - 1
    parts = range(parts_of(slots))
    return np.array([[n >> (PART_SLOTS * part) & mask for n in every] for part in parts], np.uint32)


def numbers_of(words: NDArray[np.integer]) -> list[int]:
    """The opposite of `words_of`: a number a line."""
    return [
        sum(part << (PART_SLOTS * place) for place, part in enumerate(line))
        for line in words.T.tolist()
    ]


def pulsing(words: Words) -> NDArray[np.bool_]:
    """Which lines (lines,) pulse in any slot."""
    return np.bitwise_or.reduce(words) > 0


_THERMOMETERS = words_of([(1 << pulses) - 1 for pulses in range(MAX_SLOTS + 1)], MAX_SLOTS)


def thermometer(pulses: NDArray[np.integer] | int, slots: int) -> Words:
    """Words whose first `pulses` (lines,) of `slots` slots are high; of one number, (parts, 1)."""
    return _THERMOMETERS[: parts_of(slots)].take(np.atleast_1d(pulses), axis=1)
