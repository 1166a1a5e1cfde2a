"""Where the groups of a row's columns come from, and where they are on their way.

A READ brings its groups; a pass makes them, or with `serial` a lane of a group at a time. One a
cycle enters, and goes on every cycle.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data
from amaranth.utils import ceil_log2

from rtl.transfer_ports import TransferPorts
from rtl.transfer_wires import Wires
from spec.tile import TileSpec

STAGES = 5
"""The memories of the first stage, of the second, what is kept or driven, two for the count."""


class Groups:
    """`arrived` rises when the last group of a READ is through, `loaded` that of a pass."""

    def __init__(self, spec: TileSpec, ports: TransferPorts, wires: Wires, arrived: Signal) -> None:
        self.spec, self.ports, self.wires, self.arrived = spec, ports, wires, arrived

    def build(self, m: Module) -> list[Any]:
        """The mark of each stage, the entry's first."""
        spec, ports, wires = self.spec, self.ports, self.wires
        lanes = ports.lanes
        group_bits, lane_bits = len(ports.read.group), max(1, ceil_log2(lanes))
        mark = data.StructLayout({"valid": 1, "last": 1, "group": group_bits, "lane": lane_bits})
        marks: list[Any] = [Signal(mark, name=f"mark_{stage}") for stage in range(STAGES + 1)]
        for before, after in pairwise(marks):
            m.d.sync += after.eq(before)

        group = Signal(group_bits)
        lane = Signal(lane_bits)
        gone = Signal()
        reads = Signal()
        last_group = group == ports.groups - 1
        last_lane = lane == Mux(last_group, (spec.columns - 1) % lanes, lanes - 1)
        next_group = last_lane | ~wires.serial
        # A READ begins with a phase: its groups never come in its first cycle.
        m.d.sync += reads.eq(wires.reading & ~wires.read_over)
        m.d.comb += marks[0].group.eq(Mux(reads, ports.read.group, group))
        with m.If(reads):
            m.d.comb += [
                marks[0].valid.eq(ports.read.valid & wires.reading),
                marks[0].last.eq(ports.read.group == ports.groups - 1),
            ]
        with m.Else():
            m.d.comb += [
                marks[0].valid.eq(wires.passing & ~gone),
                marks[0].lane.eq(lane),
                marks[0].last.eq(last_group & next_group),
            ]
        with m.If(~wires.passing | reads):
            m.d.sync += [group.eq(0), lane.eq(0), gone.eq(0)]
        with m.Elif(~gone):
            m.d.sync += [
                lane.eq(Mux(next_group, 0, lane + 1)),
                group.eq(group + next_group),
                gone.eq(marks[0].last),
            ]
        through = marks[STAGES].valid & marks[STAGES].last
        with m.If(wires.reading & through):
            m.d.sync += self.arrived.eq(1)
        with m.If(wires.passing & through):
            m.d.sync += wires.loaded.eq(1)
        with m.Elif(wires.over | wires.failed | ports.journal.open):
            m.d.sync += wires.loaded.eq(0)
        return marks
