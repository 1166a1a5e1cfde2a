"""How a trained network keeps: a last transfer, and then days or years of leak and drift at once.

The lower pair leaks within a fraction of a second, so that a network which is to be kept is first
transferred once more; what the PCM could not be programmed to is lost. Then the PCM drifts.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from golden.analog import tables
from golden.engines.numpy_engine import NumpyEngine
from golden.training.network import Network, Tile
from spec.parameter import as_fraction

NS = 10**9


def aged(network: Network) -> Network:
    """A copy of a network, `evaluation.age_s` after a last transfer of all its rows.

    Cells that transfer no rows are left as they are. With `rescale`, each tile's weights are
    multiplied by what their absolute values have lost in sum: global drift compensation, which a
    converter's reference can do (Joshi et al., Nature Communications 11, 2473, 2020). The factor is
    exact here; measured, it would have the noise of some READs. For evaluation only: afterwards the
    copy's PCM holds everything.
    """
    config = network.config
    copy = Network(config, network.layers, network.seed)
    for tile, other in zip(copy.tiles, network.tiles, strict=True):
        tile.restore(other.state(), other.registers())
    transfer = config.tile.transfer
    if transfer.transfer_interval and not config.devices.pcm.direct_update:
        engine = NumpyEngine(copy)
        for index, tile in enumerate(copy.tiles):
            engine.transfer(index, 0, tile.spec.rows - 1)
        engine.align_clocks()
    for tile in copy.tiles:
        fresh = _weights(tile)
        _pass_time(tile, as_fraction(config.evaluation.age_s))
        kept = _weights(tile)
        if config.evaluation.rescale and np.abs(kept).sum():
            kept *= np.abs(fresh).sum() / np.abs(kept).sum()
        _hold(tile, np.rint(kept).astype(np.int32))
    return copy


def _weights(tile: Tile) -> NDArray[np.float64]:
    return tile.array.weights_now(tile.controller.polarity.bits)


def _pass_time(tile: Tile, seconds: Fraction) -> None:
    """Let an array's clock go on at once: a year has 10^12 ticks, and all of them are one decay."""
    array, capacitors = tile.array, tile.array.capacitors
    array.clock_ns += int(seconds * NS)
    tau_ns = as_fraction(array.devices.capacitor.leak_tau_ns)
    if tau_ns:
        capacitors.leak_loss = tables.decay_loss(seconds * NS, tau_ns)
        capacitors.leak()


def _hold(tile: Tile, weights: NDArray[np.int32]) -> None:
    """Make an array hold these weights (rows, columns), whatever its clock."""
    array = tile.array
    array.pcm.tables = dataclasses.replace(array.pcm.tables, drift=False)
    array.pcm.higher[:] = weights
    array.capacitors.lower[:] = -array.capacitors.mismatch
