"""`crosstile features`."""

from __future__ import annotations

from pathlib import Path

import click

from crosstile import features as extraction
from crosstile.cli.options import console
from golden.training.datasets import cifar
from spec.errors import InputError

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


@click.command(help=_FEATURES_HELP)
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
def features(
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
        dataset, Path(images), Path(model), Path(out), console(), output=output,
        preparation=extraction.Preparation(size, **given),
    )  # fmt: skip
    click.echo(extraction.last_words(made, Path(out)))
    return 0


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise InputError(f"{option} {text}: give three numbers with commas") from None
