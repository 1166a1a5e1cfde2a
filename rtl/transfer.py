"""The transfer sequencer: rows through journal, program-and-verify, trim and commit.

One phase is asked for at a time. Codes of a READ are taken a group a cycle, without back-pressure,
and worked within three cycles; before a RESET or a trim a pass over the groups, before a SET one
over the columns, goes to the drivers. Weights of a LOAD are taken one a cycle. The journal and the
SET table are components of their own, because a soft reset clears all that is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Shape, Signal, Value, ValueLike, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from rtl.formats import round_half_even, saturate
from rtl.journal import journal_signature
from rtl.phase import column_bits, groups, index_bits, request_layout, row_bits
from rtl.window import GroupMemory
from spec.commands import ERROR_BITS, KIND_BITS, Error, PairCode, Phase, RangeKind
from spec.tile import STEP_CODE_BITS, TileSpec

COMPENSATION_BITS = 8


class State(IntEnum):
    """States of the sequencer, by the names of its twin; TAKE_WEIGHTS comes before a LOAD."""

    IDLE = 0
    READ_ZERO = 1
    READ_LOWER_BEFORE = 2
    READ_ALL = 3
    JOURNAL = 4
    PRECHARGE = 5
    FLIP = 6
    READ_LOWER = 7
    ERASE = 8
    SET = 9
    VERIFY = 10
    TRIM_READ = 11
    TRIM_PULSE = 12
    COMMIT = 13
    TAKE_WEIGHTS = 14


STATE_BITS = max(State).bit_length()


def set_table(spec: TileSpec) -> GroupMemory:
    """The SET table: a step code per programming code >> set_shift, and a host's window to it."""
    return GroupMemory(spec.set_table_entries, STEP_CODE_BITS, 1)


def start_layout(spec: TileSpec) -> data.StructLayout:
    """A range of rows, and the command that it is worked for."""
    return data.StructLayout(
        {"kind": KIND_BITS, "first": row_bits(spec), "last": row_bits(spec)}
    )  # fmt: skip


def read_signature(spec: TileSpec) -> wiring.Signature:
    """Groups of a READ's codes, in order; those of masked columns are 0."""
    return wiring.Signature(
        {
            "valid": Out(1),
            "group": Out(index_bits(groups(spec, spec.columns))),
            "codes": Out(spec.converters.lanes * spec.weight_code.bits),
        }
    )


class _Widths:
    """Widths of a column's working state; each follows from what the spec lets a value be."""

    def __init__(self, spec: TileSpec) -> None:
        transfer = spec.transfer
        self.code = spec.weight_code.bits
        self.magnitude = max(1, transfer.c_max.bit_length())
        self.residual = self.code + 1
        largest = 1 << self.code
        self.difference = (largest + transfer.offset).bit_length() + 1
        self.product = max(1, ((largest * transfer.trim_gain) >> transfer.trim_shift).bit_length())
        # A product shifted right by its own width is 0, whatever is shifted on.
        self.most_damping = min(transfer.trim_limit, self.product)
        self.pulses = spec.update.slots.bit_length()

    def word(self) -> data.UnionLayout:
        """What is remembered of a column: one thing at a time."""
        program = {"target": signed(self.magnitude + 1), "magnitude": self.magnitude, "on": 1}
        trim = {
            "residual": signed(self.residual),
            "damping": Shape.cast(range(self.most_damping + 1)),
            "on": 1,
        }
        return data.UnionLayout(
            {
                "program": data.StructLayout(program),
                "trim": data.StructLayout(trim),
                "lower_before": signed(self.code),
            }
        )


@dataclass
class _Wires:
    """What the parts of the sequencer say to one another."""

    asking: Signal
    """The state wants its phase, of `self.phase.payload`."""
    over: Signal
    failed: Signal
    reading: Signal
    """The state wants a READ of `pair`, or with `zero` the READs' zero."""
    zero: Signal
    pair: Signal
    read_over: Signal
    passing: Signal
    """The state wants a pass over the groups, or with `serial` over the columns."""
    serial: Signal
    loaded: Signal
    """That pass is over, and what it wrote stands in the drivers."""
    row: Signal
    attempt: Signal
    trains: Signal


