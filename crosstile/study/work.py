"""One run of a study, wherever it is done: from its description to a small outcome."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import Any

from crosstile.sources import digest
from golden.training.datasets import Dataset
from golden.training.loop import Run, Trainer, data_digest

PARTS = ("spec/**/*.py", "golden/**/*.py")
"""What results rest on."""
SAME_RESULTS = ("engine", "data_dir")
"""Fields of a run that no result depends on: the data themselves are in the key."""


def sources() -> str:
    """The digest of all that computes results."""
    return digest(*PARTS)


@lru_cache(maxsize=1)
def _data(dataset: str, data_dir: str | None, hold_out: int) -> tuple[Dataset, str]:
    """The last data used: a study's runs mostly share them."""
    data = Run(dataset=dataset, data_dir=data_dir, hold_out=hold_out).load_dataset()
    return data, data_digest(data)


def data_of(run: Run) -> tuple[Dataset, str]:
    """A run's data, and their digest. Raises InputError."""
    return _data(run.dataset, run.data_dir, run.hold_out)


def key(run: Run, data: str) -> str:
    """What a finished run is kept under: the digest of all that its result rests on."""
    fields = {name: value for name, value in run.to_json().items() if name not in SAME_RESULTS}
    content = [sources(), data, fields]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def work(described: dict[str, Any]) -> dict[str, Any]:
    """Do a run; its outcome, small enough to be kept by the thousand.

    Raises InputError.
    """
    run = Run.from_json(described)
    dataset, digest = data_of(run)
    trainer = Trainer(run, dataset)
    while not trainer.done:
        trainer.advance()
    return {
        "key": key(run, digest),
        "run": run.to_json(),
        "layers": trainer.layers,
        "synapses": trainer.network.synapses,
        "examples": trainer.example,
        "transfers": trainer.transfers,
        "test_accuracy": trainer.test_accuracy,
        "final_test_accuracy": trainer.test_accuracy[-1],
        "state_digest": trainer.digest(),
        "training_seconds": trainer.training_seconds,
    }
