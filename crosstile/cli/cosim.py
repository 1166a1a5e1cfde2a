"""`crosstile cosim`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crosstile import cosim as closed_loop
from crosstile import recording
from crosstile.cli.options import (
    cell_options,
    console,
    refuse_others,
    run_fields,
    widths_of,
)
from golden.training.loop import Run
from spec.errors import InputError

_COSIM_HELP = f"""\
Train a network through the Verilog of its tiles, and compare with golden.

The Verilog runs in Verilator, with the golden analog model at its pins, beside a
golden run: every event at the array, every converter code, and the whole state at
each transfer and at the end must be equal. DIR gets the Verilog that was simulated,
the simulator's log and result.json. Exit code 1: a first mismatch was found.

\b
Example:
  crosstile cosim --network 528,9,10 --examples 50 --out build/cosim
  crosstile cosim --network 528,250,125,10 --examples 10000 --out build/paper
  crosstile cosim --network 528,9,10 --verilog build/cosim/design.v --out build/2
  crosstile cosim --network 528,9,10 --record --out build/3
  crosstile cosim --replay build/3/trace.bin --verilog changed.v --out build/4
\b
Cells: {", ".join(closed_loop.CELLS)}; needs pip install 'crosstile[hdl]', g++ and make.
"""


@click.command(help=_COSIM_HELP)
@click.option("--network", metavar="N,N,..", help="All widths, from the inputs to the classes.")
@click.option("--dataset", metavar="NAME", help="As in train.  [default: mnist]")
@cell_options
@click.option(
    "--examples", type=int, metavar="N", default=closed_loop.DEFAULT_EXAMPLES, show_default=True,
    help="Stop after N training examples.",
)  # fmt: skip
@click.option("--epochs", type=int, metavar="N", help="Passes over the data at most.")
@click.option("--seed", type=int, metavar="N", help="0 to 2^32-1.  [default: 0]")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="As in train; repeatable."
)
@click.option("--verilog", "file", metavar="FILE", help="Simulate this file's tiles instead.")
@click.option("--record", is_flag=True, help="Write trace.bin, and a test bench that plays it.")
@click.option(
    "--replay", "trace", metavar="FILE", help="Play a recorded trace, in place of a training."
)
@click.option("--partial", is_flag=True, help="With --replay: a trace that was cut, too.")
@click.option("--waves", is_flag=True, help="Run again, and write the last operations' waves.")
@click.option("--out", metavar="DIR", required=True, help="Folder to fill.")
@click.pass_context
def cosim(
    context: click.Context,
    network: str | None,
    file: str | None,
    record: bool,
    trace: str | None,
    partial: bool,
    waves: bool,
    out: str,
    **options: Any,
) -> int:
    """Train through the Verilog."""
    widths = None if network is None else widths_of(network, "--network")
    given = None if file is None else Path(file)
    if trace is not None:
        refuse_others(context, "trace", ("file", "partial", "waves", "out"))
        played = recording.replay(
            Path(trace), given, Path(out), console(), partial=partial, waves=waves
        )
        click.echo(recording.last_words(played, Path(out)))
        return 0 if played["identical"] else 1
    if partial:
        raise InputError("--partial: is for --replay; leave it out")
    found = closed_loop.cosim(
        Run(**run_fields(options)), widths, given, Path(out), console(), record=record, waves=waves
    )
    click.echo(closed_loop.last_words(found, Path(out)))
    return 0 if found["identical"] else 1
