"""Checkpoints: going on gives the state of a run never stopped, and damage is found."""

from __future__ import annotations

import dataclasses
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.training import checkpoint
from golden.training.loop import Run, Trainer
from golden.training.network import Network
from spec.errors import InputError

BURST = {"transfer_interval": "40"}
STAGGERED = {"transfer_interval": "40", "transfer_mode": "staggered"}
CHOPPED = STAGGERED | {"chopper": "random"}


def run_of(small_data: Path, **changes: Any) -> Run:
    usual = Run(hidden=(4,), examples=100, engine="numpy", data_dir=str(small_data))
    return dataclasses.replace(usual, **({"settings": BURST} | changes))


def train_to_end(trainer: Trainer) -> Trainer:
    while not trainer.done:
        trainer.advance()
    return trainer


def stopped_at(run: Run, example: int) -> Trainer:
    trainer = train_to_end(Trainer(dataclasses.replace(run, examples=example)))
    assert trainer.example == example
    return trainer


def written(folder: Path, run: Run, example: int) -> Path:
    checkpoint.write(folder, stopped_at(run, example).snapshot())
    return folder / checkpoint.NAME


@pytest.mark.parametrize("example", [1, 39, 40, 99])
@pytest.mark.parametrize(
    "settings", [BURST, STAGGERED, CHOPPED], ids=["burst", "staggered", "random choppers"]
)
def test_a_resumed_run_ends_as_one_never_stopped(tmp_path, small_data, settings, example):
    run = run_of(small_data, settings=settings)
    written(tmp_path, run, example)
    resumed = Trainer(run, snapshot=checkpoint.read(tmp_path))
    assert resumed.example == example
    assert train_to_end(resumed).digest() == digest_of(small_data, tuple(settings.items()))


@cache
def digest_of(small_data: Path, settings: tuple[tuple[str, str], ...]) -> str:
    return train_to_end(Trainer(run_of(small_data, settings=dict(settings)))).digest()


def test_the_chopper_is_in_checkpoint_and_digest_and_otherwise_in_neither(small_data):
    usual, chopped = (stopped_at(run_of(small_data, settings=s), 45) for s in (STAGGERED, CHOPPED))
    more = {name for tile in chopped.snapshot().registers for name in tile}
    assert more - {name for tile in usual.snapshot().registers for name in tile} == {"chopper_lfsr"}
    before, network = chopped.digest(), chopped.network
    assert isinstance(network, Network)
    chopper = network.tiles[0].controller.transfers.chopper
    assert chopper is not None
    chopper.draw()
    assert chopped.digest() != before


def test_an_epoch_may_end_between(tmp_path, small_data):
    run = run_of(small_data, examples=160)
    written(tmp_path, run, 150)
    resumed = train_to_end(Trainer(run, snapshot=checkpoint.read(tmp_path)))
    assert resumed.digest() == train_to_end(Trainer(run)).digest()


@pytest.mark.parametrize("cell", ["pcm-only", "3t1c-only", "ideal", "float"])
def test_every_cell_resumes(tmp_path, small_data, cell):
    settings = {} if cell == "3t1c-only" else {"transfer_interval": "20"}
    run = run_of(small_data, cell=cell, settings=settings, examples=60)
    written(tmp_path, run, 30)
    resumed = train_to_end(Trainer(run, snapshot=checkpoint.read(tmp_path)))
    whole = train_to_end(Trainer(run))
    assert resumed.digest() == whole.digest()
    assert resumed.counters() == whole.counters()


@pytest.mark.parametrize("engines", [("numpy", "compiled"), ("compiled", "numpy")])
@pytest.mark.parametrize("settings", [STAGGERED, CHOPPED], ids=["staggered", "random choppers"])
def test_one_engine_goes_on_where_the_other_stopped(tmp_path, small_data, engines, settings):
    run = run_of(small_data, settings=settings)
    first, second = (dataclasses.replace(run, engine=engine) for engine in engines)
    written(tmp_path, first, 70)
    resumed = train_to_end(Trainer(second, snapshot=checkpoint.read(tmp_path)))
    assert resumed.digest() == digest_of(small_data, tuple(settings.items()))


