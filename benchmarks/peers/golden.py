"""The project's own engines, driven by the loop of a real run, transfers included."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from benchmarks.task import RUN
from golden.training.loop import CHUNK_EXAMPLES, Trainer


def prepare(count: int, cell: str, engine: str) -> Callable[[], None]:
    trainer = _trainer(count, cell, engine)
    return lambda: _train(trainer, count)


def digest(count: int, cell: str, engine: str) -> str:
    trainer = _trainer(count, cell, engine)
    _train(trainer, count)
    return trainer.digest()


def _trainer(count: int, cell: str, engine: str) -> Trainer:
    assert count % CHUNK_EXAMPLES == 0, "the loop stops at whole chunks only"
    return Trainer(dataclasses.replace(RUN, cell=cell, engine=engine))


def _train(trainer: Trainer, count: int) -> None:
    # The run is a whole epoch, so that no evaluation falls into the examples that are timed.
    while trainer.example < count:
        trainer.advance()
