"""PCM strobes and drift on the flat arrays; the twin of golden/analog/pcm.py."""

from __future__ import annotations

import numpy as np

from golden.analog import random
from golden.analog.pcm import F_BITS, NU_BITS, PULSE_LIMIT, SKEW_CENTRE, SKEW_SIGMA
from golden.analog.tables import VALUE_BITS
from golden.engines.compiled import layout as at
from golden.engines.compiled.cache import compiled, inlined
from golden.engines.compiled.draws import (
    bell,
    clip,
    exp2_negative,
    log2,
    philox,
    round_half_even,
    scaled,
)

SET, RESET = int(random.Mechanism.SET), int(random.Mechanism.RESET)
DRIFT, CYCLE = int(random.Mechanism.DRIFT), int(random.Mechanism.CYCLE)


@compiled
def store(flat, t, k, device, value):
    """Put a conductance in a device: a stuck one does not listen."""
    stuck = flat.devices[at.STUCK_PLUS + device, k]
    if stuck == 1:
        value = flat.P[t, at.STUCK_ON]
    elif stuck == 2:
        value = np.int64(0)
    flat.cells[at.G_PLUS + device, k] = np.int32(value)


@compiled
def settle(flat, t, k):
    """Recompute F(G+ - G-) of cell k as just programmed."""
    difference = np.int64(flat.cells[at.G_PLUS, k]) - np.int64(flat.cells[at.G_MINUS, k])
    value = round_half_even(difference * flat.P[t, at.F_GAIN], F_BITS)
    flat.cells[at.HIGHER, k] = np.int32(value)


@compiled
def finish(flat, t, row, ordinals):
    """After a strobe: count it, start the drift clock, recompute the row."""
    p, rows = flat.P[t], flat.rows
    r, a = p[at.ROW] + row, p[at.CELL] + row * p[at.COLUMNS]
    rows[at.PROGRAM_ORDINAL, r] += ordinals
    rows[at.SET_NS, r] = rows[at.DRIFT_NS, r] = flat.R[t, at.CLOCK]
    for k in range(a, a + p[at.COLUMNS]):
        settle(flat, t, k)


@compiled
def draw_bells(bells, flat, mechanism, t, row, listed, ordinals):
    """bells (n,): a draw for each of the columns `listed` (n,) of a row; ordinals (n,)."""
    first, tile = np.uint64(row * flat.P[t, at.COLUMNS]), np.uint64(t)
    seed, mechanism = flat.seed, np.uint64(mechanism)
    for n in range(listed.shape[0]):
        line = first + np.uint64(listed[n])
        bells[n] = bell(philox(seed, mechanism, tile, line, np.uint64(ordinals[n])))


@compiled
def reset(flat, t, row, listed):
    """RESET both devices of the columns `listed` (n,) of a row."""
    p = flat.P[t]
    ordinal = 2 * flat.rows[at.PROGRAM_ORDINAL, p[at.ROW] + row]
    plus, minus = flat.scratch[at.BELLS], flat.scratch[at.OTHER_BELLS]
    ordinals = flat.scratch[at.ORDINALS]
    ordinals[: listed.shape[0]] = ordinal
    draw_bells(plus, flat, RESET, t, row, listed, ordinals)
    ordinals[: listed.shape[0]] = ordinal + 1
    draw_bells(minus, flat, RESET, t, row, listed, ordinals)
    for n in range(listed.shape[0]):
        k = p[at.CELL] + row * p[at.COLUMNS] + listed[n]
        for device in range(2):
            draw = plus[n] if device == 0 else minus[n]
            store(flat, t, k, device, p[at.RESET_G] + scaled(draw, p[at.RESET_SPREAD]))
            flat.cells[at.NU_PLUS + device, k] = 0
            flat.devices[at.PULSES_PLUS + device, k] = 0
        flat.cells[at.READ_SPREAD, k] = 0
    finish(flat, t, row, 1)


