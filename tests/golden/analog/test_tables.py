"""Logarithm and exponential: the same integers everywhere, close to the real functions."""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.analog.tables import EXP2, LOG2, ONE, decay_loss, exp2_negative, log2

fixed = settings(derandomize=True, deadline=None, max_examples=300)


def digest(table: np.ndarray) -> str:
    return hashlib.sha256(table.astype("<i8").tobytes()).hexdigest()


def test_the_tables_have_their_digests() -> None:
    assert digest(LOG2) == "6e75ca255e6e583b694e7cbf87940d8b848c4a3fefb31537a7ec91c3f234c3ec"
    assert digest(EXP2) == "bb3655aca3d6eb692d8587013be346e8926f80ec54734f1e2d735b486a0448c3"


def test_the_tables_are_the_functions_to_half_a_unit() -> None:
    k = np.arange(4097)
    assert np.abs(LOG2 - ONE * np.log2(1 + k / 4096)).max() < 0.5 + 1e-6
    assert np.abs(EXP2 - ONE * np.exp2(-k / 4096)).max() < 0.5 + 1e-6


@fixed
@given(st.integers(1, 1 << 62))
def test_log2_is_within_two_parts_in_a_hundred_million(value: int) -> None:
    assert abs(log2(value) / ONE - math.log2(value)) < 2e-8


def test_log2_of_powers_of_two_is_exact_and_it_never_falls() -> None:
    assert [log2(1 << k) for k in range(63)] == [k * ONE for k in range(63)]
    values = [log2(v) for v in range(1, 20_000)]
    assert values == sorted(values)


@fixed
@given(st.integers(0, 20 * ONE))
def test_exp2_negative_is_within_ten_units(power: int) -> None:
    found = int(exp2_negative(np.array([power]))[0])
    assert abs(found - ONE * 2.0 ** (-power / ONE)) < 10


def test_exp2_negative_at_its_ends() -> None:
    found = exp2_negative(np.array([0, ONE, 5 * ONE, 30 * ONE, 31 * ONE, 200 * ONE]))
    assert found.tolist() == [ONE, ONE // 2, ONE // 32, 1, 0, 0]


@fixed
@given(st.integers(1, 10**9), st.integers(1, 10**12))
def test_decay_loss_is_the_nearest_integer(elapsed: int, tau: int) -> None:
    found = decay_loss(Fraction(elapsed), Fraction(tau))
    assert abs(found + ONE * math.expm1(-elapsed / tau)) < 0.5 + 1e-6
