"""The fast engine: the network's flat arrays, driven by compiled loops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from golden.engines.compiled import array as macro
from golden.engines.compiled import layout, train, transfer
from golden.training.network import Network

NO_WEIGHTS = np.zeros((0, 0), np.int64)


class CompiledEngine:
    """Drives a network. Row codes are (examples, inputs) uint8, labels (examples,) uint8."""

    name = "compiled"

    def __init__(self, network: Network) -> None:
        """Take over the network's arrays; its scalars are copied back by `synchronise`."""
        self.network = network
        self._flat = layout.flatten(network)
        self._present = layout.aligned(len(self._flat.weight), np.int32)

    def load(self, weights: list[NDArray[np.int64]]) -> None:
        """Auto-zero the converters and LOAD weight codes (rows, columns) a layer."""
        for tile, codes in enumerate(weights):
            train.calibrate(self._flat, tile)
            transfer.work_rows(self._flat, tile, 0, len(codes) - 1, transfer.LOAD, codes)
        self.align_clocks()

    def train(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        """Train on examples in order; no transfer falls inside."""
        self._write_scales()
        one = self._flat.P[0, layout.PARTS] == 1
        (train.train if one else train.train_parts)(self._flat, images, labels)
        self.network.example += len(images)

    def _write_scales(self) -> None:
        for tile, register in zip(self.network.tiles, self._flat.R, strict=True):
            register[layout.ROW_SCALE] = tile.controller.row_stream.scale
            register[layout.COLUMN_SCALE] = tile.controller.column_stream.scale

    def transfer(self, tile: int, first: int, last: int) -> None:
        """TRANSFER rows first..last of a tile."""
        transfer.work_rows(self._flat, tile, first, last, transfer.TRANSFER, NO_WEIGHTS)

    def refresh(self, tile: int) -> None:
        """pcm-only: TRANSFER the rows that the array reports worn."""
        for row in self.network.tiles[tile].array.worn_rows():
            self.transfer(tile, int(row), int(row))

    def align_clocks(self) -> None:
        """After a burst every tile waits for the slowest."""
        latest = int(self._flat.R[:, layout.CLOCK].max())
        for tile, register in enumerate(self._flat.R):
            macro.wait(self._flat, tile, latest - int(register[layout.CLOCK]))

    def synchronise(self) -> None:
        """Copy the scalars back into the network."""
        self._write_scales()
        layout.leave(self.network, self._flat)

    def evaluate(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> int:
        """How many examples the network classifies; on a copy, with noise of its own."""
        train.present_weights(self._flat, self._present)
        return int(train.evaluate(self._flat, images, labels, self._present))
