"""The controller's waits for the host: a packet that a command takes, room for what it gives.

A part of rtl/controller.py. It goes on in the cycle in which there is both. A stream that is silent
for `stream_timeout` cycles ends the command; each beat begins the count anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal

from rtl.phase import TIMEOUT_BITS
from spec.commands import Command, Destination, Error

if TYPE_CHECKING:
    from rtl.controller import Controller


class StreamWait:
    """One counter of silence, for one wait after another: 0 before each."""

    def __init__(self, port: Controller, m: Module, end: Callable[[Any], None]) -> None:
        """`port` has the streams' signals; `end` answers the command with an error."""
        self.port, self.m, self.end = port, m, end
        # Silent cycles, this one included, and whether those before it were too many.
        silence = Signal(TIMEOUT_BITS, init=1, name="silence")
        self.too_long = Signal(name="too_long")
        # What is waited for follows from the command: the count need not know its state.
        self.gives, self.loads = Signal(name="gives"), Signal(name="loads")
        silent = Signal(name="is_silent")
        for_room = self.gives & ~port.output_free
        m.d.comb += silent.eq(Mux(for_room, port.output_stalled, port.silent))
        begins = ~port.busy | port.rows_take | port.columns_take | (self.loads & ~port.weights_open)
        with m.If(silent & ~begins):
            # Not equal to: the host may lower a time-out while it runs.
            m.d.sync += [silence.eq(silence + 1), self.too_long.eq(silence >= port.stream_timeout)]
        with m.Else():
            m.d.sync += [silence.eq(1), self.too_long.eq(0)]

    def take(self) -> None:
        """What the command on offer may wait for."""
        opcode = self.port.word.opcode
        given = [opcode == command for command in (Command.FORWARD, Command.BACKWARD, Command.READ)]
        self.m.d.sync += [self.gives.eq(Cat(given).any()), self.loads.eq(opcode == Command.LOAD)]

    def packet(
        self, ready, take: Signal, destination: Destination, then: str, gives: bool = False
    ) -> None:
        """Take a packet; a bad one, or none in time, ends the command.

        One that `gives` a result takes it only where there is room for that: its packet waits on if
        the host has not made room in time.
        """
        m, port = self.m, self.port
        room = port.output_free if gives else Const(1)
        bad = port.vector_error & (port.vector_error_destination == destination)
        with m.If(ready & room):
            m.d.comb += take.eq(1)
            m.next = then
        with m.Elif(bad):
            self.end(port.vector_error_code)
        with m.Elif(self.too_long):
            # A packet on its way in is whole as long as it is the other stream that is silent.
            m.d.comb += port.drop.eq(room)
            self.end(Error.STREAM_TIMEOUT)
