"""Phase-change memory: tables of the two public models, and the pairs of a tile.

programmed_state: a SET ramp ends in a conductance of known mean and spread. set_pulse: every pulse
adds a step of known mean and spread. Both in fine units (see parameters.GRID).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from golden.analog import tables
from golden.analog.parameters import GRID, USUAL_SLOTS, DeviceParameters, PcmParameters
from golden.analog.random import Mechanism, ProgrammingNoise, bell_scale, philox, scaled
from spec.formats import nearest, round_half_even
from spec.parameter import as_fraction
from spec.tile import SET_STEP_CODES, TileSpec

IntArray = NDArray[np.int64]

F_BITS = 8
"""The significance gain is an integer of 2^-8."""

MODEL_RANGE_uS = Fraction(25)
"""programmed_state is given over x = g / 25 uS [found: ICECS 2019]; it is also its ceiling."""

NU_BITS = 20
PULSE_LIMIT = 63
"""set_pulse: a ramp is at most this many pulses; the memory P is zero beyond (e^-24)."""

MU_G, MU_0, MU_P = Fraction("-0.084"), Fraction("0.880"), Fraction("1.40")
SIGMA_G, SIGMA_0, SIGMA_P = Fraction("0.091"), Fraction("0.260"), Fraction("2.15")
PULSE_MEMORY = Fraction("2.6")
"""set_pulse constants, uS [found: Nandakumar et al. 2018]."""

SKEW_CENTRE, SKEW_SIGMA = 21845, 19539
"""Mean and standard deviation of (u*u) >> 16 for a uniform 16-bit u."""


def pulse_ordinals(spec: TileSpec) -> int:
    """Ordinals of draws that an UPDATE has for itself in the pcm-only cell: one a slot, or more."""
    return max(USUAL_SLOTS, spec.update.slots)


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _fraction(value: Decimal) -> Fraction:
    return Fraction(str(+value))


@dataclass(frozen=True)
class PcmTables:
    """A PCM model as integer tables. Arrays (256,) are indexed by step code, (64,) by pulse."""

    set_pulse: bool
    gain: int
    """F in 2^-8."""
    mean: IntArray
    """Conductance after a SET ramp, noise-free."""
    spread: IntArray
    """Bell scale of the programming spread."""
    nu_mean: IntArray
    nu_spread: IntArray
    read_spread: IntArray
    """Bell scale of the pair's READ noise, the gain included."""
    read_slope: int
    read_floor: int
    """set_pulse: read spread = (slope * G >> 16) + floor, the gain included, as bell scales."""
    mu_0: IntArray
    sigma_0: IntArray
    mu_slope: int
    sigma_slope: int
    """set_pulse: mean step mu_0[n] + (mu_slope * G >> 16), spread likewise, over 2^-16."""
    reset: int
    reset_spread: int
    ceiling: int
    stuck_on: int
    drift: bool
    drift_log2: int
    """2^30 log2 of the start of the drift clock in ns."""
    drift_t0_ns: int

    @cached_property
    def after_set(self) -> IntArray:
        """(5, 256): mean, nu_mean, spread, nu_spread, read_spread, for one look-up a SET."""
        names = (self.mean, self.nu_mean, self.spread, self.nu_spread, self.read_spread)
        return np.stack(names)


