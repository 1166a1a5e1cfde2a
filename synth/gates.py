"""A netlist of cells in a plain test bench, on Icarus, with the vendor's models of the cells."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from spec.errors import InputError
from synth import process

COMPILER, SIMULATOR, PACKAGE = "iverilog", "vvp", "iverilog"
COMPILE_LOG, RUN_LOG, PROGRAM = "iverilog.log", "vvp.log", "gates"


def missing() -> str:
    """What to install for Icarus; empty where it is there."""
    return "" if shutil.which(COMPILER) else f"apt-get install {PACKAGE}"


def simulate(
    folder: Path, sources: Sequence[str], tops: Sequence[str], *, delays: bool = False
) -> tuple[int, str]:
    """Run a test bench in a folder; its exit code and what it said.

    With `delays` each cell has those of the vendor's model, of a cell without a load: enough for
    glitches to come about. Raises InputError where it does not compile.
    """
    options = [word for top in tops for word in ("-s", top)] + (["-gspecify"] if delays else [])
    compiled = process.run([COMPILER, "-g2005", "-o", PROGRAM, *options, *sources], folder)
    (folder / COMPILE_LOG).write_text(compiled.log)
    if compiled.code:
        raise InputError(f"synth: {COMPILER} failed; see {folder / COMPILE_LOG}")
    done = process.run([SIMULATOR, "-n", PROGRAM], folder)
    (folder / RUN_LOG).write_text(done.log)
    return done.code, done.log
