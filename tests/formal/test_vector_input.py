"""No beat is lost between the port and the shadows, and no packet is answered twice."""

from __future__ import annotations

import pytest
from amaranth.asserts import AnyConst  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Fragment, Module, Mux, Signal

import rtl.register_slice
import rtl.vector_input
from spec.commands import Destination, Error
from spec.tile import HostSpec, TileSpec
from tests.formal.claims import Claim
from tests.formal.prove import Harness

ROWS = 5
SPEC = TileSpec(rows=ROWS, columns=3, host=HostSpec(axis_bytes=2))
BEATS = 2
"""Of a packet of ROWS - 1 row codes, and of one of three column codes."""


class GoodRows(Harness):
    """Good packets of row codes, one behind the other."""

    def describe(self, m: Module) -> None:
        m.submodules.block = block = rtl.vector_input.VectorInput(SPEC)
        port = block.i
        self.free(m, port.tdata, port.tvalid, block.rows_take)
        taken, place = Signal(4), Signal(4)
        m.d.comb += [port.tkeep.eq(3), port.tlast.eq(taken[0]), port.tdest.eq(Destination.ROWS)]
        accepted = port.tvalid & port.tready
        beat, codes = AnyConst(4), Signal(16)
        with m.If(accepted):
            m.d.sync += taken.eq(taken + 1)
            with m.If(taken == beat):
                m.d.sync += codes.eq(port.tdata)
        with m.If(block.row_write):
            m.d.sync += place.eq(place + 1)
        self.assume(m, (taken != 15) | ~port.tvalid)

        here = block.row_write & (place == beat)
        self.always(m, "its_codes", ~here | (block.row_codes == codes))
        self.always(m, "its_group", ~here | (block.row_group == beat[0]))
        self.always(m, "none_invented", ~block.row_write | (place < taken))
        self.always(m, "a_vector_that_waits_stays", ~(block.row_write & block.rows_waiting))
        self.always(m, "a_vector_is_whole", ~block.rows_waiting | ~place[0])
        self.always(m, "no_error", block.error.code == Error.NONE)
        self.reach(m, "a_third_packet", here & (beat == 4))
        # Two beats wait in the buffer, and the port is closed.
        self.reach(m, "held_back", block.rows_waiting & ~port.tready & (taken == 4))


class AnyPackets(Harness):
    """Whatever comes: an answer a packet at most, and after a drop none for a packet cut by it."""

    def describe(self, m: Module) -> None:
        m.submodules.block = block = rtl.vector_input.VectorInput(SPEC)
        port = block.i
        self.free(m, port.tdata, port.tkeep, port.tlast, port.tdest, port.tvalid)
        self.free(m, block.rows_take, block.columns_take, block.weights_open, block.weights.ready)
        self.free(m, block.drop)
        self.assume(m, block.rows_waiting | ~block.rows_take)
        self.assume(m, block.columns_waiting | ~block.columns_take)
        # Packets that have come whole since the last drop, without the one that it cut.
        inside, cut, ever_cut, open_answers = Signal(), Signal(), Signal(), Signal(5)
        accepted = port.tvalid & port.tready
        still_inside = Mux(accepted, ~port.tlast, inside)
        m.d.sync += inside.eq(still_inside)
        rose = [flag & ~self.past(m, flag) for flag in (block.rows_waiting, block.columns_waiting)]
        failed = block.error.code != Error.NONE
        answers = Signal(3)
        m.d.comb += answers.eq(rose[0] + rose[1] + (failed | block.weights_done))
        whole = accepted & port.tlast & ~cut
        with m.If(block.drop):
            m.d.sync += [cut.eq(still_inside), open_answers.eq(0)]
            m.d.sync += ever_cut.eq(ever_cut | still_inside)
        with m.Else():
            m.d.sync += open_answers.eq(open_answers + whole - answers)
            with m.If(accepted & port.tlast):
                m.d.sync += cut.eq(0)
        self.always(m, "one_answer_each", answers <= open_answers)
        self.always(m, "one_at_a_time", answers <= 1)
        weights, door = block.weights, Signal()
        with m.If(block.weights_done | block.drop):
            m.d.sync += door.eq(0)
        with m.Elif(block.weights_open):
            m.d.sync += door.eq(1)
        self.always(m, "no_weight_unasked", ~weights.valid | door)
        stalled = self.past(m, weights.valid & ~weights.ready & ~block.drop)
        same = weights.payload.as_value() == self.past(m, weights.payload.as_value())
        self.always(m, "a_weight_stays", ~stalled | (weights.valid & same))
        self.reach(m, "rows", rose[0])
        self.reach(m, "weights", block.weights_done & ~failed)
        self.reach(m, "an_error_after_a_drop", failed & ever_cut)


