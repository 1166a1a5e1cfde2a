"""PCM strobes and drift on the flat arrays; the twin of golden/analog/pcm.py."""

from __future__ import annotations

import numpy as np

from golden.analog import random
from golden.analog.pcm import F_BITS, NU_BITS, PULSE_LIMIT, SKEW_CENTRE, SKEW_SIGMA
from golden.analog.tables import VALUE_BITS
from golden.engines.compiled import layout as at
from golden.engines.compiled.cache import compiled
from golden.engines.compiled.draws import (
    bell_at,
    clip,
    exp2_negative,
    log2,
    philox,
    popcount,
    round_half_even,
    scaled,
)

SET, RESET = int(random.Mechanism.SET), int(random.Mechanism.RESET)
DRIFT, CYCLE = int(random.Mechanism.DRIFT), int(random.Mechanism.CYCLE)


@compiled
def forced(p, value, stuck):
    """What a device conducts: a stuck one does not listen."""
    if stuck == 1:
        return p[at.STUCK_ON]
    if stuck == 2:
        return np.int64(0)
    return value


@compiled
def settle(flat, t, k):
    """Recompute F(G+ - G-) of cell k as just programmed."""
    g = flat.cells.g
    difference = np.int64(g[0, k]) - np.int64(g[1, k])
    flat.cells.higher[k] = np.int32(round_half_even(difference * flat.P[t, at.F_GAIN], F_BITS))


@compiled
def reset(flat, t, row, active):
    """RESET both devices of the active columns (columns,) of a row."""
    p, cells, lines = flat.P[t], flat.cells, flat.lines
    r = p[at.ROW] + row
    ordinal = 2 * lines.program_ordinals[r]
    for j in range(p[at.COLUMNS]):
        if active[j]:
            line = row * p[at.COLUMNS] + j
            k = p[at.CELL] + line
            for device in range(2):
                draw = bell_at(flat.seed, RESET, t, line, ordinal + device)
                value = p[at.RESET_G] + scaled(draw, p[at.RESET_SPREAD])
                cells.g[device, k] = np.int32(forced(p, value, cells.stuck[device, k]))
                cells.nu[device, k] = 0
                cells.pulses[device, k] = 0
            cells.read_spread[k] = 0
    finish(flat, t, row, 1)


@compiled
def finish(flat, t, row, ordinals):
    """After a strobe: count it, start the drift clock, recompute the row."""
    p, lines = flat.P[t], flat.lines
    r, a = p[at.ROW] + row, p[at.CELL] + row * p[at.COLUMNS]
    lines.program_ordinals[r] += ordinals
    lines.set_ns[r] = lines.drift_ns[r] = flat.R[t, at.CLOCK]
    for k in range(a, a + p[at.COLUMNS]):
        settle(flat, t, k)


