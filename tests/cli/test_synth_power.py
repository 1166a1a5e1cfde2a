"""Power from toggles: held against OpenSTA where it knows, and against sums done by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")

from cocotb_tests import build
from cocotb_tests.closed_loop import trace
from crosstile import activity, synthesis
from crosstile.cli import main
from crosstile.verilog import tile_spec
from golden.training.loop import Run
from spec.errors import InputError
from spec.tile import TileSpec
from synth import asic, gates, liberty, opensta, power, vcd
from synth.netlist import Netlist
from tests.synth.block import BLOCK, COMMAND, FED, TOP, needs_cells, result_of

pytestmark = needs_cells
HALF_CV2 = 0.5 * 1.8**2


def netlist_of(block_folder: Path) -> Netlist:
    return Netlist.read(block_folder / asic.GRAPH, TOP, liberty.read(asic.LIBRARY))


def test_switching_power_is_opensta_s_at_one_activity_of_all_nets(
    block_folder: Path, tmp_path: Path
) -> None:
    netlist = netlist_of(block_folder)
    reports = (
        f"read_liberty {asic.LIBRARY}\nread_verilog {block_folder / asic.NETLIST}\n"
        f"link_design {TOP}\n"
        + opensta.CONSTRAINTS.format(period_ns=5)
        + "set_power_activity -global -activity 0.5 -duty 0.5\nreport_power -digits 6\n"
    )
    said = opensta.run(reports, tmp_path).log
    expected = {
        name: float(number) * 1000
        for name, number in re.findall(r"^(Sequential|Combinational) +\S+ +(\S+)", said, re.M)
    }
    every = dict.fromkeys(netlist.names.values(), 0.5)
    found = power.power(netlist, power.read_slews(block_folder / opensta.SLEWS), every, 200)[
        "groups"
    ]
    assert found["logic"]["switching_mw"] == pytest.approx(expected["Combinational"], rel=1e-3)
    assert found["flip-flops"]["switching_mw"] == pytest.approx(expected["Sequential"], rel=1e-3)


def test_at_rest_there_is_the_clock_alone(block_folder: Path) -> None:
    netlist, slews = netlist_of(block_folder), power.read_slews(block_folder / opensta.SLEWS)
    found = power.power(netlist, slews, {}, 200)
    pin = netlist.library.cells["DFFPOSX1"].pins["CLK"]
    clock = 2 * HALF_CV2 * pin.capacitance_pF * 200 * (FED + 9) / 1000
    assert found["groups"]["clock"]["switching_mw"] == pytest.approx(clock, rel=1e-4)
    (energy,) = pin.energies
    edges = energy.rise.at(0) + energy.fall.at(0)
    within = edges * 200 * (FED + 9) / 1000
    assert found["groups"]["clock"]["internal_mw"] == pytest.approx(within, rel=1e-4)
    for group in ("logic", "flip-flops"):
        assert found["groups"][group]["total_mw"] == found["groups"][group]["leakage_mw"]


def test_blocks_and_groups_have_the_same_sum(block_folder: Path) -> None:
    netlist, slews = netlist_of(block_folder), power.read_slews(block_folder / opensta.SLEWS)
    found = power.power(netlist, slews, dict.fromkeys(netlist.names.values(), 0.1), 200)
    for parts in (found["groups"].values(), found["blocks"]):
        assert sum(part["total_mw"] for part in parts) == pytest.approx(found["total_mw"], abs=1e-3)
    blocks = {block["name"]: block["total_mw"] for block in found["blocks"]}
    assert sum(blocks.values()) / 2 < max(blocks.values()), "the bank has most flip-flops"


def test_toggles_are_counted_a_bit_at_a_time_from_known_to_known() -> None:
    text = """\
