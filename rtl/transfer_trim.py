"""Trim: trains of pulses, damped at each change of sign, until READ all is the weight.

r = W - READ all; a column is done if abs(r) <= trim_tol; k rises by 1 when r changes sign;
n = min(slots, max(1, (abs(r) trim_gain) >> (trim_shift + k))) pulses.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Value

from rtl.formats import exceeds, times
from rtl.transfer_ports import State, TransferPorts
from rtl.transfer_steps import Steps
from rtl.transfer_word import ColumnWord
from spec.commands import PairCode, Phase
from spec.tile import TileSpec


class Trim:
    """Its states of the sequencer, and its part of a column's stages."""

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
                with m.If(~wires.unfinished | at_limit):
                    m.d.comb += ports.not_trimmed.eq(wires.unfinished)
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

    def product(self, size: Value) -> Value:
        """Pulses of a train before they are damped."""
        return times(size, self.transfer.trim_gain) >> self.transfer.trim_shift

    def damping(self, first: Value, negative: Value, was: Any) -> Value:
        """k after a READ; before the `first` train there was no sign to turn from."""
        # A column that is still worked has a residual other than 0, before and now.
        turned = was.positive == negative
        damps = turned & (was.damping != self.word.most_damping)
        return Mux(first, 0, was.damping + damps)

    def is_done(self, size: Value) -> Value:
        """A READ found the weight, within trim_tol."""
        return ~exceeds(size, self.transfer.trim_tol)

    def pulses(self, damped: Value) -> Value:
        """Pulses of the next train: an undamped one diverges where a step is large."""
        return Mux(damped == 0, 1, Mux(exceeds(damped, self.slots), self.slots, damped))
