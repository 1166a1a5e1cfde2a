"""Parameters: types, ranges, overrides, and messages that say what to change."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

import pytest

from spec.errors import InputError
from spec.parameter import (
    TAGS,
    as_fraction,
    check_fields,
    leaves,
    override,
    parameter,
    to_dict,
)


@dataclass(frozen=True)
class Motor:
    turns: int = parameter(3, "how often", low=1, high=9)
    ratio: float = parameter(0.5, "gear", low=0, high=1)
    mode: str = parameter("slow", "speed", choices=("slow", "fast"))
    on: bool = parameter(True, "runs")
    depth: float = parameter(-1.0, "no upper bound", low=-5)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.mode == "fast" and self.turns < 5:
            raise InputError("turns: fast needs at least 5")


@dataclass(frozen=True)
class Cart:
    left: Motor = field(default_factory=Motor)
    right: Motor = field(default_factory=Motor)
    load: int = parameter(0, "on board", low=0, high=100)
    turns_limit: int = parameter(4, "of both")


@pytest.mark.parametrize(
    ("field_name", "value", "message"),
    [
        ("turns", 0, "turns=0: give a value from 1 to 9"),
        ("turns", 10, "turns=10: give a value from 1 to 9"),
        ("turns", 2.0, "turns=2.0: give a value of type int"),
        ("turns", True, "turns=True: give a value of type int"),
        ("ratio", float("nan"), "ratio=nan: give a value of type float"),
        ("ratio", float("inf"), "ratio=inf: give a value of type float"),
        ("ratio", True, "ratio=True: give a value of type float"),
        ("mode", "medium", "mode=medium: choose one of slow, fast"),
        ("mode", 1, "mode=1: give a value of type str"),
        ("on", 1, "on=1: give a value of type bool"),
        ("depth", -6, "depth=-6: give a value from -5 to inf"),
    ],
)
def test_an_illegal_value_is_one_line_that_says_what_is_allowed(
    field_name: str, value: object, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        Motor(**{field_name: value})  # pyright: ignore[reportArgumentType]
    assert str(caught.value) == message


def test_a_whole_number_is_a_legal_float() -> None:
    assert Motor(ratio=1).ratio == 1


def test_leaves_lists_every_parameter_by_its_path() -> None:
    found = leaves(Cart())
    assert list(found)[:2] == ["left.turns", "left.ratio"]
    assert len(found) == 12
    value, facts = found["right.mode"]
    assert (value, facts.metadata["choices"]) == ("slow", ("slow", "fast"))


def test_override_takes_a_tail_or_a_path_and_leaves_the_original_alone() -> None:
    before = Cart()
    after = override(before, {"load": "7", "left.turns": "9", "right.on": "off"})
    assert (after.load, after.left.turns, after.right.on) == (7, 9, False)
    assert before == Cart()


@pytest.mark.parametrize("order", [("left.mode", "left.turns"), ("left.turns", "left.mode")])
def test_settings_that_are_legal_only_together_may_come_in_any_order(
    order: tuple[str, str],
) -> None:
    texts = {"left.mode": "fast", "left.turns": "5"}
    assert override(Cart(), {name: texts[name] for name in order}).left.mode == "fast"


@pytest.mark.parametrize("text", ["true", "on", "1", "True", "ON"])
def test_words_for_true(text: str) -> None:
    assert override(Motor(on=False), {"on": text}).on is True


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("colour", "red", "--set colour: unknown parameter, see --help-set for the names"),
        ("limit", "1", "--set limit: unknown parameter, did you mean turns_limit?"),
        ("turns", "5", "--set turns: ambiguous, choose one of left.turns, right.turns"),
        ("load", "many", "load=many: give a whole number"),
        ("load", "1.5", "load=1.5: give a whole number"),
        ("left.ratio", "half", "ratio=half: give a number"),
        ("left.on", "maybe", "on=maybe: give true or false"),
        ("left.turns", "99", "turns=99: give a value from 1 to 9"),
        ("left.ratio", "nan", "ratio=nan: give a value of type float"),
    ],
)
def test_a_bad_override_is_one_line_that_says_what_to_change(
    name: str, text: str, message: str
) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        override(Cart(), {name: text})


def test_a_float_means_the_decimal_that_it_prints_as() -> None:
    assert as_fraction(0.1) == Fraction(1, 10)
    assert as_fraction(5e7) == 50_000_000
    assert as_fraction(1e-05) == Fraction(1, 100_000)


def test_an_unknown_tag_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown tag 'guessed'"):
        parameter(1, "", tag="guessed")
    assert TAGS == ("found", "derived", "assumed", "design")


def test_to_dict_nests_as_the_tree_does() -> None:
    assert to_dict(Cart())["left"]["turns"] == 3
