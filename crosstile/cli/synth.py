"""`crosstile synth`."""

from __future__ import annotations

from pathlib import Path

import click

from crosstile import synthesis
from crosstile.cli.options import console, settings_of, tile_options
from crosstile.verilog import tile_spec
from synth import targets

_SYNTH_HELP = f"""\
Put a tile's Verilog on an FPGA, or in standard cells: synthesis, timing, area by block.

On an FPGA it is placed out of context, without pins; standard cells are timed before a
layout, with power. DIR gets the Verilog, the netlist, the tools' logs, report.md (the
area of each block, the critical path) and, last, result.json.

\b
Example:
  crosstile synth --target ecp5-25k --preset tiny --out build/tiny
  crosstile synth --target osu018 --preset tiny --out build/cells
\b
Targets: {", ".join(targets.TARGETS)}
Presets: as of crosstile verilog; needs pip install 'crosstile[hdl]'.
"""


@click.command(help=_SYNTH_HELP)
@click.option("--target", metavar="NAME", required=True, help="Device, see above.")
@tile_options
@click.option(
    "--activity", metavar="DIR", help="Power from this recording of cosim; none: no power."
)
@click.option("--check", is_flag=True, help="Prove that the netlist is what the Verilog says.")
@click.option("--out", metavar="DIR", required=True, help="Folder to fill.")
def synth(
    target: str,
    preset: str,
    rows: int | None,
    columns: int | None,
    settings: tuple[str, ...],
    activity: str | None,
    check: bool,
    out: str,
) -> int:
    """Synthesize a tile."""
    spec = tile_spec(preset, rows, columns, settings_of(settings))
    shown = console()
    found = synthesis.synth(target, spec, Path(out), shown, activity, check=check)
    shown.print(synthesis.table(found))
    click.echo(synthesis.last_words(found, Path(out)))
    return 1 if synthesis.failed(found) else 0
