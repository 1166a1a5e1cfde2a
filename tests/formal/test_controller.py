"""Proofs of rtl/controller.py and its parts, whatever host, streams, macro and sequencer do.

Those beside it are free but for this. A phase asked for is taken within `WAIT` cycles and done
within `PHASE`, a result is out within `WAIT`, the sequencer takes a range at once (it is idle, and
its journal is not valid or has just been discarded) and answers within `TRANSFER` cycles. Room for
a result stays until one is finished. Commands come at least two cycles apart (the bank's are five).
Their words, their rows and the journal stand for the two cycles before one that comes while idle;
polarity moves with the sequencer only. A soft reset may come in any cycle. The bound counts the
controller's own cycles and these; what it waits for a stream of the host comes on top.
"""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Array, Cat, Const, Fragment, Module, Mux, ResetInserter, Signal, Value

import rtl.command_walk
import rtl.controller
import rtl.refusal
import rtl.stream_wait
from rtl.converter import Use
from spec.commands import Command, Destination, Error, PairCode, Phase
from spec.tile import CodeSpec, ConverterSpec, HostSpec, TileSpec
from tests.formal.claims import Claim
from tests.formal.inside import Inside
from tests.formal.prove import Harness

SPEC = TileSpec(
    rows=3,
    columns=2,
    codes=CodeSpec(pwm_bits=2, column_bits=2),
    converters=ConverterSpec(lanes=1, read_average_log2=1, calibration_log2=1),
    host=HostSpec(axis_bytes=2),
)
WAIT, PHASE, TRANSFER, STREAM_TIMEOUT = 2, 2, 4, 3
READ_REPEATS = (1 << SPEC.converters.read_average_log2) - 1
ZERO_REPEATS = (1 << SPEC.converters.calibration_log2) - 1
RANGES = (Command.TRANSFER, Command.LOAD, Command.INIT)
WITH_SEQUENCER = (*RANGES, Command.RESUME, Command.ABORT)
ON_A_ROW = (Phase.READ, Phase.PRECHARGE, Phase.RESET, Phase.SET)
FOR_STREAMS = ("FORWARD_VECTOR", "BACKWARD_VECTOR", "UPDATE_ROWS", "UPDATE_COLUMNS")
FOR_ROOM = ("FORWARD_VECTOR", "BACKWARD_VECTOR", "READ_ZERO")
GIVES = (Command.FORWARD, Command.BACKWARD, Command.READ)
IN_HAND = ("FORWARD_PHASE", "BACKWARD_PHASE", "UPDATE_PHASE", "READ_PHASE", "CONVERSION",
           "LAST_PHASE", "PROGRAM_RESET_PHASE")  # fmt: skip


def cycles_left() -> dict[Any, int]:
    """From each state on, entered now, at most; a pair where it depends on the polarity or use."""
    ask, left = WAIT + 1, {}
    left["ANSWER"] = 1
    left["RESULT"] = ask + 1
    left["LAST_PHASE"] = PHASE + 1
    left["IDLE_CYCLES"] = left["PRECHARGE"] = left["PROGRAM_SET"] = ask + left["LAST_PHASE"]
    left["PROGRAM_RESET_PHASE"] = PHASE + left["PROGRAM_SET"]
    left["PROGRAM_RESET"] = ask + left["PROGRAM_RESET_PHASE"]
    left["PROGRAM_LATCH"] = SPEC.columns + left["PROGRAM_RESET"]
    left["PROGRAM_SELECT"] = SPEC.columns + left["PROGRAM_LATCH"]
    # The sequencer begins in its second cycle.
    left["TRANSFER"] = TRANSFER + 2
    for use in (Use.FORWARD, Use.BACKWARD, Use.READ):
        left["CONVERSION", use] = PHASE + left["RESULT"]
    repeat = ask + PHASE
    left["READ_CONVERT"] = 1 + ask + READ_REPEATS * repeat + left["CONVERSION", Use.READ]
    left["READ_PHASE"] = PHASE + left["READ_CONVERT"]
    left["READ"] = ask + left["READ_PHASE"]
    left["CONVERSION", Use.READ_ZERO] = PHASE + left["READ"]
    left["READ_ZERO"] = 1 + ask + READ_REPEATS * repeat + left["CONVERSION", Use.READ_ZERO]
    left["CONVERSION", Use.AUTO_ZERO_ROWS] = PHASE + 1
    zeros = 1 + ask + ZERO_REPEATS * repeat
    left["AUTO_ZERO_ROWS"] = zeros + left["CONVERSION", Use.AUTO_ZERO_ROWS]
    left["CONVERSION", Use.AUTO_ZERO_COLUMNS] = PHASE + left["AUTO_ZERO_ROWS"]
    left["AUTO_ZERO_COLUMNS"] = zeros + left["CONVERSION", Use.AUTO_ZERO_COLUMNS]
    for name, then in (("FORWARD", ("CONVERSION", Use.FORWARD)), ("UPDATE", "ANSWER")):
        after = left[then] + (1 + ask if name == "FORWARD" else 0)
        left["FORWARD_CONVERT"] = left["BACKWARD_CONVERT"] = (
            1 + ask + left["CONVERSION", Use.FORWARD]
        )
        for inverted in (1, 0):
            left[f"{name}_PHASE", inverted] = PHASE + after
            after = left[name, inverted] = ask + left[f"{name}_PHASE", inverted]
    left["BACKWARD_PHASE"] = PHASE + left["BACKWARD_CONVERT"]
    left["BACKWARD"] = ask + left["BACKWARD_PHASE"]
    return left


