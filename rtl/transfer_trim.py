"""Trim: trains of pulses, damped at each change of sign, until READ all is the weight.

r = W - READ all; a column is done if abs(r) <= trim_tol; k rises by 1 when r changes sign;
n = min(slots, max(1, (abs(r) trim_gain) >> (trim_shift + k))) pulses.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value

from rtl.transfer_ports import State, TransferPorts
from rtl.transfer_steps import Steps
from rtl.transfer_word import ColumnWord
from spec.commands import PairCode, Phase
from spec.tile import TileSpec


class Trim:
    """Its states of the sequencer, and its part of a column's two stages."""

    def __init__(self, spec: TileSpec, word: ColumnWord, ports: TransferPorts) -> None:
        self.slots, self.transfer, self.word, self.ports = (
            spec.update.slots, spec.transfer, word, ports,
        )  # fmt: skip

    def states(self, m: Module, steps: Steps) -> None:
        """TRIM_READ, and TRIM_PULSE until no column is on or the trains are used up."""
        ports, wires = self.ports, steps.wires
        with steps.state(State.TRIM_READ):

            def after_trim_read() -> None:
                at_limit = wires.trains == self.transfer.trim_limit
                with m.If((ports.unfinished == 0) | at_limit):
                    m.d.comb += ports.not_trimmed.eq(ports.unfinished != 0)
                    m.next = State.COMMIT.name
                with m.Else():
                    m.next = State.TRIM_PULSE.name

            steps.read(PairCode.ALL, after_trim_read)

        with steps.state(State.TRIM_PULSE):
            m.d.comb += ports.phase.payload.trim.eq(1)

            def after_trim() -> None:
                m.d.sync += wires.trains.eq(wires.trains + 1)
                m.next = State.TRIM_READ.name

            steps.load_and_ask(Phase.UPDATE, after_trim)

    def product(self, residual: Value) -> Value:
        """Pulses of a train before they are damped."""
        product = abs(residual) * self.transfer.trim_gain
        return product >> self.transfer.trim_shift

    def judge(
        self,
        m: Module,
        first: Value,
        difference: Signal,
        active: Value,
        was: Any,
        new: Any,
        on: Signal,
    ) -> None:
        """The residual that a READ found; before the `first` train there was none."""
        before = was.trim.residual
        turned = ((difference > 0) & (before < 0)) | ((difference < 0) & (before > 0))
        damps = turned & (was.trim.damping != self.word.most_damping)
        m.d.comb += [
            on.eq(Mux(first, active, was.trim.on) & (abs(difference) > self.transfer.trim_tol)),
            new.trim.residual.eq(difference),
            new.trim.damping.eq(Mux(first, 0, was.trim.damping + damps)),
            new.trim.on.eq(on),
        ]

    def pulses(self, m: Module, lane: str, was: Any, product: Signal) -> Signal:
        """Pulses of the next train: an undamped one diverges where a step is large."""
        damped = Signal(len(product), name=f"{lane}_damped")
        pulses = Signal(self.word.pulses, name=f"{lane}_pulses")
        m.d.comb += [
            damped.eq(product >> was.trim.damping),
            pulses.eq(Mux(damped == 0, 1, Mux(damped > self.slots, self.slots, damped))),
        ]
        return pulses
