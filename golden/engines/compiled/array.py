"""Boundary events on the flat arrays: phases, conversions, updates, and the passing of time."""

from __future__ import annotations

import numpy as np

from golden.analog import random
from golden.analog.capacitor import SLOPE_BITS, SPREAD_BITS
from golden.engines.compiled import layout as at
from golden.engines.compiled import pcm
from golden.engines.compiled.cache import compiled, entry, inlined
from golden.engines.compiled.conversions import convert_channels
from golden.engines.compiled.draws import bell_at, clip, popcount, scaled
from golden.engines.compiled.halves import AT_MOST, BLOCKS_AT_ONCE, dot_blocks, fold
from golden.engines.compiled.vectors import BLOCK, FLIP, leak_block, pulse_columns, sum_columns

COLUMN_NOISE, ROW_NOISE = int(random.Mechanism.COLUMN_NOISE), int(random.Mechanism.ROW_NOISE)
CYCLE = int(random.Mechanism.CYCLE)


@compiled
def leak(flat, t):
    """One tick of a tile; False where nothing moved."""
    p, width = flat.P[t], flat.P[t, at.WIDTH]
    changed = np.int32(0)
    for block in range(p[at.BLOCKS]):
        place, row = p[at.GRID] + block * width * BLOCK, p[at.LINE] + block * BLOCK
        changed |= leak_block(
            flat.lower, flat.weight, place, p[at.COLUMNS], flat.signs, row, p[at.LEAK_LOSS],
            np.int32(p[at.LEAK_TARGET]), np.int32(p[at.BOUND]),
        )  # fmt: skip
    return changed != 0


@entry
def wait(flat, t, duration_ns):
    """Advance a tile's clock and relax its capacitors at every tick crossed."""
    p, register = flat.P[t], flat.R[t]
    before = register[at.CLOCK] // p[at.TICK_NS]
    register[at.CLOCK] += duration_ns
    ticks = register[at.CLOCK] // p[at.TICK_NS] - before
    if ticks and p[at.LEAK_LOSS]:
        for _ in range(ticks):
            if not leak(flat, t):
                break


@compiled
def line_of(flat, t, row):
    """Where what goes with a row of tile t lies."""
    first = flat.P[t, at.LINE]
    return first + flat.places[first + row]


