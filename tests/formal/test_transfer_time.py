"""The sequencer never hangs: each state ends in time, and each change of state is a step on.

While the macro answers, that is: a phase asked for is taken within `WAIT` cycles and done within
`PHASE`, the codes of a READ come within `LATE`. The driver of the phases sees to it that one is
done, or fails, within its time-out (tests/formal/test_drive.py); a failed one ends the command two
cycles later. Where the sequencer waits for the weights of a LOAD, the controller ends the wait
(test_controller.py). A soft reset may come in any cycle.
"""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Cat, Const, Fragment, Module, Mux, Signal, Value, signed

import rtl.transfer
import rtl.transfer_columns
import rtl.transfer_program
import rtl.transfer_reads
import rtl.transfer_steps
import rtl.transfer_trim
from rtl.transfer_groups import STAGES
from rtl.transfer_ports import State
from spec.commands import Error, RangeKind
from tests.formal.claims import Claim
from tests.formal.sequencer import CODES, CONVERT, DRIVE, REST, RowTransfers, one_of, tiny

WAIT, PHASE, LATE = 1, 2, 2
SPEC = tiny(prog_limit=2)
PROG, TRIM = SPEC.transfer.prog_limit, SPEC.transfer.trim_limit
ASK = WAIT + 1 + PHASE + 1
"""From the first cycle that asks until the one after that in which the phase is done: it is heard
of then."""
GROUP = STAGES + 1
"""A column's way, and the cycle in which it is told."""
READ = 1 + ASK + (ASK - 1) + (LATE + GROUP + 1)
"""The cycle of rest, the drive phase, one conversion until it is done, the codes."""
PASS = GROUP + ASK
STATE_CYCLES = max(READ, PASS)
"""With g groups, c columns and 2^a conversions it is (1 + 2^a) ASK + LATE + GROUP + g, or
GROUP + c + ASK for a SET."""

TRIM_STEPS = 2 + 2 * TRIM
PROGRAM_STEPS = TRIM_STEPS + 3 * PROG
BEFORE = {
    State.READ_LOWER: 0, State.FLIP: 1, State.PRECHARGE: 2, State.JOURNAL: 4, State.READ_ALL: 5,
    State.READ_LOWER_BEFORE: 6, State.TAKE_WEIGHTS: 8, State.RESUME: 8,
}  # fmt: skip
"""States before the programming, in steps to it; READ_ZERO comes with a journal and without."""
COUNTED = (
    State.READ_LOWER, State.ERASE, State.SET, State.VERIFY, State.TRIM_READ, State.TRIM_PULSE,
    State.COMMIT,
)  # fmt: skip
BEGINNING = (State.READ_LOWER,)
WITHOUT_JOURNAL = (
    State.READ_LOWER_BEFORE, State.READ_ALL, State.JOURNAL, State.TAKE_WEIGHTS, State.RESUME,
)  # fmt: skip
ROW = PROGRAM_STEPS + 9
"""Steps of a row: 3 an attempt, 2 a train, and these; TAKE_WEIGHTS is the host's."""
STEPS = ROW * SPEC.rows
BOUND = STEPS * STATE_CYCLES


def implies(condition: Any, then: Any) -> Value:
    return ~Value.cast(condition).bool() | Value.cast(then).bool()


