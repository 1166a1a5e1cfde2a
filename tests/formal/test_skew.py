"""Proofs of rtl/skew.py: each tap has the threshold of as many slots before as its number says."""

from __future__ import annotations

import pytest
from amaranth.hdl import Array, Cat, Fragment, Module, Signal

import rtl.skew
from spec.tile import SKEW_ROWS, CodeSpec, TileSpec, UpdateSpec
from tests.formal.claims import Claim
from tests.formal.inside import Inside
from tests.formal.prove import Harness

SLOTS, BITS = 4, 2
SPEC = TileSpec(
    rows=2 * SKEW_ROWS + 1,
    columns=1,
    codes=CodeSpec(pwm_bits=BITS),
    update=UpdateSpec(slots=SLOTS, row_skew=True),
)
"""Three taps of four slots."""


class Ring(Harness):
    """The ring, and a model that notes the thresholds by their slots."""

    def describe(self, m: Module) -> None:
        skew = rtl.skew.RowSkew(SPEC)
        inside = Inside(skew)
        m.submodules.skew = inside.fragment
        self.free(m, skew.i.valid, skew.i.payload, skew.o.ready, skew.stop)
        taken, given = skew.i.valid & skew.i.ready, skew.o.valid & skew.o.ready
        noted = Array(Signal(BITS, name=f"noted_{slot}") for slot in range(SLOTS))
        full, slot = Signal(), Signal(range(SLOTS))
        with m.If(taken):
            m.d.sync += noted[slot].eq(skew.i.payload)
        with m.If(taken | given):
            m.d.sync += slot.eq(slot + 1)
            with m.If(slot == SLOTS - 1):
                m.d.sync += full.eq(~full)
        with m.If(skew.stop):
            m.d.sync += [full.eq(0), slot.eq(0)]
        rights = []
        for tap in range(SPEC.row_taps):
            before = Signal(range(SLOTS), name=f"before_{tap}")
            m.d.comb += before.eq(slot - tap)
            rights.append(skew.o.payload.word_select(tap, BITS) == noted[before])
        self.always(m, "a_tap_is_so_many_slots_late", ~full | Cat(rights).all())
        self.always(m, "full_after_all_slots_and_empty_after_them", skew.o.valid == full)
        self.always(m, "takes_or_gives", skew.i.ready == ~skew.o.valid)
        self.always(
            m, "a_stop_empties", ~self.past(m, skew.stop) | (skew.i.ready & (inside["count"] == 0))
        )
        places = []
        for place in range(SLOTS):
            # While it fills, place k has the threshold of k + 1 slots before; so it has when full.
            before = Signal(range(SLOTS), name=f"held_{place}")
            m.d.comb += before.eq(slot - 1 - place)
            there = full | (slot > place)
            places.append(~there | (inside[f"ring_{place}"] == noted[before]))
        model = [inside["count"] == slot, *places]
        self.always(m, "the_model_follows", Cat(model).all())
        turned = full & (slot == SLOTS - 1) & (noted[0] != noted[1]) & (noted[1] != noted[2])
        self.reach(m, "a_whole_turn", turned)
        self.reach(m, "a_second_update", self.past(m, turned & given) & taken)
        self.reach(m, "a_turn_cut_short", self.past(m, skew.stop & full & (slot == 2)))


MODULE = rtl.skew
CLAIMS = [
    Claim("a_tap_is_so_many_slots_late", "tap 0 is the slot's own",
          MODULE, "ring[tap - 1]", "ring[tap]"),
    Claim("full_after_all_slots_and_empty_after_them", "an UPDATE's thresholds, no more",
          MODULE, "count == self.slots - 1", "count == self.slots - 2"),
    Claim("takes_or_gives", "never both",
          MODULE, "self.i.ready.eq(~full)", "self.i.ready.eq(~full | self.o.ready)"),
    Claim("a_stop_empties", "whatever it was about",
          MODULE, "[full.eq(0), count.eq(0)]", "full.eq(0)"),
    Claim("the_model_follows", "the invariant: the ring holds what was taken, in order",
          MODULE, "Mux(full, ring[-1], self.i.payload)", "self.i.payload"),
]  # fmt: skip
INDUCTION, DAMAGED, WITNESSES = 2, 12, 16


def test_every_property_has_a_damage() -> None:
    harness = Ring()
    Fragment.get(harness, None)
    assert harness.names == [claim.name for claim in CLAIMS]


def test_properties(prove) -> None:
    assert prove(Ring(), method="induction", depth=INDUCTION).passed


@pytest.mark.formal
def test_every_turn_can_happen(prove) -> None:
    assert prove(Ring(), method="cover", depth=WITNESSES).passed


@pytest.mark.formal
@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])
def test_damage_is_found(prove, claim: Claim) -> None:
    with claim.breaks():
        proof = prove(Ring(), method="bmc", depth=DAMAGED, only=[claim.name])
    assert proof.failed == {claim.name}
