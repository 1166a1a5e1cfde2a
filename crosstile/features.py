"""`crosstile features`: a features file of CIFAR's images, by a network of the user's in ONNX."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from crosstile.folder import make_writable, versions
from golden.training.datasets import cifar
from spec.errors import InputError

DEFAULT_SIZE = 192
"""Rows and columns of an image where neither the model nor the user says it [assumed]."""

BATCH = 32
"""Images at once where the model takes any number."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Preparation:
    """What is done to an image: resized to `size` squared, and (pixel / 255 - mean) / std.

    `mean` and `std` are of red, green and blue; the defaults are ImageNet's, as in torchvision
    [found]. `size` None is the model's own, or `DEFAULT_SIZE`.
    """

    size: int | None = None
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        """Check every field. Raises InputError."""
        if self.size is not None and not 1 <= self.size <= 1024:
            raise InputError(f"--size {self.size}: give 1 to 1024")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != 3 or not all(map(math.isfinite, values)):
                raise InputError(f"--{name}: give three numbers with commas, red, green, blue")
        if not all(value > 0 for value in self.std):
            raise InputError("--std: give three numbers above 0")


class Model:
    """An ONNX network with one input of images, float32, and the output that is taken."""

    def __init__(self, path: Path, output: str | None, preparation: Preparation) -> None:
        """Open it. Raises InputError: a missing extra, a bad model, size or output name."""
        runtime, self._resize = _extra()
        if not path.is_file():
            raise InputError(f"--model {path}: no such file; give a network in ONNX format")
        try:
            self._session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common class
            raise InputError(f"--model {path}: not read as ONNX ({_short(error)})") from None
        outputs = [one.name for one in self._session.get_outputs()]
        self.output = outputs[0] if output is None else output
        if self.output not in outputs:
            raise InputError(f"--output {output}: {path} gives {', '.join(outputs)}")
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        if inputs[0].type != "tensor(float)" or len(shape) != 4 or 3 not in (shape[1], shape[3]):
            found = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
            raise InputError(
                f"--model {path}: takes {found}; give one with one float input, "
                "(images, 3, rows, columns) or (images, rows, columns, 3)"
            )
        self.path, self._input = path, inputs[0].name
        self.channels_last = shape[1] != 3
        sizes = {size for size in (shape[1:3] if self.channels_last else shape[2:])
                 if isinstance(size, int)}  # fmt: skip
        self.size = preparation.size or next(iter(sizes), DEFAULT_SIZE)
        if sizes - {self.size}:
            raise InputError(
                f"--size {self.size}: {path} takes {' x '.join(map(str, sorted(sizes)))}; "
                "leave --size out, or give a square model"
            )
        self.batch = shape[0] if isinstance(shape[0], int) else BATCH
        self._offset = 255 * np.array(preparation.mean, np.float32)
        self._factor = 1 / (255 * np.array(preparation.std, np.float32))

    def features(self, images: NDArray[np.uint8]) -> FloatArray:
        """Features (N, F) of at most `batch` images (N, 3, rows, columns). Raises InputError."""
        whole = np.zeros((self.batch, self.size, self.size, 3), np.float32)
        for place, image in enumerate(images):
            resized = self._resize(np.moveaxis(image, 0, 2), self.size)
            whole[place] = (resized - self._offset) * self._factor
        if not self.channels_last:
            whole = np.ascontiguousarray(np.moveaxis(whole, 3, 1))
        try:
            (found,) = self._session.run([self.output], {self._input: whole})
        except Exception as error:
            raise InputError(f"--model {self.path}: does not run ({_short(error)})") from None
        if not isinstance(found, np.ndarray) or found.dtype.kind != "f":
            raise InputError(f"--output {self.output}: gives no real numbers; give another")
        if found.shape[:1] != (self.batch,):
            raise InputError(
                f"--output {self.output}: gives {found.shape} for {self.batch} images; give an "
                "output with a row an image"
            )
        return found.reshape(self.batch, -1)[: len(images)].astype(np.float32)


def make(
    dataset: str,
    images: Path,
    model: Path,
    out: Path,
    console: Console,
    *,
    output: str | None = None,
    preparation: Preparation | None = None,
) -> dict[str, Any]:
    """Write the features file `out`, at once; returns its metadata.

    Memory holds the images, their features in float32, and a batch. Raises InputError.
    """
    if dataset not in cifar.CLASSES:
        raise InputError(f"--dataset {dataset}: choose one of {', '.join(cifar.CLASSES)}")
    if out.suffix != ".npz":
        raise InputError(f"--out {out}: give a name that ends in .npz")
    if out.exists():
        raise InputError(f"--out {out}: is there already; give another name, or delete it")
    preparation = preparation or Preparation()
    network = Model(model, output, preparation)
    given = cifar.read(dataset, images)
    make_writable(out.parent)
    parts = {"train": given.train_images, "test": given.test_images}
    arrays: dict[str, NDArray] = {"y_train": given.train_labels, "y_test": given.test_labels}
    total = sum(map(len, parts.values()))
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"features of {dataset}", total=total)
        for part, whole in parts.items():
            arrays[f"x_{part}"] = _all(network, whole, lambda done: bar.advance(task, done))
    metadata = asdict(preparation) | {
        "dataset": dataset,
        "model": model.name,
        "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "output": network.output,
        "size": network.size,
        "interpolation": "bilinear",
        "versions": versions(("crosstile", "onnxruntime", "pillow")),
    }
    _write(out, arrays | {"metadata": np.array(json.dumps(metadata))})
    return metadata | {"features": arrays["x_train"].shape[1], "examples": total}


def last_words(made: dict[str, Any], out: Path) -> str:
    """What was made."""
    return (
        f"{made['features']:,} features of {made['examples']:,} images of {made['dataset']} in "
        f"{out}\ngo on with crosstile train --dataset {made['dataset']} --data-dir {out}"
    )


def _all(network: Model, images: NDArray[np.uint8], report: Callable[[int], None]) -> FloatArray:
    """Features (N, F) of all images, a batch at a time."""
    found = np.zeros((0, 0), np.float32)
    for first in range(0, len(images), network.batch):
        some = images[first : first + network.batch]
        features = network.features(some)
        if not first:
            found = np.empty((len(images), features.shape[1]), np.float32)
        found[first : first + len(some)] = features
        report(len(some))
    return found


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes `path` if all goes well. Raises InputError."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); free space or give another "
            "folder"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write(path: Path, arrays: dict[str, Any]) -> None:
    with _new_file(path) as name, name.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _extra() -> tuple[Any, Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]]:
    """ONNX Runtime, and a resizer of (rows, columns, 3). Raises InputError if not installed."""
    try:
        import onnxruntime
        from PIL import Image
    except ImportError as error:
        raise InputError(
            f"features: {error.name} is not installed; pip install 'crosstile[features]'"
        ) from None

    def resize(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        whole = Image.fromarray(np.ascontiguousarray(image))
        return np.asarray(whole.resize((size, size), Image.Resampling.BILINEAR))

    return onnxruntime, resize


def _short(error: Exception) -> str:
    """The first 200 characters of an error, on a line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
