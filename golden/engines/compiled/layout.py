"""Flat arrays of a whole network, so that one compiled loop serves every number of layers.

The network's own arrays become views of the flat ones: nothing is copied between engines but
the registers. Tile t's rows start at P[t, ROW], its columns at P[t, COLUMN]; of what training
touches, its column j starts at P[t, GRID] + j * P[t, STRIDE], padded to whole blocks of rows; the
rest of its cells lie row by row from P[t, CELL].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden.analog import tables
from golden.analog.capacitor import ROOTS
from golden.engines.compiled.vectors import BLOCK
from golden.training.network import Network, Tile

# fmt: off
(ROWS, COLUMNS, CELL, ROW, COLUMN, HIDDEN, PWM_BITS, COLUMN_BITS, SLOTS, SLOT_BITS,
 LOW_DISCREPANCY, GAIN_SHIFT, FORWARD_SHIFT, FORWARD_NOISE, FORWARD_BITS, BACKWARD_SHIFT,
 BACKWARD_NOISE, BACKWARD_BITS, READ_SHIFT, READ_NOISE, READ_BITS, READ_AVERAGE, CALIBRATION,
 INVERTS, PROGRAM_PCM, OFFSET, PROG_TOL, PROG_LIMIT, SET_SHIFT, C_MAX, TRIM_TOL, TRIM_LIMIT,
 TRIM_GAIN, TRIM_SHIFT, COMPENSATION, EXAMPLE_NS, FORWARD_NS, BACKWARD_NS, UPDATE_NS, READ_NS,
 CONVERSION_NS, PRECHARGE_NS, RESET_NS, TICK_NS, LEAK_LOSS, LEAK_TARGET, BOUND, SLOPE,
 CYCLE_SCALE, DIRECT, SET_PULSE, F_GAIN, RESET_G, RESET_SPREAD, CEILING, STUCK_ON, DRIFT,
 DRIFT_LOG2, DRIFT_T0_NS, READ_SLOPE, READ_FLOOR, MU_SLOPE, SIGMA_SLOPE, STRIDE, GRID, LINE, PARAMETERS) = range(67)
"""Columns of the parameters P (tiles, PARAMETERS) int64."""

(CLOCK, UPDATES, ROW_LFSR, COLUMN_LFSR, ROW_SCALE, COLUMN_SCALE, NEXT_ROW, LAST_ROW,
 JOURNAL_ROW, P_NEW, JOURNAL_KIND, DONE, ATTEMPTS, NOT_PROGRAMMED, NOT_TRIMMED, SATURATED,
 REGISTERS) = range(17)
"""Columns of the registers R (tiles, REGISTERS) int64."""
# fmt: on

REGISTER_NAMES = {
    "clock_ns": CLOCK,
    "updates": UPDATES,
    "row_lfsr": ROW_LFSR,
    "column_lfsr": COLUMN_LFSR,
    "row_scale": ROW_SCALE,
    "column_scale": COLUMN_SCALE,
    "next_row": NEXT_ROW,
    "last_row": LAST_ROW,
    "journal_row": JOURNAL_ROW,
    "journal_p_new": P_NEW,
    "journal_kind": JOURNAL_KIND,
    "rows_done": DONE,
    "attempts": ATTEMPTS,
    "not_programmed": NOT_PROGRAMMED,
    "not_trimmed": NOT_TRIMMED,
    "saturated": SATURATED,
}


# fmt: off
(HIGHER, MISMATCH, G_PLUS, G_MINUS, NU_PLUS, NU_MINUS, READ_SPREAD, CELL_FIELDS) = range(8)
"""Rows of `cells` (CELL_FIELDS, cells) int32; `device` 0 or 1 is added to G_PLUS or NU_PLUS."""

(STEP_UP, STEP_DOWN, STEP_FIELDS) = range(3)
"""Rows of `steps` (STEP_FIELDS, padded cells) int16."""

(PULSES_PLUS, PULSES_MINUS, STUCK_PLUS, STUCK_MINUS, DEVICE_FIELDS) = range(5)
"""Rows of `devices` (DEVICE_FIELDS, cells) uint8."""

(POLARITY, SET_NS, DRIFT_NS, PROGRAM_ORDINAL, ROW_ORDINAL, ROW_OFFSET, BACKWARD_OFFSET, DURATION,
 ROW_FIELDS) = range(9)
"""Rows of `rows` (ROW_FIELDS, rows) int64; DURATION is the active row vector, bias included."""

(COLUMN_ORDINAL, COLUMN_OFFSET, FORWARD_OFFSET, JOURNAL, ERROR, CODE, COLUMN_FIELDS) = range(7)
"""Rows of `columns` (COLUMN_FIELDS, columns) int64; ERROR is the active column vector."""

(MEAN, SPREAD, NU_MEAN, NU_SPREAD, READ_TABLE, MU_0, SIGMA_0, LOG2, EXP2, ROOT, SET_TABLE, RAMP_NS,
 SOFTMAX, ROW_SLOTS, COLUMN_SLOTS, TABLES) = range(16)
"""Rows of `tables` (TABLES, longest) int64."""

(NOISE, BLOCKS, ALL_BLOCKS, TOTAL, READ, CHARGE, OLD_LOWER, TARGET, C, STEPS, PROGRAMMING,
 EVERYTHING, DAMPING, LAST_SIGN, SPREADS, SCRATCH) = range(16)
"""Rows of `scratch` (SCRATCH, widest) int64: work space. BLOCKS is a list of driven blocks."""

(ROW_WORDS, COLUMN_WORDS, TABLE, WORD_FIELDS) = range(4)
"""Rows of `words` (WORD_FIELDS, widest) uint32; TABLE is indexed by code."""

(DRIVE, DIRECTIONS, ROW_LOWER, ROW_WEIGHT, DRIVE_FIELDS) = range(5)
"""Rows of `drive` (DRIVE_FIELDS, widest) int32: durations of a phase, +1 charge or -1 discharge
per column, and the row that a transfer works on."""
# fmt: on


class Flat(NamedTuple):
    """Everything that the compiled loops touch. Few arrays, so that they compile quickly."""

    P: NDArray[np.int64]
    R: NDArray[np.int64]
    cells: NDArray[np.int32]
    steps: NDArray[np.int16]
    devices: NDArray[np.uint8]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    tables: NDArray[np.int64]
    scratch: NDArray[np.int64]
    lower: NDArray[np.int32]
    weight: NDArray[np.int32]
    signs: NDArray[np.int32]
    """(padded rows,): p of every row, from P[t, LINE]."""
    words: NDArray[np.uint32]
    drive: NDArray[np.int32]
    row_steps: NDArray[np.int16]
    """(STEP_FIELDS, widest): of the row that a transfer works on."""
    seed: np.uint64


def flatten(network: Network) -> Flat:
    """Flat arrays of a network; the network's arrays become views of them."""
    tiles = network.tiles
    parameters = np.zeros((len(tiles), PARAMETERS), np.int64)
    cell = row = column = grid = line = 0
    for index, tile in enumerate(tiles):
        rows, columns = tile.spec.rows, tile.spec.columns
        stride = -(-rows // BLOCK) * BLOCK
        parameters[index] = _parameters(tile)
        parameters[index, [CELL, ROW, COLUMN]] = cell, row, column
        parameters[index, [STRIDE, GRID, LINE]] = stride, grid, line
        cell, row, column = cell + rows * columns, row + rows, column + columns
        grid, line = grid + columns * stride, line + stride
    # Room for the widest side and for a table of 256 codes, in whole blocks.
    wide = max(264, max(max(tile.spec.rows, tile.spec.columns) for tile in tiles) + BLOCK)
    flat = Flat(
        P=parameters,
        R=np.zeros((len(tiles), REGISTERS), np.int64),
        cells=np.zeros((CELL_FIELDS, cell), np.int32),
        steps=np.zeros((STEP_FIELDS, grid), np.int16),
        devices=np.zeros((DEVICE_FIELDS, cell), np.uint8),
        rows=np.zeros((ROW_FIELDS, row), np.int64),
        columns=np.zeros((COLUMN_FIELDS, column), np.int64),
        tables=_tables(network),
        scratch=np.zeros((SCRATCH, wide), np.int64),
        lower=np.zeros(grid, np.int32),
        weight=np.zeros(grid, np.int32),
        signs=np.ones(line, np.int32),
        words=np.zeros((WORD_FIELDS, wide), np.uint32),
        drive=np.zeros((DRIVE_FIELDS, wide), np.int32),
        row_steps=np.zeros((STEP_FIELDS, wide), np.int16),
        seed=np.uint64(network.seed),
    )
    flat.scratch[EVERYTHING] = 1
    flat.scratch[ALL_BLOCKS] = BLOCK * np.arange(wide)
    for index, tile in enumerate(tiles):
        _adopt(tile, flat, index)
    read_registers(network, flat)
    return flat


def read_registers(network: Network, flat: Flat) -> None:
    """Copy the network's scalars in, and its weights as FORWARD would meet them."""
    for index, tile in enumerate(network.tiles):
        values = tile.registers()
        for name, register in REGISTER_NAMES.items():
            flat.R[index, register] = values[name]
        signs = 1 - 2 * tile.controller.polarity.bits
        capacitors, line = tile.array.capacitors, flat.P[index, LINE]
        weight = tile.array.pcm.higher + signs[:, None] * (capacitors.lower + capacitors.mismatch)
        _columns(flat, index, flat.weight)[:] = weight
        flat.signs[line : line + len(signs)] = signs


def _columns(flat: Flat, index: int, field: NDArray) -> NDArray:
    """A tile's (rows, columns) view of a padded field."""
    p = flat.P[index]
    columns, stride = int(p[COLUMNS]), int(p[STRIDE])
    padded = field[int(p[GRID]) : int(p[GRID]) + columns * stride]
    return padded.reshape(columns, stride)[:, : int(p[ROWS])].T


def write_registers(network: Network, flat: Flat) -> None:
    """Copy the scalars back, and let the arrays forget what they cached."""
    for index, tile in enumerate(network.tiles):
        values = {name: int(flat.R[index, r]) for name, r in REGISTER_NAMES.items()}
        tile.restore_registers(values | {"journal_valid": 0})
        tile.array.signs[:] = 1 - 2 * tile.controller.polarity.bits.astype(np.int64)
        tile.array.refresh_weights()


def _adopt(tile: Tile, flat: Flat, index: int) -> None:
    """Copy the tile's arrays in and make its state arrays views of the flat ones."""
    p, shape = flat.P[index], (tile.spec.rows, tile.spec.columns)
    cell = slice(int(p[CELL]), int(p[CELL]) + shape[0] * shape[1])
    row = slice(int(p[ROW]), int(p[ROW]) + shape[0])
    column = slice(int(p[COLUMN]), int(p[COLUMN]) + shape[1])
    pcm, capacitors, control = tile.array.pcm, tile.array.capacitors, tile.controller
    row_side, column_side = tile.array.rows, tile.array.columns
    places: list[tuple[object, str, NDArray]] = [
        (capacitors, "lower", _columns(flat, index, flat.lower)),
        (capacitors, "step_up", _columns(flat, index, flat.steps[STEP_UP])),
        (capacitors, "step_down", _columns(flat, index, flat.steps[STEP_DOWN])),
        (capacitors, "mismatch", flat.cells[MISMATCH, cell]),
        (pcm, "higher", flat.cells[HIGHER, cell]),
        (pcm, "g_plus", flat.cells[G_PLUS, cell]),
        (pcm, "g_minus", flat.cells[G_MINUS, cell]),
        (pcm, "nu_plus", flat.cells[NU_PLUS, cell]),
        (pcm, "nu_minus", flat.cells[NU_MINUS, cell]),
        (pcm, "read_spread", flat.cells[READ_SPREAD, cell]),
        (pcm, "pulses_plus", flat.devices[PULSES_PLUS, cell]),
        (pcm, "pulses_minus", flat.devices[PULSES_MINUS, cell]),
        (pcm, "stuck_plus", flat.devices[STUCK_PLUS, cell]),
        (pcm, "stuck_minus", flat.devices[STUCK_MINUS, cell]),
        (pcm, "set_ns", flat.rows[SET_NS, row]),
        (pcm, "drift_ns", flat.rows[DRIFT_NS, row]),
        (pcm, "ordinals", flat.rows[PROGRAM_ORDINAL, row]),
        (row_side.noise, "ordinals", flat.rows[ROW_ORDINAL, row]),
        (row_side, "offsets", flat.rows[ROW_OFFSET, row]),
        (column_side.noise, "ordinals", flat.columns[COLUMN_ORDINAL, column]),
        (column_side, "offsets", flat.columns[COLUMN_OFFSET, column]),
        (control.polarity, "bits", flat.rows[POLARITY, row]),
        (control, "backward_offsets", flat.rows[BACKWARD_OFFSET, row]),
        (control, "forward_offsets", flat.columns[FORWARD_OFFSET, column]),
        (control.transfers.journal, "codes", flat.columns[JOURNAL, column]),
    ]
    for owner, name, place in places:
        own: NDArray = getattr(owner, name)
        view = place if place.ndim == own.ndim else place.reshape(own.shape)
        if own.dtype != view.dtype:
            raise TypeError(f"{name}: {own.dtype}, not {view.dtype}")
        view[:] = own
        setattr(owner, name, view)


def _parameters(tile: Tile) -> NDArray[np.int64]:
    spec, array, t = tile.spec, tile.array, tile.array.pcm.tables
    c, transfer, timing = spec.converters, spec.transfer, spec.timing
    capacitors = array.capacitors
    gain_shift = c.backward_bits - 1 - spec.codes.column_bits - spec.column_gain_log2
    values = {
        ROWS: spec.rows,
        COLUMNS: spec.columns,
        HIDDEN: tile.controller.hidden,
        PWM_BITS: spec.codes.pwm_bits,
        COLUMN_BITS: spec.codes.column_bits,
        SLOTS: spec.update.slots,
        SLOT_BITS: spec.update.slot_bits,
        LOW_DISCREPANCY: spec.update.stream_mode == "low_discrepancy",
        GAIN_SHIFT: gain_shift,
        FORWARD_SHIFT: array.forward_range.shift,
        FORWARD_NOISE: array.forward_range.noise_scale,
        FORWARD_BITS: c.forward_bits,
        BACKWARD_SHIFT: array.backward_range.shift,
        BACKWARD_NOISE: array.backward_range.noise_scale,
        BACKWARD_BITS: c.backward_bits,
        READ_SHIFT: array.read_range.shift,
        READ_NOISE: array.read_range.noise_scale,
        READ_BITS: c.read_bits,
        READ_AVERAGE: c.read_average_log2,
        CALIBRATION: c.calibration_log2,
        INVERTS: transfer.polarity_inversion,
        PROGRAM_PCM: transfer.program_pcm,
        OFFSET: transfer.offset,
        PROG_TOL: transfer.prog_tol,
        PROG_LIMIT: transfer.prog_limit,
        SET_SHIFT: transfer.set_shift,
        C_MAX: transfer.c_max,
        TRIM_TOL: transfer.trim_tol,
        TRIM_LIMIT: transfer.trim_limit,
        TRIM_GAIN: transfer.trim_gain,
        TRIM_SHIFT: transfer.trim_shift,
        COMPENSATION: transfer.leak_compensation,
        EXAMPLE_NS: timing.example_ns,
        FORWARD_NS: timing.forward_phase_ns,
        BACKWARD_NS: timing.backward_phase_ns,
        UPDATE_NS: timing.update_phase_ns,
        READ_NS: timing.read_phase_ns,
        CONVERSION_NS: timing.conversion_ns,
        PRECHARGE_NS: timing.precharge_ns,
        RESET_NS: timing.reset_ns,
        TICK_NS: timing.leak_tick_ns,
        LEAK_LOSS: capacitors.leak_loss,
        LEAK_TARGET: capacitors.leak_target,
        BOUND: capacitors.bound,
        SLOPE: capacitors.slope,
        CYCLE_SCALE: capacitors.cycle_scale,
        DIRECT: array.devices.pcm.direct_update,
        SET_PULSE: t.set_pulse,
        F_GAIN: t.gain,
        RESET_G: t.reset,
        RESET_SPREAD: t.reset_spread,
        CEILING: t.ceiling,
        STUCK_ON: t.stuck_on,
        DRIFT: t.drift,
        DRIFT_LOG2: t.drift_log2,
        DRIFT_T0_NS: t.drift_t0_ns,
        READ_SLOPE: t.read_slope,
        READ_FLOOR: t.read_floor,
        MU_SLOPE: t.mu_slope,
        SIGMA_SLOPE: t.sigma_slope,
    }
    return np.array([int(values.get(name, 0)) for name in range(PARAMETERS)], np.int64)


def _tables(network: Network) -> NDArray[np.int64]:
    tile = network.tiles[0]
    t, control = tile.array.pcm.tables, tile.controller
    contents = {
        MEAN: t.mean,
        SPREAD: t.spread,
        NU_MEAN: t.nu_mean,
        NU_SPREAD: t.nu_spread,
        READ_TABLE: t.read_spread,
        MU_0: t.mu_0,
        SIGMA_0: t.sigma_0,
        LOG2: tables.LOG2,
        EXP2: tables.EXP2,
        ROOT: ROOTS,
        SET_TABLE: control.set_table,
        RAMP_NS: np.array(tile.spec.timing.set_ramp_ns),
        SOFTMAX: network.softmax,
        ROW_SLOTS: control.row_stream.order,
        COLUMN_SLOTS: control.column_stream.order,
    }
    flat = np.zeros((TABLES, max(len(table) for table in contents.values())), np.int64)
    for name, table in contents.items():
        flat[name, : len(table)] = table
    return flat
