"""A training run: what it is, and the loop that trains, transfers and evaluates on schedule."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from golden.analog.random import (
    LINE_BITS,
    ORDINAL_BITS,
    SEED_LIMIT,
    TILE_BITS,
    Mechanism,
    philox,
)
from golden.engines.numpy_engine import NumpyEngine
from golden.training import datasets, retention, schedule
from golden.training.config import CELLS, Config, configure
from golden.training.datasets import Dataset
from golden.training.network import Network, initial_weights
from golden.training.software import (
    CompiledSoftwareEngine,
    SoftwareEngine,
    SoftwareNetwork,
)
from spec.errors import InputError
from spec.parameter import to_dict

ENGINES = ("auto", "compiled", "numpy")
HIDDEN: dict[str, tuple[int, ...]] = {"cifar10": (), "cifar100": (), "mnist-pairs": ()}
"""Hidden layers of the paper's network for a data set; of all others `USUAL_HIDDEN`. 2048-10 and
2048-100 have 20,490 and 204,900 synapses with their bias rows [found]."""
USUAL_HIDDEN = (250, 125)
CHUNK_EXAMPLES = 1000
"""Most examples between two reports: a stop is honoured after each report."""


class Engine(Protocol):
    """What drives a network; see `golden.engines.numpy_engine` for the meaning of each."""

    name: str

    def load(self, weights: list[NDArray[np.int64]]) -> None: ...  # noqa: D102
    def train(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None: ...  # noqa: D102
    def transfer(self, tile: int, first: int, last: int) -> None: ...  # noqa: D102
    def refresh(self, tile: int) -> None: ...  # noqa: D102
    def align_clocks(self) -> None: ...  # noqa: D102
    def synchronise(self) -> None: ...  # noqa: D102
    def evaluate(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Run:
    """The description of a run: with the data and this version, it determines every result.

    `settings` are `--set` names -> text. `hidden` are the widths of the hidden layers; if
    it is not given, the paper's for the data set. `examples` ends the run after so many training
    examples in all; None: after `epochs` whole epochs.
    `hold_out` takes the last so many training examples as the test set; 0: the real one.
    `evaluate_every` evaluates after every so many examples besides the ends of epochs; 0: not.

    Raises InputError, one line, on a value out of range or an unknown name.
    """

    dataset: str = "mnist"
    cell: str = "pcm-3t1c"
    settings: dict[str, str] = field(default_factory=dict)
    hidden: tuple[int, ...] = cast("tuple[int, ...]", None)  # the data set's, from __post_init__
    epochs: int = 20
    examples: int | None = None
    seed: int = 0
    engine: str = "auto"
    data_dir: str | None = None
    hold_out: int = 0
    evaluate_every: int = 0

    def __post_init__(self) -> None:
        """Fill in the hidden layers, and check what does not need the data."""
        choices = (
            ("dataset", self.dataset, datasets.NAMES),
            ("cell", self.cell, tuple(CELLS)),
            ("engine", self.engine, ENGINES),
        )
        for name, value, allowed in choices:
            if value not in allowed:
                raise InputError(f"--{name} {value}: choose one of {', '.join(allowed)}")
        ranges = (
            ("seed", self.seed, 0, SEED_LIMIT - 1),
            ("epochs", self.epochs, 1, 1 << 20),
            ("examples", 1 if self.examples is None else self.examples, 1, 1 << 40),
            ("hold-out", self.hold_out, 0, 1 << 30),
            ("evaluate-every", self.evaluate_every, 0, 1 << 40),
        )
        for name, value, low, high in ranges:
            if not low <= value <= high:
                raise InputError(f"--{name} {value}: give a whole number from {low} to {high}")
        if self.hidden is None:
            object.__setattr__(self, "hidden", HIDDEN.get(self.dataset, USUAL_HIDDEN))
        if not all(width >= 1 for width in self.hidden):
            raise InputError(f"--hidden {_listed(self.hidden)}: give widths of at least 1")
        if len(self.hidden) >= 1 << TILE_BITS:
            raise InputError(f"--hidden: {len(self.hidden)} layers, give at most 63")

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries and lists."""
        return dataclasses.asdict(self) | {"hidden": list(self.hidden)}

    @staticmethod
    def from_json(values: dict[str, Any]) -> Run:
        """The run that `to_json` described. Raises InputError on a value out of range."""
        fields: dict[str, Any] = values | {"hidden": tuple(values["hidden"])}
        return Run(**fields)

    def load_dataset(self) -> Dataset:
        """The data of the run. Raises InputError; see `datasets.load` and `datasets.hold_out`."""
        dataset = datasets.load(self.dataset, self.data_dir)
        return datasets.hold_out(dataset, self.hold_out) if self.hold_out else dataset


