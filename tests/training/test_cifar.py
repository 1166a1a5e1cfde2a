"""CIFAR's official files: what is read, and one clear line for each way they can be wrong."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.training.datasets import cifar
from spec.errors import InputError

ROWS = 4
"""Images of each file here."""


def pixels(file: int) -> np.ndarray:
    return np.random.default_rng(file).integers(0, 256, (ROWS, 3072), dtype=np.uint8)


def labels(name: str, file: int) -> np.ndarray:
    return (np.arange(ROWS, dtype=np.uint8) * 7 + file) % cifar.CLASSES[name]


def all_files(name: str) -> list[str]:
    train, test = cifar.FILES[name]
    return [*train, *test]


def binary(name: str, file: int) -> bytes:
    heads = [labels(name, file)[:, None]]
    if name == "cifar100":
        heads.insert(0, np.full((ROWS, 1), 19, np.uint8))  # the coarse label
    return np.hstack([*heads, pixels(file)]).tobytes()


def content(name: str, file: int, **changes: Any) -> dict[Any, Any]:
    key = b"labels" if name == "cifar10" else b"fine_labels"
    fields = {
        b"batch_label": b"training batch", b"data": pixels(file),
        key: labels(name, file).tolist(), b"filenames": [b"a.png"] * ROWS,
        b"coarse_labels": [19] * ROWS,
    }  # fmt: skip
    return fields | {key if name == "labels" else name.encode(): v for name, v in changes.items()}


def write_binary(name: str, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for number, file in enumerate(all_files(name)):
        (folder / f"{file}.bin").write_bytes(binary(name, number))
    return folder


def write_python(name: str, folder: Path, protocol: int = 2) -> Path:
    folder.mkdir(exist_ok=True)
    for number, file in enumerate(all_files(name)):
        (folder / file).write_bytes(pickle.dumps(content(name, number), protocol))
    return folder


def message(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def check(name: str, found: cifar.Images) -> None:
    last = len(all_files(name)) - 1
    train = np.concatenate([pixels(file) for file in range(last)])
    assert found.train_images.tolist() == train.reshape(-1, 3, 32, 32).tolist()
    assert found.test_images.tolist() == pixels(last).reshape(-1, 3, 32, 32).tolist()
    wanted = np.concatenate([labels(name, file) for file in range(last)])
    assert found.train_labels.tolist() == wanted.tolist()
    assert found.test_labels.tolist() == labels(name, last).tolist()
    for array in vars(found).values():
        assert array.dtype == np.uint8


@pytest.mark.parametrize("name", cifar.CLASSES)
def test_the_binary_format(tmp_path, name):
    check(name, cifar.read(name, write_binary(name, tmp_path)))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", cifar.CLASSES)
def test_the_python_format(tmp_path, name, protocol):
    check(name, cifar.read(name, write_python(name, tmp_path, protocol)))


def python2(name: str, file: int) -> bytes:
    """The opcodes of the official files, by Python 2: its strings, and NumPy's old module."""
    raw, many = pixels(file).tobytes(), labels(name, file).tolist()

    def string(text: bytes) -> bytes:
        return b"U" + bytes([len(text)]) + text

    dtype = (
        b"cnumpy\ndtype\n"
        + string(b"u1")
        + b"K\0K\1\x87R"
        + (b"(K\3" + string(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb")
    )
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + string(b"b") + b"\x87R"
        b"(K\1K" + bytes([ROWS]) + b"M\0\x0c\x86" + dtype + b"\x89"
        b"T" + len(raw).to_bytes(4, "little") + raw + b"tb"
    )
    key = b"labels" if name == "cifar10" else b"fine_labels"
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in many) + b"e"
    return b"\x80\2}(" + string(b"data") + array + string(key) + listed + b"u."


@pytest.mark.parametrize("name", cifar.CLASSES)
def test_the_python_format_as_python_2_wrote_it(tmp_path, name):
    for number, file in enumerate(all_files(name)):
        (tmp_path / file).write_bytes(python2(name, number))
    check(name, cifar.read(name, tmp_path))


def test_arrays_for_labels_text_for_keys_and_columns_first_are_read_too(tmp_path):
    for number, file in enumerate(all_files("cifar100")):
        fields = {
            "data": np.asfortranarray(pixels(number)),
            "fine_labels": labels("cifar100", number).astype(">i4"),
        }
        (tmp_path / file).write_bytes(pickle.dumps(fields))
    check("cifar100", cifar.read("cifar100", tmp_path))


@pytest.mark.parametrize("name", cifar.CLASSES)
@pytest.mark.parametrize("write", [write_binary, write_python])
def test_a_missing_file_is_named(tmp_path, name, write):
    write(name, tmp_path)
    missing = sorted(tmp_path.iterdir())[-1]
    missing.unlink()
    text = message(lambda: cifar.read(name, tmp_path))
    assert str(missing) in text
    assert "no such file" in text


def test_no_file_at_all_says_what_to_fetch(tmp_path):
    text = message(lambda: cifar.read("cifar100", tmp_path))
    assert "cifar-100-binary.tar.gz" in text
    assert str(tmp_path) in text
    assert "not a folder" in message(lambda: cifar.read("cifar10", tmp_path / "absent"))
    assert "not a folder" in message(lambda: cifar.read("cifar10", tmp_path / ("x" * 300)))


@pytest.mark.parametrize("change", [lambda b: b"", lambda b: b[:-1], lambda b: b + b"\0"])
@pytest.mark.parametrize("name", cifar.CLASSES)
def test_a_binary_file_of_another_length(tmp_path, name, change):
    path = write_binary(name, tmp_path) / f"{all_files(name)[0]}.bin"
    path.write_bytes(change(path.read_bytes()))
    text = message(lambda: cifar.read(name, tmp_path))
    assert str(path) in text
    assert "not a whole number of" in text


