"""The command line. Exit codes: 0 success, 1 a failed check, 2 bad input, 128 + n a signal n.

A file a command: what it asks for, what it refuses, and what it says at last.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

import crosstile
from crosstile import train as training
from crosstile.cli.cosim import cosim
from crosstile.cli.demo import demo
from crosstile.cli.features import features
from crosstile.cli.options import WIDTH
from crosstile.cli.scaling import scaling
from crosstile.cli.study import study
from crosstile.cli.synth import synth
from crosstile.cli.train import train
from crosstile.cli.verilog import verilog
from spec.errors import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Bad input gives one line on stderr."""
    try:
        outcome = cli.main(arguments, prog_name="crosstile", standalone_mode=False)
        return outcome if isinstance(outcome, int) else 0
    except InputError as error:
        return _fail(str(error), 2)
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except training.Interrupted as stop:
        number, folder, example = stop.args
        return _fail(
            f"stopped after example {example}; go on with crosstile train --resume {folder}",
            128 + number,
        )
    except (KeyboardInterrupt, click.Abort):
        return _fail(
            "stopped; train --resume, or the same study again, goes on with what is there", 130
        )


def _fail(message: str, code: int) -> int:
    click.echo(f"crosstile: {' '.join(message.split())}", err=True)
    return code


@click.group(invoke_without_command=True, context_settings={"max_content_width": WIDTH})
@click.version_option(crosstile.__version__)
@click.pass_context
def cli(context: click.Context) -> None:
    """An analog training tile: networks trained on its golden model, and its Verilog."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for _command in (train, demo, features, study, verilog, synth, scaling, cosim):
    cli.add_command(_command)
