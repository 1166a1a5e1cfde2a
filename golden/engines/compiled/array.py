"""Boundary events on the flat arrays: phases, conversions, updates, and the passing of time."""

from __future__ import annotations

import numpy as np

from golden.analog import random
from golden.analog.capacitor import SLOPE_BITS, SPREAD_BITS
from golden.analog.converter import OFFSET_BITS
from golden.analog.tables import VALUE_BITS
from golden.engines.compiled import layout as at
from golden.engines.compiled import pcm
from golden.engines.compiled.cache import compiled
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
_ONE = np.int32(1 << SLOPE_BITS)
_SLOPE_BITS = np.int32(SLOPE_BITS)


@compiled
def leak(lower, weight, mismatch, higher, polarity, loss, target, bound):
    """One tick of (rows, columns) arrays; False where nothing moved."""
    moved = False
    for i in range(lower.shape[0]):
        sign = np.int32(1 - 2 * np.int32(polarity[i]))
        change = np.int32(0)
        for j in range(lower.shape[1]):
            g = np.int64(lower[i, j])
            new = g - (((g - target) * loss + (1 << (VALUE_BITS - 1))) >> VALUE_BITS)
            now = np.int32(min(max(new, -bound), bound))
            change |= np.int32(now ^ lower[i, j])
            lower[i, j] = now
            weight[i, j] = np.int32(higher[i, j] + np.int32(sign * np.int32(now + mismatch[i, j])))
        moved |= change != 0
    return moved


@compiled
def wait(flat, t, duration_ns):
    """Advance a tile's clock and relax its capacitors at every tick crossed."""
    p, register = flat.P[t], flat.R[t]
    before = register[at.CLOCK] // p[at.TICK_NS]
    register[at.CLOCK] += duration_ns
    ticks = register[at.CLOCK] // p[at.TICK_NS] - before
    if ticks and p[at.LEAK_LOSS]:
        rows, columns = p[at.ROWS], p[at.COLUMNS]
        a, b = p[at.CELL], p[at.CELL] + rows * columns
        cells, polarity = flat.cells, flat.lines.polarity[p[at.ROW] : p[at.ROW] + rows]
        shape = (rows, columns)
        for _ in range(ticks):
            if not leak(
                cells.lower[a:b].reshape(shape),
                cells.weight[a:b].reshape(shape),
                cells.mismatch[a:b].reshape(shape),
                cells.higher[a:b].reshape(shape),
                polarity,
                p[at.LEAK_LOSS],
                p[at.LEAK_TARGET],
                p[at.BOUND],
            ):
                break


@compiled
def settle_weights(flat, t, row):
    """Recompute a row's weights from its devices and its polarity."""
    p, cells = flat.P[t], flat.cells
    columns = p[at.COLUMNS]
    a = p[at.CELL] + row * columns
    sign = 1 - 2 * np.int64(flat.lines.polarity[p[at.ROW] + row])
    for k in range(a, a + columns):
        lower = np.int64(cells.lower[k]) + cells.mismatch[k]
        cells.weight[k] = np.int32(cells.higher[k] + sign * lower)


@compiled
def sum_rows(charge, weight, durations, polarity, phase, active):
    """charge (columns,) += durations (rows,) @ weight over the rows of one polarity.

    Integers in float64, below 2^53, so exact in any order: rows are taken four at a time.
    Returns how many rows were driven.
    """
    count = 0
    for i in range(durations.shape[0]):
        active[count] = i
        count += (durations[i] != 0) & (polarity[i] == phase)
    for k in range(0, count - 3, 4):
        i0, i1, i2, i3 = active[k], active[k + 1], active[k + 2], active[k + 3]
        x0, x1 = np.float64(durations[i0]), np.float64(durations[i1])
        x2, x3 = np.float64(durations[i2]), np.float64(durations[i3])
        for j in range(charge.shape[0]):
            charge[j] += (
                x0 * np.float64(weight[i0, j])
                + x1 * np.float64(weight[i1, j])
                + x2 * np.float64(weight[i2, j])
                + x3 * np.float64(weight[i3, j])
            )
    for k in range(count & ~3, count):
        i0 = active[k]
        x0 = np.float64(durations[i0])
        for j in range(charge.shape[0]):
            charge[j] += x0 * np.float64(weight[i0, j])
    return count


@compiled
def draw_noise(noise, seed, mechanism, t, ordinals):
    """The next bell of every channel; advances the ordinals (channels,)."""
    mechanism, tile = np.uint64(mechanism), np.uint64(t)
    for j in range(ordinals.shape[0]):
        noise[j] = bell(philox(seed, mechanism, tile, np.uint64(j), np.uint64(ordinals[j])))
        ordinals[j] += 1


@compiled
def to_codes(codes, charge, noise, scale, channel, offsets, shift, bits):
    """Convert charges (channels,) and correct the channel offsets; returns how many railed."""
    low, high = -(np.int64(1) << (bits - 1)), (np.int64(1) << (bits - 1)) - 1
    saturated = 0
    for j in range(codes.shape[0]):
        total = np.int64(charge[j]) + scaled(noise[j], scale)
        total += (channel[j] << shift) >> OFFSET_BITS
        raw = clip(round_half_even(total, shift), low, high)
        saturated += (raw == low) | (raw == high)
        codes[j] = clip(raw - offsets[j], low, high)
    return saturated


