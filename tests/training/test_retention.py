"""A trained network kept for a while: what is lost, what a rescale gives back, what stays."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.training.loop import Run, Trainer
from golden.training.network import Network
from golden.training.retention import aged

DAY_S, YEAR_S = 86_400, 31_557_600
PLAIN = {
    "transfer_interval": "40", "reference_mismatch": "0", "reset_spread": "0", "reset_uS": "0.0001"
}  # fmt: skip


def trained(small_data: Path, cell: str = "pcm-3t1c", epochs: int = 1, **settings: str) -> Trainer:
    run = Run(
        cell=cell, settings=PLAIN | settings, hidden=(4,), epochs=epochs, engine="numpy",
        data_dir=str(small_data),
    )  # fmt: skip
    trainer = Trainer(run)
    while not trainer.done:
        trainer.advance()
    return trainer


def weights_of(network: Any) -> list[np.ndarray]:
    return [tile.array.weights_now(tile.controller.polarity.bits) for tile in network.tiles]


def weights_after(trainer: Trainer, age_s: float, rescale: bool = False) -> list[np.ndarray]:
    """Of each tile, in weight units x 2^20."""
    network = trainer.network
    assert isinstance(network, Network)
    config = network.config
    evaluation = dataclasses.replace(config.evaluation, age_s=age_s, rescale=rescale)
    network.config = dataclasses.replace(config, evaluation=evaluation)
    copy = aged(network)
    network.config = config
    return weights_of(copy)


def test_only_the_last_evaluation_is_of_an_aged_copy(small_data):
    settings = {"transfer_interval": "0", "learning_rate": "0.03"}
    settings |= {"read_noise": "0", "channel_offset": "0"}
    now = trained(small_data, "3t1c-only", 4, **settings)
    later = trained(small_data, "3t1c-only", 4, **settings, age_s="10")
    assert later.digest() == now.digest()
    assert later.test_accuracy[:-1] == now.test_accuracy[:-1]
    # Nothing is left of the weights: the first class is taken, which 14 of 40 are of.
    assert later.test_accuracy[-1] == later.evaluate() == 35
    assert now.test_accuracy[-1] > 50


def test_without_drift_and_leak_nothing_is_lost_but_what_a_read_rounds(small_data):
    trainer = trained(small_data, cell="ideal")
    read_lsb = 2 ** (20 + 1 - 11)
    kept_weights = weights_after(trainer, YEAR_S)
    for before, kept in zip(weights_of(trainer.network), kept_weights, strict=True):
        assert np.abs(kept - before).max() <= 2 * read_lsb


def test_the_lower_pair_is_gone_within_a_second_and_holds_without_leak(small_data):
    leaks = trained(small_data, cell="3t1c-only", transfer_interval="0")
    assert all((kept == 0).all() for kept in weights_after(leaks, 10))
    half_life = weights_after(leaks, 0.05 * np.log(2))
    for now, kept in zip(weights_of(leaks.network), half_life, strict=True):
        assert np.abs(kept - now / 2).max() <= 1
    holds = trained(small_data, "3t1c-only", transfer_interval="0", leak_tau_ns="0")
    for now, kept in zip(weights_of(holds.network), weights_after(holds, YEAR_S), strict=True):
        assert (kept == now).all()


def test_drift_takes_its_power_of_time_and_a_rescale_gives_it_back(small_data):
    # All devices with nu = 0.04, and nothing on the capacitors once they have leaked.
    trainer = trained(small_data, pcm_model="set_pulse", leak_tau_ns="1e5")
    first = weights_after(trainer, 10)
    for age_s in (DAY_S, YEAR_S):
        kept, rescaled = weights_after(trainer, age_s), weights_after(trainer, age_s, rescale=True)
        for start, plain, scaled in zip(first, kept, rescaled, strict=True):
            share = ((1 + age_s / 20) / (1 + 10 / 20)) ** -0.04
            assert np.abs(plain).sum() / np.abs(start).sum() == pytest.approx(share, rel=1e-3)
            assert np.abs(scaled).sum() > np.abs(start).sum()  # before 10 s of drift, too
            ratio = np.abs(scaled).sum() / np.abs(plain).sum()
            assert np.abs(scaled - ratio * plain).max() <= 1


def test_time_does_not_age_the_float_cell(small_data):
    later = trained(small_data, cell="float", age_s=str(YEAR_S))
    assert later.evaluations == trained(small_data, cell="float").evaluations
