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
    rams: int
    area: int


@dataclass(frozen=True)
class Step:
    """Part of the critical path: up to and with a signal, or what Yosys named after it.

    `cells` that it goes through, what those take, and what the wires between them do.
    """

    signal: str
    cells: int
    logic_ns: float
    routing_ns: float
    arrival_ns: float


def blocks(
    stat: dict[str, Any], top: str, lut: str, ff: str, ram: str, logic: Mapping[str, int]
) -> list[Block]:
    """All modules, the largest first, from statistics of a hierarchy that was kept.

    `lut`, `ff` and `ram` are what types of look-up tables, flip-flops and block RAMs start with,
    and `logic` has the logic cells that a cell takes by what its type starts with.
    """
    times = instances(stat, top)
    found = [
        Block(
            short(name, top),
            times[name],
            times[name] * count(module, lut),
            times[name] * count(module, ff),
            times[name] * count(module, ram),
            times[name] * sum(cells * count(module, kind) for kind, cells in logic.items()),
        )
        for name, module in by_name(stat).items()
    ]
    return sorted(found, key=lambda block: (-block.area, -block.ffs, block.name))


def critical_path(report: dict[str, Any]) -> list[Step]:
    """The slowest path between registers: where it starts, each signal on it, where it ends."""
    # Others start or end at <async>. The one clock has its buffer's name on some devices.
    paths = [p for p in report["critical_paths"] if p["from"] == p["to"] != "<async>"]
    if not paths:
        return []
    steps: list[Step] = []
    cells, logic, routing, time = 0, 0.0, 0.0, 0.0
    for part in paths[0]["path"]:
        time += part["delay"]
        if part["type"] == "routing":
            routing += part["delay"]
        else:
            logic += part["delay"]
            cells += 1
        # A net's name, where it has one, says more than its cell's.
        signal = _signal(part.get("net", part["to"]["cell"]))
        if not signal:  # what nextpnr made itself, as a carry between two columns
            continue
        if steps and steps[-1].signal == signal:
            last = steps.pop()
            cells, logic, routing = (
                cells + last.cells, logic + last.logic_ns, routing + last.routing_ns
            )  # fmt: skip
        steps.append(Step(signal, cells, round(logic, 2), round(routing, 2), round(time, 2)))
        cells, logic, routing = 0, 0.0, 0.0
    return steps


def _signal(name: str) -> str:
    """The design's name at the head of a name that Yosys made: a_LUT4_Z_D[3] is made of a.

    Yosys names what it makes after a signal next to it, then the cells and their pins.
    """
    return re.split(r"_(?:LUT4|TRELLIS|CCU2C|PFUMX|L6MUX21|MULT18X18D|SB_)|\$", name)[0]


def page(found: dict[str, Any], cell: str) -> str:
    """The page, in Markdown. `cell` is nextpnr's name of a logic cell."""
    device, path = found["utilization"][cell], found["critical_path"]
    lines = [
        f"# {found['module']} on {found['target']}", "",
        "Placed out of context, without pins: its ports are nets of the same chip, and only paths "
        "from register to register are timed.", "",
        "| logic cells | of | LUTs | flip-flops | RAMs | Fmax | asked for |",
        "|--:|--:|--:|--:|--:|--:|--:|",
        f"| {found['cells']:,} | {device['available']:,} | {found['luts']:,} | "
        f"{found['ffs']:,} | {found['rams']:,} | "
        f"{found['fmax_mhz']:.1f} MHz | {found['mark_mhz']} MHz |", "",
        "Fmax is of one placement: another seed of nextpnr's gives another.", "",
        "## Where the area goes", "",
        "From a synthesis that keeps the hierarchy. Its sum is another one than above, where Yosys "
        "optimised across blocks. A block is counted without the blocks in it. Logic cells are "
        "those of its LUTs, carries and small memories.", "",
        "| block | instances | logic cells | LUTs | flip-flops | RAMs |",
        "|---|--:|--:|--:|--:|--:|",
        *(f"| `{b['name']}` | {b['instances']} | {b['area']:,} | {b['luts']:,} | {b['ffs']:,} | "
          f"{b['rams']:,} |"
          for b in found["blocks"]), "",
        "## The critical path", "",
        "Each line is a signal, or logic that Yosys named after it: the cells on the way to it, "
        "what those and the wires between them take, and when it is there.", "",
        "| signal | cells | logic, ns | wires, ns | at, ns |", "|---|--:|--:|--:|--:|",
        *(f"| `{s['signal']}` | {s['cells']} | {s['logic_ns']:.2f} | {s['routing_ns']:.2f} | "
          f"{s['arrival_ns']:.2f} |" for s in path),
        *([f"| in all | {sum(s['cells'] for s in path)} | "
           f"{sum(s['logic_ns'] for s in path):.2f} | "
           f"{sum(s['routing_ns'] for s in path):.2f} | "
           f"{path[-1]['arrival_ns']:.2f} |"] if path else []),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
