"""The official files of CIFAR-10 and CIFAR-100, binary and Python, read into images.

Source: Krizhevsky 2009; the formats are those of www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

import io
import math
import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from golden.training.datasets.dataset import Uint8Array, check_label_range
from spec.errors import InputError

CLASSES = {"cifar10": 10, "cifar100": 100}
"""Data set -> its classes."""

SHAPE = (3, 32, 32)
"""Of an image: red, green, blue; rows; columns."""

FILES = {
    "cifar10": (tuple(f"data_batch_{number}" for number in range(1, 6)), ("test_batch",)),
    "cifar100": (("train",), ("test",)),
}
"""Data set -> names of training and test files; those of the binary format end in .bin."""

_PIXELS = math.prod(SHAPE)
_ARCHIVES = {"cifar10": "cifar-10", "cifar100": "cifar-100"}
_LABEL_BYTES = {"cifar10": 1, "cifar100": 2}
"""Of a binary record; the last is the label, CIFAR-100's first is its coarse one."""
_LABEL_KEYS = {"cifar10": "labels", "cifar100": "fine_labels"}
_LIMIT_BYTES = 1 << 30  # five times the largest file of these sets


@dataclass(frozen=True)
class Images:
    """Images uint8 (N, 3, 32, 32) and labels uint8 (N,), for training and for testing."""

    train_images: Uint8Array
    train_labels: Uint8Array
    test_images: Uint8Array
    test_labels: Uint8Array


def present(directory: Path) -> bool:
    """Whether any of the official files is there, of either set and format."""
    names = [name for parts in FILES.values() for part in parts for name in part]
    return any(os.path.isfile(directory / f"{name}{end}") for name in names for end in ("", ".bin"))


def read(name: str, directory: Path) -> Images:
    """Read the images of `cifar10` or `cifar100`; the binary format is taken if both are there.

    Raises `InputError` if a file is missing, unreadable, empty, short, long or malformed, or holds
    a label that is not of the set.
    """
    first = FILES[name][0][0]
    # Not Path.exists, which raises where the folder may not be entered.
    if not os.path.isdir(directory):
        raise InputError(f"{directory}: not a folder; give the one with the files of {name}")
    if os.path.exists(directory / f"{first}.bin"):
        end, reader = ".bin", _read_binary
    elif os.path.exists(directory / first):
        end, reader = "", _read_python
    else:
        archive = _ARCHIVES[name]
        raise InputError(
            f"{directory / first}.bin: no such file, nor without .bin; fetch "
            f"{archive}-binary.tar.gz or {archive}-python.tar.gz from www.cs.toronto.edu/~kriz "
            "and put its files there"
        )
    parts = []
    for files in FILES[name]:
        found = [_checked(reader, name, directory / f"{file}{end}") for file in files]
        images, labels = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        parts += [images.reshape(-1, *SHAPE), labels]
    return Images(*parts)


_Reader = Callable[[str, Path, bytes], tuple[Uint8Array, Uint8Array]]


def _checked(reader: _Reader, name: str, path: Path) -> tuple[Uint8Array, Uint8Array]:
    """Pixels (N, 3072) and labels (N,) of a file."""
    try:
        size = path.stat().st_size
        if size > _LIMIT_BYTES:
            raise InputError(f"{path}: {size} bytes, no file of {name} is so long; fetch it again")
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; put it there or give another folder") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    images, labels = reader(name, path, content)
    check_label_range(labels, CLASSES[name], str(path))
    return images, labels


def _read_binary(name: str, path: Path, content: bytes) -> tuple[Uint8Array, Uint8Array]:
    heads = _LABEL_BYTES[name]
    record = heads + _PIXELS
    if not content or len(content) % record:
        raise InputError(
            f"{path}: {len(content)} bytes, not a whole number of {name}'s records of {record}; "
            "fetch the file again"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, record)
    return records[:, heads:], records[:, heads - 1]


