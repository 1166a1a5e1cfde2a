"""Data sets: MNIST in the package, MNIST-backrand made from it, Fashion-MNIST, any IDX directory.

Files are checked in full before they are used, and each failure is an `InputError` of one line
that says what to change. Nothing here downloads anything.
"""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from spec.errors import InputError

Uint8Array = NDArray[np.uint8]

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

_PACKAGED_MNIST = Path(__file__).parent / "data" / "mnist"
_DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")

_IDX_TYPES = {
    0x08: "unsigned byte",
    0x09: "signed byte",
    0x0B: "short",
    0x0C: "int",
    0x0D: "float",
    0x0E: "double",
}
_IDX_CONTENT = {1: "labels", 3: "images"}
_IDX_LIMIT_BYTES = 1 << 31  # 2 GiB: four times the largest public set of this kind (EMNIST)
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, checked; the arrays are C-contiguous and read-only.

    `train_images` (N, inputs) and `test_images` (M, inputs) are uint8 pixel codes 0..255, each
    image of `image_shape` (rows, columns) laid out row by row. `train_labels` (N,) and
    `test_labels` (M,) are uint8, 0..classes-1.

    Raises `InputError` if shapes disagree, a part is empty, a label is not below `classes`, or a
    class has no training example.
    """

    name: str
    train_images: Uint8Array
    train_labels: Uint8Array
    test_images: Uint8Array
    test_labels: Uint8Array
    classes: int
    image_shape: tuple[int, int]

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            images = self._frozen(f"{part}_images")
            labels = self._frozen(f"{part}_labels")
            if images.ndim != 2 or images.shape[1] != math.prod(self.image_shape):
                raise InputError(
                    f"{self.name}: {part}_images has shape {images.shape}; give (examples, "
                    f"{math.prod(self.image_shape)}) for images of {_by(self.image_shape)}"
                )
            if labels.shape != images.shape[:1]:
                raise InputError(
                    f"{self.name}: {part}_labels has shape {labels.shape} for {len(images)} "
                    "images; give one label an image"
                )
            if not len(images):
                raise InputError(f"{self.name}: no {part} examples; give at least one")
            _check_label_range(labels, self.classes, f"{self.name}: {part}_labels")
        _check_no_class_is_empty(self.train_labels, self.classes, f"{self.name}: train_labels")

    @property
    def inputs(self) -> int:
        """Pixels of an image: the width of the network's first layer, without its bias row."""
        return math.prod(self.image_shape)

    def _frozen(self, field: str) -> Uint8Array:
        """The named array, in its place as a contiguous view that refuses to be written."""
        given = getattr(self, field)
        if not isinstance(given, np.ndarray) or given.dtype != np.uint8:
            raise InputError(f"{self.name}: {field} must be a NumPy array of uint8")
        view = np.ascontiguousarray(given).view()
        view.setflags(write=False)
        object.__setattr__(self, field, view)
        return view


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

    Raises `InputError` if the name is unknown or a file is missing, unreadable or malformed.
    """
    if name not in NAMES:
        raise InputError(f"data set {name!r} is not known; give one of {', '.join(NAMES)}")
    if name == "fashion-mnist":
        directory = _fashion_mnist_directory(data_dir)
    else:
        directory = _PACKAGED_MNIST if data_dir is None else Path(data_dir)
    any_idx = data_dir is not None and name != "fashion-mnist"
    return _load_directory(name, directory, classes=None if any_idx else 10)


def hold_out(dataset: Dataset, count: int = 5000) -> Dataset:
    """The same data set with its last `count` training examples as its test set.

    Hyperparameters are chosen with it: it leaves the real test set out, so no choice can see it.

    Raises `InputError` if `count` is not 1..N-1 for N training examples, or if a class would have
    no training example left.
    """
    examples = len(dataset.train_labels)
    if not 1 <= count < examples:
        raise InputError(
            f"{dataset.name}: cannot hold out {count} of {examples} training examples; "
            f"give 1..{examples - 1}"
        )
    return Dataset(
        name=f"{dataset.name} (last {count} training examples held out)",
        train_images=dataset.train_images[:-count],
        train_labels=dataset.train_labels[:-count],
        test_images=dataset.train_images[-count:],
        test_labels=dataset.train_labels[-count:],
        classes=dataset.classes,
        image_shape=dataset.image_shape,
    )


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


def read_idx(path: Path, dimensions: int) -> Uint8Array:
    """Read an IDX file of unsigned bytes, gzip if its name ends in `.gz`, into a uint8 array.

    `dimensions` is 1 for labels, (N,), and 3 for images, (N, rows, columns). The file must hold
    what its header promises, to the byte; at most one byte more than that is ever read, in pieces,
    so a header that promises too much costs no memory.

    Raises `InputError` if the file is missing, unreadable, not gzip, corrupt, cut short, too long,
    not IDX, of another type or number of dimensions, empty, or larger than 2 GiB.
    """
    try:
        with path.open("rb") as plain:
            if path.suffix != ".gz":
                return _parse_idx(plain, path, dimensions)
            with gzip.open(plain, "rb") as unzipped:
                return _parse_idx(unzipped, path, dimensions)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: broken gzip data ({error}); fetch the file again") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; put it there or give another folder") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def _parse_idx(stream: BinaryIO | gzip.GzipFile, path: Path, dimensions: int) -> Uint8Array:
    wanted = _IDX_CONTENT[dimensions]
    magic = _read_up_to(stream, 4)
    if len(magic) < 4:
        raise InputError(f"{path}: cut short inside the IDX header; fetch the file again")
    if magic[:2] != b"\0\0":
        hint = "it is gzip: add .gz to its name" if magic[:2] == b"\x1f\x8b" else "fetch it again"
        raise InputError(f"{path}: not an IDX file, it starts with {magic.hex(' ')}; {hint}")
    type_code, found_dimensions = magic[2], magic[3]
    if type_code != 0x08:
        kind = _IDX_TYPES.get(type_code, "unknown")
        raise InputError(
            f"{path}: IDX type code 0x{type_code:02x} ({kind}); give unsigned bytes, 0x08"
        )
    if found_dimensions != dimensions:
        found = _IDX_CONTENT.get(found_dimensions)
        hint = f"it holds {found}: exchange the two files" if found else "fetch the right file"
        raise InputError(
            f"{path}: IDX data of {found_dimensions} dimensions where {wanted} have {dimensions}; "
            f"{hint}"
        )
    header = _read_up_to(stream, 4 * dimensions)
    if len(header) < 4 * dimensions:
        raise InputError(f"{path}: cut short inside the IDX header; fetch the file again")
    shape = tuple(int(size) for size in np.frombuffer(header, dtype=">u4"))
    promised = math.prod(shape)
    if promised == 0:
        raise InputError(f"{path}: holds no {wanted}, its header says {_by(shape)}; give some")
    if promised > _IDX_LIMIT_BYTES:
        raise InputError(
            f"{path}: its header promises {_by(shape)} = {promised} bytes, more than the limit of "
            f"{_IDX_LIMIT_BYTES}; the header is damaged, or split the data set"
        )
    data = _read_up_to(stream, promised + 1)
    if len(data) < promised:
        raise InputError(
            f"{path}: cut short, {len(data)} bytes of {wanted} where its header promises "
            f"{promised}; fetch the file again"
        )
    if len(data) > promised:
        raise InputError(
            f"{path}: bytes trail the {promised} that its header promises; fetch the file again"
        )
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _read_up_to(stream: BinaryIO | gzip.GzipFile, count: int) -> bytearray:
    """Read `count` bytes or to the end: memory follows what is there, not what is asked for."""
    data = bytearray()
    while len(data) < count and (piece := stream.read(min(_CHUNK_BYTES, count - len(data)))):
        data += piece
    return data


def _load_directory(name: str, directory: Path, classes: int | None) -> Dataset:
    paths = _find_files(directory)
    train_images, train_labels = _read_part(paths[TRAIN_IMAGES], paths[TRAIN_LABELS])
    test_images, test_labels = _read_part(paths[TEST_IMAGES], paths[TEST_LABELS])
    if test_images.shape[1:] != train_images.shape[1:]:
        raise InputError(
            f"{paths[TEST_IMAGES]}: images of {_by(test_images.shape[1:])}, but the training "
            f"images are {_by(train_images.shape[1:])}; give files of one data set"
        )
    if classes is None:
        classes = int(train_labels.max()) + 1
    _check_label_range(train_labels, classes, str(paths[TRAIN_LABELS]))
    _check_label_range(test_labels, classes, str(paths[TEST_LABELS]))
    _check_no_class_is_empty(train_labels, classes, str(paths[TRAIN_LABELS]))
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


def _check_label_range(labels: Uint8Array, classes: int, where: str) -> None:
    wrong = np.flatnonzero(labels >= classes)
    if len(wrong):
        raise InputError(
            f"{where}: label {labels[wrong[0]]} at example {wrong[0]}, but there are {classes} "
            f"classes; labels are 0..{classes - 1}"
        )


def _check_no_class_is_empty(labels: Uint8Array, classes: int, where: str) -> None:
    empty = np.flatnonzero(np.bincount(labels, minlength=classes) == 0)
    if len(empty):
        raise InputError(
            f"{where}: empty class, no training example of {', '.join(map(str, empty))} in "
            f"0..{classes - 1}; give examples of each, or number the labels from 0 without gaps"
        )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
