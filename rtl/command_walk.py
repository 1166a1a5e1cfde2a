"""From a command's first state to its answer: the phases, conversions and writes that it takes.

A part of rtl/controller.py, whose registers and state machine it has. Each method adds the states
of a command, and a state is named by what is done in it; a `..._PHASE` waits for one in hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal

from rtl.converter import USE_BITS, Use
from rtl.phase import groups, index_bits, row_bits
from rtl.refusal import COMMAND
from rtl.stream_wait import StreamWait
from spec.commands import ERROR_BITS, Command, Destination, Error, Phase, RangeKind

if TYPE_CHECKING:
    from rtl.controller import Controller


class CommandWalk:
    """What the command in hand works with, and its states."""

    def __init__(self, port: Controller, m: Module) -> None:
        """`port` is the controller, `m` its module."""
        self.port, self.m, self.spec = port, m, (spec := port.spec)
        self.operation = Signal(4)
        self.flags: Any = Signal(COMMAND)
        # One a line: it has its name from the attribute.
        self.row = Signal(row_bits(spec))
        self.last_row = Signal(row_bits(spec))
        self.inverted = Signal()
        """The polarity of the phase in hand."""
        self.column = Signal(index_bits(spec.columns))
        self.group = Signal(index_bits(groups(spec, spec.columns)))
        self.use = Signal(USE_BITS)
        self.use_now = Signal(USE_BITS)
        self.converts = Signal(4)
        converters = spec.converters
        most_log2 = max(converters.read_average_log2, converters.calibration_log2)
        self.repeats = Signal(most_log2 + 1)
        self.read_repeats = (1 << converters.read_average_log2) - 1
        self.zero_repeats = (1 << converters.calibration_log2) - 1
        self.starts = Signal()
        """The sequencer is to take a range."""
        self.resumes = Signal()
        self.aborts = Signal()
        self.answer = Signal(ERROR_BITS)
        self.finishes = Signal()
        """The answer comes with a result."""
        self.range_failure = Signal(ERROR_BITS)
        # Why a phase failed whose end is told now: as it was in the cycle before, the tile was made
        # safe, disarmed, or the macro was silent.
        self.failure = Signal(ERROR_BITS, name="failure")
        unarmed = Mux(port.safe, Error.SAFE, Error.NOT_ARMED)
        m.d.sync += self.failure.eq(Mux(port.enable, Error.MACRO_TIMEOUT, unarmed))
        self.wait = StreamWait(port, m, self.end)
        self.request: Any = port.phase.payload
        request = self.request
        m.d.comb += [
            port.convert_use.eq(self.use),
            request.swap.eq(self.inverted),
            request.row.eq(self.row),
        ]
        m.d.comb += [request.pair.eq(self.flags.pair), port.polarity_row.eq(self.row)]
        with m.If(port.convert_start):
            m.d.comb += port.convert_use.eq(self.use_now)
        self._offers()

    def _offers(self) -> None:
        """What the sequencer is told comes from registers: its state machine is no faster."""
        m, port = self.m, self.port
        m.d.sync += [self.resumes.eq(0), self.aborts.eq(0)]
        m.d.comb += [
            port.resume.eq(self.resumes),
            port.abort.eq(self.aborts),
            port.start.valid.eq(self.starts),
            port.start.payload.first.eq(self.row),
            port.start.payload.last.eq(
                Mux(self.operation == Command.LOAD, self.row, self.last_row)
            ),
        ]
        with m.Switch(self.operation):
            with m.Case(Command.LOAD):
                m.d.comb += port.start.payload.kind.eq(RangeKind.LOAD)
            with m.Case(Command.INIT):
                m.d.comb += port.start.payload.kind.eq(RangeKind.INIT)
            with m.Default():
                m.d.comb += port.start.payload.kind.eq(RangeKind.TRANSFER)
        with m.If(port.start.ready):
            m.d.sync += self.starts.eq(0)

    def take(self) -> None:
        """Keep what the command on offer says."""
        port = self.port
        self.m.d.sync += [
            self.operation.eq(port.word.opcode),
            self.flags.eq(port.word),
            self.row.eq(port.first),
            self.last_row.eq(port.last),
            self.inverted.eq(~port.any_normal),
            self.group.eq(0),
            self.column.eq(0),
        ]
        self.wait.take()

    def states(self) -> None:
        """All states between the first and ANSWER."""
        self.forward()
        self.backward()
        self.update()
        self.read()
        self.calibrate()
        self.conversions()
        self.result()
        self.rows()
        self.raw()

    # -- what the states are made of ---------------------------------------------------------

    def end(self, error: Error | Signal) -> None:
        """Answer the command."""
        self.m.d.sync += self.answer.eq(error)
        self.m.next = "ANSWER"

    def ask(self, phase: Phase, then: str) -> None:
        """Ask for a phase, until it is taken."""
        m, port = self.m, self.port
        m.d.comb += [port.phase.valid.eq(1), self.request.phase.eq(phase)]
        with m.If(port.phase.ready):
            m.next = then

    def done(self, then: Callable[[], None]) -> None:
        """Go on when the phase in hand is done."""
        m, port = self.m, self.port
        with m.If(port.phase_failed):
            self.end(self.failure)
        with m.Elif(port.phase_done):
            then()

    def go(self, state: str) -> Callable[[], None]:
        """What goes to a state."""

        def then() -> None:
            self.m.next = state

        return then

    def convert(self, kind: Use, phase: Phase, count: int, then: str) -> None:
        """Begin a set of conversions."""
        m = self.m
        m.d.comb += self.port.convert_start.eq(1)
        m.d.comb += self.use_now.eq(kind)
        m.d.sync += [self.use.eq(kind), self.repeats.eq(count), self.converts.eq(phase)]
        m.next = then

    # -- the states --------------------------------------------------------------------------

    def forward(self) -> None:
        """FORWARD: a phase a polarity, one conversion."""
        m, port, spec = self.m, self.port, self.spec
        with m.State("FORWARD_VECTOR"):
            ready = port.rows_waiting if spec.rows > 1 else Const(1)
            self.wait.packet(ready, port.rows_take, Destination.ROWS, "FORWARD", gives=True)
        with m.State("FORWARD"):
            self.ask(Phase.FORWARD, "FORWARD_PHASE")
        with m.State("FORWARD_PHASE"):

            def other_forward() -> None:
                with m.If(~self.inverted & port.any_inverted):
                    m.d.sync += self.inverted.eq(1)
                    m.next = "FORWARD"
                with m.Else():
                    m.next = "FORWARD_CONVERT"

            self.done(other_forward)
        with m.State("FORWARD_CONVERT"):
            self.convert(Use.FORWARD, Phase.CONVERT_FORWARD, 0, "CONVERT")

    def backward(self) -> None:
        """BACKWARD: one phase, one conversion."""
        m, port = self.m, self.port
        with m.State("BACKWARD_VECTOR"):
            self.wait.packet(
                port.columns_waiting, port.columns_take, Destination.COLUMNS, "BACKWARD",
                gives=True,
            )  # fmt: skip
        with m.State("BACKWARD"):
            self.ask(Phase.BACKWARD, "BACKWARD_PHASE")
        with m.State("BACKWARD_PHASE"):
            self.done(self.go("BACKWARD_CONVERT"))
        with m.State("BACKWARD_CONVERT"):
            self.convert(Use.BACKWARD, Phase.CONVERT_BACKWARD, 0, "CONVERT")

    def update(self) -> None:
        """UPDATE: packets if asked for, then a phase a polarity."""
        m, port, spec = self.m, self.port, self.spec
        with m.State("UPDATE_ROWS"):
            then = "UPDATE_COLUMNS"
            ready = port.rows_waiting if spec.rows > 1 else Const(1)
            with m.If(self.flags.new_columns):
                self.wait.packet(ready, port.rows_take, Destination.ROWS, then)
            with m.Else():
                self.wait.packet(ready, port.rows_take, Destination.ROWS, "UPDATE")
        with m.State("UPDATE_COLUMNS"):
            self.wait.packet(port.columns_waiting, port.columns_take, Destination.COLUMNS, "UPDATE")
        with m.State("UPDATE"):
            m.d.comb += self.request.replay.eq(self.inverted & port.any_normal)
            self.ask(Phase.UPDATE, "UPDATE_PHASE")
        with m.State("UPDATE_PHASE"):

            def other_update() -> None:
                with m.If(~self.inverted & port.any_inverted):
                    m.d.sync += self.inverted.eq(1)
                    m.next = "UPDATE"
                with m.Else():
                    m.d.comb += port.commit.eq(1)
                    self.end(Error.NONE)

            self.done(other_update)

    def read(self) -> None:
        """READ: its zero, its window, its conversions."""
        m, port = self.m, self.port
        with m.State("READ_ZERO"):
            with m.If(port.output_free):
                self.convert(Use.READ_ZERO, Phase.CONVERT_READ, self.read_repeats, "CONVERT")
            with m.Elif(self.wait.too_long):
                self.end(Error.STREAM_TIMEOUT)
        with m.State("READ"):
            m.d.comb += self.request.swap.eq(port.polarity_bit)
            self.ask(Phase.READ, "READ_PHASE")
        with m.State("READ_PHASE"):
            self.done(self.go("READ_CONVERT"))
        with m.State("READ_CONVERT"):
            self.convert(Use.READ, Phase.CONVERT_READ, self.read_repeats, "CONVERT")

    def calibrate(self) -> None:
        """CALIBRATE: one side, then the other."""
        m = self.m
        with m.State("AUTO_ZERO_COLUMNS"):
            self.convert(Use.AUTO_ZERO_COLUMNS, Phase.CONVERT_FORWARD, self.zero_repeats, "CONVERT")
        with m.State("AUTO_ZERO_ROWS"):
            self.convert(Use.AUTO_ZERO_ROWS, Phase.CONVERT_BACKWARD, self.zero_repeats, "CONVERT")

    def conversions(self) -> None:
        """A set of conversions, and what comes after it."""
        m, port = self.m, self.port
        with m.State("CONVERT"):
            reading = self.converts == Phase.CONVERT_READ
            m.d.comb += [
                port.phase.valid.eq(1),
                self.request.phase.eq(self.converts),
                self.request.hold.eq(reading & (self.repeats != 0)),
            ]
            with m.If(port.phase.ready):
                m.next = "CONVERSION"
        with m.State("CONVERSION"):

            def another() -> None:
                m.d.sync += self.repeats.eq(self.repeats - 1)
                with m.If(self.repeats != 0):
                    m.next = "CONVERT"
                with m.Else():
                    with m.Switch(self.use):
                        with m.Case(Use.READ_ZERO):
                            m.next = "READ"
                        with m.Case(Use.AUTO_ZERO_COLUMNS):
                            m.next = "AUTO_ZERO_ROWS"
                        with m.Case(Use.AUTO_ZERO_ROWS):
                            m.d.comb += port.calibrated.eq(1)
                            self.end(Error.NONE)
                        with m.Default():
                            m.next = "RESULT"

            self.done(another)

    def result(self) -> None:
        """The result is sent."""
        m, port = self.m, self.port
        with m.State("RESULT"):
            with m.If(port.convert_out):
                m.d.sync += self.finishes.eq(1)
                self.end(Error.NONE)

    def rows(self) -> None:
        """TRANSFER, LOAD, INIT, RESUME, ABORT: the sequencer's."""
        m, port = self.m, self.port
        with m.State("TRANSFER"):
            aborted = port.command & (port.word.opcode == Command.ABORT)
            m.d.sync += self.aborts.eq(aborted & ~port.transfer_answered)
            m.d.comb += port.weights_timeout.eq(port.weights_open & self.wait.too_long)
            m.d.comb += port.drop.eq(port.weights_timeout)
            # The reason may be gone when the sequencer answers.
            with m.If(port.phase_failed):
                m.d.sync += self.range_failure.eq(self.failure)
            with m.If(port.transfer_answered):
                with m.If(port.transfer_error == Error.MACRO_TIMEOUT):
                    self.end(self.range_failure)
                with m.Else():
                    self.end(port.transfer_error)

    def raw(self) -> None:
        """IDLE, PRECHARGE and PROGRAM."""
        m, port, spec = self.m, self.port, self.spec
        lanes, column_groups = spec.converters.lanes, groups(spec, spec.columns)
        with m.State("IDLE_CYCLES"):
            self.ask(Phase.IDLE, "LAST_PHASE")
        with m.State("PRECHARGE"):
            self.ask(Phase.PRECHARGE, "LAST_PHASE")
        with m.State("LAST_PHASE"):
            self.done(lambda: self.end(Error.NONE))
        with m.State("PROGRAM_SELECT"):
            padded = Cat(port.column_enable, Signal(column_groups * lanes - spec.columns))
            m.d.comb += [
                port.select_write.eq(1),
                port.select_group.eq(self.group),
                port.select_mask.eq(padded.word_select(self.group, lanes)),
            ]
            m.d.sync += self.group.eq(self.group + 1)
            with m.If(self.group == column_groups - 1):
                m.next = "PROGRAM_LATCH"
        with m.State("PROGRAM_LATCH"):
            m.d.comb += [
                port.set_write.eq(1),
                port.set_column.eq(self.column),
                port.set_code.eq(self.flags.step_code),
                port.set_minus.eq(self.flags.minus),
            ]
            m.d.sync += self.column.eq(self.column + 1)
            with m.If(self.column == spec.columns - 1):
                m.next = "PROGRAM_RESET"
        with m.State("PROGRAM_RESET"):
            self.ask(Phase.RESET, "PROGRAM_RESET_PHASE")
        with m.State("PROGRAM_RESET_PHASE"):
            self.done(self.go("PROGRAM_SET"))
        with m.State("PROGRAM_SET"):
            self.ask(Phase.SET, "LAST_PHASE")
