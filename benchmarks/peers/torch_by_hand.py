"""PyTorch without autograd: a plain digital step, as few operations as it takes, in place."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.task import task


def prepare(count: int) -> Callable[[], None]:
    torch.set_num_threads(1)
    given = task(count)
    rate = given.rate
    # (outputs, inputs + 1); the input of the bias is the last one, and stays 1.
    first, second, last = (torch.from_numpy(w.T.copy()) for w in given.weights)
    images = torch.ones(count, given.layers[0] + 1)
    images[:, :-1] = torch.from_numpy(given.images)
    examples = list(zip(images.unbind(), given.labels.tolist(), strict=True))
    targets = torch.eye(given.layers[-1]).unbind()
    sums_1, sums_2 = torch.empty(given.layers[1]), torch.empty(given.layers[2])
    inputs_2, inputs_3 = torch.ones(given.layers[1] + 1), torch.ones(given.layers[2] + 1)
    hidden_1, hidden_2 = inputs_2[:-1], inputs_3[:-1]
    second_back, last_back = second[:, :-1].t(), last[:, :-1].t()

    @torch.inference_mode()
    def train() -> None:
        for image, label in examples:
            torch.mv(first, image, out=sums_1)
            torch.clamp(sums_1, 0, 1, out=hidden_1)
            torch.mv(second, inputs_2, out=sums_2)
            torch.clamp(sums_2, 0, 1, out=hidden_2)
            error = torch.softmax(torch.mv(last, inputs_3), 0).sub_(targets[label])
            # The slope is 1 where clipping changed nothing.
            error_2 = torch.mv(last_back, error).mul_(sums_2.eq(hidden_2))
            error_1 = torch.mv(second_back, error_2).mul_(sums_1.eq(hidden_1))
            last.addr_(error, inputs_3, alpha=-rate)
            second.addr_(error_2, inputs_2, alpha=-rate)
            first.addr_(error_1, image, alpha=-rate)

    return train
