"""MNIST in the package, MNIST-backrand made from it, Fashion-MNIST, any IDX directory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from golden.training.datasets.dataset import (
    Dataset,
    Uint8Array,
    by,
    check_label_range,
    check_no_class_is_empty,
)
from golden.training.datasets.idx import read_idx
from spec.errors import InputError

NAMES = ("mnist", "mnist-backrand", "fashion-mnist")
"""The names that `load` takes."""

CROP_ROWS = slice(2, 26)
"""24 of 28 rows. 24 x 22 is [found] (the paper's 528 inputs); where it lies is [assumed]."""

CROP_COLUMNS = slice(3, 25)
"""22 of 28 columns. 24 x 22 is [found] (the paper's 528 inputs); where it lies is [assumed]."""

BACKRAND_SEED = 20200527
"""Seed of the background of MNIST-backrand [assumed]. Changing it makes another data set."""

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
"""The standard names of the four files of an IDX directory, each plain or with `.gz`."""

_PACKAGED_MNIST = Path(__file__).parents[1] / "data" / "mnist"
_DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def load(name: str, data_dir: str | Path | None = None) -> Dataset:
    """Load a data set by one of `NAMES`.

    - `mnist`: the package's files; or, with `data_dir`, any directory with the four IDX files of
      `FILES`, plain or gzip (plain is taken if both are there).
    - `mnist-backrand`: the same images with a random background; see `add_random_background`.
    - `fashion-mnist`: from `data_dir`, or from Debian's package dataset-fashion-mnist.

    Images of 28 x 28 are cropped to the paper's 24 x 22, 528 inputs; other sizes stay as they are.
    There are 10 classes; with `data_dir`, `mnist` and `mnist-backrand` have the largest training
    label + 1.

    Sources: MNIST, LeCun, Cortes, Burges (CC BY-SA 3.0); Fashion-MNIST, Xiao, Rasul, Vollgraf 2017
    (MIT); MNIST-backrand after the mnist-back-rand of Larochelle et al. 2007, not its files.

    Raises `InputError` if a file is missing, unreadable or malformed.
    """
    if name == "fashion-mnist":
        directory = _fashion_mnist_directory(data_dir)
    else:
        directory = _PACKAGED_MNIST if data_dir is None else Path(data_dir)
    any_idx = data_dir is not None and name != "fashion-mnist"
    return _load_directory(name, directory, classes=None if any_idx else 10)


def crop(images: Uint8Array) -> Uint8Array:
    """Cut the paper's 24 x 22 out of 28 x 28: uint8 (N, 28, 28) to (N, 24, 22).

    The size is [found]; `CROP_ROWS` and `CROP_COLUMNS` are [assumed].
    """
    return images[:, CROP_ROWS, CROP_COLUMNS]


def add_random_background(
    train_images: Uint8Array, test_images: Uint8Array
) -> tuple[Uint8Array, Uint8Array]:
    """Put uniform random pixels 0..255 behind the digits: uint8 (N, rows, columns), the same out.

    Composition [assumed]: pixel = max(digit, background), so that a stroke keeps its full
    brightness and its soft edge. The background is the bytes of `PCG64(BACKRAND_SEED).random_raw`,
    each 64-bit word from its lowest byte up, used in reading order over the training images and
    then on over the test images: integers only, so the same bits on every platform.

    Source: after the uniform background of Larochelle et al. 2007, whose composition is not found.
    """
    words = -(-(train_images.size + test_images.size) // 8)
    raw = np.random.PCG64(BACKRAND_SEED).random_raw(words)
    background = np.asarray(raw, dtype="<u8").view(np.uint8)
    train = background[: train_images.size].reshape(train_images.shape)
    test = background[train_images.size :][: test_images.size].reshape(test_images.shape)
    return np.maximum(train_images, train), np.maximum(test_images, test)


def _load_directory(name: str, directory: Path, classes: int | None) -> Dataset:
    paths = _find_files(directory)
    train_images, train_labels = _read_part(paths[TRAIN_IMAGES], paths[TRAIN_LABELS])
    test_images, test_labels = _read_part(paths[TEST_IMAGES], paths[TEST_LABELS])
    if test_images.shape[1:] != train_images.shape[1:]:
        raise InputError(
            f"{paths[TEST_IMAGES]}: images of {by(test_images.shape[1:])}, but the training "
            f"images are {by(train_images.shape[1:])}; give files of one data set"
        )
    if classes is None:
        classes = int(train_labels.max()) + 1
    check_label_range(train_labels, classes, str(paths[TRAIN_LABELS]))
    check_label_range(test_labels, classes, str(paths[TEST_LABELS]))
    check_no_class_is_empty(train_labels, classes, str(paths[TRAIN_LABELS]))
    # Before the crop, so that the same pixel has the same background wherever the crop lies.
    if name == "mnist-backrand":
        train_images, test_images = add_random_background(train_images, test_images)
    if train_images.shape[1:] == (28, 28):
        train_images, test_images = crop(train_images), crop(test_images)
    _, rows, columns = train_images.shape
    return Dataset(
        name=name,
        train_images=train_images.reshape(len(train_images), -1),
        train_labels=train_labels,
        test_images=test_images.reshape(len(test_images), -1),
        test_labels=test_labels,
        classes=classes,
        image_shape=(rows, columns),
    )


def _find_files(directory: Path) -> dict[str, Path]:
    """The path of each of the four files, by its plain name."""
    try:
        if not directory.is_dir():
            raise InputError(f"{directory}: not a folder; give the folder with {TRAIN_IMAGES}.gz")
        paths = {}
        for file in FILES:
            plain, zipped = directory / file, directory / f"{file}.gz"
            if not plain.exists() and not zipped.exists():
                raise InputError(
                    f"{plain}: no such file, nor with .gz; put it there or give another folder"
                )
            paths[file] = plain if plain.exists() else zipped
    except OSError as error:
        raise InputError(f"{directory}: cannot be read ({error.strerror or error})") from None
    return paths


def _read_part(images_path: Path, labels_path: Path) -> tuple[Uint8Array, Uint8Array]:
    images = read_idx(images_path, dimensions=3)
    labels = read_idx(labels_path, dimensions=1)
    if len(images) != len(labels):
        raise InputError(
            f"{labels_path}: {len(labels)} labels for {len(images)} images in {images_path.name}; "
            "give the files that belong together"
        )
    return images, labels


def _fashion_mnist_directory(data_dir: str | Path | None) -> Path:
    if data_dir is not None:
        return Path(data_dir)
    if _DEBIAN_FASHION_MNIST.is_dir():
        return _DEBIAN_FASHION_MNIST
    raise InputError(
        "fashion-mnist is not on this machine: install Debian's package dataset-fashion-mnist, or "
        f"put its four files ({', '.join(f'{file}.gz' for file in FILES)}) in a folder and name it "
        "with --data-dir"
    )
