"""The polarity bank: one bit a row, owned by this block alone. Bit 0 is p = +1, bit 1 is p = -1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spec.boundary import Polarity


class PolarityBank:
    """Bits (rows,), and the phases that a set of rows needs."""

    def __init__(self, rows: int) -> None:
        """All rows start with NORMAL polarity."""
        self.bits: NDArray[np.int64] = np.zeros(rows, np.int64)

    def flip_to(self, row: int, polarity: int) -> None:
        """Write a row's bit: idempotent, so that a RESUME may repeat it."""
        self.bits[row] = polarity

    def phases(self, lines: NDArray[np.integer]) -> list[tuple[Polarity, NDArray[np.integer]]]:
        """Per polarity that a row has, `lines` (..., rows) with only the rows of it driven.

        A polarity without rows is skipped; it is the rows' bits that say so, not their codes,
        because a pulse word is not known before its last slot.
        """
        inverted = int(np.count_nonzero(self.bits))
        if inverted in (0, len(self.bits)):
            return [(Polarity.INVERTED if inverted else Polarity.NORMAL, lines)]
        return [(p, np.where(self.bits == p, lines, 0).astype(lines.dtype)) for p in Polarity]
