"""No column is SET, RESET or trimmed that is masked, or that is done; proven of one whole row.

A row of two columns, from the journal on: RESUME, two attempts, or none and two trains, whatever
the READs give, in both polarities. So that the whole of it is within the depth, the macro answers
at once and no reset comes; how slow it is changes no value. The weights in the journal are 0: what
is to be programmed follows from the READ of the lower pair, which gives any code.
"""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Cat, Fragment, Module, Mux, Signal, Value, signed

import rtl.transfer
import rtl.transfer_columns
from rtl.transfer_ports import State
from spec.commands import Phase, RangeKind
from tests.formal.claims import Claim
from tests.formal.sequencer import RowTransfers, tiny

COLUMNS = 2
SPEC = tiny(columns=COLUMNS, lanes=COLUMNS, prog_limit=2)


def implies(condition: Any, then: Any) -> Value:
    return ~Value.cast(condition).bool() | Value.cast(then).bool()


class Programs(RowTransfers):
    """The sequencer beside what each column should be, made from the codes that it was given."""

    def __init__(self) -> None:
        super().__init__(SPEC)

    def describe(self, m: Module) -> None:
        self.build(m)
        sequencer, journal = self.sequencer, self.journal
        p_new, cycle = Signal(), Signal(7)
        self.free(m, p_new)
        m.d.sync += cycle.eq(cycle + (cycle != 127))
        m.d.comb += [journal.restore_row.eq(cycle == 0), journal.restored.valid.eq(1)]
        m.d.comb += [journal.restored.kind.eq(RangeKind.TRANSFER), journal.restored.p_new.eq(p_new)]
        self.assume(m, sequencer.resume == (cycle == 1))
        quiet = (self.soft_reset, self.host, sequencer.start.valid, sequencer.abort,
                 journal.discard, sequencer.phase_failed, ~sequencer.phase.ready)  # fmt: skip
        self.assume(m, ~Cat(*quiet).any())
        self.assume(m, sequencer.phase_done == self.in_hand)
        self.assume(m, sequencer.read.valid == self.due)
        enabled = sequencer.column_enable
        self.assume(m, implies(cycle != 0, enabled == self.past(m, enabled)))

        selected, latched, minus = (Signal(COLUMNS) for _ in range(3))
        with m.If(sequencer.select_write):
            m.d.sync += selected.eq(sequencer.select_mask)
        for column in range(COLUMNS):
            with m.If(sequencer.set_write & (sequencer.set_column == column)):
                m.d.sync += latched[column].eq(sequencer.set_code != 0)
                m.d.sync += minus[column].eq(sequencer.set_minus)
        done, negative = self._columns(m)
        asked = sequencer.phase.payload.phase
        asks = sequencer.phase.valid
        resets, sets = (asks & (asked == phase) for phase in (Phase.RESET, Phase.SET))
        again = resets & (self.inside["attempts"] != 0)
        worked = selected | Mux(sets, latched, 0)
        self.always(m, "no_masked_column_is_set_or_reset",
                    implies(resets | sets, ~(worked & ~enabled).any()))  # fmt: skip
        self.always(m, "no_converged_column_is_set_or_reset",
                    implies(again | sets, ~(worked & done).any()))  # fmt: skip
        right = ((minus ^ negative) & latched) == 0
        self.always(m, "a_set_is_of_the_device_of_its_sign", implies(sets, right))
        every = implies(again | sets, (selected == (enabled & ~done)))
        self.always(m, "every_other_column_is_worked", every)
        self._trim(m)
        # Both polarities, and a second attempt with one of the two columns.
        second = sets & (self.inside["attempts"] == 1) & (done == 1) & (enabled == 3)
        self.reach(m, "a_second_attempt_normal", second & ~journal.p_new)
        self.reach(m, "a_second_attempt_inverted", second & journal.p_new)
        self.reach(m, "a_masked_column", sets & (enabled == 1))

    def _trim(self, m: Module) -> None:
        """Who is charged, and which way, by the last READ of all."""
        sequencer, bits = self.sequencer, SPEC.weight_code.bits
        residuals = [Signal(signed(bits + 1), name=f"residual_{c}") for c in range(COLUMNS)]
        done, first = Signal(COLUMNS), self.inside["trains"] == 0
        pulsed, right = [], []
        bit = self.bank.bits.bit_select(self.journal.row, 1)
        width = len(sequencer.trim_counts) // COLUMNS
        for column, residual in enumerate(residuals):
            code = sequencer.read.codes.word_select(column, bits).as_signed()
            small = abs(code) <= SPEC.transfer.trim_tol
            with m.If(sequencer.read.valid & (sequencer.state == State.TRIM_READ)):
                m.d.sync += residual.eq(-code)
                m.d.sync += done[column].eq(Mux(first, small, done[column] | small))
            pulses = sequencer.trim_counts.word_select(column, width) != 0
            pulsed.append(pulses)
            right.append(~pulses | (sequencer.trim_charge[column] == ((residual > 0) ^ bit)))
        writes = sequencer.trim_write
        self.always(m, "a_trim_charges_by_residual_xor_bit", implies(writes, Cat(*right).all()))
        every = Cat(*pulsed) == (sequencer.column_enable & ~done)
        self.always(m, "a_trim_is_of_every_column_not_done_or_masked", implies(writes, every))
        one = writes & ~first & (Cat(*pulsed) == 1)
        self.reach(m, "a_second_train_normal", one & ~self.journal.p_new)
        self.reach(m, "a_second_train_inverted", one & self.journal.p_new)

    def _columns(self, m: Module) -> tuple[Signal, Signal]:
        """Which columns are done, and whose W_pcm is negative, by the design document's words."""
        sequencer, transfer, bits = self.sequencer, SPEC.transfer, SPEC.weight_code.bits
        state, done, negative = sequencer.state, Signal(COLUMNS), Signal(COLUMNS)
        p_new, offset = self.journal.p_new, transfer.offset
        for column in range(COLUMNS):
            code = sequencer.read.codes.word_select(column, bits).as_signed()
            wanted = Signal(signed(bits + 4), name=f"wanted_{column}")
            goal = Signal(signed(bits + 4), name=f"goal_{column}")
            c_max = transfer.c_max
            m.d.comb += wanted.eq(Mux(p_new, offset, -offset) - code)
            limited = Mux(wanted > c_max, c_max, Mux(wanted < -c_max, -c_max, wanted))
            upright = Mux(p_new, -limited, limited)
            blank = (limited == 0) | ((upright > 0) & (upright < offset))
            error = Signal(signed(bits + 5), name=f"error_{column}")
            m.d.comb += error.eq(goal - code)
            with m.If(sequencer.read.valid & (state == State.READ_LOWER)):
                m.d.sync += [goal.eq(limited), done[column].eq(blank)]
                m.d.sync += negative[column].eq(limited < 0)
            with m.If(sequencer.read.valid & (state == State.VERIFY)):
                close = (error <= transfer.prog_tol) & (error >= -transfer.prog_tol)
                m.d.sync += done[column].eq(done[column] | close)
        return done, negative