LEFT = cycles_left()
BOUND = max(LEFT.values())


def among(value: Any, words: Any) -> Value:
    return Cat(value == word for word in words).any()


def implies(condition: Any, then: Any) -> Value:
    return ~Value.cast(condition).bool() | Value.cast(then).bool()


class Commands(Harness):
    """The controller beside a model of what it owes."""

    def describe(self, m: Module) -> None:
        dut = self.dut = rtl.controller.Controller(SPEC)
        self.inside = inside = Inside(dut)
        self.reset = reset = Signal()
        self.free(m, reset)
        for _, member, value in dut.signature.flatten(dut):
            if member.flow.name == "In" and value is not dut.polarity_bit:
                self.free(m, value)
        self.bits = Signal(SPEC.rows)
        self.free(m, self.bits)
        row = Array([*self.bits, self.bits[0]])[dut.polarity_row]
        m.d.comb += dut.polarity_bit.eq(self.past(m, self.past(m, row)))
        model = Module()
        self._model(model)
        m.submodules.controller = ResetInserter(reset)(inside.fragment)
        m.submodules.model = ResetInserter(reset)(model)
        self.was_reset = self.past(m, reset)
        self._beside(m)
        self._answers(m)
        self._refusals(m)
        self._phases(m)
        self._ranges(m)
        self._follows(m)
        self._witnesses(m)

    def state(self, *names: str) -> Value:
        return Cat(self.inside.state(name) for name in names).any()

    def _model(self, m: Module) -> None:
        dut, phase = self.dut, self.dut.phase
        self.owed, self.taken = Signal(), Signal()
        m.d.comb += self.taken.eq(dut.command & ~self.owed)
        with m.If(dut.answered):
            m.d.sync += self.owed.eq(0)
        with m.If(self.taken):
            m.d.sync += self.owed.eq(1)
        self.operation, self.word = Signal(4), Signal.like(dut.word)
        self.refused = Signal(range(max(Error) + 1))
        # As it was in the cycle before the strobe; behind a reset there was none.
        judged = Signal(range(max(Error) + 1), init=Error.BUSY)
        m.d.sync += judged.eq(self._refusal(m))
        m.d.comb += self.refused.eq(judged)
        self.was_refused = Signal()
        self.first, self.last = Signal(16), Signal(16)
        with m.If(self.taken):
            m.d.sync += [
                self.operation.eq(dut.word.opcode),
                self.word.eq(dut.word),
                self.was_refused.eq(self.refused != 0),
                self.first.eq(dut.first),
                self.last.eq(dut.last),
            ]
        asked = dut.phase.valid & dut.phase.ready
        self.in_hand, self.with_phase = Signal(), Signal(range(PHASE + 2))
        with m.If(asked):
            m.d.sync += [self.in_hand.eq(1), self.with_phase.eq(1)]
        with m.Elif(dut.phase_done):
            m.d.sync += self.in_hand.eq(0)
        with m.Else():
            m.d.sync += self.with_phase.eq(self.with_phase + self.in_hand)
        self.waits = Signal(range(WAIT + 2))
        m.d.sync += self.waits.eq(0)
        self.on_result = self.state("RESULT") & ~dut.convert_out
        with m.If((phase.valid & ~phase.ready) | self.on_result):
            m.d.sync += self.waits.eq(self.waits + 1)
        self.in_range, self.with_range = Signal(), Signal(range(TRANSFER + 2))
        begins = (dut.start.valid & dut.start.ready) | dut.resume
        with m.If(begins):
            m.d.sync += [self.in_range.eq(1), self.with_range.eq(1)]
        with m.Elif(dut.transfer_answered):
            m.d.sync += self.in_range.eq(0)
        with m.Else():
            m.d.sync += self.with_range.eq(self.with_range + self.in_range)
        for_room = self.state(*FOR_ROOM) & ~dut.output_free
        on_host = self.state(*FOR_STREAMS) | for_room
        self.elapsed = Signal(range(BOUND + 2))
        m.d.sync += self.elapsed.eq(Mux(self.taken, 0, self.elapsed + (self.owed & ~on_host)))
        self.silence = Signal(range(STREAM_TIMEOUT + 3))
        silent = on_host & Mux(for_room, dut.output_stalled, dut.silent)
        m.d.sync += self.silence.eq(
            Mux(silent & ~dut.rows_take & ~dut.columns_take, self.silence + 1, 0)
        )
        self.load_silence = Signal(range(TRANSFER + 3))
        loads = self.in_range & dut.weights_open & dut.silent
        m.d.sync += self.load_silence.eq(Mux(loads, self.load_silence + 1, 0))
        # Why a phase of a range failed.
        self.reason = Signal(range(max(Error) + 1))
        self.why = Signal.like(self.reason)
        unarmed = Mux(dut.safe, Error.SAFE, Error.NOT_ARMED)
        m.d.sync += self.why.eq(Mux(dut.enable, Error.MACRO_TIMEOUT, unarmed))
        with m.If(dut.phase_failed & self.in_range):
            m.d.sync += self.reason.eq(self.why)
        # Of an UPDATE: a first phase that is whole.
        self.normal_done = Signal()
        with m.If(self.taken):
            m.d.sync += self.normal_done.eq(0)
        with m.Elif(self.in_hand & dut.phase_done & ~self.inside["inverted"]):
            m.d.sync += self.normal_done.eq(self.state("UPDATE_PHASE") & ~dut.phase_failed)
        self.rows_held, self.columns_held = Signal(), Signal()
        with m.If(dut.rows_take):
            m.d.sync += self.rows_held.eq(1)
        with m.If(dut.columns_take):
            m.d.sync += self.columns_held.eq(1)
        program = self.taken & (self.refused == 0) & (dut.word.opcode == Command.PROGRAM)
        with m.If(dut.transfer_working | program):
            m.d.sync += self.columns_held.eq(0)

    def _refusal(self, m: Module) -> Value:
        """As golden/digital/command.py lists the reasons: the first counts.

        The rows are looked at in the cycle before.
        """
        dut, opcode = self.dut, self.dut.word.opcode

        def at(*commands: Command) -> Value:
            return among(opcode, commands)

        bringup = at(Command.PROGRAM, Command.PRECHARGE)
        one_row = at(Command.READ, Command.LOAD) | bringup
        in_range, bad_row, bad_last, crossed = self.looked_at = [
            self.past(m, condition, init)
            for condition, init in (
                ((dut.first <= dut.journal_row) & (dut.journal_row <= dut.last), 0),
                (dut.first >= SPEC.rows, 1),
                (dut.last >= SPEC.rows, 1),
                (dut.first > dut.last, 1),
            )
        ]
        discards = at(Command.INIT) & dut.word.force & in_range
        beside = at(Command.RESUME, Command.ABORT, Command.IDLE, Command.READ)
        bad_range = bad_last | crossed
        no_rows = ~dut.word.new_rows & ~dut.rows_held
        no_columns = ~dut.word.new_columns & ~dut.columns_held
        reasons = [
            (Error.UNKNOWN_COMMAND, ~at(*Command)),
            (Error.SAFE, dut.safe),
            (Error.NOT_ARMED, ~dut.enable),
            (Error.STATE_UNKNOWN, dut.unknown & ~at(Command.INIT, Command.IDLE)),
            (Error.ROW_INCOMPLETE, dut.journal_valid & ~beside & ~discards),
            (Error.BAD_ROWS, at(Command.TRANSFER, Command.INIT) & bad_range),
            (Error.BAD_ROWS, one_row & bad_row),
            (Error.BAD_VALUE, at(Command.READ) & ~among(dut.word.pair, PairCode)),
            (Error.BAD_VALUE, at(Command.IDLE) & (dut.idle_cycles == 0)),
            (Error.NOT_BRINGUP, bringup & ~dut.bringup),
            (Error.NO_VECTOR, at(Command.UPDATE) & (no_rows | no_columns)),
        ]
        refusal: Any = Const(Error.NONE, 5)
        for error, holds in reversed(reasons):
            refusal = Mux(holds, error, refusal)
        return refusal

    def _beside(self, m: Module) -> None:
        dut = self.dut
        self.assume(m, ~(dut.command & self.past(m, dut.command)))
        stands = (dut.word.as_value(), dut.first, dut.last, dut.journal_valid, dut.journal_row)
        looked_at = dut.command & ~self.owed
        for value in stands:
            self.assume(m, implies(looked_at, value == self.past(m, value)))
            self.assume(m, implies(looked_at, value == self.past(m, self.past(m, value))))
        self.assume(m, ~(dut.enable & dut.safe))
        self.assume(m, self.waits <= WAIT)
        self.assume(m, implies(self.in_hand & (self.with_phase == PHASE), dut.phase_done))
        self.assume(m, implies(dut.phase_done, self.in_hand | self.in_range))
        self.assume(m, implies(dut.phase_failed, dut.phase_done))
        opens = self.in_range & (self.operation == Command.LOAD)
        self.assume(m, implies(dut.weights_open, opens))
        self.assume(
            m, implies(self.in_range & (self.with_range == TRANSFER), dut.transfer_answered)
        )
        self.assume(
            m,
            implies(dut.transfer_answered | dut.transfer_working, self.in_range),
        )
        late = dut.transfer_answered & (dut.transfer_error == Error.MACRO_TIMEOUT)
        self.assume(m, implies(late, self.reason != Error.NONE))
        self.assume(m, implies(dut.start.valid, dut.start.ready))
        self.assume(m, dut.stream_timeout <= STREAM_TIMEOUT)
        self.assume(m, implies(self.past(m, dut.output_free & ~dut.finish), dut.output_free))
        self.assume(m, dut.any_normal | dut.any_inverted)
        still = self.past(m, (self.owed | dut.command) & ~self.in_range)
        live = Cat(dut.any_normal, dut.any_inverted, self.bits)
        self.assume(m, implies(still, live == self.past(m, live)))
        bad = dut.vector_error & among(dut.vector_error_destination, Destination)
        self.assume(m, implies(bad, dut.vector_error_code != Error.NONE))

    # -- what must hold ----------------------------------------------------------------------

    def _answers(self, m: Module) -> None:
        dut = self.dut
        self.always(m, "an_answer_is_to_a_command", implies(dut.answered, self.owed))
        self.always(m, "busy_from_the_cycle_after_until_the_answer", dut.busy == self.owed)
        self.always(m, "answered_in_time", implies(self.owed, self.elapsed < BOUND))
        self.always(m, "a_silent_stream_ends_the_wait", self.silence <= STREAM_TIMEOUT + 1)
        failed = self.past(m, self.in_hand & dut.phase_done & dut.phase_failed) & ~self.was_reset
        # As it was when the phase failed, which is told a cycle later.
        reason = self.past(m, self.why)
        self.always(m, "a_failed_phase_is_answered_with_its_reason",
                    implies(failed, dut.answered & (dut.error == reason)))  # fmt: skip
        late = self.past(m, dut.transfer_answered & (dut.transfer_error == Error.MACRO_TIMEOUT))
        told = dut.error == self.past(m, self.reason)
        self.always(m, "a_range_ends_with_the_reason_of_its_phase",
                    implies(late & ~self.was_reset & dut.answered, told))  # fmt: skip
        # As it was in the last of the silent cycles.
        timeout = self.past(m, dut.stream_timeout)
        silent = (self.load_silence != 0) & (self.load_silence >= timeout)
        load = self.in_range & dut.weights_open & silent
        self.always(m, "a_silent_load_is_ended", implies(load, dut.weights_timeout))

    def _outputs(self) -> Value:
        dut = self.dut
        return Cat(
            dut.phase.valid, dut.start.valid, dut.resume, dut.abort, dut.rows_take,
            dut.columns_take, dut.drop, dut.commit, dut.convert_start, dut.finish,
            dut.weights_timeout, dut.discard_journal, dut.select_write, dut.set_write,
            dut.calibrates, dut.calibrated, dut.forwarded, dut.raw_access,
        ).any()  # fmt: skip

    def _refusals(self, m: Module) -> None:
        dut, taken = self.dut, self.past(m, self.taken) & ~self.was_reset
        refused = self.past(m, self.refused)
        self.always(m, "refused_as_specified", implies(
            taken, Mux(refused == 0, ~dut.answered, dut.answered & (dut.error == refused))
        ))  # fmt: skip
        now = self.taken & (self.refused != 0)
        idle = ~self.owed & ~dut.command
        self.always(m, "a_refused_command_does_nothing",
                    implies(now | (self.owed & self.was_refused), ~self._outputs()))  # fmt: skip
        self.always(m, "nothing_is_done_without_a_command", implies(idle, ~self._outputs()))

    def _phases(self, m: Module) -> None:
        dut, asked = self.dut, self.dut.phase.payload
        kind, valid = asked.phase, self.dut.phase.valid
        self.always(m, "one_phase_at_a_time", implies(valid, ~self.in_hand & ~self.in_range))
        of = {
            Command.FORWARD: (Phase.FORWARD, Phase.CONVERT_FORWARD),
            Command.BACKWARD: (Phase.BACKWARD, Phase.CONVERT_BACKWARD),
            Command.UPDATE: (Phase.UPDATE,),
            Command.READ: (Phase.READ, Phase.CONVERT_READ),
            Command.CALIBRATE: (Phase.CONVERT_FORWARD, Phase.CONVERT_BACKWARD),
            Command.IDLE: (Phase.IDLE,),
            Command.PROGRAM: (Phase.RESET, Phase.SET),
            Command.PRECHARGE: (Phase.PRECHARGE,),
        }
        own = Cat((self.operation == c) & among(kind, phases) for c, phases in of.items()).any()
        legal = ~asked.trim & implies(asked.hold, kind == Phase.CONVERT_READ)
        self.always(m, "a_command_asks_for_its_own_phases", implies(valid, own & legal))
        on_row = (asked.row == self.first) & (asked.row < SPEC.rows)
        self.always(
            m,
            "a_row_is_the_commands_and_on_the_tile",
            implies(valid & among(kind, ON_A_ROW), on_row),
        )
        gives = (valid | dut.rows_take | dut.columns_take) & among(self.operation, GIVES)
        self.always(m, "a_result_has_room_before_anything_is_disturbed",
                    implies(gives, dut.output_free))  # fmt: skip
        writes = Cat(dut.rows_take, dut.columns_take, dut.select_write, dut.set_write).any()
        busy = self.in_hand | (valid & dut.phase.ready)
        self.always(m, "no_driver_is_written_during_a_phase", implies(busy, ~writes))
        mixed = valid & among(kind, (Phase.FORWARD, Phase.UPDATE))
        live = Mux(asked.swap, dut.any_inverted, dut.any_normal)
        self.always(m, "a_phase_without_rows_is_skipped", implies(mixed, live))
        own_bit = asked.swap == Array([*self.bits, Const(0)])[asked.row]
        self.always(
            m, "a_read_has_its_rows_polarity", implies(valid & (kind == Phase.READ), own_bit)
        )
        second = valid & (kind == Phase.UPDATE) & asked.swap & dut.any_normal
        replay = asked.replay == (asked.swap & dut.any_normal)
        updates = implies(valid & (kind == Phase.UPDATE), replay)
        self.always(m, "a_replay_follows_a_whole_first_phase",
                    updates & implies(second, self.normal_done))  # fmt: skip
        both = implies(dut.any_normal & dut.any_inverted, self.normal_done)
        ends = (
            self.in_hand & dut.phase_done & ~dut.phase_failed & (self.operation == Command.UPDATE)
        )
        self.always(
            m, "an_update_is_committed_after_its_last_phase", implies(dut.commit, ends & both)
        )
        held = Cat(dut.rows_held, dut.columns_held) == Cat(self.rows_held, self.columns_held)
        self.always(m, "vectors_are_held_from_taking_until_the_drivers_are_used", held)
        raw = self.taken & among(dut.word.opcode, (Command.PROGRAM, Command.PRECHARGE))
        allowed = self.past(m, dut.bringup & dut.enable)
        self.always(m, "raw_access_needs_bringup", implies(dut.raw_access, raw & allowed))

    def _ranges(self, m: Module) -> None:
        dut, start = self.dut, self.dut.start
        begun = self.owed & ~self.was_refused & among(self.operation, WITH_SEQUENCER)
        strobe = dut.command & (dut.word.opcode == Command.ABORT)
        ending = self.inside.state("ANSWER") | dut.transfer_answered
        reaches = self.past(m, strobe & begun & ~ending) & ~self.was_reset
        self.always(m, "abort_reaches_the_sequencer", implies(reaches, dut.abort))
        aborted = self.past(
            m, self.taken & (self.refused == 0) & (dut.word.opcode == Command.ABORT)
        )
        self.always(m, "an_idle_abort_goes_to_the_sequencer",
                    implies(aborted & ~self.was_reset, dut.abort & dut.resume))  # fmt: skip
        inside = (start.payload.first <= start.payload.last) & (start.payload.last < SPEC.rows)
        own = (start.payload.first == self.first) & among(self.operation, RANGES)
        self.always(
            m, "a_range_is_the_commands_and_on_the_tile", implies(start.valid, inside & own)
        )
        discards = self.taken & (dut.word.opcode == Command.INIT) & dut.word.force
        self.always(m, "a_journal_is_discarded_by_force_only",
                    implies(dut.discard_journal, discards & dut.journal_valid))  # fmt: skip

    def _follows(self, m: Module) -> None:
        """What the induction needs: how long is left from each state on, and who is busy in it."""
        inside, dut = self.inside, self.dut
        codes, state = inside.codes, inside["fsm_state"]
        use, repeats, inverted = inside["use"], inside["repeats"], inside["inverted"]
        asking = [s for s in codes if f"{s}_PHASE" in codes or s in
                  ("CONVERT", "IDLE_CYCLES", "PRECHARGE", "PROGRAM_SET", "RESULT")]  # fmt: skip
        parts = [among(state, codes.values()), self.owed == ~inside.state("IDLE")]
        offers = inside["starts"] | inside["resumes"]
        ranging = Cat(self.in_range, inside["starts"], inside["resumes"])
        parts += [self.in_hand == self.state(*IN_HAND)]
        parts += [self.state("TRANSFER") == ranging.any(), implies(self.in_range, ~offers)]
        parts += [implies(inside["aborts"], self.in_range | inside["resumes"])]
        given = self.owed & ~self.was_refused & self.state("ANSWER")
        parts += [implies(inside["finishes"], given & among(self.operation, GIVES))]
        parts += [implies(self.in_hand, (self.with_phase >= 1) & (self.with_phase <= PHASE))]
        parts += [implies(self.in_range, (self.with_range >= 1) & (self.with_range <= TRANSFER))]
        parts += [implies(self.waits != 0, self.state(*asking))]
        spent = self.waits
        spent = Mux(self.in_hand, self.with_phase - 1, spent)
        spent = Mux(self.in_range, self.with_range, spent)
        repeat = WAIT + 1 + PHASE

        for name, cycles in LEFT.items():
            if isinstance(name, str):
                done = {"PROGRAM_LATCH": inside["column"], "PROGRAM_SELECT": inside["group"]}.get(
                    name, 0
                )
                parts.append(
                    implies(inside.state(name), self.elapsed + cycles <= BOUND + spent + done)
                )
            elif name[0] == "CONVERSION":
                of = use == name[1]
                more = cycles + repeats * repeat
                parts.append(
                    implies(inside.state("CONVERSION") & of, self.elapsed + more <= BOUND + spent)
                )
                more = WAIT + 1 + more
                parts.append(
                    implies(inside.state("CONVERT") & of, self.elapsed + more <= BOUND + spent)
                )
            else:
                of = inside.state(name[0]) & (inverted == name[1])
                parts.append(implies(of, self.elapsed + cycles <= BOUND + spent))
        parts += [implies(self.state("CONVERT", "CONVERSION"), among(use, Use))]
        parts += [implies(self.state(*FOR_STREAMS), self.elapsed == 0)]
        told = Cat(inside["operation"] == self.operation, inside["flags"] == self.word.as_value())
        parts += [implies(self.owed, told.all())]
        parts += [implies(self.owed & self.was_refused, inside.state("ANSWER"))]
        parts += self._operations()
        driving = [s for s in codes if s.startswith(("FORWARD", "UPDATE"))]
        parts += [implies(self.state(*driving), Mux(inverted, dut.any_inverted, dut.any_normal))]
        parts.append(inside["range_failure"] == self.reason)
        silence = inside["silence"] == self.load_silence + 1
        silence &= Mux(self.in_range, self.load_silence < self.with_range, self.load_silence == 0)
        loads = self.operation == Command.LOAD
        parts.append(implies(self.state("TRANSFER") & loads, silence))
        parts.append(implies(~self.in_range & ~self.state("ANSWER"), self.load_silence == 0))
        gives = among(self.operation, GIVES)
        waits = Cat(inside["gives"] == gives, inside["loads"] == loads)
        parts.append(implies(self.owed, waits.all()))
        parts.append(self.refused == inside["refused"])
        names = ("covers", "beyond", "last_beyond", "crossed")
        seen = Cat(inside[name] for name in names)
        parts.append(seen == Cat(self.looked_at))
        self.always(m, "what_is_left_is_within_the_bound", Cat(parts).all())

    def _operations(self) -> list[Value]:
        """Which commands lead to which state, with the row that they were given."""
        inside, dut = self.inside, self.dut
        prefixes: dict[str, tuple[Command, ...]] = {
            "FORWARD": (Command.FORWARD,),
            "BACKWARD": (Command.BACKWARD,),
            "UPDATE": (Command.UPDATE,),
            "READ": (Command.READ,),
            "AUTO_ZERO": (Command.CALIBRATE,),
            "TRANSFER": WITH_SEQUENCER,
            "IDLE_": (Command.IDLE,),
            "PRECHARGE": (Command.PRECHARGE,),
            "PROGRAM": (Command.PROGRAM,),
            "LAST_PHASE": (Command.IDLE, Command.PRECHARGE, Command.PROGRAM),
            "RESULT": (Command.FORWARD, Command.BACKWARD, Command.READ),
        }
        parts = [
            implies(self.state(*[s for s in inside.codes if s.startswith(prefix)]),
                    among(self.operation, commands))
            for prefix, commands in prefixes.items()
        ]  # fmt: skip
        uses = {
            Use.FORWARD: (Command.FORWARD, Phase.CONVERT_FORWARD),
            Use.BACKWARD: (Command.BACKWARD, Phase.CONVERT_BACKWARD),
            Use.READ: (Command.READ, Phase.CONVERT_READ),
            Use.READ_ZERO: (Command.READ, Phase.CONVERT_READ),
            Use.AUTO_ZERO_COLUMNS: (Command.CALIBRATE, Phase.CONVERT_FORWARD),
            Use.AUTO_ZERO_ROWS: (Command.CALIBRATE, Phase.CONVERT_BACKWARD),
        }
        converting = self.state("CONVERT", "CONVERSION")
        for use, (command, phase) in uses.items():
            of = (self.operation == command) & (inside["converts"] == phase)
            parts.append(implies(converting & (inside["use"] == use), of))
        on_row = among(self.operation, (Command.READ, Command.PRECHARGE, Command.PROGRAM))
        given = (dut.polarity_row == self.first) & (self.first < SPEC.rows)
        parts.append(implies(self.owed & ~self.was_refused & on_row, given))
        held = Cat(dut.rows_held, dut.columns_held) == Cat(self.rows_held, self.columns_held)
        second = self.state("UPDATE", "UPDATE_PHASE") & inside["inverted"] & dut.any_normal
        parts.append(implies(self.state(*FOR_STREAMS), inside["inverted"] == ~dut.any_normal))
        same = (inside["silence"] == self.silence + 1) & (self.silence <= STREAM_TIMEOUT)
        same &= implies(self.silence == STREAM_TIMEOUT, inside["too_long"])
        parts.append(implies(self.state(*FOR_STREAMS, *FOR_ROOM), same))
        begun = self.owed & ~self.was_refused & ~self.state(*FOR_ROOM, "ANSWER")
        parts.append(implies(begun & among(self.operation, GIVES), dut.output_free))
        return [*parts, held, implies(second, self.normal_done)]

    def _witnesses(self, m: Module) -> None:
        dut = self.dut

        def seen(name: str, condition: Any) -> Value:
            """Since the command was taken."""
            happened = Signal(name=f"seen_{name}")
            with m.If(condition):
                m.d.sync += happened.eq(1)
            with m.If(self.reset | self.taken):
                m.d.sync += happened.eq(0)
            return happened

        good = dut.answered & (dut.error == Error.NONE) & ~self.reset
        accepted, asked = dut.phase.valid & dut.phase.ready, dut.phase.payload
        swaps = [seen(f"swap_{s}", accepted & (asked.swap == s)) for s in (0, 1)]
        hold = seen("hold", accepted & asked.hold)
        aborted = seen("abort", self.in_range & dut.abort)
        both = swaps[0] & swaps[1]
        of = {command: good & (self.operation == command) for command in Command}
        self.reach(m, "a_forward_in_both_polarities", of[Command.FORWARD] & both)
        self.reach(m, "an_update_in_both_polarities", of[Command.UPDATE] & both)
        self.reach(m, "a_read_of_an_inverted_row", of[Command.READ] & hold & swaps[1])
        self.reach(m, "a_transfer_aborted", of[Command.TRANSFER] & aborted)
        for command in (Command.BACKWARD, Command.LOAD, Command.INIT, Command.CALIBRATE,
                        Command.RESUME, Command.ABORT, Command.IDLE, Command.PROGRAM,
                        Command.PRECHARGE):  # fmt: skip
            self.reach(m, f"a_{command.name.lower()}", of[command])
        for error in (Error.STREAM_TIMEOUT, Error.MACRO_TIMEOUT, Error.SAFE, Error.NO_VECTOR):
            told = dut.answered & (dut.error == error)
            self.reach(m, f"an_answer_{error.name.lower()}", told)
        no_room = dut.answered & (dut.error == Error.STREAM_TIMEOUT) & ~dut.output_free
        self.reach(m, "a_read_without_room", no_room & (self.operation == Command.READ))
        self.reach(m, "the_bound", self.owed & (self.elapsed == BOUND - 1))


