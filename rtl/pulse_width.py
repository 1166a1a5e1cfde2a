"""A side's line drivers: a code register a line, and one comparison with a shared threshold.

A line is high where its code is above the threshold. Counting the threshold up from 0 makes pulses
that last exactly their codes (FORWARD, BACKWARD); drawing it makes the words of an UPDATE. So one
comparator a line, of the code's width, does all three. One cycle from threshold to line. Nothing
here can stall.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2


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
        """One register a line."""
        m = Module()
        for line in range(self.lines):
            group, lane = divmod(line, self.lanes)
            with m.If(self.write & (self.group == group)):
                code = self.codes.word_select(lane, self.bits)
                m.d.sync += self.held.word_select(line, self.bits).eq(code)
        return m


class LineDrivers(wiring.Component):
    """`lines` drivers of codes of `bits` bits.

    `take` makes `taken` (lines x bits) the active codes; a `write` puts `codes` (`lanes` of them)
    into the lines of group `group`. While `drive` is high, lines that are `live` follow the
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

    def __init__(self, lines: int, bits: int, lanes: int = 1) -> None:
        """Raises ValueError where there is not at least one line and lane."""
        if lines < 1 or lanes < 1:
            raise ValueError(f"{lines} lines by {lanes} lanes: give at least one of each")
        self.count, self.bits, self.lanes = lines, bits, lanes
        self.groups = -(-lines // lanes)
        super().__init__(
            {
                "take": In(1),
                "taken": In(lines * bits),
                "write": In(1),
                "group": In(max(1, ceil_log2(self.groups))),
                "codes": In(lanes * bits),
                "threshold": In(bits),
                "drive": In(1),
                "full": In(1),
                "live": In(lines),
                "lines": Out(lines),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One register and one comparator a line."""
        m = Module()
        high = []
        for line in range(self.count):
            group, lane = divmod(line, self.lanes)
            code = Signal(self.bits, name=f"code_{line}")
            with m.If(self.take):
                m.d.sync += code.eq(self.taken.word_select(line, self.bits))
            with m.Elif(self.write & (self.group == group)):
                m.d.sync += code.eq(self.codes.word_select(lane, self.bits))
            high.append(self.live[line] & (self.full | (self.threshold < code)))
        m.d.sync += self.lines.eq(Cat(*high) & self.drive.replicate(self.count))
        return m