WAYS = rtl.transfer_columns
CLAIMS = [
    Claim("no_masked_column_is_set_or_reset", "neither selected nor given a step code",
          WAYS, "Mux(self.anew, active, was.on)", "Mux(self.anew, 1, was.on)"),
    Claim("no_converged_column_is_set_or_reset",
          "after a READ within prog_tol, or where W_pcm is left to the trim",
          WAYS, "goes_on & ~(verifies & self.program.is_close(difference, minus))", "goes_on"),
    Claim("a_set_is_of_the_device_of_its_sign", "plus for a positive W_pcm, minus for a negative",
          WAYS, "minus.eq(known.target < 0)", "minus.eq(known.target >= 0)"),
    Claim("every_other_column_is_worked", "all that are enabled and not done",
          WAYS, "(wires.attempts == 0)", "(wires.attempts == 1)"),
    Claim("a_trim_charges_by_residual_xor_bit", "if and only if r > 0, XOR the row's bit",
          WAYS, "lane.positive ^ ports.polarity_bit", "lane.positive"),
    Claim("a_trim_is_of_every_column_not_done_or_masked",
          "a column is done from a READ within trim_tol on",
          WAYS, "Mux(self.anew, active, was.on)", "active"),
]  # fmt: skip
BOUNDED, DAMAGED, WITNESSES = 84, 76, 76
"""Depths in cycles: up to the second attempt's SET, or the second train."""
USERS = (rtl.transfer, rtl.transfer_columns)


def test_every_property_has_a_damage() -> None:
    harness = Programs()
    Fragment.get(harness, None)
    assert harness.names == [claim.name for claim in CLAIMS]


@pytest.mark.formal
def test_properties(prove) -> None:
    assert prove(Programs(), method="bmc", depth=BOUNDED).passed


@pytest.mark.formal
def test_second_attempts_can_happen(prove) -> None:
    assert prove(Programs(), method="cover", depth=WITNESSES).passed


@pytest.mark.formal
@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])
def test_damage_is_found(prove, claim: Claim) -> None:
    with claim.breaks(*USERS):
        proof = prove(Programs(), method="bmc", depth=DAMAGED, only=[claim.name])
    assert proof.failed == {claim.name}
