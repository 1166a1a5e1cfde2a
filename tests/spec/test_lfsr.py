"""The registers of streams and chopper: a jump of 16 is 16 steps, and the period is full."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec.lfsr import (
    CHOPPER_LAG,
    CHOPPER_RESET,
    COLUMN_LAG,
    LFSR_BITS,
    LFSR_MASK,
    ROW_LAG,
    STEPS_A_DRAW,
    draw,
    step,
)

LAGS = [ROW_LAG, COLUMN_LAG]


def stepped(state: int, lag: int) -> int:
    """One step of a Fibonacci register: the new bit enters at the bottom."""
    bit = (state >> (LFSR_BITS - 1) ^ state >> (lag - 1)) & 1
    return (state << 1 | bit) & LFSR_MASK


def times(a: int, b: int, modulus: int) -> int:
    """Product of polynomials over GF(2), modulo a polynomial of degree LFSR_BITS."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a >> LFSR_BITS:
            a ^= modulus
        b >>= 1
    return product


@settings(derandomize=True, deadline=None, max_examples=300)
@given(state=st.integers(1, LFSR_MASK), lag=st.sampled_from(LAGS))
def test_a_draw_is_sixteen_single_steps(state: int, lag: int) -> None:
    expected = state
    for _ in range(STEPS_A_DRAW):
        expected = stepped(expected, lag)
    assert draw(state, lag) == expected


@settings(derandomize=True, deadline=None, max_examples=100)
@given(state=st.integers(1, LFSR_MASK))
def test_a_step_is_one_and_never_ends_in_zero(state: int) -> None:
    assert step(state, CHOPPER_LAG) == stepped(state, CHOPPER_LAG) != 0


def test_the_chopper_starts_in_no_state_that_stays() -> None:
    assert 0 < CHOPPER_RESET <= LFSR_MASK


def test_the_sides_differ_and_a_draw_fits_between_the_taps() -> None:
    assert len({*LAGS, CHOPPER_LAG}) == 3
    assert LFSR_BITS >= 31
    assert min(LAGS) >= STEPS_A_DRAW == 16


@pytest.mark.parametrize("lag", [*LAGS, CHOPPER_LAG])
def test_the_polynomial_is_primitive(lag: int) -> None:
    # 2^31 - 1 is prime, so x has full order as soon as x^(2^31 - 1) = 1 and x != 1.
    modulus = 1 << LFSR_BITS | 1 << (LFSR_BITS - lag) | 1
    x, power = 2, 2
    for _ in range(LFSR_BITS):
        power = times(power, power, modulus)
    assert power == x, f"x^(2^{LFSR_BITS}) is {power:#x}, not x: lag {lag} is not primitive"


@pytest.mark.parametrize("lag", LAGS)
def test_no_state_is_reached_twice_soon_and_none_is_zero(lag: int) -> None:
    state, seen = 1, set()
    for count in range(100_000):
        assert state not in seen, f"state {state:#x} again after {count} draws"
        assert state != 0
        seen.add(state)
        state = draw(state, lag)
