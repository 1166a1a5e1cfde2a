"""mnist-pairs: two MNIST digits side by side, 100 classes, as 2,048 fixed random features.

A stand-in for CIFAR-100's shape, 2048-100, 204,900 synapses; no figure of it is comparable with
CIFAR-100.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from golden.training.datasets import features, mnist
from golden.training.datasets.dataset import Dataset, Uint8Array
from spec.errors import InputError

NAME = "mnist-pairs"
CLASSES = 100
FEATURES = 2048
"""Half of them see the digit on the left, half the one on the right."""

SEED = 20201106
"""Seed of pairs and features [assumed]. Changing it makes another data set."""

PATCH = 6
"""A feature sees a square of so many rows and columns [assumed]."""

OFFSETS = (0, 150, 300, 450)
"""Sum, in pixel codes, that a feature leaves off; one in turn [assumed]."""

_DIGITS_AT_ONCE = 5000  # float32 sums of 1,024 features: 20 MB


def load(data_dir: str | Path | None = None) -> Dataset:
    """60,000 training and 10,000 test pairs: images of 1 x 2048 codes, labels 10 x left + right.

    Digits are drawn with `PCG64(SEED).random_raw`, in reading order: left and right, training
    pairs of training digits and then test pairs of test digits, each a word modulo their number.
    The words after them make 1,024 features of a digit: its patch's row and column, each a word
    modulo the places it may have, and a word whose lowest `PATCH` x `PATCH` bits are the signs of
    the patch's pixels, 1 for minus, row by row. A feature is the signed sum of the pixels of its
    patch less its offset, or 0 if that is negative. It becomes codes as in `features.quantise`,
    the range of a column being that over all training digits.

    Integers up to there, so the same bits on every platform. All of it is [assumed]; as an
    adaptation of MNIST, the set is under the same CC BY-SA 3.0.

    Raises `InputError` if `data_dir` is given: the digits are the package's.
    """
    if data_dir is not None:
        raise InputError(
            f"--data-dir {data_dir}: {NAME} is made of the package's MNIST; leave it out"
        )
    return make(mnist.load("mnist"))


def make(digits: Dataset) -> Dataset:
    """The pairs of a data set of ten classes, as many as it has digits; see `load`."""
    stream = np.random.PCG64(SEED)
    pairs = [
        (stream.random_raw(2 * count) % np.uint64(count)).astype(np.intp).reshape(count, 2)
        for count in (len(digits.train_labels), len(digits.test_labels))
    ]
    signs, offsets = feature_map(stream, digits.image_shape)
    codes = features.quantise(
        see(digits.train_images, signs, offsets), see(digits.test_images, signs, offsets)
    )
    labels = digits.train_labels, digits.test_labels
    images = [of[pair].reshape(len(pair), -1) for of, pair in zip(codes, pairs, strict=True)]
    classes = [10 * of[pair[:, 0]] + of[pair[:, 1]] for of, pair in zip(labels, pairs, strict=True)]
    return Dataset(
        name=NAME,
        train_images=images[0],
        train_labels=classes[0],
        test_images=images[1],
        test_labels=classes[1],
        classes=CLASSES,
        image_shape=(1, FEATURES),
    )


def feature_map(
    stream: np.random.PCG64, shape: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Signs (pixels, 1024), 0 outside the patch, and offsets (1024,) of the features of a digit."""
    count = FEATURES // 2
    signs = np.zeros((count, *shape), np.float32)
    for feature, words in enumerate(stream.random_raw(3 * count).reshape(count, 3)):
        row, column = (
            int(word) % (size - PATCH + 1) for word, size in zip(words[:2], shape, strict=True)
        )
        bits = (words[2] >> np.arange(PATCH * PATCH, dtype=np.uint64)) & np.uint64(1)
        patch = 1 - 2 * bits.astype(np.float32).reshape(PATCH, PATCH)
        signs[feature, row : row + PATCH, column : column + PATCH] = patch
    return signs.reshape(count, -1).T.copy(), np.resize(np.array(OFFSETS, np.float32), count)


def see(
    images: Uint8Array, signs: NDArray[np.float32], offsets: NDArray[np.float32]
) -> NDArray[np.uint16]:
    """Features (N, 1024) of digits (N, pixels).

    Exact in float32, in any order of adding: every sum is a whole number below 255 x 36 < 2^24.
    """
    found = np.empty((len(images), signs.shape[1]), np.uint16)
    for first in range(0, len(images), _DIGITS_AT_ONCE):
        some = slice(first, first + _DIGITS_AT_ONCE)
        found[some] = np.maximum(images[some].astype(np.float32) @ signs - offsets, 0)
    return found