class Bounded(RowTransfers):
    """The sequencer beside a count of the steps that are left."""

    def __init__(self) -> None:
        super().__init__(SPEC)

    def describe(self, m: Module) -> None:
        self.build(m)
        sequencer, inside, reset = self.sequencer, self.inside, self.soft_reset
        state, busy = sequencer.state, sequencer.busy
        waits, spent_on = Signal(range(WAIT + 2)), Signal(range(PHASE + 2))
        late, spent = Signal(range(LATE + 2)), Signal(range(STATE_CYCLES + 2))
        on_host, looks = state == State.TAKE_WEIGHTS, state == State.RESUME
        asks = sequencer.phase.valid & ~sequencer.phase.ready
        m.d.sync += [
            waits.eq(Mux(asks & ~reset, waits + 1, 0)),
            spent_on.eq(Mux(self.taken, 1, Mux(self.in_hand & ~reset, spent_on + 1, 0))),
            late.eq(Mux(self.due & ~reset, late + 1, 0)),
        ]
        self.assume(m, ~asks | (waits < WAIT))
        self.assume(m, implies(self.in_hand & (spent_on == PHASE), sequencer.phase_done))
        self.assume(m, implies(self.due & (late == LATE), sequencer.read.valid))

        before, rank = self.past(m, state), self._rank(m)
        was_rank, was_reset = self.past(m, rank), self.past(m, reset)
        # Whoever leaves a state for the same one passes through another.
        moved = ~was_reset & busy & (state != before) & (before != State.IDLE)
        since = Signal.like(spent)
        m.d.comb += since.eq(Mux(state == before, spent, 0))
        m.d.sync += spent.eq(Mux(busy & ~reset & ~on_host, since + 1, 0))
        cycles = Signal(range(BOUND + STATE_CYCLES))
        m.d.sync += cycles.eq(Mux(busy & ~reset, cycles + ~on_host, 0))

        self.always(m, "each_change_of_state_is_a_step_on", implies(moved, rank < was_rank))
        self.always(m, "a_state_ends_in_time", implies(busy, since < STATE_CYCLES))
        self.always(m, "answered_in_time", implies(busy, cycles + rank * STATE_CYCLES < BOUND))
        failed = self.past(m, self.in_hand & sequencer.phase_done & sequencer.phase_failed & ~reset)
        failed = self.past(m, failed)
        told = sequencer.answered & (sequencer.error == Error.MACRO_TIMEOUT) & ~busy
        self.always(m, "a_failed_phase_ends_the_command", implies(failed & ~was_reset, told))
        ends = self.past(m, busy) & ~busy & ~was_reset
        self.always(m, "work_ends_with_an_answer", implies(ends, sequencer.answered))
        aborts = sequencer.abort & ~sequencer.answered
        begins = sequencer.start.valid & sequencer.start.ready | sequencer.resume | aborts
        begun = self.past(m, begins & ~busy) & ~was_reset
        self.always(m, "every_command_is_taken_up", implies(begun, busy | sequencer.answered))
        unasked = sequencer.answered & ~(self.past(m, busy) | begun)
        self.always(m, "an_answer_is_to_a_command", ~unasked & ~(busy & sequencer.answered))

        waits_for_bit = one_of(state, (State.JOURNAL, State.FLIP))
        self.settling = self.past(m, waits_for_bit & ~reset)
        left, parts = self._left(waits, spent_on, late)
        parts += [
            implies(busy & ~on_host, since + left <= STATE_CYCLES),
            implies(busy, cycles + rank * STATE_CYCLES <= BOUND - STATE_CYCLES + since),
            implies(busy, rank < STEPS),
            one_of(inside["fsm_state"], inside.codes.values()),
            implies(one_of(state, COUNTED), self._within(state)),
            implies(on_host, cycles == 0),
            implies(busy & ~on_host & ~looks & ~self.journal.valid
                    & (self.journal.kind != RangeKind.LOAD),
                    self.journal.next_row <= self.journal.last_row),
            implies(busy & ~on_host & ~looks & (self.journal.kind == RangeKind.LOAD),
                    self.journal.valid | (self.journal.next_row < SPEC.rows)),
            implies(one_of(state, WITHOUT_JOURNAL), ~self.journal.valid),
            implies(one_of(state, (*COUNTED, State.PRECHARGE, State.FLIP)), self.journal.valid),
        ]  # fmt: skip
        self.always(m, "what_is_left_is_within_the_bound", Cat(parts).all())
        self._witnesses(m)

    def _rank(self, m: Module) -> Signal:
        """Steps that are left at most."""
        sequencer, journal, inside = self.sequencer, self.journal, self.inside
        state, attempts, trains = sequencer.state, inside["attempts"], inside["trains"]
        row = Mux(journal.valid, journal.row, journal.next_row)
        rows_left, rank = Signal(signed(4)), Signal(range(2 * STEPS))
        of_a_range = (journal.kind != RangeKind.LOAD) & (state != State.TAKE_WEIGHTS)
        m.d.comb += rows_left.eq(
            Mux(of_a_range & (journal.last_row > row), journal.last_row - row, 0)
        )
        attempt = TRIM_STEPS + 3 * (PROG - attempts)
        steps = {name: Const(PROGRAM_STEPS + count) for name, count in BEFORE.items()}
        steps |= {
            State.READ_ZERO: Mux(journal.valid, PROGRAM_STEPS + 3, PROGRAM_STEPS + 7),
            State.VERIFY: attempt,
            State.ERASE: attempt - 1,
            State.SET: attempt - 2,
            State.TRIM_READ: 1 + 2 * (TRIM - trains),
            State.TRIM_PULSE: 2 * (TRIM - trains),
        }
        with m.Switch(state):
            for name, count in steps.items():
                with m.Case(name):
                    m.d.comb += rank.eq(rows_left * ROW + count)
            with m.Case(State.COMMIT):
                m.d.comb += rank.eq(rows_left * ROW)
        return rank

    def _within(self, state: Signal) -> Value:
        """How many attempts and trains there can have been."""
        attempts, trains = self.inside["attempts"], self.inside["trains"]
        before = one_of(state, (State.ERASE, State.SET))
        init = self.journal.kind == RangeKind.INIT
        return (
            (attempts <= PROG)
            & (trains <= TRIM)
            & implies(before, attempts < PROG)
            & implies(before | (state == State.VERIFY), trains == 0)
            & implies(state == State.VERIFY, attempts != 0)
            & implies(state == State.TRIM_PULSE, trains < TRIM)
            & implies(one_of(state, BEGINNING), (attempts == 0) & (trains == 0))
            & implies(init, one_of(state, (State.COMMIT, State.ERASE)))
            & implies(init & (state == State.ERASE), attempts == 0)
        )

    def _left(self, waits: Signal, spent_on: Signal, late: Signal) -> tuple[Value, list[Value]]:
        """Cycles that the present state can still take, and who may be where."""
        sequencer, inside, journal = self.sequencer, self.inside, self.journal
        state, reads = sequencer.state, inside["reads_state"]
        reading, loaded, arrived = inside["reading"], inside["loaded"], inside["arrived"]
        marks = [inside[f"mark_{stage}"][:2].all() for stage in range(1, STAGES + 1)]
        over, failed = inside["over"], inside["failed"]
        heard = over | failed
        asking = Mux(self.in_hand, PHASE + 2 - spent_on, Mux(heard, 1, ASK - waits))
        codes = LATE + GROUP + 1
        way: Any = Const(1)
        for stage in range(STAGES - 1, 0, -1):
            way = Mux(marks[stage - 1], STAGES + 1 - stage, way)
        on_the_way = sum(marks[1:], start=marks[0])
        come = Mux(self.due, codes - late, Mux(arrived | self.zero, 1, way + 1))
        left: Any = Const(1)
        passing = Mux(loaded, 0, Mux(on_the_way != 0, way, GROUP))
        settles = Mux(inside["settled"], 1, 3 - self.settling)
        init = (state == State.JOURNAL) & (journal.kind == RangeKind.INIT)
        loads = one_of(state, (State.ERASE, State.SET, State.TRIM_PULSE))
        left = Mux(state == State.JOURNAL, Mux(init, passing + 1, settles), left)
        left = Mux(state == State.FLIP, 2 - self.settling, left)
        left = Mux(loads, passing + Mux(loaded, asking, ASK), left)
        left = Mux(state == State.PRECHARGE, asking, left)
        # With what is heard of a conversion its codes may come.
        comes = (reads == CONVERT) & over
        conversion = Mux(reads == CONVERT, asking, ASK) - 1 + codes
        conversion = Mux(comes, Mux(self.due, codes - late, 2), conversion)
        of_read = Mux(
            reads == REST, READ, Mux(reads == DRIVE, asking + ASK - 1 + codes, conversion)
        )
        left = Mux(reading, Mux(reads == CODES, come, of_read), left)
        none = (on_the_way == 0) & ~loaded
        gone = inside["gone"]
        passed = (~gone & ~loaded) + on_the_way + loaded
        parts = [
            inside["asked"] == self.in_hand,
            implies(self.in_hand | heard, inside["asking"] & ~gone),
            implies(heard, ~self.in_hand & ~(over & failed)),
            implies(comes, self.due == ~self.zero),
            implies(self.in_hand, (spent_on >= 1) & (spent_on <= PHASE)),
            implies(waits != 0, (waits <= WAIT) & inside["asking"] & ~self.in_hand & ~heard),
            implies(self.due, late <= LATE),
            implies(reading & (reads != CODES), none & (~self.due | comes)),
            implies(reading & one_of(reads, (DRIVE, CONVERT)), ~arrived),
            implies(reading & (reads == CODES),
                    (self.due + on_the_way + arrived == ~self.zero) & ~loaded & ~self.in_hand),
            implies(reading & (reads != REST), self.zero == inside["zero"]),
            implies(loads | init, (passed == 1) & ~self.due),
            reading | loads | init | (none & ~self.due),
            implies(inside["reads"], reading | ~sequencer.busy),
            implies(reading & (reads != REST), inside["reads"]),
            implies(gone, loads | init | (state == State.PRECHARGE)),
        ]  # fmt: skip
        return left, parts

    def _witnesses(self, m: Module) -> None:
        sequencer, journal = self.sequencer, self.journal
        commits = journal.sequencer.commit & ~self.soft_reset
        transfer = commits & (journal.kind == RangeKind.TRANSFER)
        self.reach(m, "a_transfer_to_normal", transfer & ~journal.p_new)
        self.reach(m, "a_transfer_to_inverted", transfer & journal.p_new)
        self.reach(m, "a_load", commits & (journal.kind == RangeKind.LOAD))
        self.reach(m, "an_init", commits & (journal.kind == RangeKind.INIT))
        self.reach(m, "a_failed_phase", sequencer.answered & (sequencer.error != Error.NONE))


