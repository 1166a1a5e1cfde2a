"""What rtl/transfer.py, rtl/journal.py and rtl/polarity.py promise together, for all time.

The tile is tiny, every input is free but for what its parent guarantees: a host writes a bit only
while nobody is busy and no row is incomplete, and a range lies on the tile.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from amaranth.hdl import Module, Mux, ResetInserter, Signal, Value
from amaranth.lib.wiring import connect

from rtl.journal import Journal
from rtl.polarity import PolarityBank
from rtl.transfer import State, TransferSequencer
from spec.commands import Error, Phase, RangeKind
from spec.presets import preset
from spec.tile import TileSpec
from tests.formal.prove import Harness

WITHOUT_JOURNAL = (State.READ_LOWER_BEFORE, State.READ_ALL, State.JOURNAL, State.TAKE_WEIGHTS)
WORKING = (State.READ_ZERO, State.READ_LOWER_BEFORE, State.READ_ALL, State.JOURNAL)
BEFORE_FLIP = (*WITHOUT_JOURNAL, State.IDLE, State.READ_ZERO, State.PRECHARGE, State.FLIP)


def tiny() -> TileSpec:
    """Two rows by one column, one conversion a READ, one attempt, one train."""
    spec = preset("tiny")
    return dataclasses.replace(
        spec,
        rows=2,
        columns=1,
        update=dataclasses.replace(spec.update, slots=2),
        converters=dataclasses.replace(spec.converters, read_bits=6, read_average_log2=0),
        transfer=dataclasses.replace(
            spec.transfer, c_max=7, set_shift=0, prog_tol=1, prog_limit=1, trim_gain=64,
            trim_limit=2,
        ),
    )  # fmt: skip


def one_of(state: Signal, states: Any) -> Value:
    """Whether the state is one of these."""
    found = Signal()
    return sum((state == s for s in states), start=found) != 0


class Transfers(Harness):
    """The sequencer, its journal and the bank. `damage` is a hand's work on it."""

    def __init__(self, damage: str = "") -> None:
        self.damage = damage

    def describe(self, m: Module) -> None:
        spec = tiny()
        sequencer, journal, bank = TransferSequencer(spec), Journal(spec), PolarityBank(spec.rows)
        soft_reset, host = Signal(), Signal()
        host_row, host_bit = Signal.like(bank.row), Signal()
        m.submodules.sequencer = ResetInserter(soft_reset)(sequencer)
        lost = self.damage == "a soft reset clears the journal"
        m.submodules.journal = ResetInserter(soft_reset)(journal) if lost else journal
        m.submodules.bank = bank
        connect(m, sequencer.journal, journal.sequencer)
        to = bank.bits[0] if self.damage == "a flip to another row's bit" else sequencer.flip_to
        m.d.comb += [
            bank.write.eq(sequencer.flip | host),
            bank.row.eq(Mux(sequencer.flip, sequencer.flip_row, host_row)),
            bank.polarity.eq(Mux(sequencer.flip, to, host_bit)),
            bank.read_row.eq(sequencer.polarity_row),
            sequencer.polarity_bit.eq(bank.read_bit),
        ]
        if self.damage == "a bit read too late":
            bit = bank.read_bit
            for _ in range(5):
                bit = self.past(m, bit)
            m.d.comb += sequencer.polarity_bit.eq(bit)
        self.free(m, soft_reset, host, host_row, host_bit, sequencer.column_enable)
        self.free(m, sequencer.start.valid, sequencer.start.payload, sequencer.resume)
        self.free(m, sequencer.abort, sequencer.phase.ready, sequencer.phase_done)
        self.free(m, sequencer.phase_failed, sequencer.step_code)
        self.free(m, sequencer.read.valid, sequencer.read.group, sequencer.read.codes)
        self.free(m, sequencer.weights.valid, sequencer.weights.payload)
        self.free(m, sequencer.weights_done, sequencer.weights_error)
        self.assume(m, ~host | (~sequencer.busy & ~journal.valid & ~sequencer.start.valid))
        self.assume(m, ~host | (~sequencer.resume & ~sequencer.abort))
        begun = sequencer.start.payload
        self.assume(m, (begun.first <= begun.last) & (begun.kind <= RangeKind.INIT))
        self.assume(m, (begun.kind != RangeKind.LOAD) | (begun.first == begun.last))
        self.assume(m, ~(sequencer.start.valid & (sequencer.resume | sequencer.abort)))

        state, valid, row, p_new = sequencer.state, journal.valid, journal.row, journal.p_new
        bit = Signal()
        m.d.comb += bit.eq(bank.bits.bit_select(row, 1))
        self._journal(m, state, valid)
        self._polarity(m, sequencer, journal, bank, host, host_row, bit)
        self._phases(m, sequencer, journal, bank)
        self._rows(m, sequencer, journal)

        link = journal.sequencer
        committed = [Signal(name=f"committed_to_{p}") for p in (0, 1)]
        for p in (0, 1):
            with m.If(link.commit & (p_new == p) & (journal.kind == RangeKind.TRANSFER)):
                m.d.sync += committed[p].eq(1)
        self.reach(m, "a_transfer_to_normal", committed[0])
        self.reach(m, "a_transfer_to_inverted", committed[1])
        self.reach(m, "an_init", link.commit & (journal.kind == RangeKind.INIT))

    def _journal(self, m: Module, state: Signal, valid: Signal) -> None:
        after = tuple(s for s in State if s not in BEFORE_FLIP)
        inside = (State.PRECHARGE, State.FLIP, *after)
        self.always(m, "no_journal_before_it_is_written", ~one_of(state, WITHOUT_JOURNAL) | ~valid)
        self.always(m, "a_journal_from_precharge_to_commit", ~one_of(state, inside) | valid)

    def _polarity(
        self,
        m: Module,
        sequencer: TransferSequencer,
        journal: Journal,
        bank: PolarityBank,
        host: Signal,
        host_row: Signal,
        bit: Signal,
    ) -> None:
        """A row's bit changes at the flip, once a row, and is p_new at the commit."""
        state, valid, row, p_new = sequencer.state, journal.valid, journal.row, journal.p_new
        flipped = self.past(m, sequencer.flip & valid)
        flipped_row, flipped_to = self.past(m, row), self.past(m, p_new)
        hosts, hosts_row = self.past(m, host), self.past(m, host_row)
        for k in range(2):
            same = bank.bits[k] == self.past(m, bank.bits[k])
            by_flip = flipped & (flipped_row == k) & (bank.bits[k] == flipped_to)
            self.always(
                m, f"bit_{k}_changes_by_flip_or_host", same | by_flip | (hosts & (hosts_row == k))
            )
        changed, twice = Signal(), Signal()
        before, was_valid = self.past(m, bit), self.past(m, valid)
        with m.If(~valid):
            m.d.sync += changed.eq(0)
        with m.Elif(was_valid & (bit != before)):
            m.d.sync += changed.eq(1)
            m.d.comb += twice.eq(changed)
        self.always(m, "changed_to_p_new", ~changed | ~valid | (bit == p_new))
        self.always(m, "once_a_row", ~twice)
        settled = ~one_of(state, BEFORE_FLIP)
        self.always(m, "p_new_from_flip_to_commit", ~settled | (bit == p_new))
        self.always(m, "p_new_at_commit", ~journal.sequencer.commit | (bit == p_new))

    def _phases(
        self, m: Module, sequencer: TransferSequencer, journal: Journal, bank: PolarityBank
    ) -> None:
        """What may be asked of the macro, and when."""
        asked, valid = sequencer.phase.payload, sequencer.phase.valid
        strobe = Signal()
        m.d.comb += strobe.eq(
            valid
            & (
                (asked.phase == Phase.PRECHARGE)
                | (asked.phase == Phase.RESET)
                | (asked.phase == Phase.SET)
            )
        )
        of_journal = journal.valid & (asked.row == journal.row)
        self.always(m, "a_strobe_only_on_the_row_of_the_journal", ~strobe | of_journal)
        update = valid & (asked.phase == Phase.UPDATE)
        trims = (sequencer.state == State.TRIM_PULSE) & asked.trim & of_journal
        self.always(m, "an_update_only_as_trim", ~update | trims)
        signed = valid & ((asked.phase == Phase.READ) | update)
        polarity = bank.bits.bit_select(asked.row, 1)
        self.always(m, "the_sign_of_read_and_trim_is_the_bit", ~signed | (asked.swap == polarity))

    def _rows(self, m: Module, sequencer: TransferSequencer, journal: Journal) -> None:
        """A range not aborted: all its rows, in order, once each."""
        link = journal.sequencer
        expected, last, ended = Signal(3), Signal(3), Signal(init=1)
        with m.If(link.start):
            m.d.sync += [
                expected.eq(link.start_first),
                last.eq(link.start_last),
                ended.eq(link.start_kind == RangeKind.LOAD),
            ]
        with m.Elif(link.commit):
            m.d.sync += expected.eq(expected + 1)
        with m.If(sequencer.abort):
            m.d.sync += ended.eq(1)
        with m.If(link.end):
            m.d.sync += ended.eq(1)
        done = sequencer.answered & (sequencer.error == Error.NONE)
        # Bad weights are another command's answer; a LOAD begun makes `ended`.
        self.always(m, "rows_in_order", ~link.commit | (journal.row == expected))
        self.always(m, "next_row_is_expected", journal.next_row == expected)
        self.always(m, "row_in_hand_is_expected", ~journal.valid | (journal.row == expected))
        self.always(m, "last_row_of_the_range", ended | (journal.last_row == last))
        self.always(m, "no_row_left_out", ~done | ended | (expected == last + 1))
        working = journal.valid | one_of(sequencer.state, WORKING)
        self.always(m, "a_row_worked_is_of_the_tile", ~working | (expected < tiny().rows))
        self.always(m, "a_load_is_no_range", ended | (journal.kind != RangeKind.LOAD))
        self.always(m, "never_past_the_range", ended | (expected <= last + 1))
        self.always(m, "a_row_worked_is_of_the_range", ended | ~working | (expected <= last))


def test_journal_polarity_and_rows(prove) -> None:
    assert prove(Transfers(), method="induction", depth=6).passed


@pytest.mark.formal
def test_whole_rows_are_among_the_runs(prove) -> None:
    assert prove(Transfers(), method="cover", depth=48).passed


@pytest.mark.parametrize(
    ("damage", "broken"),
    [
        ("a soft reset clears the journal", "next_row_is_expected"),
        ("a flip to another row's bit", "bit_1_changes_by_flip_or_host"),
        ("a bit read too late", "the_sign_of_read_and_trim_is_the_bit"),
    ],
)
def test_a_damaged_tile_fails(prove, damage: str, broken: str) -> None:
    proof = prove(Transfers(damage), method="bmc", depth=16, only=[broken])
    assert proof.failed == {broken}