@compiled
def set_pulse(flat, t, g, pulse, bits):
    """Conductance after one SET pulse of the set_pulse model."""
    p, tables = flat.P[t], flat.tables
    u = np.int64(bits & np.uint64(0xFFFF))
    skew = ((u * u) >> 16) - SKEW_CENTRE
    mean = tables[at.MU_0, pulse] + ((p[at.MU_SLOPE] * g) >> 16)
    spread = max(tables[at.SIGMA_0, pulse] + ((p[at.SIGMA_SLOPE] * g) >> 16), 0)
    step = mean + (spread * ((skew << 16) // SKEW_SIGMA) >> 16)
    return clip(g + step, 0, p[at.CEILING])


@compiled
def pulses(flat, t, device, line, count, mechanism, first, stride):
    """`count` SET pulses on one device; ordinals first, first + stride, ..."""
    k = flat.P[t, at.CELL] + line
    value = np.int64(flat.cells[at.G_PLUS + device, k])
    done = np.int64(flat.devices[at.PULSES_PLUS + device, k])
    for pulse in range(count):
        bits = philox(
            flat.seed,
            np.uint64(mechanism),
            np.uint64(t),
            np.uint64(line),
            np.uint64(first + stride * pulse),
        )
        value = set_pulse(flat, t, value, min(done + pulse, PULSE_LIMIT), bits)
    flat.devices[at.PULSES_PLUS + device, k] = np.uint8(min(done + count, PULSE_LIMIT))
    return value


@inlined
def set_ramp(flat, t, row, listed, c, steps):
    """One SET ramp on a row: to the columns `listed` (n,) their steps (n,); minus where c < 0."""
    p, tables = flat.P[t], flat.tables
    ordinal = 2 * flat.rows[at.PROGRAM_ORDINAL, p[at.ROW] + row]
    draws, drifts = flat.scratch[at.BELLS], flat.scratch[at.OTHER_BELLS]
    ordinals = flat.scratch[at.ORDINALS]
    for n in range(listed.shape[0]):
        ordinals[n] = ordinal + np.int64(c[listed[n]] < 0)
    draw_bells(draws, flat, SET, t, row, listed, ordinals)
    draw_bells(drifts, flat, DRIFT, t, row, listed, ordinals)
    for n in range(listed.shape[0]):
        line, step = row * p[at.COLUMNS] + listed[n], steps[n]
        k, device = p[at.CELL] + line, np.int64(c[listed[n]] < 0)
        if p[at.SET_PULSE]:
            value = pulses(flat, t, device, line, step, SET, ordinal + device, 2)
        else:
            value = tables[at.MEAN, step] + scaled(draws[n], tables[at.SPREAD, step])
            value = clip(value, 0, p[at.CEILING])
        exponent = tables[at.NU_MEAN, step] + scaled(drifts[n], tables[at.NU_SPREAD, step])
        store(flat, t, k, device, value)
        if flat.devices[at.STUCK_PLUS + device, k] == 0:
            flat.cells[at.NU_PLUS + device, k] = np.int32(max(exponent, 0))
        flat.cells[at.READ_SPREAD, k] = np.int32(tables[at.READ_TABLE, step])
    finish(flat, t, row, PULSE_LIMIT + 1 if p[at.SET_PULSE] else 1)


@compiled
def pulse_cell(flat, t, line, count, device):
    """The pcm-only cell: coincidences are SET pulses on G+ (device 0, up) or G- (1, down)."""
    k, first = flat.P[t, at.CELL] + line, flat.R[t, at.UPDATES] * flat.P[t, at.PULSE_ORDINALS]
    store(flat, t, k, device, pulses(flat, t, device, line, count, CYCLE, first, 1))
    settle(flat, t, k)


@compiled
def drifted(flat, t, k, age):
    """F(G+ - G-) of cell k after 2^30 log2 of its age."""
    now = np.int64(0)
    for device in range(2):
        power = (age * np.int64(flat.cells[at.NU_PLUS + device, k])) >> NU_BITS
        factor = exp2_negative(flat.tables[at.EXP2], power)
        g = round_half_even(np.int64(flat.cells[at.G_PLUS + device, k]) * factor, VALUE_BITS)
        now += g if device == 0 else -g
    return round_half_even(now * flat.P[t, at.F_GAIN], F_BITS)


@compiled
def log_age(flat, t, row):
    """2^30 log2 of a row's age since programming over the start of the drift clock."""
    p = flat.P[t]
    age_ns = flat.R[t, at.CLOCK] - flat.rows[at.SET_NS, p[at.ROW] + row]
    return log2(flat.tables[at.LOG2], age_ns + p[at.DRIFT_T0_NS]) - p[at.DRIFT_LOG2]


@compiled
def write_back_drift(flat, t, row):
    """Bring a row's pairs to the present where they are older than a tick; say if changed."""
    p = flat.P[t]
    r, now_ns = p[at.ROW] + row, flat.R[t, at.CLOCK]
    if not p[at.DRIFT] or now_ns - flat.rows[at.DRIFT_NS, r] < p[at.TICK_NS]:
        return False
    age, a = log_age(flat, t, row), p[at.CELL] + row * p[at.COLUMNS]
    for k in range(a, a + p[at.COLUMNS]):
        flat.cells[at.HIGHER, k] = np.int32(drifted(flat, t, k, age))
    flat.rows[at.DRIFT_NS, r] = now_ns
    return True
