"""What Yosys and OpenSTA found, in terms of the design."""

from __future__ import annotations

from typing import Any

from synth.blocks import by_name, count, instances, short
from synth.liberty import Library
from synth.netlist import Netlist, block
from synth.opensta import CLOCK, PORT_LOAD_pF, Timing

BLOCKS = "blocks.json"


def blocks(stat: dict[str, Any], top: str) -> list[dict[str, Any]]:
    """All modules, the largest first: own cells, those of the modules in it left out."""
    times, modules = instances(stat, top), by_name(stat)
    found = []
    for name, module in modules.items():
        # Yosys's area of a module has that of the modules in it.
        within = sum(
            n * modules[kind]["area"]
            for kind, n in module["num_cells_by_type"].items()
            if kind in modules
        )
        found.append(
            {
                "name": short(name, top),
                "instances": times[name],
                "area": round(times[name] * (module["area"] - within), 1),
                "ffs": times[name] * count(module, "DFF"),
            }
        )
    return sorted(found, key=lambda one: (-one["area"], one["name"]))


def heaviest(netlist: Netlist, library: Library) -> dict[str, Any]:
    """The net with the largest load, the clock left out."""
    driven = [net for cell in netlist.cells if (net := netlist.output(cell)) is not None]
    driven += [net for net in netlist.inputs if netlist.names[net] != CLOCK]
    loads = {net: netlist.load_pF(net, PORT_LOAD_pF) for net in driven}
    most = max(loads, key=lambda net: loads[net])
    return {
        "max_load_pf": round(loads[most], 3),
        "signal": netlist.signals.get(most, netlist.names[most]),
        "max_fanout": max(len(netlist.loads.get(net, ())) for net in driven),
    }


def critical_path(timing: Timing, netlist: Netlist) -> list[dict[str, Any]]:
    """The slowest path: where it starts, each net on it, where it ends."""
    nets = {name: net for net, name in netlist.names.items()}
    steps = []
    for point in timing.path:
        cell = netlist.cells.get(point.instance)
        if cell is None:
            signal, net = point.pin, nets.get(point.pin)
        elif point.pin in netlist.library.cells[cell.kind].outputs:
            net = cell.nets[point.pin]
            signal = netlist.signals.get(net, "") if net is not None else ""
        elif netlist.library.cells[cell.kind].sequential and point is timing.path[-1]:
            net = netlist.output(point.instance)  # the end: the flip-flop, by its output
            signal = netlist.names[net] if net is not None else ""
        else:
            continue
        steps.append(
            {
                "signal": signal,
                "block": block(signal),
                "cell": point.cell,
                "net": netlist.names.get(net, "") if net is not None else "",
                "fanout": len(netlist.loads.get(net, ())) if net is not None else 0,
                "arrival_ns": point.arrival_ns,
            }
        )
    return steps


def page(found: dict[str, Any]) -> str:
    """The page, in Markdown."""
    given, fanout, path = found["constraints"], found["fanout"], found["critical_path"]
    lines = [
        f"# {found['module']} on {found['target']}", "",
        "Cells after mapping and buffering, before a floorplan: no wires, no clock tree, no scan. "
        f"The clock is ideal, with {given['period_ns']:g} ns. Inputs come "
        f"{given['input_delay_ns']:g} ns after its edge, by a {given['input_driver']}; outputs "
        f"have to be there {given['output_delay_ns']:g} ns before it, at "
        f"{given['output_load_pf']:g} pF. Typical process, 1.8 V, 25 degrees.", "",
        "| cells | flip-flops | area | slack | Fmax | asked for |", "|--:|--:|--:|--:|--:|--:|",
        f"| {found['cells']:,} | {found['ffs']:,} | {found['area']:,.0f} um^2 | "
        f"{found['slack_ns']:.2f} ns | {found['fmax_mhz']:.1f} MHz | {found['mark_mhz']} MHz |", "",
        "Fmax is what the worst path leaves of the period; abc works no harder than asked. The "
        f"heaviest net but the clock drives {fanout['max_load_pf']:.2f} pF (`{fanout['signal']}`); "
        f"no net goes to more than {fanout['max_fanout']} pins.", "",
        "## Where the area goes", "",
        "From a synthesis that keeps the hierarchy, for area alone. Its sum is another one than "
        "above. A block is counted without the blocks in it.", "",
        "| block | instances | um^2 | flip-flops |", "|---|--:|--:|--:|",
        *(f"| `{b['name']}` | {b['instances']} | {b['area']:,.0f} | {b['ffs']:,} |"
          for b in found["blocks"]), "",
        "## The critical path", "",
        f"From `{path[0]['signal']}` to `{path[-1]['signal']}`. The logic between flip-flops has "
        "no names of its own: a net is told by the nearest signal that it is on its way to.", "",
        "| signal | cell | net | pins | ns |", "|---|---|---|--:|--:|",
        *(f"| `{s['signal']}` | {s['cell']} | `{s['net']}` | {s['fanout']} | "
          f"{s['arrival_ns']:.3f} |"
          for s in path),
    ]  # fmt: skip
    return "\n".join([*lines, "", *_power(found), *_equivalence(found)]) + "\n"


