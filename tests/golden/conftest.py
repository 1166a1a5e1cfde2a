"""A bench: one tile's controller on one array, for the tests of both sides."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest

from golden.analog.array import Array
from golden.analog.pcm import set_table
from golden.digital.controller import TileController
from golden.training.config import Config, configure
from spec.boundary import ArrayMacro
from spec.tile import TileSpec


class Recorder:
    """An array macro that notes the name and arguments of every boundary event."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.events: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.array, name)

        def event(*arguments: Any) -> Any:
            kept = tuple(a.copy() if isinstance(a, np.ndarray) else a for a in arguments)
            self.events.append((name, kept))
            return method(*arguments)

        return event

    def names(self) -> list[str]:
        return [name for name, _ in self.events]


@dataclass
class Bench:
    """Everything of one tile."""

    config: Config
    spec: TileSpec
    array: Array
    macro: Recorder
    control: TileController

    def weights(self) -> np.ndarray:
        """Weights (rows, columns) in fine units, as FORWARD would meet them now."""
        return self.array.weights_now(self.control.polarity.bits).astype(np.int64)

    def randomise(self, seed: int, reach: float = 0.5) -> None:
        """Random weights through LOAD, then random capacitors within `reach` of the bound."""
        rng = np.random.default_rng(seed)
        for row in range(self.spec.rows):
            self.control.load(row, rng.integers(-700, 701, self.spec.columns))
        bound = int(reach * self.array.capacitors.bound)
        shape = (self.spec.rows, self.spec.columns)
        self.array.capacitors.lower[:] = rng.integers(-bound, bound + 1, shape)
        self.array.refresh_weights()
        self.macro.events.clear()


@pytest.fixture
def bench() -> Callable[..., Bench]:
    """bench(cell, rows, columns, seed, hidden, **settings): a new Bench."""

    def make(
        cell: str = "ideal",
        rows: int = 6,
        columns: int = 5,
        seed: int = 3,
        hidden: bool = False,
        **settings: Any,
    ) -> Bench:
        config = configure(cell, {name: str(value) for name, value in settings.items()})
        spec = dataclasses.replace(config.tile, rows=rows, columns=columns)
        array = Array(spec, config.devices, seed, 0)
        macro = Recorder(array)
        table, states = set_table(spec, config.devices), (0x1234567, 0x7654321)
        control = TileController(spec, cast("ArrayMacro", macro), table, states, hidden=hidden)
        return Bench(config, spec, array, macro, control)

    return make
