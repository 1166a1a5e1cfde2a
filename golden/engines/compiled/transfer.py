"""A row through the transfer sequencer on the flat arrays; the twin of golden/digital/transfer.py.

No soft reset can fall inside: the journal is written and committed within one call.
"""

from __future__ import annotations

import numpy as np

from golden.analog import random
from golden.analog.capacitor import SLOPE_BITS
from golden.digital.transfer import Kind
from golden.engines.compiled import array, pcm
from golden.engines.compiled import layout as at
from golden.engines.compiled.cache import compiled, entry
from golden.engines.compiled.draws import clip, popcount, round_half_even, scaled

ALL, HIGHER, LOWER = 0, 1, 2
TRANSFER, LOAD = Kind.TRANSFER.value, Kind.LOAD.value
COLUMN_NOISE = int(random.Mechanism.COLUMN_NOISE)


@compiled
def open_row(flat, t, row):
    """Bring a row's capacitors and steps together: in the tile they lie a block apart."""
    down_at = flat.lower.shape[0]
    for j in range(flat.P[t, at.COLUMNS]):
        k = array.place_of(flat.P[t], row, j)
        flat.work[at.ROW_LOWER, j] = flat.lower[k]
        flat.row_steps[at.STEP_UP, j] = flat.steps[k]
        flat.row_steps[at.STEP_DOWN, j] = flat.steps[down_at + k]


@compiled
def close_row(flat, t, row):
    """Put a row's capacitors back and recompute its weights."""
    for j in range(flat.P[t, at.COLUMNS]):
        flat.lower[array.place_of(flat.P[t], row, j)] = flat.work[at.ROW_LOWER, j]
        array.settle_weight(flat, t, row, j)


@compiled
def wait_row(flat, t, row, duration_ns):
    """Let time pass with a row open: a tick must find its capacitors in place."""
    p, clock = flat.P[t], flat.R[t, at.CLOCK]
    if clock // p[at.TICK_NS] == (clock + duration_ns) // p[at.TICK_NS]:
        flat.R[t, at.CLOCK] += duration_ns
    else:
        close_row(flat, t, row)
        array.wait(flat, t, duration_ns)
        open_row(flat, t, row)


@compiled
def add_codes(total, charge, noise, spread, offsets, shift, low, high):
    """total (columns,) += one conversion of charge (columns,)."""
    for j in range(total.shape[0]):
        value = charge[j] + scaled(noise[j], spread[j])
        value += (offsets[j] << shift) >> array.OFFSET_BITS
        total[j] += clip(round_half_even(value, shift), low, high)


@compiled
def join_spreads(spread, floor):
    """spread (columns,) = root of its square plus floor squared, rounded down."""
    for j in range(spread.shape[0]):
        square = spread[j] * spread[j] + floor * floor
        spread[j] = np.int64(np.sqrt(np.float64(square)))


@compiled
def convert_read(flat, t, row, charge, spread, total, repeats):
    """total (columns,) += sum of `repeats` conversions in READ's range."""
    p = flat.P[t]
    count, c, shift = p[at.COLUMNS], p[at.COLUMN], p[at.READ_SHIFT]
    low = -(np.int64(1) << (p[at.READ_BITS] - 1))
    high = -low - 1
    noise = flat.scratch[at.NOISE, :count]
    ordinals = flat.columns[at.COLUMN_ORDINAL, c : c + count]
    offsets = flat.columns[at.COLUMN_OFFSET, c : c + count]
    for repeat in range(repeats):
        array.draw_noise(noise, flat.seed, COLUMN_NOISE, t, ordinals, repeat)
        add_codes(total, charge, noise, spread, offsets, shift, low, high)
    ordinals += repeats
    wait_row(flat, t, row, repeats * p[at.CONVERSION_NS])


@compiled
def read(flat, t, row, pair, codes):
    """READ a row into weight codes (columns,)."""
    p, cells, scratch = flat.P[t], flat.cells, flat.scratch
    columns, average, floor = p[at.COLUMNS], p[at.READ_AVERAGE], p[at.READ_NOISE]
    total, charge = scratch[at.TOTAL, :columns], scratch[at.CHARGE, :columns]
    spread = scratch[at.SPREADS, :columns]
    total[:] = 0
    charge[:] = 0
    spread[:] = floor
    convert_read(flat, t, row, charge, spread, total, 1)
    for j in range(columns):
        total[j] = -(total[j] << average)
    pcm.write_back_drift(flat, t, row)
    a = p[at.CELL] + row * columns
    sign = 1 - 2 * flat.rows[at.POLARITY, p[at.ROW] + row]
    if pair != LOWER:
        for j in range(columns):
            charge[j] = np.int64(cells[at.HIGHER, a + j])
            spread[j] = np.int64(cells[at.READ_SPREAD, a + j])
        if p[at.SET_PULSE]:
            for j in range(columns):
                largest = np.int64(max(cells[at.G_PLUS, a + j], cells[at.G_MINUS, a + j]))
                spread[j] = ((p[at.READ_SLOPE] * largest) >> 16) + p[at.READ_FLOOR]
        join_spreads(spread, floor)
    if pair != HIGHER:
        for j in range(columns):
            lower = np.int64(flat.work[at.ROW_LOWER, j]) + cells[at.MISMATCH, a + j]
            charge[j] += sign * lower
    wait_row(flat, t, row, p[at.READ_NS])
    convert_read(flat, t, row, charge, spread, total, 1 << average)
    limit = np.int64(1) << (p[at.READ_BITS] - 1)
    for j in range(columns):
        codes[j] = clip(round_half_even(total[j], average), -limit, limit - 1)


