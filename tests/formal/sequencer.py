"""The transfer sequencer on a tiny tile, with what stands around it, for the proofs about it.

The inputs are free but for what its parent guarantees: a host writes a bit, and discards a row,
only while nobody is busy, a bit only while no row is incomplete, and a range lies on the tile. The
converter gives a READ's codes once, after its last conversion, and none of one that failed. A soft
reset may come in any cycle, and so may an answer to a phase; a failure is told with one
(tests/formal/test_drive.py).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib.wiring import connect

import rtl.journal
import rtl.polarity
import rtl.transfer
from spec.commands import Phase, RangeKind
from spec.presets import preset
from spec.tile import TileSpec
from tests.formal.inside import Inside
from tests.formal.prove import Harness

REST, CONVERT, DRIVE, CODES = range(4)
"""Codes of a READ's states."""


def tiny(columns: int = 1, lanes: int = 1, **transfer: Any) -> TileSpec:
    """Two rows, one conversion a READ, one attempt, two trains."""
    spec = preset("tiny")
    limits = {"prog_limit": 1, "trim_limit": 2} | transfer
    return dataclasses.replace(
        spec,
        rows=2,
        columns=columns,
        update=dataclasses.replace(spec.update, slots=2),
        converters=dataclasses.replace(
            spec.converters, lanes=lanes, read_bits=6, read_average_log2=0
        ),
        transfer=dataclasses.replace(
            spec.transfer, c_max=7, set_shift=0, prog_tol=1, trim_gain=64, **limits
        ),
    )  # fmt: skip


def one_of(state: Signal, states: Any) -> Value:
    """Whether the state is one of these."""
    return Cat(state == s for s in states).any()


class RowTransfers(Harness):
    """The sequencer, its journal and the bank."""

    def __init__(self, spec: TileSpec | None = None) -> None:
        self.spec = spec or tiny()

    def build(self, m: Module) -> None:
        """The design and its inputs."""
        spec = self.spec
        # By the modules' names, so that damaged copies can stand there.
        self.sequencer = sequencer = rtl.transfer.TransferSequencer(spec)
        self.journal = journal = rtl.journal.Journal(spec)
        self.bank = bank = rtl.polarity.PolarityBank(spec.rows)
        self.soft_reset, self.host = soft_reset, host = Signal(), Signal()
        self.host_row, host_bit = Signal.like(bank.row), Signal()
        self.inside = Inside(sequencer)
        m.submodules.sequencer = ResetInserter(soft_reset)(self.inside.fragment)
        m.submodules.journal, m.submodules.bank = journal, bank
        connect(m, sequencer.journal, journal.sequencer)
        m.d.comb += [
            bank.write.eq(sequencer.flip | host),
            bank.row.eq(Mux(sequencer.flip, sequencer.flip_row, self.host_row)),
            bank.polarity.eq(Mux(sequencer.flip, sequencer.flip_to, host_bit)),
            bank.read_row.eq(sequencer.polarity_row),
            sequencer.polarity_bit.eq(bank.read_bit),
        ]
        self.free(m, soft_reset, host, self.host_row, host_bit, sequencer.column_enable)
        self.free(m, sequencer.start.valid, sequencer.start.payload, sequencer.resume)
        self.free(m, sequencer.abort, sequencer.phase.ready, sequencer.phase_done)
        self.free(m, sequencer.phase_failed, sequencer.step_code, journal.discard)
        self.free(m, sequencer.read.valid, sequencer.read.group, sequencer.read.codes)
        self.free(m, sequencer.weights.valid, sequencer.weights.payload)
        self.free(m, sequencer.weights_done, sequencer.weights_error)
        self._beside(m)
        starts = sequencer.start.valid | sequencer.resume | sequencer.abort
        self.assume(m, ~host | ~(sequencer.busy | journal.valid | starts))
        self.assume(m, ~journal.discard | ~(sequencer.busy | starts))
        self.assume(m, ~sequencer.phase_failed | sequencer.phase_done)
        begun = sequencer.start.payload
        self.assume(m, (begun.first <= begun.last) & (begun.kind <= RangeKind.INIT))
        self.assume(m, (begun.kind != RangeKind.LOAD) | (begun.first == begun.last))
        self.assume(m, ~(sequencer.start.valid & (sequencer.resume | sequencer.abort)))

    def _beside(self, m: Module) -> None:
        """A phase in hand; whether the converter owes the last codes of a READ; its zero."""
        sequencer = self.sequencer
        self.in_hand, self.due, self.zero = in_hand, due, zero = Signal(), Signal(), Signal()
        asked, done = sequencer.phase.payload, sequencer.phase_done
        self.taken = sequencer.phase.valid & sequencer.phase.ready
        with m.If(self.taken):
            m.d.sync += in_hand.eq(1)
        with m.Elif(done):
            m.d.sync += in_hand.eq(0)
        with m.If(sequencer.read_start):
            m.d.sync += zero.eq(sequencer.read_zero)
        whole = in_hand & done & ~sequencer.phase_failed & ~zero
        last = sequencer.read.valid & (sequencer.read.group == sequencer.groups - 1)
        with m.If(whole & (asked.phase == Phase.CONVERT_READ) & ~asked.hold):
            m.d.sync += due.eq(1)
        with m.Elif(last):
            m.d.sync += due.eq(0)
        with m.If(self.soft_reset):
            m.d.sync += [in_hand.eq(0), due.eq(0)]
        # Groups come in their order; one group is all that a column has.
        if sequencer.groups == 1:
            self.assume(m, sequencer.read.group == 0)
        else:
            turn = Signal.like(sequencer.read.group)
            with m.If(sequencer.read_start | self.soft_reset):
                m.d.sync += turn.eq(0)
            with m.Elif(sequencer.read.valid):
                m.d.sync += turn.eq(turn + 1)
            self.assume(m, ~sequencer.read.valid | (sequencer.read.group == turn))
        self.assume(m, ~sequencer.read.valid | due)
