"""A netlist with one gate changed, to see that a check finds it."""

from __future__ import annotations

import re

from synth.netlist import Netlist

SWAPS = {
    "NAND2X1": "NOR2X1", "NOR2X1": "NAND2X1", "NAND3X1": "NOR3X1", "NOR3X1": "NAND3X1",
    "AOI21X1": "OAI21X1", "OAI21X1": "AOI21X1", "AOI22X1": "OAI22X1", "OAI22X1": "AOI22X1",
    "XOR2X1": "XNOR2X1", "XNOR2X1": "XOR2X1", "AND2X2": "OR2X2", "OR2X2": "AND2X2",
    "AND2X1": "OR2X1", "OR2X1": "AND2X1", "INVX1": "BUFX2", "BUFX2": "INVX1",
}  # fmt: skip
"""Cells with the same pins that do something else."""


def instances(netlist: str) -> dict[str, str]:
    """The type of each instance in a netlist's text."""
    found = re.findall(r"^  (\w+) (\S+) \($", netlist, re.MULTILINE)
    return {name: kind for kind, name in found if kind != "module"}


def swapped(netlist: str, instance: str) -> str:
    """The text with another cell for an instance."""
    kind = instances(netlist)[instance]
    before, after = (f"  {one} {instance} (\n" for one in (kind, SWAPS[kind]))
    assert netlist.count(before) == 1
    return netlist.replace(before, after)


def gate_before(netlist: Netlist, signal: str) -> str:
    """The gate that gives an output its value; if a flip-flop does, the gate before that."""
    drivers = {net: name for name in netlist.cells if (net := netlist.output(name)) is not None}
    (net,) = (net for net, name in netlist.names.items() if name == signal)
    instance = drivers[net]
    while netlist.cells[instance].kind not in SWAPS:
        before = netlist.cells[instance].nets["D"]
        assert before is not None, f"{signal} is constant"
        instance = drivers[before]
    return instance
