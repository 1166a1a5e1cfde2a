"""The folder that a command fills: refused when it holds another run, or cannot be written."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from golden.training.checkpoint import write_atomically
from spec.errors import InputError

RESULT = "result.json"


def refuse_taken(folder: Path, names: Iterable[str], otherwise: str = "") -> None:
    """Raise InputError if a file of another run is there; `otherwise` ends the line."""
    for name in names:
        # Not Path.exists, which raises where the folder may not be entered.
        if os.path.lexists(folder / name):
            other = folder.with_name(folder.name + "-2")
            raise InputError(
                f"--out {folder}: holds the {name} of a run; give another folder, like {other}"
                f"{otherwise}"
            )


def refuse_other(folder: Path, study: str) -> None:
    """Raise InputError where the folder holds something else than this study."""
    result = folder / RESULT
    if not result.exists():
        return
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if json.loads(result.read_bytes())["study"] == study:
            return
    raise InputError(f"--out {folder}: holds the {RESULT} of something else; give another folder")


def read_kept(path: Path) -> dict[str, Any]:
    """What a study kept in a file. Raises InputError."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        raise InputError(f"{path}: damaged; delete it, and run the same command again") from None


def make_writable(folder: Path) -> None:
    """Make the folder if need be, and see that a file can be written. Raises InputError."""
    probe = folder / ".crosstile-probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror or error}); give another folder"
        ) from None


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Put JSON in a file at once; raises InputError as `write_atomically` does."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Those of the packages that are installed."""
    found = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def host() -> dict[str, str]:
    """Python and the machine."""
    return {"python": platform.python_version(), "machine": platform.machine()}
