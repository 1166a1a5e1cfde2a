"""A side's line drivers: a code register a line, and one comparison with a shared threshold, or
with the one of several that is its group's.

A line is high where its code is above the threshold. Counting the threshold up from 0 makes pulses
that last exactly their codes (FORWARD, BACKWARD); drawing it makes the words of an UPDATE. So one
comparator a line, of the code's width, does all three. One cycle from threshold to line. Nothing
here can stall.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from spec.tile import SKEW_ROWS


class Shadow(wiring.Component):
    """The codes of a packet, before their command starts: `lines` of `bits` bits.

    A `write` puts `codes` (`lanes` of them, lane 0 lowest) into the lines of group `group`.
    """

    write: Signal
    group: Signal
    codes: Signal
    held: Signal

    def __init__(self, lines: int, bits: int, lanes: int) -> None:
        """`held` (lines x bits) is all that was written."""
        self.lines, self.bits, self.lanes = lines, bits, lanes
        groups = -(-lines // lanes)
        super().__init__(
            {
                "write": In(1),
                "group": In(max(1, ceil_log2(groups))),
                "codes": In(lanes * bits),
                "held": Out(lines * bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One register a line, one decoder a group."""
        m = Module()
        write_groups(m, self.held, self.write, self.group, self.codes, self.lines, self.bits)
        return m


def write_groups(
    m: Module, held: Signal, write: Value, group: Value, codes: Value, lines: int, bits: int
) -> None:
    """A `write` puts `codes` into the lines of `group`: as many of them as a group has lines."""
    lanes = len(codes) // bits
    for place, first in enumerate(range(0, lines, lanes)):
        width = bits * min(lanes, lines - first)
        with m.If(write & (group == place)):
            m.d.sync += held[bits * first : bits * first + width].eq(codes[:width])


class LineDrivers(wiring.Component):
    """`lines` drivers of codes of `bits` bits.

    `take` makes `taken` (lines x bits) the active codes; a `write` puts `codes` (`lanes` of them)
    into the lines of group `group`. `threshold` has `taps` thresholds, tap 0 lowest, of which each
    `SKEW_ROWS` lines take the next. While `drive` is high, lines that are `live` follow the
    comparison, or are high with `full`; otherwise all are low.
    """

    take: Signal
    taken: Signal
    write: Signal
    group: Signal
    codes: Signal
    threshold: Signal
    drive: Signal
    full: Signal
    live: Signal
    lines: Signal

    def __init__(self, lines: int, bits: int, lanes: int = 0, taps: int = 1) -> None:
        """With `lanes` 0 there is no port for writes. Raises ValueError where there is no line."""
        if lines < 1 or lanes < 0:
            raise ValueError(f"{lines} lines by {lanes} lanes: give at least one line")
        self.count, self.bits, self.lanes, self.taps = lines, bits, lanes, taps
        self.groups = -(-lines // lanes) if lanes else 0
        members = {
            "take": In(1),
            "taken": In(lines * bits),
            "threshold": In(taps * bits),
            "drive": In(1),
            "full": In(1),
            "live": In(lines),
            "lines": Out(lines),
        }
        if lanes:
            members |= {
                "write": In(1),
                "group": In(max(1, ceil_log2(self.groups))),
                "codes": In(lanes * bits),
            }
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """One register and one comparator a line."""
        m = Module()
        held = Signal(self.count * self.bits)
        if self.lanes:
            write_groups(m, held, self.write, self.group, self.codes, self.count, self.bits)
        with m.If(self.take):
            m.d.sync += held.eq(self.taken)
        above = Cat(
            self.threshold.word_select(line // SKEW_ROWS % self.taps, self.bits)
            < held.word_select(line, self.bits)
            for line in range(self.count)
        )
        high = (above | self.full.replicate(self.count)) & self.live
        m.d.sync += self.lines.eq(high & self.drive.replicate(self.count))
        return m
