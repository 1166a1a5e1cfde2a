"""Flat arrays of a whole network, so that one compiled loop serves every number of layers.

The network's own arrays become views of the flat ones; only the registers and the blocks are
copied, by `enter` and `leave`. Tile t's rows start at P[t, ROW], its columns at P[t, COLUMN], its
cells row by row at P[t, CELL]. What training touches of a cell lies in blocks instead (see
vectors.py): the i-th row of column j at P[t, GRID] + (i // 8 * P[t, WIDTH] + j) * 8 + i % 8, rows
padded to whole blocks and columns to whole vectors; what goes with it at P[t, LINE] + i. Weights
lie so; a capacitor shares a cache line with the steps of its eight rows (see array.lower_at and
array.step_at): an UPDATE needs them together, and finds few of them in a cache. The rows lie in an
order that brings together what an example drives together (`picture_order`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden.analog import tables
from golden.analog.capacitor import ROOTS
from golden.analog.pcm import pulse_ordinals
from golden.digital.neuron import column_shift
from golden.engines.compiled.conversions import LANES
from golden.engines.compiled.halves import COLUMNS_AT_ONCE
from golden.engines.compiled.vectors import BLOCK, FLIP
from golden.training.network import Network, Tile
from golden.words import parts_of
from spec.tile import TileSpec

# fmt: off
(ROWS, COLUMNS, CELL, ROW, COLUMN, BLOCKS, PWM_BITS, COLUMN_BITS, SLOTS, SLOT_BITS, PARTS, STRIDE,
 PULSE_ORDINALS, LOW_DISCREPANCY, ROW_TAPS, GAIN_SHIFT, FORWARD_SHIFT, FORWARD_NOISE,
 FORWARD_BITS, BACKWARD_SHIFT, BACKWARD_NOISE, BACKWARD_BITS, READ_SHIFT, READ_NOISE, READ_BITS,
 READ_AVERAGE, CALIBRATION, INVERTS, PROGRAM_PCM, OFFSET, PROG_TOL, PROG_LIMIT, SET_SHIFT, C_MAX,
 TRIM_TOL, TRIM_LIMIT, TRIM_GAIN, TRIM_SHIFT, COMPENSATION, EXAMPLE_NS, FORWARD_NS, BACKWARD_NS,
 UPDATE_NS, READ_NS, CONVERSION_NS, PRECHARGE_NS, RESET_NS, TICK_NS, LEAK_LOSS, LEAK_TARGET,
 BOUND, SLOPE, CYCLE_SCALE, DIRECT, SET_PULSE, F_GAIN, RESET_G, RESET_SPREAD, CEILING, STUCK_ON,
 DRIFT, DRIFT_LOG2, DRIFT_T0_NS, READ_SLOPE, READ_FLOOR, MU_SLOPE, SIGMA_SLOPE, GRID, LINE, WIDTH,
 DRAWS_POLARITY, PARAMETERS) = range(72)
"""Columns of the parameters P (tiles, PARAMETERS) int64."""

(CLOCK, UPDATES, ROW_LFSR, COLUMN_LFSR, ROW_SCALE, COLUMN_SCALE, NEXT_ROW, LAST_ROW,
 JOURNAL_ROW, P_NEW, JOURNAL_KIND, DONE, ATTEMPTS, NOT_PROGRAMMED, NOT_TRIMMED, SATURATED,
 FORWARD_DITHER, BACKWARD_DITHER, INVERTED_ROWS, STARTED, CHOPPER_LFSR, REGISTERS) = range(22)
"""Columns of the registers R (tiles, REGISTERS) int64; STARTED is work space, a clock."""
# fmt: on

REGISTER_NAMES = {
    "clock_ns": CLOCK,
    "updates": UPDATES,
    "row_lfsr": ROW_LFSR,
    "column_lfsr": COLUMN_LFSR,
    "row_scale": ROW_SCALE,
    "column_scale": COLUMN_SCALE,
    "forward_dither": FORWARD_DITHER,
    "backward_dither": BACKWARD_DITHER,
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
    "chopper_lfsr": CHOPPER_LFSR,
}


# fmt: off
(HIGHER, MISMATCH, G_PLUS, G_MINUS, NU_PLUS, NU_MINUS, READ_SPREAD, CELL_FIELDS) = range(8)
"""Rows of `cells` (CELL_FIELDS, cells) int32; `device` 0 or 1 is added to G_PLUS or NU_PLUS."""

(STEP_UP, STEP_DOWN, STEP_FIELDS) = range(3)
"""Rows of `row_steps`, and the order of the steps in a line of `lower`."""

(PULSES_PLUS, PULSES_MINUS, STUCK_PLUS, STUCK_MINUS, DEVICE_FIELDS) = range(5)
"""Rows of `devices` (DEVICE_FIELDS, cells) uint8."""

(POLARITY, SET_NS, DRIFT_NS, PROGRAM_ORDINAL, ROW_ORDINAL, ROW_OFFSET, BACKWARD_OFFSET,
 ROW_FIELDS) = range(8)
"""Rows of `rows` (ROW_FIELDS, rows + LANES) int64: conversions read beyond the last."""

(COLUMN_ORDINAL, COLUMN_OFFSET, FORWARD_OFFSET, JOURNAL, ERROR, CODE, COLUMN_FIELDS) = range(7)
"""Rows of `columns` (COLUMN_FIELDS, columns + LANES) int64; ERROR is the active column vector."""

(MEAN, SPREAD, NU_MEAN, NU_SPREAD, READ_TABLE, MU_0, SIGMA_0, LOG2, EXP2, ROOT, SET_TABLE, RAMP_NS,
 SOFTMAX, ROW_SLOTS, COLUMN_SLOTS, TABLES) = range(16)
"""Rows of `tables` (TABLES, longest) int64."""

(DRIVEN, TOTAL, READ, CHARGE, OLD_LOWER, TARGET, C, STEPS, LISTED, RESIDUALS, EVERYTHING,
 DAMPING, LAST_SIGN, ORDINALS, OFFSETS, SIDES, HITS, UNDRIVEN, ZEROS, BELLS,
 OTHER_BELLS, SCRATCH) = range(22)
"""Rows of `scratch` (SCRATCH, widest) int64: work space. DRIVEN lists blocks; OFFSETS and SIDES
list columns by the places of their cells and of their steps within a block; HITS lists which of
these a block meets; LISTED and EVERYTHING list columns of a transfer by number; ZEROS stay."""

(ROW_WORDS, JOINED, COLUMN_WORDS, ROW_TABLE, COLUMN_TABLE, COLUMN_PARTS, WORD_FIELDS) = range(7)
"""Rows of `words` (WORD_FIELDS, parts x widest) uint32; a part begins P[t, STRIDE] after the one
before. The tables are indexed by code, COLUMN_WORDS goes with OFFSETS; JOINED, the words of a block
or'ed, with DRIVEN. Several parts of columns are in COLUMN_PARTS; COLUMN_TABLE has them or'ed."""

(PHASE_DRIVE, PULSES, DIRECTIONS, DOWNS, SLOPES, ERRORS, ROW_LOWER, SPREADS,
 WORK_FIELDS) = range(9)
"""Rows of `work` (WORK_FIELDS, widest) int32: durations of one polarity; a trim's pulses and their
directions, +1 charge or -1 discharge; with OFFSETS, no bit to charge or all bits to discharge, the
slope along it, and the error; the capacitors of the row that a transfer works on, and the bell
scales of a READ."""
# fmt: on


UP_AT, DOWN_AT = 2 * BLOCK, 3 * BLOCK
"""Where in a line's items of int16 its steps start, behind capacitors of twice the size."""