INPUT, BUFFER = rtl.vector_input, rtl.register_slice
GOOD_ROWS = [
    Claim("its_codes", "each beat's codes are written, in their order",
          BUFFER, "self.i.ready.eq(~spare_held)", "self.i.ready.eq(1)"),
    Claim("its_group", "into the group of the beat's place in its packet",
          INPUT, "self.row_group.eq(place)", "self.row_group.eq(0)"),
    Claim("none_invented", "no more beats are written than were taken",
          INPUT, "self.row_write.eq(taken & (place", "self.row_write.eq((place"),
    Claim("a_vector_that_waits_stays", "nothing is written while one waits",
          INPUT, "held_back.eq(self.rows_waiting)", "held_back.eq(0)"),
    Claim("a_vector_is_whole", "one that waits has all its beats",
          INPUT, "with m.Elif(come & ~discard):",
          "with m.Elif((come | self.row_write) & ~discard):"),
    Claim("no_error", "good packets have none",
          INPUT, "too_long = place > final", "too_long = place >= final"),
]  # fmt: skip
ANY_PACKETS = [
    Claim("one_answer_each",
          "a packet that came whole, and that no drop cut, has one answer: a vector, an error or "
          "the end of weights",
          INPUT, "discarding.eq(still_inside)", "discarding.eq(0)"),
    Claim("one_at_a_time", "never two in a cycle",
          INPUT, "rows_come.eq(good & (begun_as == Destination.ROWS))",
          "rows_come.eq(begun_as == Destination.ROWS)"),
    Claim("no_weight_unasked", "weights come after `weights_open` only",
          INPUT, "held_back.eq(~self.weights_open | self.weights_done)",
          "held_back.eq(self.weights_done)"),
    Claim("a_weight_stays", "on offer until it is taken, or dropped",
          INPUT, "with m.Elif(given):\n            m.d.sync += held",
          "with m.Elif(self.weights.valid):\n            m.d.sync += held"),
]  # fmt: skip
GOOD_ROWS_DEPTH, ANY_PACKETS_DEPTH = 14, 13
GOOD_ROWS_WITNESSES, ANY_PACKETS_WITNESSES = 18, 16
"""Depths in cycles: of a packet's beats, of its answer, and of the next one."""
USERS = (rtl.vector_input,)


def test_good_packets(prove) -> None:
    assert prove(GoodRows(), method="bmc", depth=GOOD_ROWS_DEPTH).passed
    assert prove(GoodRows(), method="cover", depth=GOOD_ROWS_WITNESSES).passed


def test_any_packets(prove) -> None:
    assert prove(AnyPackets(), method="bmc", depth=ANY_PACKETS_DEPTH).passed
    assert prove(AnyPackets(), method="cover", depth=ANY_PACKETS_WITNESSES).passed


@pytest.mark.parametrize(("harness", "claims"), [(GoodRows, GOOD_ROWS), (AnyPackets, ANY_PACKETS)])
def test_every_property_has_a_damage(harness: type[Harness], claims: list[Claim]) -> None:
    made = harness()
    Fragment.get(made, None)
    assert made.names == [claim.name for claim in claims]


@pytest.mark.formal
@pytest.mark.parametrize("claim", GOOD_ROWS, ids=[claim.name for claim in GOOD_ROWS])
def test_damage_is_found_by_good_packets(prove, claim: Claim) -> None:
    with claim.breaks(*USERS):
        proof = prove(GoodRows(), method="bmc", depth=GOOD_ROWS_DEPTH, only=[claim.name])
    assert proof.failed == {claim.name}


@pytest.mark.formal
@pytest.mark.parametrize("claim", ANY_PACKETS, ids=[claim.name for claim in ANY_PACKETS])
def test_damage_is_found_by_any_packets(prove, claim: Claim) -> None:
    with claim.breaks(*USERS):
        proof = prove(AnyPackets(), method="bmc", depth=ANY_PACKETS_DEPTH, only=[claim.name])
    assert proof.failed == {claim.name}
