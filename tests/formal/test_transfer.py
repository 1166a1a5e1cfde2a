"""What rtl/transfer.py, rtl/journal.py and rtl/polarity.py promise together, for all time.

Inputs and assumptions: tests/formal/sequencer.py; test_tile.py and test_controller.py prove of the
parent what is assumed of it.
"""

from __future__ import annotations

import pytest
from amaranth.asserts import AnyConst  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Cat, Fragment, Module, Signal

import rtl.journal
import rtl.transfer
import rtl.transfer_columns
import rtl.transfer_groups
import rtl.transfer_reads
from rtl.transfer_groups import STAGES
from rtl.transfer_ports import State
from spec.commands import Error, Phase, RangeKind
from tests.formal.claims import Claim
from tests.formal.sequencer import CODES, CONVERT, REST, RowTransfers, one_of, tiny

WITHOUT_JOURNAL = (
    State.READ_LOWER_BEFORE, State.READ_ALL, State.JOURNAL, State.TAKE_WEIGHTS, State.RESUME,
)  # fmt: skip
WORKING = (State.READ_ZERO, State.READ_LOWER_BEFORE, State.READ_ALL, State.JOURNAL)
BEFORE_FLIP = (*WITHOUT_JOURNAL, State.IDLE, State.READ_ZERO, State.PRECHARGE, State.FLIP)


