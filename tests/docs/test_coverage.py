"""What the tests reach: sampled, left in a folder, added up, counted, reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from cocotb_tests import build
from cocotb_tests.coverage import functional, report, verilator
from cocotb_tests.coverage.verilator import Exclusion, Point

VERILOG = """module crosstile_5x3_tile_known(a);
  if (net_1) begin
    net_7 = offsets;
  end
endmodule
"""


def record(count: int, **keys: str) -> str:
    return "C '" + "".join(f"\x01{key}\x02{value}" for key, value in keys.items()) + f"' {count}"


DATA = "\n".join(
    [
        "# SystemC::Coverage-3",
        record(4, f="netlist.v", l="2", page="v_branch/crosstile_5x3_tile_known", o="if", S="2-3"),
        record(0, f="netlist.v", l="4", page="v_branch/crosstile_5x3_tile_known", o="else", S="4"),
        record(1, f="netlist.v", l="1", page="v_toggle/crosstile_5x3_tile_known", o="a:0->1"),
        record(0, f="netlist.v", l="1", page="v_toggle/crosstile_5x3_tile_known", o="a:1->0"),
        record(9, f="netlist.v", l="1", page="v_toggle/closed_loop_meter", o="b:1->0"),
    ]
)


def test_lines_and_toggles_are_read_and_excluded_with_a_reason() -> None:
    found = verilator.counts(DATA, VERILOG)
    assert found == {
        Point("line", "known", 2, "if (net_1) begin"): 4,
        Point("line", "known", 3, "net_7 = offsets;"): 4,
        Point("line", "known", 4, "end"): 0,
        Point("toggle", "known", 1, "a:0->1"): 1,
        Point("toggle", "known", 1, "a:1->0"): 0,
    }
    rule = Exclusion("toggle", "kn.*", "a:.*", "because")
    lines, toggles = (verilator.figures(found, [rule])[kind]["known"] for kind in verilator.KINDS)
    assert (lines.hit, lines.counted, lines.excluded.total()) == (2, 3, 0)
    # What was hit is not excluded.
    assert (toggles.hit, toggles.counted, toggles.excluded) == (1, 1, {rule: 1})
    toggles = verilator.figures(found, [], {("known", "a")})["toggle"]["known"]
    assert (toggles.hit, toggles.counted, toggles.excluded) == (1, 1, {verilator.CONSTANT: 1})


CONSTANT = """
module crosstile_1x1_tile_known(input clk, input [1:0] a, output [3:0] b__c, output d);
  reg kept = 1'h0;
  always @(posedge clk) if (a[0]) kept <= 1'h0;
  assign b__c = { 1'h1, kept, a };
  assign d = a[1];
endmodule
module crosstile_1x1_tile(input clk, input a, output [3:0] o, output d);
  crosstile_1x1_tile_known known(.clk(clk), .a({ 1'h0, a }), .b__c(o), .d(d));
endmodule
module crosstile_1x1(input clk, input a, output [3:0] o, output d);
  crosstile_1x1_tile tile(.clk(clk), .a(a), .o(o), .d(d));
endmodule
"""


@pytest.mark.skipif(bool(build.missing()), reason=build.missing() or "all is there")
def test_bits_that_never_move_are_found_through_hierarchy_and_registers(tmp_path: Path) -> None:
    text = tmp_path / "crosstile_1x1-key.v"
    text.write_text(CONSTANT)
    known = ("a[1]", "b___05Fc[1]", "b___05Fc[2]", "b___05Fc[3]", "d", "kept")
    outside = ("o[1]", "o[2]", "o[3]", "d")
    assert verilator.constants(text) == {
        *(("known", name) for name in known),
        *((block, name) for block in ("tile", "top") for name in outside),
    }


@pytest.mark.parametrize(
    ("module", "block"),
    [
        ("crosstile_5x3", "top"),
        ("crosstile_5x3_tile", "tile"),
        ("crosstile_37x19_tile_vector_input_reader", "vector_input_reader"),
    ],
)
def test_blocks(module: str, block: str) -> None:
    assert verilator.block(module) == block


def test_exclusions_have_reasons() -> None:
    rules = verilator.exclusions(report.EXCLUSIONS)
    assert all(rule.reason and rule.kind in verilator.KINDS for rule in rules)


def test_hits_of_several_processes_are_added_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "raw"
    monkeypatch.delenv(functional.FOLDER, raising=False)
    functional.sample("vectors", "new", "held")
    functional.save()
    assert not raw.exists(), "it is off"
    monkeypatch.setenv(functional.FOLDER, str(raw))
    for _ in range(2):
        functional.sample("vectors", "new", "held")
        functional.sample("vectors", "no", "such bin")
        functional.save()
        functional.save()
    assert len(list(raw.iterdir())) == 2
    (raw / f"{report.REFERENCE}0.v").write_text(VERILOG)
    (raw / f"{report.REFERENCE}0-1.dat").write_text(DATA)
    (raw / f"{report.REFERENCE}0-2.dat").write_text(DATA.replace("' 0", "' 1"))
    monkeypatch.setattr(verilator, "constants", lambda text: set())
    coverage = report.load(raw)
    assert coverage.hits["vectors"]["new held"] == 2
    assert coverage.group("vectors") == (1, 4)
    assert coverage.percents()["line"] == coverage.percents()["toggle"] == 100
    assert coverage.percents()["functional"] < 1
    assert "| `vectors` | 1 | 4 |" in report.markdown(coverage)
    shown = report.page(coverage)
    assert "new held" in shown
    assert "mixed_polarities" in shown
