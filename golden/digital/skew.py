"""Row skew: each group of eight rows meets the thresholds of an UPDATE a slot after the one before.

One threshold for all rows makes them pulse together: an update that is rounded up is so for all of
them at once, and what their sum does to a column is a random walk. Skewed, the groups meet in any
slot thresholds that are spread evenly, and roundings cancel in the sum. It costs hardware a ring of
thresholds, and no more a row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spec.tile import SKEW_ROWS, TileSpec


def turns(spec: TileSpec) -> NDArray[np.uint64]:
    """By how many slots each row (rows,) is late."""
    return (np.arange(spec.rows) // SKEW_ROWS % spec.row_taps).astype(np.uint64)


def skewed(words: NDArray[np.uint32], late: NDArray[np.uint64], slots: int) -> NDArray[np.uint32]:
    """Words (rows,) whose pulses are `late` slots later, those at the end coming first."""
    wide = words.astype(np.uint64)
    whole = (wide << late) | (wide >> (np.uint64(slots) - late))
    return (whole & np.uint64((1 << slots) - 1)).astype(np.uint32)
