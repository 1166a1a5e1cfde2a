"""Data sets: what is in them, and one clear line for each way a file can be wrong."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golden.training import datasets
from golden.training.datasets import (
    FILES,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Dataset,
    add_random_background,
    crop,
    hold_out,
    load,
    read_idx,
)
from golden.training.datasets import mnist as mnist_files
from spec.errors import InputError

PACKAGED = Path(datasets.__file__).parents[1] / "data" / "mnist"

MNIST_MD5 = {
    TRAIN_IMAGES: "6bbc9ace898e44ae57da46a324031adb",
    TRAIN_LABELS: "a25bea736e30d166cdddb491f175f624",
    TEST_IMAGES: "2646ac647ad5339dbf082846283269ea",
    TEST_LABELS: "27ae3e4e09519cfbb04c329615203637",
}
MNIST_TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def idx(array: np.ndarray, type_code: int = 0x08) -> bytes:
    """The bytes of an IDX file, written here again so that the reader has an oracle."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, type_code, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def images(count: int, rows: int = 5, columns: int = 4) -> np.ndarray:
    pixels = np.arange(count * rows * columns, dtype=np.uint64) * 37 % 256
    return pixels.astype(np.uint8).reshape(count, rows, columns)


def labels(count: int, classes: int = 3) -> np.ndarray:
    return (np.arange(count) % classes).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A valid IDX directory, plain files: 12 training and 6 test images of 5 x 4, 3 classes."""
    for file, array in (
        (TRAIN_IMAGES, images(12)),
        (TRAIN_LABELS, labels(12)),
        (TEST_IMAGES, images(6)),
        (TEST_LABELS, labels(6)),
    ):
        (tmp_path / file).write_bytes(idx(array))
    return tmp_path


@pytest.fixture(scope="module")
def mnist() -> Dataset:
    return load("mnist")


@pytest.fixture(scope="module")
def backrand() -> Dataset:
    return load("mnist-backrand")


def message(call: Callable[[], object]) -> str:
    """The text of the InputError that the call must raise: one line, not empty."""
    with pytest.raises(InputError) as caught:
        call()
    text = str(caught.value)
    assert text
    assert "\n" not in text
    return text


def outcome(path: Path, dimensions: int) -> np.ndarray | str:
    """What the reader gives: an array, or the text of its InputError."""
    try:
        return read_idx(path, dimensions)
    except InputError as error:
        return str(error)


def sha256(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()


# What is in them


def test_package_holds_the_official_mnist_files() -> None:
    assert {
        file: hashlib.md5(gzip.decompress((PACKAGED / f"{file}.gz").read_bytes())).hexdigest()
        for file in FILES
    } == MNIST_MD5


def test_licence_note_stands_beside_mnist() -> None:
    note = (PACKAGED / "LICENCE.md").read_text()
    assert "CC BY-SA 3.0" in note
    assert all(digest in note for digest in MNIST_MD5.values())


def test_mnist(mnist: Dataset) -> None:
    assert mnist.name == "mnist"
    assert mnist.classes == 10
    assert mnist.image_shape == (24, 22)
    assert mnist.inputs == 528
    assert mnist.train_images.shape == (60000, 528)
    assert mnist.test_images.shape == (10000, 528)
    assert np.bincount(mnist.train_labels).tolist() == MNIST_TRAIN_COUNTS
    assert np.bincount(mnist.test_labels).tolist() == MNIST_TEST_COUNTS


def test_mnist_is_cropped_to_rows_2_to_25_and_columns_3_to_24(mnist: Dataset) -> None:
    raw = gzip.decompress((PACKAGED / f"{TEST_IMAGES}.gz").read_bytes())[16:]
    whole = np.frombuffer(raw, np.uint8).reshape(-1, 28, 28)
    expected = [[row[3:25] for row in image[2:26]] for image in whole[:50].tolist()]
    assert mnist.test_images[:50].reshape(50, 24, 22).tolist() == expected


def test_arrays_are_contiguous_and_cannot_be_written(mnist: Dataset) -> None:
    for array in (mnist.train_images, mnist.train_labels, mnist.test_images, mnist.test_labels):
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_backrand_is_the_same_data_set_everywhere(backrand: Dataset) -> None:
    assert sha256(backrand.train_images, backrand.test_images) == (
        "56409f1a10978da09b3716a90da78f7ad4109b867b8ae7a65fed117c5dccfd26"
    )


def test_backrand_keeps_digits_and_labels(mnist: Dataset, backrand: Dataset) -> None:
    assert backrand.name == "mnist-backrand"
    assert backrand.image_shape == mnist.image_shape
    assert backrand.train_labels.tolist() == mnist.train_labels.tolist()
    assert backrand.test_labels.tolist() == mnist.test_labels.tolist()
    assert (backrand.test_images >= mnist.test_images).all()
    assert (backrand.test_images[mnist.test_images == 255] == 255).all()


def test_backrand_background_is_uniform(mnist: Dataset, backrand: Dataset) -> None:
    # Fixed seed: 5.28 M pixels less the digits, 256 bins; five standard errors of each bin.
    background = backrand.test_images[mnist.test_images == 0]
    counts = np.bincount(background, minlength=256)
    expected = len(background) / 256
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)
    # No structure from image to image: neighbours in time are uncorrelated.
    a = backrand.train_images[:-1, 0].astype(float)
    b = backrand.train_images[1:, 0].astype(float)
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(len(a))


def test_background_bytes_are_the_words_of_pcg64_from_the_lowest_byte_up() -> None:
    train, test = add_random_background(
        np.zeros((1, 3, 3), np.uint8), np.zeros((2, 1, 2), np.uint8)
    )
    words = np.random.PCG64(datasets.BACKRAND_SEED).random_raw(2)
    stream = b"".join(int(word).to_bytes(8, "little") for word in words)
    assert (train.tobytes(), test.tobytes()) == (stream[:9], stream[9:13])


def test_background_leaves_its_arguments_alone() -> None:
    train, test = images(3), images(2)
    add_random_background(train, test)
    assert train.tolist() == images(3).tolist()
    assert test.tolist() == images(2).tolist()


def test_crop_takes_its_named_rows_and_columns() -> None:
    whole = images(2, 28, 28)
    assert crop(whole).tolist() == whole[:, 2:26, 3:25].tolist()


def test_any_idx_directory(folder: Path) -> None:
    dataset = load("mnist", folder)
    assert dataset.classes == 3  # the largest label + 1
    assert dataset.image_shape == (5, 4)  # only 28 x 28 is cropped
    assert dataset.train_images.tolist() == images(12).reshape(12, 20).tolist()
    assert dataset.train_labels.tolist() == labels(12).tolist()
    assert dataset.test_images.tolist() == images(6).reshape(6, 20).tolist()
    assert dataset.test_labels.tolist() == labels(6).tolist()


def test_gzip_and_plain_files_are_the_same(folder: Path) -> None:
    plain = load("mnist", str(folder))
    for file in FILES:
        (folder / f"{file}.gz").write_bytes(gzip.compress((folder / file).read_bytes()))
        (folder / file).unlink()
    zipped = load("mnist", folder)
    assert zipped.train_images.tolist() == plain.train_images.tolist()
    assert zipped.test_labels.tolist() == plain.test_labels.tolist()


def test_mnist_from_a_folder_is_the_packaged_mnist(mnist: Dataset) -> None:
    assert load("mnist", PACKAGED).test_images.tobytes() == mnist.test_images.tobytes()


def test_backrand_takes_any_idx_directory(folder: Path) -> None:
    dataset = load("mnist-backrand", folder)
    train, _ = add_random_background(images(12), images(6))
    assert dataset.train_images.tolist() == train.reshape(12, 20).tolist()


# Fashion-MNIST


def make_fashion_mnist(folder: Path) -> None:
    folder.mkdir()
    for part, count in (("train", 20), ("t10k", 10)):
        pixels, classes = images(count, 28, 28), labels(count, 10)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pixels)))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(classes)))


def test_fashion_mnist_from_a_folder(tmp_path: Path) -> None:
    make_fashion_mnist(tmp_path / "fashion")
    dataset = load("fashion-mnist", tmp_path / "fashion")
    assert (dataset.name, dataset.classes, dataset.inputs) == ("fashion-mnist", 10, 528)


def test_fashion_mnist_from_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_fashion_mnist(tmp_path / "debian")
    monkeypatch.setattr(mnist_files, "_DEBIAN_FASHION_MNIST", tmp_path / "debian")
    assert load("fashion-mnist").train_images.shape == (20, 528)


def test_fashion_mnist_absent_says_what_to_fetch_and_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist_files, "_DEBIAN_FASHION_MNIST", tmp_path / "absent")
    text = message(lambda: load("fashion-mnist"))
    assert "dataset-fashion-mnist" in text
    assert "--data-dir" in text
    assert all(f"{file}.gz" in text for file in FILES)


def test_fashion_mnist_has_ten_classes_whatever_its_labels(tmp_path: Path) -> None:
    make_fashion_mnist(tmp_path / "fashion")
    wrong = labels(20, 10)
    wrong[7] = 10
    path = tmp_path / "fashion" / f"{TRAIN_LABELS}.gz"
    path.write_bytes(gzip.compress(idx(wrong)))
    assert "label 10 at example 7, but there are 10 classes" in message(
        lambda: load("fashion-mnist", tmp_path / "fashion")
    )


# Hold out


def test_hold_out_moves_the_last_training_examples_to_the_test_set(mnist: Dataset) -> None:
    held = hold_out(mnist)
    assert held.train_images.tobytes() == mnist.train_images[:55000].tobytes()
    assert held.train_labels.tobytes() == mnist.train_labels[:55000].tobytes()
    assert held.test_images.tobytes() == mnist.train_images[55000:].tobytes()
    assert held.test_labels.tobytes() == mnist.train_labels[55000:].tobytes()
    assert (held.classes, held.image_shape) == (10, (24, 22))
    assert held.name != mnist.name  # a result on held-out examples cannot pass for a test result


@pytest.mark.parametrize("count", [-1, 0, 12, 13])
def test_hold_out_needs_some_on_both_sides(folder: Path, count: int) -> None:
    dataset = load("mnist", folder)
    assert "give 1..11" in message(lambda: hold_out(dataset, count))


def test_hold_out_may_not_empty_a_class(folder: Path) -> None:
    dataset = load("mnist", folder)
    assert hold_out(dataset, 9).train_labels.tolist() == [0, 1, 2]
    assert "empty class, no training example of 2" in message(lambda: hold_out(dataset, 10))


# Malformed input: each says which file, what is wrong, and what to change


def test_unknown_name_lists_the_known_ones() -> None:
    text = message(lambda: load("mnits"))
    assert "'mnits'" in text
    assert "mnist, mnist-backrand, fashion-mnist" in text


@pytest.mark.parametrize("file", FILES)
def test_missing_file(folder: Path, file: str) -> None:
    (folder / file).unlink()
    text = message(lambda: load("mnist", folder))
    assert str(folder / file) in text
    assert "no such file" in text


def test_missing_folder(tmp_path: Path) -> None:
    assert "not a folder" in message(lambda: load("mnist", tmp_path / "absent"))


def test_folder_whose_name_the_system_refuses(tmp_path: Path) -> None:
    assert "cannot be read" in message(lambda: load("mnist", tmp_path / ("x" * 300)))


def test_file_in_place_of_a_folder(folder: Path) -> None:
    assert "not a folder" in message(lambda: load("mnist", folder / TRAIN_IMAGES))


@pytest.mark.parametrize("file", FILES)
def test_folder_in_place_of_a_file(folder: Path, file: str) -> None:
    (folder / file).unlink()
    (folder / file).mkdir()
    text = message(lambda: load("mnist", folder))
    assert str(folder / file) in text
    assert "cannot be read" in text


def test_read_idx_of_a_missing_file(tmp_path: Path) -> None:
    assert "no such file" in message(lambda: read_idx(tmp_path / "absent", 1))


@pytest.mark.parametrize(("a", "b"), [(TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS)])
def test_swapped_images_and_labels(folder: Path, a: str, b: str) -> None:
    (folder / a).rename(folder / "aside")
    (folder / b).rename(folder / a)
    (folder / "aside").rename(folder / b)
    text = message(lambda: load("mnist", folder))
    assert str(folder / a) in text
    assert "it holds labels: exchange the two files" in text


def test_images_in_place_of_labels(folder: Path) -> None:
    shutil.copy(folder / TRAIN_IMAGES, folder / TRAIN_LABELS)
    assert "it holds images: exchange" in message(lambda: load("mnist", folder))


def test_labels_of_the_other_part(folder: Path) -> None:
    shutil.copy(folder / TEST_LABELS, folder / TRAIN_LABELS)
    text = message(lambda: load("mnist", folder))
    assert "6 labels for 12 images" in text
    assert TRAIN_LABELS in text


@pytest.mark.parametrize("test_shape", [(4, 5), (5, 5), (28, 28)])
def test_training_and_test_images_of_different_sizes(folder: Path, test_shape: tuple) -> None:
    (folder / TEST_IMAGES).write_bytes(idx(images(6, *test_shape)))
    assert "but the training images are 5 x 4" in message(lambda: load("mnist", folder))


def test_test_label_of_an_unknown_class(folder: Path) -> None:
    (folder / TEST_LABELS).write_bytes(idx(np.array([0, 1, 2, 0, 3, 1])))
    text = message(lambda: load("mnist", folder))
    assert str(folder / TEST_LABELS) in text
    assert "label 3 at example 4, but there are 3 classes" in text


def test_empty_class(folder: Path) -> None:
    (folder / TRAIN_LABELS).write_bytes(idx(labels(12, 3) * 2))
    text = message(lambda: load("mnist", folder))
    assert str(folder / TRAIN_LABELS) in text
    assert "empty class, no training example of 1, 3 in 0..4" in text


@pytest.mark.parametrize("type_code", [0x00, 0x09, 0x0B, 0x0C, 0x0D, 0x0E, 0xFF])
def test_type_code(folder: Path, type_code: int) -> None:
    (folder / TRAIN_IMAGES).write_bytes(idx(images(12), type_code))
    assert f"type code 0x{type_code:02x}" in message(lambda: load("mnist", folder))


@pytest.mark.parametrize("dimensions", [0, 2, 4, 255])
def test_number_of_dimensions(folder: Path, dimensions: int) -> None:
    (folder / TRAIN_IMAGES).write_bytes(bytes([0, 0, 8, dimensions]) + bytes(100))
    text = message(lambda: load("mnist", folder))
    assert f"{dimensions} dimensions where images have 3" in text


@pytest.mark.parametrize("start", [b"\0\1\x08\3", b"\1\0\x08\3", b"<htm", b"\x89PNG"])
def test_magic(folder: Path, start: bytes) -> None:
    (folder / TRAIN_IMAGES).write_bytes(start + bytes(100))
    assert "not an IDX file" in message(lambda: load("mnist", folder))


def test_gzip_without_its_suffix(folder: Path) -> None:
    (folder / TRAIN_IMAGES).write_bytes(gzip.compress(idx(images(12))))
    assert "add .gz to its name" in message(lambda: load("mnist", folder))


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 15, 16, 17, 255])
def test_truncated(tmp_path: Path, length: int, zipped: bool) -> None:
    whole = idx(images(12))
    assert len(whole) == 256
    path = tmp_path / ("images.gz" if zipped else "images")
    path.write_bytes(gzip.compress(whole[:length]) if zipped else whole[:length])
    text = message(lambda: read_idx(path, 3))
    assert str(path) in text
    assert ("cut short inside the IDX header" if length < 16 else "cut short, ") in text


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("trailing", [b"\0", b"\n", bytes(5000)])
def test_trailing_bytes(tmp_path: Path, trailing: bytes, zipped: bool) -> None:
    whole = idx(images(12)) + trailing
    path = tmp_path / ("images.gz" if zipped else "images")
    path.write_bytes(gzip.compress(whole) if zipped else whole)
    assert "bytes trail the 240" in message(lambda: read_idx(path, 3))


@pytest.mark.parametrize("shape", [(0, 5, 4), (3, 0, 4), (3, 5, 0)])
def test_no_images(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "images"
    path.write_bytes(idx(np.zeros(shape)))
    assert "holds no images" in message(lambda: read_idx(path, 3))


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF), "more than the limit"),
        ((0x80000000, 1, 1), "cut short"),  # the limit itself: 2 GiB
        ((0x80000001, 1, 1), "more than the limit"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_header_that_promises_too_much_costs_no_memory(
    tmp_path: Path, shape: tuple[int, ...], reason: str, zipped: bool
) -> None:
    data = struct.pack(">BBBB3I", 0, 0, 8, 3, *shape) + bytes(1000)
    path = tmp_path / ("images.gz" if zipped else "images")
    path.write_bytes(gzip.compress(data) if zipped else data)
    tracemalloc.start()
    try:
        text = message(lambda: read_idx(path, 3))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reason in text
    assert peak_bytes < 8 << 20


def test_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    # 64 MB of zeros in 64 kB, behind a header that promises 240 bytes.
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(images(12)) + bytes(64 << 20), 1))
    tracemalloc.start()
    try:
        text = message(lambda: read_idx(path, 3))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "bytes trail" in text
    assert peak_bytes < 8 << 20


def test_not_gzip_at_all(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(idx(images(12)))
    assert "broken gzip data" in message(lambda: read_idx(path, 3))


def test_gzip_with_garbage_after_it(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(images(12))) + b"garbage")
    assert "broken gzip data" in message(lambda: read_idx(path, 3))


def test_truncated_gzip_at_every_length(tmp_path: Path) -> None:
    path = tmp_path / "labels.gz"
    whole = gzip.compress(idx(labels(12)))
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        text = message(lambda: read_idx(path, 1))
        assert "broken gzip data" in text or (length == 0 and "cut short" in text)


def test_a_flipped_bit_in_gzip_data_never_changes_a_pixel(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    whole = gzip.compress(idx(images(12)), mtime=0)
    refused = 0
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        read = outcome(path, 3)
        if isinstance(read, str):
            refused += 1
        else:  # a bit that says nothing of the data: the time, the system, padding
            assert read.tolist() == images(12).tolist()
    assert refused > 8 * (len(whole) - 18)  # all that is compressed data, and more


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=64), st.sampled_from([1, 3]), st.sampled_from(["f", "f.gz"]))
def test_any_bytes_give_an_array_or_an_input_error(
    tmp_path: Path, data: bytes, dimensions: int, name: str
) -> None:
    (tmp_path / name).write_bytes(data)
    read = outcome(tmp_path / name, dimensions)
    if isinstance(read, str):
        assert "\n" not in read
    else:
        assert read.ndim == dimensions
        if name == "f":
            assert idx(read) == data


@given(st.lists(st.integers(1, 6), min_size=3, max_size=3), st.integers(0, 2**32 - 1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_read_idx_gives_back_what_was_written(tmp_path: Path, shape: list[int], seed: int) -> None:
    array = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / "images"
    path.write_bytes(idx(array))
    assert read_idx(path, 3).tolist() == array.tolist()


# A Dataset built by hand is checked too


def make_dataset(**changes: Any) -> Dataset:
    fields: dict[str, Any] = {
        "name": "mine",
        "train_images": images(6).reshape(6, 20),
        "train_labels": labels(6),
        "test_images": images(3).reshape(3, 20),
        "test_labels": labels(3),
        "classes": 3,
        "image_shape": (5, 4),
    }
    return Dataset(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"train_images": images(6)}, "train_images has shape"),
        ({"train_images": images(6, 20, 1)}, "train_images has shape"),
        ({"test_images": images(3).reshape(6, 10)}, "test_images has shape"),
        ({"image_shape": (4, 4)}, "train_images has shape"),
        ({"train_labels": labels(5)}, "train_labels has shape"),
        ({"test_labels": labels(3).reshape(3, 1)}, "test_labels has shape"),
        ({"train_images": np.zeros((6, 20))}, "train_images must be"),
        ({"test_labels": [0, 1, 2]}, "test_labels must be"),
        ({"classes": 2}, "label 2 at example 2"),
        ({"classes": 4}, "empty class"),
        (
            {"test_images": np.zeros((0, 20), np.uint8), "test_labels": labels(0)},
            "no test examples",
        ),
    ],
)
def test_dataset_by_hand_is_checked(changes: dict, reason: str) -> None:
    make_dataset()
    text = message(lambda: make_dataset(**changes))
    assert text.startswith("mine: ")
    assert reason in text


def test_dataset_does_not_lock_the_callers_array() -> None:
    mine = labels(6)
    make_dataset(train_labels=mine)
    mine[0] = 1  # still the caller's to write


def test_dataset_is_contiguous_whatever_it_is_given() -> None:
    columns_first = np.asfortranarray(images(6).reshape(6, 20))
    dataset = make_dataset(train_images=columns_first)
    assert dataset.train_images.flags.c_contiguous
    assert dataset.train_images.tolist() == columns_first.tolist()