@compiled
def sign_of(value):
    """-1, 0 or +1."""
    return np.int64(value > 0) - np.int64(value < 0)


@compiled
def program(flat, t, row, p_new):
    """RESET, SET and verify until within tolerance or at the limit; target in scratch."""
    p, register, scratch = flat.P[t], flat.R[t], flat.scratch
    columns, limit = p[at.COLUMNS], p[at.C_MAX]
    target, c = scratch[at.TARGET, :columns], scratch[at.C, :columns]
    steps, higher = scratch[at.STEPS, :columns], scratch[at.READ, :columns]
    programming = scratch[at.PROGRAMMING, :columns]
    sign = 1 - 2 * p_new
    pending = 0
    for j in range(columns):
        signed = sign * target[j]
        small = target[j] == 0 or (signed > 0 and signed < p[at.OFFSET])
        programming[j] = np.int64(not small) & p[at.PROGRAM_PCM]
        pending += programming[j]
        c[j] = target[j]
    attempt = 0
    while True:
        pcm.reset(flat, t, row, scratch[at.EVERYTHING] if attempt == 0 else programming)
        wait_row(flat, t, row, p[at.RESET_NS])
        if pending == 0:
            return
        longest = 0
        for j in range(columns):
            steps[j] = 0
            if programming[j]:
                steps[j] = flat.tables[at.SET_TABLE, abs(c[j]) >> p[at.SET_SHIFT]]
                longest = max(longest, steps[j])
        pcm.set_ramp(flat, t, row, programming, c, steps)
        wait_row(flat, t, row, flat.tables[at.RAMP_NS, longest])
        attempt += 1
        register[at.ATTEMPTS] += 1
        read(flat, t, row, HIGHER, higher)
        pending = 0
        for j in range(columns):
            error = target[j] - higher[j]
            programming[j] &= np.int64(abs(error) > p[at.PROG_TOL])
            if programming[j]:
                pending += 1
                side = sign_of(target[j])
                c[j] = side * clip(side * (c[j] + error), 1, limit)
        if pending == 0:
            return
        if attempt == p[at.PROG_LIMIT]:
            register[at.NOT_PROGRAMMED] += pending
            return


@compiled
def pulse_cells(lower, up, down, words, directions, slope, bound):
    """A trim's UPDATE of a row (columns,): every slot against the words, without a branch."""
    for j in range(lower.shape[0]):
        count, direction = np.int64(popcount(words[j])), np.int64(directions[j])
        g, charge = np.int64(lower[j]), direction > 0
        step = np.int64(up[j]) if charge else np.int64(down[j])
        tilt = (slope * direction * (g >> SLOPE_BITS)) >> SLOPE_BITS
        change = (count * step * ((1 << SLOPE_BITS) - tilt)) >> SLOPE_BITS
        lower[j] = np.int32(clip(g + direction * change, -bound, bound))


@compiled
def pulse_row(flat, t, row, words, directions):
    """A trim's UPDATE on the open row: every slot of the row against words (columns,)."""
    p, lower = flat.P[t], flat.work[at.ROW_LOWER, : flat.P[t, at.COLUMNS]]
    up, down = flat.row_steps[at.STEP_UP], flat.row_steps[at.STEP_DOWN]
    if not p[at.DIRECT] and not p[at.CYCLE_SCALE]:
        pulse_cells(lower, up, down, words, directions, p[at.SLOPE], p[at.BOUND])
        return
    for j in range(p[at.COLUMNS]):
        count = np.int64(popcount(words[j]))
        if count == 0:
            continue
        direction = np.int64(directions[j])
        line, g = row * p[at.COLUMNS] + j, np.int64(lower[j])
        if p[at.DIRECT]:
            pcm.pulse_cell(flat, t, line, count, np.int64(direction < 0))
            continue
        step = np.int64(up[j] if direction > 0 else down[j])
        change = array.pulse_change(flat, t, line, g, count, step, direction)
        lower[j] = np.int32(clip(g + direction * change, -p[at.BOUND], p[at.BOUND]))


@compiled
def still_apart(journal, now, trimming, tolerance):
    """Drop the columns (columns,) that are within tolerance; returns how many are left."""
    pending = np.int64(0)
    for j in range(journal.shape[0]):
        trimming[j] &= np.int64(abs(journal[j] - now[j]) > tolerance)
        pending += trimming[j]
    return pending


