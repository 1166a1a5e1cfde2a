"""Features files: the codes that are made of them, and one clear line for each that is wrong."""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.training.datasets import Dataset, load
from golden.training.datasets.features import CLIPPED_ONE_IN, quantise
from golden.training.loop import data_digest
from spec.errors import InputError

CIFAR10 = Path(__file__).parents[2] / ".." / "shared" / "data" / "cifar10"
FEATURES = 5


def arrays(classes: int = 10) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {
        "x_train": rng.normal(1, 2, (2 * classes, FEATURES)).astype(np.float32),
        "y_train": np.arange(2 * classes) % classes,
        "x_test": rng.normal(1, 2, (6, FEATURES)).astype(np.float32),
        "y_test": np.arange(6, dtype=np.uint8),
    }


def write(folder: Path, /, **changes: Any) -> Path:
    """A features file with changes; None leaves an array out."""
    held = {key: value for key, value in (arrays() | changes).items() if value is not None}
    np.savez(folder / "features.npz", **held)
    return folder / "features.npz"


def message(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refused(folder: Path) -> str:
    return message(lambda: load("cifar10", folder))


def exact(column: list[float], training: list[float]) -> list[int]:
    """The rule again, for one column, in fractions: the oracle of `quantise`."""
    ordered = sorted(map(Fraction, training))
    low = ordered[len(ordered) // 2]
    high = ordered[len(ordered) - 1 - len(ordered) // CLIPPED_ONE_IN]
    high = high if high > low else ordered[-1]
    if high <= low:
        return [0] * len(column)
    return [round(255 * max(0, min(1, (Fraction(x) - low) / (high - low)))) for x in column]


# -- codes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16, np.int16, np.uint8])
@pytest.mark.parametrize("scaled", [False, True])
def test_codes_follow_the_rule(kind, scaled):
    rng = np.random.default_rng(7)
    signed = kind != np.uint8
    draw = rng.gamma(0.5, 20, (530, 70)) - 3 * signed * (np.arange(70) % 2)
    train, test = draw[:430].astype(kind), (2 * draw[430:]).astype(kind)
    train[:, 3] = 0  # constant
    train[:, 4] = 0
    train[5, 4] = 9  # too seldom for the rank
    scale = rng.uniform(0.01, 2, 70).astype(np.float32) if scaled else None
    codes = quantise(train, test, scale)
    factors = np.ones(70) if scale is None else scale.astype(float)
    for part, found in zip((train, test), codes, strict=True):
        assert found.dtype == np.uint8
        assert found.flags.c_contiguous
        for column, factor in enumerate(factors):
            values = (part[:, column].astype(float) * factor).tolist()
            training = (train[:, column].astype(float) * factor).tolist()
            assert found[:, column].tolist() == exact(values, training)


def test_an_even_code_wins_a_tie():
    train = np.array([[0.0], [-9.0], [0.0], [510.0], [1.0], [-7.0], [3.0], [-4.0], [5.0], [-2.0]])
    assert quantise(train, train)[0].ravel().tolist() == [0, 0, 0, 255, 0, 0, 2, 0, 2, 0]


def test_the_rule_by_hand():
    column = np.array([[-1.0], [-5.0], [3.0], [1.0], [0.0]])  # low 0, high 3
    train, test = quantise(column, np.array([[-2.0], [1.5], [9.0]]))
    assert train.ravel().tolist() == [0, 0, 255, 85, 0]
    assert test.ravel().tolist() == [0, 128, 255]
    even = np.array([[2.0], [4.0], [8.0], [3.0]])  # low is 4, not 3
    assert quantise(even, even)[0].ravel().tolist() == [0, 0, 255, 0]
    for constant in (0.0, -3.0):
        assert not quantise(np.full((4, 1), constant), np.full((2, 1), 8.0))[0].any()


def test_one_in_a_hundred_training_values_is_clipped():
    train = np.arange(1000.0)[:, None]
    codes = quantise(train, train)[0].ravel()
    assert int((codes == 255).sum()) == 11  # 10, and high itself
    assert codes[989] == 255


def test_test_values_do_not_change_the_codes():
    x = arrays()
    one = quantise(x["x_train"], x["x_test"])[0]
    other = quantise(x["x_train"], 100 * x["x_test"])[0]
    assert one.tolist() == other.tolist()


def test_extreme_values_are_codes_too():
    train = np.array([[5e-324, 1e100], [0, -1e100], [1e-320, 0]])
    train_codes, test_codes = quantise(train, np.array([[1e100, 1e100]]))
    assert train_codes.tolist()[0][1] == 255
    assert test_codes.tolist() == [[255, 255]]


# -- files ---------------------------------------------------------------------------------------


def check(data: Dataset) -> None:
    x = arrays()
    train, test = quantise(x["x_train"], x["x_test"])
    assert (data.name, data.classes, data.image_shape) == ("cifar10", 10, (1, FEATURES))
    assert data.train_images.tolist() == train.tolist()
    assert data.test_images.tolist() == test.tolist()
    assert data.train_labels.tolist() == x["y_train"].tolist()
    assert data.test_labels.tolist() == x["y_test"].tolist()


def test_a_features_file_by_its_name_its_folder_and_as_the_only_one(tmp_path):
    path = write(tmp_path)
    check(load("cifar10", tmp_path))
    check(load("cifar10", str(path)))
    path.rename(tmp_path / "other.npz")
    check(load("cifar10", tmp_path))
    shutil.copy(tmp_path / "other.npz", tmp_path / "third.npz")
    assert "2 .npz files; leave one, or name the features file features.npz" in refused(tmp_path)
    (tmp_path / "third.npz").rename(path)
    check(load("cifar10", tmp_path))


def test_cifar100_has_a_hundred_classes(tmp_path):
    np.savez(tmp_path / "features.npz", **arrays(100))
    assert load("cifar100", tmp_path).classes == 100
    assert "label 10 at example 10, but there are 10 classes" in refused(tmp_path)


@pytest.mark.parametrize(
    "kind", [np.uint8, np.int8, np.uint64, np.int64, np.float16, np.longdouble]
)
def test_any_real_type_with_a_scale_and_metadata(tmp_path, kind):
    x: dict[str, Any] = {
        name: (np.abs(arrays()[name]) * 10).astype(kind) for name in ("x_train", "x_test")
    }
    scale = np.linspace(0.1, 1, FEATURES).astype(np.float32)
    write(tmp_path, **x, scale=scale, metadata=json.dumps({"dataset": "cifar10", "model": "m"}))
    data = load("cifar10", tmp_path)
    assert data.train_images.tolist() == quantise(x["x_train"], x["x_test"], scale)[0].tolist()


def test_compressed_files_are_the_same(tmp_path):
    np.savez_compressed(tmp_path / "features.npz", **arrays())
    check(load("cifar10", tmp_path))


@pytest.mark.exhaustive
def test_the_file_for_development():
    if not CIFAR10.is_dir():
        pytest.skip("../shared/data/cifar10 is not there")
    data = load("cifar10", CIFAR10)
    assert data.train_images.shape == (50000, 2048)
    assert data.test_images.shape == (10000, 2048)
    assert data_digest(data) == DEVELOPMENT_DIGEST


DEVELOPMENT_DIGEST = "971ba2a9fe26d043e20ff2a23e2dea9d18edea337aa909a0a99e173b3e7a3bd6"


# -- what is refused -----------------------------------------------------------------------------


def test_without_a_folder():
    assert "--data-dir" in message(lambda: load("cifar100"))


def test_a_folder_without_features(tmp_path):
    text = refused(tmp_path)
    assert "features.npz: no such file" in text
    assert "crosstile features" in text
    assert "cannot be read" in refused(tmp_path / "absent")
    assert "cannot be read" in refused(tmp_path / ("x" * 300))
    (tmp_path / "data_batch_1.bin").write_bytes(b"")
    assert "holds images, no features; make them with crosstile features" in refused(tmp_path)


@pytest.mark.parametrize("key", ["x_train", "y_train", "x_test", "y_test"])
def test_an_array_left_out(tmp_path, key):
    path = write(tmp_path, **{key: None})
    assert f"{path}: has no {key}" in refused(tmp_path)


X, Y = arrays()["x_train"], arrays()["y_train"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"x_train": X[0]}, "x_train has shape (5,)"),
        ({"x_train": X[:, :0], "x_test": X[:6, :0]}, "x_train has shape (20, 0)"),
        ({"x_test": X[:0], "y_test": Y[:0]}, "x_test has shape (0, 5)"),
        ({"x_test": X[:6, :4]}, "x_test has 4 features, but x_train 5"),
        ({"x_train": X[:19]}, "20 labels y_train for 19 rows x_train"),
        ({"y_test": Y[:5]}, "5 labels y_test for 6 rows x_test"),
        ({"x_train": X.astype(complex)}, "x_train is of type complex128"),
        ({"x_train": X > 0}, "x_train is of type bool"),
        ({"x_train": X.astype(str)}, "x_train is of type <U32"),
        ({"x_train": X.astype(object)}, "not of plain arrays"),
        ({"y_train": Y.astype(float)}, "y_train is float64"),
        ({"y_train": Y[:, None]}, "y_train is int64 (20, 1)"),
        ({"y_train": Y - 1}, "y_train: label -1 at example 0; labels are 0..9"),
        ({"y_test": Y[:6] + 5}, "y_test: label 10 at example 5"),
        ({"y_test": Y[:6] + 256}, "y_test: label 256 at example 0"),
        ({"y_train": Y // 2 * 2}, "empty class, no training example of 1, 3, 5, 7, 9"),
        ({"scale": np.ones(4)}, "scale has shape (4,); give (5,)"),
        ({"scale": np.full(5, math.nan)}, "x_train is nan at example 0, feature 0"),
        ({"scale": np.array(["a"] * 5)}, "scale is of type"),
        ({"metadata": "{"}, "metadata is not an object as JSON text"),
        ({"metadata": "[1]"}, "metadata is not an object"),
        ({"metadata": np.array(["{}"])}, "metadata is not an object"),
        ({"metadata": json.dumps({"dataset": "cifar100"})}, "features of cifar100; give those of"),
    ],
)
def test_a_file_of_other_content(tmp_path, changes, reason):
    path = write(tmp_path, **changes)
    text = refused(tmp_path)
    assert str(path) in text
    assert reason in text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2e100])
