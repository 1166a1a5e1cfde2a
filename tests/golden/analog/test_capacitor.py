"""The capacitor: steps, mismatch, slope, bounds, leak and cycle-to-cycle spread."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from golden.analog.capacitor import ROOTS, SLOPE_BITS, Capacitors
from golden.analog.parameters import GRID, DeviceParameters, max_nominal_step, max_step
from spec.parameter import override
from spec.tile import MAX_SLOTS, TileSpec

SEEDS = [0, 1, 2]
ERRORS = 5
"""Standard errors that every interval here allows; several seeds each."""


def capacitors(seed: int = 0, rows: int = 8, columns: int = 6, **settings: Any) -> Capacitors:
    texts = {name: str(value) for name, value in settings.items()}
    of_tile = {name: texts.pop(name) for name in ("leak_tick_ns", "slots") if name in texts}
    spec = override(TileSpec(), {"rows": str(rows), "columns": str(columns), **of_tile})
    return Capacitors(spec, override(DeviceParameters(), texts), seed, 0)


def slowly(c: Capacitors, cell: tuple[int, int], count: int, up: bool) -> int:
    """A cell after `count` coincidences, in Python's own integers."""
    g = int(c.lower[cell])
    step = int(c.step_up[cell] if up else c.step_down[cell])
    slope = c.slope if up else -c.slope
    factor = (1 << SLOPE_BITS) - ((slope * (g >> SLOPE_BITS)) >> SLOPE_BITS)
    change = (count * step * factor) >> SLOPE_BITS
    moved = g + change if up else g - change
    return min(max(moved, -c.bound), c.bound) if count else g


# -- steps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_have_their_mean_spread_and_mismatch(seed: int) -> None:
    c = capacitors(seed, 200, 200, step_spread=0.1, up_down_mismatch=0.06)
    up, down = c.step_up / (0.001 * GRID), c.step_down / (0.001 * GRID)
    n = up.size
    size, beta = (up + down) / 2, (up - down) / (up + down)
    bell = (1.7 / (4 * n)) ** 0.5  # relative standard error of a spread; a bell's kurtosis is 2.7
    # Each step is rounded down twice: at most two fine units of 1049.
    assert -ERRORS * 0.1 / n**0.5 - 0.002 < size.mean() - 1 < ERRORS * 0.1 / n**0.5
    assert abs(size.std() / 0.1 - 1) < ERRORS * bell
    assert abs(beta.mean()) < ERRORS * 0.06 / n**0.5
    assert abs(beta.std() / 0.06 - 1) < ERRORS * bell + 0.001
    assert abs(np.corrcoef(size.ravel(), beta.ravel())[0, 1]) < ERRORS / n**0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mismatch_at_the_start_voltage_has_its_spread(seed: int) -> None:
    c = capacitors(seed, 200, 200, reference_mismatch=0.02)
    values = c.mismatch / GRID
    assert abs(values.mean()) < ERRORS * 0.02 / values.size**0.5
    assert abs(values.std() / 0.02 - 1) < ERRORS * (1.7 / (4 * values.size)) ** 0.5


def test_without_spread_every_step_is_nominal() -> None:
    c = capacitors(step_spread=0, up_down_mismatch=0, reference_mismatch=0)
    assert set(c.step_up.flat) == set(c.step_down.flat) == {round(0.001 * GRID)}
    assert not c.mismatch.any()


CORNERS = [
    {},
    {"slope": 0},
    {"slope": 0.5, "bound": 0.3},
    {"slope": 1, "bound": 0.05, "step": 0.0156, "step_spread": 0.5, "up_down_mismatch": 0.5},
    {"slope": 1, "bound": 1.0, "step": 0.0156, "step_spread": 0.5, "up_down_mismatch": 0.5},
]


def pulse_all(
    c: Capacitors, rows: Any, columns: Any, counts: Any, charge: Any, ordinal: int = 0
) -> None:
    """Pulse every cell of (rows, columns) with counts (rows, columns) and charge (columns,)."""
    cells = rows[:, None] * c.lower.shape[1] + columns
    c.pulse(cells, counts.astype(np.int32), charge, ordinal)


@pytest.mark.parametrize("settings", CORNERS, ids=str)
def test_a_pulse_is_the_slope_formula_exactly(settings: dict[str, float]) -> None:
    c, rng = capacitors(0, 30, 20, **settings), np.random.default_rng(0)
    for _ in range(6):
        c.lower[:] = rng.integers(-c.bound, c.bound + 1, c.lower.shape)
        c.lower[0], c.lower[1], c.lower[2] = -c.bound, c.bound, 0
        rows, columns = np.sort(rng.permutation(30)[:20]), np.sort(rng.permutation(20)[:15])
        rows[0] = 0
        counts = rng.integers(0, 33, (20, 15)).astype(np.uint8)
        counts[0] = 32
        charge = rng.random(15) < 0.5
        expected = c.lower.copy()
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                cell = int(row), int(column)
                expected[cell] = slowly(c, cell, int(counts[i, j]), bool(charge[j]))
        pulse_all(c, rows, columns, counts, charge)
        away = np.argwhere(c.lower != expected)
        assert not len(away), (
            f"cell {away[0]}: expected {expected[tuple(away[0])]}, got {c.lower[tuple(away[0])]}"
        )


