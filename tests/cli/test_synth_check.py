"""A netlist of cells is what its Verilog says: proven, simulated, and both seen to fail."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")

from crosstile import synthesis
from crosstile.cli import main
from spec.errors import InputError
from synth import asic, equivalence, gates, liberty, yosys
from synth.netlist import Netlist
from synth.process import Took
from tests.synth import damage
from tests.synth.block import BLOCK, COMMAND, FED, TOP, needs_cells, result_of

pytestmark = needs_cells
SIGNALS = ["count[7]", f"wide[{FED - 1}]"]
BENCH = f"""\
module bench;
    reg clock, reset_n, enable; reg [7:0] data; wire [7:0] count; wire [{FED - 1}:0] wide;
    reg [7:0] total; reg [{FED - 1}:0] held; reg on; integer cycle; integer wrong;
    {TOP} block(.aclk(clock), .aresetn(reset_n), .enable(enable), .data(data), .count(count),
        .wide(wide));
    initial begin
        wrong = 0; clock = 0; reset_n = 0; enable = 0; data = 0; total = 0; held = 0; on = 0;
        for (cycle = 0; cycle < 400; cycle = cycle + 1) begin
            #5 clock = 1; #5 clock = 0;
            if (!reset_n) begin total = 0; held = 0; on = 0; end
            else begin
                total = total + data;
                if (on) held = {{held[{FED - 9}:0], data}};
                on = enable;
            end
            if (count !== total || wide !== held) wrong = wrong + 1;
            data = $random; enable = $random; reset_n = cycle != 200;
        end
        if (wrong) $display("FAIL %0d", wrong); else $display("PASS");
        $finish;
    end
endmodule
"""


def changed(folder: Path, signal: str) -> str:
    """The netlist with another gate before a signal."""
    graph = Netlist.read(folder / asic.GRAPH, TOP, liberty.read(asic.LIBRARY))
    text = (folder / asic.NETLIST).read_text()
    return damage.swapped(text, damage.gate_before(graph, signal))


def test_a_netlist_is_proven_equal_to_its_verilog(block_folder: Path) -> None:
    verdict = result_of(block_folder)["equivalence"]
    assert verdict == {"equal": True, "points": FED + 9, "unproven": []}, "each flip-flop"
    assert "It is proven equal to the Verilog" in (block_folder / "report.md").read_text()


def test_a_changed_gate_is_named_by_the_proof_and_fails_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = asic.Target.synthesize

    def wrong(self: asic.Target, top: str, folder: Path) -> Took:
        took = right(self, top, folder)
        (folder / asic.NETLIST).write_text(changed(folder, "count[7]"))
        return took

    monkeypatch.setattr(synthesis, "tile_text", lambda spec: BLOCK)
    monkeypatch.setattr(asic.Target, "synthesize", wrong)
    out = tmp_path / "bad"
    assert main([*COMMAND, "--check", "--out", str(out)]) == 1
    verdict = result_of(out)["equivalence"]
    assert result_of(out)["power"] is None
    assert not verdict["equal"]
    assert "count[7]" in verdict["unproven"]
    assert len(verdict["unproven"]) < 20, "the others are proven"
    assert "NOT proven equal" in capsys.readouterr().out


def prove(folder: Path, netlist: str, within: Path) -> equivalence.Verdict:
    """Of the block's netlist as it is now."""
    (within / "netlist.v").write_text(netlist)
    shutil.copyfile(folder / asic.GENERIC, within / asic.GENERIC)
    return equivalence.compare(asic.GENERIC, "netlist.v", TOP, asic.LIBRARY, within)


def test_a_flip_flop_of_one_side_has_any_value_and_is_named(
    block_folder: Path, tmp_path: Path
) -> None:
    netlist = (block_folder / asic.NETLIST).read_text()
    verdict = prove(block_folder, netlist.replace("\\bank.on ", "\\bank.off "), tmp_path)
    assert verdict.points == FED + 8
    assert {"gold.bank.on", "gate.bank.off", "wide[0]", "wide[99]"} <= set(verdict.unproven)
    assert "count[0]" not in verdict.unproven


def test_a_flip_flop_of_the_other_edge_is_named(block_folder: Path, tmp_path: Path) -> None:
    netlist = (block_folder / asic.NETLIST).read_text()
    verdict = prove(block_folder, re.sub("DFFPOSX1", "DFFNEGX1", netlist, count=1), tmp_path)
    assert len(verdict.unproven) == 1


def test_a_net_without_a_driver_has_any_value(block_folder: Path, tmp_path: Path) -> None:
    netlist = (block_folder / asic.NETLIST).read_text()
    less = re.sub(r"  NAND2X1 \S+ \(.*?\);\n", "", netlist, count=1, flags=re.DOTALL)
    assert less != netlist
    assert not prove(block_folder, less, tmp_path).equal


def test_other_ports_are_an_error(block_folder: Path, tmp_path: Path) -> None:
    netlist = (block_folder / asic.NETLIST).read_text().replace("enable", "disable")
    with pytest.raises(InputError, match="No matching port"):
        prove(block_folder, netlist, tmp_path)


def test_an_earlier_verdict_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / equivalence.SWEPT).write_text("{}")
    monkeypatch.setattr(yosys, "run", lambda *_: "")
    with pytest.raises(InputError, match="compared nothing"):
        equivalence.compare(asic.GENERIC, asic.NETLIST, TOP, asic.LIBRARY, tmp_path)


def test_no_points_are_no_proof() -> None:
    assert not equivalence.judge({"ports": {}, "cells": {}, "netnames": {}}).equal


def played(netlist: str, within: Path, *, delays: bool) -> str:
    for name, text in (("bench.v", BENCH), ("netlist.v", netlist)):
        (within / name).write_text(text)
    shutil.copyfile(asic.CELLS, within / asic.CELLS.name)
    sources = ["bench.v", "netlist.v", asic.CELLS.name]
    _, said = gates.simulate(within, sources, ["bench"], delays=delays)
    return said.splitlines()[-1]


@pytest.mark.skipif(bool(gates.missing()), reason=f"needs Icarus: {gates.missing()}")
def test_gates_do_what_the_verilog_does_and_a_changed_one_does_not(
    block_folder: Path, tmp_path: Path
) -> None:
    netlist = (block_folder / asic.NETLIST).read_text()
    assert played(netlist, tmp_path, delays=False) == "PASS"
    assert played(netlist, tmp_path, delays=True) == "PASS"
    for signal in SIGNALS:
        assert played(changed(block_folder, signal), tmp_path, delays=True).startswith("FAIL ")


def test_check_is_for_cells_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["synth", "--target", "ecp5-25k", "--check", "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert capsys.readouterr().err.startswith("crosstile: --check: --target ecp5-25k has no ")
