"""A tile's modules in Yosys's statistics of a hierarchy that was kept."""

from __future__ import annotations

from typing import Any


def instances(stat: dict[str, Any], top: str) -> dict[str, int]:
    """How often each module is there, by its name."""
    modules = by_name(stat)
    found = dict.fromkeys(modules, 0)

    def visit(name: str) -> None:
        found[name] += 1
        for kind, n in modules[name]["num_cells_by_type"].items():
            if kind in modules:
                for _ in range(n):
                    visit(kind)

    visit(top)
    return found


def by_name(stat: dict[str, Any]) -> dict[str, Any]:
    """The modules' own statistics, by their names."""
    return {name.lstrip("\\"): module for name, module in stat["modules"].items()}


def count(module: dict[str, Any], start: str) -> int:
    """The cells of a module whose types start so."""
    return sum(n for kind, n in module["num_cells_by_type"].items() if kind.startswith(start))


def short(name: str, top: str) -> str:
    """A module's name without the tile's before it."""
    return name.removeprefix(top).lstrip("_") or name
