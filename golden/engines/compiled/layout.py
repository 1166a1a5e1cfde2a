"""Flat arrays of a whole network, so that one compiled loop serves every number of layers.

The network's own arrays become views of the flat ones: nothing is copied between engines but
the registers. Tile t's cells start at P[t, CELL], its rows at P[t, ROW], its columns at
P[t, COLUMN].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden.analog import tables
from golden.analog.capacitor import ROOTS
from golden.training.network import Network, Tile

# fmt: off
(ROWS, COLUMNS, CELL, ROW, COLUMN, HIDDEN, PWM_BITS, COLUMN_BITS, SLOTS, SLOT_BITS,
 LOW_DISCREPANCY, GAIN_SHIFT, FORWARD_SHIFT, FORWARD_NOISE, FORWARD_BITS, BACKWARD_SHIFT,
 BACKWARD_NOISE, BACKWARD_BITS, READ_SHIFT, READ_NOISE, READ_BITS, READ_AVERAGE, CALIBRATION,
 INVERTS, PROGRAM_PCM, OFFSET, PROG_TOL, PROG_LIMIT, SET_SHIFT, C_MAX, TRIM_TOL, TRIM_LIMIT,
 TRIM_GAIN, TRIM_SHIFT, COMPENSATION, EXAMPLE_NS, FORWARD_NS, BACKWARD_NS, UPDATE_NS, READ_NS,
 CONVERSION_NS, PRECHARGE_NS, RESET_NS, TICK_NS, LEAK_LOSS, LEAK_TARGET, BOUND, SLOPE,
 CYCLE_SCALE, DIRECT, SET_PULSE, F_GAIN, RESET_G, RESET_SPREAD, CEILING, STUCK_ON, DRIFT,
 DRIFT_LOG2, DRIFT_T0_NS, READ_SLOPE, READ_FLOOR, MU_SLOPE, SIGMA_SLOPE, PARAMETERS) = range(64)
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


class Cells(NamedTuple):
    """One element a cell of all tiles; `g`, `nu`, `pulses`, `stuck` are (2, cells)."""

    lower: NDArray[np.int32]
    higher: NDArray[np.int32]
    mismatch: NDArray[np.int32]
    weight: NDArray[np.int32]
    step_up: NDArray[np.int16]
    step_down: NDArray[np.int16]
    g: NDArray[np.int32]
    nu: NDArray[np.int32]
    pulses: NDArray[np.int8]
    stuck: NDArray[np.uint8]
    read_spread: NDArray[np.int32]


class Lines(NamedTuple):
    """One element a row or a column of all tiles, and the vectors that a tile holds."""

    polarity: NDArray[np.uint8]
    set_ns: NDArray[np.int64]
    drift_ns: NDArray[np.int64]
    program_ordinals: NDArray[np.int64]
    row_ordinals: NDArray[np.int64]
    row_offsets: NDArray[np.int64]
    backward_offsets: NDArray[np.int64]
    column_ordinals: NDArray[np.int64]
    column_offsets: NDArray[np.int64]
    forward_offsets: NDArray[np.int64]
    journal: NDArray[np.int64]
    durations: NDArray[np.int64]
    """Active row vector, the bias included (rows)."""
    errors: NDArray[np.int64]
    """Active column vector (columns)."""
    codes: NDArray[np.int64]
    """FORWARD's codes (columns)."""


class Tables(NamedTuple):
    """Integer tables of the devices and the digital side, shared by all tiles."""

    mean: NDArray[np.int64]
    spread: NDArray[np.int64]
    nu_mean: NDArray[np.int64]
    nu_spread: NDArray[np.int64]
    read_spread: NDArray[np.int64]
    mu_0: NDArray[np.int64]
    sigma_0: NDArray[np.int64]
    log2: NDArray[np.int64]
    exp2: NDArray[np.int64]
    roots: NDArray[np.int64]
    set_table: NDArray[np.int64]
    ramp_ns: NDArray[np.int64]
    softmax: NDArray[np.int64]
    stream_order: NDArray[np.int64]
    """(2, slots): the slot order of rows and of columns."""


