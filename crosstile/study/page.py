"""A study's plot, and the page that has its table, its plot and every run's digest."""

from __future__ import annotations

import base64
import html
from typing import Any

import numpy as np

from crosstile.study.definition import ANY, Study
from golden.training import plots

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#3b3b3b", "#999999")
"""Apart for the colour-blind, too (Okabe and Ito)."""
_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .9rem .2rem 0; border-bottom: 1px solid #ddd; text-align: left; }
code { font-size: .85rem; overflow-wrap: anywhere; } img { max-width: 100%; }
"""


def plot(study: Study, found: list[dict[str, Any]]) -> bytes | None:
    """PNG of the means with their intervals; None without matplotlib, or with nothing to show."""
    shown = [row for row in found if "mean" in row]
    if not plots.available() or not shown:
        return None
    (along,) = (axis for axis in study.axes if axis.name == study.x)
    places = {point.label: place for place, point in enumerate(along.points)}
    if along.numeric:
        places = {point.label: point.number or 0.0 for point in along.points}
    lines: dict[str, list[dict[str, Any]]] = {}
    for place, row in enumerate(found):
        if "mean" in row:
            lines.setdefault(_line(study, place), []).append(row)
    figure, (panel,) = plots.figure_of(8.2, 4.4)
    for number, (label, rows) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        means = np.array([row["mean"] for row in rows])
        halves = np.array([row["mean_half"] or 0 for row in rows])
        if rows[0]["points"][study.x] == ANY.label:
            panel.axhline(means[0], color=colour, linewidth=1.2, linestyle="--", label=label)
            panel.axhspan(
                *(means[0] + sign * halves[0] for sign in (-1, 1)), color=colour, alpha=0.1
            )
            continue
        # Side by side where they would cover each other.
        shift = 0 if along.numeric else 0.12 * (number - (len(lines) - 1) / 2)
        panel.errorbar(
            [places[row["points"][study.x]] + shift for row in rows], means,
            yerr=halves if halves.any() else None,
            color=colour, marker="os^vDP"[number // len(COLOURS) % 6], markersize=4, capsize=3,
            label=label or None, linewidth=1.4 if along.numeric else 0, elinewidth=1,
        )  # fmt: skip
    if not along.numeric:
        panel.set_xticks(list(places.values()), list(places))
    panel.set_xlabel(study.x)
    panel.set_ylabel("test accuracy, %")
    if any(lines):
        figure.legend(loc="outside right upper", frameon=False, fontsize="small")
    return plots.png(figure)


def _line(study: Study, place: int) -> str:
    """The line of the plot that a row belongs to: its points but for the one along the plot."""
    return ", ".join(
        point.label
        for axis, point in zip(study.axes, study.rows[place], strict=True)
        if axis.name != study.x and point is not ANY
    )


def page(
    study: Study,
    command: str,
    lines: list[list[str]],
    found: list[dict[str, Any]],
    png: bytes | None,
) -> str:
    """One file that stands alone."""
    escape = html.escape
    head, *rest = ["".join(f"<td>{escape(text)}</td>" for text in line) for line in lines]
    table = f"<tr>{head.replace('td>', 'th>')}</tr>\n" + "".join(f"<tr>{r}</tr>\n" for r in rest)
    picture = "<p>No plot: <code>pip install 'crosstile[plots]'</code></p>"
    if png is not None:
        data = base64.b64encode(png).decode()
        picture = f'<img alt="{escape(study.title)}" src="data:image/png;base64,{data}">'
    digests = "".join(
        f"<tr><td>{escape(', '.join(row['points'].values()))}</td><td>"
        + "<br>".join(f"<code>{digest}</code>" for digest in row["digests"])
        + "</td></tr>\n"
        for row in found
        if "digests" in row
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(study.title)}</title>\n<style>\n{_STYLE}</style></head><body>\n"
        f"<h1>{escape(study.title)}</h1>\n<p>{escape(study.about)}</p>\n"
        f"<p><code>{escape(command)}</code></p>\n{picture}\n"
        f'<div class="wide"><table>\n{table}</table></div>\n'
        "<h2>Digests of the final states, by seed</h2>\n"
        f'<div class="wide"><table>\n{digests}</table></div>\n</body></html>\n'
    )
