"""A closed loop from outside the simulator: the design, its model, one run of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cocotb_tests import build, launch
from cocotb_tests.closed_loop import verilog
from golden.training.loop import Run
from spec.tile import TileSpec

BENCH = "cocotb_tests.closed_loop.run"
TEMPORARY = r"\bnet_(?=\d)"
"""Begins the names of wires that Amaranth has no name for: most of them. Waves are without what
begins with an underscore, which is in nobody's way and need not be compiled.
"""


def model(
    design: str, specs: list[TileSpec], cache: Path, *, damaged: bool = False, waves: bool = False
) -> build.Model:
    """The simulator of tiles of these specs, whose modules `design` has. Raises BuildError.

    `damaged`: those have an input that chooses a damage; see `verilog.bench`.
    """
    file = f"waves.{build.wave_format()}" if waves else ""
    if waves:
        design = re.sub(TEMPORARY, r"_\g<0>", design)
    bench = verilog.bench(specs, damaged=damaged, waves=file)
    sources = [bench, *(path.read_text() for path in verilog.SOURCES), design]
    return build.build("\n".join(sources), verilog.TOP, cache, flatten=False, waves=waves)


def simulate(
    of: build.Model,
    specs: list[TileSpec],
    run: Run,
    folder: Path,
    report: Callable[[dict[str, Any]], None],
    damages: Sequence[int] = (0,),
    **more: Any,
) -> list[dict[str, Any]]:
    """Do a run for each damage of the tiles, 0 being none; what came of each.

    `report` gets what `closed_loop.run` says on its way. `folder` keeps the simulator's log, and
    `found.jsonl`, a line a damage as they come. `more` goes to the job. Raises SimulationError.
    """
    described = run.to_json()
    if run.data_dir is not None:
        # The simulator runs in another folder.
        described["data_dir"] = str(Path(run.data_dir).absolute())
    return _bench(of, specs, folder, report, {"run": described, "damages": [*damages], **more})


def replay(
    of: build.Model,
    specs: list[TileSpec],
    trace: Path,
    folder: Path,
    report: Callable[[dict[str, Any]], None],
    damages: Sequence[int] = (0,),
    **more: Any,
) -> list[dict[str, Any]]:
    """Play a recorded run for each damage; what came of each. The rest is as in `simulate`."""
    job = {"replay": str(trace.absolute()), "damages": [*damages], **more}
    return _bench(of, specs, folder, report, job)


def _bench(
    of: build.Model,
    specs: list[TileSpec],
    folder: Path,
    report: Callable[[dict[str, Any]], None],
    description: dict[str, Any],
) -> list[dict[str, Any]]:
    folder.mkdir(parents=True, exist_ok=True)
    job, found, progress = (folder / name for name in ("job.json", "found.jsonl", "progress.jsonl"))
    progress.unlink(missing_ok=True)
    files = {"found": str(found.absolute()), "progress": str(progress.absolute())}
    job.write_text(json.dumps(description | files | {"inputs": verilog.inputs(specs)}))
    read = 0

    def meanwhile() -> None:
        nonlocal read
        if not progress.exists():
            return
        with progress.open() as lines:
            lines.seek(read)
            for line in iter(lines.readline, ""):
                if not line.endswith("\n"):
                    break  # the rest is on its way
                read += len(line)
                report(json.loads(line))

    # Writes at once: this simulator applies them so, and nothing here reads back what it writes.
    settings = {"CROSSTILE_JOB": str(job.absolute()), "COCOTB_TRUST_INERTIAL_WRITES": "1"}
    found.unlink(missing_ok=True)
    launch.run(of, BENCH, folder, settings, meanwhile)
    lines = found.read_text().splitlines() if found.exists() else []
    if len(lines) < len(description["damages"]):
        raise build.SimulationError("the bench ended without a result")
    return [json.loads(line) for line in lines]