class Transfers(RowTransfers):
    """What must hold of rows, their bits and their journal."""

    def describe(self, m: Module) -> None:
        self.build(m)
        journal = self.journal
        self._journal(m)
        self._polarity(m)
        self._phases(m)
        self._drivers(m)
        self._rows(m)
        commits, transfers = journal.sequencer.commit, journal.kind == RangeKind.TRANSFER
        self.reach(m, "a_transfer_to_normal", commits & transfers & ~journal.p_new)
        self.reach(m, "a_transfer_to_inverted", commits & transfers & journal.p_new)
        self.reach(m, "an_init", commits & (journal.kind == RangeKind.INIT))

    def _journal(self, m: Module) -> None:
        state, valid = self.sequencer.state, self.journal.valid
        after = tuple(s for s in State if s not in BEFORE_FLIP)
        inside = (State.PRECHARGE, State.FLIP, *after)
        self.always(m, "no_journal_before_it_is_written", ~one_of(state, WITHOUT_JOURNAL) | ~valid)
        self.always(m, "a_journal_from_precharge_to_commit", ~one_of(state, inside) | valid)

    def _polarity(self, m: Module) -> None:
        """A row's bit changes at the flip, once a row, and is p_new at the commit."""
        sequencer, journal, bank = self.sequencer, self.journal, self.bank
        state, valid, row, p_new = sequencer.state, journal.valid, journal.row, journal.p_new
        bit = Signal()
        m.d.comb += bit.eq(bank.bits.bit_select(row, 1))
        flipped = self.past(m, sequencer.flip & valid)
        flipped_row, flipped_to = self.past(m, row), self.past(m, p_new)
        hosts, hosts_row = self.past(m, self.host), self.past(m, self.host_row)
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

    def _phases(self, m: Module) -> None:
        """What may be asked of the macro, and when."""
        sequencer, journal, bank = self.sequencer, self.journal, self.bank
        asked, valid = sequencer.phase.payload, sequencer.phase.valid
        strobe = valid & one_of(asked.phase, (Phase.PRECHARGE, Phase.RESET, Phase.SET))
        of_journal = journal.valid & (asked.row == journal.row)
        self.always(m, "a_strobe_only_on_the_row_of_the_journal", ~strobe | of_journal)
        update = valid & (asked.phase == Phase.UPDATE)
        trims = (sequencer.state == State.TRIM_PULSE) & asked.trim & of_journal
        self.always(m, "an_update_only_as_trim", ~update | trims)
        signed = valid & ((asked.phase == Phase.READ) | update)
        polarity = bank.bits.bit_select(asked.row, 1)
        self.always(m, "the_sign_of_read_and_trim_is_the_bit", ~signed | (asked.swap == polarity))

    def _drivers(self, m: Module) -> None:
        """What the drivers and the macro hold stands while the phase that uses it is in hand."""
        sequencer, inside = self.sequencer, self.inside
        in_hand, taken, due = self.in_hand, self.taken, self.due
        writes = Cat(sequencer.trim_write, sequencer.select_write, sequencer.set_write).any()
        self.always(m, "no_driver_is_written_during_a_phase", ~(in_hand | taken) | ~writes)
        # Of a mark the lowest bits: `valid`, `last`.
        marks = [inside[f"mark_{stage}"] for stage in range(1, STAGES + 1)]
        lasts = [mark[0] & mark[1] for mark in marks]
        reading, zero, loaded = inside["reading"], inside["zero"], inside["loaded"]
        arrived, gone, resting = inside["arrived"], inside["gone"], inside["reads_state"] == REST
        # Of a phase done it hears a cycle later: the codes may come with that.
        told = inside["over"] | inside["failed"]
        codes = inside["reads_state"] == CODES
        codes |= (inside["reads_state"] == CONVERT) & inside["over"]
        init = (sequencer.state == State.JOURNAL) & (self.journal.kind == RangeKind.INIT)
        loads = one_of(sequencer.state, (State.ERASE, State.SET, State.TRIM_PULSE)) | init
        on_the_way = sum(lasts[1:], start=lasts[0])
        idle = sequencer.state == State.IDLE
        read, passed = due + on_the_way + arrived, (~gone & ~loaded) + on_the_way + loaded
        none = (on_the_way == 0) & ~loaded
        follows = [
            inside["asked"] == in_hand,
            ~in_hand | inside["asking"],
            ~in_hand | ~gone,
            ~told | inside["asking"] & ~in_hand & ~gone,
            ~(inside["over"] & inside["failed"]),
            ~(reading & ~codes) | (none & ~due),
            ~(reading & ~codes & ~resting) | ~arrived,
            ~(reading & codes) | (read == ~zero) & ~loaded & ~in_hand,
            ~(reading & ~resting) | (zero == self.zero),
            ~loads | (passed == 1) & ~due,
            reading | loads | none & ~due,
            ~gone | loads | (sequencer.state == State.PRECHARGE),
            ~(sequencer.trim_write | sequencer.select_write) | marks[3][0],
            ~sequencer.set_write | marks[4][0],
            ~inside["reads"] | reading | idle,
            ~(reading & ~resting) | inside["reads"],
        ]
        # Behind the last of a pass or a READ comes nothing.
        behind = [mark[0] for mark in marks]
        follows += [~lasts[k] | ~Cat(behind[:k]).any() for k in range(1, STAGES)]
        follows += [~loaded | ~Cat(behind).any()]
        self.always(m, "one_pass_at_a_time", Cat(follows).all())

    def _rows(self, m: Module) -> None:
        """A range not aborted: all its rows, in order, once each."""
        sequencer, journal = self.sequencer, self.journal
        link = journal.sequencer
        expected, first, last, ended = Signal(3), Signal(3), Signal(3), Signal(init=1)
        watched, commits = AnyConst(1), Signal(2)
        with m.If(link.start):
            m.d.sync += [
                commits.eq(0),
                first.eq(link.start_first),
                expected.eq(link.start_first),
                last.eq(link.start_last),
                ended.eq(link.start_kind == RangeKind.LOAD),
            ]
        with m.Elif(link.commit):
            m.d.sync += expected.eq(expected + 1)
        with m.If(link.commit & (journal.row == watched) & (commits != 3)):
            m.d.sync += commits.eq(commits + 1)
        with m.If(sequencer.abort | journal.discard):
            m.d.sync += ended.eq(1)
        with m.If(link.end):
            m.d.sync += ended.eq(1)
        done = sequencer.answered & (sequencer.error == Error.NONE)
        # Bad weights are another command's answer; a LOAD begun makes `ended`.
        self.always(m, "rows_in_order", ~link.commit | (journal.row == expected))
        self.always(m, "next_row_is_expected", journal.next_row == expected)
        self.always(m, "row_in_hand_is_expected", ~journal.valid | (journal.row == expected))
        self.always(m, "last_row_of_the_range", ended | (journal.last_row == last))
        so_far = (first <= watched) & (watched < expected)
        self.always(m, "a_commit_is_of_a_row_so_far",
                    (commits == so_far) & (first <= expected))  # fmt: skip
        of_range = (first <= watched) & (watched <= last)
        self.always(m, "every_row_of_a_range_is_committed_exactly_once",
                    ~done | ended | (commits == of_range))  # fmt: skip
        self.always(m, "no_row_left_out", ~done | ended | (expected == last + 1))
        working = journal.valid | one_of(sequencer.state, WORKING)
        self.always(m, "a_row_worked_is_of_the_tile", ~working | (expected < tiny().rows))
        self.always(m, "a_load_is_no_range", ended | (journal.kind != RangeKind.LOAD))
        self.always(m, "never_past_the_range", ended | (expected <= last + 1))
        self.always(m, "a_row_worked_is_of_the_range", ended | ~working | (expected <= last))


