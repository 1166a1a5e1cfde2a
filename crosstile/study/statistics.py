"""Means of a few seeds, with Student's intervals, and differences paired by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# 97.5 % quantiles of Student's t, 1 to 30 degrees of freedom; NIST/SEMATECH e-Handbook, 1.3.6.7.2.
T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
T_975_LARGE = 2.042
"""Of more degrees: that of 30, which is on the safe side (the limit is 1.960)."""


@dataclass(frozen=True)
class Mean:
    """A mean, and half of its 95 % interval; None of one value."""

    mean: float
    half: float | None

    def __str__(self) -> str:
        """With two decimals."""
        return f"{self.mean:.2f}" + ("" if self.half is None else f" ± {self.half:.2f}")


def mean(values: Sequence[float]) -> Mean:
    """Of at least one value."""
    count, middle = len(values), math.fsum(values) / len(values)
    if count < 2:
        return Mean(middle, None)
    variance = math.fsum((value - middle) ** 2 for value in values) / (count - 1)
    quantile = T_975[count - 2] if count - 2 < len(T_975) else T_975_LARGE
    return Mean(middle, quantile * math.sqrt(variance / count))


def paired(values: dict[int, float], others: dict[int, float]) -> Mean | None:
    """The mean of the differences of the seeds that both have; None where there are none."""
    differences = [values[seed] - others[seed] for seed in sorted(values) if seed in others]
    return mean(differences) if differences else None


def equivalent(difference: Mean, margin: float) -> bool | None:
    """Whether the whole 95 % interval lies within ± margin; None of one seed."""
    if difference.half is None:
        return None
    return abs(difference.mean) + difference.half <= margin
