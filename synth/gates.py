"""A netlist of cells in a plain test bench, on Icarus, with the vendor's models of the cells."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from spec.errors import InputError

COMPILER, SIMULATOR, PACKAGE = "iverilog", "vvp", "iverilog"
COMPILE_LOG, RUN_LOG, PROGRAM = "iverilog.log", "vvp.log", "gates"


def available() -> bool:
    """Whether Icarus is installed."""
    return shutil.which(COMPILER) is not None


def simulate(
    folder: Path, sources: Sequence[str], tops: Sequence[str], *, delays: bool = False
) -> tuple[int, str]:
    """Run a test bench in a folder; its exit code and what it said.

    With `delays` each cell has those of the vendor's model, of a cell without a load: enough for
    glitches to come about. Raises InputError where it does not compile.
    """
    options = [word for top in tops for word in ("-s", top)] + (["-gspecify"] if delays else [])
    compiled = subprocess.run(
        [COMPILER, "-g2005", "-o", PROGRAM, *options, *sources],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    (folder / COMPILE_LOG).write_text(compiled.stdout)
    if compiled.returncode:
        raise InputError(f"synth: {COMPILER} failed; see {folder / COMPILE_LOG}")
    done = subprocess.run([SIMULATOR, "-n", PROGRAM], cwd=folder, capture_output=True, text=True)
    (folder / RUN_LOG).write_text(done.stdout + done.stderr)
    return done.returncode, done.stdout
