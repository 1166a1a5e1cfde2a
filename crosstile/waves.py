"""Waves of the last operations of a run: it is run once more, and dumped from there on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from crosstile.simulator import SIMULATION
from spec.errors import InputError

OPERATIONS = 4
"""Commands before the end, or before the mismatch, that the waves begin with."""


def waves_of(
    again: Callable[[int, Path], dict[str, Any]],
    found: dict[str, Any],
    folder: Path,
    console: Console,
) -> dict[str, Any]:
    """Leave the waves in a folder; facts of them for result.json.

    `again(n, folder)` does the run that came to `found` once more in another folder, and dumps
    from command n on. All is deterministic, so that it ends as it did.
    """
    from cocotb_tests import build

    kind = build.wave_format()
    within, file = folder / SIMULATION / "waves", folder / f"waves.{kind}"
    begin = max(0, found["operations"] - OPERATIONS)
    with console.status("running it once more for the waves"):
        same = again(begin, within)
    if same["mismatch"] != found["mismatch"]:
        raise InputError(
            f"cosim: run again for its waves, it ended otherwise: {same['mismatch']}; report this"
        )
    try:
        (within / file.name).replace(file)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cosim: the simulator left no {file.name} ({reason})") from None
    facts: dict[str, Any] = {"file": file.name, "from_operation": begin}
    if kind != "fst":
        packages = " ".join(build.WAVE_HEADERS.values())
        facts["why_not_fst"] = f"it needs apt-get install {packages}"
    return facts
