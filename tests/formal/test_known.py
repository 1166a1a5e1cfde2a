"""Proofs of rtl/known.py: what may end the unknown state of a tile."""

from __future__ import annotations

import pytest
from amaranth.hdl import Fragment, Module, Signal

import rtl.known
from spec.tile import TileSpec
from tests.formal.claims import Claim
from tests.formal.inside import Inside
from tests.formal.prove import Harness

ROWS = 3
ALL = (1 << ROWS) - 1


class State(Harness):
    """The block beside a set of rows that INIT has committed, each after all rows before it."""

    def describe(self, m: Module) -> None:
        known = rtl.known.Known(TileSpec(rows=ROWS, columns=2))
        inside = Inside(known)
        m.submodules.known = inside.fragment
        self.free(
            m, known.blanked, known.row, known.valid, known.lost, known.calibrates, known.offsets
        )
        blank = Signal(ROWS)
        with m.If(known.lost | known.valid | ~known.unknown):
            m.d.sync += blank.eq(0)
        for row in range(ROWS):
            in_turn = blank == (1 << row) - 1
            with m.Elif(known.blanked & (known.row == row)):
                m.d.sync += blank.eq(blank | (in_turn << row))
        was = self.past(m, known.unknown, init=1)
        valid, lost = self.past(m, known.valid), self.past(m, known.lost)
        falls = was & ~known.unknown
        self.always(m, "unknown_falls_by_the_host_or_when_all_rows_are_blank",
                    ~falls | valid | (blank == ALL))  # fmt: skip
        self.always(m, "unknown_falls_when_all_rows_are_blank", ~was | (blank != ALL) | falls)
        self.always(m, "unknown_rises_by_raw_access_only", was | ~known.unknown | lost)
        self.always(m, "raw_access_always_loses_it", ~lost | known.unknown)
        begins, offsets = self.past(m, known.calibrates), self.past(m, known.offsets)
        kept = self.past(m, known.calibrated) & ~begins
        self.always(m, "calibrated_until_an_auto_zero_begins", known.calibrated == (kept | offsets))
        covered = Signal(range(ROWS + 1))
        m.d.comb += covered.eq(sum((blank[row] for row in range(1, ROWS)), start=blank[0]))
        in_turn = (blank & (blank + 1)[:ROWS]) == 0
        same = inside["covered"] == covered
        self.always(m, "covered_counts_those_rows", in_turn & (~known.unknown | same))
        self.reach(m, "covered_by_init", falls & (blank == ALL))
        self.reach(m, "lost_again", lost & ~was)


MODULE = rtl.known
CLAIMS = [
    Claim("unknown_falls_by_the_host_or_when_all_rows_are_blank",
          "only then; a row counts after all rows before it, since the state was last unknown",
          MODULE, "covered == self.spec.rows - 1", "covered == self.spec.rows - 2"),
    Claim("unknown_falls_when_all_rows_are_blank", "then at once",
          MODULE, "with m.If(covered == self.spec.rows - 1):\n"
          "                m.d.sync += [self.unknown.eq(0),",
          "with m.If(covered == self.spec.rows - 1):\n"
          "                m.d.sync += [self.unknown.eq(self.calibrated),"),
    Claim("unknown_rises_by_raw_access_only", "as it says",
          MODULE, "with m.If(self.lost):", "with m.If(self.lost | self.calibrates):"),
    Claim("raw_access_always_loses_it", "in the next cycle, whatever the host says",
          MODULE, "with m.If(self.lost):", "with m.If(self.lost & ~self.valid):"),
    Claim("calibrated_until_an_auto_zero_begins", "from an auto-zero's end or a host's write on",
          MODULE, "self.calibrated.eq(self.offsets)", "self.calibrated.eq(~self.calibrates)"),
    Claim("covered_counts_those_rows", "the invariant",
          MODULE, "self.blanked & (self.row == covered)", "self.blanked"),
]  # fmt: skip
INDUCTION, DAMAGED, WITNESSES = 2, 8, 12


def test_every_property_has_a_damage() -> None:
    harness = State()
    Fragment.get(harness, None)
    assert harness.names == [claim.name for claim in CLAIMS]


def test_properties(prove) -> None:
    assert prove(State(), method="induction", depth=INDUCTION).passed


@pytest.mark.formal
def test_it_can_be_known_and_lost(prove) -> None:
    assert prove(State(), method="cover", depth=WITNESSES).passed


@pytest.mark.formal
@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])
def test_damage_is_found(prove, claim: Claim) -> None:
    with claim.breaks():
        proof = prove(State(), method="bmc", depth=DAMAGED, only=[claim.name])
    assert proof.failed == {claim.name}
