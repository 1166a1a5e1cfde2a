"""A block that stands for a tile's Verilog in the tests of standard cells: it takes seconds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from synth import asic, opensta

LACKING = [
    package
    for package, there in (
        (opensta.PACKAGE, shutil.which(opensta.PROGRAM) is not None),
        (asic.LIBRARY_PACKAGE, asic.LIBRARY.exists()),
    )
    if not there
]
needs_cells = pytest.mark.skipif(
    bool(LACKING), reason=f"needs Debian's packages: apt-get install {' '.join(LACKING)}"
)
TOP = "crosstile_5x3"
COMMAND = ["synth", "--target", "osu018", "--preset", "tiny"]
FED = 100
"""Flip-flops that one enable feeds."""
BLOCK = f"""\
module {TOP}(aclk, aresetn, enable, data, count, wide);
    input aclk, aresetn, enable; input [7:0] data;
    output [7:0] count; output [{FED - 1}:0] wide;
    wire on;
    {TOP}_tile tile(.aclk(aclk), .aresetn(aresetn), .enable(enable), .data(data), .count(count),
        .on(on));
    {TOP}_tile_bank bank(.aclk(aclk), .aresetn(aresetn), .on(on), .data(data), .wide(wide));
endmodule
module {TOP}_tile(aclk, aresetn, enable, data, count, on);
    input aclk, aresetn, enable; input [7:0] data; output [7:0] count; output on;
    reg [7:0] total; reg on;
    always @(posedge aclk)
        if (!aresetn) begin total <= 0; on <= 0; end
        else begin total <= total + data; on <= enable; end
    assign count = total;
endmodule
module {TOP}_tile_bank(aclk, aresetn, on, data, wide);
    input aclk, aresetn, on; input [7:0] data; output [{FED - 1}:0] wide;
    reg [{FED - 1}:0] held;
    always @(posedge aclk)
        if (!aresetn) held <= 0; else if (on) held <= {{held[{FED - 9}:0], data}};
    assign wide = held;
endmodule
"""


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())
