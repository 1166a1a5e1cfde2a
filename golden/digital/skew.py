"""Row skew: each group of eight rows meets the thresholds of an UPDATE a slot after the one before.

One threshold for all rows makes them pulse together: an update that is rounded up is so for all of
them at once, and what their sum does to a column is a random walk. Skewed, the groups meet in any
slot thresholds that are spread evenly, and roundings cancel in the sum. It costs hardware a ring of
thresholds, and no more a row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from golden.words import PART_SLOTS, Words
from spec.tile import SKEW_ROWS, TileSpec


def turns(spec: TileSpec) -> NDArray[np.uint64]:
    """By how many slots each row (rows,) is late."""
    return (np.arange(spec.rows) // SKEW_ROWS % spec.row_taps).astype(np.uint64)


def skewed(words: Words, late: NDArray[np.uint64], slots: int) -> Words:
    """Words (parts, rows) whose pulses are `late` (rows,) slots later, the last coming first."""
    width = np.uint64(min(slots, PART_SLOTS))
    whole, rest = np.divmod(late, width)
    # A part has what moves up within one part, and what moves over from the part below that.
    part = np.arange(len(words))[:, None] - whole.astype(np.int64)
    wide = words.astype(np.uint64)
    up, over = (np.take_along_axis(wide, each % len(words), axis=0) for each in (part, part - 1))
    turned = (up << rest) | (over >> (width - rest))
    return (turned & ((np.uint64(1) << width) - np.uint64(1))).astype(np.uint32)
