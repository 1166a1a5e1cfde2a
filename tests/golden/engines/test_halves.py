"""FORWARD's sums in halves, against sums of whole weights, where the lanes come nearest to full."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from golden.engines.compiled import array
from golden.engines.compiled.halves import AT_MOST, BLOCKS_AT_ONCE
from golden.engines.compiled.vectors import BLOCK, FLIP

COLUMNS = 6
LOWEST, HIGHEST = -(1 << 31), (1 << 31) - 1

_njit: Any = numba.njit


@_njit
def dot(sums, charge, weight, width, drive, blocks, nothing, rows, places):
    array.dot(sums, charge, weight, 0, width, drive, blocks, blocks.shape[0], nothing, rows, places)


def weights(kind: str, shape: tuple[int, ...]) -> np.ndarray:
    if kind == "random":
        return np.random.default_rng(0).integers(LOWEST, HIGHEST, shape, np.int32, endpoint=True)
    # The low half reads as -2^15 where it is zero, as 2^15 - 1 where it is all ones.
    return np.full(shape, {"lowest": LOWEST, "highest": HIGHEST}[kind], np.int32)


@pytest.mark.parametrize("kind", ["lowest", "highest", "random"])
@pytest.mark.parametrize("count", [1, AT_MOST, 2 * AT_MOST])
def test_sums_in_halves_are_sums_of_weights(kind: str, count: int) -> None:
    weight = weights(kind, (count, COLUMNS, BLOCK))
    drive = np.zeros((count + 1) * BLOCK, np.int32)
    drive[: count * BLOCK] = 255
    if kind == "random":
        drive[: count * BLOCK] = np.random.default_rng(1).integers(0, 256, count * BLOCK)
    sums, charge = np.zeros(BLOCK * COLUMNS, np.int32), np.full(COLUMNS, 7, np.int64)
    lists = np.zeros((2, count + BLOCKS_AT_ONCE), np.int64)
    blocks = np.arange(count) * BLOCK
    flat = (weight ^ np.int32(FLIP)).reshape(-1)
    dot(sums, charge, flat, COLUMNS, drive, blocks, count * BLOCK, *lists)
    expected = np.einsum(
        "bji,bi->j", weight.astype(np.int64), drive[: count * BLOCK].reshape(-1, BLOCK)
    )
    assert (charge == expected + 7).all()
    assert not sums.any()
