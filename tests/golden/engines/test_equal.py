"""The compiled engine ends in the numpy engine's state, bit for bit, whatever the cell."""

from __future__ import annotations

import numpy as np
import pytest

from golden.engines.compiled_engine import CompiledEngine
from golden.engines.numpy_engine import NumpyEngine
from golden.training.config import configure
from golden.training.network import Network, initial_weights

LAYERS, SEED, EXAMPLES = [20, 9, 7, 4], 5, 60

CASES: dict[str, tuple[str, dict[str, str]]] = {
    "the default cell": ("pcm-3t1c", {}),
    "leak towards the supply, cycle to cycle, stuck devices": (
        "pcm-3t1c",
        {
            "cycle_to_cycle": "0.3",
            "stuck_fraction": "0.05",
            "reference": "fixed",
            "leak_tick_ns": "500",
            "leak_tau_ns": "1e6",
        },
    ),
    "set_pulse, stochastic streams, offset, compensation": (
        "pcm-3t1c",
        {
            "stream_mode": "stochastic",
            "offset": "20",
            "leak_compensation": "64",
            "slots": "16",
            "trim_limit": "12",
            "pcm_model": "set_pulse",
            "leak_tick_ns": "50",
        },
    ),
    "pcm-only with refresh": ("pcm-only", {"refresh_level": "0.05", "learning_rate": "0.05"}),
    "3t1c-only": ("3t1c-only", {}),
    "the ideal cell with narrow codes": ("ideal", {"pwm_bits": "6", "column_bits": "5"}),
    "no inversion, wide converters, averaged reads": (
        "pcm-3t1c",
        {
            "polarity_inversion": "false",
            "forward_bits": "12",
            "backward_bits": "11",
            "read_average_log2": "3",
            "calibration_log2": "3",
        },
    ),
    "random choppers": ("pcm-3t1c", {"chopper": "random", "trim_limit": "12"}),
    "small weight units": (
        "pcm-3t1c",
        {"weight_units_log2": "-2,-1,-3", "learning_rate": "0.005", "backward_range_log2": "0"},
    ),
    "rows skewed": ("pcm-3t1c", {"row_skew": "true"}),
    "rows skewed, few slots, both polarities": (
        "pcm-3t1c",
        {
            "row_skew": "true",
            "slots": "8",
            "transfer_mode": "staggered",
            "learning_rate": "0.005",
            "trim_limit": "32",
        },
    ),
    "64 slots, rows skewed, cycle to cycle, leak": (
        "pcm-3t1c",
        {
            "slots": "64",
            "row_skew": "true",
            "cycle_to_cycle": "0.3",
            "leak_tick_ns": "500",
            "leak_tau_ns": "1e6",
            "trim_limit": "12",
        },
    ),
    "128 slots, random choppers, staggered, cycle to cycle": (
        "pcm-3t1c",
        {
            "slots": "128",
            "chopper": "random",
            "transfer_mode": "staggered",
            "cycle_to_cycle": "0.3",
            "learning_rate": "0.05",
        },
    ),
    "128 slots, low discrepancy": ("pcm-3t1c", {"slots": "128", "trim_limit": "12"}),
    "128 slots, stochastic, rows skewed, both polarities": (
        "pcm-3t1c",
        {
            "slots": "128",
            "stream_mode": "stochastic",
            "row_skew": "true",
            "transfer_mode": "staggered",
            "learning_rate": "0.05",
        },
    ),
    "pcm-only of 128 slots": (
        "pcm-only",
        {"slots": "128", "refresh_level": "0.05", "learning_rate": "0.05"},
    ),
    "steep slope, narrow bound, largest steps of 128 slots": (
        "pcm-3t1c",
        {
            "slots": "128",
            "slope": "1",
            "bound": "0.05",
            "step": "0.0039",
            "step_spread": "0.5",
            "up_down_mismatch": "0.5",
            "learning_rate": "0.4",
            "trim_limit": "48",
        },
    ),
    "a long trim of coarse steps": (
        "pcm-3t1c",
        {"step": "0.015", "learning_rate": "0.2", "trim_limit": "48", "trim_tol": "0"},
    ),
    "steep slope, narrow bound, largest steps": (
        "pcm-3t1c",
        {
            "slope": "1",
            "bound": "0.05",
            "step": "0.0156",
            "step_spread": "0.5",
            "up_down_mismatch": "0.5",
            "trim_limit": "48",
        },
    ),
}


def listing(network: Network) -> dict[str, np.ndarray]:
    """Every register and array of the state, by tile and name."""
    found: dict[str, np.ndarray] = {"example": np.array(network.example)}
    for index, tile in enumerate(network.tiles):
        for name, value in tile.registers().items():
            found[f"tile {index} register {name}"] = np.array(value)
        for name, array in tile.state().items():
            found[f"tile {index} {name}"] = array.copy()
    return found


def first_mismatch(expected: Network, got: Network) -> str:
    """Empty where equal, else array, index, expected and got."""
    theirs = listing(got)
    for name, wanted in listing(expected).items():
        found = theirs[name]
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            return f"{name}: expected {wanted.dtype}{wanted.shape}, got {found.dtype}{found.shape}"
        away = np.argwhere(np.atleast_1d(wanted != found))
        if len(away):
            place = tuple(int(k) for k in away[0])
            values = np.atleast_1d(wanted)[place], np.atleast_1d(found)[place]
            return f"{name} at {place} ({len(away)} in all): expected {values[0]}, got {values[1]}"
    return ""


