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

COLUMN_NOISE, ROW_NOISE = int(random.Mechanism.COLUMN_NOISE), int(random.Mechanism.ROW_NOISE)
CYCLE = int(random.Mechanism.CYCLE)
_ONE, _SLOPE_BITS, _SIGN = np.int32(1 << SLOPE_BITS), np.int32(SLOPE_BITS), np.int32(31)


@compiled
def leak_row(lower, weight, loss, target, bound, sign):
    """One tick of a row (columns,); returns a word that is 0 where nothing moved."""
    changed = np.int32(0)
    for j in range(lower.shape[0]):
        g = np.int64(lower[j])
        new = g - (((g - target) * loss + (1 << (VALUE_BITS - 1))) >> VALUE_BITS)
        change = np.int32(min(max(new, -bound), bound) - g)
        changed |= change
        lower[j] = np.int32(lower[j] + change)
        weight[j] = np.int32(weight[j] + np.int32(sign * change))
    return changed


@compiled
def leak(flat, t):
    """One tick of a tile; False where nothing moved."""
    p, cells = flat.P[t], flat.cells
    changed = np.int32(0)
    for row in range(p[at.ROWS]):
        a = p[at.CELL] + row * p[at.COLUMNS]
        b = a + p[at.COLUMNS]
        sign = np.int32(1 - 2 * flat.rows[at.POLARITY, p[at.ROW] + row])
        changed |= leak_row(
            cells[at.LOWER, a:b],
            cells[at.WEIGHT, a:b],
            p[at.LEAK_LOSS],
            p[at.LEAK_TARGET],
            p[at.BOUND],
            sign,
        )
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
def settle_weights(flat, t, row):
    """Recompute a row's weights from its devices and its polarity."""
    p, cells = flat.P[t], flat.cells
    a = p[at.CELL] + row * p[at.COLUMNS]
    sign = 1 - 2 * flat.rows[at.POLARITY, p[at.ROW] + row]
    for k in range(a, a + p[at.COLUMNS]):
        lower = np.int64(cells[at.LOWER, k]) + cells[at.MISMATCH, k]
        cells[at.WEIGHT, k] = np.int32(cells[at.HIGHER, k] + sign * lower)


@compiled
def add_rows(charge, w0, w1, w2, w3, x0, x1, x2, x3):
    """charge (columns,) += four driven rows."""
    for j in range(charge.shape[0]):
        charge[j] += (
            x0 * np.float64(w0[j])
            + x1 * np.float64(w1[j])
            + x2 * np.float64(w2[j])
            + x3 * np.float64(w3[j])
        )


@compiled
def sum_rows(charge, weight, durations, polarity, phase, active):
    """charge (columns,) += durations (rows,) @ weight (cells,) over the rows of one polarity.

    Integers in float64, below 2^53, so exact in any order: rows are taken four at a time.
    Returns how many rows were driven.
    """
    columns, count = charge.shape[0], 0
    for i in range(durations.shape[0]):
        active[count] = i
        count += (durations[i] != 0) & (polarity[i] == phase)
    for k in range(0, count, 4):
        i0, x0 = active[k], np.float64(durations[active[k]])
        i1 = i2 = i3 = i0
        x1 = x2 = x3 = 0.0
        if k + 1 < count:
            i1, x1 = active[k + 1], np.float64(durations[active[k + 1]])
        if k + 2 < count:
            i2, x2 = active[k + 2], np.float64(durations[active[k + 2]])
        if k + 3 < count:
            i3, x3 = active[k + 3], np.float64(durations[active[k + 3]])
        a0, a1, a2, a3 = i0 * columns, i1 * columns, i2 * columns, i3 * columns
        add_rows(
            charge,
            weight[a0 : a0 + columns],
            weight[a1 : a1 + columns],
            weight[a2 : a2 + columns],
            weight[a3 : a3 + columns],
            x0,
            x1,
            x2,
            x3,
        )
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
        total = np.int64(charge[j]) + scaled(noise[j], scale)
        total += (channel[j] << shift) >> OFFSET_BITS
        raw = clip(round_half_even(total, shift), low, high)
        saturated += np.int64(raw == low) | np.int64(raw == high)
        codes[j] = clip(raw - offsets[j], low, high)
    return saturated