$scope module t $end
$var wire 1 ! aclk $end
$var wire 4 " bus [3:0] $end
$var wire 1 # \\in.side[3] $end
$upscope $end
$enddefinitions $end
#0
$dumpvars
0!
bx "
x#
$end
#1
1!
b1 "
1#
#2
0!
b1110 "
0#
#3
1!
b0 "
x#
#4
0!
1#
#5
1!
"""
    found = vcd.read(text.splitlines(keepends=True), "aclk")
    assert found.cycles == 2
    assert found.nets == {
        "aclk": 5, "bus[3]": 2, "bus[2]": 2, "bus[1]": 2, "bus[0]": 1, "in.side[3]": 1,
    }  # fmt: skip
    with pytest.raises(ValueError, match="other did not run"):
        vcd.read(text.splitlines(keepends=True), "other")


def test_without_a_run_the_page_says_how_to_get_one(block_folder: Path) -> None:
    found = result_of(block_folder)
    assert found["power"] is None
    assert found["activity"]["missing"] == "--activity none was given"
    page = (block_folder / "report.md").read_text()
    assert "Not known: --activity none was given." in page
    assert "--activity DIR" in page


def test_a_tile_that_is_too_large_or_has_no_inputs_gets_no_run_unasked() -> None:
    if build.missing():
        pytest.skip(build.missing())
    assert "no inputs" in activity.unable(tile_spec("paper", 1, 3, {}))
    assert "1,024 synapses" in activity.unable(tile_spec("paper", 33, 32, {}))
    assert activity.unable(tile_spec("paper", 32, 32, {})) == ""


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--activity", "nowhere"], "nowhere/trace.bin: cannot be read"),
        (["--target", "ecp5-25k", "--activity", "x"], "--activity: --target ecp5-25k has no power"),
    ],
)
def test_an_activity_that_cannot_be_is_one_line(
    options: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMMAND, *options, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert line in error


def test_a_recording_of_other_tiles_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The same size is not enough. Real texts take seconds.
    monkeypatch.setattr(activity, "tile_text", repr)
    trace.Writer(tmp_path / "trace.bin", trace.describe("pcm-3t1c", {}, [4, 3])).end(None)
    command = [*COMMAND, "--activity", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "has no such tile of 5x3: its tiles are 5x3; give" in error


def recorded_run(folder: Path, spec: TileSpec) -> dict[str, Any]:
    """What cosim leaves."""
    layers = [spec.rows - 1, spec.columns]
    folder.mkdir(parents=True, exist_ok=True)
    described = trace.describe("pcm-3t1c", activity._settings(spec), layers)
    trace.Writer(folder / "trace.bin", described).end(None)
    return {"identical": True}


def test_a_run_that_was_stopped_is_recorded_anew_and_one_that_ended_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, calls = tile_spec("tiny", None, None, {}), []

    def stopped(_run: Run, _network: None, _given: None, folder: Path, *_: Any, **__: Any) -> None:
        (folder / "design.v").parent.mkdir(exist_ok=True)
        (folder / "design.v").write_text("half")
        raise KeyboardInterrupt

    def whole(
        run: Run, _network: None, _given: None, folder: Path, *_: Any, **__: Any
    ) -> dict[str, Any]:
        calls.append(run)
        assert not (folder / "design.v").exists()
        return recorded_run(folder, spec)

    monkeypatch.setattr(activity, "tile_text", repr)
    monkeypatch.setattr(activity.cosim, "cosim", stopped)
    with pytest.raises(KeyboardInterrupt):
        activity.own(spec, tmp_path)
    monkeypatch.setattr(activity.cosim, "cosim", whole)
    first = activity.own(spec, tmp_path)
    assert (first.folder, first.name) == (tmp_path / activity.RECORDED, activity.RECORDED)
    assert activity.own(spec, tmp_path) == first
    assert len(calls) == 1
    with pytest.raises(InputError, match="no recording of this tile; give another folder"):
        activity.own(tile_spec("tiny", 6, 3, {}), tmp_path)


def test_a_tile_that_differs_from_golden_is_a_failed_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity.cosim, "cosim", lambda *_, **__: {"identical": False})
    monkeypatch.setattr(activity.cosim, "mismatch_text", lambda found: "weights[3]")
    with pytest.raises(activity.DiffersError, match=r"differs from golden: weights\[3\]"):
        activity.own(tile_spec("tiny", None, None, {}), tmp_path)


def test_gates_that_differ_fail_the_command_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def differ(*_: Any) -> None:
        raise activity.DiffersError("the gates differ")

    monkeypatch.setattr(synthesis, "tile_text", lambda spec: BLOCK)
    monkeypatch.setattr(activity, "unable", lambda spec: "")
    monkeypatch.setattr(activity, "own", lambda spec, folder: None)
    monkeypatch.setattr(activity, "measure", differ)
    out = tmp_path / "out"
    for _ in range(2):
        assert main([*COMMAND, "--out", str(out)]) == 1
        assert "no power: the gates differ" in capsys.readouterr().out
        assert result_of(out)["activity"] == {"missing": "the gates differ", "differs": True}
        (out / "result.json").unlink()
    assert "Not known: the gates differ.\n" in (out / "report.md").read_text()


def test_a_recording_without_icarus_is_one_line_before_the_synthesis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gates, "COMPILER", "no-iverilog")
    command = [*COMMAND, "--activity", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "apt-get install iverilog" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.exhaustive
def test_the_gates_of_a_tile_play_its_own_run(tmp_path: Path) -> None:
    """A whole tile: what was recorded at the RTL happens at the gates, and toggles are counted."""
    if build.missing():
        pytest.skip(build.missing())
    assert main([*COMMAND, "--out", str(tmp_path / "tile")]) == 0
    found: dict[str, Any] = json.loads((tmp_path / "tile" / "result.json").read_text())
    assert found["activity"]["commands"]["FORWARD"] == activity.EXAMPLES
    assert found["activity"]["cycles"] > 100
    groups = found["power"]["groups"]
    assert 0 < groups["logic"]["total_mw"] < groups["clock"]["total_mw"]
    netlist = tmp_path / "tile" / asic.NETLIST
    text = netlist.read_text()
    damaged = re.sub(r"^  NAND2X1 (_\d+_) \(", r"  NOR2X1 \1 (", text, flags=re.MULTILINE)
    netlist.write_text(damaged)
    recording = activity.Recording(tmp_path / "tile" / activity.RECORDED, "again", 0, "")
    with pytest.raises(activity.DiffersError, match="the gates differ from what was recorded"):
        activity.measure(recording, netlist, asic.CELLS, tmp_path / "other")
