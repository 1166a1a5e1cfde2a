"""OpenSTA: slack and the slowest path of a netlist, and the slews at its pins.

Written for Debian's package, of 2019. Errors do not stop its script: the log has to be searched.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from spec.errors import InputError
from synth import process
from synth.process import Done, Took

PROGRAM, PACKAGE = "sta", "opensta"
CLOCK = "aclk"
PORT_LOAD_pF = 0.05
"""At an output port [assumed]; a pin of the library has 0.005 to 0.075."""
INPUT_NS = OUTPUT_NS = 1.0
"""Taken outside [assumed]: from the clock's edge to an input, from an output to the next edge."""
INPUT_DRIVER = "BUFX2"
"""What is in front of an input [assumed]."""
SCRIPT, LOG, SLEWS = "sta.tcl", "sta.log", "slews.txt"

CONSTRAINTS = f"""\
create_clock -name {CLOCK} -period {{period_ns}} [get_ports {CLOCK}]
set inputs [list]
foreach port [all_inputs] {{{{
  if {{{{[get_full_name $port] ne "{CLOCK}"}}}} {{{{ lappend inputs $port }}}}
}}}}
if {{{{[llength $inputs]}}}} {{{{
  set_input_delay {INPUT_NS} -clock {CLOCK} $inputs
  set_driving_cell -lib_cell {INPUT_DRIVER} $inputs
}}}}
set_output_delay {OUTPUT_NS} -clock {CLOCK} [all_outputs]
set_load {PORT_LOAD_pF} [all_outputs]
"""
REPORTS = f"""\
report_checks -path_delay max -format full -digits 4 -no_line_splits
set file [open {SLEWS} w]
foreach instance [get_cells *] {{
  foreach pin [get_pins "[get_full_name $instance]/*"] {{
    puts $file "[get_full_name $pin] [get_property $pin actual_rise_transition_max]\\
 [get_property $pin actual_fall_transition_max]"
  }}
}}
close $file
"""


@dataclass(frozen=True)
class Point:
    """An output, or the end, of the slowest path. `cell`: its type."""

    instance: str
    pin: str
    cell: str
    arrival_ns: float


@dataclass(frozen=True)
class Timing:
    """The worst slack, below 0 where the clock is too fast, and its path."""

    slack_ns: float
    path: list[Point]


def constraints(period_ns: float) -> dict[str, float | str]:
    """What the timing rests on, for result.json."""
    return {
        "period_ns": period_ns,
        "input_delay_ns": INPUT_NS,
        "output_delay_ns": OUTPUT_NS,
        "input_driver": INPUT_DRIVER,
        "output_load_pf": PORT_LOAD_pF,
        "wire_load_pf": 0.0,
        "clock": "ideal",
    }


def version() -> str:
    """What the program says of itself."""
    said = subprocess.run([PROGRAM, "-version"], capture_output=True, text=True, check=True)
    return said.stdout.strip()


def timing(
    folder: Path, top: str, netlist: str, library: Path, period_ns: float
) -> tuple[Timing, Took]:
    """Time a netlist in a folder, which gets the script, the log and SLEWS. Raises InputError."""
    script = (
        f"read_liberty {library}\nread_verilog {netlist}\nlink_design {top}\n"
        + CONSTRAINTS.format(period_ns=period_ns)
        + REPORTS
    )
    done = run(script, folder)
    return parse(done.log), done.took


def run(script: str, folder: Path) -> Done:
    """Run a script. Raises InputError for an error in it, with exit code 0 or not."""
    (folder / SCRIPT).write_text(script)
    done = process.run([PROGRAM, "-no_init", "-no_splash", "-exit", SCRIPT], folder)
    (folder / LOG).write_text(done.log)
    errors = re.findall(r"^Error.*", done.log, re.MULTILINE)
    if done.code or errors:
        why = errors[0] if errors else f"exit code {done.code}"
        raise InputError(f"synth: {PROGRAM} failed: {why}; see {LOG}")
    return done


def parse(log: str) -> Timing:
    """The path that the log reports, the slowest. Raises InputError if there is none."""
    shown = re.search(r"^Startpoint.*?data arrival time", log, re.MULTILINE | re.DOTALL)
    exact = re.search(r"^ *(-?[\d.]+) +slack \((?:MET|VIOLATED)\)", log, re.MULTILINE)
    if shown is None or exact is None:
        raise InputError(f"synth: {PROGRAM} found no path to time; see {LOG}")
    path = []
    for line in shown[0].splitlines():
        found = re.match(r" *-?[\d.]+ +(-?[\d.]+) [v^] (\S+)(?: \((\S+)\))?$", line)
        if found is None:
            continue
        time, name, cell = found.groups()
        instance, _, pin = name.rpartition("/")
        path.append(Point(instance, pin or name, cell if pin else "port", round(float(time), 3)))
    return Timing(round(float(exact[1]), 3), path)
