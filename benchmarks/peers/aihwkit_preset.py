"""aihwkit as its examples use it: AnalogLinear with CapacitorPreset, AnalogSGD, batch 1.

One tile a layer, where the default splits inputs beyond 512 in two: in the peer's favour.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.presets import CapacitorPreset

from benchmarks.peers.torch_autograd import training
from benchmarks.task import task


def prepare(count: int) -> Callable[[], None]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    given = task(count)
    config = CapacitorPreset()
    config.mapping.max_input_size = config.mapping.max_output_size = 0  # no limit
    modules: list[torch.nn.Module] = []
    for weights in given.weights:
        inputs, outputs = weights.shape[0] - 1, weights.shape[1]
        layer = AnalogLinear(inputs, outputs, bias=True, rpu_config=config)
        layer.set_weights(torch.from_numpy(weights[:-1].T.copy()), torch.from_numpy(weights[-1]))
        modules += [layer, torch.nn.Hardtanh(0, 1)]
    model = AnalogSequential(*modules[:-1])
    optimizer = AnalogSGD(model.parameters(), lr=given.rate)
    optimizer.regroup_param_groups(model)
    return training(model, optimizer, given)
