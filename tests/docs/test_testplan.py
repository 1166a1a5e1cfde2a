"""docs/testplan holds: each test it names is there, and each of the tile's tests is in it."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from cocotb_tests.coverage.functional import GROUPS

ROOT = Path(__file__).parents[2]
POINTS = tomllib.loads((ROOT / "docs" / "testplan" / "testplan.toml").read_text("utf-8"))
PLANNED = ("equivalence", "closed_loop")
"""Folders of tests/ all of whose tests are in the plan."""
TWINS = sorted(
    {path.stem for path in (ROOT / "rtl").glob("*.py")}
    & {path.stem for path in (ROOT / "golden" / "digital").glob("*.py")}
    - {"__init__", "axi_stream"}  # a shape of a port, with nothing of its own to test
)


def functions(path: Path) -> Iterable[str]:
    for node in ast.parse(path.read_text("utf-8"), str(path)).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield f"{path.relative_to(ROOT).as_posix()}::{node.name}"


def named(field: str) -> set[str]:
    return {name for point in POINTS.values() for name in point[field]}


@pytest.mark.parametrize("name", POINTS)
def test_a_point_is_complete(name: str) -> None:
    point = POINTS[name]
    assert set(point) == {"stimulus", "check", "covergroups", "tests"}
    assert point["stimulus"].endswith(".")
    assert point["check"].endswith(".")
    assert point["tests"]
    for field in ("tests", "covergroups"):
        assert len(point[field]) == len(set(point[field]))


def test_every_test_is_in_the_plan_and_every_test_of_the_plan_is_there() -> None:
    there = {
        test
        for folder in PLANNED
        for path in (ROOT / "tests" / folder).glob("test_*.py")
        for test in functions(path)
    }
    assert there == named("tests")


def test_every_block_with_a_twin_is_a_point_with_a_test_of_its_own() -> None:
    # The controller's is the tile's: its twin is what a host sees of the whole.
    files = {name: "tile" if name == "controller" else name for name in TWINS}
    missing = [
        name
        for name, file in files.items()
        if not any(
            f"/test_{file}.py::" in test for test in POINTS.get(name, {"tests": []})["tests"]
        )
    ]
    assert TWINS
    assert missing == []


def test_every_covergroup_is_in_the_plan_and_every_one_of_the_plan_is_defined() -> None:
    assert named("covergroups") == set(GROUPS)


@pytest.mark.parametrize("name", GROUPS)
def test_bins_are_distinct(name: str) -> None:
    says, bins = GROUPS[name]
    assert says
    assert len({" ".join(map(str, one)) for one in bins}) == len(bins)
