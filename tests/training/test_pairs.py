"""mnist-pairs: what it is made of, and that it is the same everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from golden.training.datasets import Dataset, load, pairs
from golden.training.datasets.features import quantise
from golden.training.loop import data_digest
from spec.errors import InputError

DIGEST = "80865670eddd08e1d7dd42e2c74cccc0dac948dc396e09fa07b4ebafc5ce4cb7"


def digits(train: int = 200, test: int = 30) -> Dataset:
    """Noise for digits of 9 x 8, in ten classes."""
    rng = np.random.default_rng(4)
    return Dataset(
        name="noise",
        train_images=rng.integers(0, 256, (train, 72), dtype=np.uint8),
        train_labels=(np.arange(train) % 10).astype(np.uint8),
        test_images=rng.integers(0, 256, (test, 72), dtype=np.uint8),
        test_labels=(np.arange(test) % 10).astype(np.uint8),
        classes=10,
        image_shape=(9, 8),
    )


def words(count: int) -> list[int]:
    return [int(word) for word in np.random.PCG64(pairs.SEED).random_raw(count)]


def test_it_is_the_same_data_set_everywhere():
    data = load("mnist-pairs")
    assert data.train_images.shape == (60000, 2048)
    assert data.test_images.shape == (10000, 2048)
    assert data.classes == 100
    assert data_digest(data) == DIGEST


def test_pairs_and_features_follow_the_description():
    many = digits(5000)
    data = pairs.make(many)
    stream = words(2 * 5000 + 2 * 30 + 3 * 1024)
    pair = [(stream[2 * n] % 5000, stream[2 * n + 1] % 5000) for n in range(5000)]
    for n in range(50):
        left, right = (int(many.train_labels[index]) for index in pair[n])
        assert data.train_labels[n] == 10 * left + right
    for feature in (0, 1, 2, 3, 77, 1023):
        row, column, bits = stream[10060 + 3 * feature :][:3]
        row, column = row % (9 - 5), column % (8 - 5)
        signs = [1 - 2 * (bits >> pixel & 1) for pixel in range(36)]
        found = []
        for image in many.train_images.reshape(-1, 9, 8).astype(int):
            patch = image[row : row + 6, column : column + 6].ravel().tolist()
            total = sum(sign * pixel for sign, pixel in zip(signs, patch, strict=True))
            found.append([max(0, total - pairs.OFFSETS[feature % 4])])
        codes = quantise(np.array(found), np.array(found))[0].ravel()
        left, right = (codes[[both[side] for both in pair]].tolist() for side in (0, 1))
        assert data.train_images[:, feature].tolist() == left
        assert data.train_images[:, 1024 + feature].tolist() == right


def test_sums_are_exact_in_float32():
    signs, offsets = pairs.feature_map(np.random.PCG64(3), (9, 8))
    images = digits().train_images
    whole = images.astype(np.int64) @ signs.astype(np.int64) - offsets.astype(np.int64)
    assert pairs.see(images, signs, offsets).tolist() == np.maximum(whole, 0).tolist()


def test_other_digits_are_refused(tmp_path):
    with pytest.raises(InputError, match="leave it out"):
        load("mnist-pairs", tmp_path)
