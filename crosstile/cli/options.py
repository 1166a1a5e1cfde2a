"""What several commands ask for, and how it is read. What does not fit is an InputError."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console

from spec.errors import InputError

WIDTH = 80

_Command = Callable[..., Any]


def cell_options(command: _Command) -> _Command:
    """Where the data lie and what a cell is, of every command that trains."""
    for option in (
        click.option(
            "--polarity-inversion/--no-polarity-inversion", default=None,
            help="Swap g and g_ref at each transfer of a row.  [default: swap]",
        ),
        click.option(
            "--cell", metavar="NAME", help="Unit cell, see above.  [default: pcm-3t1c]"
        ),
        click.option(
            "--data-dir", metavar="DIR",
            help="Folder with the four IDX files; for CIFAR, a features file or its folder.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def tile_options(command: _Command) -> _Command:
    """What says which tile, of every command that takes one."""
    for option in (
        click.option(
            "--set", "settings", multiple=True, metavar="KEY=VALUE",
            help="Set a parameter; repeatable.",
        ),
        click.option("--columns", type=int, metavar="C", help="1 to 2048."),
        click.option("--rows", type=int, metavar="R", help="1 to 2049, the bias row included."),
        click.option(
            "--preset", metavar="NAME", default="paper", show_default=True, help="Tile, see above."
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def console() -> Console:
    """Where a command shows what it does."""
    shown = Console()
    # rich takes 80 columns where it cannot tell.
    shown.width = min(shown.width, 120)
    return shown


def run_fields(options: dict[str, Any]) -> dict[str, Any]:
    """The fields of a `Run` that were given on the command line."""
    given = {name: value for name, value in options.items() if value is not None}
    settings = settings_of(given.pop("settings"))
    inversion = given.pop("polarity_inversion", None)
    if inversion is not None:
        if any(name.split(".")[-1] == "polarity_inversion" for name in settings):
            raise InputError("--set polarity_inversion: given as an option too; give it once")
        settings["polarity_inversion"] = "true" if inversion else "false"
    if settings:
        given["settings"] = settings
    if "hidden" in given:
        given["hidden"] = () if given["hidden"] == "none" else widths_of(given["hidden"])
    return given


def settings_of(pairs: Sequence[str], option: str = "--set") -> dict[str, str]:
    """KEY=VALUE options by their keys."""
    settings: dict[str, str] = {}
    for pair in pairs:
        name, sign, value = (part.strip() for part in pair.partition("="))
        if not (name and sign and value):
            hint = "; crosstile train --help-set lists the keys" if option == "--set" else ""
            form = "key=value" if option == "--set" else "name=value"
            raise InputError(f"{option} {pair}: give {form}{hint}")
        if name in settings:
            raise InputError(f"{option} {name}: given twice; give it once")
        settings[name] = value
    return settings


def widths_of(text: str, option: str = "--hidden") -> tuple[int, ...]:
    """Of layers, from N,N."""
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError:
        otherwise = ", or none" if option == "--hidden" else ""
        raise InputError(
            f"{option} {text}: give whole numbers with commas, like 250,125{otherwise}"
        ) from None


def command_line(context: click.Context, without: Sequence[str]) -> str:
    """The command as it was given, without the options that only say where results go."""
    words = context.command_path.split()
    for parameter in context.command.params:
        given = parameter.name and context.get_parameter_source(parameter.name)
        if given is not ParameterSource.COMMANDLINE or parameter.name in without:
            continue
        value = context.params[str(parameter.name)]
        for one in value if isinstance(value, tuple) else (value,):
            option = [parameter.opts[0]] if isinstance(parameter, click.Option) else []
            words += [*option, str(one)]
    return shlex.join(words)


def refuse_others(context: click.Context, name: str, allowed: Sequence[str]) -> None:
    """Raise InputError for an option on the command line that `name` has no use for."""
    options = {option.name: option.opts[0] for option in context.command.params}
    for other in options:
        given = other and context.get_parameter_source(other) is ParameterSource.COMMANDLINE
        if given and other not in (name, *allowed):
            may = ", ".join(options[one] for one in allowed)
            raise InputError(
                f"{options[other]}: has no meaning with {options[name]}, whose file says it; "
                f"leave it out ({may} may be given)"
            )