TRANSFER, STEP, READS = rtl.transfer, rtl.transfer_steps, rtl.transfer_reads
CLAIMS = [
    Claim("each_change_of_state_is_a_step_on",
          "the states left of the row, 3 an attempt and 2 a train, and those of the rows left, "
          "become fewer: no loop without an end",
          TRANSFER, "m.next = State.PRECHARGE.name\n                with m.Else():\n"
          "                    first",
          "m.next = State.JOURNAL.name\n                with m.Else():\n"
          "                    first"),
    Claim("a_state_ends_in_time", f"within {STATE_CYCLES} cycles here",
          READS, "with m.If(wires.zero | arrived | ~wires.reading):",
          "with m.If(arrived | ~wires.reading):"),
    Claim("answered_in_time",
          f"within states times cycles of a state, {BOUND} here, the wait for weights left out",
          READS, "wires.asking.eq(wires.reading),\n                    "
          "asked.phase.eq(Phase.CONVERT_READ)",
          "wires.asking.eq(wires.reading & ~wires.zero),\n                    "
          "asked.phase.eq(Phase.CONVERT_READ)"),
    Claim("a_failed_phase_ends_the_command", "two cycles later, with MACRO_TIMEOUT",
          STEP, "with m.If(wires.failed):\n            self.answer(Error.MACRO_TIMEOUT)\n"
          "        with m.Elif(wires.over):",
          "with m.If(wires.over):"),
    Claim("work_ends_with_an_answer", "unless a soft reset ends it",
          STEP, "self.m.d.sync += [self.ports.answered.eq(1), self.ports.error.eq(error)]",
          "self.m.d.sync += [self.ports.answered.eq(error == 0), self.ports.error.eq(error)]"),
    Claim("every_command_is_taken_up",
          "then the sequencer works or has answered; an ABORT with an answer comes too late",
          TRANSFER, "m.d.comb += journal.end.eq(1)\n                steps.answer()",
          "m.d.comb += journal.end.eq(1)"),
    Claim("an_answer_is_to_a_command", "one each",
          TRANSFER, "abort = self.abort & ~self.answered", "abort = self.abort"),
    Claim("what_is_left_is_within_the_bound",
          "the invariant: cycles spent and the most that the states left can take",
          READS, "with m.Elif(ports.phase_done):",
          "with m.Elif(ports.phase_done & ~ports.phase_failed):"),
]  # fmt: skip
INDUCTION, DAMAGED, WITNESSES = 3, 44, 66
USERS = (rtl.transfer, rtl.transfer_columns, rtl.transfer_program, rtl.transfer_trim)


def test_every_property_has_a_damage() -> None:
    harness = Bounded()
    Fragment.get(harness, None)
    assert harness.names == [claim.name for claim in CLAIMS]


def test_properties(prove) -> None:
    assert prove(Bounded(), method="induction", depth=INDUCTION).passed


@pytest.mark.formal
def test_whole_rows_are_among_the_runs(prove) -> None:
    assert prove(Bounded(), method="cover", depth=WITNESSES).passed


@pytest.mark.formal
@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])
def test_damage_is_found(prove, claim: Claim) -> None:
    with claim.breaks(*USERS):
        proof = prove(Bounded(), method="bmc", depth=DAMAGED, only=[claim.name])
    assert proof.failed == {claim.name}
