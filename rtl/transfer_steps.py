"""The steps that the sequencer's states are made of: ask for a phase, read, go on, answer.

Each is used inside a state: it adds what the state drives, and where the state machine goes then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from amaranth.hdl import Module, ValueLike

from rtl.transfer_ports import State, TransferPorts
from rtl.transfer_wires import Wires
from spec.commands import Error, PairCode, Phase, RangeKind

Then = Callable[[], None]
"""Adds where to go when a step is over."""


class Steps:
    """Of one sequencer, whose ports are `ports`."""

    def __init__(self, m: Module, ports: TransferPorts, wires: Wires) -> None:
        self.m, self.ports, self.wires = m, ports, wires

    @contextmanager
    def state(self, name: State) -> Iterator[None]:
        """A state, with its name at the port."""
        with self.m.State(name.name):
            self.m.d.comb += self.ports.state.eq(name)
            yield

    def go(self, state: State) -> Then:
        """Nothing but that state comes then."""

        def then() -> None:
            self.m.next = state.name

        return then

    def answer(self, error: ValueLike = Error.NONE) -> None:
        """The command is over."""
        self.m.d.sync += [self.ports.answered.eq(1), self.ports.error.eq(error)]
        self.m.next = State.IDLE.name

    def enter_row(self, kind: ValueLike) -> None:
        """The first state of a row of a range."""
        with self.m.If(kind == RangeKind.TRANSFER):
            self.m.next = State.READ_ZERO.name
        with self.m.Else():
            self.m.next = State.JOURNAL.name

    def ask(self, phase: Phase, then: Then) -> None:
        """One phase; if it fails, so does the command."""
        m, wires = self.m, self.wires
        m.d.comb += [wires.asking.eq(1), self.ports.phase.payload.phase.eq(phase)]
        with m.If(wires.failed):
            self.answer(Error.MACRO_TIMEOUT)
        with m.Elif(wires.over):
            then()

    def load_and_ask(self, phase: Phase, then: Then) -> None:
        """After a pass that writes the drivers."""
        m, wires = self.m, self.wires
        m.d.comb += wires.passing.eq(~wires.loaded)
        with m.If(wires.loaded):
            self.ask(phase, then)

    def read(self, pair: PairCode | None, then: Then) -> None:
        """None: the zero of the READs."""
        m, wires = self.m, self.wires
        m.d.comb += wires.reading.eq(1)
        if pair is None:
            m.d.comb += wires.zero.eq(1)
        else:
            m.d.comb += wires.pair.eq(pair)
        with m.If(wires.failed):
            self.answer(Error.MACRO_TIMEOUT)
        with m.Elif(wires.read_over):
            then()
