"""What nextpnr and Yosys found, in terms of the design: area by block, the slowest path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synth.blocks import by_name, count, instances, short


@dataclass(frozen=True)
class Block:
    """A module's own cells, those of the modules in it left out, times its instances.

    `area`: in logic cells, those that carries and small memories take among them.
    """

    name: str
    instances: int
    luts: int
    ffs: int
    area: int


@dataclass(frozen=True)
class Step:
    """A net of the critical path. `signal`: the design's name that it comes from."""

    signal: str
    arrival_ns: float


def blocks(
    stat: dict[str, Any], top: str, lut: str, ff: str, logic: Mapping[str, int]
) -> list[Block]:
    """All modules, the largest first, from statistics of a hierarchy that was kept.

    `lut` and `ff` are what types of look-up tables and flip-flops start with, and `logic` has the
    logic cells that a cell takes by what its type starts with.
    """
    times = instances(stat, top)
    found = [
        Block(
            short(name, top),
            times[name],
            times[name] * count(module, lut),
            times[name] * count(module, ff),
            times[name] * sum(cells * count(module, kind) for kind, cells in logic.items()),
        )
        for name, module in by_name(stat).items()
    ]
    return sorted(found, key=lambda block: (-block.luts, -block.ffs, block.name))


def critical_path(report: dict[str, Any]) -> list[Step]:
    """The slowest path between registers: where it starts, each signal on it, where it ends."""
    # Others start or end at <async>. The one clock has its buffer's name on some devices.
    paths = [p for p in report["critical_paths"] if p["from"] == p["to"] != "<async>"]
    if not paths:
        return []
    time, steps = 0.0, []
    for part in paths[0]["path"]:
        time += part["delay"]
        # A net's name, where it has one, says more than its cell's.
        signal = _signal(part.get("net", part["to"]["cell"]))
        if not signal:  # what nextpnr made itself, as a carry between two columns
            continue
        if steps and steps[-1].signal == signal:
            steps.pop()
        steps.append(Step(signal, round(time, 2)))
    return steps


def _signal(name: str) -> str:
    """The design's name at the head of a name that Yosys made: a_LUT4_Z_D[3] is made of a.

    Yosys names what it makes after a signal next to it, then the cells and their pins.
    """
    return re.split(r"_(?:LUT4|TRELLIS|CCU2C|PFUMX|L6MUX21|MULT18X18D|SB_)|\$", name)[0]


def page(found: dict[str, Any]) -> str:
    """The page, in Markdown."""
    lines = [
        f"# {found['module']} on {found['target']}", "",
        "Placed out of context, without pins: its ports are nets of the same chip, and only paths "
        "from register to register are timed.", "",
        "| cells | LUTs | flip-flops | Fmax | asked for |", "|--:|--:|--:|--:|--:|",
        f"| {found['cells']:,} | {found['luts']:,} | {found['ffs']:,} | "
        f"{found['fmax_mhz']:.1f} MHz | {found['mark_mhz']} MHz |", "",
        "## Where the area goes", "",
        "From a synthesis that keeps the hierarchy. Its sum is another one than above, where Yosys "
        "optimised across blocks. A block is counted without the blocks in it.", "",
        "| block | instances | LUTs | flip-flops |", "|---|--:|--:|--:|",
        *(f"| `{b['name']}` | {b['instances']} | {b['luts']:,} | {b['ffs']:,} |"
          for b in found["blocks"]), "",
        "## The critical path", "",
        "Each line is a signal, or logic that Yosys named after it, and when it is there.", "",
        "| signal | ns |", "|---|--:|",
        *(f"| `{s['signal']}` | {s['arrival_ns']:.2f} |" for s in found["critical_path"]),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
