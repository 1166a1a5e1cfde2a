"""A tool in a process of its own: what it says, and what it takes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_RSS_UNITS_A_MB = 1 << 20 if sys.platform == "darwin" else 1 << 10
"""macOS counts a process's memory in bytes, Linux in KiB."""


@dataclass(frozen=True)
class Took:
    """Time by the clock and of the processor, and the most memory held at a time.

    On Linux a program's memory is at least what the process that ran it held.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: int


@dataclass(frozen=True)
class Done:
    """What a tool wrote, to both its outputs, its exit code, and what it took."""

    log: str
    code: int
    took: Took


def run(arguments: list[str], folder: Path) -> Done:
    """Run a program in a folder. A process that is interrupted takes the program with it."""
    start = time.monotonic()
    # Not subprocess.run, which does not tell what this one process took.
    with (
        _ended_by_an_exception(),
        subprocess.Popen(
            arguments, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        assert process.stdout is not None
        try:
            log = process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
    took = Took(
        round(time.monotonic() - start, 2),
        round(used.ru_utime + used.ru_stime, 2),
        round(used.ru_maxrss / _RSS_UNITS_A_MB),
    )
    return Done(log, process.returncode, took)


@contextlib.contextmanager
def _ended_by_an_exception() -> Iterator[None]:
    """SIGTERM ends Python at once, and would leave a tool that goes on writing its files."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return

    def end(number: int, _frame: Any) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
