"""Data sets by name, read in full before a byte of them is used. Nothing here downloads anything.

Each failure is an `InputError` of one line that says what to change.
"""

from __future__ import annotations

from pathlib import Path

from golden.training.datasets import cifar, features, mnist, pairs
from golden.training.datasets.dataset import Dataset, Uint8Array, hold_out
from golden.training.datasets.idx import read_idx
from golden.training.datasets.mnist import (
    BACKRAND_SEED,
    CROP_COLUMNS,
    CROP_ROWS,
    FILES,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    add_random_background,
    crop,
)
from spec.errors import InputError

__all__ = [
    "BACKRAND_SEED",
    "CROP_COLUMNS",
    "CROP_ROWS",
    "FILES",
    "NAMES",
    "TEST_IMAGES",
    "TEST_LABELS",
    "TRAIN_IMAGES",
    "TRAIN_LABELS",
    "Dataset",
    "Uint8Array",
    "add_random_background",
    "crop",
    "hold_out",
    "load",
    "read_idx",
]

NAMES = (*mnist.NAMES, *cifar.CLASSES, pairs.NAME)
"""The names that `load` takes."""


def load(name: str, data_dir: str | Path | None = None) -> Dataset:
    """Load a data set by one of `NAMES`.

    - `mnist`, `mnist-backrand`, `fashion-mnist`: images; see `mnist.load`.
    - `cifar10`, `cifar100`: features of CIFAR images from the features file in `data_dir`; see
      `features.load`.
    - `mnist-pairs`: features of two digits of the package's MNIST; see `pairs.load`.

    Raises `InputError` if the name is unknown or a file is missing, unreadable or malformed.
    """
    if name in mnist.NAMES:
        return mnist.load(name, data_dir)
    if name in cifar.CLASSES:
        return features.load(name, data_dir)
    if name == pairs.NAME:
        return pairs.load(data_dir)
    raise InputError(f"data set {name!r} is not known; give one of {', '.join(NAMES)}")
