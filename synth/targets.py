"""What a tile can be synthesized for, and what all targets have in common."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from spec.errors import InputError
from synth import asic, fpga

Step = Callable[[str], AbstractContextManager[Any]]
"""Around a part of the work: shows its name meanwhile."""


class Target(Protocol):
    """A device or a library of cells, with the tools that lead to it."""

    @property
    def mark_mhz(self) -> int:
        """The clock that is asked for."""
        ...

    @property
    def packages(self) -> tuple[str, ...]:
        """Python packages that the figures depend on."""
        ...

    @property
    def measures(self) -> dict[str, str]:
        """What `area` counts and a study of sizes compares: key -> name. Its area comes first."""
        ...

    def check_tools(self) -> None:
        """Raise InputError if a tool is not installed."""
        ...

    def area(self, top: str, folder: Path, step: Step) -> dict[str, Any]:
        """From TOP.v to a netlist, and what it is made of, for result.json. Raises InputError.

        `too_few`: what the device has too little of for it, or None.
        """
        ...

    def timing(self, top: str, folder: Path, step: Step) -> dict[str, Any]:
        """From the netlist that `area` left to its timing, for result.json. Raises InputError."""
        ...

    @property
    def measures_power(self) -> bool:
        """Whether `power` gives any."""
        ...

    @property
    def cells(self) -> Path:
        """Where `measures_power`: models of the cells in a netlist, for a simulator."""
        ...

    def power(self, top: str, folder: Path, activity: dict[str, float]) -> dict[str, Any]:
        """Where `measures_power`: for result.json, from toggles a cycle of each net."""
        ...

    @property
    def proves(self) -> bool:
        """Whether `prove` can be asked for."""
        ...

    def prove(self, top: str, folder: Path) -> dict[str, Any]:
        """Whether the netlist is what TOP.v says, for result.json. Raises InputError."""
        ...

    def versions(self) -> dict[str, str]:
        """Of tools that are no Python packages."""
        ...

    def row(self, found: dict[str, Any]) -> dict[str, str]:
        """The figures in a line, by the names of their columns."""
        ...

    def block_row(self, block: dict[str, Any]) -> dict[str, str]:
        """Those of a block, in the same columns."""
        ...

    def page(self, found: dict[str, Any]) -> str:
        """The page, in Markdown."""
        ...


TARGETS: dict[str, Target] = {**fpga.TARGETS, **asic.TARGETS}


def target(name: str) -> Target:
    """The target of that name. Raises InputError."""
    if name not in TARGETS:
        raise InputError(f"--target {name}: choose one of {', '.join(TARGETS)}")
    return TARGETS[name]


def make(of: Target, top: str, folder: Path, step: Step) -> dict[str, Any]:
    """From TOP.v to figures for result.json. Raises InputError, if it does not fit, too."""
    area = of.area(top, folder, step)
    if area["too_few"]:
        raise InputError(
            f"synth: the tile does not fit: {area['too_few']}; take a larger --target, or fewer "
            "--rows and --columns"
        )
    timing = of.timing(top, folder, step)
    return {**area, **timing, "took": area["took"] | timing["took"]}
