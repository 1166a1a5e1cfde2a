"""A side's line drivers: a code register a line, and one comparison with a shared threshold.

A line is high where its code is above the threshold. Counting the threshold up from 0 makes pulses
that last exactly their codes (FORWARD, BACKWARD); drawing it makes the words of an UPDATE. So one
comparator a line, of the code's width, does all three. One cycle from threshold to line; codes are
written `lanes` a cycle. Nothing here can stall.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from spec.formats import Unsigned


class LineDrivers(wiring.Component):
    """`lines` drivers of codes of `code.bits` bits, written in groups of `lanes`.

    A write with `write` high puts `codes` (lane 0 lowest) into the lines of group `group`. While
    `drive` is high, lines that are `live` follow the comparison; otherwise all are low.
    """

    write: Signal
    group: Signal
    codes: Signal
    threshold: Signal
    drive: Signal
    live: Signal
    lines: Signal

    def __init__(self, lines: int, code: Unsigned, lanes: int) -> None:
        """Raises ValueError where there is not at least one line and lane."""
        if lines < 1 or lanes < 1:
            raise ValueError(f"{lines} lines by {lanes} lanes: give at least one of each")
        self.count, self.code, self.lanes = lines, code, lanes
        self.groups = -(-lines // lanes)
        super().__init__(
            {
                "write": In(1),
                "group": In(max(1, ceil_log2(self.groups))),
                "codes": In(lanes * code.bits),
                "threshold": In(code.bits),
                "drive": In(1),
                "live": In(lines),
                "lines": Out(lines),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One register and one comparator a line."""
        m = Module()
        bits = self.code.bits
        high = []
        for line in range(self.count):
            group, lane = divmod(line, self.lanes)
            code = Signal(bits, name=f"code_{line}")
            with m.If(self.write & (self.group == group)):
                m.d.sync += code.eq(self.codes.word_select(lane, bits))
            high.append(self.live[line] & (self.threshold < code))
        m.d.sync += self.lines.eq(Cat(*high) & self.drive.replicate(self.count))
        return m