@pytest.mark.parametrize("slots", [2, 32, 64, 128])
def test_the_largest_step_fits_the_headroom_it_claims(slots: int) -> None:
    step = max_nominal_step(slots)
    c = capacitors(0, 60, 60, slots=slots, step=step, step_spread=0.5, up_down_mismatch=0.5)
    assert c.step_up.max() == max_step(slots)
    worst = capacitors(slope=1, bound=0.05)
    factor = (1 << SLOPE_BITS) - ((worst.slope * (-worst.bound >> SLOPE_BITS)) >> SLOPE_BITS)
    assert slots * max_step(slots) * factor < 1 << 31


def test_the_step_shrinks_by_the_slope_from_the_centre_to_the_bound() -> None:
    c = capacitors(slope=0.25, step_spread=0, up_down_mismatch=0)
    row, ten, up = np.arange(6)[None], np.full((1, 6), 10, np.int32), np.ones(6, np.bool_)
    sizes = {}
    for where in (-1, 0, 1):
        c.lower[0, 0] = int(where * c.bound * 0.98)
        before = int(c.lower[0, 0])
        c.pulse(row, ten, up, 0)
        sizes[where] = int(c.lower[0, 0]) - before
    assert sizes[0] == 10 * round(0.001 * GRID)
    assert sizes[1] / sizes[0] == pytest.approx(1 - 0.25 * 0.98, abs=0.001)
    assert sizes[-1] / sizes[0] == pytest.approx(1 + 0.25 * 0.98, abs=0.002)


def test_bounds_hold_in_both_directions() -> None:
    c = capacitors(slope=0)
    rows, columns = np.arange(8), np.arange(6)
    full = np.full((8, 6), 32, np.uint8)
    for up in (True, False):
        for _ in range(100):
            pulse_all(c, rows, columns, full, np.full(6, up))
        assert (c.lower == (c.bound if up else -c.bound)).all()


def test_precharge_clears_one_row() -> None:
    c = capacitors()
    c.lower[:] = 77
    c.precharge(3)
    assert not c.lower[3].any()
    assert (np.delete(c.lower, 3, axis=0) == 77).all()


# -- cycle to cycle ----------------------------------------------------------------------------


def test_the_roots_are_256_square_roots() -> None:
    assert ROOTS.tolist() == [round(256 * n**0.5) for n in range(MAX_SLOTS + 1)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [1, 9, 32])
def test_cycle_to_cycle_spread_grows_as_the_root_of_the_steps(seed: int, count: int) -> None:
    c = capacitors(
        seed, 100, 100, cycle_to_cycle=0.3, step_spread=0, up_down_mismatch=0, slope=0
    )  # fmt: skip
    counts, up = np.full((100, 100), count, np.uint8), np.ones(100, np.bool_)
    pulse_all(c, np.arange(100), np.arange(100), counts, up, 5)
    step, n = 0.001 * GRID, 10_000
    noise = c.lower / step - count
    spread = 0.3 * count**0.5
    assert abs(noise.mean()) < ERRORS * spread / n**0.5 + 1 / step
    assert abs(noise.std() / spread - 1) < ERRORS * (1.7 / (4 * n)) ** 0.5 + 0.002
    again = c.lower.copy()
    c.lower[:] = 0
    pulse_all(c, np.arange(100), np.arange(100), counts, up, 5)
    assert (c.lower == again).all(), "the same ordinal must draw the same"
    c.lower[:] = 0
    pulse_all(c, np.arange(100), np.arange(100), counts, up, 6)
    assert (c.lower != again).any(), "another update must draw anew"


# -- leak --------------------------------------------------------------------------------------


@pytest.mark.parametrize("leak_tau_ns", [5e7, 5e6, 2e5])
def test_a_tracking_reference_leaks_towards_zero_by_the_exponential(leak_tau_ns: float) -> None:
    c = capacitors(leak_tau_ns=leak_tau_ns)
    start = np.linspace(-c.bound, c.bound, c.lower.size).reshape(c.lower.shape).astype(np.int32)
    c.lower[:] = start
    for tick in range(1, 301):
        c.leak()
        expected = start * np.exp(-tick * 24_000 / leak_tau_ns)
        # Each tick rounds once.
        assert np.abs(c.lower - expected).max() <= 0.5 * tick + 1, f"tick {tick}"


def test_a_fixed_reference_leaks_towards_the_found_voltage() -> None:
    c = capacitors(reference="fixed", leak_tau_ns=1e6)
    start, target = -300_000, (0.8 - 0.5) / 0.3 * GRID
    c.lower[:] = start
    for tick in range(1, 201):
        c.leak()
        expected = target + (start - target) * np.exp(-tick * 24_000 / 1e6)
        assert abs(int(c.lower[0, 0]) - expected) <= 0.5 * tick + 1, f"tick {tick}"
    for _ in range(2000):
        c.leak()
    assert 0 <= target - c.lower.max() < 0.5 * 1e6 / 24_000 + 1


def test_leak_says_when_nothing_moves_any_more() -> None:
    c = capacitors(leak_tau_ns=1e5)
    c.lower[:] = 500_000
    ticks = 0
    while c.leak():
        ticks += 1
        assert ticks < 1000
    rest = c.lower.copy()
    assert np.abs(rest).max() <= 0.5 * 1e5 / 24_000 + 1
    for _ in range(100):
        assert not c.leak()
    assert (c.lower == rest).all()


def test_leak_switched_off_never_moves() -> None:
    c = capacitors(leak_tau_ns=0, reference="fixed")
    c.lower[:] = 12345
    assert not c.leak()
    assert (c.lower == 12345).all()
