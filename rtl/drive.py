"""All that moves the macro's pins: phases, line drivers, update streams, selects.

A phase's selects are registers that are loaded before its request. `enable` low, or a reset, makes
`request`, the lines and `set_write` inactive in the next cycle. The pin `clear` is the parent's.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.phase import (
    PAIR_BITS,
    PHASE_BITS,
    TIMEOUT_BITS,
    PhaseDriver,
    column_bits,
    groups,
    index_bits,
    request_layout,
    row_bits,
)
from rtl.pulse_width import LineDrivers, Shadow, write_groups
from rtl.update_stream import BEGIN
from spec.commands import Phase
from spec.tile import STEP_CODE_BITS, TileSpec


def pins_signature(spec: TileSpec) -> wiring.Signature:
    """The pins to the macro, as the tile has them; docs/theory-of-operation.md."""
    rows, columns = spec.rows, spec.columns
    return wiring.Signature(
        {
            "clear": Out(1),
            "request": Out(1),
            "phase": Out(PHASE_BITS),
            "row_pulse": Out(rows),
            "column_pulse": Out(columns),
            "column_sign": Out(columns),
            "lower_swap": Out(1),
            "row_lower_swap": Out(rows),
            "row_select": Out(row_bits(spec)),
            "pair": Out(PAIR_BITS),
            "column_enable": Out(columns),
            "column_select": Out(columns),
            "set_write": Out(1),
            "set_column": Out(column_bits(spec)),
            "set_code": Out(STEP_CODE_BITS),
            "set_minus": Out(1),
            "convert_hold": Out(1),
        }
    )


def shadow_signature(lines: int, bits: int, lanes: int) -> wiring.Signature:
    """Writes of a packet's beats into a shadow."""
    return wiring.Signature(
        {
            "write": Out(1),
            "group": Out(index_bits(-(-lines // lanes))),
            "codes": Out(lanes * bits),
        }
    )


class Drive(wiring.Component):
    """See the head of the file.

    `rows` and `columns` take a packet's beats, of `axis_bytes` codes; column codes have their sign
    above the magnitude. `rows_take` and `columns_take` make them active; a column's code is dropped
    where `column_mask` is 0. `trim_write` puts pulses and directions of a trim (1: charge) into the
    column drivers.
    """

    i: stream.Interface
    done: Signal
    failed: Signal
    enable: Signal
    timeout: Signal
    idle_cycles: Signal
    polarity: Signal
    column_enable: Signal
    column_mask: Signal
    rows: Any
    columns: Any
    rows_take: Signal
    columns_take: Signal
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
    begin: stream.Interface
    row_draws: stream.Interface
    column_draws: stream.Interface
    ready: Signal
    convert_valid: Signal
    beat: Signal
    beat_group: Signal
    beat_last: Signal
    pins: Any

    def __init__(self, spec: TileSpec) -> None:
        """Everything is inactive at first."""
        self.spec = spec
        lanes, beat = spec.converters.lanes, spec.host.axis_bytes
        self.count_bits = spec.update.slots.bit_length()
        column_groups = groups(spec, spec.columns)
        signed_bits = spec.column_code.bits + 1
        most_groups = max(groups(spec, spec.rows), column_groups)
        super().__init__(
            {
                "i": In(stream.Signature(request_layout(spec))),
                "done": Out(1),
                "failed": Out(1),
                "enable": In(1),
                "timeout": In(TIMEOUT_BITS),
                "idle_cycles": In(TIMEOUT_BITS),
                "polarity": In(spec.rows),
                "column_enable": In(spec.columns),
                "column_mask": In(spec.columns),
                "rows": In(shadow_signature(spec.rows, spec.row_code.bits, beat)),
                "columns": In(shadow_signature(spec.columns, signed_bits, beat)),
                "rows_take": In(1),
                "columns_take": In(1),
                "trim_write": In(1),
                "trim_group": In(index_bits(column_groups)),
                "trim_counts": In(lanes * self.count_bits),
                "trim_charge": In(lanes),
                "select_write": In(1),
                "select_group": In(index_bits(column_groups)),
                "select_mask": In(lanes),
                "set_write": In(1),
                "set_column": In(column_bits(spec)),
                "set_code": In(STEP_CODE_BITS),
                "set_minus": In(1),
                "begin": Out(stream.Signature(BEGIN)),
                "row_draws": In(stream.Signature(spec.row_taps * spec.row_code.bits)),
                "column_draws": In(stream.Signature(spec.column_code.bits)),
                "ready": In(1),
                "convert_valid": In(1),
                "beat": Out(1),
                "beat_group": Out(index_bits(most_groups)),
                "beat_last": Out(1),
                "pins": Out(pins_signature(spec)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The phase driver, and a driver with its shadow on each side."""
        m = Module()
        spec, pins, beat = self.spec, self.pins, self.spec.host.axis_bytes
        lanes, row_width = spec.converters.lanes, spec.row_code.bits
        magnitude, driver = spec.column_code.bits, spec.column_driver_bits
        m.submodules.phase = phase = PhaseDriver(spec)
        # The bias is no code of a packet: its line is at full scale in every FORWARD and UPDATE.
        inputs = max(1, spec.rows - 1)
        m.submodules.row_shadow = row_shadow = Shadow(inputs, row_width, beat)
        m.submodules.row_drivers = rows = LineDrivers(spec.rows, row_width, taps=spec.row_taps)
        m.submodules.column_shadow = column_shadow = Shadow(spec.columns, magnitude + 1, beat)
        m.submodules.column_drivers = columns = LineDrivers(spec.columns, driver, lanes)
        connect(m, flipped(self.i), phase.i)
        connect(m, phase.begin, flipped(self.begin))
        connect(m, flipped(self.row_draws), phase.row_draws)
        connect(m, flipped(self.column_draws), phase.column_draws)
        for name in ("enable", "timeout", "idle_cycles", "polarity", "ready", "convert_valid"):
            m.d.comb += getattr(phase, name).eq(getattr(self, name))
        for name in ("done", "failed", "beat", "beat_group", "beat_last"):
            m.d.comb += getattr(self, name).eq(getattr(phase, name))
        for name in ("request", "phase", "lower_swap", "row_select", "pair", "convert_hold"):
            m.d.comb += getattr(pins, name).eq(getattr(phase, name))

        for shadow, port in ((row_shadow, self.rows), (column_shadow, self.columns)):
            m.d.comb += [
                shadow.write.eq(port.write),
                shadow.group.eq(port.group),
                shadow.codes.eq(port.codes),
            ]
        held = row_shadow.held[: row_width * (spec.rows - 1)]
        m.d.comb += [
            rows.take.eq(self.rows_take),
            rows.taken.eq(Cat(held, Const(spec.row_code.high, row_width))),
            rows.threshold.eq(phase.row_threshold),
            rows.full.eq(phase.row_full),
            rows.live.eq(phase.row_live),
            rows.drive.eq(phase.row_drive & self.enable),
            pins.row_pulse.eq(rows.lines),
            pins.row_lower_swap.eq(self.polarity),
            pins.column_enable.eq(self.column_enable),
        ]

        sign = Signal(spec.columns)  # of a code: negative; of a trim: charge
        driven = self.column_mask & self.column_enable
        taken, negative = [], []
        for column in range(spec.columns):
            code = column_shadow.held.word_select(column, magnitude + 1)
            taken.append(Mux(driven[column], code[:magnitude], 0) | Const(0, driver))
            negative.append(code[magnitude])
        for held, write, group, codes in (
            (sign, self.trim_write, self.trim_group, self.trim_charge),
            (pins.column_select, self.select_write, self.select_group, self.select_mask),
        ):
            write_groups(m, held, write, group, codes, spec.columns, 1)
        with m.If(self.columns_take):
            m.d.sync += sign.eq(Cat(*negative))
        counts = [
            self.trim_counts.word_select(lane, self.count_bits) | Const(0, driver)
            for lane in range(lanes)
        ]
        m.d.comb += [
            columns.take.eq(self.columns_take),
            columns.taken.eq(Cat(*taken)),
            columns.write.eq(self.trim_write),
            columns.group.eq(self.trim_group),
            columns.codes.eq(Cat(*counts)),
            columns.threshold.eq(phase.column_threshold),
            columns.live.eq(~Const(0, spec.columns)),
            columns.drive.eq(phase.column_drive & self.enable),
            pins.column_pulse.eq(columns.lines),
        ]
        # Loaded with the selects, a cycle before the request: d > 0 raises the weight, which is a
        # charge of g where the row is not inverted.
        as_held = (phase.phase == Phase.BACKWARD) | phase.trim
        charge = ~sign ^ phase.lower_swap.replicate(spec.columns)
        m.d.sync += pins.column_sign.eq(Mux(as_held, sign, charge))
        m.d.sync += pins.set_write.eq(self.set_write & self.enable)
        m.d.sync += [
            pins.set_column.eq(self.set_column),
            pins.set_code.eq(self.set_code),
            pins.set_minus.eq(self.set_minus),
        ]
        return m
