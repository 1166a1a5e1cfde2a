"""What `--set` takes, as a table."""

from __future__ import annotations

import textwrap

from crosstile.cli.options import WIDTH
from golden.training.config import Config
from spec.parameter import leaves

NOT_SETTABLE = ("tile.rows", "tile.columns")
"""Sizes follow from --hidden and the data set."""


def parameter_table() -> str:
    """Every parameter that `--set` takes, for 80 columns: name, default, unit, tag; meaning."""
    lines = [f"{'name':22}{'default':18}{'unit':12}tag"]
    group = ""
    for path, (value, field) in leaves(Config()).items():
        head, _, name = path.rpartition(".")
        if path in NOT_SETTABLE:
            continue
        if head != group:
            group = head
            lines += ["", head]
        facts = field.metadata
        default = str(value).lower() if isinstance(value, bool) else str(value)
        unit = facts["unit"] or "-"
        lines.append(f"{name:22}{default:18}{unit:12}{facts['tag']}")
        meaning = facts["doc"]
        if facts["choices"]:
            meaning += f"; one of {', '.join(facts['choices'])}"
        elif facts["low"] is not None:
            meaning += f"; {facts['low']} to {facts['high']}"
        if facts["source"]:
            meaning += f" [{facts['source']}]"
        lines += textwrap.wrap(meaning, WIDTH - 4, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)