@compiled
def aim(journal, now, trimming, damping, last, words, directions, gain, shift, slots, up):
    """Words and directions (columns,) of the next pulse train; damps where the sign changed."""
    for j in range(journal.shape[0]):
        residual = journal[j] - now[j]
        sign = sign_of(residual)
        damping[j] += np.int64(sign * last[j] < 0)
        last[j] = sign
        count = np.uint64(abs(residual) * gain) >> np.uint64(shift + damping[j])
        count = np.uint64(min(max(np.int64(count), 1), slots))
        word = (np.uint64(1) << count) - np.uint64(1)
        words[j] = np.uint32(word if trimming[j] else np.uint64(0))
        directions[j] = up if residual > 0 else np.int32(-up)


@compiled
def trim(flat, t, row):
    """Pulse the capacitors of a row until the weight is the journal's again."""
    p, register, scratch = flat.P[t], flat.R[t], flat.scratch
    columns = p[at.COLUMNS]
    journal = flat.columns[at.JOURNAL, p[at.COLUMN] : p[at.COLUMN] + columns]
    trimming, now = scratch[at.PROGRAMMING, :columns], scratch[at.READ, :columns]
    damping, last = scratch[at.DAMPING, :columns], scratch[at.LAST_SIGN, :columns]
    words, directions = flat.words[at.COLUMN_WORDS], flat.work[at.DIRECTIONS]
    up = np.int32(1 - 2 * flat.rows[at.POLARITY, p[at.ROW] + row])
    trimming[:] = 1
    damping[:] = 0
    last[:] = 0
    trains = 0
    while True:
        read(flat, t, row, ALL, now)
        pending = still_apart(journal, now, trimming, p[at.TRIM_TOL])
        if pending == 0:
            return
        if trains == p[at.TRIM_LIMIT]:
            register[at.NOT_TRIMMED] += pending
            return
        aim(
            journal, now, trimming, damping, last, words, directions,
            p[at.TRIM_GAIN], p[at.TRIM_SHIFT], p[at.SLOTS], up,
        )  # fmt: skip
        pulse_row(flat, t, row, words, directions)
        register[at.UPDATES] += 1
        wait_row(flat, t, row, p[at.UPDATE_NS])
        trains += 1


@compiled
def work_row(flat, t, row, kind):
    """TRANSFER or LOAD one row; LOAD's codes stand in the journal already."""
    p, register, polarity = flat.P[t], flat.R[t], flat.rows[at.POLARITY]
    columns, c, r = p[at.COLUMNS], p[at.COLUMN], p[at.ROW] + row
    journal = flat.columns[at.JOURNAL, c : c + columns]
    limit = np.int64(1) << (p[at.READ_BITS] - 1)
    lower = flat.scratch[at.OLD_LOWER, :columns]
    open_row(flat, t, row)
    if kind == TRANSFER:
        if p[at.COMPENSATION]:
            read(flat, t, row, LOWER, lower)
        read(flat, t, row, ALL, journal)
        if p[at.COMPENSATION]:
            for j in range(columns):
                more = round_half_even(lower[j] * p[at.COMPENSATION], 8)
                journal[j] = clip(journal[j] + more, -limit, limit - 1)
    p_new = polarity[r]
    if kind == TRANSFER and p[at.INVERTS]:
        p_new ^= 1
    register[at.JOURNAL_ROW], register[at.P_NEW], register[at.JOURNAL_KIND] = row, p_new, kind
    flat.work[at.ROW_LOWER, :columns] = 0
    wait_row(flat, t, row, p[at.PRECHARGE_NS])
    register[at.INVERTED_ROWS] += p_new - polarity[r]
    polarity[r] = p_new
    flat.signs[p[at.LINE] + row] = np.int32(1 - 2 * p_new)
    read(flat, t, row, LOWER, lower)
    sign = 1 - 2 * p_new
    for j in range(columns):
        wanted = journal[j] - sign * p[at.OFFSET] - lower[j]
        flat.scratch[at.TARGET, j] = clip(wanted, -p[at.C_MAX], p[at.C_MAX])
    program(flat, t, row, p_new)
    trim(flat, t, row)
    close_row(flat, t, row)
    register[at.NEXT_ROW] = row + 1
    register[at.DONE] += 1


@entry
def work_rows(flat, t, first, last, kind, weights):
    """TRANSFER or LOAD rows first..last of tile t; LOAD takes weight codes (rows, columns).

    The only entry, so that the sequencer is compiled once.
    """
    p, limit = flat.P[t], np.int64(1) << (flat.P[t, at.READ_BITS] - 1)
    for row in range(first, last + 1):
        flat.R[t, at.NEXT_ROW] = row
        # A LOAD is a command of one row, a TRANSFER one of the whole range.
        flat.R[t, at.LAST_ROW] = row if kind == LOAD else last
        if kind == LOAD:
            for j in range(p[at.COLUMNS]):
                code = clip(weights[row, j], -limit, limit - 1)
                flat.columns[at.JOURNAL, p[at.COLUMN] + j] = code
        work_row(flat, t, row, kind)
