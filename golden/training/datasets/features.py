"""Features files: what another network makes of images, as a `.npz`, and its row codes.

A features file holds `x_train` (N, F), `y_train` (N,), `x_test` (M, F), `y_test` (M,), `x` of any
real type; and may hold `scale` (F,), where feature = x x scale, and `metadata`, an object as JSON
text.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from golden.training.datasets import cifar
from golden.training.datasets.dataset import (
    Dataset,
    Uint8Array,
    check_label_range,
    check_no_class_is_empty,
)
from spec.errors import InputError

NAME = "features.npz"
"""The file that is taken where a folder holds several."""

TOP_CODE = 255

CLIPPED_ONE_IN = 100
"""One in so many training values of a column lies above the value of code 255 [assumed]: features
have long tails, which would leave most values a few codes."""

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_LARGEST = 1e100  # of a feature: no difference of two overflows
_COLUMNS_AT_ONCE = 64  # in float64, 50,000 examples: 26 MB


def load(name: str, data_dir: str | Path | None) -> Dataset:
    """The data set `cifar10` or `cifar100` as features: images of 1 x F codes; see `quantise`.

    `data_dir` is a features file, or a folder with `NAME` or with one `.npz` of any name.

    Raises `InputError` if there is none, or it is unreadable or malformed, or a feature is not
    finite.
    """
    if data_dir is None:
        raise InputError(
            f"{name}: give --data-dir, a features file or its folder; crosstile features makes "
            "one of the images"
        )
    path = _find(name, Path(data_dir))
    arrays = _read(name, path)
    labels = {part: _labels(arrays[f"y_{part}"], cifar.CLASSES[name], f"{path}: y_{part}")
              for part in ("train", "test")}  # fmt: skip
    check_no_class_is_empty(labels["train"], cifar.CLASSES[name], f"{path}: y_train")
    _check_shapes(arrays, path)
    train, test = quantise(arrays["x_train"], arrays["x_test"], arrays.get("scale"), str(path))
    return Dataset(
        name=name,
        train_images=train,
        train_labels=labels["train"],
        test_images=test,
        test_labels=labels["test"],
        classes=cifar.CLASSES[name],
        image_shape=(1, train.shape[1]),
    )


def quantise(
    train: NDArray, test: NDArray, scale: NDArray | None = None, where: str = "features"
) -> tuple[Uint8Array, Uint8Array]:
    """Codes 0..255 of features (N, F) and (M, F), times `scale` (F,) if given.

    A column's code is 255 (x - low) / (high - low), rounded half to even and clipped to 0..255;
    low is the median of the training values, half of which become 0: what all examples have in
    common costs every UPDATE pulses and teaches nothing, and left in, it cost both the software and
    the tile accuracy (docs/results.md). High is the training value that one in `CLIPPED_ONE_IN`
    others lie above, or, where that is not above low, the largest. A column without any spread
    above low is 0. Only training values count. In float64, an operation at a time, and by order
    instead of sums: the same bits on every platform.

    A tile of less than 8 pwm_bits takes the upper bits of these codes.

    Raises `InputError`, which begins with `where`, if a value is not finite or beyond 1e100.
    """
    codes = np.empty(train.shape, np.uint8), np.empty(test.shape, np.uint8)
    for first in range(0, train.shape[1], _COLUMNS_AT_ONCE):
        columns = slice(first, first + _COLUMNS_AT_ONCE)
        factor = None if scale is None else scale[columns]
        train_values = _values(train[:, columns], factor)
        test_values = _values(test[:, columns], factor)
        for part, values in (("train", train_values), ("test", test_values)):
            wrong = np.argwhere(~(np.abs(values) <= _LARGEST))
            if len(wrong):
                column, example = wrong[0]
                raise InputError(
                    f"{where}: x_{part} is {values[column, example]} at example {example}, feature "
                    f"{first + column}; make features that are finite and within 1e100"
                )
        low, spread = _range(train_values)
        for out, values in zip(codes, (train_values, test_values), strict=True):
            out[:, columns] = _codes(values, low, spread).T
    return codes


def _values(x: NDArray, factor: NDArray | None) -> NDArray[np.float64]:
    """Features (columns, N): a column lies in one piece, where its order is found fast."""
    with np.errstate(all="ignore"):  # what overflows is refused
        values = x.T.astype(np.float64, order="C")
        return values if factor is None else values * factor.astype(np.float64)[:, None]


def _range(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Low and high - low, each (columns, 1), of training values (columns, N).

    Of an even number the median is the upper of the two in the middle.
    """
    count = values.shape[1]
    middle, rank = count // 2, count - 1 - count // CLIPPED_ONE_IN
    ordered = np.partition(values, (middle, rank), axis=1)
    low, high = ordered[:, middle], ordered[:, rank]
    high = np.where(high > low, high, values.max(axis=1))
    # A column without spread: through infinity, its codes become 0.
    return low[:, None], np.where(high > low, high - low, np.inf)[:, None]


