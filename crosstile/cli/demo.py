"""`crosstile demo`."""

from __future__ import annotations

from pathlib import Path

import click

from crosstile import demo as showing
from crosstile.cli.options import console


@click.command
@click.option("--out", metavar="DIR", default="demo", show_default=True, help="Folder to fill.")
def demo(out: str) -> int:
    """Train the paper's network on 20,000 MNIST examples, write the Verilog of a
    tile, train a small network through its Verilog, and show it all on a page.

    \b
    Example:
      crosstile demo --out build/demo
    """
    found = showing.demo(Path(out), console())
    click.echo(showing.last_words(found, Path(out)))
    return 0 if found.get(showing.CLOSED_LOOP, {"identical": True})["identical"] else 1
