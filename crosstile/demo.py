"""`crosstile demo`: a short training, a tile's Verilog, a small closed loop; a page shows them."""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from crosstile import cosim, train, verilog
from golden.training import checkpoint, datasets, plots
from golden.training.loop import Run
from spec.errors import InputError
from spec.parameter import to_dict

RUN = Run(dataset="mnist", cell="pcm-3t1c", examples=20_000, evaluate_every=2_000)
PAGE = "index.html"
TRAINING, VERILOG, CLOSED_LOOP, POOLED = "train", "verilog", "cosim", "mnist-6x5"
PRESET = "small"
LOOP = Run(
    hidden=(8,), examples=60, settings={"transfer_interval": "20", "leak_tick_ns": "480"}
)  # fmt: skip
"""Trained through the Verilog, on MNIST averaged over 4 x 4 pixels: small tiles build quickly."""
POOL, POOLED_IMAGES = 4, 500

_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } th { text-align: left; font-weight: 600; }
th, td { padding: .2rem 1.2rem .2rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }
code { font-size: .85rem; overflow-wrap: anywhere; } img { max-width: 100%; }
"""


def demo(folder: Path, console: Console) -> dict[str, Any]:
    """Train RUN, write a tile's Verilog, train LOOP through the Verilog of its tiles; and the page.

    Returns the contents of their result.json, by folder; without the hdl extra, or a C++ compiler,
    that of the first alone. A finished demo in the folder is done again: it is the same run. Raises
    InputError where the folder holds another run.
    """
    _clear_own(folder / TRAINING, RUN)
    _clear_own(folder / CLOSED_LOOP, _loop(folder))
    _clear_own_verilog(folder / VERILOG)
    found = {TRAINING: train.train(RUN, folder / TRAINING, console)}
    if not lacking():
        spec = verilog.tile_spec(PRESET, None, None, {})
        found[VERILOG] = verilog.verilog(spec, folder / VERILOG, console)
        _write_pooled(folder / POOLED)
        loop = cosim.cosim(_loop(folder), None, None, folder / CLOSED_LOOP, console)
        found[CLOSED_LOOP] = loop
    checkpoint.write_atomically(folder / PAGE, page(found, folder).encode())
    return found


def lacking() -> str:
    """What has to be installed for the Verilog's part; empty where all is there."""
    try:
        from cocotb_tests import build
    except ModuleNotFoundError:
        return "pip install 'crosstile[hdl]'"
    return build.missing()


def _loop(folder: Path) -> Run:
    return dataclasses.replace(LOOP, data_dir=str(folder / POOLED))


def _write_pooled(folder: Path) -> None:
    """The first images of MNIST, each the means of POOL x POOL pixels, as IDX files."""
    folder.mkdir(parents=True, exist_ok=True)
    mnist = datasets.load("mnist")
    rows, columns = (side // POOL for side in mnist.image_shape)
    parts = (
        (datasets.TRAIN_IMAGES, datasets.TRAIN_LABELS, mnist.train_images, mnist.train_labels),
        (datasets.TEST_IMAGES, datasets.TEST_LABELS, mnist.test_images, mnist.test_labels),
    )
    for images_name, labels_name, images, labels in parts:
        whole = images[:POOLED_IMAGES].reshape(-1, *mnist.image_shape)
        whole = whole[:, : rows * POOL, : columns * POOL]
        pooled = whole.reshape(-1, rows, POOL, columns, POOL).mean(axis=(2, 4)).astype(np.uint8)
        for name, array in ((images_name, pooled), (labels_name, labels[:POOLED_IMAGES])):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            checkpoint.write_atomically(folder / name, header + array.tobytes())


def _clear_own(folder: Path, own: Run) -> None:
    """Remove an earlier demo's folder, and nothing else."""
    result = folder / train.RESULT
    try:
        run = json.loads(result.read_bytes())["run"]
    except (OSError, ValueError, KeyError, TypeError):
        if not (folder / checkpoint.NAME).exists():
            return
        try:
            run = checkpoint.read(folder).run.to_json()
        except InputError:
            return  # not for us to judge: `train` refuses the folder
    if run == own.to_json():
        shutil.rmtree(folder)


def _clear_own_verilog(folder: Path) -> None:
    try:
        spec = json.loads((folder / train.RESULT).read_bytes())["spec"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if spec == to_dict(verilog.tile_spec(PRESET, None, None, {})):
        shutil.rmtree(folder)


def page(found: dict[str, Any], folder: Path) -> str:
    """The page, with the plots of `folder` inside it: it can be sent as one file."""
    parts = [_training(found[TRAINING], folder / TRAINING)]
    if VERILOG in found:
        parts += [_verilog(found[VERILOG]), _closed_loop(found[CLOSED_LOOP])]
    else:
        parts.append(
            f"<h2>Verilog and closed loop</h2>\n<p>Left out: {html.escape(lacking())}.</p>\n"
        )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>crosstile demo</title>\n<style>\n{_STYLE}</style></head><body>\n"
        "<h1>MNIST, trained on an analog-memory tile</h1>\n" + "".join(parts) + "</body></html>\n"
    )


def _table(facts: dict[str, str]) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{_value(name, text)}</td></tr>\n"
        for name, text in facts.items()
    )
    return f"<table>\n{rows}</table>\n"


