"""The polarity bank: one bit a row, owned by this block alone. Bit 0 is p = +1, bit 1 is p = -1.

A write takes effect in the next cycle. `any_normal` and `any_inverted` say which phases there are,
three cycles after a write.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

FEW_LOG2 = 3
"""One of many bits is found too slowly for a cycle: of two to this power of them, it is not."""


class PolarityBank(wiring.Component):
    """Bits of `rows` rows. `write` puts `polarity` into `row`; a row out of range changes nothing.

    `bits` is lower_swap of each row. `read_bit` is the bit of `read_row` two cycles before.
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
        bit = Signal()
        within = Signal()
        was = self._bit_of(m, self.row)
        m.d.sync += [bit.eq(self.polarity), within.eq(self.write & (self.row < self.rows))]
        m.d.comb += [rises.eq(within & bit & ~was), falls.eq(within & ~bit & was)]
        m.d.sync += inverted.eq(inverted + rises - falls)
        for row in range(self.rows):
            with m.If(self.write & (self.row == row)):
                m.d.sync += self.bits[row].eq(self.polarity)
        m.d.sync += self.read_bit.eq(self._bit_of(m, self.read_row))
        m.d.sync += [
            self.any_inverted.eq(inverted != 0),
            self.any_normal.eq(inverted != self.rows),
        ]
        return m

    def _bit_of(self, m: Module, row: Signal) -> Value:
        """The bit of `row` a cycle before: of each few rows one, then one of those."""
        low = row[:FEW_LOG2]
        few = [
            self.bits[first : first + (1 << FEW_LOG2)]
            for first in range(0, self.rows, 1 << FEW_LOG2)
        ]
        ones, which = Signal(len(few), name="ones"), Signal(range(len(few)), name="which")
        m.d.sync += [
            ones.eq(Cat(rows.bit_select(low, 1) for rows in few)),
            which.eq(row >> FEW_LOG2),
        ]
        return ones.bit_select(which, 1)
