"""Run by the Python that has LibreLane: loads a configuration as its Classic flow does.

Arguments: the configuration, and a folder for a process kit. The kit has a value for each variable
that the flow needs, and files with nothing in them: enough to load, of no use to a tool. Prints
the design's own values as JSON.
"""

# pyright: reportMissingImports=false

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import get_args, get_origin

from librelane.common import Path as File
from librelane.config import Config, InvalidConfig
from librelane.flows import Flow

KIT, CELLS = "kit", "cells"
KEYS = ("DESIGN_NAME", "VERILOG_FILES", "LINTER_VLT", "CLOCK_PORT", "CLOCK_PERIOD", "FP_CORE_UTIL")


def value(kind, file):
    """A value of a variable's type, as Tcl has it."""
    plain = {str: "name", File: file, Decimal: "1", int: "1"}
    if kind in plain:
        return plain[kind]
    parts = get_args(kind)
    if get_origin(kind) is dict:
        return f"* {value(parts[1], file)}"
    return value(parts[0], file)


def write_kit(variables, folder):
    """The kit's two files, of the process and of its cells."""
    (empty := folder / "empty").write_text("")
    tech = folder / KIT / "libs.tech" / "librelane"
    (tech / CELLS).mkdir(parents=True)
    lines = [f"set ::env(STD_CELL_LIBRARY) {CELLS}"]
    for variable in variables:
        needed = variable.pdk and not variable.optional and variable.default is None
        if needed and variable.name != "STD_CELL_LIBRARY":
            lines.append(f"set ::env({variable.name}) {{{value(variable.type, empty)}}}")
    (tech / "config.tcl").write_text("\n".join(lines))
    (tech / CELLS / "config.tcl").write_text("")


def main(configuration, folder):
    flow = Flow.factory.get(Config.get_meta(configuration).flow)
    variables = flow.get_all_config_variables(flow.__new__(flow))
    write_kit(variables, folder)
    try:
        config, _ = Config.load(configuration, variables, pdk=KIT, pdk_root=str(folder))
    except InvalidConfig as error:
        sys.exit(f"refused: {error.errors}")
    print(json.dumps({key: json.loads(config.dumps(include_meta=False))[key] for key in KEYS}))


main(sys.argv[1], Path(sys.argv[2]))