@compiled
def place_of(flat, t, row, j):
    """Where the cell of a row and column j lies in the blocks."""
    p, place = flat.P[t], line_of(flat, t, row) - flat.P[t, at.LINE]
    return p[at.GRID] + ((place // BLOCK) * p[at.WIDTH] + j) * BLOCK + place % BLOCK


@compiled
def lower_at(place):
    """Where in `lower` the capacitor of a place in the blocks lies."""
    return 2 * place - place % BLOCK


@compiled
def step_at(place, down):
    """Where in `steps` the step of a place in the blocks lies: up (0) or down (1)."""
    return 4 * place - 3 * (place % BLOCK) + (at.DOWN_AT if down else at.UP_AT)


@inlined
def driven_blocks(blocks, drive):
    """List the first rows of the blocks of `drive` (padded rows,) with a driven row."""
    count = 0
    for row in range(0, drive.shape[0], BLOCK):
        found = drive[row]
        for i in range(1, BLOCK):
            found |= drive[row + i]
        blocks[count] = row
        count += found != 0
    return count


@inlined
def dot(sums, charge, weight, start, width, drive, blocks, count, nothing, rows, places):
    """charge (columns,) += the driven blocks: the first rows of `count` blocks, within `drive`.

    drive[nothing..] is a block of zeros: some blocks are taken at a time. width: columns, padded.
    sums: zeros, and left so. rows, places: lists.
    """
    for first in range(0, count, AT_MOST):
        some, total = min(count - first, AT_MOST), np.int64(0)
        for k in range(some):
            row = blocks[first + k]
            rows[k], places[k] = row, start + row * width
            for i in range(row, row + BLOCK):
                total += drive[i]
        for k in range(some, some + BLOCKS_AT_ONCE - 1):
            rows[k], places[k] = nothing, start
        for k in range(0, some, BLOCKS_AT_ONCE):
            dot_blocks(sums, width, weight, places, drive, rows, k)
        fold(charge, sums, width, total)


@compiled
def integrate_columns(flat, t, weight, charge, phase):
    """charge (columns,) += the rows of one polarity, or of all if it is -1."""
    p, blocks, durations = flat.P[t], flat.scratch[at.DRIVEN], flat.durations
    first, padded = p[at.LINE], p[at.BLOCKS] * BLOCK
    nothing = durations.shape[0] - BLOCK
    if phase >= 0:
        durations = flat.work[at.PHASE_DRIVE]
        sign = 1 - 2 * phase
        for i in range(padded):
            live = flat.signs[first + i] == sign
            durations[i] = flat.durations[first + i] if live else np.int32(0)
        durations[padded : padded + BLOCK] = 0
        first, nothing = 0, padded
    count = driven_blocks(blocks, durations[first : first + padded])
    if count:
        dot(
            flat.sums, charge, weight, p[at.GRID], p[at.WIDTH], durations[first:], blocks,
            count, nothing - first, flat.scratch[at.OFFSETS], flat.scratch[at.SIDES],
        )  # fmt: skip


@compiled
def bit_reversed(count, bits):
    """The low `bits` bits of a count, the lowest first."""
    value = np.int64(0)
    for _ in range(bits):
        value, count = (value << 1) | (count & 1), count >> 1
    return value


@compiled
def address(mechanism, t):
    """The fields of a draw's address above its line."""
    return (np.int64(mechanism) << (random.TILE_BITS + random.LINE_BITS)) | (t << random.LINE_BITS)


@inlined
def convert_forward(flat, t, charge, mechanism, ordinals, ahead, dither):
    """FORWARD's charges (columns,) into the tile's codes; returns how many railed."""
    p, side = flat.P[t], flat.columns
    columns = slice(p[at.COLUMN], p[at.COLUMN] + p[at.COLUMNS])
    return convert_channels(
        side[at.CODE, columns], charge, flat.seed, address(mechanism, t), ordinals, ahead,
        p[at.FORWARD_NOISE], side[at.COLUMN_OFFSET, columns], side[at.FORWARD_OFFSET, columns],
        p[at.CALIBRATION], dither, p[at.FORWARD_SHIFT], p[at.FORWARD_BITS], p[at.COLUMNS],
    )  # fmt: skip


@compiled
def next_dither(flat, t, register):
    """The dither of a side's counter; then count."""
    bits, count = flat.P[t, at.CALIBRATION], flat.R[t, register]
    flat.R[t, register] = (count + 1) & ((1 << bits) - 1)
    return bit_reversed(count, bits)


@compiled
def mixed(flat, t):
    """Whether rows of both polarities are live."""
    inverted = flat.R[t, at.INVERTED_ROWS]
    return inverted != 0 and inverted != flat.P[t, at.ROWS]


@inlined
def forward(flat, t):
    """FORWARD of the tile's active row vector into its codes (columns,); a phase a polarity."""
    p = flat.P[t]
    charge = flat.scratch[at.CHARGE, : p[at.COLUMNS]]
    charge[:] = 0
    if mixed(flat, t):
        for phase in range(2):
            integrate_columns(flat, t, flat.weight, charge, phase)
            wait(flat, t, p[at.FORWARD_NS])
    else:
        integrate_columns(flat, t, flat.weight, charge, -1)
        wait(flat, t, p[at.FORWARD_NS])
    ordinals = flat.columns[at.COLUMN_ORDINAL, p[at.COLUMN] : p[at.COLUMN] + p[at.COLUMNS]]
    dither = next_dither(flat, t, at.FORWARD_DITHER)
    railed = convert_forward(flat, t, charge, COLUMN_NOISE, ordinals, 0, dither)
    ordinals += 1
    flat.R[t, at.SATURATED] += railed
    wait(flat, t, p[at.CONVERSION_NS])


@inlined
def list_columns(flat, t):
    """List the columns with an error: OFFSETS and ERRORS. Returns how many."""
    p, count = flat.P[t], 0
    offsets, listed = flat.scratch[at.OFFSETS], flat.work[at.ERRORS]
    errors = flat.columns[at.ERROR, p[at.COLUMN] : p[at.COLUMN] + p[at.COLUMNS]]
    for j in range(errors.shape[0]):
        offsets[count] = BLOCK * j
        listed[count] = np.int32(errors[j])
        count += errors[j] != 0
    return count


@inlined
def backward(flat, t, codes):
    """BACKWARD of the tile's active column vector into codes (rows,)."""
    p, charge, listed = flat.P[t], flat.scratch[at.CHARGE], np.int64(list_columns(flat, t))
    for block in range(p[at.BLOCKS]):
        sum_columns(
            charge, block * BLOCK, flat.weight, p[at.GRID] + block * BLOCK * p[at.WIDTH],
            flat.scratch[at.OFFSETS], flat.work[at.ERRORS], listed,
        )  # fmt: skip
    wait(flat, t, p[at.BACKWARD_NS])
    side, rows = flat.rows, slice(p[at.ROW], p[at.ROW] + p[at.ROWS])
    ordinals, dither = side[at.ROW_ORDINAL, rows], next_dither(flat, t, at.BACKWARD_DITHER)
    railed = convert_channels(
        codes, charge, flat.seed, address(ROW_NOISE, t), ordinals, 0,
        p[at.BACKWARD_NOISE], side[at.ROW_OFFSET, rows], side[at.BACKWARD_OFFSET, rows],
        p[at.CALIBRATION], dither, p[at.BACKWARD_SHIFT], p[at.BACKWARD_BITS], p[at.ROWS],
    )  # fmt: skip
    ordinals += 1
    flat.R[t, at.SATURATED] += railed
    wait(flat, t, p[at.CONVERSION_NS])


@compiled
def pulse_change(flat, t, line, g, count, step, direction):
    """How far `count` coincidences move cell number `line` from g; with cycle-to-cycle spread."""
    p = flat.P[t]
    factor = (1 << SLOPE_BITS) - ((p[at.SLOPE] * direction * (g >> SLOPE_BITS)) >> SLOPE_BITS)
    change = (count * step * factor) >> SLOPE_BITS
    if p[at.CYCLE_SCALE]:
        draw = bell_at(flat.seed, CYCLE, t, line, flat.R[t, at.UPDATES])
        noise = ((step * flat.tables[at.ROOT, count]) >> 8) * scaled(draw, p[at.CYCLE_SCALE])
        change += noise >> SPREAD_BITS
    return change


@compiled
def pulse_cell(flat, t, row, j, count, direction):
    """UPDATE of one cell that draws: cycle-to-cycle spread, or SET pulses on the pair."""
    p, k, line = flat.P[t], place_of(flat, t, row, j), row * flat.P[t, at.COLUMNS] + j
    if count == 0:
        return
    if p[at.DIRECT]:
        pcm.pulse_cell(flat, t, line, count, np.int64(direction < 0))
    else:
        c = lower_at(k)
        g, bound = np.int64(flat.lower[c]), p[at.BOUND]
        step = np.int64(flat.steps[step_at(k, direction < 0)])
        change = pulse_change(flat, t, line, g, count, step, direction)
        flat.lower[c] = np.int32(clip(g + direction * change, -bound, bound))
    settle_weight(flat, t, row, j)


@compiled
def settle_weight(flat, t, row, j):
    """Recompute one weight from its devices and its polarity."""
    p, cells, k = flat.P[t], flat.cells, place_of(flat, t, row, j)
    cell = p[at.CELL] + row * p[at.COLUMNS] + j
    lower = flat.lower[lower_at(k)] + cells[at.MISMATCH, cell]
    value = np.int32(cells[at.HIGHER, cell] + flat.signs[line_of(flat, t, row)] * lower)
    flat.weight[k] = value ^ np.int32(FLIP)


@compiled
def update_cells(flat, t, count, listed):
    """`update` of cells that draw, one by one."""
    for k in range(listed):
        j, word = flat.scratch[at.OFFSETS, k] // BLOCK, flat.words[at.COLUMN_WORDS, k]
        for block in range(count):
            first = flat.scratch[at.DRIVEN, block]
            for place in range(first, first + BLOCK):
                row = flat.order[flat.P[t, at.LINE] + place]
                met = np.int64(popcount(flat.words[at.ROW_WORDS, place] & word))
                if row < flat.P[t, at.ROWS]:
                    pulse_cell(flat, t, row, j, met, np.int64(flat.work[at.DOWNS, k]) | 1)


@inlined
def list_hits(hits, words, listed, joined):
    """List which of the first `listed` words meet a block's joined words. Returns how many."""
    count = np.uint64(0)
    for k in range(listed):
        hits[count] = k
        count += np.uint64((words[k] & joined) != 0)
    return count


@inlined
def update(flat, t, count, listed):
    """UPDATE phase of tile t: `listed` columns against the `count` DRIVEN blocks of ROW_WORDS."""
    p = flat.P[t]
    if p[at.DIRECT] or p[at.CYCLE_SCALE]:
        update_cells(flat, t, count, listed)
        return
    words, hits = flat.words[at.COLUMN_WORDS], flat.scratch[at.HITS]
    for k in range(count):
        row = flat.scratch[at.DRIVEN, k]
        pulse_columns(
            flat.lower,
            flat.weight,
            flat.steps,
            p[at.GRID] + row * p[at.WIDTH],
            flat.words[at.ROW_WORDS],
            flat.signs,
            row,
            p[at.LINE] + row,
            flat.scratch[at.OFFSETS],
            flat.scratch[at.SIDES],
            words,
            flat.work[at.DOWNS],
            flat.work[at.SLOPES],
            hits,
            np.int64(list_hits(hits, words, listed, flat.words[at.JOINED, k])),
            np.int32(p[at.BOUND]),
        )
