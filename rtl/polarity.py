"""The polarity bank: one bit a row, owned by this block alone. Bit 0 is p = +1, bit 1 is p = -1.

A write takes effect in the next cycle. `any_normal` and `any_inverted` say which phases there are,
three cycles after a write.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2


class PolarityBank(wiring.Component):
    """Bits of `rows` rows. `write` puts `polarity` into `row`; a row out of range changes nothing.

    `bits` is lower_swap of each row. `read_bit` is the bit of `read_row` a cycle before: one of
    many is found too slowly for the same cycle.
    """

    write: Signal
    row: Signal
    polarity: Signal
    bits: Signal
    read_row: Signal
    read_bit: Signal
    any_normal: Signal
    any_inverted: Signal

    def __init__(self, rows: int) -> None:
        """All rows start with NORMAL polarity."""
        self.rows = rows
        super().__init__(
            {
                "write": In(1),
                "row": In(max(1, ceil_log2(rows))),
                "polarity": In(1),
                "bits": Out(rows),
                "read_row": In(max(1, ceil_log2(rows))),
                "read_bit": Out(1),
                "any_normal": Out(1, init=1),  # pyright: ignore[reportCallIssue]
                "any_inverted": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The bits, and a count of those that are set: an OR of all rows would be slow."""
        m = Module()
        inverted = Signal(range(self.rows + 1))
        # One a line: the proofs find them by name.
        rises = Signal()
        falls = Signal()
        # What the bit was is found in two steps: one of many in a cycle would be slow.
        low_bits = min(4, len(self.row))
        groups = range(-(-self.rows // (1 << low_bits)))
        found = Cat(
            self.bits[group << low_bits : (group + 1) << low_bits].bit_select(
                self.row[:low_bits], 1
            )
            for group in groups
        )
        parts, group, bit = Signal(len(found)), Signal(range(len(groups))), Signal()
        within = Signal()
        m.d.sync += [
            parts.eq(found),
            group.eq(self.row >> low_bits),
            bit.eq(self.polarity),
            within.eq(self.write & (self.row < self.rows)),
        ]
        was = parts.bit_select(group, 1)
        m.d.comb += [rises.eq(within & bit & ~was), falls.eq(within & ~bit & was)]
        m.d.sync += inverted.eq(inverted + rises - falls)
        for row in range(self.rows):
            with m.If(self.write & (self.row == row)):
                m.d.sync += self.bits[row].eq(self.polarity)
        m.d.sync += self.read_bit.eq(self.bits.bit_select(self.read_row, 1))
        m.d.sync += [
            self.any_inverted.eq(inverted != 0),
            self.any_normal.eq(inverted != self.rows),
        ]
        return m
