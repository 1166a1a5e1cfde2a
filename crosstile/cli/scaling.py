"""`crosstile scaling`."""

from __future__ import annotations

from pathlib import Path

import click

from crosstile.cli.options import command_line, console, settings_of
from crosstile.scaling import command, sizes
from crosstile.verilog import tile_spec
from spec.errors import InputError
from synth import targets

_SCALING_HELP = f"""\
See how a tile's area, clock and tool time grow with its rows and columns.

Each size goes through synthesis for each target and, where it fits, through place,
route and timing. DIR gets report.md (sizes, area a line, blocks that grow worse than
linear), with matplotlib scaling.png, and last result.json. What is found lies in
DIR/runs and is not looked for again, so that the same command goes on where it was
stopped. Exit code 1: a point failed; the others are there.

\b
Example:
  crosstile scaling --out studies/scaling
  crosstile scaling --target ecp5-25k --size 16x16 --size 64x16 --out build/two
  crosstile scaling --target osu018 --fmax-up-to 128 --out studies/cells
\b
Targets: {", ".join(targets.TARGETS)}
Sizes: squares of {", ".join(map(str, sizes.SIDES))};
  and as many rows or columns with {sizes.HELD} of the other.
Presets: as of crosstile verilog; needs pip install 'crosstile[hdl]'.
"""


@click.command(help=_SCALING_HELP)
@click.option(
    "--target", "names", multiple=True, metavar="NAME", help="Repeatable.  [default: all]"
)
@click.option(
    "--size", "given", multiple=True, metavar="RxC",
    help="Rows and columns; repeatable.  [default: see above]",
)  # fmt: skip
@click.option(
    "--preset", metavar="NAME", default="paper", show_default=True,
    help="What tiles have but their size.",
)  # fmt: skip
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a parameter; repeatable."
)
@click.option(
    "--fmax-up-to", type=int, metavar="N",
    help="Only the area of tiles of more rows or columns; 0: of all.",
)  # fmt: skip
@click.option("--report", metavar="FILE.md", help="Put a section into this document, too.")
@click.option("--out", metavar="DIR", required=True, help="Folder to fill.")
@click.pass_context
def scaling(
    context: click.Context,
    names: tuple[str, ...],
    given: tuple[str, ...],
    preset: str,
    settings: tuple[str, ...],
    fmax_up_to: int | None,
    report: str | None,
    out: str,
) -> int:
    """Do the scaling study."""
    if fmax_up_to is not None and fmax_up_to < 0:
        raise InputError(f"--fmax-up-to {fmax_up_to}: give 0 or more")
    chosen = sizes.in_order(map(sizes.parse, given)) if given else sizes.usual()
    specs = [tile_spec(preset, *size, settings_of(settings)) for size in chosen]
    found = command.scaling(
        list(dict.fromkeys(names or targets.TARGETS)), specs, Path(out), console(),
        fmax_up_to=fmax_up_to, command=command_line(context, ("out", "report")),
        document=Path(report) if report else None,
    )  # fmt: skip
    click.echo(command.last_words(found, Path(out)))
    return 1 if any("failed" in row for row in found["points"]) else 0