def _read_python(name: str, path: Path, content: bytes) -> tuple[Uint8Array, Uint8Array]:
    try:
        found = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged pickle raises anything at all
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: not a pickle of {name} ({reason}); fetch it again") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: a pickle of something else than {name}; fetch it again")
    fields = {_text(key): value for key, value in found.items()}
    label_key = _LABEL_KEYS[name]
    for key in ("data", label_key):
        if key not in fields:
            raise InputError(f"{path}: has no {key}; it is not a file of {name}")
    images, labels = _plain(fields["data"]), _plain(fields[label_key])
    if images is None or images.dtype != np.uint8 or images.shape[1:] != (_PIXELS,):
        raise InputError(f"{path}: data is not uint8 (N, {_PIXELS}); fetch the file again")
    if labels is None or labels.shape != images.shape[:1] or not len(labels):
        raise InputError(
            f"{path}: {label_key} is not one whole number for each of {len(images)} images; "
            "fetch the file again"
        )
    # Before they are made bytes, which 256 does not fit.
    return images, np.where((labels < 0) | (labels > 255), 255, labels).astype(np.uint8)


def _text(key: Any) -> Any:
    return key.decode("latin-1") if isinstance(key, bytes) else key


def _plain(value: Any) -> np.ndarray | None:
    """The array that a pickle described, or a list of whole numbers as one; None: neither."""
    if isinstance(value, _PickledArray):
        return value.array()
    if isinstance(value, list) and all(type(number) is int for number in value):
        # Object, so that no number is too large.
        return np.array(value, object)
    return None


class _Unpickler(pickle.Unpickler):
    """Loads plain values, and arrays as a description: a pickle can call nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {
            ("numpy", "ndarray"): _PickledArray,
            ("numpy", "dtype"): _PickledType,
            ("numpy.core.multiarray", "_reconstruct"): _blank_array,
            ("numpy._core.multiarray", "_reconstruct"): _blank_array,
            ("numpy.core.numeric", "_frombuffer"): _array_from_buffer,
            ("numpy._core.numeric", "_frombuffer"): _array_from_buffer,
            ("_codecs", "encode"): _encode,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no such file needs")
        return known[module, name]


class _PickledType:
    """What a pickle says of an array's type."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        self.code, self.order = code, "|"

    def __setstate__(self, state: Sequence[Any]) -> None:
        self.order = state[1]


class _PickledArray:
    """What a pickle says of an array: NumPy itself sees it only after the checks of `array`."""

    state: Sequence[Any] = ()

    def __setstate__(self, state: Sequence[Any]) -> None:
        self.state = state

    def array(self) -> np.ndarray | None:
        """The array, if it is one of whole numbers and its shape and its bytes agree."""
        match self.state:
            case (_, tuple(shape), _PickledType(code=code, order=order), by_columns, bytes(raw)):
                letters = f"{_text(order)}{_text(code)}"
            case _:
                return None
        wholes = [f"{sign}{size}" for sign in "iu" for size in (1, 2, 4, 8)]
        if letters[:1] not in "<>|=" or letters[1:] not in wholes:
            return None
        kind = np.dtype(letters)
        if not all(type(size) is int and size >= 0 for size in shape):
            return None
        if len(raw) != math.prod(shape) * kind.itemsize:
            return None
        return np.frombuffer(raw, kind).reshape(shape, order="F" if by_columns else "C")


def _blank_array(*_: Any) -> _PickledArray:
    return _PickledArray()


def _array_from_buffer(raw: Any, kind: Any, shape: Any, order: Any) -> _PickledArray:
    array = _PickledArray()
    if isinstance(raw, bytes | bytearray):  # bytes(number) would make so many
        array.state = (1, shape, kind, order in ("F", b"F"), bytes(raw))
    return array


def _encode(text: str, _encoding: Any = "latin1") -> bytes:
    """How protocol 2 spells bytes; no other codec is reached."""
    return text.encode("latin-1")
