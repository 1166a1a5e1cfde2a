"""Pulse-width encoding: codes become durations of a phase window.

Rows take unsigned codes, columns sign and magnitude. A pulse lasts exactly its code in cycles.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spec.tile import TileSpec

IntArray = NDArray[np.integer]


def row_durations(spec: TileSpec, row_codes: IntArray) -> NDArray[np.int64]:
    """Durations (rows,) in cycles of row codes (rows - 1,): the bias row is at full scale.

    Raises ValueError on a wrong length or a code outside `spec.row_code`.
    """
    codes = np.asarray(row_codes)
    if codes.shape != (spec.rows - 1,):
        raise ValueError(f"{codes.shape} row codes for {spec.rows - 1} rows")
    high = spec.row_code.high
    # Bytes cannot be illegal codes of eight bits. Else the codes fill their bits: any bit set
    # beyond shows in the OR of all.
    if codes.dtype != np.uint8 or high != 0xFF:
        if not 0 <= int(np.bitwise_or.reduce(codes)) <= high:
            raise ValueError(f"row codes must be 0..{high}")
    durations = np.empty(spec.rows, np.int64)
    durations[:-1] = codes
    durations[-1] = high
    return durations


def column_durations(spec: TileSpec, column_codes: IntArray) -> NDArray[np.int64]:
    """Signed durations (columns,) in cycles of signed column codes (columns,).

    Raises ValueError on a wrong length or a magnitude outside `spec.column_code`.
    """
    codes = np.asarray(column_codes)
    if codes.shape != (spec.columns,):
        raise ValueError(f"{codes.shape} column codes for {spec.columns} columns")
    if np.maximum.reduce(np.abs(codes)) > spec.column_code.high:
        raise ValueError(f"column codes must be within +-{spec.column_code.high}")
    return codes.astype(np.int64)