class Scratch(NamedTuple):
    """Work space, long enough for the widest tile."""

    charge: NDArray[np.float64]
    noise: NDArray[np.int64]
    words: NDArray[np.uint32]
    charges: NDArray[np.bool_]
    table: NDArray[np.uint32]
    active: NDArray[np.int64]
    total: NDArray[np.int64]
    read: NDArray[np.int64]
    c_read: NDArray[np.int64]
    lower: NDArray[np.int64]
    target: NDArray[np.int64]
    c: NDArray[np.int64]
    steps: NDArray[np.int64]
    programming: NDArray[np.bool_]
    everything: NDArray[np.bool_]
    damping: NDArray[np.int64]
    last_sign: NDArray[np.int64]
    spread: NDArray[np.int64]


class Flat(NamedTuple):
    """Everything that the compiled loops touch."""

    P: NDArray[np.int64]
    R: NDArray[np.int64]
    cells: Cells
    lines: Lines
    tables: Tables
    scratch: Scratch
    seed: np.uint64


def flatten(network: Network) -> Flat:
    """Flat arrays of a network; the network's arrays become views of them."""
    tiles = network.tiles
    parameters = np.zeros((len(tiles), PARAMETERS), np.int64)
    cell = row = column = 0
    for index, tile in enumerate(tiles):
        parameters[index] = _parameters(tile)
        parameters[index, [CELL, ROW, COLUMN]] = cell, row, column
        cell += tile.spec.rows * tile.spec.columns
        row += tile.spec.rows
        column += tile.spec.columns
    cells = Cells(
        lower=_join([t.array.capacitors.lower for t in tiles]),
        higher=_join([t.array.pcm.higher for t in tiles]),
        mismatch=_join([t.array.capacitors.mismatch for t in tiles]),
        weight=np.zeros(cell, np.int32),
        step_up=_join([t.array.capacitors.step_up for t in tiles]),
        step_down=_join([t.array.capacitors.step_down for t in tiles]),
        g=_pair([(t.array.pcm.g_plus, t.array.pcm.g_minus) for t in tiles]),
        nu=_pair([(t.array.pcm.nu_plus, t.array.pcm.nu_minus) for t in tiles]),
        pulses=_pair([(t.array.pcm.pulses_plus, t.array.pcm.pulses_minus) for t in tiles]),
        stuck=_pair([(t.array.pcm.stuck_plus, t.array.pcm.stuck_minus) for t in tiles]),
        read_spread=_join([t.array.pcm.read_spread for t in tiles]),
    )
    lines = Lines(
        polarity=_join([t.controller.polarity.bits for t in tiles]),
        set_ns=_join([t.array.pcm.set_ns for t in tiles]),
        drift_ns=_join([t.array.pcm.drift_ns for t in tiles]),
        program_ordinals=_join([t.array.pcm.ordinals for t in tiles]),
        row_ordinals=_join([t.array.rows.noise.ordinals for t in tiles]),
        row_offsets=_join([t.array.rows.offsets for t in tiles]),
        backward_offsets=_join([t.controller.backward_offsets for t in tiles]),
        column_ordinals=_join([t.array.columns.noise.ordinals for t in tiles]),
        column_offsets=_join([t.array.columns.offsets for t in tiles]),
        forward_offsets=_join([t.controller.forward_offsets for t in tiles]),
        journal=_join([t.controller.transfers.journal.codes for t in tiles]),
        durations=np.zeros(row, np.int64),
        errors=np.zeros(column, np.int64),
        codes=np.zeros(column, np.int64),
    )
    for index, tile in enumerate(tiles):
        _view(tile, parameters[index], cells, lines)
    registers = np.zeros((len(tiles), REGISTERS), np.int64)
    flat = Flat(
        parameters, registers, cells, lines, _tables(network), _scratch(tiles),
        np.uint64(network.seed),
    )  # fmt: skip
    read_registers(network, flat)
    return flat


