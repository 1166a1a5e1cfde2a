"""The transfer sequencer: rows through journal, program-and-verify, trim and commit.

One phase is asked for at a time. Codes of a READ are taken a group a cycle, without back-pressure,
and worked within five cycles; before a RESET or a trim a pass over the groups, before a SET one
over the columns, goes to the drivers. Weights of a LOAD are taken one a cycle. The journal, the SET
table and the chopper are components of their own, because a soft reset clears all that is here.

The walk of a row is here; each of its parts has a file: `transfer_program`, `transfer_trim`,
`transfer_reads` (a phase, a READ), `transfer_columns` (what is done with the groups on the way that
`transfer_groups` gives them).
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from rtl.phase import row_bits
from rtl.transfer_columns import Columns
from rtl.transfer_ports import State, TransferPorts
from rtl.transfer_program import Program
from rtl.transfer_reads import Reads
from rtl.transfer_steps import Steps
from rtl.transfer_trim import Trim
from rtl.transfer_wires import Wires
from rtl.transfer_word import ColumnWord
from rtl.window import GroupMemory
from spec.commands import Error, PairCode, Phase, RangeKind
from spec.tile import STEP_CODE_BITS, TileSpec


def set_table(spec: TileSpec) -> GroupMemory:
    """The SET table: a step code per programming code >> set_shift, and a host's window to it."""
    return GroupMemory(spec.set_table_entries, STEP_CODE_BITS, 1)