def _equivalence(found: dict[str, Any]) -> list[str]:
    verdict = found.get("equivalence")
    if verdict is None:
        return []
    points = f"{verdict['points']:,} points, all flip-flops and outputs"
    if verdict["equal"]:
        return [
            "", "## The netlist", "",
            f"It is proven equal to the Verilog as Yosys has it before mapping, at {points}.",
        ]  # fmt: skip
    unproven = ", ".join(f"`{name}`" for name in verdict["unproven"])
    return [
        "", "## The netlist", "",
        f"It is NOT proven equal to the Verilog: of {points}, these differ or could not be shown "
        f"to be equal: {unproven}.",
    ]  # fmt: skip


def _power(found: dict[str, Any]) -> list[str]:
    power, activity = found.get("power"), found.get("activity", {})
    if activity.get("differs"):
        return ["## Power", "", f"Not known: {activity['missing']}."]
    if power is None:
        return [
            "## Power", "",
            f"Not known: {activity.get('missing', 'nothing says what the nets do')}. Record a "
            "network with such a tile, and name its folder:", "",
            "    crosstile cosim --network N,N,.. --examples 10 --record --out DIR",
            "    crosstile synth --target osu018 ... --activity DIR --out OTHER",
        ]  # fmt: skip
    commands = ", ".join(f"{count} {name}" for name, count in activity["commands"].items())
    network = "-".join(map(str, activity["network"]))
    return [
        "## Power", "",
        f"At {power['at_mhz']} MHz, in training: {activity['cycles']:,} cycles of tile "
        f"{activity['tile']} of the network {network} (cell {activity['cell']}, "
        f"{activity['dataset']}, seed {activity['seed']}), with {commands}, recorded in "
        f"`{activity['recording']}` and played at the gates, which did what was recorded. A net "
        f"toggled {activity['mean_toggles_per_cycle']:.4f} times a cycle on average.", "",
        "Cycles in which the tile has no order are not among them: its clock rests. Glitches are "
        "those of cells without a load. The clock is the flip-flops' clock pins: no tree, no "
        "gating. No wires.", "",
        "| | within cells, mW | nets, mW | at rest, mW | total, mW |", "|---|--:|--:|--:|--:|",
        *(_power_row(name, of) for name, of in (*power["groups"].items(), ("total", power))), "",
        "By block, the clock's pins included; a gate counts to the nearest signal it goes to:", "",
        "| block | within cells, mW | nets, mW | at rest, mW | total, mW |",
        "|---|--:|--:|--:|--:|",
        *(_power_row(f"`{of['name']}`", of) for of in power["blocks"]),
    ]  # fmt: skip


def _power_row(name: str, of: dict[str, Any]) -> str:
    numbers = (of[f"{part}_mw"] for part in ("internal", "switching", "leakage", "total"))
    return f"| {name} | {' | '.join(f'{number:.3f}' for number in numbers)} |"