TRANSFER, JOURNAL = rtl.transfer, rtl.journal
GROUPS, READS = rtl.transfer_groups, rtl.transfer_reads
CLAIMS = [
    Claim("no_journal_before_it_is_written", "while a row's weights are read, or come",
          JOURNAL, "[self.valid.eq(0), self.next_row.eq(self.row + 1)]",
          "[self.next_row.eq(self.row + 1)]"),
    Claim("a_journal_from_precharge_to_commit",
          "in every state from the precharge to the commit the journal is valid",
          TRANSFER, "m.d.comb += journal.open.eq(1)", "m.d.comb += journal.open.eq(~is_init)"),
    Claim("bit_0_changes_by_flip_or_host", "by a flip of its own row, to that row's p_new",
          TRANSFER, "self.flip_row.eq(self.journal.row)", "self.flip_row.eq(0)"),
    Claim("bit_1_changes_by_flip_or_host", "the same of the other row",
          TRANSFER, "self.flip_row.eq(self.journal.row)", "self.flip_row.eq(1)"),
    Claim("changed_to_p_new", "a bit that changed while its journal is valid is p_new",
          TRANSFER, "self.flip_to.eq(self.journal.p_new)", "self.flip_to.eq(~self.journal.p_new)"),
    Claim("once_a_row", "at most one change between `valid` rising and falling, resets or none",
          TRANSFER, "self.flip_to.eq(self.journal.p_new)", "self.flip_to.eq(~self.polarity_bit)"),
    Claim("p_new_from_flip_to_commit", "from the flip on the row's bit is p_new",
          TRANSFER, "self.flip.eq(~settling)", "self.flip.eq(~settling & ~self.polarity_bit)"),
    Claim("p_new_at_commit", "and so it is at every commit",
          TRANSFER, "self.flip.eq(~settling)",
          "self.flip.eq(~settling & (self.journal.kind != RangeKind.INIT))"),
    Claim("a_strobe_only_on_the_row_of_the_journal",
          "PRECHARGE, RESET and SET are asked for on the journal's row alone, while it is valid",
          TRANSFER, "Mux(self.journal.valid, self.journal.row, self.journal.next_row)",
          "self.journal.last_row"),
    Claim("an_update_only_as_trim", "outside the trim the sequencer asks for no UPDATE",
          TRANSFER, "steps.ask(Phase.PRECHARGE,", "steps.ask(Phase.UPDATE,"),
    Claim("the_sign_of_read_and_trim_is_the_bit", "lower_swap is the bit of the row, in its cycle",
          READS, "ports.phase.payload.swap.eq(ports.polarity_bit)",
          "ports.phase.payload.swap.eq(ports.journal.p_new)"),
    Claim("no_driver_is_written_during_a_phase",
          "the sequencer writes no pulses, no select and no step code from taking to done",
          GROUPS, "with m.If(wires.passing & through):",
          "with m.If(wires.passing & marks[2].valid & marks[2].last):"),
    Claim("one_pass_at_a_time",
          "the invariant: one group is the last of a READ or a pass, nothing comes behind it, and "
          "no phase is in hand that no state asks for",
          READS, "with m.If(ports.phase.valid & ports.phase.ready):",
          "with m.If(ports.phase.valid):"),
    Claim("rows_in_order", "what is committed is the next row of the range",
          JOURNAL, "self.row.eq(self.next_row)", "self.row.eq(self.last_row)"),
    Claim("next_row_is_expected", "next_row is the first row not committed",
          JOURNAL, "self.next_row.eq(self.row + 1)", "self.next_row.eq(self.row)"),
    Claim("row_in_hand_is_expected", "the journal's row is that one",
          JOURNAL, "self.row.eq(self.next_row)", "self.row.eq(link.start_first)"),
    Claim("last_row_of_the_range", "last_row is the range's until it is ended",
          JOURNAL, "self.last_row.eq(link.start_last)", "self.last_row.eq(link.start_first)"),
    Claim("a_commit_is_of_a_row_so_far",
          "any row has one commit if it is in the range and before next_row, else none",
          JOURNAL, "self.row.eq(self.next_row)", "self.row.eq(self.next_row ^ 1)"),
    Claim("every_row_of_a_range_is_committed_exactly_once",
          "when a range not ended by ABORT or FORCE is answered without error, whatever soft "
          "resets and RESUMEs lie between; rows outside have none",
          TRANSFER, "(journal.row >= journal.last_row)", "(journal.row + 1 >= journal.last_row)"),
    Claim("no_row_left_out", "next_row is then beyond the range",
          TRANSFER, "(journal.next_row <= journal.last_row)",
          "(journal.next_row < journal.last_row)"),
    Claim("a_row_worked_is_of_the_tile", "no row beyond the last is worked",
          TRANSFER, "(journal.row >= journal.last_row)", "(journal.row > journal.last_row)"),
    Claim("a_load_is_no_range", "the invariant: RESUME goes on with no row after a LOAD",
          JOURNAL, "self.kind.eq(link.start_kind)", "self.kind.eq(link.start_kind | 1)"),
    Claim("never_past_the_range", "the invariant: no commit after the last row's",
          TRANSFER, "m.d.comb += self.flip.eq(~settling)",
          "m.d.comb += [self.flip.eq(~settling), self.journal.commit.eq(settling)]"),
    Claim("a_row_worked_is_of_the_range", "nor is work begun on one",
          TRANSFER, "(journal.next_row <= journal.last_row)",
          "(journal.next_row < self.spec.rows)"),
]  # fmt: skip
INDUCTION, DAMAGED, WITNESSES = 6, 36, 66
"""Depths in cycles: an INIT of a row takes 22, a TRANSFER of one 62."""
USERS = (rtl.transfer, rtl.transfer_columns)


def test_every_property_has_a_damage() -> None:
    harness = Transfers()
    Fragment.get(harness, None)
    assert harness.names == [claim.name for claim in CLAIMS]


def test_properties(prove) -> None:
    assert prove(Transfers(), method="induction", depth=INDUCTION).passed


@pytest.mark.formal
def test_whole_rows_are_among_the_runs(prove) -> None:
    assert prove(Transfers(), method="cover", depth=WITNESSES).passed


@pytest.mark.formal
@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])
def test_damage_is_found(prove, claim: Claim) -> None:
    with claim.breaks(*USERS):
        proof = prove(Transfers(), method="bmc", depth=DAMAGED, only=[claim.name])
    assert proof.failed == {claim.name}
