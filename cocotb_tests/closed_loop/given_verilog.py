"""Whether a Verilog file that somebody gives has the tiles that a network needs, port by port.

It reads the heads of modules, in the old style and in the new, with plain numbers as ranges: what
this project writes, and what synthesis tools do.
"""

from __future__ import annotations

import re

from cocotb_tests.closed_loop.verilog import TIED, tile_ports
from rtl.top import module_name
from spec.errors import InputError
from spec.tile import TileSpec

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\(\*.*?\*\)", re.DOTALL)
_MODULE = re.compile(r"\bmodule\s+\\?([\w$.]+)(.*?)\bendmodule\b", re.DOTALL)
_PORT = re.compile(
    r"\b(input|output)\b(?:\s+(?:wire|reg|logic|signed|var))*\s*"
    r"(?:\[\s*(\d+)\s*:\s*(\d+)\s*\])?\s*"
    r"([A-Za-z_][\w$]*(?:\s*,\s*(?!input\b|output\b|inout\b)[A-Za-z_][\w$]*)*)"
)


def modules(text: str) -> dict[str, dict[str, tuple[str, int]]]:
    """Direction and width of every port, by module and name."""
    found = {}
    for name, body in _MODULE.findall(_COMMENT.sub(" ", text)):
        ports = {}
        for direction, high, low, names in _PORT.findall(body):
            width = abs(int(high) - int(low)) + 1 if high else 1
            for port in re.split(r"\s*,\s*", names):
                ports[port] = direction, width
        found[name] = ports
    return found


def check(text: str, specs: list[TileSpec], file: str) -> None:
    """Raise InputError, one line, where a tile of these specs is missing or has other ports."""
    found = modules(text)
    for spec in specs:
        name = module_name(spec)
        if name not in found:
            tiles = ", ".join(sorted({module_name(s) for s in specs}))
            raise InputError(
                f"--verilog {file}: has no module {name}; this network needs {tiles}; "
                f"`crosstile verilog --rows {spec.rows} --columns {spec.columns}` writes it"
            )
        wanted = dict.fromkeys(TIED, 1) | tile_ports(spec)
        for port, width in wanted.items():
            if port not in found[name]:
                raise InputError(f"--verilog {file}: module {name} has no port {port}; add it")
            if found[name][port][1] != width:
                raise InputError(
                    f"--verilog {file}: port {port} of {name} has {found[name][port][1]} bits, a "
                    f"tile of {spec.rows} rows and {spec.columns} columns with these settings has "
                    f"{width}; give the Verilog of that tile, or the settings of this one"
                )
