"""A tool is told what it took, and does not outlive who asked for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from synth import process


def test_what_a_program_says_and_takes(tmp_path: Path) -> None:
    program = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
    program += "; held = bytearray(300 << 20); held[::4096] = b'1' * len(held[::4096]); sys.exit(3)"
    done = process.run([sys.executable, "-c", program], tmp_path)
    assert (done.log, done.code) == ("out\nerr\n", 3)
    assert done.took.peak_mb >= 300
    assert 0 < done.took.cpu_seconds


def test_the_next_program_is_not_told_what_the_one_before_took(tmp_path: Path) -> None:
    """Asked by a small process: Linux counts what the asking one holds."""
    program = f"""
import sys
from pathlib import Path
from synth import process
large = "held = bytearray(300 << 20); held[::4096] = b'1' * len(held[::4096])"
for program in (large, ""):
    print(process.run([sys.executable, "-c", program], Path({str(tmp_path)!r})).took.peak_mb)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    first, second = map(int, done.stdout.split())
    assert second < 300 <= first


def test_a_program_that_is_killed_has_failed(tmp_path: Path) -> None:
    program = "import os; os.kill(os.getpid(), 9)"
    assert process.run([sys.executable, "-c", program], tmp_path).code == -signal.SIGKILL


def test_a_program_ends_with_who_asked_for_it(tmp_path: Path) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    program = "import os, time; open('pid', 'w').write(str(os.getpid()))"
    program += f"; os.kill(os.getppid(), {signal.SIGUSR1:d}); time.sleep(60)"
    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            process.run([sys.executable, "-c", program], tmp_path)
    finally:
        signal.signal(signal.SIGUSR1, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_program_ends_with_who_asked_for_it_and_is_told_to_end(tmp_path: Path) -> None:
    """A batch system stops a command by SIGTERM; the next one must not meet the old tool."""
    program = "import os, time; open('pid', 'w').write(str(os.getpid()))"
    program += f"; os.kill(os.getppid(), {signal.SIGTERM:d}); time.sleep(60)"
    asking = f"""
import sys
from pathlib import Path
from synth import process
process.run([sys.executable, "-c", {program!r}], Path({str(tmp_path)!r}))
"""
    assert subprocess.run([sys.executable, "-c", asking]).returncode == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