def test_a_huge_file_is_not_read(tmp_path):
    path = write_binary("cifar10", tmp_path) / "test_batch.bin"
    os.truncate(path, 1 << 40)  # a hole, on any disk
    assert f"{path}: 1099511627776 bytes" in message(lambda: cifar.read("cifar10", tmp_path))


def test_a_folder_for_a_file(tmp_path):
    path = write_binary("cifar10", tmp_path) / "data_batch_3.bin"
    path.unlink()
    path.mkdir()
    assert f"{path}: cannot be read" in message(lambda: cifar.read("cifar10", tmp_path))


def test_a_label_of_another_set(tmp_path):
    path = write_binary("cifar10", tmp_path) / "data_batch_2.bin"
    whole = bytearray(path.read_bytes())
    whole[2 * 3073] = 10
    path.write_bytes(whole)
    text = message(lambda: cifar.read("cifar10", tmp_path))
    assert f"{path}: label 10 at example 2, but there are 10 classes" in text


WRONG = [
    ({"data": pixels(0)[:, :-1]}, "data is not uint8 (N, 3072)"),
    ({"data": pixels(0).astype(np.int16)}, "data is not uint8"),
    ({"data": pixels(0).astype(object)}, "data is not uint8"),
    ({"data": pixels(0).ravel()}, "data is not uint8"),
    ({"data": np.zeros((0, 3072), np.uint8), "labels": []}, "labels is not one whole number"),
    ({"data": [1, 2]}, "data is not uint8"),
    ({"data": b"bytes"}, "data is not uint8"),
    ({"labels": [1, 2, 3]}, "labels is not one whole number for each of 4 images"),
    ({"labels": [1, 2, 3, 4, 5]}, "labels is not one"),
    ({"labels": [1, 2, 3, "four"]}, "labels is not one"),
    ({"labels": np.array([1.0, 2, 3, 4])}, "labels is not one"),
    ({"labels": [1, 2, 3, 10]}, "label 10 at example 3"),
    ({"labels": [1, 2, -1, 256]}, "label 255 at example 2"),
    ({"labels": [1 << 80, 2, 3, 4]}, "label 255 at example 0"),
]


@pytest.mark.parametrize(("changes", "reason"), WRONG)
def test_a_pickle_of_other_content(tmp_path, changes, reason):
    path = write_python("cifar10", tmp_path) / "data_batch_4"
    path.write_bytes(pickle.dumps(content("cifar10", 3, **changes)))
    text = message(lambda: cifar.read("cifar10", tmp_path))
    assert str(path) in text
    assert reason in text


@pytest.mark.parametrize("missing", ["data", "fine_labels"])
def test_a_pickle_without_a_field(tmp_path, missing):
    path = write_python("cifar100", tmp_path) / "test"
    fields = content("cifar100", 1)
    del fields[missing.encode()]
    path.write_bytes(pickle.dumps(fields))
    assert f"{path}: has no {missing}" in message(lambda: cifar.read("cifar100", tmp_path))


@pytest.mark.parametrize("data", [b"", b"garbage", pickle.dumps(content("cifar10", 0))[:-40]])
def test_a_pickle_cut_short(tmp_path, data):
    path = write_python("cifar10", tmp_path) / "test_batch"
    path.write_bytes(data)
    assert f"{path}: not a pickle of cifar10" in message(lambda: cifar.read("cifar10", tmp_path))


def test_a_pickle_of_something_else(tmp_path):
    path = write_python("cifar10", tmp_path) / "test_batch"
    path.write_bytes(pickle.dumps([1, 2]))
    assert f"{path}: a pickle of something else" in message(lambda: cifar.read("cifar10", tmp_path))


class Shell:
    """A pickle of it runs a command where it is loaded by the usual means."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.file}",)


def test_a_pickle_that_would_run_a_command_runs_nothing(tmp_path):
    path = write_python("cifar10", tmp_path) / "test_batch"
    path.write_bytes(pickle.dumps(content("cifar10", 5) | {b"more": Shell(tmp_path / "ran")}))
    text = message(lambda: cifar.read("cifar10", tmp_path))
    assert "system, which no such file needs" in text
    assert not (tmp_path / "ran").exists()


def test_a_pickle_that_promises_an_array_too_large_costs_no_memory(tmp_path):
    path = write_python("cifar10", tmp_path) / "test_batch"
    stream = io.BytesIO()
    # The size of the array in place of its bytes: 2^40.
    stream.write(b"\x80\x04}(C\x04datacnumpy._core.numeric\n_frombuffer\n(\x8a\x06\0\0\0\0\0\x01")
    stream.write(b"cnumpy\ndtype\n\x8c\x02u1\x85RK\1\x85\x8c\x01CtRC\x06labels]u.")
    path.write_bytes(stream.getvalue())
    tracemalloc.start()
    try:
        text = message(lambda: cifar.read("cifar10", tmp_path))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "data is not uint8" in text
    assert peak_bytes < 8 << 20


@pytest.mark.parametrize("seed", range(200))
def test_a_damaged_pickle_is_an_error_or_images(tmp_path, seed):
    rng = np.random.default_rng(seed)
    whole = bytearray(pickle.dumps(content("cifar100", 0), seed % 4 + 2))
    # Where the pickle speaks, beside the pixels.
    spots = [spot for spot in range(len(whole)) if spot < 250 or spot > len(whole) - 200]
    for spot in rng.choice(spots, 3):
        whole[spot] = rng.integers(256)
    write_python("cifar100", tmp_path)
    (tmp_path / "train").write_bytes(whole)
    with contextlib.suppress(InputError):
        assert cifar.read("cifar100", tmp_path).train_images.shape[1:] == cifar.SHAPE
