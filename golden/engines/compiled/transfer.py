"""A row through the transfer sequencer on the flat arrays; the twin of golden/digital/transfer.py.

No soft reset can fall inside: the journal is written and committed within one call.
"""

from __future__ import annotations

import numpy as np

from golden.analog import random
from golden.analog.capacitor import SLOPE_BITS
from golden.analog.converter import OFFSET_BITS
from golden.digital.transfer import Kind
from golden.engines.compiled import array, pcm
from golden.engines.compiled import layout as at
from golden.engines.compiled.cache import compiled, entry, inlined
from golden.engines.compiled.conversions import convert_repeats
from golden.engines.compiled.draws import clip, round_half_even
from spec.lfsr import CHOPPER_LAG, LFSR_BITS, LFSR_MASK

ALL, HIGHER, LOWER = 0, 1, 2
TRANSFER, LOAD = Kind.TRANSFER.value, Kind.LOAD.value
COLUMN_NOISE = int(random.Mechanism.COLUMN_NOISE)


@compiled
def open_row(flat, t, row):
    """Bring a row's capacitors and steps together: in the tile they lie a block apart."""
    for j in range(flat.P[t, at.COLUMNS]):
        k = array.place_of(flat, t, row, j)
        flat.work[at.ROW_LOWER, j] = flat.lower[array.lower_at(k)]
        for down in range(at.STEP_FIELDS):
            flat.row_steps[down, j] = flat.steps[array.step_at(k, down)]


@compiled
def close_row(flat, t, row):
    """Put a row's capacitors back and recompute its weights."""
    for j in range(flat.P[t, at.COLUMNS]):
        flat.lower[array.lower_at(array.place_of(flat, t, row, j))] = flat.work[at.ROW_LOWER, j]
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
def convert(total, charge, spread, lines, ordinals, repeats, seed, t, shift, bits):
    """total (n,) += `repeats` conversions in READ's range of charge (n,), offset included.

    lines (n,) are the columns, ordinals (n,) theirs; spread (n,) int32.
    """
    address = array.address(COLUMN_NOISE, t)
    convert_repeats(
        total, charge, seed, address, lines, ordinals, repeats, spread, shift, bits, total.shape[0]
    )


@compiled
def join_spreads(spread, floor):
    """spread (n,) = root of its square plus floor squared, rounded down."""
    for k in range(spread.shape[0]):
        square = np.int64(spread[k]) * np.int64(spread[k]) + floor * floor
        spread[k] = np.int32(np.sqrt(np.float64(square)))


@inlined
def charge_pairs(flat, t, row, wanted, charge, spread):
    """charge (n,) += the pairs of the columns `wanted` (n,); their noise joins spread (n,)."""
    p, cells, a = flat.P[t], flat.cells, flat.P[t, at.CELL] + row * flat.P[t, at.COLUMNS]
    for k in range(wanted.shape[0]):
        cell = a + wanted[k]
        charge[k] += cells[at.HIGHER, cell]
        spread[k] = cells[at.READ_SPREAD, cell]
        if p[at.SET_PULSE]:
            largest = np.int64(max(cells[at.G_PLUS, cell], cells[at.G_MINUS, cell]))
            spread[k] = np.int32(((p[at.READ_SLOPE] * largest) >> 16) + p[at.READ_FLOOR])
    join_spreads(spread, p[at.READ_NOISE])


@compiled
def read_zero(flat, t, row):
    """The zero of a row's READs (columns,): the sum of 2^a conversions without drive."""
    p, scratch, count = flat.P[t], flat.scratch, flat.P[t, at.COLUMNS]
    c, shift, repeats = p[at.COLUMN], p[at.READ_SHIFT], 1 << p[at.READ_AVERAGE]
    bits, zero, charge = p[at.READ_BITS], scratch[at.UNDRIVEN, :count], scratch[at.CHARGE, :count]
    ordinals, spread = flat.columns[at.COLUMN_ORDINAL, c : c + count], flat.work[at.SPREADS, :count]
    zero[:] = 0
    spread[:] = np.int32(p[at.READ_NOISE])
    for j in range(count):
        charge[j] = (flat.columns[at.COLUMN_OFFSET, c + j] << shift) >> OFFSET_BITS
    everything = scratch[at.EVERYTHING, :count]
    convert(zero, charge, spread, everything, ordinals, repeats, flat.seed, t, shift, bits)
    ordinals += repeats
    wait_row(flat, t, row, repeats * p[at.CONVERSION_NS])


