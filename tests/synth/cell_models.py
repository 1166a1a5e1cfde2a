"""Models of a library's cells as plain Verilog, made from what the library says they do."""

from __future__ import annotations

import shutil
from pathlib import Path

from synth import yosys

MODELS, LOG = "cells.v", "cells-yosys.log"


def models(library: Path, folder: Path) -> str:
    """The text; without delays. `folder` gets the files. Raises InputError."""
    if not (folder / library.name).exists():
        shutil.copyfile(library, folder / library.name)
    yosys.run(
        f"read_liberty -ignore_miss_func {library.name}; write_verilog -noattr {MODELS}",
        folder,
        LOG,
    )
    return (folder / MODELS).read_text()
