"""The training run: order, schedule, evaluation; and the float cell against its own mathematics."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.training.config import configure
from golden.training.loop import Run, Trainer, example_order
from golden.training.network import initial_weights
from golden.training.software import (
    ACTIVATIONS,
    CompiledSoftwareEngine,
    SoftwareEngine,
    SoftwareNetwork,
    activate,
)
from spec.errors import InputError

TRAINING = 150
SCHEDULES = {
    "burst": {"transfer_interval": "40"},
    "staggered": {"transfer_interval": "40", "transfer_mode": "staggered"},
}


def run_of(small_data: Path, **changes: Any) -> Run:
    usual = Run(hidden=(4,), epochs=2, engine="numpy", data_dir=str(small_data))
    return dataclasses.replace(usual, **({"settings": SCHEDULES["burst"]} | changes))


def finished(run: Run) -> Trainer:
    trainer = Trainer(run)
    while not trainer.done:
        trainer.advance()
    return trainer


# -- the order of examples -------------------------------------------------------------------


def test_an_epoch_takes_every_example_once():
    assert sorted(example_order(3, 0, 1000)) == list(range(1000))


def test_the_order_is_of_the_seed_and_the_epoch():
    orders = [tuple(example_order(seed, epoch, 50)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4
    assert tuple(example_order(0, 1, 50)) == orders[1]


# -- the schedule ----------------------------------------------------------------------------


class Recorder:
    """Notes what an engine is asked for, with the examples done at that moment."""

    def __init__(self, trainer: Trainer) -> None:
        self.engine, self.trainer = trainer.engine, trainer
        self.calls: list[tuple[str, int, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.engine, name)

        def call(*arguments: Any) -> Any:
            self.calls.append((name, self.trainer.example, arguments))
            return method(*arguments)

        return call


def recorded(run: Run) -> tuple[Trainer, Recorder]:
    trainer = Trainer(run)
    recorder = Recorder(trainer)
    trainer.engine = recorder  # pyright: ignore[reportAttributeAccessIssue]
    while not trainer.done:
        trainer.advance()
    return trainer, recorder


def test_a_burst_moves_all_rows_after_each_interval_and_aligns_the_clocks(small_data):
    trainer, recorder = recorded(run_of(small_data, examples=100))
    calls = [call for call in recorder.calls if call[0] in ("transfer", "align_clocks")]
    whole = [("transfer", (0, 0, 9)), ("transfer", (1, 0, 4)), ("align_clocks", ())]
    assert [(name, n, a) for n in (40, 80) for name, a in whole] == calls
    assert trainer.transfers == 2


def test_staggered_moves_each_row_once_an_interval(small_data):
    run = run_of(small_data, examples=130, settings=SCHEDULES["staggered"])
    trainer, recorder = recorded(run)
    for tile, rows in ((0, 10), (1, 5)):
        for first in (0, 40, 80):
            moved = [
                row
                for name, n, a in recorder.calls
                if name == "transfer" and a[0] == tile and first < n <= first + 40
                for row in range(a[1], a[2] + 1)
            ]
            assert moved == list(range(rows))
    assert "align_clocks" not in [name for name, _, _ in recorder.calls]
    assert trainer.transfers == 3


def test_rows_due_are_moved_after_exactly_their_example(small_data):
    # Row r of R is due after example m + 1 with floor(m R / I) <= r < floor((m + 1) R / I).
    run = run_of(small_data, examples=40, settings=SCHEDULES["staggered"])
    _, recorder = recorded(run)
    found = {
        row: n
        for name, n, a in recorder.calls
        if name == "transfer" and a[0] == 1
        for row in range(a[1], a[2] + 1)
    }
    expected = {m * 5 // 40: m for m in range(40) if (m + 1) * 5 // 40 > m * 5 // 40}
    assert found == {row: m + 1 for row, m in expected.items()}


def test_pcm_only_refreshes_each_tile_instead(small_data):
    run = run_of(small_data, cell="pcm-only", examples=100, settings={"transfer_interval": "50"})
    _, recorder = recorded(run)
    refreshed = [(n, *a) for name, n, a in recorder.calls if name == "refresh"]
    assert refreshed == [(50, 0), (50, 1), (100, 0), (100, 1)]


def test_3t1c_only_never_transfers(small_data):
    trainer = finished(run_of(small_data, cell="3t1c-only", settings={}, examples=60))
    assert trainer.transfers == 0
    assert trainer.counters()["rows"] == 10 + 5  # the LOAD of the initial weights


def test_each_epoch_has_its_rate(small_data):
    trainer = Trainer(run_of(small_data))
    scales = {}
    while not trainer.done:
        epoch = trainer.advance().epoch
        scales.setdefault(epoch, []).append(trainer.network.tiles[0].registers()["row_scale"])
    assert [len(set(found)) for found in scales.values()] == [1, 1]
    # A threshold scale goes with one over the root of the rate.
    assert scales[0][0] < scales[1][0]


# -- exactness -------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_evaluation_changes_nothing(small_data, schedule):
    run = run_of(small_data, settings=SCHEDULES[schedule])
    often = finished(dataclasses.replace(run, evaluate_every=7))
    assert len(often.evaluations) > 40
    assert often.digest() == finished(run).digest()


@pytest.mark.parametrize(
    ("cell", "settings"),
    [
        ("pcm-3t1c", SCHEDULES["burst"]),
        ("pcm-3t1c", SCHEDULES["staggered"]),
        ("pcm-only", {"transfer_interval": "20"}),
    ],
)
def test_both_engines_end_in_the_same_state(small_data, cell, settings):
    run = run_of(small_data, cell=cell, settings=settings, epochs=2)
    numpy, compiled = finished(run), finished(dataclasses.replace(run, engine="compiled"))
    assert numpy.engine.name != compiled.engine.name
    assert numpy.evaluations == compiled.evaluations
    assert numpy.counters() == compiled.counters()
    assert numpy.digest() == compiled.digest()


def test_other_seeds_give_other_states(small_data):
    digests = {finished(run_of(small_data, seed=seed, epochs=1)).digest() for seed in (0, 1)}
    assert len(digests) == 2


# -- what a run says about itself --------------------------------------------------------------


def test_accuracy_is_listed_by_epoch_and_for_a_last_part(small_data):
    trainer = finished(run_of(small_data, examples=TRAINING + 50, evaluate_every=60))
    assert list(trainer.evaluations) == [60, 120, 150, 180, 200]
    assert trainer.test_accuracy == [trainer.evaluations[150], trainer.evaluations[200]]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_small_set_is_learnt(small_data, seed):
    settings = {"transfer_interval": "400", "learning_rate": "0.03", "learning_rate_decay": "1"}
    run = run_of(small_data, hidden=(8,), epochs=4, settings=settings, seed=seed)
    # 40 test examples, three classes: chance is 33 %, and 80 % is six standard errors above.
    assert finished(run).test_accuracy[-1] > 80


@pytest.mark.parametrize(
    ("dataset", "hidden"),
    [("mnist", (250, 125)), ("fashion-mnist", (250, 125)), ("cifar10", ()), ("mnist-pairs", ())],
)
def test_the_hidden_layers_are_the_papers_unless_given(dataset, hidden):
    run = Run(dataset=dataset)
    assert run.hidden == hidden
    assert run.to_json()["hidden"] == list(hidden)
    assert Run.from_json(run.to_json()) == run
    assert Run(dataset=dataset, hidden=(7,)).hidden == (7,)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", -1),
        ("seed", 1 << 32),
        ("epochs", 0),
        ("examples", 0),
        ("hidden", (6, 0)),
        ("hidden", (6,) * 64),
        ("cell", "flash"),
        ("engine", "cuda"),
        ("dataset", "imagenet"),
    ],
)
def test_a_value_out_of_range_is_refused(field, value):
    with pytest.raises(InputError, match=f"--{field}"):
        Run(**{field: value})


def test_more_examples_than_the_epochs_hold_are_refused(small_data):
    with pytest.raises(InputError, match="raise --epochs"):
        Trainer(run_of(small_data, examples=2 * TRAINING + 1))


def test_a_run_of_more_updates_than_there_are_draws_for_is_refused_before_training(small_data):
    # 2^32 ordinals, of which an UPDATE has 128, or 32 with fewer slots; none where none is drawn.
    whole = (1 << 32) // 128 // TRAINING
    settings = {"slots": "128", "learning_rate_decay": "1"}
    run = run_of(small_data, cell="pcm-only", settings=settings, epochs=whole)
    Trainer(run)
    longer = dataclasses.replace(run, epochs=whole + 1)
    with pytest.raises(InputError) as caught:
        Trainer(longer)
    assert str(caught.value) == (
        f"{(whole + 1) * TRAINING} examples are more than an UPDATE of 128 slots has draws for; "
        "lower --epochs or --examples"
    )
    Trainer(dataclasses.replace(longer, settings=settings | {"slots": "32"}))
    Trainer(dataclasses.replace(longer, cell="pcm-3t1c"))


def test_a_rate_that_a_later_epoch_cannot_give_is_refused_before_training(small_data):
    settings = {"learning_rate_decay": "0.01"}
    Trainer(run_of(small_data, settings=settings, epochs=2))
    with pytest.raises(InputError, match="too small"):
        Trainer(run_of(small_data, settings=settings, epochs=6))


# -- the float cell ----------------------------------------------------------------------------


def loss(weights: list[np.ndarray], image: np.ndarray, label: int, activation: str) -> float:
    """Softmax cross-entropy, written here again as the oracle."""
    values = image / 255
    for index, matrix in enumerate(weights):
        values = values @ matrix[:-1] + matrix[-1]
        if index < len(weights) - 1:
            values = activate(values, activation)
    return float(np.log(np.exp(values).sum()) - values[label])


def software(activation: str, engine: type[SoftwareEngine]) -> tuple[SoftwareNetwork, Any]:
    config = configure("float", {"activation": activation, "learning_rate": "0.25"})
    network = SoftwareNetwork(config, [12, 7, 5, 3], 4)
    driver = engine(network)
    driver.load(initial_weights(config, network.layers, 4))
    network.set_epoch(0)
    return network, driver


@pytest.mark.parametrize("engine", [SoftwareEngine, CompiledSoftwareEngine])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_float_step_is_the_rate_times_the_gradient(activation, engine):
    network, driver = software(activation, engine)
    image = np.random.default_rng(1).integers(0, 256, 12).astype(np.uint8)
    before = [tile.weights.copy() for tile in network.tiles]
    driver.train(image[None], np.array([2], np.uint8))
    tiny = 1e-5
    for index, tile in enumerate(network.tiles):
        for cell in [(0, 0), (3, 1), (tile.weights.shape[0] - 1, 2)]:
            sides = []
            for sign in (1, -1):
                moved = [matrix.copy() for matrix in before]
                moved[index][cell] += sign * tiny
                sides.append(loss(moved, image, 2, activation))
            gradient = (sides[0] - sides[1]) / (2 * tiny)
            change = tile.weights[cell] - before[index][cell]
            # The error of a central difference is of the order tiny^2; 1e-7 is far above it.
            assert change == pytest.approx(-0.25 * gradient, abs=1e-7)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_two_float_engines_differ_by_rounding_only(activation):
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (40, 12)).astype(np.uint8)
    images[:, 3] = 0  # an input that is skipped
    labels = rng.integers(0, 3, 40).astype(np.uint8)
    found = []
    for engine in (SoftwareEngine, CompiledSoftwareEngine):
        network, driver = software(activation, engine)
        driver.train(images, labels)
        assert network.example == 40
        found.append(network.flat)
    # Sums in another order: some units in the last place, grown over 40 steps.
    assert np.abs(found[0] - found[1]).max() < 1e-12


def test_float_starts_from_the_weights_of_the_tiles(small_data):
    run = run_of(small_data, epochs=1)
    tiles = Trainer(run).network.tiles
    for units, by_layer in (("0", (0, 0)), ("-1,-2", (-2, -1))):
        settings = {"weight_units_log2": units}
        float_run = dataclasses.replace(run, cell="float", settings=settings)
        float_tiles = Trainer(float_run).network.tiles
        codes = initial_weights(configure("pcm-3t1c", settings), [9, 4, 3], 0)
        for tile, matrix, unit in zip(float_tiles, codes, by_layer, strict=True):
            lsb = 2.0 ** (tile.spec.converters.read_lsb_log2 + unit)
            assert (tile.state()["weights"] == matrix * lsb).all()
            assert np.abs(matrix * lsb).max() < 3**0.5 / 2 < 2 * np.abs(matrix * lsb).max()
    assert [t.spec.rows for t in tiles] == [t.spec.rows for t in float_tiles]


def test_float_has_no_transfers_and_takes_rates_that_no_tile_could(small_data):
    run = run_of(small_data, cell="float", settings={"learning_rate": "0.5"}, epochs=1)
    trainer = finished(run)
    assert (trainer.transfers, trainer.counters()) == (0, {})
    with pytest.raises(InputError, match="learning_rate"):
        Trainer(dataclasses.replace(run, cell="pcm-3t1c"))
