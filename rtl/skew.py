"""Row skew: a ring of an UPDATE's thresholds, with a tap for each group of eight rows.

The ring fills with all slots' thresholds, one a cycle, and then turns a place a slot: tap g has the
threshold of g slots before. After the last slot it is empty again, as it is after a `stop`.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spec.tile import TileSpec


class RowSkew(wiring.Component):
    """`i` are the row stream's thresholds; `o` has `spec.row_taps` at a time, tap 0 lowest."""

    i: stream.Interface
    o: stream.Interface
    stop: Signal

    def __init__(self, spec: TileSpec) -> None:
        """As many registers as slots."""
        self.slots, self.taps, self.bits = spec.update.slots, spec.row_taps, spec.row_code.bits
        super().__init__(
            {
                "i": In(stream.Signature(self.bits)),
                "o": Out(stream.Signature(self.taps * self.bits)),
                "stop": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The ring, whether it is full, and a count of the slots that it has taken or given."""
        m = Module()
        ring = [Signal(self.bits, name=f"ring_{place}") for place in range(self.slots)]
        full, count = Signal(), Signal(range(self.slots))
        moves = Signal()
        m.d.comb += [
            self.i.ready.eq(~full),
            self.o.valid.eq(full),
            # A threshold has moved g places since its slot was tap 0's.
            self.o.payload.eq(Cat(ring[tap - 1] for tap in range(self.taps))),
            moves.eq(Mux(full, self.o.ready, self.i.valid)),
        ]
        with m.If(moves):
            m.d.sync += ring[0].eq(Mux(full, ring[-1], self.i.payload))
            m.d.sync += [later.eq(ring[place]) for place, later in enumerate(ring[1:])]
            m.d.sync += count.eq(count + 1)
            with m.If(count == self.slots - 1):
                m.d.sync += full.eq(~full)
        with m.If(self.stop):
            m.d.sync += [full.eq(0), count.eq(0)]
        return m