def _programmed_state(pcm: PcmParameters, fine: Fraction) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {k: [] for k in ("mean", "spread", "nu", "nu_spread", "read")}
    gain, noise = as_fraction(pcm.significance_gain), as_fraction(pcm.programming_noise)
    read_noise = as_fraction(pcm.pcm_read_noise)
    with localcontext() as context:
        context.prec = 30
        age = (_decimal(as_fraction(pcm.read_time_ns)) + 250) / 500
        flicker = age.ln().sqrt()
        for code in range(SET_STEP_CODES):
            # Mean conductance linear in log duration of the ramp's step [assumed].
            g_uS = as_fraction(pcm.pcm_range_uS) * Fraction(code, SET_STEP_CODES - 1)
            x = g_uS / MODEL_RANGE_uS
            sigma = Fraction("0.26348") + Fraction("1.9650") * x - Fraction("1.1731") * x * x
            log_x = _decimal(max(x, Fraction(1, 1000))).ln()
            nu = min(max(Decimal("-0.0155") * log_x + Decimal("0.0244"), Decimal("0.049")),
                     Decimal("0.1"))  # fmt: skip
            nu_s = min(max(Decimal("-0.0125") * log_x - Decimal("0.0059"), Decimal("0.008")),
                       Decimal("0.045"))  # fmt: skip
            relative = Decimal("0.2")
            if x:
                relative = min(Decimal("0.0088") / (Decimal("0.65") * log_x).exp(), relative)
            read = _fraction(_decimal(g_uS) * relative * flicker)
            rows["mean"].append(nearest(g_uS * fine))
            rows["spread"].append(bell_scale(max(sigma, Fraction(0)) * fine * noise))
            rows["nu"].append(nearest(_fraction(nu) * (1 << NU_BITS)))
            rows["nu_spread"].append(bell_scale(_fraction(nu_s) * (1 << NU_BITS)))
            rows["read"].append(bell_scale(read * fine * gain * read_noise))
    return rows


def mean_after_pulses(pulses: int, start_uS: Fraction) -> list[Fraction]:
    """Mean conductance in uS after 0..pulses SET pulses of the set_pulse model."""
    means = [start_uS]
    for _pulse, memory in zip(range(pulses), pulse_memory(), strict=False):
        means.append(means[-1] + MU_G * means[-1] + MU_0 + MU_P * memory)
    return means


def pulse_memory() -> list[Fraction]:
    """P at the n-th pulse since RESET, n = 0..63: it decays before each pulse."""
    with localcontext() as context:
        context.prec = 30
        ratio = (-1 / _decimal(PULSE_MEMORY)).exp()
        return [_fraction(ratio ** (n + 1)) for n in range(PULSE_LIMIT + 1)]


@cache
def pcm_tables(devices: DeviceParameters) -> PcmTables:
    """Tables of the model that `devices.pcm` names; built once, shared, and read only."""
    pcm, fine = devices.pcm, devices.fine_per_uS
    gain = as_fraction(pcm.significance_gain)
    noise, read_noise = as_fraction(pcm.programming_noise), as_fraction(pcm.pcm_read_noise)
    set_pulse = pcm.pcm_model == "set_pulse"
    rows = _programmed_state(pcm, fine)
    memory = pulse_memory()
    if set_pulse:
        means = mean_after_pulses(PULSE_LIMIT, as_fraction(pcm.reset_uS))
        means += [means[-1]] * (SET_STEP_CODES - len(means))
        rows["mean"] = [nearest(mean * fine) for mean in means]
        # set_pulse drifts with nu = 0.04, without spread [found: Nandakumar et al. 2018].
        rows["nu"] = [nearest(Fraction("0.04") * (1 << NU_BITS))] * SET_STEP_CODES
        rows["nu_spread"] = [0] * SET_STEP_CODES
    t0_ns = nearest(as_fraction(pcm.drift_t0_s) * 10**9)
    reset = as_fraction(pcm.reset_uS) * fine
    return PcmTables(
        set_pulse=set_pulse,
        gain=nearest(gain * (1 << F_BITS)),
        mean=np.array(rows["mean"], np.int64),
        spread=np.array(rows["spread"], np.int64),
        nu_mean=np.array(rows["nu"], np.int64),
        nu_spread=np.array(rows["nu_spread"], np.int64),
        read_spread=np.array(rows["read"], np.int64),
        read_slope=bell_scale(Fraction("0.03") * gain * read_noise * (1 << 16)),
        read_floor=bell_scale(Fraction("0.13") * fine * gain * read_noise),
        mu_0=np.array([nearest((MU_0 + MU_P * p) * fine) for p in memory], np.int64),
        sigma_0=np.array(
            [nearest((SIGMA_0 + SIGMA_P * p) * fine * noise) for p in memory], np.int64
        ),
        mu_slope=nearest(MU_G * (1 << 16)),
        sigma_slope=nearest(SIGMA_G * noise * (1 << 16)),
        reset=nearest(reset),
        reset_spread=bell_scale(reset * as_fraction(pcm.reset_spread)),
        ceiling=nearest(MODEL_RANGE_uS * fine),
        stuck_on=nearest(as_fraction(pcm.pcm_range_uS) * fine),
        drift=pcm.drift,
        drift_log2=tables.log2(t0_ns),
        drift_t0_ns=t0_ns,
    )


