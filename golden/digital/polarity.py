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
        """Per live polarity, `lines` (rows,) with only the rows of that polarity driven.

        A phase without a driven row is skipped.
        """
        found = []
        for polarity in Polarity:
            driven = np.where(self.bits == polarity, lines, 0)
            if driven.any():
                found.append((polarity, driven.astype(lines.dtype)))
        return found
