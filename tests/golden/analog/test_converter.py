"""Converters: one rounding, the rails, fixed offsets, and noise once per result."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from golden.analog.converter import Converters, joint_spread, offset_charge, ranges
from golden.analog.parameters import DeviceParameters
from golden.analog.random import bell_scale
from spec.parameter import override
from spec.tile import TileSpec

SEEDS = [0, 1, 2]
QUIET = {"read_noise": 0, "channel_offset": 0}


def devices(**settings: Any) -> DeviceParameters:
    return override(DeviceParameters(), {name: str(value) for name, value in settings.items()})


def test_a_full_scale_charge_is_a_full_scale_code() -> None:
    spec = override(
        TileSpec(),
        {"forward_range_log2": "3", "backward_range_log2": "-1", "read_range_log2": "2"},
    )
    weight = 1 << 20
    found = [to.shift for to in ranges(spec, devices())]
    full = [8 * 256 * weight / 256, 0.5 * 128 * weight / 256, 4 * weight / 2048]
    assert [1 << shift for shift in found] == full


def test_the_weight_unit_scales_what_vectors_give_but_not_what_a_read_gives() -> None:
    usual = [to.shift for to in ranges(TileSpec(), devices())]
    small = override(TileSpec(), {"weight_unit_log2": "-2"})
    # A quarter of the weight a unit: four times the charge for the same code.
    assert [to.shift for to in ranges(small, devices())] == [usual[0] + 2, usual[1] + 2, usual[2]]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_conversion_rounds_once_ties_to_even_and_stops_at_the_rails(which: int) -> None:
    to = ranges(TileSpec(), devices(**QUIET))[which]
    half, rng = 1 << (to.shift - 1), np.random.default_rng(0)
    ties = np.arange(2 * to.code.low - 9, 2 * to.code.high + 9) * half
    charge = np.concatenate([ties, ties + 1, ties - 1, rng.integers(-1000, 1000, 500) * half // 7])
    converters = Converters(devices(**QUIET), "column", len(charge), 0, 0)
    expected = [
        min(max(round(Fraction(int(q), 1 << to.shift)), to.code.low), to.code.high) for q in charge
    ]
    assert converters.convert(charge, to)[0].tolist() == expected


@pytest.mark.parametrize("side", ["row", "column"])
@pytest.mark.parametrize("seed", SEEDS)
def test_channel_offsets_are_fixed_and_have_their_spread(side: str, seed: int) -> None:
    n = 20_000
    converters = Converters(devices(channel_offset=2), side, n, seed, 0)
    lsb = converters.offsets / 256
    assert abs(lsb.mean()) < 5 * 2 / n**0.5
    assert abs(lsb.std() / 2 - 1) < 5 * (1.7 / (4 * n)) ** 0.5
    other = Converters(
        devices(channel_offset=2), "row" if side == "column" else "column", n, seed, 0
    )
    assert (converters.offsets != other.offsets).any()
    to = ranges(TileSpec(), devices(read_noise=0))[0]
    raw = Converters(devices(read_noise=0), side, n, seed, 0).convert(np.zeros(n, np.int64), to)
    assert raw[0].tolist() == [round(Fraction(int(o), 256)) for o in converters.offsets]


def test_offset_charge_is_the_offset_in_charge() -> None:
    assert offset_charge(np.array([256, -128, 1]), 20).tolist() == [1 << 20, -(1 << 19), 1 << 12]


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("noise", [0.5, 3.0])
def test_noise_has_its_spread_in_lsb_of_the_range_that_converts(
    which: int, seed: int, noise: float
) -> None:
    n, quiet = 20_000, devices(read_noise=noise, channel_offset=0)
    converters, to = Converters(quiet, "column", n, seed, 0), ranges(TileSpec(), quiet)[which]
    charge = np.random.default_rng(seed).integers(-20 << to.shift, 20 << to.shift, n)
    error = converters.convert(charge, to) - charge / (1 << to.shift)
    # Rounding adds its own variance of a twelfth.
    variance = noise**2 + 1 / 12
    assert abs(error.mean()) < 5 * (variance / n) ** 0.5
    assert abs(error.var() / variance - 1) < 5 * (2 / n) ** 0.5


def test_noise_is_drawn_once_per_result_and_anew_for_each() -> None:
    converters = Converters(devices(read_noise=4), "column", 8, 0, 0)
    to = ranges(TileSpec(), devices(read_noise=4))[2]
    charge = np.zeros(8, np.int64)
    first, second = converters.convert(charge, to), converters.convert(charge, to)
    assert converters.noise.ordinals.tolist() == [2] * 8
    assert first.tolist() != second.tolist()
    active = np.array([True, False] * 4)
    third = converters.convert(charge, to, active)[0]
    assert not third[~active].any()
    assert converters.noise.ordinals.tolist() == [3, 2] * 4


def test_joint_spread_is_the_root_of_the_sum_of_squares() -> None:
    cells = np.array([0, 3, 5, 12345, 10**8])
    found = joint_spread(4, cells)
    assert found.tolist() == [4, 5, 6, 12345, 10**8]
    assert bell_scale(Fraction(0)) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_cells_add_their_noise_to_that_of_the_converter(seed: int) -> None:
    n, noisy = 20_000, devices(read_noise=3, channel_offset=0)
    to = ranges(TileSpec(), noisy)[2]
    cells = np.full(n, bell_scale(Fraction(4 << to.shift)))
    spread = joint_spread(to.noise_scale, cells)
    raw = Converters(noisy, "column", n, seed, 0).convert(np.zeros(n, np.int64), to, None, spread)
    assert abs(raw.var() / (25 + 1 / 12) - 1) < 5 * (2 / n) ** 0.5
