"""`crosstile demo`: a short training of the paper's network, and one page that shows it."""

from __future__ import annotations

import base64
import html
import json
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console

from crosstile import train
from golden.training import checkpoint, plots
from golden.training.loop import Run
from spec.errors import InputError

RUN = Run(dataset="mnist", cell="pcm-3t1c", examples=20_000, evaluate_every=2_000)
PAGE = "index.html"
TRAINING = "train"

_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } th { text-align: left; font-weight: 600; }
th, td { padding: .2rem 1.2rem .2rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }
code { font-size: .85rem; overflow-wrap: anywhere; } img { max-width: 100%; }
"""


def demo(folder: Path, console: Console) -> dict[str, Any]:
    """Train RUN in a folder, and write the page; returns the content of result.json.

    A finished demo in the folder is done again: it is the same run. Raises InputError where the
    folder holds another run.
    """
    training = folder / TRAINING
    _clear_own(training)
    found = train.train(RUN, training, console)
    checkpoint.write_atomically(folder / PAGE, page(found, training).encode())
    return found


def _clear_own(training: Path) -> None:
    """Remove an earlier demo's folder, and nothing else."""
    result = training / train.RESULT
    try:
        run = json.loads(result.read_bytes())["run"]
    except (OSError, ValueError, KeyError, TypeError):
        if not (training / checkpoint.NAME).exists():
            return
        try:
            run = checkpoint.read(training).run.to_json()
        except InputError:
            return  # not for us to judge: `train` refuses the folder
    if run == RUN.to_json():
        shutil.rmtree(training)


def page(found: dict[str, Any], folder: Path) -> str:
    """The page, with the plots of `folder` inside it: it can be sent as one file."""
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
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{_value(name, text)}</td></tr>\n"
        for name, text in facts.items()
    )
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
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>crosstile demo</title>\n<style>\n{_STYLE}</style></head><body>\n"
        "<h1>MNIST, trained on an analog-memory tile</h1>\n"
        "<p>The golden model with everything on: leak, drift, device mismatch, converter noise and "
        "resolution, polarity inversion. The same command gives the same digest on every machine "
        f"and engine.</p>\n<table>\n{rows}</table>\n{pictures}"
        f"<p>All numbers: <code>{TRAINING}/{train.RESULT}</code>. A whole run: "
        "<code>crosstile train --dataset mnist</code>.</p>\n</body></html>\n"
    )


def _value(name: str, text: str) -> str:
    escaped = html.escape(text)
    return f"<code>{escaped}</code>" if name.startswith("digest") else escaped


def _picture(path: Path, title: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{title}" src="data:image/png;base64,{data}">'


def last_words(found: dict[str, Any], folder: Path) -> str:
    """Three lines: what was done, what came of it, where to look."""
    layers = "-".join(map(str, found["layers"]))
    plotted = "" if plots.available() else " (no plots: install crosstile[plots])"
    return (
        f"trained {layers} on {found['examples']:,} examples of MNIST with the full cell, "
        f"{train.counted(found['transfers'])}\n"
        f"test accuracy {found['final_test_accuracy']:.2f} %, "
        f"{found['examples_per_second']:,.0f} examples/s, "
        f"digest {found['state_digest'][:16]}...\n"
        f"look at {folder / PAGE}{plotted}"
    )
