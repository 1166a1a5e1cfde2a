"""`crosstile cosim`: a network trained through the Verilog of its tiles, held against golden."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from crosstile import simulator
from crosstile.folder import RESULT, host, refuse_taken, versions, write_json
from crosstile.recording import TRACE, difference_text, recorded
from crosstile.simulator import DESIGN, PACKAGES, SIMULATION
from crosstile.train import PLAIN_LINE_SECONDS, counted
from crosstile.verilog import hdl_extra
from crosstile.waves import waves_of
from golden.training.config import configure, layer_specs
from golden.training.loop import Run
from spec.errors import InputError
from spec.parameter import to_dict

CELLS = ("pcm-3t1c", "ideal")
"""Cells whose control is the tile's: the others have none, or another."""
DEFAULT_EXAMPLES = 100


def cosim(
    run: Run,
    network: tuple[int, ...] | None,
    given: Path | None,
    folder: Path,
    console: Console,
    *,
    record: bool = False,
    waves: bool = False,
) -> dict[str, Any]:
    """Fill a folder; returns the content of its result.json, which is written last.

    `network` are all widths, from the input on; None takes those of `run`. `given` is a Verilog
    file in place of the design's own. `record` writes a trace and its test bench, `waves` those of
    the last operations. Raises InputError, among them for a simulator that was killed.
    """
    if run.cell not in CELLS:
        raise InputError(
            f"--cell {run.cell}: has no tile controller to simulate; give one of {', '.join(CELLS)}"
        )
    refuse_taken(folder, (RESULT, DESIGN, TRACE))
    with hdl_extra("cosim"):
        from cocotb_tests import build
        from cocotb_tests.closed_loop import session
    if lacking := build.missing():
        raise InputError(f"cosim: the simulator needs more: {lacking}")
    config = configure(run.cell, run.settings)
    dataset = run.load_dataset()
    if network is not None:
        run = replace(run, hidden=_hidden(network, dataset.inputs, dataset.classes, run.dataset))
    layers = [dataset.inputs, *run.hidden, dataset.classes]
    specs = layer_specs(config, layers)
    design = simulator.design(specs, given, folder, console)
    started = time.monotonic()
    with simulator.errors(folder):
        model = simulator.model(design, specs, console, waves=waves)
        built = time.monotonic() - started
        total = run.examples or run.epochs * len(dataset.train_labels)
        more = _recording(run, layers, design, folder) if record else {}
        with _reporter(total, console) as report:
            (found,) = session.simulate(model, specs, run, folder / SIMULATION, report, **more)
        content = _result(run, layers, config, design, found, built)
        if record:
            content["trace"] = recorded(folder, console)
        if waves:

            def again(begin: int, within: Path) -> dict[str, Any]:
                (same,) = session.simulate(
                    model, specs, run, within, lambda _: None, waves_from=begin
                )
                return same

            content["waves"] = waves_of(again, found, folder, console)
    write_json(folder / RESULT, content)
    return content


def _hidden(network: tuple[int, ...], inputs: int, classes: int, dataset: str) -> tuple[int, ...]:
    text = ",".join(map(str, network))
    if len(network) < 2 or network[0] != inputs or network[-1] != classes:
        raise InputError(
            f"--network {text}: {dataset} has {inputs} inputs and {classes} classes; give "
            f"{inputs},...,{classes}"
        )
    return network[1:-1]


def _recording(run: Run, layers: list[int], design: str, folder: Path) -> dict[str, Any]:
    from cocotb_tests.closed_loop import trace

    description = trace.describe(run.cell, run.settings, layers) | {
        "dataset": run.dataset,
        "seed": run.seed,
        "examples": run.examples,
        "verilog_sha256": hashlib.sha256(design.encode()).hexdigest(),
        "versions": versions(PACKAGES),
    }
    return {"record": str((folder / TRACE).absolute()), "description": description}


