"""A study's table in a Markdown document, between marks of its own."""

from __future__ import annotations

import os
import re
from pathlib import Path

from golden.training.checkpoint import write_atomically
from spec.errors import InputError


def insert(path: Path, name: str, text: str) -> None:
    """Put a text between the study's marks; at the document's end where it has none yet.

    Raises InputError where the document cannot be read or written.
    """
    before = read(path)
    begin, end = f"<!-- study {name} -->\n", f"<!-- end of {name} -->\n"
    block = f"{begin}{text.strip()}\n{end}"
    marked = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if marked.search(before):
        after = marked.sub(lambda _: block, before, count=1)
    else:
        after = before + ("\n" if before else "") + block
    write_atomically(path, after.encode())


def refuse_unfit(path: Path) -> None:
    """Raise InputError where the document could not be read, or not be put into its folder."""
    read(path)
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"--report {path}: its folder is not there, or cannot be written")


def read(path: Path) -> str:
    """The document as it is, empty where there is none. Raises InputError."""
    try:
        return path.read_text() if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"--report {path}: cannot be read ({reason})") from None