@compiled
def read(flat, t, row, pair, wanted, codes):
    """READ a row: the weight codes (n,) of the columns `wanted` (n,).

    Every column converts, but a draw does not depend on others: what nobody looks at is not drawn.
    """
    p, scratch, count = flat.P[t], flat.scratch, wanted.shape[0]
    c, shift, bits, average = p[at.COLUMN], p[at.READ_SHIFT], p[at.READ_BITS], p[at.READ_AVERAGE]
    repeats = 1 << average
    total, charge = scratch[at.TOTAL, :count], scratch[at.CHARGE, :count]
    ordinals, spread = scratch[at.ORDINALS, :count], flat.work[at.SPREADS, :count]
    for k in range(count):
        ordinals[k] = flat.columns[at.COLUMN_ORDINAL, c + wanted[k]]
        charge[k] = (flat.columns[at.COLUMN_OFFSET, c + wanted[k]] << shift) >> OFFSET_BITS
        total[k] = -scratch[at.UNDRIVEN, wanted[k]]
    spread[:] = np.int32(p[at.READ_NOISE])
    pcm.write_back_drift(flat, t, row)
    if pair != LOWER:
        charge_pairs(flat, t, row, wanted, charge, spread)
    if pair != HIGHER:
        a, sign = p[at.CELL] + row * p[at.COLUMNS], 1 - 2 * flat.rows[at.POLARITY, p[at.ROW] + row]
        for k in range(count):
            j = wanted[k]
            charge[k] += sign * (flat.work[at.ROW_LOWER, j] + flat.cells[at.MISMATCH, a + j])
    wait_row(flat, t, row, p[at.READ_NS])
    convert(total, charge, spread, wanted, ordinals, repeats, flat.seed, t, shift, bits)
    counters = flat.columns[at.COLUMN_ORDINAL, c : c + p[at.COLUMNS]]
    counters += repeats
    wait_row(flat, t, row, repeats * p[at.CONVERSION_NS])
    limit = np.int64(1) << (bits - 1)
    for k in range(count):
        codes[k] = clip(round_half_even(total[k], average), -limit, limit - 1)


@compiled
def sign_of(value):
    """-1, 0 or +1."""
    return np.int64(value > 0) - np.int64(value < 0)


@inlined
def still_wrong(listed, target, higher, c, tolerance, limit):
    """Keep of `listed` (n,) the columns whose pair is off its target, and correct their c.

    higher (n,) are the codes read. Returns how many are left.
    """
    count = 0
    for k in range(listed.shape[0]):
        j = listed[k]
        error, side = target[j] - higher[k], sign_of(target[j])
        if abs(error) > tolerance:
            # c keeps the target's sign and never reaches zero: one device, at least one code.
            c[j] = side * clip(side * (c[j] + error), 1, limit)
            listed[count] = j
            count += 1
    return count


