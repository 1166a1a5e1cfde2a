"""What a study found: a line a combination of points, in Markdown and as data."""

from __future__ import annotations

from typing import Any

from crosstile.study import statistics
from crosstile.study.definition import Study

Outcomes = dict[tuple[int, int], dict[str, Any]]
"""(place of the row, seed) -> outcome."""


def rows(
    study: Study, seeds: range, outcomes: Outcomes, absent: dict[int, str]
) -> list[dict[str, Any]]:
    """A row for each of `study.rows`. `absent`: place of a row -> why it was left out.

    A row's values depend on its runs alone, not on who did them or in which order.
    """
    points = study.rows
    found = []
    for place, row in enumerate(points):
        one: dict[str, Any] = {
            "points": {axis.name: p.label for axis, p in zip(study.axes, row, strict=True)}
        }
        if place in absent:
            found.append(one | {"absent": absent[place]})
            continue
        values = _values(place, seeds, outcomes)
        runs = [outcomes[place, seed] for seed in seeds]
        difference = None
        reference = study.reference_of(row)
        if reference is not None and (other := points.index(reference)) not in absent:
            difference = statistics.paired(values, _values(other, seeds, outcomes))
        one |= {
            "layers": runs[0]["layers"], "synapses": runs[0]["synapses"],
            "accuracy": [values[seed] for seed in seeds],
            "digests": [run["state_digest"] for run in runs], "keys": [run["key"] for run in runs],
        } | _mean("mean", statistics.mean(list(values.values())))  # fmt: skip
        if difference is not None:
            one |= _mean("difference", difference)
            if study.margin is not None:
                one["equivalent"] = statistics.equivalent(difference, study.margin)
        found.append(one)
    return found


def _values(place: int, seeds: range, outcomes: Outcomes) -> dict[int, float]:
    return {seed: outcomes[place, seed]["final_test_accuracy"] for seed in seeds}


def _mean(name: str, of: statistics.Mean) -> dict[str, float | None]:
    return {name: of.mean, f"{name}_half": of.half}


def cells(study: Study, seeds: range, found: list[dict[str, Any]]) -> list[list[str]]:
    """The table's texts, its head first."""
    compared = any("difference" in row for row in found)
    judged = any("equivalent" in row for row in found)
    head = [axis.name for axis in study.axes]
    head += ["synapses", *(f"seed {seed}" for seed in seeds), "mean, 95 %"]
    if compared:
        head.append(f"minus {_reference(study)}, paired, 95 %")
    if judged:
        head.append(f"within {study.margin:g}")
    lines = [head]
    for row in found:
        line = list(row["points"].values())
        if "absent" in row:
            line += ["", *("" for _ in seeds), f"left out: {row['absent']}"]
        else:
            line += [f"{row['synapses']:,}", *(f"{value:.2f}" for value in row["accuracy"])]
            line.append(str(statistics.Mean(row["mean"], row["mean_half"])))
        if compared:
            line.append(_difference(row))
        if judged:
            line.append({True: "yes", False: "no", None: ""}[row.get("equivalent")])
        lines.append(line)
    return lines


def _difference(row: dict[str, Any]) -> str:
    if "difference" not in row:
        return ""
    text = str(statistics.Mean(row["difference"], row["difference_half"]))
    return text if text.startswith("-") else f"+{text}"


def _reference(study: Study) -> str:
    return ", ".join(study.reference.values())


def markdown(lines: list[list[str]], words: int, *, in_line: bool = False) -> str:
    """A Markdown table; the first `words` columns are words, the others numbers.

    `in_line`: the columns are, on a terminal too.
    """
    widths = [3] * words + [4] * (len(lines[0]) - words)
    if in_line:
        widths = [
            max(w, *map(len, c)) for w, c in zip(widths, zip(*lines, strict=True), strict=True)
        ]
        lines = [
            [text.ljust(w) if place < words else text.rjust(w)
             for place, (text, w) in enumerate(zip(line, widths, strict=True))]
            for line in lines
        ]  # fmt: skip
    rule = ["-" * w if place < words else "-" * (w - 1) + ":" for place, w in enumerate(widths)]
    return "".join(f"| {' | '.join(line)} |\n" for line in (lines[0], rule, *lines[1:]))