@compiled
def set_pulse(flat, t, g, pulse, bits):
    """Conductance after one SET pulse of the set_pulse model."""
    p, tables = flat.P[t], flat.tables
    u = np.int64(bits & np.uint64(0xFFFF))
    skew = ((u * u) >> 16) - SKEW_CENTRE
    mean = tables.mu_0[pulse] + ((p[at.MU_SLOPE] * g) >> 16)
    spread = max(tables.sigma_0[pulse] + ((p[at.SIGMA_SLOPE] * g) >> 16), 0)
    step = mean + (spread * ((skew << 16) // SKEW_SIGMA) >> 16)
    return clip(g + step, 0, p[at.CEILING])


@compiled
def pulses(flat, t, device, line, count, mechanism, first, stride):
    """`count` SET pulses on one device; ordinals first, first + stride, ..."""
    p, cells = flat.P[t], flat.cells
    k = p[at.CELL] + line
    value, done = np.int64(cells.g[device, k]), np.int64(cells.pulses[device, k])
    for pulse in range(count):
        bits = philox(
            flat.seed,
            np.uint64(mechanism),
            np.uint64(t),
            np.uint64(line),
            np.uint64(first + stride * pulse),
        )
        value = set_pulse(flat, t, value, min(done + pulse, PULSE_LIMIT), bits)
    cells.pulses[device, k] = np.int8(min(done + count, PULSE_LIMIT))
    return value


@compiled
def set_ramp(flat, t, row, active, c, steps):
    """One SET ramp on a row: per active column a step code; minus where c < 0 (columns,)."""
    p, cells, lines, tables = flat.P[t], flat.cells, flat.lines, flat.tables
    ordinal = lines.program_ordinals[p[at.ROW] + row]
    for j in range(p[at.COLUMNS]):
        if active[j]:
            line, device, step = row * p[at.COLUMNS] + j, np.int64(c[j] < 0), steps[j]
            k = p[at.CELL] + line
            if p[at.SET_PULSE]:
                first = 2 * ordinal + device
                value = pulses(flat, t, device, line, step, SET, first, 2)
            else:
                draw = bell_at(flat.seed, SET, t, line, 2 * ordinal + device)
                value = tables.mean[step] + scaled(draw, tables.spread[step])
                value = clip(value, 0, p[at.CEILING])
            draw = bell_at(flat.seed, DRIFT, t, line, 2 * ordinal + device)
            spread = scaled(draw, tables.nu_spread[step])
            cells.g[device, k] = np.int32(forced(p, value, cells.stuck[device, k]))
            if cells.stuck[device, k] == 0:
                cells.nu[device, k] = np.int32(max(tables.nu_mean[step] + spread, 0))
            cells.read_spread[k] = np.int32(tables.read_spread[step])
    finish(flat, t, row, PULSE_LIMIT + 1 if p[at.SET_PULSE] else 1)


@compiled
def pulse_row(flat, t, row, words, charge, word):
    """The pcm-only cell: every coincidence is a SET pulse on G+ (up) or G- (down)."""
    p, cells = flat.P[t], flat.cells
    first = flat.R[t, at.UPDATES] * 32
    for j in range(p[at.COLUMNS]):
        count = np.int64(popcount(np.uint32(word & words[j])))
        if count:
            line, device = row * p[at.COLUMNS] + j, 0 if charge[j] else 1
            k = p[at.CELL] + line
            value = pulses(flat, t, device, line, count, CYCLE, first, 1)
            cells.g[device, k] = np.int32(forced(p, value, cells.stuck[device, k]))
            settle(flat, t, k)


@compiled
def drifted(flat, t, row, k, age):
    """F(G+ - G-) of cell k after 2^30 log2 of its age."""
    p, cells = flat.P[t], flat.cells
    now = np.int64(0)
    for device in range(2):
        power = (age * np.int64(cells.nu[device, k])) >> NU_BITS
        factor = exp2_negative(flat.tables.exp2, power)
        g = round_half_even(np.int64(cells.g[device, k]) * factor, VALUE_BITS)
        now += g if device == 0 else -g
    return round_half_even(now * p[at.F_GAIN], F_BITS)


@compiled
def log_age(flat, t, row):
    """2^30 log2 of a row's age since programming over the start of the drift clock."""
    p = flat.P[t]
    age_ns = flat.R[t, at.CLOCK] - flat.lines.set_ns[p[at.ROW] + row]
    return log2(flat.tables.log2, age_ns + p[at.DRIFT_T0_NS]) - p[at.DRIFT_LOG2]


@compiled
def write_back_drift(flat, t, row):
    """Bring a row's pairs to the present where they are older than a tick; say if changed."""
    p, lines = flat.P[t], flat.lines
    r, now_ns = p[at.ROW] + row, flat.R[t, at.CLOCK]
    if not p[at.DRIFT] or now_ns - lines.drift_ns[r] < p[at.TICK_NS]:
        return False
    age, a = log_age(flat, t, row), p[at.CELL] + row * p[at.COLUMNS]
    for k in range(a, a + p[at.COLUMNS]):
        flat.cells.higher[k] = np.int32(drifted(flat, t, row, k, age))
    lines.drift_ns[r] = now_ns
    return True
