"""`crosstile study`."""

from __future__ import annotations

from pathlib import Path

import click

from crosstile.cli.options import command_line, console, settings_of
from crosstile.study import command, definition
from spec.errors import InputError

_STUDY_HELP = f"""\
Do the runs of a study, in parallel, and compare them.

A study is one of the names below, or a TOML file like theirs. DIR gets table.md,
index.html, with matplotlib plot.png, and last result.json; each finished run lies in
DIR/runs and is not done again, so that the same command goes on where it was stopped.

\b
Example:
  crosstile study mismatch --out studies/mismatch
  crosstile study mismatch --seeds 1 --epochs 1 --out studies/quick
  crosstile study leak --set reference_mismatch=0 --out studies/leak
  crosstile study datasets --data-dir cifar10=features.npz --out studies/datasets
  crosstile study my.toml --scheduler tcp://host:8786 --out studies/mine
\b
Studies: {", ".join(definition.names())}
"""


@click.command(help=_STUDY_HELP)
@click.argument("name", metavar="NAME|FILE.toml")
@click.option("--seeds", type=int, metavar="N", help="Seeds 0 to N-1.  [default: the study's]")
@click.option("--epochs", type=int, metavar="N", help="Of each run, if its point says no other.")
@click.option("--examples", type=int, metavar="N", help="Stop each run after N examples.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE",
    help="Change an assumption of all runs; repeatable.",
)  # fmt: skip
@click.option(
    "--data-dir", "data_dirs", multiple=True, metavar="NAME=DIR",
    help="Where a data set lies; repeatable.",
)  # fmt: skip
@click.option(
    "--scheduler", metavar="ADDRESS",
    help="Dask scheduler to use; none: no Dask.  [default: a cluster on this machine]",
)  # fmt: skip
@click.option("--workers", type=int, metavar="N", help="Of that cluster.  [default: all cores]")
@click.option("--report", metavar="FILE.md", help="Put the table into this document, too.")
@click.option("--out", metavar="DIR", required=True, help="Folder to fill.")
@click.pass_context
def study(
    context: click.Context,
    name: str,
    seeds: int | None,
    settings: tuple[str, ...],
    data_dirs: tuple[str, ...],
    scheduler: str | None,
    workers: int | None,
    report: str | None,
    out: str,
    **fields: int | None,
) -> int:
    """Do a study."""
    for option, value in (("seeds", seeds), ("workers", workers)):
        if value is not None and not 1 <= value <= definition.MOST_SEEDS:
            raise InputError(f"--{option} {value}: give 1 to {definition.MOST_SEEDS}")
    given = {field: value for field, value in fields.items() if value is not None}
    of = definition.changed(definition.read(name), given, settings_of(settings))
    found = command.study(
        of, Path(out), console(), seeds=seeds, data_dirs=settings_of(data_dirs, "--data-dir"),
        scheduler=scheduler, workers=workers, command=command_line(context, ("out", "report")),
        document=Path(report) if report else None,
    )  # fmt: skip
    click.echo(command.last_words(found, Path(out)))
    return 0
