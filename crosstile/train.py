"""`crosstile train`: a run in a folder, with progress, checkpoints, plots and result.json."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from crosstile.folder import RESULT, host, make_writable, refuse_taken, versions, write_json
from golden.training import checkpoint, plots
from golden.training.checkpoint import write_atomically
from golden.training.config import configure
from golden.training.loop import Progress, Run, Trainer
from spec.parameter import to_dict

RUNS = Path("runs")
PACKAGES = ("crosstile", "numpy", "numba", "llvmlite")
BUILDING = "building the network; the first time, compiling takes a minute"
PLAIN_LINE_SECONDS = 10.0
"""Without a terminal: a line after each evaluation, and one where there was none for so long."""


class Interrupted(Exception):
    """The run was asked to stop and left a checkpoint; no error, as it can go on.

    `args`: signal number, folder, examples done.
    """


def train(run: Run, folder: Path | None, console: Console) -> dict[str, Any]:
    """Do a new run; returns the content of its result.json.

    Without `folder`, runs/train-1 or the next free number. Raises InputError on bad input, before
    any training, and Interrupted.
    """
    config = configure(run.cell, run.settings)  # the quickest check first
    if folder is None:
        folder = _free_folder()
    refuse_taken(folder, (RESULT, checkpoint.NAME), f", or go on with --resume {folder}")
    dataset = run.load_dataset()
    make_writable(folder)
    if run.cell != "float":
        for warning in config.warnings():
            click.echo(f"warning: {warning}", err=True)
    with console.status(BUILDING):
        trainer = Trainer(run, dataset)
    return _finish(trainer, folder, console)


def resume(folder: Path, change: Callable[[Run], Run], console: Console) -> dict[str, Any]:
    """Go on from the checkpoint of a folder; `change` may alter what its state does not rest on.

    Returns the content of result.json. Raises InputError and Interrupted.
    """
    snapshot = checkpoint.read(folder)
    run = change(snapshot.run)
    make_writable(folder)
    with console.status(BUILDING):
        trainer = Trainer(run, snapshot=snapshot)
    return _finish(trainer, folder, console)


def _free_folder() -> Path:
    number = 1
    while (RUNS / f"train-{number}").exists():
        number += 1
    return RUNS / f"train-{number}"


def _finish(trainer: Trainer, folder: Path, console: Console) -> dict[str, Any]:
    """Train to the end; the checkpoint, the plots, and last of all result.json."""
    with _stop_signals() as received, _reporter(trainer, console) as report:
        while not trainer.done and not received:
            progress = trainer.advance()
            report(progress)
            if progress.epoch_ended:
                checkpoint.write(folder, trainer.snapshot())
    if not trainer.done:
        checkpoint.write(folder, trainer.snapshot())
        raise Interrupted(received[0], folder, trainer.example)
    for name, data in plots.draw(trainer).items():
        write_atomically(folder / name, data)
    found = result(trainer)
    write_json(folder / RESULT, found)
    return found


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """The list fills with the first SIGINT or SIGTERM; a second one has its usual effect."""
    received: list[int] = []
    before: dict[int, Any] = {}

    def handle(number: int, _frame: Any) -> None:
        received.append(number)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, handle)
    try:
        yield received
    finally:
        restore()


@contextlib.contextmanager
def _reporter(trainer: Trainer, console: Console) -> Iterator[Callable[[Progress], None]]:
    first_example, first_seconds = trainer.example, trainer.training_seconds

    def facts(progress: Progress) -> str:
        seconds = progress.training_seconds - first_seconds
        rate = (progress.example - first_example) / seconds if seconds else 0
        accuracy = "-" if progress.accuracy is None else f"{progress.accuracy:.2f} %"
        return f"accuracy {accuracy}  {rate:,.0f} ex/s  {counted(progress.transfers)}"

    if console.is_terminal:
        columns = (
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=10),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
        )
        with ProgressBar(*columns, console=console) as bar:
            task = bar.add_task(
                "", total=trainer.total, completed=trainer.example, epoch=1, facts="starting"
            )

            def draw(progress: Progress) -> None:
                bar.update(
                    task,
                    completed=progress.example,
                    epoch=progress.epoch + 1,
                    facts=facts(progress),
                )

            yield draw
        return
    last_line = time.monotonic()

    def write(progress: Progress) -> None:
        nonlocal last_line
        if progress.evaluated or time.monotonic() - last_line > PLAIN_LINE_SECONDS:
            last_line = time.monotonic()
            done = f"{progress.example}/{progress.total}"
            console.print(f"epoch {progress.epoch + 1}  {done}  {facts(progress)}")

    yield write


def counted(transfers: int) -> str:
    """The number of transfers in words."""
    return f"{transfers:,} transfer{'' if transfers == 1 else 's'}"


def result(trainer: Trainer) -> dict[str, Any]:
    """The content of result.json."""
    run, seconds = trainer.run, trainer.training_seconds
    return {
        "dataset": run.dataset,
        "hold_out": run.hold_out,
        "cell": run.cell,
        "seed": run.seed,
        "epochs": len(trainer.test_accuracy),
        "examples": trainer.example,
        "layers": trainer.layers,
        "synapses": trainer.network.synapses,
        "test_accuracy": trainer.test_accuracy,
        "final_test_accuracy": trainer.test_accuracy[-1],
        "evaluations": [{"example": n, "accuracy": a} for n, a in trainer.evaluations.items()],
        "training_seconds": seconds,
        "examples_per_second": trainer.example / seconds if seconds else 0.0,
        "transfers": trainer.transfers,
        "counters": trainer.counters(),
        "state_digest": trainer.digest(),
        "engine": trainer.engine.name,
        "run": run.to_json(),
        "config": to_dict(trainer.config),
        "versions": host() | versions(PACKAGES),
    }