def read_registers(network: Network, flat: Flat) -> None:
    """Copy the network's scalars in, and its weights as FORWARD would meet them."""
    for index, tile in enumerate(network.tiles):
        values = tile.registers()
        for name, register in REGISTER_NAMES.items():
            flat.R[index, register] = values[name]
        signs = 1 - 2 * tile.controller.polarity.bits.astype(np.int64)
        capacitors = tile.array.capacitors
        weight = tile.array.pcm.higher + signs[:, None] * (capacitors.lower + capacitors.mismatch)
        start = flat.P[index, CELL]
        flat.cells.weight[start : start + weight.size] = weight.ravel()


def write_registers(network: Network, flat: Flat) -> None:
    """Copy the scalars back, and let the arrays forget what they cached."""
    for index, tile in enumerate(network.tiles):
        values = {name: int(flat.R[index, r]) for name, r in REGISTER_NAMES.items()}
        tile.restore_registers(values | {"journal_valid": 0})
        tile.array.signs[:] = 1 - 2 * tile.controller.polarity.bits.astype(np.int64)
        tile.array.refresh_weights()


def _join(arrays: list[NDArray]) -> NDArray:
    return np.concatenate([array.ravel() for array in arrays])


def _pair(pairs: list[tuple[NDArray, NDArray]]) -> NDArray:
    return np.stack([_join([p[0] for p in pairs]), _join([p[1] for p in pairs])])


def _view(tile: Tile, p: NDArray[np.int64], cells: Cells, lines: Lines) -> None:
    """Make the tile's state arrays views of the flat ones."""
    shape = (tile.spec.rows, tile.spec.columns)
    at = slice(int(p[CELL]), int(p[CELL]) + shape[0] * shape[1])
    row = slice(int(p[ROW]), int(p[ROW]) + shape[0])
    column = slice(int(p[COLUMN]), int(p[COLUMN]) + shape[1])
    pcm, controller = tile.array.pcm, tile.controller
    tile.array.capacitors.lower = cells.lower[at].reshape(shape)
    pcm.higher = cells.higher[at].reshape(shape)
    pcm.g_plus, pcm.g_minus = (cells.g[d, at].reshape(shape) for d in (0, 1))
    pcm.nu_plus, pcm.nu_minus = (cells.nu[d, at].reshape(shape) for d in (0, 1))
    pcm.pulses_plus, pcm.pulses_minus = (cells.pulses[d, at].reshape(shape) for d in (0, 1))
    pcm.read_spread = cells.read_spread[at].reshape(shape)
    pcm.set_ns, pcm.drift_ns = lines.set_ns[row], lines.drift_ns[row]
    pcm.ordinals = lines.program_ordinals[row]
    tile.array.rows.noise.ordinals = lines.row_ordinals[row]
    tile.array.columns.noise.ordinals = lines.column_ordinals[column]
    controller.polarity.bits = lines.polarity[row]
    controller.backward_offsets = lines.backward_offsets[row]
    controller.forward_offsets = lines.forward_offsets[column]
    controller.transfers.journal.codes = lines.journal[column]


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


def _tables(network: Network) -> Tables:
    tile = network.tiles[0]
    t, spec = tile.array.pcm.tables, tile.spec
    controller = tile.controller
    return Tables(
        mean=t.mean,
        spread=t.spread,
        nu_mean=t.nu_mean,
        nu_spread=t.nu_spread,
        read_spread=t.read_spread,
        mu_0=t.mu_0,
        sigma_0=t.sigma_0,
        log2=tables.LOG2,
        exp2=tables.EXP2,
        roots=ROOTS,
        set_table=controller.set_table,
        ramp_ns=np.array(spec.timing.set_ramp_ns, np.int64),
        softmax=network.softmax,
        stream_order=np.stack([controller.row_stream.order, controller.column_stream.order]),
    )


def _scratch(tiles: list[Tile]) -> Scratch:
    wide = max(max(tile.spec.rows, tile.spec.columns) for tile in tiles)
    integers = {
        name: np.zeros(wide, np.int64)
        for name in Scratch._fields
        if name not in ("charge", "words", "charges", "table", "programming", "everything")
    }
    return Scratch(
        charge=np.zeros(wide),
        words=np.zeros(wide, np.uint32),
        charges=np.zeros(wide, np.bool_),
        table=np.zeros(258, np.uint32),
        programming=np.zeros(wide, np.bool_),
        everything=np.ones(wide, np.bool_),
        **integers,
    )
