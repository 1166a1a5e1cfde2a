"""A netlist of cells as a graph: drivers, loads, and the name of the design that is nearest.

abc gives the logic between flip-flops no names. A gate is told by the named signal that it is on
its way to: the nearest flip-flop's output or port behind it. A hint, as others may share the gate.
"""

from __future__ import annotations

import json
import re
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from synth.liberty import Library

UNNAMED = re.compile(r"_\d+_$")


@dataclass(frozen=True)
class Cell:
    """An instance: the type of its cell, and the net at each pin; None for a constant."""

    kind: str
    nets: dict[str, int | None]


@dataclass
class Netlist:
    """Nets are numbers, as Yosys has them."""

    library: Library
    cells: dict[str, Cell]
    names: dict[int, str]
    inputs: list[int]
    outputs: list[int]

    @classmethod
    def read(cls, file: Path, top: str, library: Library) -> Netlist:
        """From Yosys's JSON of one flat module."""
        module = json.loads(file.read_text())["modules"][top]
        cells = {
            name: Cell(
                cell["type"], {pin: _net(bits[0]) for pin, bits in cell["connections"].items()}
            )
            for name, cell in module["cells"].items()
        }
        names: dict[int, str] = {}
        for name, net in sorted(module["netnames"].items(), key=lambda item: _rank(item[0])):
            for place, bit in enumerate(net["bits"]):
                if isinstance(bit, int):
                    names.setdefault(bit, f"{name}[{place}]" if len(net["bits"]) > 1 else name)
        sides: dict[str, list[int]] = {"input": [], "output": []}
        for port in module["ports"].values():
            sides[port["direction"]] += [bit for bit in port["bits"] if isinstance(bit, int)]
        return cls(library, cells, names, sides["input"], sides["output"])

    def output(self, cell: str) -> int | None:
        """The net that an instance drives."""
        of = self.cells[cell]
        (pin,) = self.library.cells[of.kind].outputs
        return of.nets.get(pin)

    @cached_property
    def loads(self) -> dict[int, list[tuple[str, str]]]:
        """Instances and pins that a net goes to."""
        found: dict[int, list[tuple[str, str]]] = {}
        for name, cell in self.cells.items():
            for pin in self.library.cells[cell.kind].inputs:
                net = cell.nets.get(pin)
                if net is not None:
                    found.setdefault(net, []).append((name, pin))
        return found

    def load_pF(self, net: int, port_pF: float) -> float:
        """The pins that a net goes to, and a port if it is one's. No wires."""
        pins = sum(
            self.library.cells[self.cells[name].kind].pins[pin].capacitance_pF
            for name, pin in self.loads.get(net, ())
        )
        return pins + port_pF * (net in self._ends)

    @cached_property
    def _ends(self) -> set[int]:
        return set(self.outputs)

    @cached_property
    def signals(self) -> dict[int, str]:
        """Of each net, its own name, or the nearest signal's that it is on its way to."""
        found: dict[int, str] = {}
        drivers: dict[int, str] = {}
        waiting: deque[tuple[int, str]] = deque()
        for name, cell in self.cells.items():
            net = self.output(name)
            if net is None:
                continue
            if not self.library.cells[cell.kind].sequential:
                drivers[net] = name
                continue
            for pin in self.library.cells[cell.kind].inputs:
                before = cell.nets.get(pin)
                if before is not None:
                    waiting.append((before, self.names[net]))
        waiting.extend((net, self.names[net]) for net in self.outputs)
        while waiting:
            net, signal = waiting.popleft()
            if net in found:
                continue
            own = self.names.get(net, "")
            found[net] = own if own and not UNNAMED.match(own) else signal
            if net in drivers:
                cell = self.cells[drivers[net]]
                for pin in self.library.cells[cell.kind].inputs:
                    before = cell.nets.get(pin)
                    if before is not None:
                        waiting.append((before, found[net]))
        return found


def block(signal: str) -> str:
    """The instance of the design that a signal is in: all before its last dot."""
    return signal.rpartition(".")[0]


def _net(bit: int | str) -> int | None:
    return bit if isinstance(bit, int) else None


def _rank(name: str) -> tuple[bool, int, int, str]:
    """The best name first: the design's own, of the outermost block, the shortest."""
    return (UNNAMED.match(name) is not None, name.count("."), len(name), name)
