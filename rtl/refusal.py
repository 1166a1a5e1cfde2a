"""Why the controller cannot take a command: looked at in the two cycles before its strobe.

A part of rtl/controller.py; golden/digital/command.py lists the reasons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import Module, Signal
from amaranth.lib import data

from rtl.phase import PAIR_BITS
from spec.commands import ERROR_BITS, Command, Error, PairCode
from spec.tile import STEP_CODE_BITS

if TYPE_CHECKING:
    from rtl.controller import Controller

COMMAND = data.StructLayout(
    {
        "opcode": 4,
        "new_rows": 1,
        "new_columns": 1,
        "force": 1,
        "unused": 1,
        "pair": PAIR_BITS,
        "minus": 1,
        "unused_too": 5,
        "step_code": STEP_CODE_BITS,
    }
)
"""The COMMAND register, from bit 0 on."""


class Refusal:
    """The reasons against the command on offer at a controller's ports; the first counts."""

    def __init__(self, port: Controller) -> None:
        """`port` has the word, the rows, and what the tile is and has."""
        self.port = port

    def error(self, m: Module) -> Signal:
        """Error.NONE where the command can be taken."""
        port, spec, word = self.port, self.port.spec, self.port.word
        refusal = Signal(ERROR_BITS)
        opcode = word.opcode
        known = Signal()
        with m.Switch(opcode):
            for command in Command:
                with m.Case(command):
                    m.d.comb += known.eq(command != Command.BACKWARD or spec.rows > 1)
        is_range = (opcode == Command.TRANSFER) | (opcode == Command.INIT)
        takes_row = is_range | (opcode == Command.LOAD) | (opcode == Command.READ)
        bringup = (opcode == Command.PROGRAM) | (opcode == Command.PRECHARGE)
        passive = (opcode == Command.IDLE) | (opcode == Command.ABORT)
        forced = (opcode == Command.INIT) & word.force
        # Of the cycle before: the registers of the rows stand, and an idle tile's journal.
        # One a line: the proofs find them by name. Behind a reset no rows have been looked at.
        covers = Signal()
        beyond = Signal(init=1)
        last_beyond = Signal(init=1)
        crossed = Signal(init=1)
        m.d.sync += [
            covers.eq((port.first <= port.journal_row) & (port.journal_row <= port.last)),
            beyond.eq(port.first >= spec.rows),
            last_beyond.eq(port.last >= spec.rows),
            crossed.eq(port.first > port.last),
        ]
        with_row = (opcode == Command.RESUME) | (opcode == Command.READ) | passive
        bad_rows = (takes_row | bringup) & beyond
        bad_range = is_range & (last_beyond | crossed)
        update = opcode == Command.UPDATE
        no_rows = update & ~word.new_rows & ~port.rows_held
        no_columns = update & ~word.new_columns & ~port.columns_held
        with m.If(~known):
            m.d.comb += refusal.eq(Error.UNKNOWN_COMMAND)
        with m.Elif(~port.enable & port.safe):
            m.d.comb += refusal.eq(Error.SAFE)
        with m.Elif(~port.enable):
            m.d.comb += refusal.eq(Error.NOT_ARMED)
        with m.Elif(port.unknown & (opcode != Command.INIT) & (opcode != Command.IDLE)):
            m.d.comb += refusal.eq(Error.STATE_UNKNOWN)
        with m.Elif(port.journal_valid & ~with_row & ~(forced & covers)):
            m.d.comb += refusal.eq(Error.ROW_INCOMPLETE)
        with m.Elif(bad_rows | bad_range):
            m.d.comb += refusal.eq(Error.BAD_ROWS)
        with m.Elif((opcode == Command.IDLE) & (port.idle_cycles == 0)):
            m.d.comb += refusal.eq(Error.BAD_VALUE)
        with m.Elif((opcode == Command.READ) & (word.pair > max(PairCode))):
            m.d.comb += refusal.eq(Error.BAD_VALUE)
        with m.Elif(bringup & ~port.bringup):
            m.d.comb += refusal.eq(Error.NOT_BRINGUP)
        with m.Elif(no_rows | no_columns):
            m.d.comb += refusal.eq(Error.NO_VECTOR)
        return refusal
