"""What a tile's nets do in training: a closed loop, recorded, played at the netlist's gates."""

from __future__ import annotations

import shutil
import struct
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from crosstile import cosim
from crosstile.recording import TRACE
from crosstile.verilog import tile_text
from golden.training import datasets
from golden.training.config import Config
from golden.training.loop import Run
from spec.errors import InputError
from spec.parameter import leaves
from spec.tile import TileSpec
from synth import gates, vcd

RECORDED, PLAYED = "recorded", "gates"
"""Folders within that of the synthesis."""
UNFINISHED = "recorded.unfinished"
"""RECORDED, until the run has ended."""
IMAGES = "images"
"""What the run is trained with."""
OWN_SYNAPSES = 1024
"""Of a larger tile no run is made unasked: its weights alone take minutes to load at gates."""
EXAMPLES = 4
MAX_CYCLES = 4000
"""From the first FORWARD on; the VCD of a longer window is gigabytes."""
DUMP, WAVES = "activity.v", "activity.vcd"


@dataclass(frozen=True)
class Recording:
    """A trace, and which of its tiles is the one that was synthesized."""

    folder: Path
    name: str
    """Of the folder, as the page says it."""
    tile: int
    text: str
    """The Verilog of all its tiles but that."""


class DiffersError(Exception):
    """What should do the same does not: no bad input, but a check that failed."""


@dataclass(frozen=True)
class Activity:
    """What was played, for result.json, and toggles."""

    said: dict[str, Any]
    toggles: vcd.Toggles


def given(folder: Path, spec: TileSpec) -> Recording:
    """The recording in a folder of cosim. Raises InputError unless it has this very tile."""
    from cocotb_tests.closed_loop.trace import Reader
    from rtl.top import module_name

    trace = Reader(folder / TRACE)
    if not trace.complete:
        raise InputError(f"--activity {folder}: its trace was cut; record the run again")
    for tile, one in enumerate(trace.specs):
        if module_name(one) == module_name(spec) and tile_text(one) == tile_text(spec):
            others = {module_name(other): other for other in trace.specs}
            del others[module_name(one)]
            text = "\n".join(map(tile_text, others.values()))
            return Recording(folder, str(folder), tile, text)
    sizes = ", ".join(f"{one.rows}x{one.columns}" for one in trace.specs)
    raise InputError(
        f"--activity {folder}: has no such tile of {spec.rows}x{spec.columns}: its tiles are "
        f"{sizes}; give --rows, --columns and --set of one of them"
    )


def unable(spec: TileSpec) -> str:
    """Why no run of the tile's own can be made; empty where it can."""
    from cocotb_tests import build

    if lacking := build.missing() or gates.missing():
        return f"a closed loop and its gates need more tools: {lacking}"
    if spec.rows == 1:
        return "a tile of one row has no inputs to train with"
    if spec.rows * spec.columns > OWN_SYNAPSES:
        return f"a tile of more than {OWN_SYNAPSES:,} synapses takes long at gates"
    from golden.training.config import configure, layer_specs

    (made,) = layer_specs(configure("pcm-3t1c", _settings(spec)), [spec.rows - 1, spec.columns])
    if tile_text(made) != tile_text(spec):
        return "no network of one layer has this very tile"
    return ""


def own(spec: TileSpec, folder: Path) -> Recording:
    """Record a network of this one tile, a few examples; one that is there is not done again.

    Raises InputError, and DiffersError where its closed loop differs from golden.
    """
    if (folder / RECORDED).exists():
        try:
            return replace(given(folder / RECORDED, spec), name=RECORDED)
        except InputError:
            raise InputError(
                f"--out {folder}: its {RECORDED} is no recording of this tile; give another folder"
            ) from None
    unfinished, images = folder / UNFINISHED, folder / IMAGES
    shutil.rmtree(unfinished, ignore_errors=True)
    _write_images(images, spec.rows - 1, spec.columns)
    run = Run(data_dir=str(images), hidden=(), examples=EXAMPLES, settings=_settings(spec))
    found = cosim.cosim(run, None, None, unfinished, Console(quiet=True), record=True)
    if not found["identical"]:
        raise DiffersError(
            f"its closed loop differs from golden: {cosim.mismatch_text(found)}; see {unfinished}"
        )
    unfinished.rename(folder / RECORDED)
    return Recording(folder / RECORDED, RECORDED, 0, "")