class TransferSequencer(wiring.Component):
    """Takes a range by `start`, `resume` or, to end a range, `abort`; `answered` with `error`.

    `start` is taken while idle without a valid journal. `resume` and `abort` last a cycle. While
    busy, `abort` ends the range with the row in hand; while idle, it completes a row begun and
    forgets the others. A phase that fails ends the command with MACRO_TIMEOUT; the journal stays.

    `phase` asks; `phase_done` answers, with `phase_failed`, in a later cycle. `read_start` begins
    the 2^a conversions of a READ, or of the READs' zero, before its first phase. `polarity_bit` is
    the bit of `polarity_row` a cycle before, `step_code` the SET table's at `step_index`.

    `trim_write`, `select_write` and `set_write` go to the column drivers and to the macro. All
    codes of a LOAD lie before `weights_done`, whose error ends it without a trace.
    """

    start: stream.Interface
    resume: Signal
    abort: Signal
    busy: Signal
    answered: Signal
    error: Signal
    phase: stream.Interface
    phase_done: Signal
    phase_failed: Signal
    read_start: Signal
    read_zero: Signal
    read: Any
    trim_write: Signal
    trim_group: Signal
    trim_counts: Signal
    trim_charge: Signal
    select_write: Signal
    select_group: Signal
    select_mask: Signal
    set_write: Signal
    set_column: Signal
    set_code: Signal
    set_minus: Signal
    step_index: Signal
    step_code: Signal
    column_enable: Signal
    polarity_row: Signal
    polarity_bit: Signal
    flip: Signal
    flip_row: Signal
    flip_to: Signal
    weights: stream.Interface
    weights_open: Signal
    weights_done: Signal
    weights_error: Signal
    journal: Any
    row_committed: Signal
    attempt: Signal
    not_programmed: Signal
    not_trimmed: Signal
    unfinished: Signal
    state: Signal

    def __init__(self, spec: TileSpec) -> None:
        """Everything of `spec.transfer` is built in."""
        self.spec, self.lanes = spec, spec.converters.lanes
        self.groups = groups(spec, spec.columns)
        self.widths = _Widths(spec)
        # Without it there is nothing to SET: all of a weight stays with the capacitors.
        self.programs = spec.transfer.program_pcm and spec.transfer.c_max > 0
        group_bits = index_bits(self.groups)
        weight = data.StructLayout({"code": signed(spec.weight_code.bits)})
        super().__init__(
            {
                "start": In(stream.Signature(start_layout(spec))),
                "resume": In(1),
                "abort": In(1),
                "busy": Out(1),
                "answered": Out(1),
                "error": Out(ERROR_BITS),
                "phase": Out(stream.Signature(request_layout(spec))),
                "phase_done": In(1),
                "phase_failed": In(1),
                "read_start": Out(1),
                "read_zero": Out(1),
                "read": In(read_signature(spec)),
                "trim_write": Out(1),
                "trim_group": Out(group_bits),
                "trim_counts": Out(self.lanes * self.widths.pulses),
                "trim_charge": Out(self.lanes),
                "select_write": Out(1),
                "select_group": Out(group_bits),
                "select_mask": Out(self.lanes),
                "set_write": Out(1),
                "set_column": Out(column_bits(spec)),
                "set_code": Out(STEP_CODE_BITS),
                "set_minus": Out(1),
                "step_index": Out(index_bits(spec.set_table_entries)),
                "step_code": In(STEP_CODE_BITS),
                "column_enable": In(spec.columns),
                "polarity_row": Out(row_bits(spec)),
                "polarity_bit": In(1),
                "flip": Out(1),
                "flip_row": Out(row_bits(spec)),
                "flip_to": Out(1),
                "weights": In(stream.Signature(weight)),
                "weights_open": Out(1),
                "weights_done": In(1),
                "weights_error": In(ERROR_BITS),
                "journal": Out(journal_signature(spec)),
                "row_committed": Out(1),
                "attempt": Out(1),
                "not_programmed": Out(1),
                "not_trimmed": Out(1),
                "unfinished": Out(range(spec.columns + 1)),
                "state": Out(STATE_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The states, and below them phases, READs, and the groups' way through three stages."""
        m = Module()
        spec, transfer = self.spec, self.spec.transfer
        wires = _Wires(
            asking=Signal(),
            over=Signal(),
            failed=Signal(),
            reading=Signal(),
            zero=Signal(),
            pair=Signal(PairCode),
            read_over=Signal(),
            passing=Signal(),
            serial=Signal(),
            loaded=Signal(),
            row=Signal(row_bits(spec)),
            attempt=Signal(range(transfer.prog_limit + 1)),
            trains=Signal(range(transfer.trim_limit + 1)),
        )
        m.d.comb += [
            wires.row.eq(Mux(self.journal.valid, self.journal.row, self.journal.next_row)),
            self.polarity_row.eq(wires.row),
            self.flip_row.eq(self.journal.row),
            self.flip_to.eq(self.journal.p_new),
        ]
        self._phases(m, wires)
        arrived = Signal()
        self._reads(m, wires, arrived)
        self._columns(m, wires, arrived)
        self._states(m, wires)
        return m

    # -- the states --------------------------------------------------------------------------

    def _states(self, m: Module, wires: _Wires) -> None:
        spec, transfer, journal = self.spec, self.spec.transfer, self.journal
        aborting, settled = Signal(), Signal()
        load_first, load_last = Signal(row_bits(spec)), Signal(row_bits(spec))
        taken = Signal(range(spec.columns + 2))
        is_load, is_init = journal.kind == RangeKind.LOAD, journal.kind == RangeKind.INIT
        asked = self.phase.payload

        def answer(error: ValueLike = Error.NONE) -> None:
            m.d.sync += [self.answered.eq(1), self.error.eq(error)]
            m.next = "IDLE"

        def enter_row(kind: ValueLike) -> None:
            with m.If(kind == RangeKind.TRANSFER):
                m.next = "READ_ZERO"
            with m.Else():
                m.next = "JOURNAL"

        def ask(phase: Phase, then: Callable[[], None]) -> None:
            m.d.comb += [wires.asking.eq(1), asked.phase.eq(phase)]
            with m.If(wires.failed):
                answer(Error.MACRO_TIMEOUT)
            with m.Elif(wires.over):
                then()

        def load_and_ask(phase: Phase, then: Callable[[], None]) -> None:
            """After a pass that writes the drivers."""
            m.d.comb += wires.passing.eq(~wires.loaded)
            with m.If(wires.loaded):
                ask(phase, then)

        def read(pair: PairCode | None, then: Callable[[], None]) -> None:
            """None: the zero of the READs."""
            m.d.comb += wires.reading.eq(1)
            if pair is None:
                m.d.comb += wires.zero.eq(1)
            else:
                m.d.comb += wires.pair.eq(pair)
            with m.If(wires.failed):
                answer(Error.MACRO_TIMEOUT)
            with m.Elif(wires.read_over):
                then()

        def go(state: State) -> Callable[[], None]:
            def then() -> None:
                m.next = state.name

            return then

        @contextmanager
        def state(name: State) -> Iterator[None]:
            with m.State(name.name):
                m.d.comb += self.state.eq(name)
                yield

        m.d.sync += [self.answered.eq(0), settled.eq(0)]
        m.d.comb += self.busy.eq(self.state != State.IDLE)
        with m.If(self.abort):
            m.d.sync += aborting.eq(1)

        with m.FSM():
            with state(State.IDLE):
                begun = self.start.payload
                m.d.comb += [
                    self.start.ready.eq(~journal.valid),
                    journal.start_kind.eq(begun.kind),
                    journal.start_first.eq(begun.first),
                    journal.start_last.eq(begun.last),
                ]
                m.d.sync += [
                    aborting.eq(self.abort),
                    taken.eq(0),
                    load_first.eq(begun.first),
                    load_last.eq(begun.last),
                ]
                with m.If(self.start.valid & self.start.ready):
                    with m.If(begun.kind == RangeKind.LOAD):
                        m.next = "TAKE_WEIGHTS"
                    with m.Else():
                        m.d.comb += journal.start.eq(1)
                        enter_row(begun.kind)
                with m.Elif((self.resume | self.abort) & journal.valid):
                    with m.If(is_init):
                        m.next = "PRECHARGE"
                    with m.Else():
                        m.next = "READ_ZERO"
                with m.Elif(self.abort):
                    m.d.comb += journal.end.eq(1)
                    answer()
                with m.Elif(self.resume):
                    with m.If(~is_load & (journal.next_row <= journal.last_row)):
                        enter_row(journal.kind)
                    with m.Else():
                        answer()

            with state(State.TAKE_WEIGHTS):
                come = taken + (self.weights.valid & (taken <= spec.columns))
                m.d.comb += [
                    self.weights_open.eq(1),
                    self.weights.ready.eq(1),
                    journal.put.eq(self.weights.valid & (taken < spec.columns)),
                    journal.put_column.eq(taken),
                    journal.put_code.eq(self.weights.payload.code),
                    journal.start_kind.eq(RangeKind.LOAD),
                    journal.start_first.eq(load_first),
                    journal.start_last.eq(load_last),
                ]
                m.d.sync += taken.eq(come)
                with m.If(self.weights_done):
                    with m.If(self.weights_error != Error.NONE):
                        answer(self.weights_error)
                    with m.Elif(come < spec.columns):
                        answer(Error.SHORT_VECTOR)
                    with m.Elif(come > spec.columns):
                        answer(Error.LONG_VECTOR)
                    with m.Else():
                        m.d.comb += journal.start.eq(1)
                        m.next = "JOURNAL"

            with state(State.READ_ZERO):

                def after_zero() -> None:
                    with m.If(journal.valid):
                        m.next = "PRECHARGE"
                    with m.Else():
                        m.next = "READ_LOWER_BEFORE" if transfer.leak_compensation else "READ_ALL"

                read(None, after_zero)

            if transfer.leak_compensation:
                with state(State.READ_LOWER_BEFORE):
                    read(PairCode.LOWER, go(State.READ_ALL))

            with state(State.READ_ALL):
                read(PairCode.ALL, go(State.JOURNAL))

            with state(State.JOURNAL):
                inverts = int(transfer.polarity_inversion)
                inverted = self.polarity_bit ^ ((journal.kind == RangeKind.TRANSFER) & inverts)
                m.d.comb += [
                    wires.passing.eq(is_init & ~wires.loaded),
                    journal.open_p_new.eq(~is_init & inverted),
                ]
                # A LOAD comes to its row only now: its bit takes a cycle.
                m.d.sync += settled.eq(1)
                with m.If(Mux(is_init, wires.loaded, settled)):
                    m.d.comb += journal.open.eq(1)
                    with m.If(is_load):
                        m.next = "READ_ZERO"
                    with m.Else():
                        m.next = "PRECHARGE"

            with state(State.PRECHARGE):
                ask(Phase.PRECHARGE, go(State.FLIP))

            with state(State.FLIP):
                # Before a READ asks with the new bit, it passes through its state of rest.
                m.d.comb += self.flip.eq(1)
                m.d.sync += [
                    wires.attempt.eq(0),
                    wires.trains.eq(0),
                    self.unfinished.eq(0),
                ]
                with m.If(is_init):
                    m.next = "ERASE"
                with m.Else():
                    m.next = "READ_LOWER"

            with state(State.READ_LOWER):
                read(PairCode.LOWER, go(State.ERASE))

            with state(State.ERASE):

                def after_erase() -> None:
                    with m.If(is_init):
                        m.next = "COMMIT"
                    if self.programs:
                        with m.Elif(self.unfinished != 0):
                            m.next = "SET"
                    with m.Else():
                        m.next = "TRIM_READ"

                load_and_ask(Phase.RESET, after_erase)

            if self.programs:
                with state(State.SET):
                    m.d.comb += wires.serial.eq(1)

                    def after_set() -> None:
                        m.d.comb += self.attempt.eq(1)
                        m.d.sync += wires.attempt.eq(wires.attempt + 1)
                        m.next = "VERIFY"

                    load_and_ask(Phase.SET, after_set)

                with state(State.VERIFY):

                    def after_verify() -> None:
                        at_limit = wires.attempt == transfer.prog_limit
                        with m.If((self.unfinished == 0) | at_limit):
                            m.d.comb += self.not_programmed.eq(self.unfinished != 0)
                            m.next = "TRIM_READ"
                        with m.Else():
                            m.next = "ERASE"

                    read(PairCode.HIGHER, after_verify)

            with state(State.TRIM_READ):

                def after_trim_read() -> None:
                    at_limit = wires.trains == transfer.trim_limit
                    with m.If((self.unfinished == 0) | at_limit):
                        m.d.comb += self.not_trimmed.eq(self.unfinished != 0)
                        m.next = "COMMIT"
                    with m.Else():
                        m.next = "TRIM_PULSE"

                read(PairCode.ALL, after_trim_read)

            with state(State.TRIM_PULSE):
                m.d.comb += asked.trim.eq(1)

                def after_trim() -> None:
                    m.d.sync += wires.trains.eq(wires.trains + 1)
                    m.next = "TRIM_READ"

                load_and_ask(Phase.UPDATE, after_trim)

            with state(State.COMMIT):
                ends = aborting | self.abort
                m.d.comb += [journal.commit.eq(1), journal.end.eq(ends), self.row_committed.eq(1)]
                with m.If(is_load | ends | (journal.row >= journal.last_row)):
                    answer()
                with m.Else():
                    enter_row(journal.kind)

    # -- phases and READs --------------------------------------------------------------------

    def _phases(self, m: Module, wires: _Wires) -> None:
        """One request, then its answer; an answer to nobody's request is somebody else's."""
        asked = Signal()
        m.d.comb += [
            self.phase.valid.eq(wires.asking & ~asked),
            self.phase.payload.row.eq(wires.row),
            self.phase.payload.swap.eq(self.polarity_bit),
            wires.over.eq(asked & self.phase_done & ~self.phase_failed),
            wires.failed.eq(asked & self.phase_done & self.phase_failed),
        ]
        with m.If(self.phase.valid & self.phase.ready):
            m.d.sync += asked.eq(1)
        with m.Elif(self.phase_done):
            m.d.sync += asked.eq(0)

    def _reads(self, m: Module, wires: _Wires, arrived: Signal) -> None:
        """A READ: the drive phase if it is not the zero, 2^a conversions, the last of the codes."""
        repeats = 1 << self.spec.converters.read_average_log2
        conversion = Signal(range(repeats))
        last = conversion == repeats - 1
        asked = self.phase.payload
        with m.FSM(name="reads"):
            with m.State("REST"):
                m.d.sync += [conversion.eq(0), arrived.eq(0)]
                with m.If(wires.reading):
                    m.d.comb += [self.read_start.eq(1), self.read_zero.eq(wires.zero)]
                    m.d.sync += self.unfinished.eq(0)
                    with m.If(wires.zero):
                        m.next = "CONVERT"
                    with m.Else():
                        m.next = "DRIVE"
            # Nothing is asked for unless a state wants it, from whatever state this one starts.
            with m.State("DRIVE"):
                m.d.comb += [
                    wires.asking.eq(wires.reading),
                    asked.phase.eq(Phase.READ),
                    asked.pair.eq(wires.pair),
                ]
                with m.If(wires.failed | ~wires.reading):
                    m.next = "REST"
                with m.Elif(wires.over):
                    m.next = "CONVERT"
            with m.State("CONVERT"):
                m.d.comb += [
                    wires.asking.eq(wires.reading),
                    asked.phase.eq(Phase.CONVERT_READ),
                    asked.hold.eq(~last),
                ]
                with m.If(wires.failed | ~wires.reading):
                    m.next = "REST"
                with m.Elif(wires.over):
                    m.d.sync += conversion.eq(conversion + 1)
                    with m.If(last):
                        m.next = "CODES"
            with m.State("CODES"):
                with m.If(wires.zero | arrived | ~wires.reading):
                    m.d.comb += wires.read_over.eq(wires.reading)
                    m.next = "REST"

    # -- the columns -------------------------------------------------------------------------

    def _columns(self, m: Module, wires: _Wires, arrived: Signal) -> None:
        """Three stages: the memories answer; differences and products; what is kept or driven."""
        spec, lanes, journal = self.spec, self.lanes, self.journal
        group_bits, lane_bits = len(self.read.group), ceil_log2(lanes)
        mark = data.StructLayout(
            {"valid": 1, "last": 1, "group": group_bits, "lane": max(1, lane_bits)}
        )  # fmt: skip
        marks: list[Any] = [Signal(mark, name=f"mark_{stage}") for stage in range(4)]
        for before, after in pairwise(marks):
            m.d.sync += after.eq(before)

        # Where the groups come from: a READ, or a pass.
        group, lane, gone = Signal(group_bits), Signal(max(1, lane_bits)), Signal()
        last_group = group == self.groups - 1
        last_lane = lane == Mux(last_group, (spec.columns - 1) % lanes, lanes - 1)
        with m.If(wires.reading):
            m.d.comb += [
                marks[0].valid.eq(self.read.valid),
                marks[0].group.eq(self.read.group),
                marks[0].last.eq(self.read.group == self.groups - 1),
            ]
        with m.Elif(wires.passing):
            next_group = last_lane | ~wires.serial
            m.d.comb += [
                marks[0].valid.eq(~gone),
                marks[0].group.eq(group),
                marks[0].lane.eq(lane),
                marks[0].last.eq(last_group & next_group),
            ]
            m.d.sync += [
                lane.eq(Mux(next_group, 0, lane + 1)),
                group.eq(group + next_group),
                gone.eq(gone | marks[0].last),
            ]
        with m.If(~wires.passing):
            m.d.sync += [group.eq(0), lane.eq(0), gone.eq(0)]
        through = marks[3].valid & marks[3].last
        with m.If(wires.reading & through):
            m.d.sync += arrived.eq(1)
        with m.If(wires.passing & through):
            m.d.sync += wires.loaded.eq(1)
        with m.Elif(wires.over | wires.failed | journal.open):
            m.d.sync += wires.loaded.eq(0)

        # Stage 1: what came, and what the memories know of its columns.
        word = self.widths.word()
        words = data.ArrayLayout(word, lanes)
        m.submodules.words = memory = Memory(shape=words, depth=self.groups, init=[])
        read: ReadPort = memory.read_port()
        write: WritePort = memory.write_port()
        codes_1, active_1 = Signal(len(self.read.codes)), Signal(lanes)
        enabled = Array(
            Const(0, lanes) | self.column_enable[place * lanes : (place + 1) * lanes]
            for place in range(self.groups)
        )
        m.d.comb += [read.addr.eq(marks[0].group), journal.read_group.eq(marks[0].group)]
        m.d.sync += [codes_1.eq(self.read.codes), active_1.eq(enabled[marks[0].group])]
        words_2, active_2 = Signal(words), Signal(lanes)
        m.d.sync += [words_2.eq(read.data), active_2.eq(active_1)]

        # Stage 2 ends in the memories and at the drivers, stage 3 in the count.
        news, journal_codes, unfinished = [], [], Signal(lanes)
        masks, counts, charges = [], [], []
        for k in range(lanes):
            code_1 = codes_1.word_select(k, self.widths.code).as_signed()
            kept_1 = journal.codes.word_select(k, self.widths.code).as_signed()
            old: Any = read.data[k]
            was: Any = words_2[k]
            found = self._first_stage(m, f"lane_{k}", old, code_1, kept_1)
            new, on, code_2 = self._second_stage(m, f"lane_{k}", was, active_2[k], found, wires)
            news.append(new.as_value())
            m.d.sync += unfinished[k].eq(on)
            journal_codes.append(code_2)
            pulses = self._pulses(m, f"lane_{k}", was, found["product"])
            first_attempt = (self.state == State.ERASE) & (wires.attempt == 0)
            masks.append(Mux(first_attempt, active_2[k], was.program.on))
            counts.append(Mux(was.trim.on, pulses, Const(0, self.widths.pulses)))
            charges.append((was.trim.residual > 0) ^ self.polarity_bit)

        remembers, counting = Signal(), Signal()
        with m.Switch(self.state):
            with m.Case(State.READ_LOWER, State.VERIFY, State.TRIM_READ):
                m.d.comb += [remembers.eq(1), counting.eq(1)]
            with m.Case(State.READ_LOWER_BEFORE):
                m.d.comb += remembers.eq(1)
            with m.Case(State.READ_ALL, State.JOURNAL):
                m.d.comb += journal.write.eq(marks[2].valid)
        m.d.comb += [
            write.addr.eq(marks[2].group),
            write.data.eq(Cat(*news)),
            write.en.eq(marks[2].valid & remembers),
            journal.write_group.eq(marks[2].group),
            journal.write_codes.eq(Cat(*journal_codes)),
        ]
        with m.If(marks[3].valid & counting):
            ones = sum((unfinished[k] for k in range(lanes)), start=Const(0, 1))
            m.d.sync += self.unfinished.eq(self.unfinished + ones)

        erases, sets = self.state == State.ERASE, self.state == State.SET
        m.d.sync += [
            self.select_write.eq(marks[2].valid & (erases | (sets & (marks[2].lane == 0)))),
            self.select_group.eq(marks[2].group),
            self.select_mask.eq(Cat(*masks)),
            self.trim_write.eq(marks[2].valid & (self.state == State.TRIM_PULSE)),
            self.trim_group.eq(marks[2].group),
            self.trim_counts.eq(Cat(*counts)),
            self.trim_charge.eq(Cat(*charges)),
        ]
        if self.programs:
            chosen_1: Any = Array(read.data[k].as_value() for k in range(lanes))[marks[1].lane]
            chosen_2: Any = Array(words_2[k].as_value() for k in range(lanes))[marks[2].lane]
            one_1, one_2 = Signal(word), Signal(word)
            shift = spec.transfer.set_shift
            m.d.comb += [
                one_1.eq(chosen_1),
                one_2.eq(chosen_2),
                self.step_index.eq(Mux(one_1.program.on, one_1.program.magnitude >> shift, 0)),
            ]
            column = Cat(marks[2].lane[:lane_bits], marks[2].group)
            m.d.sync += [
                self.set_write.eq(marks[2].valid & sets),
                self.set_column.eq(column),
                self.set_code.eq(Mux(one_2.program.on, self.step_code, 0)),
                self.set_minus.eq(one_2.program.on & (one_2.program.target < 0)),
            ]

    def _first_stage(
        self, m: Module, lane: str, old: Any, code: Value, kept: Value
    ) -> dict[str, Signal]:
        """Registers of a lane: the code, its difference to what it should be, a trim's product."""
        transfer, widths = self.spec.transfer, self.widths
        wanted = Signal(signed(widths.difference), name=f"{lane}_wanted")
        with m.Switch(self.state):
            with m.Case(State.READ_LOWER):
                p_offset = Mux(self.journal.p_new, -transfer.offset, transfer.offset)
                m.d.comb += wanted.eq(kept - p_offset)
            with m.Case(State.VERIFY):
                m.d.comb += wanted.eq(old.program.target)
            with m.Default():
                m.d.comb += wanted.eq(kept)
        found = {
            "code": Signal(signed(widths.code), name=f"{lane}_code"),
            "difference": Signal(signed(widths.difference), name=f"{lane}_difference"),
            "product": Signal(widths.product, name=f"{lane}_product"),
        }
        product = abs(old.trim.residual) * transfer.trim_gain
        m.d.sync += [
            found["code"].eq(code),
            found["difference"].eq(wanted - code),
            found["product"].eq(product >> transfer.trim_shift),
        ]
        if transfer.leak_compensation:
            share = Signal(
                signed(widths.code + transfer.leak_compensation.bit_length()), name=f"{lane}_share"
            )
            m.d.comb += share.eq(old.lower_before * transfer.leak_compensation)
            leaked = round_half_even(m, share, COMPENSATION_BITS, f"{lane}_leaked")
            found["leaked"] = Signal.like(leaked, name=f"{lane}_added")
            m.d.sync += found["leaked"].eq(leaked)
        return found

    def _second_stage(
        self,
        m: Module,
        lane: str,
        was: Any,
        active: Value,
        found: dict[str, Signal],
        wires: _Wires,
    ) -> tuple[Any, Signal, Signal]:
        """What is remembered of a column, if it is still worked, and its code for the journal."""
        transfer, widths = self.spec.transfer, self.widths
        difference = found["difference"]
        new: Any = Signal(widths.word(), name=f"{lane}_new")
        on = Signal(name=f"{lane}_on")
        c_max = transfer.c_max
        with m.Switch(self.state):
            with m.Case(State.READ_LOWER_BEFORE):
                m.d.comb += new.lower_before.eq(found["code"])
            with m.Case(State.READ_LOWER):
                target = Signal(signed(widths.magnitude + 1), name=f"{lane}_target")
                upright = Mux(self.journal.p_new, -target, target)
                small = (target == 0) | ((upright > 0) & (upright < transfer.offset))
                m.d.comb += [
                    target.eq(
                        Mux(
                            difference > c_max,
                            c_max,
                            Mux(difference < -c_max, -c_max, difference),
                        )
                    ),
                    on.eq(active & ~small & int(self.programs)),
                    new.program.target.eq(target),
                    new.program.magnitude.eq(abs(target)),
                    new.program.on.eq(on),
                ]
            with m.Case(State.VERIFY):
                # c keeps the target's sign and never reaches zero: one device, at least one code.
                target = was.program.target
                moved = Signal(signed(widths.difference + 1), name=f"{lane}_moved")
                m.d.comb += [
                    moved.eq(was.program.magnitude + Mux(target < 0, -difference, difference)),
                    on.eq(was.program.on & (abs(difference) > transfer.prog_tol)),
                    new.program.target.eq(target),
                    new.program.magnitude.eq(Mux(moved < 1, 1, Mux(moved > c_max, c_max, moved))),
                    new.program.on.eq(on),
                ]
            with m.Case(State.TRIM_READ):
                first = wires.trains == 0
                before = was.trim.residual
                turned = ((difference > 0) & (before < 0)) | ((difference < 0) & (before > 0))
                damps = turned & (was.trim.damping != widths.most_damping)
                m.d.comb += [
                    on.eq(Mux(first, active, was.trim.on) & (abs(difference) > transfer.trim_tol)),
                    new.trim.residual.eq(difference),
                    new.trim.damping.eq(Mux(first, 0, was.trim.damping + damps)),
                    new.trim.on.eq(on),
                ]
        code = Signal(signed(widths.code), name=f"{lane}_journal_code")
        with m.If(self.state == State.READ_ALL):
            if transfer.leak_compensation:
                added = Signal(signed(widths.code + 2), name=f"{lane}_compensated")
                m.d.comb += [
                    added.eq(found["code"] + found["leaked"]),
                    code.eq(saturate(added, self.spec.weight_code)),
                ]
            else:
                m.d.comb += code.eq(found["code"])
        return new, on, code

    def _pulses(self, m: Module, lane: str, was: Any, product: Signal) -> Signal:
        """Pulses of a trim's next train: an undamped one diverges where a step is large."""
        slots = self.spec.update.slots
        damped = Signal(len(product), name=f"{lane}_damped")
        pulses = Signal(self.widths.pulses, name=f"{lane}_pulses")
        m.d.comb += [
            damped.eq(product >> was.trim.damping),
            pulses.eq(Mux(damped == 0, 1, Mux(damped > slots, slots, damped))),
        ]
        return pulses
