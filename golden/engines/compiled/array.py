"""Boundary events on the flat arrays: phases, conversions, updates, and the passing of time."""

from __future__ import annotations

import numpy as np

from golden.analog import random
from golden.analog.capacitor import SLOPE_BITS, SPREAD_BITS
from golden.analog.converter import OFFSET_BITS
from golden.analog.tables import VALUE_BITS
from golden.engines.compiled import layout as at
from golden.engines.compiled import pcm
from golden.engines.compiled.cache import compiled, entry
from golden.engines.compiled.draws import (
    bell,
    bell_at,
    clip,
    philox,
    popcount,
    round_half_even,
    scaled,
)
from golden.engines.compiled.vectors import BLOCK, dot_blocks, pulse_blocks

COLUMN_NOISE, ROW_NOISE = int(random.Mechanism.COLUMN_NOISE), int(random.Mechanism.ROW_NOISE)
CYCLE = int(random.Mechanism.CYCLE)


@compiled
def leak_column(lower, weight, signs, loss, target, bound):
    """One tick of a column (padded rows,); returns a word that is 0 where nothing moved."""
    changed = np.int32(0)
    for i in range(lower.shape[0]):
        g = np.int64(lower[i])
        new = g - (((g - target) * loss + (1 << (VALUE_BITS - 1))) >> VALUE_BITS)
        change = np.int32(min(max(new, -bound), bound) - g)
        changed |= change
        lower[i] = np.int32(lower[i] + change)
        weight[i] = np.int32(weight[i] + np.int32(signs[i] * change))
    return changed


