"""Counter-based draws: published vectors, addresses, and the moments of the bell."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from golden.analog.random import (
    BELL_SIGMA,
    LINE_BITS,
    TILE_BITS,
    Mechanism,
    NoiseLines,
    ProgrammingNoise,
    as_bells,
    bell,
    bell_scale,
    philox,
    scaled,
)

CELLS = 200_000


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0x00000000, 0x00000000), 0x00000000, (0xFF1DAE59, 0x6CD10DF2)),
        ((0xFFFFFFFF, 0xFFFFFFFF), 0xFFFFFFFF, (0x2C3F628B, 0xAB4FD7AD)),
        ((0x243F6A88, 0x85A308D3), 0x13198A2E, (0xDD7CE038, 0xF62A4C12)),
    ],
)
def test_known_answers_of_random123(
    counter: tuple[int, int], key: int, expected: tuple[int, int]
) -> None:
    ordinal, address = counter
    mechanism = Mechanism(address >> (TILE_BITS + LINE_BITS))
    tile = address >> LINE_BITS & (1 << TILE_BITS) - 1
    line = address & (1 << LINE_BITS) - 1
    found = int(philox(key, mechanism, tile, line, ordinal))
    assert (found & 0xFFFFFFFF, found >> 32) == expected


def test_each_part_of_an_address_matters_and_arrays_broadcast() -> None:
    addresses = [
        *((1, Mechanism.SET, 2, 3, 4), (2, Mechanism.SET, 2, 3, 4), (1, Mechanism.RESET, 2, 3, 4)),
        *((1, Mechanism.SET, 3, 3, 4), (1, Mechanism.SET, 2, 4, 4), (1, Mechanism.SET, 2, 3, 5)),
    ]
    values = {int(philox(*address)) for address in addresses}
    assert len(values) == 6
    table = philox(1, Mechanism.SET, 2, np.arange(5), np.arange(3)[:, None])
    assert table.shape == (3, 5)
    assert table[2, 4] == philox(1, Mechanism.SET, 2, 4, 2)


def test_sixteen_mechanisms_have_an_address_each() -> None:
    assert sorted(int(m) for m in Mechanism) == list(range(16))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_bell_has_its_mean_and_variance_within_five_standard_errors(seed: int) -> None:
    draws = bell(philox(seed, Mechanism.WEIGHT, 0, np.arange(CELLS), 0))
    variance = ((1 << 32) - 1) / 3
    # A sum of four uniforms has kurtosis 2.7.
    assert abs(draws.mean()) < 5 * (variance / CELLS) ** 0.5
    assert abs(draws.var() - variance) < 5 * variance * (1.7 / CELLS) ** 0.5
    assert np.abs(draws).max() <= 2 * 65535
    assert abs(float(BELL_SIGMA) - variance**0.5) < 0.5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_neighbouring_addresses_are_uncorrelated_within_five_standard_errors(seed: int) -> None:
    lines = np.arange(CELLS)
    reference = bell(philox(seed, Mechanism.STEP, 0, lines, 7)).astype(float)
    others = {
        "next line": philox(seed, Mechanism.STEP, 0, lines + 1, 7),
        "next ordinal": philox(seed, Mechanism.STEP, 0, lines, 8),
        "next tile": philox(seed, Mechanism.STEP, 1, lines, 7),
        "next mechanism": philox(seed, Mechanism.MISMATCH, 0, lines, 7),
        "next seed": philox(seed + 1, Mechanism.STEP, 0, lines, 7),
    }
    for name, bits in others.items():
        correlation = np.corrcoef(reference, bell(bits))[0, 1]
        assert abs(correlation) < 5 / CELLS**0.5, f"{name}: {correlation:.4f}"


def test_scaled_has_the_standard_deviation_asked_and_one_rounding() -> None:
    scale = bell_scale(Fraction(1000))
    draws = bell(philox(0, Mechanism.SET, 0, np.arange(CELLS), 0))
    noise = scaled(draws, scale)
    assert abs(noise.std() / 1000 - 1) < 5 * (1.7 / (4 * CELLS)) ** 0.5
    exact = [(int(d) * scale * 2 + 65536) // 131072 for d in draws[:1000]]
    assert noise[:1000].tolist() == exact
    assert bell_scale(Fraction(0)) == 0


def test_noise_lines_give_each_channel_its_own_ordinals_whatever_the_mask() -> None:
    rng = np.random.default_rng(0)
    lines = NoiseLines(5, Mechanism.COLUMN_NOISE, 1, 6)
    ordinals = np.zeros(6, np.int64)
    for count in range(200):
        masked = 60 <= count < 140
        active = rng.random(6) < 0.5 if masked else np.ones(6, np.bool_)
        if count == 150:  # a restored state
            ordinals[:] = lines.ordinals[:] = 3
        drawn = bell(philox(5, Mechanism.COLUMN_NOISE, 1, np.arange(6), ordinals))
        found = lines.draw(active if masked or count % 2 else None)[0]
        assert found.tolist() == np.where(active, drawn, 0).tolist(), count
        ordinals += active
        assert lines.ordinals.tolist() == ordinals.tolist(), count


def test_noise_lines_give_repeats_and_forms_of_the_same_bells() -> None:
    lines, single = (NoiseLines(5, Mechanism.COLUMN_NOISE, 1, 700) for _ in range(2))

    def third(bells: np.ndarray) -> np.ndarray:
        return bells / 3.0

    def by_line(bells: np.ndarray) -> np.ndarray:
        return bells + np.arange(700) / 4.0

    for repeats, form in ((8, third), (1, by_line), (40, by_line), (3, as_bells), (9, third)):
        found = lines.draw(None, repeats, form)
        bells = np.concatenate([single.draw() for _ in range(repeats)]).astype(np.int64)
        assert found.tolist() == form(bells).tolist(), (repeats, form)
    assert (lines.ordinals == single.ordinals).all()


def test_programming_noise_is_that_of_its_row_device_and_ordinal_in_any_order() -> None:
    noise, cells = ProgrammingNoise(9, 2, 5, np.array([0, 8, 3])), np.arange(5)

    def by_hand(mechanism: Mechanism, row: int, device: int, ordinal: int) -> list[int]:
        return bell(philox(9, mechanism, 2, 5 * row + cells, 2 * ordinal + device)).tolist()

    resets = [(0, 0), (0, 2), (0, 8), (1, 8), (1, 3), (1, 4), (2, 3), (0, 4), (0, 70)]
    for row, ordinal in resets:
        expected = [by_hand(Mechanism.RESET, row, device, ordinal) for device in (0, 1)]
        assert noise.reset(row, ordinal).tolist() == expected, (row, ordinal)
        expected = [
            [by_hand(mechanism, row, device, ordinal + 1) for device in (0, 1)]
            for mechanism in (Mechanism.SET, Mechanism.DRIFT)
        ]
        assert noise.set(row, ordinal + 1).tolist() == expected, (row, ordinal)
    first = [by_hand(Mechanism.SET, 0, device, 0) for device in (0, 1)]
    assert noise.set(0, 0)[0].tolist() == first, "a SET without a RESET before"
