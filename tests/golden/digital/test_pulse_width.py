"""Codes become durations: exactly the code, the bias row at full scale."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from golden.digital.pulse_width import column_durations, row_durations
from spec.presets import preset

SPEC = preset("tiny")  # 5 rows, 3 columns, row codes 0..15, column codes -7..7


def test_a_row_lasts_its_code_and_the_bias_row_full_scale() -> None:
    assert row_durations(SPEC, np.array([0, 1, 14, 15], np.uint8)).tolist() == [0, 1, 14, 15, 15]


def test_one_row_is_the_bias_alone() -> None:
    durations = row_durations(replace(SPEC, rows=1), np.zeros(0, np.int64))
    assert durations.tolist() == [15]


def test_a_column_lasts_its_signed_code() -> None:
    assert column_durations(SPEC, np.array([-7, 0, 7], np.int8)).tolist() == [-7, 0, 7]


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([1, 2, 3], "(3,) row codes for 4 rows"),
        ([0, 0, 0, 16], "row codes must be 0..15"),
        ([-1, 0, 0, 0], "row codes must be 0..15"),
    ],
)
def test_illegal_row_codes(codes: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        row_durations(SPEC, np.array(codes))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([1, 2], "(2,) column codes for 3 columns"),
        ([8, 0, 0], "column codes must be within +-7"),
        ([0, -8, 0], "column codes must be within +-7"),
    ],
)
def test_illegal_column_codes(codes: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        column_durations(SPEC, np.array(codes))