LINE_BYTES = 64
"""Of a cache line of today's processors; a speed, never a result, depends on it."""


class Flat(NamedTuple):
    """Everything that the compiled loops touch. Few arrays, so that they compile quickly."""

    P: NDArray[np.int64]
    R: NDArray[np.int64]
    cells: NDArray[np.int32]
    devices: NDArray[np.uint8]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    tables: NDArray[np.int64]
    scratch: NDArray[np.int64]
    lower: NDArray[np.int32]
    """In lines: eight capacitors, then their steps, seen through `steps`."""
    steps: NDArray[np.int16]
    """The memory of `lower`: in the second half of a line eight steps up, then eight down."""
    weight: NDArray[np.int32]
    """With a bit flipped, as halves.py wants it."""
    order: NDArray[np.int64]
    """Which row of its tile lies here, the padded ones last: how all that goes with LINE lies."""
    places: NDArray[np.int64]
    """Where a row of its tile lies: the inverse of `order`."""
    signs: NDArray[np.int32]
    """p of every row."""
    durations: NDArray[np.int32]
    """Active row vector, bias included; zero where padded, and a block of zeros at the end."""
    words: NDArray[np.uint32]
    work: NDArray[np.int32]
    row_steps: NDArray[np.int16]
    """(STEP_FIELDS, widest): of the row that a transfer works on."""
    sums: NDArray[np.int32]
    """(8 x widest,): partial sums of FORWARD, zeros between two."""
    seed: np.uint64