@compiled
def forward(flat, t):
    """FORWARD of the tile's active row vector into its codes (columns,); a phase a polarity."""
    p = flat.P[t]
    count, a, r = p[at.COLUMNS], p[at.CELL], p[at.ROW]
    rows, columns = slice(r, r + p[at.ROWS]), slice(p[at.COLUMN], p[at.COLUMN] + count)
    charge, noise = flat.charge[:count], flat.scratch[at.NOISE, :count]
    weight = flat.cells[at.WEIGHT, a : a + p[at.ROWS] * count]
    durations, polarity = flat.rows[at.DURATION, rows], flat.rows[at.POLARITY, rows]
    charge[:] = 0.0
    for phase in range(2):
        if sum_rows(charge, weight, durations, polarity, phase, flat.scratch[at.ACTIVE]):
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
def dot(weight, errors):
    """One row's charge: exact in 64-bit integers."""
    total = np.int64(0)
    for j in range(weight.shape[0]):
        total += np.int64(weight[j]) * np.int64(errors[j])
    return total


@compiled
def backward(flat, t, codes):
    """BACKWARD of the tile's active column vector into codes (rows,)."""
    p = flat.P[t]
    count, columns, c = p[at.ROWS], p[at.COLUMNS], p[at.COLUMN]
    rows = slice(p[at.ROW], p[at.ROW] + count)
    errors, charge = flat.directions[:columns], flat.charge[:count]
    for j in range(columns):
        errors[j] = np.int32(flat.columns[at.ERROR, c + j])
    for i in range(count):
        a = p[at.CELL] + i * columns
        charge[i] = np.float64(dot(flat.cells[at.WEIGHT, a : a + columns], errors))
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
def pulse_row(lower, weight, up, down, words, directions, word, sign, slope, bound):
    """UPDATE of one row: all columns at once, in 32-bit integers and without a branch."""
    for j in range(lower.shape[0]):
        count = popcount(np.uint32(word & words[j]))
        g, direction = lower[j], directions[j]
        discharge = np.int32(direction >> _SIGN)
        step = np.int32(up[j])
        step = np.int32(step + np.int32(np.int32(np.int32(down[j]) - step) & discharge))
        tilt = np.int32(np.int32(slope * np.int32(g >> _SLOPE_BITS)) >> _SLOPE_BITS)
        factor = np.int32(_ONE - np.int32(direction * tilt))
        change = np.int32(np.int32(np.int32(count * step) * factor) >> _SLOPE_BITS)
        moved = np.int32(g + np.int32(direction * change))
        moved = max(min(moved, bound), np.int32(-bound))
        lower[j] = moved
        weight[j] = np.int32(weight[j] + np.int32(sign * np.int32(moved - g)))


@compiled
def pulse_row_cycle(flat, t, row, word):
    """UPDATE of one row with cycle-to-cycle spread."""
    p, cells, words = flat.P[t], flat.cells, flat.words[0]
    bound, slope = p[at.BOUND], p[at.SLOPE]
    for j in range(p[at.COLUMNS]):
        count = np.int64(popcount(np.uint32(word & words[j])))
        if count == 0:
            continue
        line = row * p[at.COLUMNS] + j
        k = p[at.CELL] + line
        g, direction = np.int64(cells[at.LOWER, k]), np.int64(flat.directions[j])
        tilt = (slope * (g >> SLOPE_BITS)) >> SLOPE_BITS
        step = np.int64(flat.steps[at.STEP_UP if direction > 0 else at.STEP_DOWN, k])
        factor = (1 << SLOPE_BITS) - direction * tilt
        draw = bell_at(flat.seed, CYCLE, t, line, flat.R[t, at.UPDATES])
        noise = ((step * flat.tables[at.ROOT, count]) >> 8) * scaled(draw, p[at.CYCLE_SCALE])
        change = ((count * step * factor) >> SLOPE_BITS) + (noise >> SPREAD_BITS)
        cells[at.LOWER, k] = np.int32(clip(g + direction * change, -bound, bound))
    settle_weights(flat, t, row)


@compiled
def update_row(flat, t, row, word):
    """UPDATE pulses on one row: `word` against words[0], along `directions`."""
    p, cells, steps = flat.P[t], flat.cells, flat.steps
    if p[at.DIRECT]:
        pcm.pulse_row(flat, t, row, word)
        settle_weights(flat, t, row)
    elif p[at.CYCLE_SCALE]:
        pulse_row_cycle(flat, t, row, word)
    else:
        a = p[at.CELL] + row * p[at.COLUMNS]
        b = a + p[at.COLUMNS]
        pulse_row(
            cells[at.LOWER, a:b],
            cells[at.WEIGHT, a:b],
            steps[at.STEP_UP, a:b],
            steps[at.STEP_DOWN, a:b],
            flat.words[0, : p[at.COLUMNS]],
            flat.directions[: p[at.COLUMNS]],
            np.uint32(word),
            np.int32(1 - 2 * flat.rows[at.POLARITY, p[at.ROW] + row]),
            np.int32(p[at.SLOPE]),
            np.int32(p[at.BOUND]),
        )
