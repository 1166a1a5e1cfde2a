"""A scaling study's page, in Markdown that can be read on a terminal of 80 columns, too."""

from __future__ import annotations

from typing import Any

from crosstile.scaling.fit import FROM, TO, WITHIN_PERCENT
from crosstile.study.table import markdown
from synth import targets

TITLE = "How a tile grows with its rows and columns"
BLOCKS_SHOWN = 10
MEANING = f"""\
Fits are by least squares over sizes from {FROM} to {TO}. *Start* is what is there
without a line; *a line*, what a row or a column more takes, over squares; *a
row* and *a column*, each by itself, over all shapes. *Off* is the largest
deviation of a fit, in percent of the value it is for. *r x c* is the share of
rows x columns in the largest tile, where it is fitted beside rows and columns.
*Used* is of what the device has least of for the tile.

*Fmax* on an FPGA is of one placement, of seed 1, from register to register; in
standard cells before a floorplan, the paths from and to ports among them. A
dotted line of the plot is what is asked for."""
TIMES = """\
Tool time is in seconds of the processor, not by the clock. *Blocks* is a second
synthesis that keeps the blocks apart, for their areas; a block is counted
without those in it. On an FPGA that is before packing: LUTs, and on ECP5 what
carries and small memories take."""


def page(found: dict[str, Any], picture: str | None) -> str:
    """All of it."""
    parts = [f"# {TITLE}", f"    {found['command']}", *_picture(picture), MEANING, TIMES]
    for name in found["targets"]:
        parts += [
            f"## {name}", summary(name, found), sizes(name, found), times(name, found),
            *blocks(name, found),
        ]  # fmt: skip
    parts += _failures(found)
    return "\n\n".join(parts) + "\n"


def section(found: dict[str, Any], picture: str | None) -> str:
    """What a document gets: without tool times, and blocks only where they grow worse."""
    parts = [f"## {TITLE}", f"    {found['command']}", *_picture(picture), MEANING]
    for name in found["targets"]:
        parts += [f"### {name}", summary(name, found), sizes(name, found)]
    return "\n\n".join([*parts, *_failures(found)]) + "\n"


def summary(name: str, found: dict[str, Any]) -> str:
    """What a target's growth is, first in words."""
    of = found["targets"][name]
    measures = targets.target(name).measures
    lines = [verdict(measures, of["fits"])]
    for key, worse in of["worse_than_linear"].items():
        if worse:
            what = measures[key]
            lines.append(f"Worse than linear in {what}, beyond a line from the smaller tiles:")
            lines += [
                f"- `{_short(one['block'])}`, along {one['along']}: "
                f"{one['beyond_percent']:.0f} % of it, {one['of_tile_percent']:.1f} % of the tile."
                for one in worse
            ]
    words = "\n".join(lines)
    if not any(one["line"] or one["plane"] for one in of["fits"].values()):
        return words
    table = [["", "start", "a line", "off", "a row", "a column", "off", "r x c"]]
    table += [_fit(measures[key], one) for key, one in of["fits"].items()]
    return f"{words}\n\n{_markdown(table)}"


def verdict(measures: dict[str, str], fits: dict[str, Any]) -> str:
    """Whether the area grows in proportion to rows + columns."""
    key, what = next(iter(measures.items()))
    fit = fits[key]
    if fit["linear"] is None:
        return f"{what}: too few sizes from {FROM} to {TO} for a fit; it takes three squares."
    off = max(one["off_percent"] for one in (fit["line"], fit["plane"]) if one)
    word = "linear" if fit["linear"] else "NOT linear"
    return (
        f"{what}: {word} within {WITHIN_PERCENT:g} % in rows + columns: "
        f"{_number(fit['line']['per_line'])} a line, off {off:.1f} %."
    )