@inlined
def program(flat, t, row, p_new):
    """RESET, SET and verify until within tolerance or at the limit; target in scratch."""
    p, register, scratch = flat.P[t], flat.R[t], flat.scratch
    columns = p[at.COLUMNS]
    target, c = scratch[at.TARGET, :columns], scratch[at.C, :columns]
    steps, higher, listed = scratch[at.STEPS], scratch[at.READ], scratch[at.LISTED]
    sign, pending = 1 - 2 * p_new, 0
    for j in range(columns):
        signed = sign * target[j]
        small = target[j] == 0 or (signed > 0 and signed < p[at.OFFSET])
        c[j] = target[j]
        listed[pending] = j
        pending += np.int64(not small) & p[at.PROGRAM_PCM]
    pcm.reset(flat, t, row, scratch[at.EVERYTHING, :columns])
    wait_row(flat, t, row, p[at.RESET_NS])
    for attempt in range(1, p[at.PROG_LIMIT] + 1):
        if pending == 0:
            return
        if attempt > 1:
            pcm.reset(flat, t, row, listed[:pending])
            wait_row(flat, t, row, p[at.RESET_NS])
        longest = 0
        for k in range(pending):
            steps[k] = flat.tables[at.SET_TABLE, abs(c[listed[k]]) >> p[at.SET_SHIFT]]
            longest = max(longest, steps[k])
        pcm.set_ramp(flat, t, row, listed[:pending], c, steps)
        wait_row(flat, t, row, flat.tables[at.RAMP_NS, longest])
        register[at.ATTEMPTS] += 1
        read(flat, t, row, HIGHER, listed[:pending], higher)
        pending = still_wrong(listed[:pending], target, higher, c, p[at.PROG_TOL], p[at.C_MAX])
    register[at.NOT_PROGRAMMED] += pending


@inlined
def pulse_cells(lower, listed, steps, pulses, directions, slope, bound):
    """A trim's UPDATE of the columns `listed` (n,) where nothing is drawn; pulses (n,).

    steps: up, then down. No branch: the direction is a coin's toss.
    """
    for k in range(listed.shape[0]):
        j, count, direction = np.uint64(listed[k]), np.int64(pulses[k]), directions[k]
        g, side = np.int64(lower[j]), np.uint64(direction < 0)
        tilt = (slope * direction * (g >> SLOPE_BITS)) >> SLOPE_BITS
        change = (count * np.int64(steps[side, j]) * ((1 << SLOPE_BITS) - tilt)) >> SLOPE_BITS
        lower[j] = np.int32(clip(g + direction * change, -bound, bound))


@inlined
def pulse_row(flat, t, row, listed, pulses, directions):
    """A trim's UPDATE on the open row: so many pulses on each of the columns `listed` (n,)."""
    p, lower = flat.P[t], flat.work[at.ROW_LOWER]
    steps, bound = flat.row_steps, p[at.BOUND]
    if not p[at.DIRECT] and not p[at.CYCLE_SCALE]:
        pulse_cells(lower, listed, steps, pulses, directions, p[at.SLOPE], bound)
        return
    for k in range(listed.shape[0]):
        j, count = listed[k], np.int64(pulses[k])
        direction, line, g = np.int64(directions[k]), row * p[at.COLUMNS] + j, np.int64(lower[j])
        if p[at.DIRECT]:
            pcm.pulse_cell(flat, t, line, count, np.int64(direction < 0))
            continue
        step = np.int64(steps[at.STEP_UP if direction > 0 else at.STEP_DOWN, j])
        change = array.pulse_change(flat, t, line, g, count, step, direction)
        lower[j] = np.int32(clip(g + direction * change, -bound, bound))


@inlined
def still_apart(listed, damping, last, journal, now, residuals, tolerance):
    """Keep of `listed` (n,) the columns that are not within tolerance, with their residuals.

    damping, last (n,) go with them; now (n,) are the codes read. Returns how many are left.
    """
    count = 0
    for k in range(now.shape[0]):
        residual = journal[listed[k]] - now[k]
        listed[count], damping[count], last[count] = listed[k], damping[k], last[k]
        residuals[count] = residual
        count += abs(residual) > tolerance
    return count


@inlined
def aim(residuals, damping, last, pulses, directions, gain, shift, slots, up):
    """Pulses and directions (n,) of the next pulse train; damps where the sign changed.

    residuals (n,) are not zero. No branch: whether a residual changed its sign is a coin's toss.
    """
    for k in range(residuals.shape[0]):
        residual = residuals[k]
        sign = (residual >> 63) | 1
        damping[k] += np.uint64(sign * last[k]) >> np.uint64(63)
        last[k] = sign
        count = np.uint64(abs(residual) * gain) >> np.uint64(shift + damping[k])
        pulses[k] = np.int32(min(max(np.int64(count), 1), slots))
        directions[k] = np.int32(sign) * up


