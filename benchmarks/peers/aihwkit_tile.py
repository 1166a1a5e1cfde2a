"""aihwkit's C++ tile of CapacitorPreset: forward, backward, update and leak, called directly."""

from __future__ import annotations

from collections.abc import Callable

import torch
from aihwkit.simulator.presets import CapacitorPreset
from aihwkit.simulator.tiles import AnalogTile

from benchmarks.task import task


def prepare(count: int) -> Callable[[], None]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    given = task(count)
    # The Python tiles own the memory of the weights: they must outlive the C++ ones.
    owners = [_owner(weights, given.rate) for weights in given.weights]
    # The input of the bias is the last one, and stays 1.
    images = torch.ones(count, 1, given.layers[0] + 1)
    images[:, 0, :-1] = torch.from_numpy(given.images)
    examples = list(zip(images.unbind(), given.labels.tolist(), strict=True))
    targets = torch.eye(given.layers[-1])[:, None].unbind()
    inputs_2, inputs_3 = (torch.ones(1, width + 1) for width in given.layers[1:-1])
    hidden_1, hidden_2 = inputs_2[:, :-1], inputs_3[:, :-1]

    @torch.inference_mode()
    def train() -> None:
        first, second, last = (owner.tile for owner in owners)
        for image, label in examples:
            sums_1 = first.forward(image)
            torch.clamp(sums_1, 0, 1, out=hidden_1)
            sums_2 = second.forward(inputs_2)
            torch.clamp(sums_2, 0, 1, out=hidden_2)
            error = torch.softmax(last.forward(inputs_3), 1).sub_(targets[label])
            # The slope is 1 where clipping changed nothing.
            error_2 = last.backward(error)[:, :-1].mul(sums_2.eq(hidden_2))
            error_1 = second.backward(error_2)[:, :-1].mul(sums_1.eq(hidden_1))
            last.update(inputs_3, error, False)
            second.update(inputs_2, error_2, False)
            first.update(image, error_1, False)
            for tile in (first, second, last):
                tile.decay_weights()

    return train


def _owner(weights, rate: float) -> AnalogTile:
    tile = AnalogTile(weights.shape[1], weights.shape[0], CapacitorPreset())
    tile.set_weights(torch.from_numpy(weights.T.copy()))
    tile.set_learning_rate(rate)
    return tile