@compiled
def forward(flat, t):
    """FORWARD of the tile's active row vector into its codes (columns,)."""
    p, lines, scratch = flat.P[t], flat.lines, flat.scratch
    rows, columns = p[at.ROWS], p[at.COLUMNS]
    a, r, c = p[at.CELL], p[at.ROW], p[at.COLUMN]
    weight = flat.cells.weight[a : a + rows * columns].reshape((rows, columns))
    durations = lines.durations[r : r + rows]
    charge, noise = scratch.charge[:columns], scratch.noise[:columns]
    charge[:] = 0.0
    polarity = lines.polarity[r : r + rows]
    for phase in range(2):
        if sum_rows(charge, weight, durations, polarity, phase, scratch.active):
            wait(flat, t, p[at.FORWARD_NS])
    ordinals = lines.column_ordinals[c : c + columns]
    draw_noise(noise, flat.seed, COLUMN_NOISE, t, ordinals)
    flat.R[t, at.SATURATED] += to_codes(
        lines.codes[c : c + columns],
        charge,
        noise,
        p[at.FORWARD_NOISE],
        lines.column_offsets[c : c + columns],
        lines.forward_offsets[c : c + columns],
        p[at.FORWARD_SHIFT],
        p[at.FORWARD_BITS],
    )
    wait(flat, t, p[at.CONVERSION_NS])


@compiled
def backward(flat, t, codes):
    """BACKWARD of the tile's active column vector into codes (rows,)."""
    p, lines, scratch = flat.P[t], flat.lines, flat.scratch
    rows, columns = p[at.ROWS], p[at.COLUMNS]
    a, r, c = p[at.CELL], p[at.ROW], p[at.COLUMN]
    weight = flat.cells.weight[a : a + rows * columns].reshape((rows, columns))
    errors, charge = scratch.total[:columns], scratch.read[:rows]
    errors[:] = lines.errors[c : c + columns]
    for i in range(rows):
        total = np.int64(0)
        for j in range(columns):
            total += np.int64(weight[i, j]) * errors[j]
        charge[i] = total
    wait(flat, t, p[at.BACKWARD_NS])
    noise = scratch.noise[:rows]
    draw_noise(noise, flat.seed, ROW_NOISE, t, lines.row_ordinals[r : r + rows])
    flat.R[t, at.SATURATED] += to_codes(
        codes,
        charge,
        noise,
        p[at.BACKWARD_NOISE],
        lines.row_offsets[r : r + rows],
        lines.backward_offsets[r : r + rows],
        p[at.BACKWARD_SHIFT],
        p[at.BACKWARD_BITS],
    )
    wait(flat, t, p[at.CONVERSION_NS])


@compiled
def pulse_row(lower, weight, up, down, words, charge, word, sign, slope, bound):
    """UPDATE of one row: all columns at once, in 32-bit integers."""
    for j in range(lower.shape[0]):
        count = popcount(np.uint32(word & words[j]))
        g = lower[j]
        tilt = np.int32(np.int32(slope * np.int32(g >> _SLOPE_BITS)) >> _SLOPE_BITS)
        if charge[j]:
            step, factor = np.int32(up[j]), np.int32(_ONE - tilt)
        else:
            step, factor = np.int32(down[j]), np.int32(_ONE + tilt)
        change = np.int32(
            np.int32(np.int32(count * step) * factor) >> _SLOPE_BITS
        )
        moved = np.int32(g + change) if charge[j] else np.int32(g - change)
        moved = np.int32(min(max(moved, np.int32(-bound)), bound))
        lower[j] = moved
        weight[j] = np.int32(weight[j] + np.int32(sign * np.int32(moved - g)))


@compiled
def pulse_row_cycle(flat, t, row, words, charge, word):
    """UPDATE of one row with cycle-to-cycle spread."""
    p, cells = flat.P[t], flat.cells
    bound, slope = p[at.BOUND], p[at.SLOPE]
    for j in range(p[at.COLUMNS]):
        count = np.int64(popcount(np.uint32(word & words[j])))
        if count == 0:
            continue
        line = row * p[at.COLUMNS] + j
        k = p[at.CELL] + line
        g = np.int64(cells.lower[k])
        tilt = (slope * (g >> SLOPE_BITS)) >> SLOPE_BITS
        step = np.int64(cells.step_up[k] if charge[j] else cells.step_down[k])
        factor = (1 << SLOPE_BITS) - (tilt if charge[j] else -tilt)
        draw = bell_at(flat.seed, CYCLE, t, line, flat.R[t, at.UPDATES])
        noise = ((step * flat.tables.roots[count]) >> 8) * scaled(draw, p[at.CYCLE_SCALE])
        change = ((count * step * factor) >> SLOPE_BITS) + (noise >> SPREAD_BITS)
        cells.lower[k] = np.int32(clip(g + change if charge[j] else g - change, -bound, bound))
    settle_weights(flat, t, row)


@compiled
def update_row(flat, t, row, words, charge, word):
    """UPDATE pulses on one row: `word` against the column words (columns,)."""
    p, cells = flat.P[t], flat.cells
    columns = p[at.COLUMNS]
    if p[at.DIRECT]:
        pcm.pulse_row(flat, t, row, words, charge, word)
        settle_weights(flat, t, row)
    elif p[at.CYCLE_SCALE]:
        pulse_row_cycle(flat, t, row, words, charge, word)
    else:
        a = p[at.CELL] + row * columns
        b = a + columns
        sign = np.int32(1 - 2 * np.int32(flat.lines.polarity[p[at.ROW] + row]))
        pulse_row(
            cells.lower[a:b],
            cells.weight[a:b],
            cells.step_up[a:b],
            cells.step_down[a:b],
            words[:columns],
            charge[:columns],
            np.uint32(word),
            sign,
            np.int32(p[at.SLOPE]),
            np.int32(p[at.BOUND]),
        )