class TransferSequencer(TransferPorts):
    """Takes a range by `start`, `resume` or, to end a range, `abort`; `answered` with `error`.

    `start` is taken while idle without a valid journal. `resume` and `abort` last a cycle. While
    busy, `abort` ends the range with the row in hand; while idle, it completes a row begun and
    forgets the others; in the cycle of an answer it comes too late. A phase that fails ends the
    command with MACRO_TIMEOUT; the journal stays.
    """

    def elaborate(self, platform: object) -> Module:
        """The states, and below them phases, READs, and the groups' way through the stages."""
        m = Module()
        spec = self.spec
        wires = Wires.of(spec)
        m.d.comb += [
            wires.row.eq(Mux(self.journal.valid, self.journal.row, self.journal.next_row)),
            self.polarity_row.eq(wires.row),
            self.flip_row.eq(self.journal.row),
            self.flip_to.eq(self.journal.p_new),
        ]
        word = ColumnWord(spec)
        program, trim = Program(spec, word, self), Trim(spec, word, self)
        arrived = Signal()
        Reads(spec, self, wires, arrived).build(m)
        Columns(spec, self, wires, arrived, word, program, trim).build(m)

        # High in the second cycle in a state that waits for the polarity, and in the third.
        settling, settled = Signal(), Signal()
        aborting = Signal()
        m.d.sync += [self.answered.eq(0), settling.eq(0), settled.eq(settling)]
        m.d.comb += self.busy.eq(self.state != State.IDLE)
        with m.If(self.abort):
            m.d.sync += aborting.eq(1)
        steps = Steps(m, self, wires)
        with m.FSM():
            self._begin(m, steps, aborting)
            self._read_weights(m, steps)
            self._write_journal(m, steps, settling, settled)
            self._invert(m, steps, settling)
            program.states(m, steps)
            trim.states(m, steps)
            self._commit(m, steps, aborting)
        return m

    def _begin(self, m: Module, steps: Steps, aborting: Signal) -> None:
        """IDLE takes a command, RESUME a range begun, TAKE_WEIGHTS the row of a LOAD."""
        spec, journal = self.spec, self.journal
        is_load, is_init = journal.kind == RangeKind.LOAD, journal.kind == RangeKind.INIT
        load_first, load_last = Signal(row_bits(spec)), Signal(row_bits(spec))
        taken = Signal(range(spec.columns + 1))
        too_many = Signal()
        # That it is in TAKE_WEIGHTS, in a register: it goes back to the port of the packets.
        taking = Signal()
        # In the cycle of an answer nobody waits for another: that ABORT came too late.
        abort = self.abort & ~self.answered
        with steps.state(State.IDLE):
            begun = self.start.payload
            m.d.comb += [
                self.start.ready.eq(~journal.valid),
                journal.start_kind.eq(begun.kind),
                journal.start_first.eq(begun.first),
                journal.start_last.eq(begun.last),
            ]
            m.d.sync += [
                aborting.eq(self.abort),
                Cat(taken, too_many).eq(0),
                load_first.eq(begun.first),
                load_last.eq(begun.last),
            ]
            with m.If(self.start.valid & self.start.ready):
                with m.If(begun.kind == RangeKind.LOAD):
                    m.d.sync += taking.eq(1)
                    m.next = State.TAKE_WEIGHTS.name
                with m.Else():
                    m.d.comb += journal.start.eq(1)
                    steps.enter_row(begun.kind)
            with m.Elif((self.resume | abort) & journal.valid):
                with m.If(is_init):
                    m.next = State.PRECHARGE.name
                with m.Else():
                    m.next = State.READ_ZERO.name
            with m.Elif(abort):
                m.d.comb += journal.end.eq(1)
                steps.answer()
            with m.Elif(self.resume):
                m.next = State.RESUME.name

        # Of the cycle before: while idle nobody but a command changes the range.
        rows_to_go = Signal()
        m.d.sync += rows_to_go.eq(journal.next_row <= journal.last_row)
        with steps.state(State.RESUME):
            with m.If(~is_load & rows_to_go):
                steps.enter_row(journal.kind)
            with m.Else():
                steps.answer()

        # What comes is looked at a cycle later, the packet's end as well.
        put = Signal()
        put_column = Signal.like(taken)
        put_code = Signal(spec.weight_code.bits)
        ended = Signal()
        ended_error = Signal.like(self.weights_error)
        fits = taken != spec.columns
        m.d.sync += [
            put.eq(self.weights.valid & self.weights.ready & fits),
            put_column.eq(taken),
            put_code.eq(self.weights.payload.code),
            ended.eq(self.weights_open & self.weights_done),
            ended_error.eq(self.weights_error),
        ]
        m.d.comb += [
            self.weights_open.eq(taking & ~ended),
            self.weights.ready.eq(taking),
            journal.put.eq(put),
            journal.put_column.eq(put_column),
            journal.put_code.eq(put_code),
        ]
        with steps.state(State.TAKE_WEIGHTS):
            m.d.comb += [
                journal.start_kind.eq(RangeKind.LOAD),
                journal.start_first.eq(load_first),
                journal.start_last.eq(load_last),
            ]
            with m.If(self.weights.valid):
                m.d.sync += [taken.eq(taken + fits), too_many.eq(too_many | ~fits)]
            with m.If(ended):
                m.d.sync += taking.eq(0)
                with m.If(ended_error != Error.NONE):
                    steps.answer(ended_error)
                with m.Elif(too_many):
                    steps.answer(Error.LONG_VECTOR)
                with m.Elif(fits):
                    steps.answer(Error.SHORT_VECTOR)
                with m.Else():
                    m.d.comb += journal.start.eq(1)
                    m.next = State.JOURNAL.name

    def _read_weights(self, m: Module, steps: Steps) -> None:
        """READ_ZERO, then the row's weights, unless the journal has them."""
        compensates = self.spec.transfer.leak_compensation
        with steps.state(State.READ_ZERO):

            def after_zero() -> None:
                with m.If(self.journal.valid):
                    m.next = State.PRECHARGE.name
                with m.Else():
                    first = State.READ_LOWER_BEFORE if compensates else State.READ_ALL
                    m.next = first.name

            steps.read(None, after_zero)

        if compensates:
            with steps.state(State.READ_LOWER_BEFORE):
                steps.read(PairCode.LOWER, steps.go(State.READ_ALL))

        with steps.state(State.READ_ALL):
            steps.read(PairCode.ALL, steps.go(State.JOURNAL))

    def _write_journal(self, m: Module, steps: Steps, settling: Signal, settled: Signal) -> None:
        """JOURNAL: from its last cycle on the row is one to be finished."""
        journal, wires = self.journal, steps.wires
        is_load, is_init = journal.kind == RangeKind.LOAD, journal.kind == RangeKind.INIT
        is_transfer = journal.kind == RangeKind.TRANSFER
        with steps.state(State.JOURNAL):
            inverts = int(self.spec.transfer.polarity_inversion)
            p_new = self.polarity_bit ^ (is_transfer & inverts)
            if self.spec.transfer.draws_polarity:
                p_new = Mux(is_transfer, self.chopper.bit, self.polarity_bit)
                # Once a row: a RESUME finds the bit in the journal.
                m.d.comb += self.chopper.step.eq(journal.open & is_transfer)
            m.d.comb += [
                wires.passing.eq(is_init & ~wires.loaded),
                journal.open_p_new.eq(~is_init & p_new),
            ]
            # A LOAD comes to its row only now: its bit takes two cycles.
            m.d.sync += settling.eq(1)
            with m.If(Mux(is_init, wires.loaded, settled)):
                m.d.comb += journal.open.eq(1)
                with m.If(is_load):
                    m.next = State.READ_ZERO.name
                with m.Else():
                    m.next = State.PRECHARGE.name

    def _invert(self, m: Module, steps: Steps, settling: Signal) -> None:
        """PRECHARGE, FLIP, and READ_LOWER with the new bit."""
        wires = steps.wires
        with steps.state(State.PRECHARGE):
            steps.ask(Phase.PRECHARGE, steps.go(State.FLIP))

        with steps.state(State.FLIP):
            # A READ asks with the new bit in the cycle after the next; it takes one more.
            m.d.comb += self.flip.eq(~settling)
            m.d.sync += [
                settling.eq(1),
                wires.attempts.eq(0),
                wires.trains.eq(0),
                wires.unfinished.eq(0),
            ]
            with m.If(settling):
                m.next = State.READ_LOWER.name
                with m.If(self.journal.kind == RangeKind.INIT):
                    m.next = State.ERASE.name

        with steps.state(State.READ_LOWER):
            steps.read(PairCode.LOWER, steps.go(State.ERASE))

    def _commit(self, m: Module, steps: Steps, aborting: Value) -> None:
        """COMMIT, and the next row of the range if there is one."""
        journal, is_last = self.journal, Signal()
        # Of the cycle before: both stand since the row was begun.
        m.d.sync += is_last.eq(journal.row >= journal.last_row)
        with steps.state(State.COMMIT):
            ends = aborting | self.abort
            m.d.comb += [journal.commit.eq(1), journal.end.eq(ends), self.row_committed.eq(1)]
            is_load = journal.kind == RangeKind.LOAD
            with m.If(is_load | ends | is_last):
                steps.answer()
            with m.Else():
                steps.enter_row(journal.kind)
