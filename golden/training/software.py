"""The float cell: the same network in float64, the accuracy that the machine is to match.

The same initial weights, order of examples and schedule of rates; inputs are image / 255, the bias
input is 1, the loss is softmax cross-entropy. No claim of exactness across engines: a digest holds
for one engine on one machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.training.config import Config, layer_specs
from spec.parameter import as_fraction
from spec.tile import TileSpec

FloatArray = NDArray[np.float64]

STATE_VERSION = 1
INPUT_SCALE = 255
ACTIVATIONS = ("clipped_relu", "relu", "tanh", "sigmoid")


@dataclass
class SoftwareLayer:
    """A layer: weights (inputs + 1, outputs) float64, the bias last."""

    spec: TileSpec
    weights: FloatArray

    def state(self) -> dict[str, NDArray]:
        """Every array of the state, by name, as views."""
        return {"weights": self.weights}

    def registers(self) -> dict[str, int]:
        """A float layer has no scalar state."""
        return {}

    def restore(self, arrays: Mapping[str, NDArray], registers: dict[str, int]) -> None:
        """Write back what `state` listed; `registers` is empty."""
        np.copyto(self.weights, arrays["weights"])


class SoftwareNetwork:
    """All layers, from the input on. `tiles` has the shape of `Network.tiles`."""

    def __init__(self, config: Config, layers: list[int], seed: int) -> None:
        """Blank weights, end to end in one array, until an engine loads codes."""
        self.config, self.layers, self.seed = config, layers, seed
        self.example, self.rate = 0, 0.0
        specs = layer_specs(config, layers)
        sizes = [spec.rows * spec.columns for spec in specs]
        self.flat = np.zeros(sum(sizes))
        parts = np.split(self.flat, np.cumsum(sizes)[:-1])
        self.tiles = [
            SoftwareLayer(spec, part.reshape(spec.rows, spec.columns))
            for spec, part in zip(specs, parts, strict=True)
        ]

    @property
    def synapses(self) -> int:
        """Weights of the network, the bias rows included."""
        return self.flat.size

    def set_epoch(self, epoch: int) -> None:
        """Take the learning rate of an epoch (from 0)."""
        training = self.config.training
        rate = as_fraction(training.learning_rate)
        self.rate = float(rate * as_fraction(training.learning_rate_decay) ** epoch)

    def digest(self) -> str:
        """SHA-256 over weights and example index; holds for one engine on one machine."""
        sha = hashlib.sha256(f"crosstile float state {STATE_VERSION}\n".encode())
        sha.update(f"layers {self.layers} example {self.example}\n".encode())
        sha.update(self.flat.astype("<f8").tobytes())
        return sha.hexdigest()


def activate(sums: FloatArray, activation: str) -> FloatArray:
    """Outputs of hidden neurons, of any shape."""
    if activation == "clipped_relu":
        return np.clip(sums, 0, 1)
    if activation == "relu":
        return np.maximum(sums, 0)
    if activation == "tanh":
        return np.tanh(sums)
    return 1 / (1 + np.exp(-sums))


def slope(outputs: FloatArray, activation: str) -> FloatArray:
    """Derivative of the activation where hidden neurons gave `outputs`, of any shape."""
    if activation == "clipped_relu":
        return ((outputs > 0) & (outputs < 1)).astype(np.float64)
    if activation == "relu":
        return (outputs > 0).astype(np.float64)
    if activation == "tanh":
        return 1 - outputs * outputs
    return outputs * (1 - outputs)


class SoftwareEngine:
    """Trains in NumPy, readable. Images are (examples, inputs) uint8, labels (examples,)."""

    name = "numpy"

    def __init__(self, network: SoftwareNetwork) -> None:
        """The network's own arrays are the state."""
        self.network = network
        self._activation = network.config.training.activation

    def load(self, weights: list[NDArray[np.int64]]) -> None:
        """Take weight codes (rows, columns) a layer, in units of a READ code."""
        for tile, codes in zip(self.network.tiles, weights, strict=True):
            spec = tile.spec
            tile.weights[:] = codes * 2.0 ** (spec.converters.read_lsb_log2 + spec.weight_unit_log2)

    def train(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        """Train on examples in order."""
        for image, label in zip(images, labels, strict=True):
            self._example(image, int(label))
        self.network.example += len(images)

    def _example(self, image: NDArray[np.uint8], label: int) -> None:
        tiles, activation = self.network.tiles, self._activation
        outputs = image / INPUT_SCALE
        inputs = []
        for tile in tiles:
            inputs.append(np.append(outputs, 1.0))
            outputs = inputs[-1] @ tile.weights
            if tile is not tiles[-1]:
                outputs = activate(outputs, activation)
        likelihood = np.exp(outputs - outputs.max())
        error = -likelihood / likelihood.sum()
        error[label] += 1
        for tile, values in zip(reversed(tiles), reversed(inputs), strict=True):
            back = (tile.weights[:-1] @ error) * slope(values[:-1], activation)
            tile.weights += np.outer(self.network.rate * values, error)
            error = back

    def transfer(self, tile: int, first: int, last: int) -> None:
        """Float weights have no lower pair to transfer."""

    def refresh(self, tile: int) -> None:
        """Float weights do not wear."""

    def align_clocks(self) -> None:
        """Float weights know no time."""

    def synchronise(self) -> None:
        """Bring the network's arrays up to date: they always are."""

    def evaluate(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> int:
        """How many examples the network classifies."""
        correct = 0
        for first in range(0, len(images), 500):
            batch = slice(first, first + 500)
            values = images[batch] / INPUT_SCALE
            for tile in self.network.tiles:
                values = values @ tile.weights[:-1] + tile.weights[-1]
                if tile is not self.network.tiles[-1]:
                    values = activate(values, self._activation)
            correct += int(np.count_nonzero(values.argmax(axis=1) == labels[batch]))
        return correct


class CompiledSoftwareEngine(SoftwareEngine):
    """The same with compiled training loops that skip zero inputs."""

    name = "compiled"

    def __init__(self, network: SoftwareNetwork) -> None:
        """Compiles on first use."""
        super().__init__(network)
        # Here, so that the NumPy engine runs without waiting for the compiler's import.
        from golden.engines.compiled import software

        self._loops = software
        self._sizes = np.array(network.layers, np.int64)

    def train(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        """Train on examples in order."""
        network, activation = self.network, ACTIVATIONS.index(self._activation)
        self._loops.train(network.flat, self._sizes, images, labels, network.rate, activation)
        network.example += len(images)
