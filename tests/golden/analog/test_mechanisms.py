"""Every imperfection can be switched off alone, and off means that it has no effect."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from golden.engines.numpy_engine import NumpyEngine
from golden.training.config import CELLS, configure
from golden.training.network import Network, initial_weights

LAYERS = [10, 6, 4]
# Everything on, and strong enough to show in a few examples.
ON = {
    "leak_tick_ns": "1000",
    "leak_tau_ns": "1e5",
    "drift_t0_s": "1",
    "cycle_to_cycle": "0.2",
    "stuck_fraction": "0.1",
}
OFF = {**CELLS["ideal"], "cycle_to_cycle": "0", "stuck_fraction": "0"}


def train(cell: str, settings: dict[str, str], seed: int = 1) -> Network:
    config = configure(cell, settings)
    network = Network(config, LAYERS, seed)
    engine, rng = NumpyEngine(network), np.random.default_rng(0)
    engine.load(initial_weights(config, LAYERS, seed))
    images = rng.integers(0, 256, (16, 10)).astype(np.uint8)
    labels = rng.integers(0, 4, 16).astype(np.uint8)
    network.set_epoch(0)
    for first in (0, 8):
        engine.train(images[first : first + 8], labels[first : first + 8])
        for index, tile in enumerate(network.tiles):
            tile.array.wait(10**6)
            engine.transfer(index, 0, 3)
    return network


@cache
def digest(*settings: tuple[str, str]) -> str:
    return train("pcm-3t1c", dict(settings)).digest()


@pytest.mark.parametrize("name", OFF)
def test_a_mechanism_switched_off_alone_changes_the_run(name: str) -> None:
    everything = digest(*ON.items())
    assert digest(*{**ON, name: OFF[name]}.items()) != everything, f"{name} has no effect when on"


def test_the_same_settings_give_the_same_digest() -> None:
    assert train("pcm-3t1c", ON).digest() == digest(*ON.items())


def test_another_seed_gives_another() -> None:
    assert train("pcm-3t1c", ON, seed=2).digest() != digest(*ON.items())


def test_the_ideal_cell_has_no_imperfection() -> None:
    network = train("ideal", {})
    for tile in network.tiles:
        pcm, capacitors = tile.array.pcm, tile.array.capacitors
        t: Any = pcm.tables
        assert len(set(capacitors.step_up.flat) | set(capacitors.step_down.flat)) == 1
        zero = {
            "slope": capacitors.slope,
            "mismatch": capacitors.mismatch,
            "cycle": capacitors.cycle_scale,
            "leak": capacitors.leak_loss,
            "programming spread": t.spread,
            "RESET spread": t.reset_spread,
            "read noise": t.read_spread,
            "read noise of set_pulse": [t.read_slope, t.read_floor],
            "stuck": pcm.stuck_plus + pcm.stuck_minus,
            "column offsets": tile.array.columns.offsets,
            "row offsets": tile.array.rows.offsets,
            "converter noise": [
                tile.array.forward_range.noise_scale,
                tile.array.backward_range.noise_scale,
                tile.array.read_range.noise_scale,
            ],
        }
        for name, values in zero.items():
            assert not np.any(values), name
        assert not t.drift


def test_the_ideal_cell_ignores_the_seed_but_for_weights_and_streams() -> None:
    networks = [Network(configure("ideal", {}), LAYERS, seed) for seed in (1, 2)]
    for first, second in zip(*(n.tiles for n in networks), strict=True):
        for name, values in first.state().items():
            assert (values == second.state()[name]).all(), name
        differing = {
            name for name, value in first.registers().items() if value != second.registers()[name]
        }
        assert differing == {"row_lfsr", "column_lfsr"}
