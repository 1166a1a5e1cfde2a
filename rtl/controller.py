"""Takes a command, checks it, runs its phases, answers it.

A command is taken in the cycle of its strobe, while idle; `answered` comes once for each, with its
error. What a command needs is looked at in the cycle before, its rows in the one before that, in
the order of `rtl/refusal.py`: its word and its rows stand by then. FORWARD, BACKWARD and UPDATE
wait for their packets; FORWARD, BACKWARD and READ, before they disturb anything, until the host has
taken the last result (`rtl/stream_wait.py`). Neither lasts longer than `stream_timeout` cycles
without a beat. What a command does then is in `rtl/command_walk.py`.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.command_walk import CommandWalk
from rtl.converter import USE_BITS
from rtl.phase import TIMEOUT_BITS, groups, index_bits, request_layout, row_bits
from rtl.refusal import COMMAND, Refusal
from rtl.row_range import start_layout
from spec.commands import ERROR_BITS, Command, Error
from spec.tile import STEP_CODE_BITS, TileSpec


class Controller(wiring.Component):
    """One command at a time; see the head of the file.

    `command` is a strobe of one cycle; `word`, `first` and `last` stand from two cycles before.
    `phase` goes to the phase driver, `start` to the transfer sequencer; `transfer_working` says
    that the sequencer asks for a phase of its own. `polarity_bit` is that of `polarity_row` two
    cycles before.
    """

    command: Signal
    word: Any
    first: Signal
    last: Signal
    idle_cycles: Signal
    enable: Signal
    safe: Signal
    bringup: Signal
    unknown: Signal
    journal_valid: Signal
    journal_row: Signal
    stream_timeout: Signal
    any_normal: Signal
    any_inverted: Signal
    polarity_row: Signal
    polarity_bit: Signal
    column_enable: Signal
    busy: Signal
    answered: Signal
    error: Signal

    rows_waiting: Signal
    columns_waiting: Signal
    vector_error: Signal
    vector_error_code: Signal
    vector_error_destination: Signal
    silent: Signal
    rows_take: Signal
    columns_take: Signal
    drop: Signal
    rows_held: Signal
    columns_held: Signal

    phase: stream.Interface
    phase_done: Signal
    phase_failed: Signal
    commit: Signal
    convert_start: Signal
    convert_use: Signal
    convert_out: Signal
    output_free: Signal
    output_stalled: Signal
    finish: Signal

    start: stream.Interface
    resume: Signal
    abort: Signal
    transfer_working: Signal
    transfer_answered: Signal
    transfer_error: Signal
    weights_open: Signal
    weights_timeout: Signal
    discard_journal: Signal

    select_write: Signal
    select_group: Signal
    select_mask: Signal
    set_write: Signal
    set_column: Signal
    set_code: Signal
    set_minus: Signal

    calibrates: Signal
    calibrated: Signal
    forwarded: Signal
    raw_access: Signal

    def __init__(self, spec: TileSpec) -> None:
        """Row numbers of a command have 16 bits, so that any wrong one can be told."""
        self.spec = spec
        lanes = spec.converters.lanes
        super().__init__(
            {
                "command": In(1),
                "word": In(COMMAND),
                "first": In(16),
                "last": In(16),
                "idle_cycles": In(TIMEOUT_BITS),
                "enable": In(1),
                "safe": In(1),
                "bringup": In(1),
                "unknown": In(1),
                "journal_valid": In(1),
                "journal_row": In(row_bits(spec)),
                "stream_timeout": In(TIMEOUT_BITS),
                "any_normal": In(1),
                "any_inverted": In(1),
                "polarity_row": Out(row_bits(spec)),
                "polarity_bit": In(1),
                "column_enable": In(spec.columns),
                "busy": Out(1),
                "answered": Out(1),
                "error": Out(ERROR_BITS),
                "rows_waiting": In(1),
                "columns_waiting": In(1),
                "vector_error": In(1),
                "vector_error_code": In(ERROR_BITS),
                "vector_error_destination": In(2),
                "silent": In(1),
                "rows_take": Out(1),
                "columns_take": Out(1),
                "drop": Out(1),
                "rows_held": Out(1),
                "columns_held": Out(1),
                "phase": Out(stream.Signature(request_layout(spec))),
                "phase_done": In(1),
                "phase_failed": In(1),
                "commit": Out(1),
                "convert_start": Out(1),
                "convert_use": Out(USE_BITS),
                "convert_out": In(1),
                "output_free": In(1),
                "output_stalled": In(1),
                "finish": Out(1),
                "start": Out(stream.Signature(start_layout(spec))),
                "resume": Out(1),
                "abort": Out(1),
                "transfer_working": In(1),
                "transfer_answered": In(1),
                "transfer_error": In(ERROR_BITS),
                "weights_open": In(1),
                "weights_timeout": Out(1),
                "discard_journal": Out(1),
                "select_write": Out(1),
                "select_group": Out(index_bits(groups(spec, spec.columns))),
                "select_mask": Out(lanes),
                "set_write": Out(1),
                "set_column": Out(index_bits(spec.columns)),
                "set_code": Out(STEP_CODE_BITS),
                "set_minus": Out(1),
                "calibrates": Out(1),
                "calibrated": Out(1),
                "forwarded": Out(1),
                "raw_access": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A command is taken or refused, walks its states, is answered."""
        m = Module()
        # In the cycle after a reset none has been looked at.
        refused = Signal(ERROR_BITS, init=Error.BUSY)
        m.d.sync += refused.eq(Refusal(self).error(m))
        walk = CommandWalk(self, m)
        with m.FSM() as fsm:
            with m.State("IDLE"):
                with m.If(self.command):
                    walk.take()
                    with m.If(refused != Error.NONE):
                        walk.end(refused)
                    with m.Else():
                        self._begin(m, walk)
            walk.states()
            with m.State("ANSWER"):
                m.d.comb += [
                    self.answered.eq(1),
                    self.error.eq(walk.answer),
                    self.finish.eq(walk.finishes),
                    self.forwarded.eq(walk.finishes & (walk.operation == Command.FORWARD)),
                ]
                m.d.sync += walk.finishes.eq(0)
                m.next = "IDLE"

        m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
        with m.If(self.rows_take):
            m.d.sync += self.rows_held.eq(1)
        with m.If(self.columns_take):
            m.d.sync += self.columns_held.eq(1)
        # The column drivers carry a trim: the vector that they held is gone.
        with m.If(self.transfer_working):
            m.d.sync += self.columns_held.eq(0)
        return m

    def _begin(self, m: Module, walk: CommandWalk) -> None:
        """The first state of the command on offer."""
        word = self.word
        with m.Switch(word.opcode):
            with m.Case(Command.FORWARD):
                m.next = "FORWARD_VECTOR"
            with m.Case(Command.BACKWARD):
                m.next = "BACKWARD_VECTOR"
            with m.Case(Command.UPDATE):
                with m.If(word.new_rows):
                    m.next = "UPDATE_ROWS"
                with m.Elif(word.new_columns):
                    m.next = "UPDATE_COLUMNS"
                with m.Else():
                    m.next = "UPDATE"
            with m.Case(Command.READ):
                m.next = "READ_ZERO"
            with m.Case(Command.CALIBRATE):
                m.d.comb += self.calibrates.eq(1)
                m.next = "AUTO_ZERO_COLUMNS"
            with m.Case(Command.TRANSFER, Command.LOAD, Command.INIT):
                m.d.comb += self.discard_journal.eq(self.journal_valid)
                m.d.sync += walk.starts.eq(1)
                m.next = "TRANSFER"
            with m.Case(Command.RESUME, Command.ABORT):
                m.d.sync += [walk.resumes.eq(1), walk.aborts.eq(word.opcode == Command.ABORT)]
                m.next = "TRANSFER"
            with m.Case(Command.PROGRAM):
                m.d.comb += self.raw_access.eq(1)
                m.d.sync += self.columns_held.eq(0)
                m.next = "PROGRAM_SELECT"
            with m.Case(Command.PRECHARGE):
                m.d.comb += self.raw_access.eq(1)
                m.next = "PRECHARGE"
            with m.Default():
                m.next = "IDLE_CYCLES"
