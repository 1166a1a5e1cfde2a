"""The LiteX example: a system with the tile, driven over LiteX's bus in Icarus."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from crosstile.verilog import tile_spec
from tests.packaging.conftest import Program, packaged

pytest.importorskip("litex", reason="needs the flows extra: pip install '.[flows]'")
pytestmark = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="needs Icarus: apt install iverilog"
)


def example(run: Program, package: Path, out: Path) -> tuple[int, list[str]]:
    """Exit code and last lines of the example."""
    done = run(sys.executable, "litex/example.py", "--out", out, cwd=package)
    return done.returncode, done.stdout.splitlines()[-2:]


def test_the_tile_works_behind_litexs_bus_and_csrs(
    tiny: Path, run: Program, tmp_path: Path
) -> None:
    code, said = example(run, tiny, tmp_path / "out")
    assert (code, said[-1]) == (0, "PASS"), said


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("rows", "columns", "axis_bytes"),
    [(37, 19, "2"), (12, 40, "16"), (70, 9, "32"), (37, 70, "64")],
)
def test_other_sizes_and_widths(
    rows: int, columns: int, axis_bytes: str, run: Program, tmp_path: Path
) -> None:
    spec = tile_spec("small", rows, columns, {"axis_bytes": axis_bytes})
    code, said = example(run, packaged(spec, tmp_path / "tile"), tmp_path / "out")
    assert (code, said[-1]) == (0, "PASS"), said


@pytest.mark.parametrize(
    ("file", "damage", "said"),
    [
        ("crosstile_5x3.py", ("Signal(reset=1)", "Signal(reset=0)"), "got 00000000"),
        ("example.py", ("bytes(codes))", "bytes([0, *codes[1:]]))"), "expected 00000005"),
    ],
)
def test_the_example_fails_where_something_is_wrong(
    file: str, damage: tuple[str, str], said: str, tiny: Path, run: Program, tmp_path: Path
) -> None:
    damaged = Path(shutil.copytree(tiny, tmp_path / "tile"))
    text = (damaged / "litex" / file).read_text()
    assert damage[0] in text
    (damaged / "litex" / file).write_text(text.replace(*damage).replace("== 100000)", "== 2000)"))
    code, last = example(run, damaged, tmp_path / "out")
    assert (code, last[-1]) == (1, "FAIL")
    assert said in last[0]


def test_without_icarus_one_line_says_so(tiny: Path, run: Program, tmp_path: Path) -> None:
    command = [sys.executable, "litex/example.py", "--out", tmp_path / "out"]
    done = run(*command, cwd=tiny, PATH=str(tmp_path))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        2,
        "example.py: error: iverilog is not on PATH: install Icarus Verilog",
    )
    assert not (tmp_path / "out").exists()