def flatten(network: Network) -> Flat:
    """Flat arrays of a network; the network's arrays become views of them."""
    tiles = network.tiles
    parameters = np.zeros((len(tiles), PARAMETERS), np.int64)
    cell = row = column = grid = line = 0
    for index, tile in enumerate(tiles):
        rows, columns = tile.spec.rows, tile.spec.columns
        blocks = -(-rows // BLOCK)
        width = -(-columns // COLUMNS_AT_ONCE) * COLUMNS_AT_ONCE
        parameters[index] = _parameters(tile, tiles[min(index + 1, len(tiles) - 1)].spec)
        parameters[index, [CELL, ROW, COLUMN]] = cell, row, column
        parameters[index, [BLOCKS, WIDTH, GRID, LINE]] = blocks, width, grid, line
        cell, row, column = cell + rows * columns, row + rows, column + columns
        grid, line = grid + blocks * BLOCK * width, line + blocks * BLOCK
    # Room for the widest side and for a table of 256 codes, in whole blocks.
    wide = max(264, max(max(tile.spec.rows, tile.spec.columns) for tile in tiles) + LANES)
    parts = parts_of(tiles[0].spec.update.slots)
    parameters[:, PARTS], parameters[:, STRIDE] = parts, wide
    lines = aligned(2 * grid, np.int32)
    flat = Flat(
        P=parameters,
        R=np.zeros((len(tiles), REGISTERS), np.int64),
        cells=np.zeros((CELL_FIELDS, cell), np.int32),
        devices=np.zeros((DEVICE_FIELDS, cell), np.uint8),
        rows=np.zeros((ROW_FIELDS, row + LANES), np.int64),
        columns=np.zeros((COLUMN_FIELDS, column + LANES), np.int64),
        tables=_tables(network),
        scratch=np.zeros((SCRATCH, wide), np.int64),
        lower=lines,
        steps=lines.view(np.int16),
        weight=aligned(grid, np.int32),
        order=np.zeros(line, np.int64),
        places=np.zeros(line, np.int64),
        signs=np.ones(line, np.int32),
        durations=np.zeros(line + BLOCK, np.int32),
        words=np.zeros((WORD_FIELDS, parts * wide), np.uint32),
        work=np.zeros((WORK_FIELDS, wide), np.int32),
        row_steps=np.zeros((STEP_FIELDS, wide), np.int16),
        sums=aligned(BLOCK * wide, np.int32),
        seed=np.uint64(network.seed),
    )
    flat.scratch[EVERYTHING] = np.arange(wide)
    for index, tile in enumerate(tiles):
        order, places = (_lines(flat, index, field) for field in (flat.order, flat.places))
        order[:] = np.arange(len(order))
        if index == 0:
            order[: tile.spec.rows - 1] = picture_order(tile.spec.rows - 1)
        places[order] = np.arange(len(order))
        _adopt(tile, flat, index)
        capacitors = tile.array.capacitors
        _fill_blocks(_blocks(flat, index, flat.steps, UP_AT), flat, index, capacitors.step_up)
        _fill_blocks(_blocks(flat, index, flat.steps, DOWN_AT), flat, index, capacitors.step_down)
    enter(network, flat)
    return flat


PATCH = 4, 2
"""Rows and columns of a picture that share a block."""


def picture_order(inputs: int) -> NDArray[np.int64]:
    """Inputs (inputs,) in the order of patches of a picture, taken to be upright, about square.

    A stroke drives fewer patches than strips of a line. A wrong guess costs time and no more.
    """
    divisors = [n for n in range(1, math.isqrt(inputs) + 1) if inputs % n == 0]
    width = max(divisors, default=1)
    line, column = np.divmod(np.arange(inputs), width)
    high, wide = PATCH
    return np.lexsort((column % wide, line % high, column // wide, line // high))


def aligned(length: int, kind: type) -> NDArray:
    """Zeros that start on a cache line, so that no block lies across two."""
    room = np.zeros(length * np.dtype(kind).itemsize + LINE_BYTES, np.uint8)
    start = -room.ctypes.data % LINE_BYTES
    return room[start : start + length * np.dtype(kind).itemsize].view(kind)


def enter(network: Network, flat: Flat) -> None:
    """Copy the network's scalars and capacitors in."""
    for index, tile in enumerate(network.tiles):
        values = {"chopper_lfsr": 0} | tile.registers()  # a tile without a chopper lists none
        for name, register in REGISTER_NAMES.items():
            flat.R[index, register] = values[name]
        signs = 1 - 2 * tile.controller.polarity.bits
        capacitors, places = tile.array.capacitors, _lines(flat, index, flat.places)[: len(signs)]
        weight = tile.array.pcm.higher + signs[:, None] * (capacitors.lower + capacitors.mismatch)
        flipped = weight.astype(np.int32) ^ FLIP
        _fill_blocks(_blocks(flat, index, flat.lower), flat, index, capacitors.lower)
        _fill_blocks(_blocks(flat, index, flat.weight), flat, index, flipped)
        _lines(flat, index, flat.signs)[places] = signs
        flat.R[index, INVERTED_ROWS] = np.count_nonzero(signs < 0)


def leave(network: Network, flat: Flat) -> None:
    """Copy the scalars and capacitors back, and let the arrays forget what they cached."""
    for index, tile in enumerate(network.tiles):
        values = {name: int(flat.R[index, r]) for name, r in REGISTER_NAMES.items()}
        tile.restore_registers(values | {"journal_valid": 0})
        padded = _blocks(flat, index, flat.lower).transpose(0, 2, 1).reshape(-1, tile.spec.columns)
        places = _lines(flat, index, flat.places)[: tile.spec.rows]
        tile.array.capacitors.lower[:] = padded[places]
        tile.array.signs[:] = 1 - 2 * tile.controller.polarity.bits
        tile.array.refresh_weights()


def _lines(flat: Flat, index: int, field: NDArray) -> NDArray:
    """A tile's view of a field with an item for every padded row."""
    line, blocks = int(flat.P[index, LINE]), int(flat.P[index, BLOCKS])
    return field[line : line + blocks * BLOCK]


def _blocks(flat: Flat, index: int, field: NDArray, first: int = 0) -> NDArray:
    """A tile's (blocks, columns, 8) view of a field in blocks, from an item of a line on."""
    blocks, width, start = (int(flat.P[index, k]) for k in (BLOCKS, WIDTH, GRID))
    items = BLOCK * len(field) // len(flat.weight)
    lines = field.reshape(-1, items)[start // BLOCK :][: blocks * width]
    return lines.reshape(blocks, width, items)[:, : flat.P[index, COLUMNS], first : first + BLOCK]


def _fill_blocks(view: NDArray, flat: Flat, index: int, values: NDArray) -> None:
    """Write (rows, columns) values into a view of `_blocks`."""
    padded = np.zeros((len(view) * BLOCK, values.shape[1]), view.dtype)
    padded[_lines(flat, index, flat.places)[: len(values)]] = values
    view[:] = padded.reshape(len(view), BLOCK, -1).transpose(0, 2, 1)


def _adopt(tile: Tile, flat: Flat, index: int) -> None:
    """Copy the tile's arrays in and make its state arrays views of the flat ones."""
    p, shape = flat.P[index], (tile.spec.rows, tile.spec.columns)
    cell = slice(int(p[CELL]), int(p[CELL]) + shape[0] * shape[1])
    row = slice(int(p[ROW]), int(p[ROW]) + shape[0])
    column = slice(int(p[COLUMN]), int(p[COLUMN]) + shape[1])
    pcm, capacitors, control = tile.array.pcm, tile.array.capacitors, tile.controller
    row_side, column_side = tile.array.rows, tile.array.columns
    places: list[tuple[object, str, NDArray]] = [
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
        view = place.reshape(own.shape)
        if own.dtype != view.dtype:
            raise TypeError(f"{name}: {own.dtype}, not {view.dtype}")
        view[:] = own
        setattr(owner, name, view)


def _parameters(tile: Tile, downstream: TileSpec) -> NDArray[np.int64]:
    spec, array, t = tile.spec, tile.array, tile.array.pcm.tables
    c, transfer, timing = spec.converters, spec.transfer, spec.timing
    capacitors = array.capacitors
    values = {
        ROWS: spec.rows,
        COLUMNS: spec.columns,
        PWM_BITS: spec.codes.pwm_bits,
        COLUMN_BITS: spec.codes.column_bits,
        SLOTS: spec.update.slots,
        SLOT_BITS: spec.update.slot_bits,
        PULSE_ORDINALS: pulse_ordinals(spec),
        LOW_DISCREPANCY: spec.update.stream_mode == "low_discrepancy",
        ROW_TAPS: spec.row_taps,
        GAIN_SHIFT: column_shift(spec, downstream),
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
        DRAWS_POLARITY: transfer.draws_polarity,
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
