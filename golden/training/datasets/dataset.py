"""A data set: images and labels, checked; and the same with examples held out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spec.errors import InputError

Uint8Array = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, checked; the arrays are C-contiguous and read-only.

    `train_images` (N, inputs) and `test_images` (M, inputs) are uint8 pixel codes 0..255, each
    image of `image_shape` (rows, columns) laid out row by row; F features are an image of 1 x F.
    `train_labels` (N,) and `test_labels` (M,) are uint8, 0..classes-1.

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
                    f"{math.prod(self.image_shape)}) for images of {by(self.image_shape)}"
                )
            if labels.shape != images.shape[:1]:
                raise InputError(
                    f"{self.name}: {part}_labels has shape {labels.shape} for {len(images)} "
                    "images; give one label an image"
                )
            if not len(images):
                raise InputError(f"{self.name}: no {part} examples; give at least one")
            check_label_range(labels, self.classes, f"{self.name}: {part}_labels")
        check_no_class_is_empty(self.train_labels, self.classes, f"{self.name}: train_labels")

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


def check_label_range(labels: Uint8Array, classes: int, where: str) -> None:
    """Raise InputError, which begins with `where`, if a label (N,) is not below `classes`."""
    wrong = np.flatnonzero(labels >= classes)
    if len(wrong):
        raise InputError(
            f"{where}: label {labels[wrong[0]]} at example {wrong[0]}, but there are {classes} "
            f"classes; labels are 0..{classes - 1}"
        )


def check_no_class_is_empty(labels: Uint8Array, classes: int, where: str) -> None:
    """Raise InputError, which begins with `where`, if a class has no label (N,)."""
    empty = np.flatnonzero(np.bincount(labels, minlength=classes) == 0)
    if len(empty):
        raise InputError(
            f"{where}: empty class, no training example of {', '.join(map(str, empty))} in "
            f"0..{classes - 1}; give examples of each, or number the labels from 0 without gaps"
        )


def by(shape: tuple[int, ...]) -> str:
    """A shape in words, as 24 x 22."""
    return " x ".join(map(str, shape))
