"""The mutants in the tree are what the seed draws, and each verdict can be told from the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")

from cocotb_tests import build
from cocotb_tests.closed_loop.verilog import DAMAGE
from cocotb_tests.mutation import campaign, design, draw, equivalent, netlist, report, yosys
from cocotb_tests.mutation.draw import Mutant

ADDER = """
module top(input clk, input [1:0] a, output [1:0] sum, output never);
  wire [1:0] one;
  part part(.clk(clk), .a(a), .one(one));
  assign sum = one + a;
  assign never = &{a, ~a};
endmodule
module part(input clk, input [1:0] a, output [1:0] one);
  reg [1:0] one;
  always @(posedge clk) one <= a & {2{a != 2'd3}};
endmodule
"""

pytestmark = pytest.mark.skipif(bool(build.missing()), reason=build.missing() or "all is there")


@pytest.mark.slow
def test_the_mutants_are_what_the_seed_draws() -> None:
    assert draw.draw(design.verilog(), design.top()) == json.loads(draw.FILE.read_text())


def test_mutants_are_shared_by_cells() -> None:
    digest, mutants = draw.load()
    cells = json.loads(draw.FILE.read_text())["cells"]
    assert len(mutants) == draw.COUNT >= 300
    assert [mutant.number for mutant in mutants] == list(range(1, len(mutants) + 1))
    for block, number in draw.shares(cells, draw.COUNT).items():
        assert sum(mutant.block == block for mutant in mutants) == number
        assert abs(number - draw.COUNT * cells[block] / sum(cells.values())) < 1
    assert digest == draw.digest(design.verilog())


def test_one_netlist_has_all_of_them(tmp_path: Path) -> None:
    drawn = draw.draw(ADDER, "top", count=6)
    mutants = [Mutant(**fields) for fields in drawn["mutants"]]
    text = netlist.damaged(ADDER, "top", mutants)
    (tmp_path / "damaged.v").write_text(text)
    for number in range(len(mutants) + 1):
        # Each is something else than the undamaged one, or proven not to be.
        (tmp_path / "miter.v").write_text(
            f"module miter(input clk, input [1:0] a, output [1:0] sum, output never);"
            f"top top(.clk(clk), .a(a), .sum(sum), .never(never), .{DAMAGE}(16'd{number}));"
            "endmodule"
        )
        yosys.run("read_verilog damaged.v; read_verilog miter.v; hierarchy -top miter", tmp_path)


def test_what_is_proven_is_no_damage(tmp_path: Path) -> None:
    wires = {
        "sum": "-mode inv -module top -cell $add$design.v:5$1 -port Y -portbit 0",
        "never": "-mode const0 -module top -cell $reduce_and$design.v:6$3 -port Y -portbit 0",
    }
    mutants = [Mutant(n, "top", options) for n, options in enumerate(wires.values(), 1)]
    prover = equivalent.Prover(ADDER, "top", mutants, tmp_path, clock="clk", reset="a")
    assert [prover.equivalent(mutant) is None for mutant in mutants] == [True, False]


def test_the_figure_counts_what_is_not_proven() -> None:
    _, mutants = draw.load()
    numbers = [mutant.number for mutant in mutants]
    verdicts = {
        "loop": {number: "a code" if number > 20 else None for number in numbers},
        "scripts": {number: "an answer" if number > 15 else None for number in range(1, 21)},
        "proofs": {number: "no pin differs" if number > 12 else None for number in range(1, 16)},
        "seeds": dict.fromkeys(range(3, 13)),
        "waits": {number: "not over" if number > 10 else None for number in range(4, 13)},
    }
    stages = {
        stage: {number: {"killed": how} for number, how in found.items()}
        for stage, found in verdicts.items()
    }
    assert list(stages) == list(campaign.STAGES)
    found = report.result(stages)
    total = {name: found["total"][name] for name in report.COLUMNS}
    assert list(total.values()) == [len(numbers), len(numbers) - 20, 5, 2, 3, 10]
    assert found["unfinished"] == 3
    assert found["killed_percent"] == 100 * (len(numbers) - 13) / (len(numbers) - 3)
