"""`python -m benchmarks --out DIR`: the table on the terminal, and DIR/benchmark.json and .md."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from benchmarks.peers import COMPILED, FULL_COUNT, NUMPY, PEERS
from benchmarks.report import WIDTH, Report, Row
from benchmarks.worker import SINGLE_THREAD, Failed, Worker, cold


class BadFolder(click.ClickException):
    """The folder cannot be written: bad input, exit code 2."""

    exit_code = 2


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/bench"),
    show_default=True,
    help="Folder of benchmark.json and benchmark.md.",
)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--full", is_flag=True, help="The NumPy engine, too, on all 20,000 examples.")
def main(out: Path, rounds: int, full: bool) -> None:
    """Training throughput of both engines beside other programs, where installed.

    Takes some minutes. Exit code 1: the engines left different states.
    """
    _make_writable(out)
    os.environ |= SINGLE_THREAD  # before any worker starts
    console = Console(width=WIDTH)
    status = Console(stderr=True)
    try:
        report = measure(rounds, full, status)
    except Failed as error:
        raise click.ClickException(str(error)) from None
    (out / "benchmark.json").write_text(json.dumps(report.to_json(), indent=2) + "\n")
    (out / "benchmark.md").write_text(report.markdown())
    report.print(console)
    console.print(f"\nin {out}: benchmark.json, benchmark.md", highlight=False)
    sys.exit(0 if report.digests_equal else 1)


def measure(rounds: int, full: bool, status: Console) -> Report:
    """Run everything. Raises Failed where one of the engines does not run."""
    counts = {peer.key: FULL_COUNT if full and peer.key == NUMPY else peer.count for peer in PEERS}
    rows = {peer.key: Row(peer, counts[peer.key]) for peer in PEERS}
    status.print("a first start, with the compiler; about a minute", highlight=False)
    first_start = cold()
    workers = {}
    for peer in PEERS:
        if not peer.installed:
            rows[peer.key].absent = "not installed"
            continue
        status.print(f"warming up: {peer.title}", highlight=False)
        worker = Worker(peer)
        try:
            worker.run(counts[peer.key])
        except Failed as error:
            worker.close()
            if peer.module == "golden":
                raise
            rows[peer.key].absent = str(error)
            continue
        workers[peer.key] = worker
    digests = {key: workers[key].digest(counts[NUMPY]) for key in (COMPILED, NUMPY)}
    for number in range(rounds):
        status.print(f"round {number + 1} of {rounds}", highlight=False)
        for key, worker in workers.items():
            if key == COMPILED:
                continue
            ours = workers[COMPILED].run(counts[COMPILED])
            theirs = worker.run(counts[key])
            rows[COMPILED].samples.append(ours)
            rows[key].samples.append(theirs)
            rows[key].ratios.append(ours.rate / theirs.rate)
    for worker in workers.values():
        worker.close()
    return Report(list(rows.values()), first_start, counts[NUMPY], digests, rounds)


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadFolder(
            f"--out {folder}: cannot be written ({error.strerror or error}); give another folder"
        ) from None


if __name__ == "__main__":
    main()