def _codes(
    values: NDArray[np.float64], low: NDArray[np.float64], spread: NDArray[np.float64]
) -> Uint8Array:
    with np.errstate(all="ignore"):  # beyond the range of a tiny spread
        share = np.clip((values - low) / spread, 0, 1)
    return np.rint(share * TOP_CODE).astype(np.uint8)


def _find(name: str, given: Path) -> Path:
    # Not Path.exists, which raises where the folder may not be entered.
    if os.path.isfile(given):
        return given
    if os.path.isfile(given / NAME):
        return given / NAME
    try:
        files = sorted(file for file in os.listdir(given) if file.endswith(".npz"))
    except OSError as error:
        raise InputError(
            f"{given}: cannot be read ({error.strerror or error}); give a features file or its "
            "folder"
        ) from None
    if len(files) == 1:
        return given / files[0]
    if files:
        raise InputError(
            f"{given}: {len(files)} .npz files; leave one, or name the features file {NAME}"
        )
    if cifar.present(given):
        raise InputError(
            f"{given}: holds images, no features; make them with crosstile features --dataset "
            f"{name} --images {given} --model NETWORK.onnx --out {given / NAME}"
        )
    raise InputError(
        f"{given / NAME}: no such file; put a features file there, made with crosstile features "
        f"from the images of {name}"
    )


def _read(name: str, path: Path) -> dict[str, NDArray]:
    """The arrays of a features file, of real types."""
    broken = (ValueError, EOFError, KeyError, RuntimeError, NotImplementedError, SyntaxError,
              zipfile.BadZipFile, zlib.error)  # fmt: skip
    try:
        # Opened here, as NumPy leaves a damaged file open.
        with path.open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise InputError(f"{path}: not a .npz file, or cut short; make it again")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                arrays = {key: file[key] for key in (*_ARRAYS, "scale", "metadata") if key in file}
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except MemoryError:
        raise InputError(f"{path}: too large for this machine's memory; give less") from None
    except broken as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: damaged, or not of plain arrays ({reason}); make it again"
        ) from None
    for key in _ARRAYS:
        if key not in arrays:
            raise InputError(f"{path}: has no {key}; a features file has {', '.join(_ARRAYS)}")
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):  # NumPy gives the bytes of what it does not know
            raise InputError(f"{path}: {key} is damaged, no array; make it again")
    _check_metadata(name, arrays.pop("metadata", None), path)
    for key, array in arrays.items():
        if array.dtype.kind not in "iuf":
            raise InputError(f"{path}: {key} is of type {array.dtype}; give real numbers")
    return arrays


def _check_metadata(name: str, given: NDArray | None, path: Path) -> None:
    """Refuse a file that says it is of another data set."""
    if given is None:
        return
    try:
        metadata = json.loads(str(given[()]))
    except (ValueError, RecursionError):
        metadata = None
    if given.shape or not isinstance(metadata, dict):
        raise InputError(f"{path}: metadata is not an object as JSON text; mend it or leave it out")
    if metadata.get("dataset", name) != name:
        raise InputError(f"{path}: features of {metadata['dataset']}; give those of {name}")


def _labels(given: NDArray, classes: int, where: str) -> Uint8Array:
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise InputError(f"{where} is {given.dtype} {given.shape}; give whole numbers, one a row")
    if given.dtype.kind == "i" and len(given) and given.min() < 0:
        example = int(np.argmax(given < 0))
        raise InputError(
            f"{where}: label {given[example]} at example {example}; labels are 0..{classes - 1}"
        )
    check_label_range(given, classes, where)
    return given.astype(np.uint8)


def _check_shapes(arrays: dict[str, NDArray], path: Path) -> None:
    shapes = {key: array.shape for key, array in arrays.items()}
    for part in ("train", "test"):
        shape, labels = shapes[f"x_{part}"], shapes[f"y_{part}"]
        if len(shape) != 2 or 0 in shape:
            raise InputError(f"{path}: x_{part} has shape {shape}; give (examples, features)")
        if labels != shape[:1]:
            raise InputError(f"{path}: {labels[0]} labels y_{part} for {shape[0]} rows x_{part}")
    inputs = shapes["x_train"][1]
    if shapes["x_test"][1] != inputs:
        raise InputError(
            f"{path}: x_test has {shapes['x_test'][1]} features, but x_train {inputs}; give equal"
        )
    if "scale" in shapes and shapes["scale"] != (inputs,):
        raise InputError(f"{path}: scale has shape {shapes['scale']}; give ({inputs},)")
