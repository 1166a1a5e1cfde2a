"""The transfer sequencer's ports, and the names of its states."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from amaranth.hdl import Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.chopper import chopper_signature
from rtl.journal import journal_signature
from rtl.phase import column_bits, groups, index_bits, request_layout, row_bits
from rtl.row_range import start_layout
from spec.commands import ERROR_BITS
from spec.tile import STEP_CODE_BITS, TileSpec


class State(IntEnum):
    """States of the sequencer, by the names of its twin.

    TAKE_WEIGHTS comes before a LOAD, RESUME before a row of a range whose rows all ended.
    """

    IDLE = 0
    READ_ZERO = 1
    READ_LOWER_BEFORE = 2
    READ_ALL = 3
    JOURNAL = 4
    PRECHARGE = 5
    FLIP = 6
    READ_LOWER = 7
    ERASE = 8
    SET = 9
    VERIFY = 10
    TRIM_READ = 11
    TRIM_PULSE = 12
    COMMIT = 13
    TAKE_WEIGHTS = 14
    RESUME = 15


STATE_BITS = max(State).bit_length()


def read_signature(spec: TileSpec) -> wiring.Signature:
    """Groups of a READ's codes, in order; those of masked columns are 0."""
    return wiring.Signature(
        {
            "valid": Out(1),
            "group": Out(index_bits(groups(spec, spec.columns))),
            "codes": Out(spec.converters.lanes * spec.weight_code.bits),
        }
    )


class TransferPorts(wiring.Component):
    """What goes in and out; see `rtl/transfer.py` for what is done.

    `phase` asks; `phase_done` answers, with `phase_failed`, in a later cycle. `read_start` begins
    the 2^a conversions of a READ, or of the READs' zero, before its first phase. `polarity_bit` is
    the bit of `polarity_row` two cycles before, `step_code` the SET table's at `step_index`.

    `trim_write`, `select_write` and `set_write` go to the column drivers and to the macro. All
    codes of a LOAD lie before `weights_done`, whose error ends it without a trace. There is a
    `chopper` only if the spec draws polarities.
    """

    start: stream.Interface
    resume: Signal
    abort: Signal
    busy: Signal
    answered: Signal
    error: Signal
    phase: stream.Interface
    phase_done: Signal
    phase_failed: Signal
    read_start: Signal
    read_zero: Signal
    read: Any
    trim_write: Signal
    trim_group: Signal
    trim_counts: Signal
    trim_charge: Signal
    select_write: Signal
    select_group: Signal
    select_mask: Signal
    set_write: Signal
    set_column: Signal
    set_code: Signal
    set_minus: Signal
    step_index: Signal
    step_code: Signal
    column_enable: Signal
    polarity_row: Signal
    polarity_bit: Signal
    flip: Signal
    flip_row: Signal
    flip_to: Signal
    weights: stream.Interface
    weights_open: Signal
    weights_done: Signal
    weights_error: Signal
    journal: Any
    chopper: Any
    row_committed: Signal
    attempt: Signal
    not_programmed: Signal
    not_trimmed: Signal
    unfinished: Signal
    state: Signal

    def __init__(self, spec: TileSpec) -> None:
        """Everything of `spec.transfer` is built in."""
        self.spec, self.lanes = spec, spec.converters.lanes
        self.groups = groups(spec, spec.columns)
        group_bits = index_bits(self.groups)
        weight = data.StructLayout({"code": signed(spec.weight_code.bits)})
        chops = spec.transfer.draws_polarity
        super().__init__(
            {
                "start": In(stream.Signature(start_layout(spec))),
                "resume": In(1),
                "abort": In(1),
                "busy": Out(1),
                "answered": Out(1),
                "error": Out(ERROR_BITS),
                "phase": Out(stream.Signature(request_layout(spec))),
                "phase_done": In(1),
                "phase_failed": In(1),
                "read_start": Out(1),
                "read_zero": Out(1),
                "read": In(read_signature(spec)),
                "trim_write": Out(1),
                "trim_group": Out(group_bits),
                "trim_counts": Out(self.lanes * spec.update.slots.bit_length()),
                "trim_charge": Out(self.lanes),
                "select_write": Out(1),
                "select_group": Out(group_bits),
                "select_mask": Out(self.lanes),
                "set_write": Out(1),
                "set_column": Out(column_bits(spec)),
                "set_code": Out(STEP_CODE_BITS),
                "set_minus": Out(1),
                "step_index": Out(index_bits(spec.set_table_entries)),
                "step_code": In(STEP_CODE_BITS),
                "column_enable": In(spec.columns),
                "polarity_row": Out(row_bits(spec)),
                "polarity_bit": In(1),
                "flip": Out(1),
                "flip_row": Out(row_bits(spec)),
                "flip_to": Out(1),
                "weights": In(stream.Signature(weight)),
                "weights_open": Out(1),
                "weights_done": In(1),
                "weights_error": In(ERROR_BITS),
                "journal": Out(journal_signature(spec)),
                **({"chopper": Out(chopper_signature())} if chops else {}),
                "row_committed": Out(1),
                "attempt": Out(1),
                "not_programmed": Out(1),
                "not_trimmed": Out(1),
                "unfinished": Out(range(spec.columns + 1)),
                "state": Out(STATE_BITS),
            }
        )
