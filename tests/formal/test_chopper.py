"""Proofs of rtl/chopper.py: it steps when asked, by its polynomial, and is never stuck."""

from __future__ import annotations

import pytest
from amaranth.hdl import Fragment, Module

import rtl.chopper
from spec.lfsr import CHOPPER_LAG, CHOPPER_RESET, LFSR_BITS, step
from tests.formal.claims import Claim
from tests.formal.prove import Harness


class Draws(Harness):
    """The block alone."""

    def describe(self, m: Module) -> None:
        m.submodules.chopper = chopper = rtl.chopper.Chopper()
        self.free(m, chopper.step)
        was = self.past(m, chopper.state, init=CHOPPER_RESET)
        stepped, next_state = self.past(m, chopper.step), step(was, CHOPPER_LAG)[:LFSR_BITS]
        self.always(m, "a_step_is_the_polynomials", ~stepped | (chopper.state == next_state))
        self.always(m, "it_stands_unless_asked", stepped | (chopper.state == was))
        self.always(m, "the_bit_is_the_newest", chopper.bit == chopper.state[0])
        self.always(m, "the_state_is_never_0", chopper.state != 0)
        self.reach(m, "a_bit_that_turns", self.past(m, chopper.bit & chopper.step) & ~chopper.bit)


MODULE = rtl.chopper
CLAIMS = [
    Claim("a_step_is_the_polynomials", "spec/lfsr.py has it",
          MODULE, "self.state[CHOPPER_LAG - 1]", "self.state[CHOPPER_LAG]"),
    Claim("it_stands_unless_asked", "as it says",
          MODULE, "with m.If(self.step):", "with m.If(self.step | self.bit):"),
    Claim("the_bit_is_the_newest", "there in every cycle",
          MODULE, "self.bit.eq(self.state[0])", "self.bit.eq(self.state[-1])"),
    Claim("the_state_is_never_0", "which it would never leave",
          MODULE, "init=CHOPPER_RESET", "init=0"),
]  # fmt: skip
INDUCTION, DAMAGED, WITNESSES = 2, 8, 12


def test_every_property_has_a_damage() -> None:
    harness = Draws()
    Fragment.get(harness, None)
    assert harness.names == [claim.name for claim in CLAIMS]


def test_properties(prove) -> None:
    assert prove(Draws(), method="induction", depth=INDUCTION).passed


@pytest.mark.formal
def test_a_bit_can_turn(prove) -> None:
    assert prove(Draws(), method="cover", depth=WITNESSES).passed


@pytest.mark.formal
@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])
def test_damage_is_found(prove, claim: Claim) -> None:
    with claim.breaks():
        proof = prove(Draws(), method="bmc", depth=DAMAGED, only=[claim.name])
    assert proof.failed == {claim.name}
