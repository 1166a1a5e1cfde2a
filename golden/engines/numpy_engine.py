"""The readable reference: trains through the controllers and arrays, one example at a time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from golden.analog.converter import offset_charge
from golden.analog.random import Mechanism, bell, philox, scaled
from golden.digital import converter, neuron, softmax
from golden.training.network import Network
from spec.formats import round_half_even


class NumpyEngine:
    """Drives a network. Row codes are (examples, inputs) integers, labels (examples,)."""

    name = "numpy"

    def __init__(self, network: Network) -> None:
        """The network's own objects are the state: there is nothing to synchronise."""
        self.network = network
        self.tiles = network.tiles
        specs = [tile.spec for tile in network.tiles]
        # Between two layers, by code: what neurons make of it on its way forth and back.
        self._activations = [neuron.activations(s.forward_code, s.row_code) for s in specs]
        self._column_gains = [neuron.column_gains(*both) for both in pairwise(specs)]

    def load(self, weights: list[NDArray[np.int64]]) -> None:
        """Auto-zero the converters and LOAD weight codes (rows, columns) a layer."""
        for tile, codes in zip(self.tiles, weights, strict=True):
            tile.controller.calibrate()
            for row in range(tile.spec.rows):
                tile.controller.load(row, codes[row])
        self.align_clocks()

    def train(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        """Train on examples in order; no transfer falls inside."""
        for image, label in zip(images, labels, strict=True):
            self._example(image, int(label))

    def _example(self, image: NDArray[np.uint8], label: int) -> None:
        tiles = self.tiles
        start_ns = [tile.array.clock_ns for tile in tiles]
        codes = np.zeros(0, np.int64)
        rows = image
        for tile, activations in zip(tiles, self._activations, strict=True):
            codes = tile.controller.forward(rows)
            rows = activations[codes]
        last = tiles[-1].spec
        errors = softmax.output_error(codes, label, self.network.softmax, last.column_code)
        # An example whose quantised error is all zero at a layer changes nothing from there on.
        index = len(tiles)
        while index and np.count_nonzero(tiles[index - 1].controller.enter(errors)):
            index -= 1
            if index:
                back = tiles[index].controller.backward()
                errors = self._column_gains[index - 1][back]
        for tile in reversed(tiles[index:]):
            tile.controller.update()
        for tile, start in zip(tiles, start_ns, strict=True):
            spent = tile.array.clock_ns - start
            tile.array.wait(max(0, tile.spec.timing.example_ns - spent))
        self.network.example += 1

    def transfer(self, tile: int, first: int, last: int) -> None:
        """TRANSFER rows first..last of a tile."""
        self.tiles[tile].controller.transfer(first, last)

    def refresh(self, tile: int) -> None:
        """pcm-only: TRANSFER the rows that the array reports worn."""
        for row in self.tiles[tile].array.worn_rows():
            self.transfer(tile, int(row), int(row))

    def align_clocks(self) -> None:
        """After a burst every tile waits for the slowest."""
        tiles = self.tiles
        latest = max(tile.array.clock_ns for tile in tiles)
        for tile in tiles:
            tile.array.wait(latest - tile.array.clock_ns)

    def synchronise(self) -> None:
        """Bring the network's arrays up to date: they always are."""

    def evaluate(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> int:
        """How many examples the network classifies; on a copy, with noise of its own."""
        correct = 0
        for first in range(0, len(images), 500):
            batch = slice(first, first + 500)
            ordinals = np.arange(first, first + len(images[batch]))[:, None]
            codes = self._evaluate(images[batch], ordinals)
            correct += int(np.count_nonzero(codes.argmax(axis=1) == labels[batch]))
        return correct

    def _evaluate(
        self, images: NDArray[np.uint8], ordinals: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        seed, tiles = self.network.seed, self.network.tiles
        rows: NDArray = images
        codes = np.zeros((len(images), 0), np.int64)
        for index, tile in enumerate(tiles):
            spec, array = tile.spec, tile.array
            full = np.full((len(rows), 1), spec.row_code.high)
            drive = np.concatenate([rows, full], axis=1).astype(np.float64)
            charge = (drive @ array.weights_now(tile.controller.polarity.bits)).astype(np.int64)
            bits = philox(seed, Mechanism.EVALUATION, index, np.arange(spec.columns), ordinals)
            to = array.forward_range
            total = charge + scaled(bell(bits), to.noise_scale)
            total = total + offset_charge(array.columns.offsets, to.shift)
            raw = converter.saturate(round_half_even(total, to.shift), to.code)
            fraction = spec.converters.calibration_log2
            dither = np.array([[converter.bit_reversed(int(n), fraction)] for n in ordinals[:, 0]])
            offsets = tile.controller.forward_offsets
            codes = converter.corrected(raw, offsets, fraction, dither, to.code)
            rows = neuron.activate(codes, to.code, spec.row_code)
        return codes
