"""What every program is given: the paper's network, its first weights, the examples in order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.training.loop import Run, Trainer, example_order
from golden.training.software import INPUT_SCALE

RUN = Run(dataset="mnist", epochs=1, seed=0)
"""528-250-125-10 on the packaged MNIST, defaults, everything on."""


@dataclass(frozen=True)
class Task:
    """`images` (count, inputs) float32 in 0..1 and `labels` (count,), in the order of training.

    `weights` are (inputs + 1, outputs) float32 a layer, the bias last; hidden neurons clip to
    0..1; the loss is softmax cross-entropy, and `rate` the learning rate.
    """

    layers: list[int]
    images: NDArray[np.float32]
    labels: NDArray[np.uint8]
    weights: list[NDArray[np.float32]]
    rate: float


def task(count: int) -> Task:
    """The first `count` examples of the run that the engines train."""
    data = RUN.load_dataset()
    trainer = Trainer(Run(cell="float", engine="numpy", epochs=1, seed=RUN.seed), data)
    first = example_order(RUN.seed, 0, len(data.train_labels))[:count]
    return Task(
        layers=trainer.layers,
        images=data.train_images[first].astype(np.float32) / np.float32(INPUT_SCALE),
        labels=data.train_labels[first],
        weights=[tile.state()["weights"].astype(np.float32) for tile in trainer.network.tiles],
        rate=trainer.config.training.learning_rate,
    )