MODULE, WALK = rtl.controller, rtl.command_walk
REFUSAL, STREAM_WAIT = rtl.refusal, rtl.stream_wait
USERS = (MODULE, WALK)
"""Whoever takes a damaged part from its module."""
CLAIMS = [
    Claim("an_answer_is_to_a_command", "taken while idle and not answered before",
          MODULE, "with m.If(refused != Error.NONE):",
          "with m.If(refused != Error.NONE):\n"
          "                        m.d.comb += self.answered.eq(1)"),
    Claim("busy_from_the_cycle_after_until_the_answer", "and at no other time",
          MODULE, '~fsm.ongoing("IDLE")', '~fsm.ongoing("IDLE") & ~fsm.ongoing("ANSWER")'),
    Claim("answered_in_time",
          f"within {BOUND} cycles for conversions of two, two columns, a phase taken within {WAIT} "
          f"and done within {PHASE} cycles and a range of {TRANSFER}; in general the longest path "
          "of `cycles_left`; on top comes the wait for a stream of the host",
          WALK, "with m.If(port.phase_failed):\n            self.end(self.failure)",
          "with m.If(port.phase_failed):\n            pass"),
    Claim("a_silent_stream_ends_the_wait",
          "for a packet, or for room for a result, within stream_timeout + 1 cycles, though the "
          "host lowers it meanwhile",
          STREAM_WAIT, "silence >= port.stream_timeout", "silence == port.stream_timeout"),
    Claim("a_failed_phase_is_answered_with_its_reason", "SAFE, NOT_ARMED or MACRO_TIMEOUT",
          WALK, "Mux(port.safe, Error.SAFE, Error.NOT_ARMED)", "Error.NOT_ARMED"),
    Claim("a_range_ends_with_the_reason_of_its_phase",
          "as it was when the phase failed, not when the sequencer answers",
          WALK, "self.end(self.range_failure)", "self.end(self.failure)"),
    Claim("a_silent_load_is_ended",
          "weights_timeout after as many silent cycles as stream_timeout was in the last of them",
          WALK, "port.weights_open & self.wait.too_long",
          "port.weights_open & self.wait.too_long & port.silent"),
    Claim("refused_as_specified",
          "in the cycle after the strobe, for the first of golden's reasons before it; else not",
          REFUSAL, "with m.Elif(bringup & ~port.bringup):",
          "with m.Elif(bringup & ~port.bringup & word.minus):"),
    Claim("a_refused_command_does_nothing",
          "it asks for no phase and no range, takes no packet and writes nothing",
          MODULE,
          "with m.If(refused != Error.NONE):\n                        walk.end(refused)\n"
          "                    with m.Else():\n                        self._begin(m, walk)",
          "self._begin(m, walk)\n                    with m.If(refused != Error.NONE):\n"
          "                        walk.end(refused)"),
    Claim("nothing_is_done_without_a_command", "the same of an idle controller",
          MODULE, 'with m.State("IDLE"):\n',
          'with m.State("IDLE"):\n                m.d.comb += self.drop.eq(self.silent)\n'),
    Claim("one_phase_at_a_time", "none is asked for while one is in hand, or a range",
          WALK, 'with m.State("LAST_PHASE"):\n',
          'with m.State("LAST_PHASE"):\n            m.d.comb += port.phase.valid.eq(1)\n'),
    Claim("a_command_asks_for_its_own_phases", "with hold only in a CONVERT_READ, never with trim",
          WALK, "hold.eq(reading & (self.repeats != 0))", "hold.eq(self.repeats != 0)"),
    Claim("a_row_is_the_commands_and_on_the_tile", "of READ and of strobes",
          WALK, "self.row.eq(port.first),", "self.row.eq(port.last),"),
    Claim("a_result_has_room_before_anything_is_disturbed",
          "FORWARD, BACKWARD, READ: the last one has left before a packet or a phase",
          STREAM_WAIT, "with m.If(ready & room):", "with m.If(ready):"),
    Claim("no_driver_is_written_during_a_phase", "nor is a step code or a select",
          WALK, 'with m.State("PROGRAM_RESET"):\n',
          'with m.State("PROGRAM_RESET"):\n            m.d.comb += port.set_write.eq(1)\n'),
    Claim("a_phase_without_rows_is_skipped", "FORWARD, UPDATE: a row has the phase's polarity",
          WALK, "inverted.eq(~port.any_normal)", "inverted.eq(0)"),
    Claim("a_read_has_its_rows_polarity", "READ asks with the bit of its row",
          WALK, "m.d.comb += self.request.swap.eq(port.polarity_bit)\n", "pass\n"),
    Claim("a_replay_follows_a_whole_first_phase",
          "an inverted phase of an UPDATE replays if and only if there is a normal one",
          WALK, "replay.eq(self.inverted & port.any_normal)", "replay.eq(self.inverted)"),
    Claim("an_update_is_committed_after_its_last_phase", "and only when that is whole",
          WALK, 'm.d.sync += self.inverted.eq(1)\n                    m.next = "UPDATE"',
          "m.d.sync += self.inverted.eq(1); m.d.comb += port.commit.eq(1)\n"
          '                    m.next = "UPDATE"'),
    Claim("vectors_are_held_from_taking_until_the_drivers_are_used",
          "columns until the sequencer works or PROGRAM begins",
          MODULE, "with m.If(self.transfer_working):",
          "with m.If(self.transfer_working & self.rows_held):"),
    Claim("raw_access_needs_bringup",
          "and an armed tile, in the cycle before, and PROGRAM or PRECHARGE",
          REFUSAL, "with m.Elif(bringup & ~port.bringup):",
          "with m.Elif(bringup & ~port.bringup & ~word.force):"),
    Claim("abort_reaches_the_sequencer",
          "in the next cycle, from the one after a range's command until the sequencer's answer",
          WALK, "self.aborts.eq(aborted & ~port.transfer_answered)",
          "self.aborts.eq(aborted & ~port.transfer_answered & ~port.weights_open)"),
    Claim("an_idle_abort_goes_to_the_sequencer", "in the cycle after its strobe",
          MODULE, "walk.aborts.eq(word.opcode == Command.ABORT)",
          "walk.aborts.eq(word.opcode == Command.RESUME)"),
    Claim("a_range_is_the_commands_and_on_the_tile", "first <= last < rows",
          REFUSAL, "last_beyond | crossed", "last_beyond"),
    Claim("a_journal_is_discarded_by_force_only", "and by INIT",
          REFUSAL, "(opcode == Command.INIT) & word.force", "opcode == Command.INIT"),
    Claim("what_is_left_is_within_the_bound",
          "the invariant: cycles spent and the most that a state can still take",
          WALK, "repeats.eq(self.repeats - 1)", "repeats.eq(self.repeats)"),
]  # fmt: skip
INDUCTION, DAMAGED, WITNESSES = 3, BOUND + 6, BOUND + 4


def test_every_property_has_a_damage() -> None:
    harness = Commands()
    Fragment.get(harness, None)
    assert harness.names == [claim.name for claim in CLAIMS]


def test_properties(prove) -> None:
    assert prove(Commands(), method="induction", depth=INDUCTION).passed


@pytest.mark.formal
def test_every_command_can_be_answered(prove) -> None:
    assert prove(Commands(), method="cover", depth=WITNESSES).passed


@pytest.mark.formal
@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])
def test_damage_is_found(prove, claim: Claim) -> None:
    with claim.breaks(*USERS):
        proof = prove(Commands(), method="bmc", depth=DAMAGED, only=[claim.name])
    assert proof.failed == {claim.name}