def test_a_checkpoint_holds_the_history(tmp_path, small_data):
    run = run_of(small_data, evaluate_every=30)
    trainer = stopped_at(run, 80)
    checkpoint.write(tmp_path, trainer.snapshot())
    snapshot = checkpoint.read(tmp_path)
    assert snapshot.run == trainer.run
    assert snapshot.evaluations == trainer.evaluations
    assert snapshot.state_digest == trainer.digest()
    whole = train_to_end(Trainer(run)).evaluations
    assert {n: a for n, a in snapshot.evaluations.items() if n != 80}.items() <= whole.items()


def test_taking_a_snapshot_changes_nothing(small_data):
    run = run_of(small_data, evaluate_every=10)
    trainer = Trainer(run)
    while not trainer.done:
        trainer.advance()
        trainer.snapshot()
    assert trainer.digest() == train_to_end(Trainer(run)).digest()


# -- damage ------------------------------------------------------------------------------------


def test_a_missing_checkpoint(tmp_path):
    with pytest.raises(InputError, match="no checkpoint there"):
        checkpoint.read(tmp_path)


@pytest.mark.parametrize("kept", [0, 10, 200, 0.5, -1])
def test_a_cut_checkpoint(tmp_path, small_data, kept):
    path = written(tmp_path, run_of(small_data), 5)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(InputError, match=r"cut|damaged"):
        checkpoint.read(tmp_path)


def test_an_altered_byte_is_found_wherever_it_is(tmp_path, small_data):
    path = written(tmp_path, run_of(small_data), 5)
    data = path.read_bytes()
    places = np.random.default_rng(0).integers(0, len(data), 60)
    for place in [0, 20, 60, 100, len(data) - 1, *places]:
        altered = bytearray(data)
        altered[place] ^= 0x04
        path.write_bytes(altered)
        with pytest.raises(InputError):
            checkpoint.read(tmp_path)


def test_another_version_is_named(tmp_path, small_data):
    path = written(tmp_path, run_of(small_data), 5)
    head, _, body = path.read_bytes().partition(b"\n")
    header = json.loads(head) | {"version": 99}
    path.write_bytes(json.dumps(header).encode() + b"\n" + body)
    with pytest.raises(InputError, match="version 99"):
        checkpoint.read(tmp_path)


def test_no_pickle_is_ever_loaded(tmp_path, small_data):
    snapshot = stopped_at(run_of(small_data), 5).snapshot()
    harmful = {"0.lower": np.array([print], object)}
    checkpoint.write(tmp_path, dataclasses.replace(snapshot, arrays=harmful))
    with pytest.raises(InputError, match="not a checkpoint of this program"):
        checkpoint.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"transfer_interval": "41"}}, "transfer_interval 40 there and 41 here"),
        ({"cell": "ideal"}, "another spec"),
        ({"hidden": (5,)}, "hidden 4 there and 5 here"),
        ({"hidden": (4, 4)}, "hidden 4 there"),
        ({"seed": 1}, "seed 0 there and 1 here"),
        ({"hold_out": 10}, "not the data"),
        ({"examples": 49}, "raise --examples"),
    ],
)
def test_another_run_does_not_take_it(tmp_path, small_data, change, message):
    run = run_of(small_data)
    written(tmp_path, run, 50)
    with pytest.raises(InputError, match=message):
        Trainer(dataclasses.replace(run, **change), snapshot=checkpoint.read(tmp_path))


def test_float_does_not_change_engines(tmp_path, small_data):
    run = run_of(small_data, cell="float", settings={})
    written(tmp_path, run, 50)
    with pytest.raises(InputError, match="give --engine numpy"):
        Trainer(dataclasses.replace(run, engine="auto"), snapshot=checkpoint.read(tmp_path))


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, small_data, monkeypatch, step):
    run = run_of(small_data)
    path = written(tmp_path, run, 5)
    before, later = path.read_bytes(), stopped_at(run, 20).snapshot()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), full)
    with pytest.raises(InputError, match="No space left"):
        checkpoint.write(tmp_path, later)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [checkpoint.NAME]


def test_a_torn_write_beside_it_does_no_harm(tmp_path, small_data):
    run = run_of(small_data)
    path = written(tmp_path, run, 5)
    path.with_name(f".{path.name}.tmp").write_bytes(b"the start of a checkpoint")
    assert checkpoint.read(tmp_path).example == 5
    written(tmp_path, run, 20)
    assert checkpoint.read(tmp_path).example == 20
