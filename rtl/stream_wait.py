"""The controller's waits for the host: a packet that a command takes, room for what it gives.

A part of rtl/controller.py. It goes on in the cycle in which there is both. A stream that is silent
for `stream_timeout` cycles ends the command; each beat begins the count anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from amaranth.hdl import Const, Module, Mux, Signal, Value

from rtl.phase import TIMEOUT_BITS
from spec.commands import Destination, Error

if TYPE_CHECKING:
    from rtl.controller import Controller


class StreamWait:
    """One counter of silence, for one wait after another: 0 before each."""

    def __init__(self, port: Controller, end: Callable[[Any], None]) -> None:
        """`port` has the streams' signals; `end` answers the command with an error."""
        self.port, self.end = port, end
        # Silent cycles, this one included, and whether those before it were too many.
        self.silence = Signal(TIMEOUT_BITS, init=1, name="silence")
        self.too_long = Signal(name="too_long")

    def begin(self, m: Module) -> None:
        """Begin to count."""
        m.d.sync += [self.silence.eq(1), self.too_long.eq(0)]

    def count(self, m: Module, silent: Value) -> None:
        """Count a cycle, or begin anew."""
        with m.If(silent):
            # Not equal to: the host may lower a time-out while it runs.
            too_long = self.silence >= self.port.stream_timeout
            m.d.sync += [self.silence.eq(self.silence + 1), self.too_long.eq(too_long)]
        with m.Else():
            self.begin(m)

    def packet(
        self, m: Module, ready, take: Signal, destination: Destination, then: str,
        gives: bool = False,
    ) -> None:  # fmt: skip
        """Take a packet; a bad one, or none in time, ends the command.

        One that `gives` a result takes it only where there is room for that: its packet waits on if
        the host has not made room in time.
        """
        port = self.port
        room = port.output_free if gives else Const(1)
        bad = port.vector_error & (port.vector_error_destination == destination)
        self.count(m, Mux(room, port.silent, port.output_stalled))
        with m.If(ready & room):
            m.d.comb += take.eq(1)
            self.begin(m)
            m.next = then
        with m.Elif(bad):
            self.end(port.vector_error_code)
        with m.Elif(self.too_long):
            # A packet on its way in is whole as long as it is the other stream that is silent.
            m.d.comb += port.drop.eq(room)
            self.end(Error.STREAM_TIMEOUT)