class Both:
    """The two engines on twin networks, compared after every move."""

    def __init__(self, cell: str, settings: dict[str, str]) -> None:
        config = configure(cell, settings)
        self.networks = [Network(config, LAYERS, SEED) for _ in range(2)]
        self.numpy = NumpyEngine(self.networks[0])
        self.compiled = CompiledEngine(self.networks[1])
        self.engines = (self.numpy, self.compiled)
        rng, top = np.random.default_rng(0), config.tile.row_code.high + 1
        images = rng.integers(0, top, (EXAMPLES, LAYERS[0]))
        self.images = (images * (rng.random(images.shape) < 0.6)).astype(np.uint8)
        self.labels = rng.integers(0, LAYERS[-1], EXAMPLES).astype(np.uint8)
        self.check("before anything")
        weights = initial_weights(config, LAYERS, SEED)
        for engine in self.engines:
            engine.load(weights)
        self.check("after LOAD")

    def check(self, when: str) -> None:
        for engine in self.engines:
            engine.synchronise()
        mismatch = first_mismatch(*self.networks)
        assert not mismatch, f"{when}: {mismatch}"
        assert self.networks[0].digest() == self.networks[1].digest(), when

    def train(self, epoch: int, when: str) -> None:
        for network, engine in zip(self.networks, self.engines, strict=True):
            network.set_epoch(epoch)
            engine.train(self.images, self.labels)
        self.check(when)

    def transfer(self, rows: slice, when: str) -> None:
        for engine in self.engines:
            for index, tile in enumerate(self.networks[0].tiles):
                due = range(tile.spec.rows)[rows]
                engine.transfer(index, due[0], due[-1])
            engine.align_clocks()
        self.check(when)


@pytest.mark.parametrize("case", CASES)
def test_both_engines_end_in_the_same_state(case: str) -> None:
    both = Both(*CASES[case])
    start = both.networks[0].digest()
    both.train(0, "training")
    assert both.networks[0].digest() != start
    both.transfer(slice(None), "a burst")
    both.train(1, "training on the other polarity")
    both.transfer(slice(2, 5), "transfers of some rows")
    bits = both.networks[0].tiles[0].controller.polarity.bits
    inverts = both.networks[0].config.tile.transfer.polarity_inversion
    assert (0 < bits.sum() < len(bits)) == inverts
    both.train(2, "training on mixed polarities")
    if case == "pcm-only with refresh":
        assert both.networks[0].tiles[0].array.worn_rows().size
    for engine in both.engines:
        engine.refresh(0)
    both.check("a refresh of worn rows")


def test_evaluation_agrees_and_changes_nothing() -> None:
    both = Both("pcm-3t1c", {})
    both.train(0, "training")
    before = both.networks[0].digest()
    correct = [engine.evaluate(both.images, both.labels) for engine in both.engines]
    assert correct[0] == correct[1]
    both.check("after an evaluation")
    assert both.networks[0].digest() == before


def test_training_in_pieces_is_training_in_one() -> None:
    whole, pieces = Both("pcm-3t1c", {}), Both("pcm-3t1c", {})
    whole.train(0, "in one")
    pieces.networks[1].set_epoch(0)
    for first, last in ((0, 1), (1, 30), (30, 30), (30, EXAMPLES)):
        piece = slice(first, last)
        pieces.compiled.train(pieces.images[piece], pieces.labels[piece])
        pieces.compiled.evaluate(pieces.images, pieces.labels)
    pieces.compiled.synchronise()
    mismatch = first_mismatch(whole.networks[0], pieces.networks[1])
    assert not mismatch, mismatch


# With so many rows the last groups are late by more than a part of a word.
MANY_PARTS = {"slots": "128", "row_skew": "true"}


@pytest.mark.parametrize(
    ("layers", "settings"),
    [
        ([6, 4], {}), ([1, 1], {}), ([1, 9, 2], {}), ([30, 17, 3], {}), ([1100, 2], {}),
        ([1100, 2], MANY_PARTS), ([1100, 2], MANY_PARTS | {"cycle_to_cycle": "0.3"}),
    ],
    ids=str,
)  # fmt: skip
def test_sizes_off_the_block_of_the_compiled_loops(
    layers: list[int], settings: dict[str, str]
) -> None:
    config, networks = configure("pcm-3t1c", {"leak_tick_ns": "1000"} | settings), []
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (25, layers[0])).astype(np.uint8)
    labels = rng.integers(0, layers[-1], 25).astype(np.uint8)
    for kind in (NumpyEngine, CompiledEngine):
        network = Network(config, layers, SEED)
        engine = kind(network)
        engine.load(initial_weights(config, layers, SEED))
        network.set_epoch(0)
        engine.train(images, labels)
        for index, tile in enumerate(network.tiles):
            engine.transfer(index, 0, tile.spec.rows // 2)
        engine.train(images, labels)
        engine.synchronise()
        networks.append(network)
    mismatch = first_mismatch(*networks)
    assert not mismatch, mismatch
    assert networks[0].digest() == networks[1].digest()
