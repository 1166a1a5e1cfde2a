"""A tool is told what it took, and does not outlive who asked for it."""

from __future__ import annotations

import os
import signal
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
    assert 300 <= done.took.peak_mb < 600
    assert 0 < done.took.cpu_seconds
    # The next one is not told what this one took.
    assert process.run([sys.executable, "-c", ""], tmp_path).took.peak_mb < 300


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
