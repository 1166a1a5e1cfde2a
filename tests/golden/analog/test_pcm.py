"""PCM: both models against their published numbers, drift against its formula, stuck devices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from golden.analog.parameters import GRID, DeviceParameters
from golden.analog.pcm import (
    PULSE_LIMIT,
    SKEW_CENTRE,
    SKEW_SIGMA,
    PcmPairs,
    mean_after_pulses,
    pcm_tables,
    set_table,
)
from spec.parameter import as_fraction, override
from spec.presets import preset
from spec.tile import TileSpec

FINE = GRID / 20
"""Fine units in a microsiemens, at the default range."""
ERRORS = 5
"""Standard errors that every interval here allows; several seeds each."""
SEEDS = [0, 1, 2]


def devices(**settings: Any) -> DeviceParameters:
    return override(DeviceParameters(), {name: str(value) for name, value in settings.items()})


def pairs(seed: int, rows: int = 8, columns: int = 2048, **settings: Any) -> PcmPairs:
    spec = override(TileSpec(), {"rows": str(rows), "columns": str(columns)})
    return PcmPairs(spec, devices(**settings), seed, 0)


def everywhere(p: PcmPairs, step: int, *, minus: bool = False, now_ns: int = 0) -> None:
    """RESET and SET every cell of every row with one step code."""
    columns = p.g_plus.shape[1]
    active = np.ones(columns, np.bool_)
    for row in range(len(p.g_plus)):
        p.reset(row, active, now_ns)
        p.set(row, active, np.full(columns, minus), np.full(columns, step), now_ns)


def check_mean(values: np.ndarray, expected: float, what: str, slack: float = 0) -> None:
    error = values.std(ddof=1) / values.size**0.5
    found = values.mean()
    assert abs(found - expected) <= ERRORS * error + slack, (
        f"{what}: expected {expected:.4f} +- {ERRORS} x {error:.4f}, got {found:.4f}"
    )


def check_spread(values: np.ndarray, expected: float, what: str) -> None:
    found, centred = values.std(ddof=1), values - values.mean()
    kurtosis = (centred**4).mean() / found**4
    error = found * ((kurtosis - 1) / (4 * values.size)) ** 0.5
    assert abs(found - expected) <= ERRORS * error, (
        f"{what}: expected {expected:.5f} +- {ERRORS} x {error:.5f}, got {found:.5f}"
    )


# -- set_pulse ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("pulses", "published_uS"), [(1, 1.92), (2, 3.29), (5, 5.80), (10, 7.76), (20, 9.38)]
)
def test_mean_conductance_after_set_pulses_is_the_published(
    seed: int, pulses: int, published_uS: float
) -> None:
    p = pairs(seed, pcm_model="set_pulse")
    everywhere(p, pulses)
    # The published figures have two decimals.
    check_mean(p.g_plus / FINE, published_uS, f"{pulses} pulses", slack=0.005)
    check_mean(p.g_minus / FINE, 0.1, "the other device")
    assert (p.pulses_plus == pulses).all()


def test_the_mean_formula_gives_the_published_figures() -> None:
    means = mean_after_pulses(20, as_fraction(0.1))
    assert [round(float(means[n]), 2) for n in (1, 2, 5, 10, 20)] == [1.92, 3.29, 5.80, 7.76, 9.38]


@pytest.mark.parametrize("seed", SEEDS)
def test_one_set_pulse_has_the_published_spread(seed: int) -> None:
    p = pairs(seed, pcm_model="set_pulse", reset_spread=0)
    everywhere(p, 1)
    memory = np.exp(-1 / 2.6)
    check_spread(p.g_plus / FINE, 0.091 * 0.1 + 0.260 + 2.15 * memory, "first pulse")


def test_the_skewed_shape_has_the_moments_it_claims() -> None:
    u = np.arange(1 << 16)
    skew = (u * u) >> 16
    assert abs(skew.mean() - SKEW_CENTRE) < 1
    assert abs(skew.std() - SKEW_SIGMA) < 0.5


def test_without_noise_pulses_follow_the_mean_to_a_few_fine_units() -> None:
    p = pairs(0, 1, 64, pcm_model="set_pulse", programming_noise=0, reset_spread=0)
    means = mean_after_pulses(PULSE_LIMIT, as_fraction(0.1))
    active = np.ones(64, np.bool_)
    p.set(0, active, ~active, np.arange(64), 0)
    away = np.abs(p.g_plus[0] - [float(m) * FINE for m in means])
    # Each pulse truncates once, and mu_slope is an integer of 2^-16.
    assert away.max() < 3 * PULSE_LIMIT


def test_pulses_given_one_by_one_remember_those_before() -> None:
    once = pairs(0, 1, 32, pcm_model="set_pulse", programming_noise=0, reset_spread=0)
    split = pairs(0, 1, 32, pcm_model="set_pulse", programming_noise=0, reset_spread=0)
    active = np.ones(32, np.bool_)
    once.set(0, active, ~active, np.full(32, 12), 0)
    for count in (5, 4, 3):
        split.pulse_cells(0, np.arange(32), np.full(32, count), 0)
    assert split.g_plus.tolist() == once.g_plus.tolist()
    assert split.pulses_plus.tolist() == once.pulses_plus.tolist() == [[12] * 32]
    assert split.higher.tolist() == once.higher.tolist()


# -- programmed_state --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("code", [96, 160, 255])
def test_a_programmed_state_has_its_mean_and_the_published_spread(seed: int, code: int) -> None:
    p = pairs(seed)
    everywhere(p, code)
    g_uS = 20 * code / 255
    x = g_uS / 25
    check_mean(p.g_plus / FINE, g_uS, f"step code {code}")
    check_spread(p.g_plus / FINE, 0.26348 + 1.9650 * x - 1.1731 * x * x, f"step code {code}")


@pytest.mark.parametrize("seed", SEEDS)
def test_drift_exponents_have_the_published_mean_and_spread(seed: int) -> None:
    p = pairs(seed)
    everywhere(p, 128)
    log_x = np.log(20 * 128 / 255 / 25)
    mean = np.clip(-0.0155 * log_x + 0.0244, 0.049, 0.1)
    spread = np.clip(-0.0125 * log_x - 0.0059, 0.008, 0.045)
    nu = p.nu_plus / 2**20
    check_mean(nu, float(mean), "nu")
    check_spread(nu, float(spread), "nu")


def test_read_noise_is_the_published_at_the_age_asked() -> None:
    t = pcm_tables(devices(read_time_ns=1000, significance_gain=1))
    for code in (10, 100, 255):
        g_uS = 20 * code / 255
        relative = min(0.0088 / (g_uS / 25) ** 0.65, 0.2)
        sigma = g_uS * relative * np.sqrt(np.log((1000 + 250) / 500)) * FINE
        assert t.read_spread[code] == pytest.approx(sigma * 65536 / 37837, abs=1)


# -- RESET, drift, stuck devices ---------------------------------------------------------------


@pytest.mark.parametrize("model", ["programmed_state", "set_pulse"])
@pytest.mark.parametrize("seed", SEEDS)
def test_reset_leaves_a_tenth_of_a_microsiemens_within_ten_percent(seed: int, model: str) -> None:
    p = pairs(seed, pcm_model=model)
    everywhere(p, 30)
    active = np.ones(2048, np.bool_)
    for row in range(8):
        p.reset(row, active, 0)
    for g in (p.g_plus, p.g_minus):
        check_mean(g / FINE, 0.1, "RESET")
        check_spread(g / FINE, 0.01, "RESET")
    assert not p.pulses_plus.any()


def test_each_programming_event_draws_anew_and_each_device_its_own() -> None:
    p = pairs(0, 1)
    everywhere(p, 200)
    first = p.g_plus.copy()
    everywhere(p, 200)
    assert (p.g_plus != first).mean() > 0.99
    everywhere(p, 200, minus=True)
    assert abs(np.corrcoef(p.g_minus[0], first[0])[0, 1]) < 5 / 2048**0.5


@pytest.mark.parametrize("age_s", [1e-6, 1.0, 20.0, 3600.0, 1e6])
@pytest.mark.parametrize("nu", [0.0, 0.049, 0.1])
def test_drift_follows_its_power_law_from_the_start_of_its_clock(age_s: float, nu: float) -> None:
    start_ns = 12_345
    p = pairs(0, 1, significance_gain=3)
    everywhere(p, 200, now_ns=start_ns)
    p.nu_plus[:] = round(nu * 2**20)
    now_ns = start_ns + int(age_s * 1e9)
    factor = (1 + int(age_s * 1e9) / 20e9) ** -(round(nu * 2**20) / 2**20)
    expected = 3 * (p.g_plus * factor - p.g_minus)
    # A few parts in a million: three roundings to the grid and the tables' interpolation.
    assert np.abs(p.drifted(now_ns) / expected - 1).max() < 3e-6


def test_drift_is_written_back_from_the_programmed_value_and_never_compounds() -> None:
    p, twin = pairs(0, 2), pairs(0, 2)
    everywhere(p, 200)
    everywhere(twin, 200)
    g = p.g_plus.copy()
    for second in range(1, 6):
        assert p.write_back_drift(1, second * 10**9)
    assert twin.write_back_drift(1, 5 * 10**9)
    assert p.higher[1].tolist() == twin.higher[1].tolist() == p.drifted(5 * 10**9)[1].tolist()
    assert (p.higher[0] != p.drifted(5 * 10**9)[0]).any(), "row 0 has not been written back"
    assert (p.g_plus == g).all()
    assert not p.write_back_drift(1, 5 * 10**9 + 23_999), "younger than a tick"
    assert p.write_back_drift(1, 5 * 10**9 + 24_000)


def test_drift_switched_off_never_moves() -> None:
    p = pairs(0, 1, drift="false")
    everywhere(p, 200)
    higher = p.higher.copy()
    assert not p.write_back_drift(0, 10**15)
    assert (p.drifted(10**15) == higher).all()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fraction", [0.01, 0.2])
def test_the_stuck_fraction_is_half_on_half_dead(seed: int, fraction: float) -> None:
    p = pairs(seed, stuck_fraction=fraction)
    for stuck in (p.stuck_plus, p.stuck_minus):
        for kind in (1, 2):
            found, share = (stuck == kind).mean(), fraction / 2
            error = (share * (1 - share) / stuck.size) ** 0.5
            assert abs(found - share) < ERRORS * error, (kind, found)


@pytest.mark.parametrize(("share", "kinds"), [(1, {0, 1}), (0, {0, 2})])
def test_stuck_devices_may_be_all_on_or_all_dead(share: int, kinds: set[int]) -> None:
    p = pairs(0, stuck_fraction=0.2, stuck_on_share=share)
    assert set(np.unique(p.stuck_plus)) == set(np.unique(p.stuck_minus)) == kinds


def test_stuck_devices_never_switch_nor_drift() -> None:
    p = pairs(0, 2, stuck_fraction=0.3, pcm_model="set_pulse")
    on, dead = p.stuck_plus == 1, p.stuck_plus == 2
    for step in (5, 40, 0):
        everywhere(p, step)
        p.pulse_cells(0, np.arange(p.g_plus.size), np.full(p.g_plus.size, 3), 0)
        assert (p.g_plus[on] == GRID).all()
        assert not p.g_plus[dead].any()
        assert not p.nu_plus[on | dead].any()
    assert (p.g_plus[p.stuck_plus == 0] != GRID).all()


def test_only_the_active_columns_of_the_row_are_written() -> None:
    p = pairs(0, 3, 50)
    before = p.g_plus.copy(), p.g_minus.copy()
    active = np.arange(50) % 2 == 0
    p.reset(1, active, 0)
    p.set(1, active, np.arange(50) % 4 == 0, np.full(50, 99), 0)
    for old, new in zip(before, (p.g_plus, p.g_minus), strict=True):
        assert (old[[0, 2]] == new[[0, 2]]).all()
        assert (old[1, ~active] == new[1, ~active]).all()
    assert (p.g_minus[1, 0::4] > p.g_plus[1, 0::4]).all()
    assert (p.g_plus[1, 2::4] > p.g_minus[1, 2::4]).all()


def test_conductance_stays_between_zero_and_the_ceiling() -> None:
    p = pairs(0, programming_noise=10)
    everywhere(p, 255)
    assert p.g_plus.min() == 0
    assert p.g_plus.max() == 25 * FINE


def test_the_set_table_takes_each_programming_code_to_the_nearest_ramp() -> None:
    spec = preset("paper")
    table, means = set_table(spec, devices()), pcm_tables(devices()).mean
    assert len(table) == spec.set_table_entries
    for index in range(len(table)):
        weight = ((index << 3) + 4) / 1024 * GRID
        assert abs(means[table[index]] - weight) <= np.abs(means - weight).min() + 0.5, index
