"""`crosstile train`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from crosstile import train as training
from crosstile.cli.options import cell_options, console, run_fields
from crosstile.cli.parameters import parameter_table
from golden.training import datasets, plots
from golden.training.config import CELLS
from golden.training.loop import ENGINES, Run
from spec.errors import InputError


def _print_parameters(context: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(parameter_table())
        context.exit(0)


_TRAIN_HELP = f"""\
Train a network, one example at a time, and evaluate it after each epoch.

DIR gets result.json, checkpoint.bin and, with matplotlib, accuracy.png and
weights.png. Ctrl-C writes a checkpoint; --resume goes on from it bit for bit.

\b
Example:
  crosstile train --dataset mnist --epochs 20 --seed 0 --out runs/first
  crosstile train --set leak_tau_ns=5e6 --set slots=16 --out runs/leaky
  crosstile train --resume runs/first
  crosstile train --dataset cifar10 --data-dir features.npz --out runs/cifar
\b
Data sets: {", ".join(datasets.NAMES[:3])},
  {", ".join(datasets.NAMES[3:])}. mnist-pairs stands in for CIFAR-100 in
  shape alone, 2048-100: no figure of it is comparable with CIFAR-100's.
Cells: {", ".join(CELLS)}
"""


@click.command(help=_TRAIN_HELP)
@click.option("--dataset", metavar="NAME", help="Data set, see above.  [default: mnist]")
@cell_options
@click.option("--epochs", type=int, metavar="N", help="Passes over the data.  [default: 20]")
@click.option("--examples", type=int, metavar="N", help="Stop after N training examples in all.")
@click.option("--seed", type=int, metavar="N", help="0 to 2^32-1.  [default: 0]")
@click.option(
    "--hidden", metavar="N,N",
    help="Hidden layers' widths, or none.  [default: 250,125; none where features are the input]",
)  # fmt: skip
@click.option(
    "--engine", metavar="NAME", help=f"{', '.join(ENGINES)}: same results.  [default: auto]"
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a parameter; repeatable."
)
@click.option(
    "--help-set",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_parameters,
    help="List what --set takes, and exit.",
)
@click.option("--evaluate-every", type=int, metavar="N", help="Evaluate each N examples, too.")
@click.option(
    "--hold-out", type=int, metavar="N",
    help="Test on the last N training examples, to choose hyperparameters.",
)  # fmt: skip
@click.option("--out", metavar="DIR", help="Folder for the results.  [default: runs/train-N]")
@click.option("--resume", metavar="DIR", help="Go on from the checkpoint in DIR.")
def train(**options: Any) -> int:
    """Train a network."""
    out, folder = options.pop("out"), options.pop("resume")
    given = run_fields(options)
    if folder is None:
        found = training.train(Run(**given), Path(out) if out else None, console())
    else:
        if out is not None and Path(out) != Path(folder):
            raise InputError(f"--out {out}: a resumed run stays in {folder}; leave --out out")
        found = training.resume(Path(folder), lambda run: _changed(run, given), console())
    click.echo(summary(found))
    if not plots.available():
        click.echo("no plots: matplotlib is not installed; pip install crosstile[plots]")
    return 0


def _changed(run: Run, given: dict[str, Any]) -> Run:
    """A checkpoint's run with the options given; the trainer refuses what does not fit it."""
    if "epochs" in given and run.examples is not None:
        # The older limit would hide the epochs asked for.
        given = {"examples": None} | given
    return dataclasses.replace(run, **given)


def summary(found: dict[str, Any]) -> str:
    """The last words of a run, within 80 columns."""
    layers = "-".join(map(str, found["layers"]))
    lines = {
        "network": f"{layers}, {found['synapses']:,} synapses, cell {found['cell']}",
        "trained": f"{found['examples']:,} examples of {found['dataset']}, "
        f"{training.counted(found['transfers'])}",
        "speed": f"{found['examples_per_second']:,.0f} examples/s, engine {found['engine']}",
        "accuracy": f"{found['final_test_accuracy']:.2f} % of the test set",
        "digest": found["state_digest"],
    }
    return "\n".join(f"{name:10}{text}" for name, text in lines.items())
