"""The output stream keeps AXI4-Stream's rules, loses no code, and never leaves a packet open."""

from __future__ import annotations

import pytest
from amaranth.asserts import AnyConst  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Fragment, Module, Mux, Signal

import rtl.vector_output
from spec.commands import VectorFormat
from spec.tile import ConverterSpec, HostSpec, TileSpec
from tests.formal.claims import Claim
from tests.formal.prove import Harness

ROWS = 3
SPEC = TileSpec(
    rows=ROWS,
    columns=1,
    converters=ConverterSpec(lanes=1, forward_bits=4, backward_bits=4),
    host=HostSpec(axis_bytes=2),
)


class Rules(Harness):
    """A beat on offer stays; a packet that a drop cuts is ended by an empty beat, and only such."""

    def describe(self, m: Module) -> None:
        m.submodules.block = block = rtl.vector_output.VectorOutput(SPEC)
        port = block.o
        self.free(m, block.write, block.group, block.codes, block.finish, block.packet)
        self.free(m, block.drop, port.tready, block.backward_shift)
        self.assume(m, block.free | ~(block.write | block.finish))
        self.assume(m, block.packet.count <= ROWS)

        waiting = self.past(m, port.tvalid & ~port.tready)
        carried = [port.tdata, port.tkeep, port.tlast, port.tdest]
        same = [value == self.past(m, value) for value in carried]
        self.always(m, "a_beat_stays", ~waiting | (port.tvalid & same[0] & same[1] & same[2]))
        self.always(m, "its_destination_stays", ~waiting | same[3])

        inside, is_open, cut = Signal(), Signal(), Signal()
        m.d.comb += is_open.eq(Mux(port.tvalid, ~port.tlast, inside))
        m.d.sync += inside.eq(is_open)
        empty = (port.tkeep == 0) & port.tlast
        new = port.tvalid & ~waiting
        with m.If(block.drop & is_open):
            m.d.sync += cut.eq(1)
        with m.Elif(port.tvalid & empty):
            m.d.sync += cut.eq(0)
        self.always(m, "a_cut_packet_is_ended", ~(cut & new) | empty)
        self.always(
            m, "no_other_is_empty", ~(port.tvalid & (port.tkeep == 0)) | empty & (cut | waiting)
        )
        # Two cycles on there is an end, or a beat before it still waits.
        due = self.past(m, self.past(m, block.drop & is_open))
        self.always(m, "the_end_comes_at_once", ~due | port.tvalid | ~cut)
        self.reach(m, "a_cut", port.tvalid & empty)
        self.reach(m, "a_whole_one", port.tvalid & port.tlast & ~empty & inside)


class Codes(Harness):
    """Any code of the first two vectors, sent raw: in its beat, once, and as many as there are."""

    def describe(self, m: Module) -> None:
        m.submodules.block = block = rtl.vector_output.VectorOutput(SPEC)
        port, ready = block.o, Signal()
        self.free(m, block.write, block.group, block.codes, block.finish, ready)
        self.free(m, block.packet.count, block.packet.destination)
        m.d.comb += block.packet.format.eq(VectorFormat.RAW)
        m.d.comb += port.tready.eq(ready)
        self.assume(m, block.free | ~(block.write | block.finish))
        self.assume(m, block.packet.count <= ROWS)

        # One code, by its vector and its place: what was written last, and what comes.
        vector, place = AnyConst(1), AnyConst(range(ROWS))
        finished, ended, beat = Signal(2), Signal(2), Signal(4)
        code, count, destination = Signal(16), Signal(4), Signal(2)
        written = block.write & (block.group == place) & (finished <= vector)
        with m.If(written):
            m.d.sync += code.eq(block.codes)
        with m.If(block.finish & (block.packet.count != 0)):
            m.d.sync += finished.eq(finished + 1)
            with m.If(finished == vector):
                m.d.sync += [count.eq(block.packet.count), destination.eq(block.packet.destination)]
        self.assume(m, (finished != 2) | ~block.finish)
        with m.If(port.tvalid & ready):
            m.d.sync += beat.eq(Mux(port.tlast, 0, beat + 1))
            m.d.sync += ended.eq(ended + port.tlast)
        watched = port.tvalid & ready & (ended == vector) & (finished > vector)
        here = watched & (beat == place) & (place < count)
        self.always(m, "the_code", ~here | (port.tdata == code))
        self.always(m, "where_it_goes", ~watched | (port.tdest == destination))
        self.always(m, "the_last_one", ~watched | (port.tlast == (beat == count - 1)))
        self.always(m, "whole_beats", ~watched | (port.tkeep == 3))
        self.always(m, "none_unasked", ~port.tvalid | (finished != ended))
        self.reach(m, "a_later_vector", here & (vector == 1) & (place == 1))


