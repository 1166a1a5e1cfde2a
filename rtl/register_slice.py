"""A register slice between two streams, which cuts the way back as well."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class SkidBuffer(wiring.Component):
    """Two registers: `i.ready` is one bit of state, so that nothing runs from `o` back to `i`.

    Latency one cycle, one payload a cycle. The second register takes what comes in the cycle in
    which `o` stalls.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, payload: ShapeLike) -> None:
        """Any payload."""
        super().__init__({"i": In(stream.Signature(payload)), "o": Out(stream.Signature(payload))})

    def elaborate(self, platform: object) -> Module:
        """The register at the output, and the spare one."""
        m = Module()
        spare, spare_held = Signal.like(self.i.payload), Signal()
        m.d.comb += self.i.ready.eq(~spare_held)
        # It may as well hold what nobody needs: whether `o` stalls is late in its cycle.
        with m.If(~spare_held):
            m.d.sync += spare.eq(self.i.payload)
        with m.If(self.o.ready | ~self.o.valid):
            m.d.sync += [
                self.o.valid.eq(spare_held | self.i.valid),
                self.o.payload.eq(Mux(spare_held, spare, self.i.payload)),
                spare_held.eq(0),
            ]
        with m.Elif(self.i.valid & self.i.ready):
            m.d.sync += spare_held.eq(1)
        return m
