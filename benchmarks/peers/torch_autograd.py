"""PyTorch as most people write it: modules, cross_entropy, backward(), SGD, a batch of one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from benchmarks.task import task


def prepare(count: int) -> Callable[[], None]:
    torch.set_num_threads(1)
    given = task(count)
    modules: list[nn.Module] = []
    for weights in given.weights:
        layer = nn.Linear(weights.shape[0] - 1, weights.shape[1])
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weights[:-1].T.copy()))
            layer.bias.copy_(torch.from_numpy(weights[-1]))
        modules += [layer, nn.Hardtanh(0, 1)]
    model = nn.Sequential(*modules[:-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=given.rate)
    return training(model, optimizer, given)


def training(model, optimizer, given) -> Callable[[], None]:
    """The loop over the examples of a task, one at a time."""
    images = torch.from_numpy(given.images)[:, None].unbind()
    labels = torch.from_numpy(given.labels).long()[:, None].unbind()

    def train() -> None:
        for image, label in zip(images, labels, strict=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(image), label).backward()
            optimizer.step()

    return train