def _verilog(found: dict[str, Any]) -> str:
    size = found["spec"]["rows"], found["spec"]["columns"]
    lint = found["lint"] and found["lint"]["clean"]
    facts = {
        "module": f"{found['module']}: {size[0]} rows by {size[1]} columns",
        "lint": {True: "clean", False: "failed", None: "not done"}[lint],
        "digest of the file": found["files"][f"{found['module']}.v"],
    }
    return (
        "<h2>A tile's controller as Verilog</h2>\n"
        "<p>With a stub of its array and the documents of its registers, in "
        f"<code>{VERILOG}</code>.</p>\n{_table(facts)}"
    )


def _closed_loop(found: dict[str, Any]) -> str:
    layers = "-".join(map(str, found["layers"]))
    equal = "every event, every converter code, and the whole state"
    facts = {
        "network": f"{layers}, {found['synapses']:,} synapses, on MNIST averaged to 6 x 5 pixels",
        "trained through the Verilog": f"{found['examples']} examples, "
        f"{train.counted(found['transfers'])}, {found['cycles']:,} cycles",
        "equal to golden": equal if found["identical"] else cosim.mismatch_text(found),
        "digest of golden": str(found["golden_digest"]),
        "digest of the Verilog": str(found["rtl_digest"]),
    }
    return (
        "<h2>A network trained through the Verilog</h2>\n"
        "<p>The tiles' Verilog runs in a simulator with the analog model at its pins, beside the "
        f"golden model.</p>\n{_table(facts)}"
    )


def _training(found: dict[str, Any], folder: Path) -> str:
    layers = "-".join(map(str, found["layers"]))
    facts = {
        "network": f"{layers}, {found['synapses']:,} synapses of 2 PCM + 3T1C",
        "trained on": f"the first {found['examples']:,} examples of an epoch of MNIST, one at a "
        "time, each through the analog arrays",
        "transfers to PCM": f"{found['transfers']}, of all rows of all tiles",
        "test accuracy": f"{found['final_test_accuracy']:.2f} % of 10,000 images never trained on",
        "speed": f"{found['examples_per_second']:,.0f} examples a second, engine {found['engine']}",
        "digest of the state": found["state_digest"],
    }
    captions = {
        "accuracy.png": (
            "Accuracy while training",
            "After a transfer the weights are what PCM programming made of them, so the curve dips "
            "there and recovers.",
        ),
        "weights.png": (
            "Where the weights are",
            "A weight is F(G+ - G-) + p(g - g_ref): the higher pair holds what was transferred, "
            "the lower pair what was learnt since and what trimming added.",
        ),
    }
    pictures = "".join(
        f"<h2>{title}</h2>\n{_picture(folder / name, title)}\n<p>{html.escape(text)}</p>\n"
        for name, (title, text) in captions.items()
        if (folder / name).exists()
    )
    if not pictures:
        pictures = "<p>Install the extra <code>plots</code> to see the plots here.</p>\n"
    return (
        "<p>The golden model with everything on: leak, drift, device mismatch, converter noise and "
        "resolution, polarity inversion. The same command gives the same digest on every machine "
        f"and engine.</p>\n{_table(facts)}{pictures}"
        f"<p>All numbers: <code>{TRAINING}/{train.RESULT}</code>. A whole run: "
        "<code>crosstile train --dataset mnist</code>.</p>\n"
    )


def _value(name: str, text: str) -> str:
    escaped = html.escape(text)
    return f"<code>{escaped}</code>" if name.startswith("digest") else escaped


def _picture(path: Path, title: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{title}" src="data:image/png;base64,{data}">'


def last_words(found: dict[str, Any], folder: Path) -> str:
    """A few lines: what was done, what came of it, where to look."""
    training = found[TRAINING]
    layers = "-".join(map(str, training["layers"]))
    plotted = "" if plots.available() else " (no plots: install crosstile[plots])"
    lines = [
        f"trained {layers} on {training['examples']:,} examples of MNIST with the full cell, "
        f"{train.counted(training['transfers'])}",
        f"test accuracy {training['final_test_accuracy']:.2f} %, "
        f"{training['examples_per_second']:,.0f} examples/s, "
        f"digest {training['state_digest'][:16]}...",
    ]
    if CLOSED_LOOP in found:
        loop = found[CLOSED_LOOP]
        small = "-".join(map(str, loop["layers"]))
        verdict = "identical to golden" if loop["identical"] else cosim.mismatch_text(loop)
        lines.append(
            f"trained {small} through its Verilog, {train.counted(loop['transfers'])}: {verdict}"
        )
    else:
        lines.append(f"no Verilog, no closed loop: {lacking()}")
    lines.append(f"look at {folder / PAGE}{plotted}")
    return "\n".join(lines)
