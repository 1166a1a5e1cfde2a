"""Rounding and saturation mean the same number whoever computes them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec.formats import Signed, SignMagnitude, Unsigned, nearest, round_half_even

fixed = settings(derandomize=True, deadline=None, max_examples=200)


@fixed
@given(value=st.integers(-(1 << 50), 1 << 50), shift=st.integers(-8, 40))
def test_round_half_even_is_the_exact_quotient_rounded(value: int, shift: int) -> None:
    expected = round(Fraction(value) / Fraction(2) ** shift)
    assert round_half_even(value, shift) == expected


@pytest.mark.parametrize("shift", [0, 1, 2, 5])
def test_round_half_even_over_every_tie_and_neighbour(shift: int) -> None:
    values = range(-130, 131)
    assert [round_half_even(v, shift) for v in values] == [
        round(Fraction(v, 1 << shift)) for v in values
    ]


@fixed
@given(
    values=st.lists(st.integers(-(1 << 40), 1 << 40), min_size=1, max_size=20),
    shift=st.integers(-4, 20),
)
def test_an_array_rounds_as_its_elements(values: list[int], shift: int) -> None:
    found = round_half_even(np.array(values, np.int64), shift)
    assert found.tolist() == [round_half_even(v, shift) for v in values]


@fixed
@given(st.fractions())
def test_nearest_is_within_half(value: Fraction) -> None:
    assert abs(nearest(value) - value) <= Fraction(1, 2)


def test_nearest_takes_ties_to_even() -> None:
    halves = [Fraction(n, 2) for n in (-5, -3, -1, 1, 3, 5)]
    assert [nearest(h) for h in halves] == [-2, -2, 0, 0, 2, 2]


@pytest.mark.parametrize("bits", range(1, 17))
def test_limits_of_each_format(bits: int) -> None:
    signed, unsigned, magnitude = Signed(bits), Unsigned(bits), SignMagnitude(bits)
    assert (signed.low, signed.high) == (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    assert (unsigned.low, unsigned.high) == (0, 2**bits - 1)
    assert (magnitude.low, magnitude.high) == (-(2**bits - 1), 2**bits - 1)