@compiled
def leak(flat, t):
    """One tick of a tile; False where nothing moved."""
    p = flat.P[t]
    signs = flat.signs[p[at.LINE] : p[at.LINE] + p[at.STRIDE]]
    changed = np.int32(0)
    for j in range(p[at.COLUMNS]):
        a = p[at.GRID] + j * p[at.STRIDE]
        b = a + p[at.STRIDE]
        changed |= leak_column(
            flat.lower[a:b], flat.weight[a:b], signs, p[at.LEAK_LOSS], p[at.LEAK_TARGET],
            p[at.BOUND],
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
def driven_blocks(blocks, drive):
    """List the starts of the blocks of `drive` (padded rows,) with a driven row."""
    count = 0
    for block in range(0, drive.shape[0], BLOCK):
        found = drive[block]
        for i in range(block + 1, block + BLOCK):
            found |= drive[i]
        blocks[count] = block
        count += found != 0
    return count


@compiled
def sum_rows(charge, weight, p, drive, blocks):
    """charge (columns,) += drive (padded rows,) @ weight; returns how many blocks were driven."""
    count = driven_blocks(blocks, drive[: p[at.STRIDE]])
    if count:
        for j in range(p[at.COLUMNS]):
            start = p[at.GRID] + j * p[at.STRIDE]
            charge[j] += dot_blocks(weight, start, drive, blocks, np.int64(count))
    return count


@compiled
def draw_noise(noise, seed, mechanism, t, ordinals, ahead):
    """The bell of every channel (channels,) `ahead` of its ordinal."""
    mechanism, tile, ahead = np.uint64(mechanism), np.uint64(t), np.uint64(ahead)
    for j in range(noise.shape[0]):
        ordinal = np.uint64(ordinals[j]) + ahead
        noise[j] = bell(philox(seed, mechanism, tile, np.uint64(j), ordinal))


@compiled
def to_codes(codes, charge, noise, scale, channel, offsets, shift, bits):
    """Convert charges (channels,) and correct the channel offsets; returns how many railed."""
    low, high = -(np.int64(1) << (bits - 1)), (np.int64(1) << (bits - 1)) - 1
    saturated = 0
    for j in range(codes.shape[0]):
        total = charge[j] + scaled(noise[j], scale)
        total += (channel[j] << shift) >> OFFSET_BITS
        raw = clip(round_half_even(total, shift), low, high)
        saturated += np.int64(raw == low) | np.int64(raw == high)
        codes[j] = clip(raw - offsets[j], low, high)
    return saturated


@compiled
def forward(flat, t):
    """FORWARD of the tile's active row vector into its codes (columns,); a phase a polarity."""
    p, scratch, drive = flat.P[t], flat.scratch, flat.drive[at.DRIVE]
    count, r = p[at.COLUMNS], p[at.ROW]
    columns = slice(p[at.COLUMN], p[at.COLUMN] + count)
    charge, noise = scratch[at.CHARGE, :count], scratch[at.NOISE, :count]
    durations, polarity = flat.rows[at.DURATION], flat.rows[at.POLARITY]
    charge[:] = 0
    drive[p[at.ROWS] : p[at.STRIDE]] = 0
    for phase in range(2):
        for i in range(p[at.ROWS]):
            drive[i] = np.int32(durations[r + i] if polarity[r + i] == phase else 0)
        if sum_rows(charge, flat.weight, p, drive, scratch[at.BLOCKS]):
            wait(flat, t, p[at.FORWARD_NS])
    ordinals = flat.columns[at.COLUMN_ORDINAL, columns]
    draw_noise(noise, flat.seed, COLUMN_NOISE, t, ordinals, 0)
    ordinals += 1
    flat.R[t, at.SATURATED] += to_codes(
        flat.columns[at.CODE, columns],
        charge,
        noise,
        p[at.FORWARD_NOISE],
        flat.columns[at.COLUMN_OFFSET, columns],
        flat.columns[at.FORWARD_OFFSET, columns],
        p[at.FORWARD_SHIFT],
        p[at.FORWARD_BITS],
    )
    wait(flat, t, p[at.CONVERSION_NS])


@compiled
def add_column(sums, weight, error):
    """sums (padded rows,) += error * weight: integers in float64, below 2^53, so exact."""
    for i in range(weight.shape[0]):
        sums[i] += error * np.float64(weight[i])


@compiled
def backward(flat, t, sums, codes):
    """BACKWARD of the tile's active column vector into codes (rows,); sums (widest,) float64."""
    p, count = flat.P[t], flat.P[t, at.ROWS]
    rows = slice(p[at.ROW], p[at.ROW] + count)
    sums = sums[: p[at.STRIDE]]
    sums[:] = 0.0
    for j in range(p[at.COLUMNS]):
        error = flat.columns[at.ERROR, p[at.COLUMN] + j]
        if error != 0:
            a = p[at.GRID] + j * p[at.STRIDE]
            add_column(sums, flat.weight[a : a + p[at.STRIDE]], np.float64(error))
    charge = flat.scratch[at.CHARGE, :count]
    for i in range(count):
        charge[i] = np.int64(sums[i])
    wait(flat, t, p[at.BACKWARD_NS])
    noise, ordinals = flat.scratch[at.NOISE, :count], flat.rows[at.ROW_ORDINAL, rows]
    draw_noise(noise, flat.seed, ROW_NOISE, t, ordinals, 0)
    ordinals += 1
    flat.R[t, at.SATURATED] += to_codes(
        codes,
        charge,
        noise,
        p[at.BACKWARD_NOISE],
        flat.rows[at.ROW_OFFSET, rows],
        flat.rows[at.BACKWARD_OFFSET, rows],
        p[at.BACKWARD_SHIFT],
        p[at.BACKWARD_BITS],
    )
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
def pulse_cell(flat, t, row, j, word, direction):
    """UPDATE of one cell that draws: cycle-to-cycle spread, or SET pulses on the pair."""
    p, k = flat.P[t], flat.P[t, at.GRID] + j * flat.P[t, at.STRIDE] + row
    line = row * p[at.COLUMNS] + j
    count = np.int64(popcount(np.uint32(word)))
    if count == 0:
        return
    if p[at.DIRECT]:
        pcm.pulse_cell(flat, t, line, count, np.int64(direction < 0))
    else:
        g, bound = np.int64(flat.lower[k]), p[at.BOUND]
        step = np.int64(flat.steps[at.STEP_UP if direction > 0 else at.STEP_DOWN, k])
        change = pulse_change(flat, t, line, g, count, step, direction)
        flat.lower[k] = np.int32(clip(g + direction * change, -bound, bound))
    settle_weight(flat, t, row, j)


@compiled
def settle_weight(flat, t, row, j):
    """Recompute one weight from its devices and its polarity."""
    p, cells = flat.P[t], flat.cells
    cell, k = p[at.CELL] + row * p[at.COLUMNS] + j, p[at.GRID] + j * p[at.STRIDE] + row
    lower = flat.lower[k] + cells[at.MISMATCH, cell]
    flat.weight[k] = np.int32(cells[at.HIGHER, cell] + flat.signs[p[at.LINE] + row] * lower)


@compiled
def update_column(flat, t, j, count, direction):
    """UPDATE of column j: its word against ROW_WORDS, over `count` driven blocks."""
    p, word = flat.P[t], flat.words[at.COLUMN_WORDS, j]
    if p[at.DIRECT] or p[at.CYCLE_SCALE]:
        for i in range(p[at.ROWS]):
            pulse_cell(flat, t, i, j, flat.words[at.ROW_WORDS, i] & word, np.int64(direction))
        return
    side = at.STEP_UP if direction > 0 else at.STEP_DOWN
    pulse_blocks(
        flat.lower,
        flat.weight,
        flat.steps[side],
        p[at.GRID] + j * p[at.STRIDE],
        flat.words[at.ROW_WORDS],
        flat.signs[p[at.LINE] :],
        flat.scratch[at.BLOCKS],
        np.int64(count),
        np.uint32(word),
        np.int32(p[at.SLOPE] * direction),
        np.int32(direction),
        np.int32(p[at.BOUND]),
    )