def sizes(name: str, found: dict[str, Any]) -> str:
    """A target's sizes: what they are made of, and how fast."""
    measures = targets.target(name).measures
    rows = [row for row in found["points"] if row["target"] == name]
    on_a_device = any("utilization" in row for row in rows)
    table = [["tile", *measures.values(), *(["RAMs", "used"] * on_a_device), "Fmax"]]
    for row in rows:
        line = [_tile(row)]
        if "area" in row:
            line += [f"{row[key]:,.0f}" for key in measures]
            line += [f"{row['rams']:,}", _used(row)] if on_a_device else []
        else:
            line += [""] * (len(table[0]) - 2)
        table.append([*line, fmax(row)])
    return _markdown(table)


def times(name: str, found: dict[str, Any]) -> str:
    """What the tools took for a target's sizes."""
    rows = [row for row in found["points"] if row["target"] == name and "took" in row]
    steps = list(dict.fromkeys(step for row in rows for step in row["took"]))
    table = [["tile", *steps, "memory, MB"]]
    for row in rows:
        took = row["took"]
        line = [f"{took[step]['cpu_seconds']:,.0f}" if step in took else "" for step in steps]
        most = max(one["peak_mb"] for one in took.values())
        table.append([_tile(row), *line, f"{most:,}"])
    return _markdown(table)


def blocks(name: str, found: dict[str, Any]) -> list[str]:
    """The largest blocks of a target in its largest tile, and how they grow."""
    measures = targets.target(name).measures
    rows = [row for row in found["points"] if row["target"] == name and "blocks" in row]
    if not rows:
        return []
    largest = max(rows, key=lambda row: row["rows"] * row["columns"])
    parts = []
    for key, fits in found["targets"][name]["blocks"].items():
        ranked = sorted(largest["blocks"], key=lambda block: -block[key])
        worse = {one["block"] for one in found["targets"][name]["worse_than_linear"][key]}
        shown = [b for place, b in enumerate(ranked) if place < BLOCKS_SHOWN or b["name"] in worse]
        table = [[f"block, {measures[key]}", _tile(largest), "a row", "a column", "off", "r x c"]]
        for block in shown:
            growth = _fit("", fits[block["name"]])[-4:]
            table.append([_short(block["name"]), f"{block[key]:,.0f}", *growth])
        parts.append(_markdown(table))
    return parts


def fmax(row: dict[str, Any]) -> str:
    """A point's Fmax, or why it is not known."""
    return row["no_fmax"] or f"{row['fmax_mhz']:.1f} MHz"


def _fit(what: str, fit: dict[str, Any]) -> list[str]:
    line, plane, product = fit["line"], fit["plane"], fit["product"]
    return [
        what,
        *([_number(line["base"]), _number(line["per_line"]), f"{line['off_percent']:.1f} %"]
          if line else ["", "", ""]),
        *([_number(plane["per_row"]), _number(plane["per_column"]), f"{plane['off_percent']:.1f} %"]
          if plane else ["", "", ""]),
        f"{product['share_percent']:.1f} %" if product else "",
    ]  # fmt: skip


def _used(row: dict[str, Any]) -> str:
    """How much of the device is needed, of what there is the least of for this tile."""
    shares = [use["used"] / max(use["available"], 1) for use in row["utilization"].values()]
    return f"{100 * max(shares):.0f} %"


def _tile(row: dict[str, Any]) -> str:
    return f"{row['rows']} x {row['columns']}"


def _short(block: str) -> str:
    """All blocks but the shell are in the tile."""
    return block.removeprefix("tile_")


def _number(value: float) -> str:
    # A sum of 0.0: what rounds to nothing has no sign.
    return f"{value:,.0f}" if abs(value) >= 100 else f"{round(value, 1) + 0.0:.1f}"


def _picture(name: str | None) -> list[str]:
    return [] if name is None else [f"![Area, Fmax and tool time against rows + columns]({name})"]


def _failures(found: dict[str, Any]) -> list[str]:
    return [f"Failed: {row['failed']}" for row in found["points"] if "failed" in row]


def _markdown(lines: list[list[str]]) -> str:
    return markdown(lines, 1, in_line=True).rstrip("\n")