def _result(
    run: Run, layers: list[int], config: Any, design: str, found: dict[str, Any], built: float
) -> dict[str, Any]:
    loaded = found.get("loaded") or {"seconds": found["seconds"], "cycles": found["cycles"]}
    training = found["seconds"] - loaded["seconds"]
    digests = found["golden_digest"], found["rtl_digest"]
    return {
        "identical": found["mismatch"] is None and digests[0] == digests[1],
        "first_mismatch": found["mismatch"],
        "dataset": run.dataset,
        "cell": run.cell,
        "seed": run.seed,
        "layers": layers,
        "synapses": sum((inputs + 1) * outputs for inputs, outputs in pairwise(layers)),
        "examples": found["example"],
        "transfers": found["transfers"],
        "operations": found["operations"],
        "cycles": found["cycles"],
        "cycles_per_second": found["cycles"] / found["seconds"] if found["seconds"] else 0.0,
        "examples_per_second": found["example"] / training if training else 0.0,
        "training_cycles": found["cycles"] - loaded["cycles"],
        "seconds": {"build": built, "load": loaded["seconds"], "train": training},
        "golden_digest": digests[0],
        "rtl_digest": digests[1],
        "verilog_sha256": hashlib.sha256(design.encode()).hexdigest(),
        "run": run.to_json(),
        "config": to_dict(config),
        "versions": host() | versions(PACKAGES),
    }


@contextlib.contextmanager
def _reporter(total: int, console: Console) -> Iterator[Callable[[dict[str, Any]], None]]:
    first: dict[str, Any] = {}

    def facts(found: dict[str, Any]) -> str:
        cycles = found["cycles"] / found["seconds"] if found["seconds"] else 0
        speed = f"{cycles / 1000:,.0f}k cycles/s"
        if not found["example"]:
            first.update(found)
            return f"{found['operations']:,} commands  {speed}"
        seconds = found["seconds"] - first.get("seconds", 0)
        rate = found["example"] / seconds if seconds else 0
        return f"{rate:,.1f} ex/s  {speed}  {counted(found['transfers'])}"

    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
        )
        with ProgressBar(*columns, console=console) as bar:
            task = bar.add_task("loading", total=total, facts="")

            def draw(found: dict[str, Any]) -> None:
                doing = "training" if found["example"] else "loading"
                done = found["example"]
                bar.update(task, completed=done, description=doing, facts=facts(found))

            yield draw
        return
    last_line = time.monotonic()

    def write(found: dict[str, Any]) -> None:
        nonlocal last_line
        text = facts(found)
        if time.monotonic() - last_line > PLAIN_LINE_SECONDS or found["example"] == total:
            last_line = time.monotonic()
            doing = f"{found['example']}/{total}" if found["example"] else "loading"
            console.print(f"{doing}  {text}")

    yield write


def last_words(found: dict[str, Any], folder: Path) -> str:
    """What came of it, within 80 columns."""
    layers = "-".join(map(str, found["layers"]))
    lines = {
        "network": f"{layers}, {found['synapses']:,} synapses, cell {found['cell']}",
        "trained": f"{found['examples']:,} examples of {found['dataset']} through the Verilog, "
        f"{counted(found['transfers'])}",
        "cycles": f"{found['cycles']:,}, {found['cycles_per_second']:,.0f} a second; "
        f"{found['examples_per_second']:,.1f} examples/s",
    }
    if found["identical"]:
        lines["identical"] = "every code, every event and the whole state"
        lines["digest"] = found["rtl_digest"]
    else:
        lines["mismatch"] = mismatch_text(found)
    lines["files"] = f"{DESIGN}, {RESULT} in {folder}"
    if "trace" in found:
        trace = found["trace"]
        lines["trace"] = f"{trace['file']}, {trace['bytes']:,} bytes; {trace['test_bench']}"
    if "waves" in found:
        lines["waves"] = found["waves"]["file"]
    return "\n".join(f"{name:10}{text}" for name, text in lines.items())


def mismatch_text(found: dict[str, Any]) -> str:
    """The first difference in one line."""
    first = found["first_mismatch"]
    if first is None:
        return "the digests differ"
    return difference_text(first)
