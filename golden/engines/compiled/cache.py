"""Where compiled code is kept: a folder named by the digest of the sources that made it.

The compiler's own cache looks at one file at a time and would keep a stale caller of a changed
function; with the digest in the path it cannot.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numba.core.config


def _folder() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(root) / "crosstile" / digest
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"crosstile-{os.getuid()}-{digest}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return str(folder)


FOLDER = _folder()


def _njit(function: Callable[..., Any], **options: bool) -> Callable[..., Any]:
    settings: Any = numba.core.config
    njit: Any = numba.njit
    before = settings.CACHE_DIR
    settings.CACHE_DIR = FOLDER
    try:
        return njit(cache=True, fastmath=False, error_model="numpy", **options)(function)
    finally:
        settings.CACHE_DIR = before


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that only compiled ones call: no wrappers, so it compiles quicker.

    Without the run-time that counts references: the locked counting of every view of an array
    took an eighth of a run. Such a function makes no arrays.
    """
    return _njit(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A `compiled` function that becomes part of its callers: for what has few of them.

    A call puts the whole of Flat on the stack, 150 words.
    """
    return _njit(
        function, no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False, forceinline=True
    )


def entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that Python calls, on first use, and keep the result in FOLDER.

    It makes no arrays either.
    """
    return _njit(function, no_cfunc_wrapper=True, _nrt=False)


def allocating_entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """An `entry` that makes arrays."""
    return _njit(function, no_cfunc_wrapper=True)
