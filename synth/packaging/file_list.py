"""Lists of files as simulators and synthesis tools take them with -f."""

from __future__ import annotations

from collections.abc import Iterable


def text(files: Iterable[str], what: str) -> str:
    """A file a line, by a name relative to the list's folder; `what` is the comment at its head."""
    return "\n".join([f"// {what}; names are relative to this folder.", *files, ""])