@dataclass(frozen=True)
class Snapshot:
    """Everything that a run needs to go on bit for bit; what a checkpoint holds.

    `arrays` are `tile.state()` under "<tile>.<name>", `registers` one dictionary a tile,
    `evaluations` example number -> accuracy in percent.
    """

    run: Run
    config: dict[str, Any]
    data_digest: str
    engine: str
    example: int
    evaluations: dict[int, float]
    training_seconds: float
    state_digest: str
    registers: list[dict[str, int]]
    arrays: dict[str, NDArray]


@dataclass(frozen=True)
class Progress:
    """What a chunk of training did. `accuracy` is the last known, in percent."""

    example: int
    total: int
    epoch: int
    epoch_ended: bool
    evaluated: bool
    accuracy: float | None
    transfers: int
    training_seconds: float


def example_order(seed: int, epoch: int, examples: int) -> NDArray[np.int64]:
    """Indices (examples,) in the order of an epoch (from 0): sorted by random keys of the seed."""
    keys = philox(seed, Mechanism.SHUFFLE, 0, np.arange(examples), epoch)
    return np.argsort(keys, kind="stable")


def data_digest(dataset: Dataset) -> str:
    """SHA-256 of the images and labels of a data set."""
    sha = hashlib.sha256()
    for part in ("train_images", "train_labels", "test_images", "test_labels"):
        array = getattr(dataset, part)
        sha.update(f"{part} {array.shape}\n".encode())
        sha.update(array)
    return sha.hexdigest()


