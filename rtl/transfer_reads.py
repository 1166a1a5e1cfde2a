"""One phase of the sequencer, and a READ, which is several of them.

A READ is its drive phase, if it is not the zero, then 2^a conversions; it is over when the last of
its codes has gone through the columns.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal

from rtl.transfer_ports import TransferPorts
from rtl.transfer_wires import Wires
from spec.commands import Phase
from spec.tile import TileSpec


class Reads:
    """`arrived`: the last codes of the READ in hand are where they belong."""

    def __init__(self, spec: TileSpec, ports: TransferPorts, wires: Wires, arrived: Signal) -> None:
        self.spec, self.ports, self.wires, self.arrived = spec, ports, wires, arrived

    def build(self, m: Module) -> None:
        """Requests, and the states of a READ."""
        self._phases(m)
        self._reads(m)

    def _phases(self, m: Module) -> None:
        """One request, then its answer; an answer to nobody's request is somebody else's."""
        ports, wires = self.ports, self.wires
        asked = Signal()
        told = Signal()
        m.d.comb += [
            ports.phase.valid.eq(wires.asking & ~asked & ~told),
            ports.phase.payload.row.eq(wires.row),
            ports.phase.payload.swap.eq(ports.polarity_bit),
            told.eq(wires.over | wires.failed),
        ]
        # Registers: all that follows from an answer would be slow.
        m.d.sync += [
            wires.over.eq(asked & ports.phase_done & ~ports.phase_failed),
            wires.failed.eq(asked & ports.phase_failed),
        ]
        with m.If(ports.phase.valid & ports.phase.ready):
            m.d.sync += asked.eq(1)
        with m.Elif(ports.phase_done):
            m.d.sync += asked.eq(0)

    def _reads(self, m: Module) -> None:
        ports, wires, arrived = self.ports, self.wires, self.arrived
        repeats = 1 << self.spec.converters.read_average_log2
        conversion = Signal(range(repeats))
        last = conversion == repeats - 1
        asked = ports.phase.payload
        with m.FSM(name="reads"):
            with m.State("REST"):
                m.d.sync += [conversion.eq(0), arrived.eq(0)]
                with m.If(wires.reading):
                    m.d.comb += [ports.read_start.eq(1), ports.read_zero.eq(wires.zero)]
                    m.d.sync += [ports.unfinished.eq(0), wires.unfinished.eq(0)]
                    with m.If(wires.zero):
                        m.next = "CONVERT"
                    with m.Else():
                        m.next = "DRIVE"
            # Nothing is asked for unless a state wants it, from whatever state this one starts.
            with m.State("DRIVE"):
                m.d.comb += [
                    wires.asking.eq(wires.reading),
                    asked.phase.eq(Phase.READ),
                    asked.pair.eq(wires.pair),
                ]
                with m.If(wires.failed | ~wires.reading):
                    m.next = "REST"
                with m.Elif(wires.over):
                    m.next = "CONVERT"
            with m.State("CONVERT"):
                m.d.comb += [
                    wires.asking.eq(wires.reading),
                    asked.phase.eq(Phase.CONVERT_READ),
                    asked.hold.eq(~last),
                ]
                with m.If(wires.failed | ~wires.reading):
                    m.next = "REST"
                with m.Elif(wires.over):
                    m.d.sync += conversion.eq(conversion + 1)
                    with m.If(last):
                        m.next = "CODES"
            with m.State("CODES"):
                with m.If(wires.zero | arrived | ~wires.reading):
                    m.d.comb += wires.read_over.eq(wires.reading)
                    m.next = "REST"
