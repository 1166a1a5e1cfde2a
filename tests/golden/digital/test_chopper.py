"""The chopper: its bits against a plain shift register, and that they are good for what they do."""

from __future__ import annotations

import numpy as np
import pytest

from golden.digital.chopper import Chopper
from spec.lfsr import CHOPPER_LAG, CHOPPER_RESET, LFSR_BITS

DRAWS = 40_000
SIGMA = DRAWS**-0.5
"""Standard deviation of the mean of so many fair coins of +1 and -1."""


def signs(count: int = DRAWS) -> np.ndarray:
    chopper = Chopper()
    return np.array([1 - 2 * chopper.draw() for _ in range(count)])


def test_the_bits_are_those_of_the_shift_register() -> None:
    chopper = Chopper()
    # The oldest first; the state has the newest in its lowest bit.
    bits = [(CHOPPER_RESET >> k) & 1 for k in reversed(range(LFSR_BITS))]
    for _ in range(1000):
        assert chopper.draw() == bits[-1]
        bits.append(bits[-LFSR_BITS] ^ bits[-CHOPPER_LAG])
        assert chopper.state == int("".join(map(str, bits[-LFSR_BITS:])), 2)


def test_the_bits_are_balanced_from_the_start_on() -> None:
    assert abs(signs().mean()) < 3 * SIGMA
    assert abs(signs(200).mean()) < 3 * 200**-0.5


# Rows next to each other, and a row at its next transfers in tiles of many sizes.
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 16, 25, 31, 33, 64, 126, 251, 529])
def test_a_bit_does_not_follow_the_one_before_nor_a_rows_last(rows: int) -> None:
    drawn = signs()
    assert abs((drawn[rows:] * drawn[:-rows]).mean()) < 4 * SIGMA


def test_aresetn_starts_it_anew() -> None:
    chopper = Chopper()
    first = [chopper.draw() for _ in range(50)]
    chopper.reset()
    assert [chopper.draw() for _ in range(50)] == first