OUTPUT = rtl.vector_output
RULES = [
    Claim("a_beat_stays", "on offer until it is taken, drop or none",
          OUTPUT, "room.eq(port.tready | ~port.tvalid)",
          "room.eq(port.tready | ~port.tvalid | self.drop)"),
    Claim("its_destination_stays", "tdest with it, whatever `packet` says then",
          OUTPUT, "begun, ending = Signal(), Signal()",
          "begun, ending = Signal(), Signal()\n"
          "        m.d.sync += port.tdest.eq(self.packet.destination)"),
    Claim("a_cut_packet_is_ended", "the beat after a drop in a packet is an empty last one",
          OUTPUT, "with m.If(self.drop & begun & ~ending):", "with m.If(0):"),
    Claim("no_other_is_empty", "no packet ends so that was not cut",
          OUTPUT, "with m.If(self.drop & begun & ~ending):", "with m.If(self.drop & ~ending):"),
    Claim("the_end_comes_at_once", "within two cycles, unless a beat before it still waits",
          OUTPUT, "with m.If(ending):", "with m.If(ending & valid):"),
]  # fmt: skip
CODES = [
    Claim("the_code", "a beat carries what was written last at its place",
          OUTPUT, "Mux(read_place[0], beat_codes[half:], beat_codes[:half])", "beat_codes[:half]"),
    Claim("where_it_goes", "tdest is that of its packet",
          OUTPUT, "port.tdest.eq(held.destination)", "port.tdest.eq(self.packet.destination)"),
    Claim("the_last_one", "tlast stands on the last code and on no other",
          OUTPUT, "port.tlast.eq(last)", "port.tlast.eq(1)"),
    Claim("whole_beats", "all bytes of a RAW code are kept",
          OUTPUT, "Cat(~last | (place <= tail)", "Cat(~last | (place < tail)"),
    Claim("none_unasked", "nothing is on offer that was not finished",
          OUTPUT, "with m.If(self.finish & (self.packet.count != 0)):", "with m.If(self.finish):"),
]  # fmt: skip
RULES_DEPTH, RULES_WITNESSES, STAYS = 13, 17, ("a_beat_stays", "its_destination_stays")
CODES_DEPTH, CODES_WITNESSES = 12, 17
STAYS_INDUCTION = 2
"""Depths in cycles: of a packet, and of one after it."""


def test_rules(prove) -> None:
    assert prove(Rules(), method="bmc", depth=RULES_DEPTH).passed
    assert prove(Rules(), method="cover", depth=RULES_WITNESSES).passed
    assert prove(Rules(), method="induction", depth=STAYS_INDUCTION, only=STAYS).passed


@pytest.mark.formal
def test_codes(prove) -> None:
    assert prove(Codes(), method="bmc", depth=CODES_DEPTH).passed
    assert prove(Codes(), method="cover", depth=CODES_WITNESSES).passed


@pytest.mark.parametrize(("harness", "claims"), [(Rules, RULES), (Codes, CODES)])
def test_every_property_has_a_damage(harness: type[Harness], claims: list[Claim]) -> None:
    made = harness()
    Fragment.get(made, None)
    assert made.names == [claim.name for claim in claims]


@pytest.mark.formal
@pytest.mark.parametrize("claim", RULES, ids=[claim.name for claim in RULES])
def test_damage_is_found_by_the_rules(prove, claim: Claim) -> None:
    with claim.breaks():
        proof = prove(Rules(), method="bmc", depth=RULES_DEPTH, only=[claim.name])
    assert proof.failed == {claim.name}


@pytest.mark.formal
@pytest.mark.parametrize("claim", CODES, ids=[claim.name for claim in CODES])
def test_damage_is_found_by_the_codes(prove, claim: Claim) -> None:
    with claim.breaks():
        proof = prove(Codes(), method="bmc", depth=CODES_DEPTH, only=[claim.name])
    assert proof.failed == {claim.name}