class Trainer:
    """Drives one run. Call `advance` until `done`; stop between two calls whenever you like."""

    def __init__(
        self,
        run: Run,
        dataset: Dataset | None = None,
        snapshot: Snapshot | None = None,
        *,
        engine: Callable[[Network], Engine] | None = None,
        evaluates: bool = True,
        chunk: int = CHUNK_EXAMPLES,
    ) -> None:
        """Build the network and load its weights; with `snapshot`, restore it instead.

        `dataset` saves loading what `run` names. `engine` makes another engine than the one that
        `run` names. Without `evaluates` nothing is evaluated. `chunk` is the most examples between
        two reports. Raises InputError: one line that says what to change, among them a snapshot of
        another specification or other data.
        """
        self.run = run
        self._evaluates, self._chunk = evaluates, chunk
        self.config = configure(run.cell, run.settings)
        self.dataset = dataset or run.load_dataset()
        data = self.dataset
        self.layers = [data.inputs, *run.hidden, data.classes]
        self.examples_an_epoch = len(data.train_labels)
        if self.examples_an_epoch >= 1 << LINE_BITS:
            raise InputError(f"{data.name}: give at most {(1 << LINE_BITS) - 1} examples")
        longest = run.epochs * self.examples_an_epoch
        self.total = longest if run.examples is None else run.examples
        if self.total > longest:
            raise InputError(
                f"--examples {run.examples}: {run.epochs} epochs hold {longest}; raise --epochs"
            )
        # The float cell sees the images whole: it is what the number formats are measured by.
        pwm_bits = 8 if run.cell == "float" else self.config.tile.codes.pwm_bits
        self._train_images = _row_codes(data.train_images, pwm_bits)
        self._test_images = _row_codes(data.test_images, pwm_bits)
        self.evaluations: dict[int, float] = {}
        self.training_seconds = 0.0
        self._order: tuple[int, NDArray[np.int64]] | None = None
        self.network = _network(run, self.config, self.layers)
        if isinstance(self.network, Network):
            _check_draws(self.network, self.total)
        # The rates only fall, so that the first and the last epoch speak for all.
        for epoch in (0, (self.total - 1) // self.examples_an_epoch):
            self.network.set_epoch(epoch)
        self.network.set_epoch(0)
        if snapshot is not None:
            self._restore(snapshot)
        if engine is not None and isinstance(self.network, Network):
            self.engine = engine(self.network)
        else:
            self.engine = _engine(run, self.network)
        if snapshot is None:
            self.engine.load(initial_weights(self.config, self.layers, run.seed))
        # Compiles before the clock runs: training on no example changes nothing.
        nothing = np.zeros(0, np.int64)
        self.engine.train(self._train_images[nothing], data.train_labels[nothing])

    # -- where the run is --------------------------------------------------------------------

    @property
    def example(self) -> int:
        """Training examples done."""
        return self.network.example

    @property
    def done(self) -> bool:
        """All examples are trained, and the last state is evaluated if it is to be."""
        evaluated = self.example in self.evaluations or not self._evaluates
        return self.example >= self.total and evaluated

    @property
    def transfers(self) -> int:
        """Whole passes over all rows of all tiles (pcm-only: passes that refresh worn rows)."""
        return self.example // self._interval if self._interval else 0

    @property
    def test_accuracy(self) -> list[float]:
        """Accuracy in percent after each epoch, and after the last example."""
        whole, total = self.examples_an_epoch, self.total
        return [a for n, a in self.evaluations.items() if n % whole == 0 or n == total]

    @cached_property
    def _data_digest(self) -> str:
        return data_digest(self.dataset)

    @property
    def _interval(self) -> int:
        return 0 if self.run.cell == "float" else self.config.tile.transfer.transfer_interval

    def counters(self) -> dict[str, int]:
        """What the tiles counted, summed: rows, attempts, not_programmed, ...; {} for float."""
        self.engine.synchronise()
        registers = [tile.registers() for tile in self.network.tiles]
        names = {
            "rows": "rows_done",
            "attempts": "attempts",
            "not_programmed": "not_programmed",
            "not_trimmed": "not_trimmed",
            "saturated": "saturated",
        }
        if self.run.cell == "float":
            return {}
        return {name: sum(r[register] for r in registers) for name, register in names.items()}

    def digest(self) -> str:
        """The digest of the whole state; see `Network.digest` and `SoftwareNetwork.digest`."""
        self.engine.synchronise()
        return self.network.digest()

    # -- the loop ----------------------------------------------------------------------------

    def advance(self) -> Progress:
        """Train up to the next report: transfers, rates and evaluations on the way are done."""
        epoch = self.example // self.examples_an_epoch
        started = time.perf_counter()
        stop = self._next_stop()
        if self.example < stop:
            self.network.set_epoch(epoch)
        while self.example < stop:
            self._train(epoch, min(stop, self._next_transfer()))
        self.training_seconds += time.perf_counter() - started
        evaluated = self._evaluation_due()
        if evaluated:
            self.evaluations[self.example] = self.evaluate()
        return Progress(
            example=self.example,
            total=self.total,
            epoch=epoch,
            epoch_ended=self.example % self.examples_an_epoch == 0 or self.done,
            evaluated=evaluated,
            accuracy=next(reversed(self.evaluations.values()), None),
            transfers=self.transfers,
            training_seconds=self.training_seconds,
        )

    def evaluate(self) -> float:
        """Accuracy on the test set in percent. Changes no state and no digest.

        After the last example, of a copy `evaluation.age_s` later, if that is not 0; time does not
        age the float cell.
        """
        labels, engine = self.dataset.test_labels, self.engine
        last = self.example >= self.total and self.config.evaluation.age_s > 0
        if last and isinstance(self.network, Network):
            engine.synchronise()
            engine = NumpyEngine(retention.aged(self.network))
        return 100 * engine.evaluate(self._test_images, labels) / len(labels)

    def _next_stop(self) -> int:
        done, every = self.example, self.run.evaluate_every
        stops = [self.total, done + self._chunk, _next_multiple(done, self.examples_an_epoch)]
        if every:
            stops.append(_next_multiple(done, every))
        return min(stops)

    def _evaluation_due(self) -> bool:
        if not self._evaluates:
            return False
        n, every = self.example, self.run.evaluate_every
        due = n % self.examples_an_epoch == 0 or n >= self.total or (every and n % every == 0)
        return bool(due) and n not in self.evaluations

    def _next_transfer(self) -> int:
        if self._interval == 0:
            return self.total
        if self.config.devices.pcm.direct_update:
            return _next_multiple(self.example, self._interval)
        transfer = self.config.tile.transfer
        return min(
            schedule.next_due(transfer, tile.spec.rows, self.example) for tile in self.network.tiles
        )

    def _train(self, epoch: int, stop: int) -> None:
        """Train up to example number `stop`, and transfer what is due there."""
        if self._order is None or self._order[0] != epoch:
            order = example_order(self.run.seed, epoch, self.examples_an_epoch)
            self._order = epoch, order
        first = epoch * self.examples_an_epoch
        indices = self._order[1][self.example - first : stop - first]
        self.engine.train(self._train_images[indices], self.dataset.train_labels[indices])
        if self._interval:
            self._transfer(stop)

    def _transfer(self, example: int) -> None:
        transfer, burst = self.config.tile.transfer, example % self._interval == 0
        if self.config.devices.pcm.direct_update:
            if burst:
                for index in range(len(self.network.tiles)):
                    self.engine.refresh(index)
                self.engine.align_clocks()
            return
        for index, tile in enumerate(self.network.tiles):
            rows = schedule.rows_due(transfer, tile.spec.rows, example)
            if rows:
                self.engine.transfer(index, rows[0], rows[-1])
        if burst and transfer.transfer_mode == "burst":
            self.engine.align_clocks()

    # -- snapshots ---------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """A copy of everything that `Trainer(run, snapshot=...)` needs to go on bit for bit."""
        self.engine.synchronise()
        arrays = {
            f"{index}.{name}": array.copy()
            for index, tile in enumerate(self.network.tiles)
            for name, array in tile.state().items()
        }
        return Snapshot(
            run=self.run,
            config=to_dict(self.config),
            data_digest=self._data_digest,
            engine=self.engine.name,
            example=self.example,
            evaluations=dict(self.evaluations),
            training_seconds=self.training_seconds,
            state_digest=self.network.digest(),
            registers=[tile.registers() for tile in self.network.tiles],
            arrays=arrays,
        )

    def _restore(self, snapshot: Snapshot) -> None:
        _check_same_spec(
            _facts(snapshot.run, snapshot.config), _facts(self.run, to_dict(self.config))
        )
        engine = _engine_name(self.run)
        if self.run.cell == "float" and snapshot.engine != engine:
            raise InputError(
                f"--engine {engine}: the float cell goes on bit for bit only with the engine that "
                f"it began with; give --engine {snapshot.engine}"
            )
        if snapshot.data_digest != self._data_digest:
            raise InputError(
                f"{self.dataset.name}: not the data that the checkpoint was trained on; "
                "give the same files, or train anew"
            )
        if snapshot.example > self.total:
            raise InputError(
                f"the checkpoint has {snapshot.example} examples, more than the {self.total} "
                "asked for; raise --examples or --epochs"
            )
        states = [tile.state() for tile in self.network.tiles]
        expected = {
            f"{index}.{name}": (array.shape, array.dtype)
            for index, state in enumerate(states)
            for name, array in state.items()
        }
        found = {name: (array.shape, array.dtype) for name, array in snapshot.arrays.items()}
        names = [list(tile.registers()) for tile in self.network.tiles]
        if found != expected or [list(values) for values in snapshot.registers] != names:
            raise InputError("the checkpoint holds other arrays than this network; train anew")
        for index, (tile, state) in enumerate(zip(self.network.tiles, states, strict=True)):
            arrays = {name: snapshot.arrays[f"{index}.{name}"] for name in state}
            tile.restore(arrays, snapshot.registers[index])
        self.network.example = snapshot.example
        if self.network.digest() != snapshot.state_digest:
            raise InputError("the checkpoint's state does not have its digest; train anew")
        self.evaluations = dict(snapshot.evaluations)
        self.training_seconds = snapshot.training_seconds


def _network(run: Run, config: Config, layers: list[int]) -> Network | SoftwareNetwork:
    kind = SoftwareNetwork if run.cell == "float" else Network
    return kind(config, layers, run.seed)


def _engine_name(run: Run) -> str:
    return "compiled" if run.engine == "auto" else run.engine


def _check_draws(network: Network, examples: int) -> None:
    """Every UPDATE has draws of its own. Raises InputError where a run may have too many."""
    for tile in network.tiles:
        transfer = tile.spec.transfer
        passes = 1 + (examples // transfer.transfer_interval if transfer.transfer_interval else 0)
        phases = 2 if transfer.polarity_inversion else 1
        updates = phases * examples + passes * tile.spec.rows * transfer.trim_limit
        if updates * tile.array.update_ordinals > 1 << ORDINAL_BITS:
            raise InputError(
                f"{examples} examples are more than an UPDATE of {tile.spec.update.slots} slots "
                "has draws for; lower --epochs or --examples"
            )


def _engine(run: Run, network: Network | SoftwareNetwork) -> Engine:
    if isinstance(network, SoftwareNetwork):
        numpy = _engine_name(run) == "numpy"
        return SoftwareEngine(network) if numpy else CompiledSoftwareEngine(network)
    if _engine_name(run) == "numpy":
        return NumpyEngine(network)
    # Here, so that the NumPy engine runs without waiting for the compiler's import.
    from golden.engines.compiled_engine import CompiledEngine

    return CompiledEngine(network)


def _row_codes(images: NDArray[np.uint8], pwm_bits: int) -> NDArray[np.uint8]:
    return images if pwm_bits == 8 else images >> np.uint8(8 - pwm_bits)


def _next_multiple(value: int, step: int) -> int:
    return (value // step + 1) * step


def _listed(values: tuple[int, ...]) -> str:
    return ",".join(map(str, values)) or "none"


def _facts(run: Run, config: dict[str, Any]) -> dict[str, Any]:
    """What fixes a state besides the data, by name."""
    first = {"cell": run.cell, "hidden": _listed(run.hidden), "seed": run.seed}
    return first | _flat(config)


def _check_same_spec(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """Name the first fact that differs. Raises InputError."""
    for name in (ours | theirs).keys():
        if theirs.get(name) != ours.get(name):
            raise InputError(
                f"the checkpoint is of another spec, {name} {theirs.get(name)} there and "
                f"{ours.get(name)} here; give the same options, or train anew"
            )


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
