"""A data set small enough that hundreds of examples train in a second, as IDX files.

The NumPy engine takes milliseconds to transfer a row, so there are few rows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

CLASSES = SIDE = 3
TRAINING, TEST = 150, 40


def idx(array: np.ndarray) -> bytes:
    """The bytes of an IDX file of unsigned bytes."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_small_data(folder: Path) -> Path:
    """Three classes, each a bright row in noise: easy, but not in one example."""
    rng = np.random.default_rng(5)
    for part, count in (("train", TRAINING), ("t10k", TEST)):
        labels = np.arange(count) % CLASSES
        images = rng.integers(0, 120, (count, SIDE, SIDE))
        for label in range(CLASSES):
            images[labels == label, label] += 100
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return folder


@pytest.fixture
def write_data() -> Callable[[Path], Path]:
    """Writes the small data set into a folder, for a test that damages it."""
    return write_small_data


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small data set; read only."""
    return write_small_data(tmp_path_factory.mktemp("small-data"))