def _settings(spec: TileSpec) -> dict[str, str]:
    """What makes a network's only layer this tile."""
    default = leaves(Config())
    settings = {
        path: str(value).lower() if isinstance(value, bool) else str(value)
        for path, (value, _) in leaves(Config(tile=spec)).items()
        if value != default[path][0] and path not in ("tile.rows", "tile.columns")
    }
    for path in ("tile.column_gain_log2", "tile.weight_unit_log2"):
        settings.pop(path, None)
    return settings | {
        "training.column_gains_log2": str(spec.column_gain_log2),
        "training.weight_units_log2": str(spec.weight_unit_log2),
        "training.output_range_log2": str(spec.converters.forward_range_log2),
        # The most that the slots allow is in proportion to them.
        "training.learning_rate": str(0.01 * spec.update.slots / 32),
    }


def _write_images(folder: Path, inputs: int, classes: int) -> None:
    """MNIST's first images, squeezed to so many pixels, with a label for each column in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    count = max(classes, EXAMPLES)
    images = np.resize(datasets.load("mnist").train_images, (count, 528)).astype(float)
    edges = np.arange(inputs + 1) * images.shape[1] // inputs
    pixels = [images[:, low : max(high, low + 1)].mean(axis=1) for low, high in pairwise(edges)]
    squeezed = np.stack(pixels, axis=1).astype(np.uint8)[:, None, :]
    labels = (np.arange(count) % classes).astype(np.uint8)
    for names in (
        (datasets.TRAIN_IMAGES, datasets.TRAIN_LABELS),
        (datasets.TEST_IMAGES, datasets.TEST_LABELS),
    ):
        for name, array in zip(names, (squeezed, labels), strict=True):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / name).write_bytes(header + array.tobytes())


def measure(recording: Recording, netlist: Path, cells: Path, folder: Path) -> Activity:
    """Play a recording at a netlist, from the start, and count toggles in training.

    Raises DiffersError where the gates do anything else than what was recorded.
    """
    from cocotb_tests.closed_loop import plain_bench
    from cocotb_tests.closed_loop.trace import Reader

    trace, within = Reader(recording.folder / TRACE), folder / PLAYED
    first, last, counts = _window(trace, recording.tile)
    orders = plain_bench.write(trace, within, orders=last + 1)
    (within / "others.v").write_text(recording.text)
    for file in (netlist, cells):
        shutil.copyfile(file, within / file.name)
    (within / DUMP).write_text(_dump(recording.tile, first))
    sources = [
        plain_bench.TEST_BENCH, plain_bench.BENCH, *(one.name for one in plain_bench.SOURCES),
        "others.v", netlist.name, cells.name, DUMP,
    ]  # fmt: skip
    code, said = gates.simulate(within, sources, ("replay_tb", "activity"), delays=True)
    if code or not said.rstrip().endswith(f"PASS {orders} orders"):
        raise DiffersError(f"the gates differ from what was recorded; see {within}")
    with (within / WAVES).open() as lines:
        toggles = vcd.read(lines, "aclk")
    (within / WAVES).unlink()
    of = trace.description
    return Activity(
        {
            "recording": recording.name,
            "network": of["layers"],
            "tile": recording.tile,
            "cell": of["cell"],
            "dataset": of.get("dataset"),
            "seed": of.get("seed"),
            "commands": counts,
            "cycles": toggles.cycles,
            "mean_toggles_per_cycle": round(sum(toggles.per_cycle.values()) / len(toggles.nets), 4),
        },
        toggles,
    )


def _window(trace: Any, tile: int) -> tuple[int, int, dict[str, int]]:
    """Orders from a tile's first FORWARD to its last command in MAX_CYCLES; commands by name."""
    first = last = None
    begun = 0
    counts: dict[str, int] = {}
    for number, order in enumerate(trace.orders()):
        if order.tile != tile or not order.waits:
            continue
        if first is None and order.operation != "FORWARD":
            continue
        if first is None:
            first, begun = number, order.cycle
        if order.cycle - begun > MAX_CYCLES:
            break
        last = number
        name = order.operation.split()[0]
        counts[name] = counts.get(name, 0) + 1
    if first is None or last is None:
        raise InputError("--activity: the recording has no FORWARD at this tile; record examples")
    return first, last, counts


def _dump(tile: int, first: int) -> str:
    return (
        "module activity;\n    initial begin\n"
        f"        wait (replay_tb.t{tile}_player.number >= {first});\n"
        f'        $dumpfile("{WAVES}");\n'
        f"        $dumpvars(1, replay_tb.bench.t{tile}_tile);\n    end\nendmodule\n"
    )
