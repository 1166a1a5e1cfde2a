"""A bench in a process of its own, which can be ended with all that it started.

`python -m cocotb_tests.launch JSON`: {"folder", "top", "bench", "run", "settings"}; see
`cocotb_tests.build.Model.run`. Exit code 0 where the bench ran; else its log is on stderr.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cocotb_tests.build import Model, SimulationError

POLL_SECONDS = 0.2


def run(
    model: Model,
    bench: str,
    folder: Path,
    settings: Mapping[str, str],
    meanwhile: Callable[[], None],
) -> None:
    """Run a bench, and call `meanwhile` now and then. Raises SimulationError.

    Whatever ends this call ends the simulator too.
    """
    job = {
        "folder": str(model.folder), "top": model.top, "bench": bench, "run": str(folder),
        "settings": dict(settings),
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "cocotb_tests.launch", json.dumps(job)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            while True:
                try:
                    process.wait(POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    meanwhile()
            meanwhile()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        assert process.stderr is not None
        said = process.stderr.read()
    if process.returncode:
        raise SimulationError(said.strip() or f"it was ended, code {process.returncode}")


def _end_with(parent: int) -> None:
    """However the process that asked for this one ends, the simulator does not go on alone."""
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os.killpg(0, signal.SIGKILL)


def main() -> int:
    """See the head of the file."""
    job = json.loads(sys.argv[1])
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        Model(Path(job["folder"]), job["top"]).run(job["bench"], Path(job["run"]), job["settings"])
    except SimulationError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
