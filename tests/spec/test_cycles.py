"""The marks of a tile's speed, by the formulas that tests/equivalence/test_cycles.py holds true."""

from __future__ import annotations

from dataclasses import replace

from spec import cycles
from spec.presets import preset

PAPER = preset("paper")
NETWORK = [
    replace(PAPER, rows=rows, columns=columns)
    for rows, columns in ((529, 250), (251, 125), (126, 10))
]


def mark(windows: int, update_windows: int) -> int:
    return (windows << PAPER.codes.pwm_bits) + update_windows * PAPER.update.slots + 600


def test_a_tile_spends_at_most_5_percent_beside_its_windows_and_vectors() -> None:
    assert cycles.overhead_share(PAPER) <= 0.05


def test_an_example_with_one_polarity() -> None:
    assert cycles.example(NETWORK) <= mark(5, 1)


def test_an_example_with_both_polarities() -> None:
    assert cycles.example(NETWORK, 2) <= mark(8, 2)


def test_a_slower_macro_adds_its_time_once_a_phase() -> None:
    assert cycles.forward(PAPER, 2).total(late=7) == cycles.forward(PAPER, 2).total() + 14
