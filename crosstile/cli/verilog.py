"""`crosstile verilog`."""

from __future__ import annotations

from pathlib import Path

import click

from crosstile import verilog as export
from crosstile.cli.options import console, settings_of, tile_options
from spec.presets import PRESETS

_VERILOG_HELP = f"""\
Write the Verilog of a tile controller, and what goes with it.

DIR gets the tile and a synthesizable stub of its array macro, each one file; its
registers as SystemRDL, HTML, C header and IP-XACT; lists of files, a test bench, and
packages for FuseSoC, LiteX, LibreLane and Vivado; a lint log, with the waivers;
manifest.json and, last, result.json. The same tile gives the same bytes.
A layer of n inputs is n + 1 rows: the last one is the bias.

\b
Example:
  crosstile verilog --preset small --out build/small
  crosstile verilog --rows 512 --columns 512 --set slots=16 --out build/512
\b
Presets: {", ".join(f"{name} ({tile.rows}x{tile.columns})" for name, tile in PRESETS.items())}
"""


@click.command(help=_VERILOG_HELP)
@tile_options
@click.option("--out", metavar="DIR", required=True, help="Folder to fill.")
def verilog(
    preset: str, rows: int | None, columns: int | None, settings: tuple[str, ...], out: str
) -> int:
    """Write a tile's Verilog."""
    spec = export.tile_spec(preset, rows, columns, settings_of(settings))
    found = export.verilog(spec, Path(out), console())
    click.echo(export.last_words(found, Path(out)))
    return 1 if found["lint"] and not found["lint"]["clean"] else 0