@pytest.mark.parametrize("part", ["train", "test"])
def test_a_feature_that_is_not_finite(tmp_path, part, value):
    x = arrays()[f"x_{part}"].astype(float)
    x[3, 2] = value
    write(tmp_path, **{f"x_{part}": x})
    assert f"x_{part} is {value} at example 3, feature 2" in refused(tmp_path)


def test_files_that_are_no_npz(tmp_path):
    path = tmp_path / "features.npz"
    for data in (b"", b"garbage", b"PK\3\4" + bytes(100)):
        path.write_bytes(data)
        assert f"{path}: not a .npz file, or cut short" in refused(tmp_path)
    with path.open("wb") as file:
        np.save(file, arrays()["x_train"])
    assert "not a .npz file" in refused(tmp_path)
    with zipfile.ZipFile(path, "w") as file:
        for key in arrays():
            file.writestr(f"{key}.npy", b"no array")
    assert "x_train is damaged, no array" in refused(tmp_path)
    path.unlink()
    path.mkdir()
    assert "features.npz: cannot be read" in message(lambda: load("cifar10", path / "features.npz"))


def test_a_file_that_promises_too_much(tmp_path):
    with zipfile.ZipFile(tmp_path / "features.npz", "w") as file:
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({1 << 50}, 8), }}"
        start = b"\x93NUMPY\1\0" + (len(header) + 1).to_bytes(2, "little")
        file.writestr("x_train.npy", start + header.encode() + b"\n")
    assert "features.npz: " in refused(tmp_path)


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_bytes_are_an_error_or_no_matter(tmp_path, compressed):
    (np.savez_compressed if compressed else np.savez)(tmp_path / "whole.npz", **arrays())
    whole = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "whole.npz").unlink()
    usual, refusals = arrays(), 0
    codes = quantise(usual["x_train"], usual["x_test"])[0].tolist()
    for spot in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[spot] ^= 1 << spot % 8
        (tmp_path / "features.npz").write_bytes(damaged)
        try:
            assert load("cifar10", tmp_path).train_images.tolist() == codes
        except InputError:
            refusals += 1
    assert refusals > 50
    for length in range(0, len(whole), 41):
        (tmp_path / "features.npz").write_bytes(whole[:length])
        assert "features.npz: " in refused(tmp_path)
