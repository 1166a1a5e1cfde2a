"""Proofs of rtl/polarity.py: a row's bit is what was last written to that row, and no other's."""

from __future__ import annotations

import pytest
from amaranth.hdl import Cat, Fragment, Module, Signal

import rtl.polarity
from tests.formal.claims import Claim
from tests.formal.inside import Inside
from tests.formal.prove import Harness

ROWS = 3
"""No power of two, so that a row out of range can be written."""


class Bank(Harness):
    """The bank, and nothing else."""

    def describe(self, m: Module) -> None:
        bank = rtl.polarity.PolarityBank(ROWS)
        inside = Inside(bank)
        m.submodules.bank = inside.fragment
        self.free(m, bank.write, bank.row, bank.polarity, bank.read_row)
        write, row, polarity = (self.past(m, s) for s in (bank.write, bank.row, bank.polarity))
        was = self.past(m, bank.bits)
        written, kept = [], []
        for number in range(ROWS):
            here = write & (row == number)
            written.append(~here | (bank.bits[number] == polarity))
            kept.append(here | (bank.bits[number] == was[number]))
        self.always(m, "a_bit_is_what_was_written", Cat(written).all())
        self.always(m, "a_bit_changes_by_a_write_to_its_row_only", Cat(kept).all())
        before = self.past(m, was)
        self.always(m, "any_inverted_is_any_bit", bank.any_inverted == before.any())
        self.always(m, "any_normal_is_any_bit_not_set", bank.any_normal == ~before.all())
        read = self.past(m, self.past(m, bank.bits.bit_select(bank.read_row, 1)))
        self.always(m, "read_bit_is_the_bit_two_cycles_before", bank.read_bit == read)
        count = sum((bank.bits[number] for number in range(1, ROWS)), start=bank.bits[0])
        self.always(
            m,
            "the_count_is_of_the_bits",
            inside["inverted"] + inside["rises"] == count + inside["falls"],
        )
        self.always(m, "the_count_was_of_the_bits", inside["inverted"] == self.past(m, count))
        mixed, back = bank.any_normal & bank.any_inverted, Signal()
        with m.If(bank.bits.all()):
            m.d.sync += back.eq(1)
        self.reach(m, "all_inverted_and_back", back & (bank.bits == 0))
        self.reach(m, "a_write_out_of_range", mixed & write & (row == ROWS))


MODULE = rtl.polarity
CLAIMS = [
    Claim("a_bit_is_what_was_written", "in the next cycle",
          MODULE, "self.bits[row].eq(self.polarity)", "self.bits[row].eq(self.read_bit)"),
    Claim("a_bit_changes_by_a_write_to_its_row_only", "a row out of range changes none",
          MODULE, "self.write & (self.row == row)", "self.write & (self.row >= row)"),
    Claim("any_inverted_is_any_bit", "two cycles before, in every cycle",
          MODULE, "bit & ~was", "bit"),
    Claim("any_normal_is_any_bit_not_set", "two cycles before, in every cycle",
          MODULE, "self.write & (self.row < self.rows)", "self.write"),
    Claim("read_bit_is_the_bit_two_cycles_before", "of read_row",
          MODULE, "self._bit_of(m, self.read_row)", "self._bit_of(m, self.row)"),
    Claim("the_count_is_of_the_bits", "with what the last write changes; the invariant",
          MODULE, "inverted + rises", "inverted + self.read_bit"),
    Claim("the_count_was_of_the_bits", "a cycle before",
          MODULE, "- falls", ""),
]  # fmt: skip
INDUCTION, DAMAGED, WITNESSES = 3, 8, 12


def test_every_property_has_a_damage() -> None:
    harness = Bank()
    Fragment.get(harness, None)
    assert harness.names == [claim.name for claim in CLAIMS]


def test_properties(prove) -> None:
    assert prove(Bank(), method="induction", depth=INDUCTION).passed


@pytest.mark.formal
def test_every_write_can_happen(prove) -> None:
    assert prove(Bank(), method="cover", depth=WITNESSES).passed


@pytest.mark.formal
@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])
def test_damage_is_found(prove, claim: Claim) -> None:
    with claim.breaks():
        proof = prove(Bank(), method="bmc", depth=DAMAGED, only=[claim.name])
    assert proof.failed == {claim.name}
