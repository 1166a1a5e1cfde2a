"""Who may import whom: the contract needs nothing, and its two sides never meet."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import spec

ROOT = Path(spec.__file__).parent.parent
HDL = {"amaranth", "amaranth_soc", "cocotb", "cocotbext", "pyverilator", "rtl", "cocotb_tests"}


def imported(package: str) -> list[tuple[str, str]]:
    """(file and line, top-level module) of every import below a package, wherever it stands."""
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}:{node.lineno}: a relative import"
                names = [node.module or ""]
            else:
                continue
            place = f"{path.relative_to(ROOT)}:{node.lineno}"
            found += [(place, name.split(".")[0]) for name in names]
    return found


def test_spec_imports_the_standard_library_alone() -> None:
    allowed = set(sys.stdlib_module_names) | {"spec"}
    found = imported("spec")
    assert found
    assert [hit for hit in found if hit[1] not in allowed] == []


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("golden", HDL),
        ("rtl", {"golden", "crosstile"}),
        ("golden", {"crosstile", "synth", "benchmarks", "tests"}),
        ("spec", {"numpy", "golden", *HDL}),
    ],
)
def test_no_import_crosses_a_border(package: str, forbidden: set[str]) -> None:
    assert [hit for hit in imported(package) if hit[1] in forbidden] == []


def test_nothing_in_golden_draws_from_a_hidden_random_stream() -> None:
    hits = []
    for path in sorted((ROOT / "golden" / "digital").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        hits += [path.name for word in ("np.random", "import random", "float64") if word in text]
    assert hits == [], "golden/digital is integers, and nothing in it is random"
