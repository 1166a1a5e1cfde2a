"""An AXI4-Lite slave: accesses become strobes of a simple bus, one at a time.

An access is answered four cycles after it was accepted, plus those that the bus takes beyond one
(the register bank takes three, so that makes six) and those in which the other kind goes first;
where both wait, writes and reads take turns. Every channel can be held back, and AW and W may come
in any order. All outputs are registered or follow from registers alone.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spec.registers import ADDRESS_BITS, WORD_BITS, WORD_BYTES

PROTECTION_BITS = 3
RESPONSE_BITS = 2
OKAY, SLVERR = 0, 2


class BusSignature(wiring.Signature):
    """The simple bus, as its master sees it.

    `write` or `read` is high for one cycle; `address`, `data` and `lanes` (the bytes written) are
    stable from then until `answered`, which comes in any later cycle, once, together with
    `answer` (what a read found) and `error`.
    """

    def __init__(self) -> None:
        """Widths are those of spec.registers."""
        super().__init__(
            {
                "write": Out(1),
                "read": Out(1),
                "address": Out(ADDRESS_BITS),
                "data": Out(WORD_BITS),
                "lanes": Out(WORD_BYTES),
                "answered": In(1),
                "answer": In(WORD_BITS),
                "error": In(1),
            }
        )


class AxiLite(wiring.Component):
    """The slave's channels under their AXI names, and the bus that it masters."""

    awaddr: Signal
    awprot: Signal
    awvalid: Signal
    awready: Signal
    wdata: Signal
    wstrb: Signal
    wvalid: Signal
    wready: Signal
    bresp: Signal
    bvalid: Signal
    bready: Signal
    araddr: Signal
    arprot: Signal
    arvalid: Signal
    arready: Signal
    rdata: Signal
    rresp: Signal
    rvalid: Signal
    rready: Signal
    bus: Any

    def __init__(self) -> None:
        """Widths are those of spec.registers."""
        super().__init__(
            {
                "awaddr": In(ADDRESS_BITS),
                "awprot": In(PROTECTION_BITS),
                "awvalid": In(1),
                "awready": Out(1),
                "wdata": In(WORD_BITS),
                "wstrb": In(WORD_BYTES),
                "wvalid": In(1),
                "wready": Out(1),
                "bresp": Out(RESPONSE_BITS),
                "bvalid": Out(1),
                "bready": In(1),
                "araddr": In(ADDRESS_BITS),
                "arprot": In(PROTECTION_BITS),
                "arvalid": In(1),
                "arready": Out(1),
                "rdata": Out(WORD_BITS),
                "rresp": Out(RESPONSE_BITS),
                "rvalid": Out(1),
                "rready": In(1),
                "bus": Out(BusSignature()),
            }
        )
        # What was accepted and not yet answered on the bus; the proofs look at it.
        self.aw_held, self.w_held, self.ar_held = Signal(), Signal(), Signal()
        self.idle, self.writing, self.reading = Signal(), Signal(), Signal()

    def elaborate(self, platform: object) -> Module:
        """A place for one of each request, a place for one of each response."""
        m = Module()
        bus = self.bus
        write_address, read_address = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        m.d.comb += [
            self.awready.eq(~self.aw_held),
            self.wready.eq(~self.w_held),
            self.arready.eq(~self.ar_held),
        ]
        with m.If(self.awvalid & self.awready):
            m.d.sync += [self.aw_held.eq(1), write_address.eq(self.awaddr)]
        with m.If(self.wvalid & self.wready):
            m.d.sync += [self.w_held.eq(1), bus.data.eq(self.wdata), bus.lanes.eq(self.wstrb)]
        with m.If(self.arvalid & self.arready):
            m.d.sync += [self.ar_held.eq(1), read_address.eq(self.araddr)]

        with m.If(self.bready):
            m.d.sync += self.bvalid.eq(0)
        with m.If(self.rready):
            m.d.sync += self.rvalid.eq(0)

        # A response not taken holds back its own channel alone: a master may wait for the other.
        may_write, may_read = Signal(), Signal()
        m.d.comb += [
            may_write.eq(self.aw_held & self.w_held & ~self.bvalid),
            may_read.eq(self.ar_held & ~self.rvalid),
        ]
        m.d.sync += [bus.read.eq(0), bus.write.eq(0)]
        response = Mux(bus.error, SLVERR, OKAY)
        with m.FSM():
            with m.State("IDLE"):
                # The next of a kind is accepted a cycle too late to come before one of the other.
                m.d.comb += self.idle.eq(1)
                with m.If(may_read):
                    m.d.sync += [bus.read.eq(1), bus.address.eq(read_address)]
                    m.next = "READ"
                with m.Elif(may_write):
                    m.d.sync += [bus.write.eq(1), bus.address.eq(write_address)]
                    m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += self.writing.eq(1)
                with m.If(bus.answered):
                    m.d.sync += [self.aw_held.eq(0), self.w_held.eq(0)]
                    m.d.sync += [self.bvalid.eq(1), self.bresp.eq(response)]
                    m.next = "IDLE"
            with m.State("READ"):
                m.d.comb += self.reading.eq(1)
                with m.If(bus.answered):
                    m.d.sync += self.ar_held.eq(0)
                    m.d.sync += [self.rvalid.eq(1), self.rresp.eq(response)]
                    m.d.sync += self.rdata.eq(bus.answer)
                    m.next = "IDLE"
        return m
