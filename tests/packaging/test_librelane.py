"""LibreLane's configuration: by itself, and by LibreLane's own loader where that is installed.

LibreLane needs an older click than ours, so it has an environment of its own, and LIBRELANE_PYTHON
names that one's Python: docs/packaging.md.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.packaging.conftest import Program
from tests.packaging.test_vivado import ports

PYTHON = os.environ.get("LIBRELANE_PYTHON")
LOAD = Path(__file__).parent / "load_librelane.py"
needs_librelane = pytest.mark.skipif(
    PYTHON is None, reason="needs LibreLane: LIBRELANE_PYTHON, see docs/packaging.md"
)


def test_it_names_the_tile_its_clock_and_files_that_are_there(tiny: Path) -> None:
    found = json.loads((tiny / "librelane.json").read_text())
    [verilog] = found["VERILOG_FILES"]
    assert verilog == f"dir::{found['DESIGN_NAME']}.v"
    assert (tiny / found["LINTER_VLT"].removeprefix("dir::")).is_file()
    assert found["CLOCK_PORT"] in ports(tiny / verilog.removeprefix("dir::"))


@needs_librelane
def test_librelane_loads_it(tiny: Path, run: Program, tmp_path: Path) -> None:
    done = run(PYTHON, LOAD, tiny / "librelane.json", tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "warning" not in done.stdout.lower()
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["VERILOG_FILES"] == [str(tiny / "crosstile_5x3.v")]
    assert found["LINTER_VLT"] == str(tiny / "crosstile.vlt")
    assert (found["CLOCK_PORT"], found["CLOCK_PERIOD"], found["FP_CORE_UTIL"]) == ("aclk", 10, 40)


@needs_librelane
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (('"CLOCK_PORT"', '"CLOCK_PIN"'), "CLOCK_PIN"),
        (("dir::crosstile_5x3.v", "dir::crosstile.v"), "VERILOG_FILES"),
        (('"CLOCK_PERIOD": 10', '"CLOCK_PERIOD": "ten"'), "CLOCK_PERIOD"),
    ],
)
def test_librelane_refuses_a_wrong_one(
    damage: tuple[str, str], said: str, tiny: Path, run: Program, tmp_path: Path
) -> None:
    damaged = Path(shutil.copytree(tiny, tmp_path / "tile"))
    text = (damaged / "librelane.json").read_text()
    assert damage[0] in text
    (damaged / "librelane.json").write_text(text.replace(*damage))
    done = run(PYTHON, LOAD, damaged / "librelane.json", tmp_path, cwd=tmp_path)
    assert done.returncode != 0
    assert said in done.stdout.splitlines()[-1]
