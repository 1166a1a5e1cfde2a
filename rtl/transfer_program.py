"""Program-and-verify: what is to be programmed, in a column and by the row.

c starts at W_pcm and gives the step code; after the verifying READ a column is done if its
difference is within prog_tol, else c moves by it, with W_pcm's sign and 1 <= abs(c) <= c_max.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed

from rtl.transfer_ports import State, TransferPorts
from rtl.transfer_steps import Steps
from rtl.transfer_word import ColumnWord
from spec.commands import PairCode, Phase, RangeKind
from spec.tile import TileSpec


class Program:
    """Its states of the sequencer, and its part of a column's two stages."""

    def __init__(self, spec: TileSpec, word: ColumnWord, ports: TransferPorts) -> None:
        self.transfer, self.word, self.ports = spec.transfer, word, ports
        # Without it there is nothing to SET: all of a weight stays with the capacitors.
        self.does = spec.transfer.program_pcm and spec.transfer.c_max > 0

    def states(self, m: Module, steps: Steps) -> None:
        """ERASE, and SET and VERIFY until no column is on or the attempts are used up."""
        ports, wires = self.ports, steps.wires
        with steps.state(State.ERASE):

            def after_erase() -> None:
                with m.If(ports.journal.kind == RangeKind.INIT):
                    m.next = State.COMMIT.name
                if self.does:
                    with m.Elif(ports.unfinished != 0):
                        m.next = State.SET.name
                with m.Else():
                    m.next = State.TRIM_READ.name

            steps.load_and_ask(Phase.RESET, after_erase)

        if not self.does:
            return
        with steps.state(State.SET):
            m.d.comb += wires.serial.eq(1)

            def after_set() -> None:
                m.d.comb += ports.attempt.eq(1)
                m.d.sync += wires.attempts.eq(wires.attempts + 1)
                m.next = State.VERIFY.name

            steps.load_and_ask(Phase.SET, after_set)

        with steps.state(State.VERIFY):

            def after_verify() -> None:
                at_limit = wires.attempts == self.transfer.prog_limit
                with m.If((ports.unfinished == 0) | at_limit):
                    m.d.comb += ports.not_programmed.eq(ports.unfinished != 0)
                    m.next = State.TRIM_READ.name
                with m.Else():
                    m.next = State.ERASE.name

            steps.read(PairCode.HIGHER, after_verify)

    def begin(
        self, m: Module, lane: str, difference: Signal, active: Value, new: Any, on: Signal
    ) -> None:
        """W_pcm, from what READ_LOWER leaves; blank where it is 0 or smaller than the offset."""
        transfer, c_max = self.transfer, self.transfer.c_max
        target = Signal(signed(self.word.magnitude + 1), name=f"{lane}_target")
        upright = Mux(self.ports.journal.p_new, -target, target)
        small = (target == 0) | ((upright > 0) & (upright < transfer.offset))
        m.d.comb += [
            target.eq(
                Mux(
                    difference > c_max,
                    c_max,
                    Mux(difference < -c_max, -c_max, difference),
                )
            ),
            on.eq(active & ~small & int(self.does)),
            new.program.target.eq(target),
            new.program.magnitude.eq(abs(target)),
            new.program.on.eq(on),
        ]

    def verify(
        self, m: Module, lane: str, difference: Signal, was: Any, new: Any, on: Signal
    ) -> None:
        """c keeps the target's sign and never reaches zero: one device, at least one code."""
        transfer, c_max = self.transfer, self.transfer.c_max
        target = was.program.target
        moved = Signal(signed(self.word.difference + 1), name=f"{lane}_moved")
        m.d.comb += [
            moved.eq(was.program.magnitude + Mux(target < 0, -difference, difference)),
            on.eq(was.program.on & (abs(difference) > transfer.prog_tol)),
            new.program.target.eq(target),
            new.program.magnitude.eq(Mux(moved < 1, 1, Mux(moved > c_max, c_max, moved))),
            new.program.on.eq(on),
        ]
