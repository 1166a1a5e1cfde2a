"""Takes a command, checks it, runs its phases, answers it.

A command is taken in the cycle of its strobe, while idle; `answered` comes once for each, with its
error. What a command needs is checked in that cycle, in the order of `_refusal`. FORWARD, BACKWARD
and UPDATE wait for their packets here, no longer than `stream_timeout` cycles without a beat.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.converter import USE_BITS, Use
from rtl.phase import (
    PAIR_BITS,
    TIMEOUT_BITS,
    groups,
    index_bits,
    request_layout,
    row_bits,
)
from rtl.row_range import start_layout
from spec.commands import ERROR_BITS, Command, Destination, Error, PairCode, Phase, RangeKind
from spec.tile import STEP_CODE_BITS, TileSpec

COMMAND = data.StructLayout(
    {
        "opcode": 4,
        "new_rows": 1,
        "new_columns": 1,
        "force": 1,
        "unused": 1,
        "pair": PAIR_BITS,
        "minus": 1,
        "unused_too": 5,
        "step_code": STEP_CODE_BITS,
    }
)
"""The COMMAND register, from bit 0 on."""


class Controller(wiring.Component):
    """One command at a time; see the head of the file.

    `command` is a strobe of one cycle with `word`. `phase` goes to the phase driver, `start` to the
    transfer sequencer; `transfer_working` says that the sequencer asks for a phase of its own.
    `polarity_bit` is that of `polarity_row` a cycle before.
    """

    command: Signal
    word: Any
    first: Signal
    last: Signal
    idle_cycles: Signal
    enable: Signal
    safe: Signal
    bringup: Signal
    unknown: Signal
    journal_valid: Signal
    journal_row: Signal
    stream_timeout: Signal
    any_normal: Signal
    any_inverted: Signal
    polarity_row: Signal
    polarity_bit: Signal
    column_enable: Signal
    busy: Signal
    answered: Signal
    error: Signal

    rows_waiting: Signal
    columns_waiting: Signal
    vector_error: Signal
    vector_error_code: Signal
    vector_error_destination: Signal
    silent: Signal
    rows_take: Signal
    columns_take: Signal
    drop: Signal
    rows_held: Signal
    columns_held: Signal

    phase: stream.Interface
    phase_done: Signal
    phase_failed: Signal
    commit: Signal
    convert_start: Signal
    convert_use: Signal
    convert_out: Signal
    output_free: Signal
    finish: Signal

    start: stream.Interface
    resume: Signal
    abort: Signal
    transfer_working: Signal
    transfer_answered: Signal
    transfer_error: Signal
    weights_open: Signal
    weights_timeout: Signal
    discard_journal: Signal

    select_write: Signal
    select_group: Signal
    select_mask: Signal
    set_write: Signal
    set_column: Signal
    set_code: Signal
    set_minus: Signal

    calibrates: Signal
    calibrated: Signal
    forwarded: Signal
    raw_access: Signal

    def __init__(self, spec: TileSpec) -> None:
        """Row numbers of a command have 16 bits, so that any wrong one can be told."""
        self.spec = spec
        lanes = spec.converters.lanes
        super().__init__(
            {
                "command": In(1),
                "word": In(COMMAND),
                "first": In(16),
                "last": In(16),
                "idle_cycles": In(TIMEOUT_BITS),
                "enable": In(1),
                "safe": In(1),
                "bringup": In(1),
                "unknown": In(1),
                "journal_valid": In(1),
                "journal_row": In(row_bits(spec)),
                "stream_timeout": In(TIMEOUT_BITS),
                "any_normal": In(1),
                "any_inverted": In(1),
                "polarity_row": Out(row_bits(spec)),
                "polarity_bit": In(1),
                "column_enable": In(spec.columns),
                "busy": Out(1),
                "answered": Out(1),
                "error": Out(ERROR_BITS),
                "rows_waiting": In(1),
                "columns_waiting": In(1),
                "vector_error": In(1),
                "vector_error_code": In(ERROR_BITS),
                "vector_error_destination": In(2),
                "silent": In(1),
                "rows_take": Out(1),
                "columns_take": Out(1),
                "drop": Out(1),
                "rows_held": Out(1),
                "columns_held": Out(1),
                "phase": Out(stream.Signature(request_layout(spec))),
                "phase_done": In(1),
                "phase_failed": In(1),
                "commit": Out(1),
                "convert_start": Out(1),
                "convert_use": Out(USE_BITS),
                "convert_out": In(1),
                "output_free": In(1),
                "finish": Out(1),
                "start": Out(stream.Signature(start_layout(spec))),
                "resume": Out(1),
                "abort": Out(1),
                "transfer_working": In(1),
                "transfer_answered": In(1),
                "transfer_error": In(ERROR_BITS),
                "weights_open": In(1),
                "weights_timeout": Out(1),
                "discard_journal": Out(1),
                "select_write": Out(1),
                "select_group": Out(index_bits(groups(spec, spec.columns))),
                "select_mask": Out(lanes),
                "set_write": Out(1),
                "set_column": Out(index_bits(spec.columns)),
                "set_code": Out(STEP_CODE_BITS),
                "set_minus": Out(1),
                "calibrates": Out(1),
                "calibrated": Out(1),
                "forwarded": Out(1),
                "raw_access": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Checks, then a state machine that reads as the commands do."""
        m = Module()
        spec, word = self.spec, self.word
        lanes, column_groups = spec.converters.lanes, groups(spec, spec.columns)
        operation = Signal(4)
        flags: Any = Signal(COMMAND)
        row, last_row = Signal(row_bits(spec)), Signal(row_bits(spec))
        inverted = Signal()  # the polarity of the phase in hand
        repeats = Signal(
            max(spec.converters.read_average_log2, spec.converters.calibration_log2) + 1
        )
        silence = Signal(TIMEOUT_BITS)
        use = Signal(USE_BITS)
        answer = Signal(ERROR_BITS)
        range_failure = Signal(ERROR_BITS)
        refusal = self._refusal(m)
        request: Any = self.phase.payload
        column = Signal(index_bits(spec.columns))
        group = Signal(index_bits(column_groups))
        m.d.comb += [self.convert_use.eq(use), request.swap.eq(inverted), request.row.eq(row)]
        m.d.comb += [request.pair.eq(flags.pair), self.polarity_row.eq(row)]
        read_repeats, zero_repeats = (
            (1 << log2) - 1
            for log2 in (spec.converters.read_average_log2, spec.converters.calibration_log2)
        )

        def end(error: Error | Signal) -> None:
            m.d.sync += answer.eq(error)
            m.next = "ANSWER"

        def waiting(ready, take: Signal, destination: Destination, then: str) -> None:
            """Take a packet; a bad one, or none in time, ends the command."""
            bad = self.vector_error & (self.vector_error_destination == destination)
            m.d.sync += silence.eq(Mux(self.silent, silence + 1, 0))
            with m.If(ready):
                m.d.comb += take.eq(1)
                m.d.sync += silence.eq(0)
                m.next = then
            with m.Elif(bad):
                end(self.vector_error_code)
            # Not equal to: the host may lower a time-out while it runs.
            with m.Elif(silence >= self.stream_timeout):
                m.d.comb += self.drop.eq(1)
                end(Error.STREAM_TIMEOUT)

        def ask(phase: Phase, then: str) -> None:
            m.d.comb += [self.phase.valid.eq(1), request.phase.eq(phase)]
            with m.If(self.phase.ready):
                m.next = then

        def done(then) -> None:
            """Go on when the phase in hand is done."""
            with m.If(self.phase_done):
                with m.If(self.phase_failed):
                    end(self._failure(m))
                with m.Else():
                    then()

        def convert(kind: Use, phase: Phase, count: int, then: str) -> None:
            """Begin a set of conversions."""
            m.d.comb += self.convert_start.eq(1)
            m.d.comb += use_now.eq(kind)
            m.d.sync += [use.eq(kind), repeats.eq(count), converts.eq(phase)]
            m.next = then

        use_now = Signal(USE_BITS)
        converts = Signal(4)
        with m.If(self.convert_start):
            m.d.comb += self.convert_use.eq(use_now)

        def go(state: str):
            def then() -> None:
                m.next = state

            return then

        with m.FSM() as fsm:
            with m.State("IDLE"):
                with m.If(self.command):
                    m.d.sync += [
                        operation.eq(word.opcode),
                        flags.eq(word),
                        row.eq(self.first),
                        last_row.eq(self.last),
                        silence.eq(0),
                        inverted.eq(~self.any_normal),
                        group.eq(0),
                        column.eq(0),
                    ]
                    with m.If(refusal != Error.NONE):
                        end(refusal)
                    with m.Else():
                        self._begin(m)
            with m.State("FORWARD_VECTOR"):
                ready = self.rows_waiting if spec.rows > 1 else 1
                waiting(ready, self.rows_take, Destination.ROWS, "FORWARD")
            with m.State("FORWARD"):
                ask(Phase.FORWARD, "FORWARD_PHASE")
            with m.State("FORWARD_PHASE"):

                def other_forward() -> None:
                    with m.If(~inverted & self.any_inverted):
                        m.d.sync += inverted.eq(1)
                        m.next = "FORWARD"
                    with m.Else():
                        m.next = "FORWARD_CONVERT"

                done(other_forward)
            with m.State("FORWARD_CONVERT"):
                with m.If(self.output_free):
                    convert(Use.FORWARD, Phase.CONVERT_FORWARD, 0, "CONVERT")

            with m.State("BACKWARD_VECTOR"):
                waiting(self.columns_waiting, self.columns_take, Destination.COLUMNS, "BACKWARD")
            with m.State("BACKWARD"):
                ask(Phase.BACKWARD, "BACKWARD_PHASE")
            with m.State("BACKWARD_PHASE"):
                done(go("BACKWARD_CONVERT"))
            with m.State("BACKWARD_CONVERT"):
                with m.If(self.output_free):
                    convert(Use.BACKWARD, Phase.CONVERT_BACKWARD, 0, "CONVERT")

            with m.State("UPDATE_ROWS"):
                then = "UPDATE_COLUMNS"
                ready = self.rows_waiting if spec.rows > 1 else 1
                with m.If(flags.new_columns):
                    waiting(ready, self.rows_take, Destination.ROWS, then)
                with m.Else():
                    waiting(ready, self.rows_take, Destination.ROWS, "UPDATE")
            with m.State("UPDATE_COLUMNS"):
                waiting(self.columns_waiting, self.columns_take, Destination.COLUMNS, "UPDATE")
            with m.State("UPDATE"):
                m.d.comb += request.replay.eq(inverted & self.any_normal)
                ask(Phase.UPDATE, "UPDATE_PHASE")
            with m.State("UPDATE_PHASE"):

                def other_update() -> None:
                    with m.If(~inverted & self.any_inverted):
                        m.d.sync += inverted.eq(1)
                        m.next = "UPDATE"
                    with m.Else():
                        m.d.comb += self.commit.eq(1)
                        end(Error.NONE)

                done(other_update)

            with m.State("READ_ZERO"):
                with m.If(self.output_free):
                    convert(Use.READ_ZERO, Phase.CONVERT_READ, read_repeats, "CONVERT")
            with m.State("READ"):
                m.d.comb += request.swap.eq(self.polarity_bit)
                ask(Phase.READ, "READ_PHASE")
            with m.State("READ_PHASE"):
                done(go("READ_CONVERT"))
            with m.State("READ_CONVERT"):
                convert(Use.READ, Phase.CONVERT_READ, read_repeats, "CONVERT")

            with m.State("AUTO_ZERO_COLUMNS"):
                convert(Use.AUTO_ZERO_COLUMNS, Phase.CONVERT_FORWARD, zero_repeats, "CONVERT")
            with m.State("AUTO_ZERO_ROWS"):
                convert(Use.AUTO_ZERO_ROWS, Phase.CONVERT_BACKWARD, zero_repeats, "CONVERT")

            with m.State("CONVERT"):
                reading = converts == Phase.CONVERT_READ
                m.d.comb += [
                    self.phase.valid.eq(1),
                    request.phase.eq(converts),
                    request.hold.eq(reading & (repeats != 0)),
                ]
                with m.If(self.phase.ready):
                    m.next = "CONVERSION"
            with m.State("CONVERSION"):

                def another() -> None:
                    m.d.sync += repeats.eq(repeats - 1)
                    with m.If(repeats != 0):
                        m.next = "CONVERT"
                    with m.Else():
                        with m.Switch(use):
                            with m.Case(Use.READ_ZERO):
                                m.next = "READ"
                            with m.Case(Use.AUTO_ZERO_COLUMNS):
                                m.next = "AUTO_ZERO_ROWS"
                            with m.Case(Use.AUTO_ZERO_ROWS):
                                m.d.comb += self.calibrated.eq(1)
                                end(Error.NONE)
                            with m.Default():
                                m.next = "RESULT"

                done(another)
            with m.State("RESULT"):
                with m.If(self.convert_out):
                    m.next = "FINISH"
            with m.State("FINISH"):
                m.d.comb += self.finish.eq(1)
                m.d.comb += self.forwarded.eq(operation == Command.FORWARD)
                end(Error.NONE)

            with m.State("RANGE"):
                m.d.comb += [
                    self.start.valid.eq(1),
                    self.start.payload.first.eq(row),
                    self.start.payload.last.eq(Mux(operation == Command.LOAD, row, last_row)),
                ]
                with m.Switch(operation):
                    with m.Case(Command.LOAD):
                        m.d.comb += self.start.payload.kind.eq(RangeKind.LOAD)
                    with m.Case(Command.INIT):
                        m.d.comb += self.start.payload.kind.eq(RangeKind.INIT)
                    with m.Default():
                        m.d.comb += self.start.payload.kind.eq(RangeKind.TRANSFER)
                with m.If(self.start.ready):
                    m.next = "TRANSFER"
            with m.State("RESUME"):
                m.d.comb += self.resume.eq(1)
                m.d.comb += self.abort.eq(operation == Command.ABORT)
                m.next = "TRANSFER"
            with m.State("TRANSFER"):
                m.d.comb += self.abort.eq(self.command & (word.opcode == Command.ABORT))
                m.d.sync += silence.eq(Mux(self.weights_open & self.silent, silence + 1, 0))
                m.d.comb += self.weights_timeout.eq(
                    self.weights_open & (silence >= self.stream_timeout)
                )
                m.d.comb += self.drop.eq(self.weights_timeout)
                # The reason may be gone when the sequencer answers.
                with m.If(self.phase_done & self.phase_failed):
                    m.d.sync += range_failure.eq(self._failure(m))
                with m.If(self.transfer_answered):
                    with m.If(self.transfer_error == Error.MACRO_TIMEOUT):
                        end(range_failure)
                    with m.Else():
                        end(self.transfer_error)

            with m.State("IDLE_CYCLES"):
                ask(Phase.IDLE, "LAST_PHASE")
            with m.State("PRECHARGE"):
                ask(Phase.PRECHARGE, "LAST_PHASE")
            with m.State("LAST_PHASE"):
                done(lambda: end(Error.NONE))
            with m.State("PROGRAM_SELECT"):
                padded = Cat(self.column_enable, Signal(column_groups * lanes - spec.columns))
                m.d.comb += [
                    self.select_write.eq(1),
                    self.select_group.eq(group),
                    self.select_mask.eq(padded.word_select(group, lanes)),
                ]
                m.d.sync += group.eq(group + 1)
                with m.If(group == column_groups - 1):
                    m.next = "PROGRAM_LATCH"
            with m.State("PROGRAM_LATCH"):
                m.d.comb += [
                    self.set_write.eq(1),
                    self.set_column.eq(column),
                    self.set_code.eq(flags.step_code),
                    self.set_minus.eq(flags.minus),
                ]
                m.d.sync += column.eq(column + 1)
                with m.If(column == spec.columns - 1):
                    m.next = "PROGRAM_RESET"
            with m.State("PROGRAM_RESET"):
                ask(Phase.RESET, "PROGRAM_RESET_PHASE")
            with m.State("PROGRAM_RESET_PHASE"):
                done(go("PROGRAM_SET"))
            with m.State("PROGRAM_SET"):
                ask(Phase.SET, "LAST_PHASE")

            with m.State("ANSWER"):
                m.d.comb += [self.answered.eq(1), self.error.eq(answer)]
                m.next = "IDLE"

        m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
        with m.If(self.rows_take):
            m.d.sync += self.rows_held.eq(1)
        with m.If(self.columns_take):
            m.d.sync += self.columns_held.eq(1)
        # The column drivers carry a trim: the vector that they held is gone.
        with m.If(self.transfer_working):
            m.d.sync += self.columns_held.eq(0)
        return m

    def _failure(self, m: Module) -> Signal:
        """Why a phase failed: the tile was made safe, disarmed, or the macro was silent."""
        failure = Signal(ERROR_BITS)
        m.d.comb += failure.eq(
            Mux(
                self.enable,
                Error.MACRO_TIMEOUT,
                Mux(self.safe, Error.SAFE, Error.NOT_ARMED),
            )
        )
        return failure

    def _refusal(self, m: Module) -> Signal:
        """Why the command on offer cannot be taken; the first reason counts."""
        spec, word = self.spec, self.word
        refusal = Signal(ERROR_BITS)
        opcode = word.opcode
        known = Signal()
        with m.Switch(opcode):
            for command in Command:
                with m.Case(command):
                    m.d.comb += known.eq(command != Command.BACKWARD or spec.rows > 1)
        is_range = (opcode == Command.TRANSFER) | (opcode == Command.INIT)
        takes_row = is_range | (opcode == Command.LOAD) | (opcode == Command.READ)
        bringup = (opcode == Command.PROGRAM) | (opcode == Command.PRECHARGE)
        passive = (opcode == Command.IDLE) | (opcode == Command.ABORT)
        forced = (opcode == Command.INIT) & word.force
        covers = (self.first <= self.journal_row) & (self.journal_row <= self.last)
        with_row = (opcode == Command.RESUME) | (opcode == Command.READ) | passive
        bad_rows = (takes_row | bringup) & (self.first >= spec.rows)
        bad_range = is_range & ((self.last >= spec.rows) | (self.first > self.last))
        update = opcode == Command.UPDATE
        no_rows = update & ~word.new_rows & ~self.rows_held
        no_columns = update & ~word.new_columns & ~self.columns_held
        with m.If(~known):
            m.d.comb += refusal.eq(Error.UNKNOWN_COMMAND)
        with m.Elif(~self.enable & self.safe):
            m.d.comb += refusal.eq(Error.SAFE)
        with m.Elif(~self.enable):
            m.d.comb += refusal.eq(Error.NOT_ARMED)
        with m.Elif(self.unknown & (opcode != Command.INIT) & (opcode != Command.IDLE)):
            m.d.comb += refusal.eq(Error.STATE_UNKNOWN)
        with m.Elif(self.journal_valid & ~with_row & ~(forced & covers)):
            m.d.comb += refusal.eq(Error.ROW_INCOMPLETE)
        with m.Elif(bad_rows | bad_range):
            m.d.comb += refusal.eq(Error.BAD_ROWS)
        with m.Elif((opcode == Command.IDLE) & (self.idle_cycles == 0)):
            m.d.comb += refusal.eq(Error.BAD_VALUE)
        with m.Elif((opcode == Command.READ) & (word.pair > max(PairCode))):
            m.d.comb += refusal.eq(Error.BAD_VALUE)
        with m.Elif(bringup & ~self.bringup):
            m.d.comb += refusal.eq(Error.NOT_BRINGUP)
        with m.Elif(no_rows | no_columns):
            m.d.comb += refusal.eq(Error.NO_VECTOR)
        return refusal

    def _begin(self, m: Module) -> None:
        """The first state of the command on offer."""
        word = self.word
        with m.Switch(word.opcode):
            with m.Case(Command.FORWARD):
                m.next = "FORWARD_VECTOR"
            with m.Case(Command.BACKWARD):
                m.next = "BACKWARD_VECTOR"
            with m.Case(Command.UPDATE):
                with m.If(word.new_rows):
                    m.next = "UPDATE_ROWS"
                with m.Elif(word.new_columns):
                    m.next = "UPDATE_COLUMNS"
                with m.Else():
                    m.next = "UPDATE"
            with m.Case(Command.READ):
                m.next = "READ_ZERO"
            with m.Case(Command.CALIBRATE):
                m.d.comb += self.calibrates.eq(1)
                m.next = "AUTO_ZERO_COLUMNS"
            with m.Case(Command.TRANSFER, Command.LOAD, Command.INIT):
                m.d.comb += self.discard_journal.eq(self.journal_valid)
                m.next = "RANGE"
            with m.Case(Command.RESUME, Command.ABORT):
                m.next = "RESUME"
            with m.Case(Command.PROGRAM):
                m.d.comb += self.raw_access.eq(1)
                m.d.sync += self.columns_held.eq(0)
                m.next = "PROGRAM_SELECT"
            with m.Case(Command.PRECHARGE):
                m.d.comb += self.raw_access.eq(1)
                m.next = "PRECHARGE"
            with m.Default():
                m.next = "IDLE_CYCLES"