@inlined
def trim(flat, t, row):
    """Pulse the capacitors of a row until the weight is the journal's again."""
    p, register, scratch = flat.P[t], flat.R[t], flat.scratch
    columns = p[at.COLUMNS]
    journal = flat.columns[at.JOURNAL, p[at.COLUMN] : p[at.COLUMN] + columns]
    listed, now, residuals = scratch[at.LISTED], scratch[at.READ], scratch[at.RESIDUALS]
    damping, last = scratch[at.DAMPING, :columns], scratch[at.LAST_SIGN, :columns]
    pulses, directions = flat.work[at.PULSES], flat.work[at.DIRECTIONS]
    up = np.int32(1 - 2 * flat.rows[at.POLARITY, p[at.ROW] + row])
    for j in range(columns):
        listed[j] = j
    damping[:] = 0
    last[:] = 0
    pending, trains = columns, 0
    while True:
        read(flat, t, row, ALL, listed[:pending], now)
        pending = still_apart(
            listed, damping, last, journal, now[:pending], residuals, p[at.TRIM_TOL]
        )
        if pending == 0:
            return
        if trains == p[at.TRIM_LIMIT]:
            register[at.NOT_TRIMMED] += pending
            return
        aim(
            residuals[:pending], damping, last, pulses, directions,
            p[at.TRIM_GAIN], p[at.TRIM_SHIFT], p[at.SLOTS], up,
        )  # fmt: skip
        pulse_row(flat, t, row, listed[:pending], pulses, directions)
        register[at.UPDATES] += 1
        wait_row(flat, t, row, p[at.UPDATE_NS])
        trains += 1


@inlined
def draw_polarity(register):
    """The polarity bit of the next row; steps the chopper's register."""
    state = register[at.CHOPPER_LFSR]
    new = ((state >> (LFSR_BITS - 1)) ^ (state >> (CHOPPER_LAG - 1))) & 1
    register[at.CHOPPER_LFSR] = ((state << 1) | new) & LFSR_MASK
    return state & 1


@inlined
def work_row(flat, t, row, kind):
    """TRANSFER or LOAD one row; LOAD's codes stand in the journal already."""
    p, register, polarity = flat.P[t], flat.R[t], flat.rows[at.POLARITY]
    columns, c, r = p[at.COLUMNS], p[at.COLUMN], p[at.ROW] + row
    journal = flat.columns[at.JOURNAL, c : c + columns]
    limit = np.int64(1) << (p[at.READ_BITS] - 1)
    lower = flat.scratch[at.OLD_LOWER, :columns]
    everything = flat.scratch[at.EVERYTHING, :columns]
    open_row(flat, t, row)
    read_zero(flat, t, row)
    if kind == TRANSFER:
        if p[at.COMPENSATION]:
            read(flat, t, row, LOWER, everything, lower)
        read(flat, t, row, ALL, everything, journal)
        if p[at.COMPENSATION]:
            for j in range(columns):
                more = round_half_even(lower[j] * p[at.COMPENSATION], 8)
                journal[j] = clip(journal[j] + more, -limit, limit - 1)
    p_new = polarity[r]
    if kind == TRANSFER and p[at.DRAWS_POLARITY]:
        p_new = draw_polarity(register)
    elif kind == TRANSFER and p[at.INVERTS]:
        p_new ^= 1
    register[at.JOURNAL_ROW], register[at.P_NEW], register[at.JOURNAL_KIND] = row, p_new, kind
    flat.work[at.ROW_LOWER, :columns] = 0
    wait_row(flat, t, row, p[at.PRECHARGE_NS])
    register[at.INVERTED_ROWS] += p_new - polarity[r]
    polarity[r] = p_new
    flat.signs[array.line_of(flat, t, row)] = np.int32(1 - 2 * p_new)
    read(flat, t, row, LOWER, everything, lower)
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
