"""The digest of the sources that kept results rest on: another program does them anew."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


@cache
def digest(*patterns: str) -> str:
    """Of all files that the patterns find below the project's folder, with their names."""
    sha = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            sha.update(f"{path.relative_to(ROOT).as_posix()}\n".encode() + path.read_bytes())
    return sha.hexdigest()
