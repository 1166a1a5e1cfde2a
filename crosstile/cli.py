"""The command line. Exit codes: 0 success, 1 a failed check, 2 bad input, 128 + n a signal n."""

from __future__ import annotations

import dataclasses
import shlex
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console

import crosstile
from crosstile import cosim as closed_loop
from crosstile import demo, recording, synthesis
from crosstile import features as extraction
from crosstile import train as training
from crosstile import verilog as export
from crosstile.scaling import command as growth
from crosstile.scaling import sizes
from crosstile.study import command as studies
from crosstile.study import definition
from golden.training import datasets, plots
from golden.training.config import CELLS, Config
from golden.training.datasets import cifar
from golden.training.loop import ENGINES, Run
from spec.errors import InputError
from spec.parameter import leaves
from spec.presets import PRESETS
from synth import targets

WIDTH = 80
NOT_SETTABLE = ("tile.rows", "tile.columns")
"""Sizes follow from --hidden and the data set."""


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


def _print_parameters(context: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(parameter_table())
        context.exit(0)


_DATA_DIR_HELP = "Folder with the four IDX files; for CIFAR, a features file or its folder."

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


@cli.command(help=_TRAIN_HELP)
@click.option("--dataset", metavar="NAME", help="Data set, see above.  [default: mnist]")
@click.option("--data-dir", metavar="DIR", help=_DATA_DIR_HELP)
@click.option("--cell", metavar="NAME", help="Unit cell, see above.  [default: pcm-3t1c]")
@click.option(
    "--polarity-inversion/--no-polarity-inversion",
    default=None,
    help="Swap g and g_ref at each transfer of a row.  [default: swap]",
)
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
    console = _console()
    out, folder = options.pop("out"), options.pop("resume")
    given = _given(options)
    if folder is None:
        found = training.train(Run(**given), Path(out) if out else None, console)
    else:
        if out is not None and Path(out) != Path(folder):
            raise InputError(f"--out {out}: a resumed run stays in {folder}; leave --out out")
        found = training.resume(Path(folder), lambda run: _changed(run, given), console)
    click.echo(summary(found))
    if not plots.available():
        click.echo("no plots: matplotlib is not installed; pip install crosstile[plots]")
    return 0


@cli.command(name="demo")
@click.option("--out", metavar="DIR", default="demo", show_default=True, help="Folder to fill.")
def demonstrate(out: str) -> int:
    """Train the paper's network on 20,000 MNIST examples, write the Verilog of a
    tile, train a small network through its Verilog, and show it all on a page.

    \b
    Example:
      crosstile demo --out build/demo
    """
    found = demo.demo(Path(out), _console())
    click.echo(demo.last_words(found, Path(out)))
    return 0 if found.get(demo.CLOSED_LOOP, {"identical": True})["identical"] else 1


_FEATURES_HELP = f"""\
Make a features file: what a network of yours, in ONNX, gives for CIFAR's images.

Reads the official files, binary or Python; resizes the images (bilinear), takes
(pixel / 255 - mean) / std, and keeps one output of the network, flattened. train
makes row codes of it. Needs pip install 'crosstile[features]'.

\b
Example:
  crosstile features --dataset cifar10 --images cifar-10-batches-bin \\
    --model network.onnx --out features.npz
\b
Data sets: {", ".join(cifar.CLASSES)}
"""


@cli.command(name="features", help=_FEATURES_HELP)
@click.option("--dataset", metavar="NAME", required=True, help="Data set, see above.")
@click.option("--images", metavar="DIR", required=True, help="Folder with its official files.")
@click.option("--model", metavar="FILE", required=True, help="A network in ONNX format.")
@click.option("--output", metavar="NAME", help="The output to keep.  [default: the first]")
@click.option(
    "--size", type=int, metavar="N",
    help=f"Resize to N x N.  [default: the model's, or {extraction.DEFAULT_SIZE}]",
)  # fmt: skip
@click.option("--mean", metavar="R,G,B", help="Of pixels 0 to 1.  [default: ImageNet's]")
@click.option("--std", metavar="R,G,B", help="Of pixels 0 to 1.  [default: ImageNet's]")
@click.option("--out", metavar="FILE.npz", required=True, help="The file to write.")
def make_features(
    dataset: str,
    images: str,
    model: str,
    output: str | None,
    size: int | None,
    mean: str | None,
    std: str | None,
    out: str,
) -> int:
    """Make a features file."""
    given = {
        name: _numbers(text, f"--{name}")
        for name, text in (("mean", mean), ("std", std))
        if text is not None
    }
    made = extraction.make(
        dataset, Path(images), Path(model), Path(out), _console(), output=output,
        preparation=extraction.Preparation(size, **given),
    )  # fmt: skip
    click.echo(extraction.last_words(made, Path(out)))
    return 0


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise InputError(f"{option} {text}: give three numbers with commas") from None


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


@cli.command(name="study", help=_STUDY_HELP)
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
def studied(
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
    of = definition.changed(definition.read(name), given, _settings(settings))
    found = studies.study(
        of, Path(out), _console(), seeds=seeds, data_dirs=_settings(data_dirs, "--data-dir"),
        scheduler=scheduler, workers=workers, command=_asked(context, ("out", "report")),
        document=Path(report) if report else None,
    )  # fmt: skip
    click.echo(studies.last_words(found, Path(out)))
    return 0


def _tile_options(command: Callable[..., Any]) -> Callable[..., Any]:
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


@cli.command(help=_VERILOG_HELP)
@_tile_options
@click.option("--out", metavar="DIR", required=True, help="Folder to fill.")
def verilog(
    preset: str, rows: int | None, columns: int | None, settings: tuple[str, ...], out: str
) -> int:
    """Write a tile's Verilog."""
    spec = export.tile_spec(preset, rows, columns, _settings(settings))
    found = export.verilog(spec, Path(out), _console())
    click.echo(export.last_words(found, Path(out)))
    return 1 if found["lint"] and not found["lint"]["clean"] else 0


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


@cli.command(name="synth", help=_SYNTH_HELP)
@click.option("--target", metavar="NAME", required=True, help="Device, see above.")
@_tile_options
@click.option(
    "--activity", metavar="DIR", help="Power from this recording of cosim; none: no power."
)
@click.option("--check", is_flag=True, help="Prove that the netlist is what the Verilog says.")
@click.option("--out", metavar="DIR", required=True, help="Folder to fill.")
def synthesized(
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
    spec = export.tile_spec(preset, rows, columns, _settings(settings))
    console = _console()
    found = synthesis.synth(target, spec, Path(out), console, activity, check=check)
    console.print(synthesis.table(found))
    click.echo(synthesis.last_words(found, Path(out)))
    return 1 if synthesis.failed(found) else 0


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


@cli.command(name="scaling", help=_SCALING_HELP)
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
def scaled(
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
    specs = [export.tile_spec(preset, *size, _settings(settings)) for size in chosen]
    found = growth.scaling(
        list(dict.fromkeys(names or targets.TARGETS)), specs, Path(out), _console(),
        fmax_up_to=fmax_up_to, command=_asked(context, ("out", "report")),
        document=Path(report) if report else None,
    )  # fmt: skip
    click.echo(growth.last_words(found, Path(out)))
    return 1 if any("failed" in row for row in found["points"]) else 0


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


@cli.command(help=_COSIM_HELP)
@click.option("--network", metavar="N,N,..", help="All widths, from the inputs to the classes.")
@click.option("--dataset", metavar="NAME", help="As in train.  [default: mnist]")
@click.option("--data-dir", metavar="DIR", help=_DATA_DIR_HELP)
@click.option("--cell", metavar="NAME", help="Unit cell, see above.  [default: pcm-3t1c]")
@click.option(
    "--polarity-inversion/--no-polarity-inversion",
    default=None,
    help="Swap g and g_ref at each transfer of a row.  [default: swap]",
)
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
    widths = None if network is None else _widths(network, "--network")
    given = None if file is None else Path(file)
    if trace is not None:
        _refuse_others(context, "trace", ("file", "partial", "waves", "out"))
        played = recording.replay(
            Path(trace), given, Path(out), _console(), partial=partial, waves=waves
        )
        click.echo(recording.last_words(played, Path(out)))
        return 0 if played["identical"] else 1
    if partial:
        raise InputError("--partial: is for --replay; leave it out")
    found = closed_loop.cosim(
        Run(**_given(options)), widths, given, Path(out), _console(), record=record, waves=waves
    )
    click.echo(closed_loop.last_words(found, Path(out)))
    return 0 if found["identical"] else 1


def _refuse_others(context: click.Context, name: str, allowed: Sequence[str]) -> None:
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


def _asked(context: click.Context, without: Sequence[str]) -> str:
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


def _console() -> Console:
    console = Console()
    # rich takes 80 columns where it cannot tell.
    console.width = min(console.width, 120)
    return console


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The fields of a `Run` that were given on the command line."""
    given = {name: value for name, value in options.items() if value is not None}
    settings = _settings(given.pop("settings"))
    inversion = given.pop("polarity_inversion", None)
    if inversion is not None:
        if any(name.split(".")[-1] == "polarity_inversion" for name in settings):
            raise InputError("--set polarity_inversion: given as an option too; give it once")
        settings["polarity_inversion"] = "true" if inversion else "false"
    if settings:
        given["settings"] = settings
    if "hidden" in given:
        given["hidden"] = () if given["hidden"] == "none" else _widths(given["hidden"])
    return given


def _settings(pairs: Sequence[str], option: str = "--set") -> dict[str, str]:
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


def _widths(text: str, option: str = "--hidden") -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError:
        otherwise = ", or none" if option == "--hidden" else ""
        raise InputError(
            f"{option} {text}: give whole numbers with commas, like 250,125{otherwise}"
        ) from None


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
