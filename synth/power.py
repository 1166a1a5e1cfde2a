"""Power of a netlist from how often each of its nets toggled.

Reckoned here from the library's tables: OpenSTA of 2019 takes no activity of a pin, and counts the
energies of both edges for each. From OpenSTA come the slews. Energies in pJ times MHz are uW.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.liberty import Cell, Energy
from synth.netlist import Netlist, block
from synth.opensta import PORT_LOAD_pF

CLOCK_TOGGLES = 2.0
uW_PER_mW = 1000


@dataclass
class Power:
    """uW: within cells, of the nets that they drive, and at rest."""

    internal: float = 0.0
    switching: float = 0.0
    leakage: float = 0.0

    @property
    def total(self) -> float:
        """All three."""
        return self.internal + self.switching + self.leakage

    def add(self, other: Power) -> None:
        """Add another."""
        self.internal += other.internal
        self.switching += other.switching
        self.leakage += other.leakage

    def json(self) -> dict[str, float]:
        """In mW."""
        parts = {"internal": self.internal, "switching": self.switching, "leakage": self.leakage}
        return {
            f"{name}_mw": round(value / uW_PER_mW, 4)
            for name, value in (*parts.items(), ("total", self.total))
        }


Slews = dict[str, float]
"""ns at each `instance/pin`, the mean of both edges."""


def read_slews(file: Path) -> Slews:
    """What OpenSTA wrote. A pin that no edge reaches has none."""
    found = {}
    for line in file.read_text().splitlines():
        pin, *edges = line.split()
        found[pin] = sum(map(_slew, edges)) / len(edges)
    return found


def _slew(text: str) -> float:
    # Of a pin that is constant it says minus infinity, as -1e+30.
    return max(float(text), 0.0)


def instance(
    name: str, netlist: Netlist, slews: Slews, activity: dict[str, float], mhz: float
) -> tuple[Power, Power]:
    """Of one instance, without its clock, and of its clock. `activity`: of a net, by its name."""
    placed = netlist.cells[name]
    cell: Cell = netlist.library.cells[placed.kind]
    half_CV2 = 0.5 * netlist.library.voltage_V**2
    own, clock = Power(leakage=cell.leakage_nW / 1000), Power()
    for pin_name, pin in cell.pins.items():
        net = placed.nets.get(pin_name)
        if net is None:
            continue
        if pin.clock:
            energy = _mean(pin.energies, 0.0, slews, name, pin_name)
            clock.internal += CLOCK_TOGGLES * energy * mhz
            clock.switching += CLOCK_TOGGLES * half_CV2 * pin.capacitance_pF * mhz
            continue
        toggles = activity.get(netlist.names[net], 0.0)
        if pin.output:
            load_pF = netlist.load_pF(net, PORT_LOAD_pF)
            own.switching += toggles * half_CV2 * load_pF * mhz
            energy = _mean(pin.energies, load_pF, slews, name, pin_name)
        else:
            energy = _mean(pin.energies, 0.0, slews, name, pin_name)
        own.internal += toggles * energy * mhz
    return own, clock


def _mean(energies: tuple[Energy, ...], load_pF: float, slews: Slews, name: str, pin: str) -> float:
    """Of an edge: the mean over both edges, and over the inputs that may have caused it."""
    if not energies:
        return 0.0
    found = 0.0
    for one in energies:
        slew = slews[f"{name}/{one.related or pin}"]
        at = (load_pF, slew) if one.related else (slew,)
        found += (one.rise.at(*at) + one.fall.at(*at)) / 2
    return found / len(energies)


def power(netlist: Netlist, slews: Slews, activity: dict[str, float], mhz: float) -> dict[str, Any]:
    """In mW: in all, by group, and by block, the largest first.

    A block is that of the nearest signal of the design behind a gate; a clock's pin counts to the
    flip-flop's.
    """
    groups: dict[str, Power] = {name: Power() for name in ("clock", "flip-flops", "logic")}
    blocks: dict[str, Power] = defaultdict(Power)
    for name, placed in netlist.cells.items():
        own, clock = instance(name, netlist, slews, activity, mhz)
        sequential = netlist.library.cells[placed.kind].sequential
        groups["flip-flops" if sequential else "logic"].add(own)
        groups["clock"].add(clock)
        net = netlist.output(name)
        where = blocks[block(netlist.signals.get(net, "")) if net is not None else ""]
        where.add(own)
        where.add(clock)
    total = Power()
    for one in groups.values():
        total.add(one)
    ranked = sorted(blocks.items(), key=lambda item: (-item[1].total, item[0]))
    return {
        **total.json(),
        "at_mhz": mhz,
        "groups": {name: one.json() for name, one in groups.items()},
        "blocks": [{"name": name or "(top)", **one.json()} for name, one in ranked],
    }
