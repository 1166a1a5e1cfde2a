"""The output stream keeps AXI4-Stream's rules, loses no code, and never leaves a packet open."""

from __future__ import annotations

import pytest
from amaranth.asserts import AnyConst  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Module, Mux, ResetInserter, Signal

from rtl.vector_output import VectorOutput
from spec.commands import VectorFormat
from spec.tile import ConverterSpec, HostSpec, TileSpec
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

    def __init__(self, damaged: bool = False) -> None:
        """`damaged`: a drop is a plain reset of all registers."""
        self.damaged = damaged

    def describe(self, m: Module) -> None:
        block = VectorOutput(SPEC)
        port = block.o
        m.submodules.block = ResetInserter(block.drop)(block) if self.damaged else block
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

    def __init__(self, damaged: bool = False) -> None:
        """`damaged`: the block believes that every beat on offer is taken."""
        self.damaged = damaged

    def describe(self, m: Module) -> None:
        m.submodules.block = block = VectorOutput(SPEC)
        port, ready = block.o, Signal()
        self.free(m, block.write, block.group, block.codes, block.finish, ready)
        self.free(m, block.packet.count, block.packet.destination)
        m.d.comb += block.packet.format.eq(VectorFormat.RAW)
        m.d.comb += port.tready.eq(1 if self.damaged else ready)
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


def test_rules(prove) -> None:
    assert prove(Rules(), method="bmc", depth=12).passed
    assert prove(Rules(), method="cover", depth=16).passed
    stays = ["a_beat_stays", "its_destination_stays"]
    assert prove(Rules(), method="induction", depth=2, only=stays).passed


@pytest.mark.formal
def test_codes(prove) -> None:
    assert prove(Codes(), method="bmc", depth=11).passed
    assert prove(Codes(), method="cover", depth=16).passed


def test_the_proofs_can_fail(prove) -> None:
    failed = prove(Rules(damaged=True), method="bmc", depth=12).failed
    assert {"a_beat_stays", "a_cut_packet_is_ended"} & failed
    assert "the_last_one" in prove(Codes(damaged=True), method="bmc", depth=12).failed
