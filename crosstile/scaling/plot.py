"""A scaling study's plot: area, Fmax and tool time against rows + columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from crosstile.scaling.fit import FROM, TO
from crosstile.study.page import COLOURS
from golden.training import plots
from synth import targets

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, Any]
PREPARING = ("synthesis", "packing", "blocks")
"""Steps before a netlist is timed."""
IN_INCHES, HIGH_INCHES = 4.0, 3.8
"""Of a panel."""


def plot(found: dict[str, Any]) -> bytes | None:
    """PNG; None without matplotlib, or with nothing to show.

    Squares are joined, and other shapes stand alone. The area is on straight axes, where its fit
    over squares, dashed, is straight.
    """
    rows = [row for row in found["points"] if "area" in row]
    if not plots.available() or not rows:
        return None
    units = list(dict.fromkeys(_unit(row["target"]) for row in rows))
    figure, panels = plots.figure_of(IN_INCHES * (len(units) + 2), HIGH_INCHES, len(units) + 2)
    *by_area, by_fmax, by_time = panels
    for number, name in enumerate(found["targets"]):
        colour = COLOURS[number % len(COLOURS)]
        mine = [row for row in rows if row["target"] == name]
        if not mine:
            continue
        timed = [row for row in mine if row["fmax_mhz"] is not None]
        area = by_area[units.index(_unit(name))]
        _draw(area, mine, lambda row: row["area"], colour, label=name)
        line = found["targets"][name]["fits"]["area"]["line"]
        if line is not None:
            lines = np.array([2 * FROM, 2 * TO])
            fitted = line["base"] + line["per_line"] * lines
            area.plot(lines, fitted, color="0.2", linestyle="--", linewidth=0.8)
        _draw(by_fmax, timed, lambda row: row["fmax_mhz"], colour)
        if timed:
            mark = targets.target(name).mark_mhz
            by_fmax.axhline(mark, color=colour, linestyle=(0, (1, 2)), linewidth=1)
        _draw(by_time, mine, lambda row: row["took"]["synthesis"]["cpu_seconds"], colour)
        _draw(by_time, timed, _timing_seconds, colour, marker="^", linestyle=":")
    for panel, unit in zip(by_area, units, strict=True):
        panel.set_ylabel(f"area, {unit}")
        panel.set_ylim(bottom=0)
        panel.yaxis.set_major_formatter(lambda area, _: f"{area:,.0f}")
    by_fmax.set_ylabel("Fmax, MHz")
    by_time.set_ylabel("tool time, s; dotted: place and route, timing")
    by_time.set_yscale("log")
    for panel in (by_fmax, by_time):
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_formatter(lambda lines, _: f"{lines:.0f}")
    for panel in panels:
        panel.set_xlabel("rows + columns")
    figure.legend(loc="outside upper center", ncols=len(found["targets"]), frameon=False)
    return plots.png(figure)


def _draw(
    panel: Axes,
    rows: list[Row],
    value: Callable[[Row], float],
    colour: str,
    *,
    label: str | None = None,
    marker: str = "o",
    linestyle: str = "-",
) -> None:
    for joined in (True, False):
        some = [row for row in rows if (row["rows"] == row["columns"]) is joined]
        panel.plot(
            [row["rows"] + row["columns"] for row in some], [value(row) for row in some],
            color=colour, marker=marker, markersize=4, linewidth=1.4,
            linestyle=linestyle if joined else "none",
            markerfacecolor=colour if joined else "none", label=label if joined else None,
        )  # fmt: skip


def _unit(target: str) -> str:
    return next(iter(targets.target(target).measures.values()))


def _timing_seconds(row: Row) -> float:
    took = row["took"].items()
    return sum(one["cpu_seconds"] for step, one in took if step not in PREPARING)
