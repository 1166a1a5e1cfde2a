"""Means, intervals and paired differences, against figures worked by hand."""

from __future__ import annotations

import math

import pytest

from crosstile.study.statistics import T_975, Mean, equivalent, mean, paired


def test_a_mean_has_students_interval() -> None:
    found = mean([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.mean == 3
    assert found.half == pytest.approx(2.776 * math.sqrt(2.5 / 5))
    assert str(found) == "3.00 ± 1.96"
    assert mean([7.0]) == Mean(7.0, None)
    assert str(mean([7.0])) == "7.00"


def test_quantiles_fall_towards_the_normal_one() -> None:
    assert len(T_975) == 30
    assert list(T_975) == sorted(T_975, reverse=True)
    many = mean([0.0, 1.0] * 50)
    assert many.half == pytest.approx(2.042 * math.sqrt(25 / 99 / 100))


def test_differences_are_of_the_seeds_that_both_have() -> None:
    found = paired({0: 98.0, 1: 97.0, 2: 50.0}, {0: 97.5, 1: 97.5, 3: 1.0})
    assert found is not None
    assert found.mean == 0
    assert paired({0: 1.0}, {1: 1.0}) is None


def test_equivalent_is_the_whole_interval_within_the_margin() -> None:
    assert equivalent(Mean(-0.1, 0.1), 0.25) is True
    assert equivalent(Mean(-0.1, 0.2), 0.25) is False
    assert equivalent(Mean(-0.1, None), 0.25) is None
