"""A configuration of LibreLane, from the tile's Verilog to a layout of standard cells.

No layout has been made with it: tests/packaging has LibreLane itself load it, on a process kit of
names alone.
"""

from __future__ import annotations

import json

from rtl.top import module_name
from spec.tile import TileSpec
from synth import lint

FILE = "librelane.json"
CORE_UTILIZATION_PERCENT = 40
"""[assumed] Room to route a block with many pins; for the one who makes the layout to raise."""


def text(spec: TileSpec) -> str:
    """The configuration; it lies beside the Verilog. The kit is the user's choice (--pdk)."""
    values = {
        "meta": {"version": 2, "flow": "Classic"},
        "DESIGN_NAME": module_name(spec),
        "VERILOG_FILES": [f"dir::{module_name(spec)}.v"],
        "LINTER_VLT": f"dir::{lint.WAIVER_FILE}",
        "CLOCK_PORT": "aclk",
        # What the tile's timing counts in; a slower clock works, and stretches every pulse.
        "CLOCK_PERIOD": spec.timing.cycle_ns,
        "FP_CORE_UTIL": CORE_UTILIZATION_PERCENT,
    }
    return json.dumps(values, indent=4) + "\n"