def set_table(spec: TileSpec, devices: DeviceParameters) -> IntArray:
    """Step code per programming code >> set_shift: the ramp whose mean pair is nearest."""
    means = pcm_tables(devices).mean
    gain = as_fraction(devices.pcm.significance_gain)
    entries = []
    for index in range(spec.set_table_entries):
        code = (index << spec.transfer.set_shift) + Fraction(1 << spec.transfer.set_shift, 2)
        weight = code * Fraction(2) ** spec.converters.read_lsb_log2
        entries.append(int(np.abs(means - nearest(weight / gain * GRID)).argmin()))
    return np.array(entries, np.int64)


class PcmPairs:
    """The pairs of a tile. All arrays (rows, columns) unless said; state unless said.

    g_plus, g_minus: conductance when last programmed. nu_plus, nu_minus: drift exponents, 2^-20.
    pulses_plus, pulses_minus: SET pulses since RESET. higher: F(G+ - G-) as last written back.
    read_spread: bell scale of the READ noise. set_ns, drift_ns, ordinals: (rows,).
    """

    def __init__(self, spec: TileSpec, devices: DeviceParameters, seed: int, tile: int) -> None:
        """All devices RESET without spread; stuck devices drawn from the seed."""
        shape = (spec.rows, spec.columns)
        self.tables = pcm_tables(devices)
        self._seed, self._tile, self._columns = seed, tile, spec.columns
        self._tick_ns = spec.timing.leak_tick_ns
        self.g_plus = np.full(shape, self.tables.reset, np.int32)
        self.g_minus = np.full(shape, self.tables.reset, np.int32)
        self.nu_plus, self.nu_minus = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        self.pulses_plus, self.pulses_minus = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        self.read_spread = np.zeros(shape, np.int32)
        self.higher = np.zeros(shape, np.int32)
        self.set_ns = np.zeros(spec.rows, np.int64)
        self.drift_ns = np.zeros(spec.rows, np.int64)
        self.ordinals = np.zeros(spec.rows, np.int64)
        self._noise = ProgrammingNoise(seed, tile, spec.columns, self.ordinals)
        self._any_stuck = devices.pcm.stuck_fraction > 0
        self.stuck_plus = self._stuck(devices, shape, 0)
        self.stuck_minus = self._stuck(devices, shape, 1)
        for row in range(spec.rows):
            self.g_plus[row] = self._forced(self.g_plus[row], self.stuck_plus[row])
            self.g_minus[row] = self._forced(self.g_minus[row], self.stuck_minus[row])
            self._settle(row)

    def _stuck(
        self, devices: DeviceParameters, shape: tuple[int, int], device: int
    ) -> NDArray[np.uint8]:
        limit = nearest(as_fraction(devices.pcm.stuck_fraction) * (1 << 32))
        if limit == 0:
            return np.zeros(shape, np.uint8)
        cells = np.arange(shape[0] * shape[1]).reshape(shape)
        bits = philox(self._seed, Mechanism.STUCK, self._tile, cells, device)
        stuck = (bits & np.uint64(0xFFFFFFFF)) < np.uint64(limit)
        on_limit = nearest(as_fraction(devices.pcm.stuck_on_share) * (1 << 32))
        on = (bits >> np.uint64(32)) < np.uint64(on_limit)
        return np.where(stuck, np.where(on, 1, 2), 0).astype(np.uint8)

    def _forced(self, values: NDArray, stuck: NDArray[np.uint8]) -> NDArray:
        if not self._any_stuck:
            return values
        forced = np.where(stuck == 1, self.tables.stuck_on, values)
        return np.where(stuck == 2, 0, forced)

    def _settle(self, row: int) -> None:
        self.higher[row] = self._amplified(self.g_plus[row], self.g_minus[row])

    def _amplified(self, g_plus: NDArray, g_minus: NDArray) -> NDArray[np.float64]:
        """F(G+ - G-), in float64: exact, with rint as its one rounding, ties to even."""
        difference = np.subtract(g_plus, g_minus, dtype=np.float64)
        difference *= self.tables.gain * 2.0**-F_BITS
        return np.rint(difference, out=difference)

    def reset(self, row: int, active: NDArray[np.bool_], now_ns: int) -> None:
        """RESET both devices of the active columns (columns,) of a row."""
        t = self.tables
        values = scaled(self._noise.reset(row, int(self.ordinals[row])), t.reset_spread)
        values += t.reset
        for value, (g, nu, pulses, stuck) in zip(values, self._devices(), strict=True):
            np.copyto(g[row], self._forced(value, stuck[row]), "same_kind", active)
            np.copyto(nu[row], 0, where=active)
            if t.set_pulse:
                np.copyto(pulses[row], 0, where=active)
        np.copyto(self.read_spread[row], 0, where=active)
        self.ordinals[row] += 1
        self.set_ns[row] = self.drift_ns[row] = now_ns
        self._settle(row)

    def set(
        self, row: int, active: NDArray[np.bool_], minus: NDArray[np.bool_], steps: IntArray,
        now_ns: int,
    ) -> None:  # fmt: skip
        """One SET ramp on a row: per active column one device and a step code (columns,)."""
        t = self.tables
        bells = self._noise.set(row, int(self.ordinals[row]))
        # Conductance and drift exponent (2, columns) of the device that each column ramps.
        after = t.after_set.take(steps, axis=1)
        values = scaled(np.where(minus, bells[:, 1], bells[:, 0]), after[2:4])
        values += after[:2]
        np.maximum(values, 0, out=values)
        value, exponent = np.minimum(values[0], t.ceiling), values[1]
        for device, (g, nu, pulses, stuck) in enumerate(self._devices()):
            chosen = active & minus if device else active & ~minus
            if t.set_pulse:
                ramp = np.where(chosen, steps, 0)
                value = self._pulsed(row, device, g[row], pulses[row], ramp)
                pulses[row] = np.minimum(pulses[row] + ramp, PULSE_LIMIT)
            np.copyto(g[row], self._forced(value, stuck[row]), "same_kind", chosen)
            drifts = chosen & (stuck[row] == 0) if self._any_stuck else chosen
            np.copyto(nu[row], exponent, "same_kind", drifts)
        np.copyto(self.read_spread[row], after[4], "same_kind", active)
        self.ordinals[row] += PULSE_LIMIT + 1 if t.set_pulse else 1
        self.set_ns[row] = self.drift_ns[row] = now_ns
        self._settle(row)

    def _pulsed(
        self, row: int, device: int, g: NDArray, pulses: NDArray, steps: IntArray
    ) -> IntArray:
        value, first = g.astype(np.int64), int(self.ordinals[row])
        cells = row * self._columns + np.arange(self._columns)
        for pulse in range(int(steps.max(initial=0))):
            bits = philox(
                self._seed, Mechanism.SET, self._tile, cells, 2 * (first + pulse) + device
            )
            index = np.minimum(pulses.astype(np.int64) + pulse, PULSE_LIMIT)
            value = np.where(pulse < steps, set_pulse(self.tables, value, index, bits), value)
        return value

    def pulse_cells(self, device: int, cells: IntArray, counts: IntArray, first: int) -> None:
        """SET pulses of an UPDATE straight on the pair: `counts` (n,) on cells (n,) by number."""
        g, _nu, pulses, stuck = (each.reshape(-1) for each in self._devices()[device])
        value, done = g[cells].astype(np.int64), pulses[cells].astype(np.int64)
        for pulse in range(int(counts.max(initial=0))):
            bits = philox(self._seed, Mechanism.CYCLE, self._tile, cells, first + pulse)
            index = np.minimum(done + pulse, PULSE_LIMIT)
            value = np.where(pulse < counts, set_pulse(self.tables, value, index, bits), value)
        g[cells] = self._forced(value, stuck[cells])
        pulses[cells] = np.minimum(done + counts, PULSE_LIMIT)
        g_plus, g_minus = self.g_plus.reshape(-1)[cells], self.g_minus.reshape(-1)[cells]
        self.higher.reshape(-1)[cells] = self._amplified(g_plus, g_minus)

    def _devices(self) -> tuple[tuple[NDArray, NDArray, NDArray, NDArray], ...]:
        return (
            (self.g_plus, self.nu_plus, self.pulses_plus, self.stuck_plus),
            (self.g_minus, self.nu_minus, self.pulses_minus, self.stuck_minus),
        )

    def write_back_drift(self, row: int, now_ns: int) -> bool:
        """Bring a row's pairs to the present where they are older than a tick; say if changed."""
        t = self.tables
        if not t.drift or now_ns - self.drift_ns.item(row) < self._tick_ns:
            return False
        self.higher[row] = self._drifted_row(row, now_ns)
        self.drift_ns[row] = now_ns
        return True

    def _drifted_row(self, row: int, now_ns: int) -> IntArray:
        t = self.tables
        age = tables.log2(now_ns - int(self.set_ns[row]) + t.drift_t0_ns) - t.drift_log2
        nu = np.array([self.nu_plus[row], self.nu_minus[row]], np.int64)
        factor = tables.exp2_negative((age * nu) >> NU_BITS)
        g = np.array([self.g_plus[row], self.g_minus[row]], np.int64)
        now = round_half_even(g * factor, tables.VALUE_BITS)
        return self._amplified(now[0], now[1]).astype(np.int64)

    def drifted(self, now_ns: int) -> IntArray:
        """F(G+ - G-) (rows, columns) at this moment, on a copy."""
        if not self.tables.drift:
            return self.higher.astype(np.int64)
        return np.array([self._drifted_row(row, now_ns) for row in range(len(self.set_ns))])

    def read_scale(self, row: int) -> IntArray:
        """Bell scale (columns,) of the pair's own noise in a READ of a row."""
        t = self.tables
        if not t.set_pulse:
            return self.read_spread[row].astype(np.int64)
        largest = np.maximum(self.g_plus[row], self.g_minus[row]).astype(np.int64)
        return ((t.read_slope * largest) >> 16) + t.read_floor


def set_pulse(t: PcmTables, g: IntArray, pulse: IntArray, bits: NDArray[np.uint64]) -> IntArray:
    """Conductance (n,) after one SET pulse, the `pulse`-th since RESET, of the set_pulse model.

    The published fit is a mean and a spread. The shape is ours [assumed]: a square of a uniform,
    skewed so that a first pulse never takes a device below zero, which would move the mean.
    """
    u = (bits & np.uint64(0xFFFF)).astype(np.int64)
    skew = ((u * u) >> 16) - SKEW_CENTRE
    mean = t.mu_0[pulse] + ((t.mu_slope * g) >> 16)
    spread = np.maximum(t.sigma_0[pulse] + ((t.sigma_slope * g) >> 16), 0)
    step = mean + (spread * ((skew << 16) // SKEW_SIGMA) >> 16)
    return np.clip(g + step, 0, t.ceiling)
