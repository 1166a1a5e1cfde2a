"""The plots of a run as PNG, where matplotlib is installed."""

from __future__ import annotations

import importlib.util
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from golden.analog.parameters import GRID
from golden.training.loop import Trainer
from golden.training.network import Tile
from golden.training.software import SoftwareLayer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = ("accuracy.png", "weights.png")
_DOTS_AN_INCH = 110
_BINS = 81
_TOTAL, _HIGHER, _LOWER = "#3b3b3b", "#0072b2", "#d55e00"  # apart for the colour-blind, too


def available() -> bool:
    """Whether matplotlib is installed (the extra `plots`)."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(trainer: Trainer) -> dict[str, bytes]:
    """File name -> PNG of every name in NAMES; nothing where matplotlib is not installed."""
    if not available():
        return {}
    trainer.engine.synchronise()
    return {"accuracy.png": png(_accuracy(trainer)), "weights.png": png(_weights(trainer))}


def weight_parts(tile: Tile | SoftwareLayer) -> dict[str, NDArray[np.float64]]:
    """Weights (rows, columns) of a layer in weight units, and the pairs that they consist of.

    Keys: total, higher pair F(G+ - G-) and lower pair p(g - g_ref); of a float layer only total.
    """
    if isinstance(tile, SoftwareLayer):
        return {"total": tile.weights}
    array = tile.array
    bits = tile.controller.polarity.bits
    total = array.weights_now(bits) / GRID
    higher = array.pcm.drifted(array.clock_ns) / GRID
    return {"total": total, "higher pair": higher, "lower pair": total - higher}


def figure_of(width_in: float, height_in: float, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of panels side by side, in the house's style."""
    # No pyplot: it keeps figures in a global list and looks for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(True, color="0.9", linewidth=0.6)
        panel.set_axisbelow(True)
    return figure, list(axes)


def png(figure: Figure) -> bytes:
    """The figure's PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_AN_INCH)
    return buffer.getvalue()


def _accuracy(trainer: Trainer) -> Figure:
    figure, (panel,) = figure_of(5.6, 3.4)
    epochs = np.array(list(trainer.evaluations)) / trainer.examples_an_epoch
    values = list(trainer.evaluations.values())
    panel.plot(epochs, values, color=_HIGHER, marker="o", markersize=4, linewidth=1.4)
    panel.set_xlim(0, epochs[-1] * 1.05)
    if epochs[-1] >= 4:
        panel.locator_params(axis="x", integer=True)
    panel.margins(y=0.1)
    panel.set_xlabel(f"training (epochs of {trainer.examples_an_epoch:,} examples)")
    panel.set_ylabel("test accuracy (%)")
    panel.set_title(f"{_title(trainer)}: {values[-1]:.2f} %", loc="left", fontsize=10)
    return figure


def _weights(trainer: Trainer) -> Figure:
    tiles = trainer.network.tiles
    figure, panels = figure_of(1.2 + 2.9 * len(tiles), 3.2, len(tiles))
    for index, (tile, panel) in enumerate(zip(tiles, panels, strict=True)):
        _distribution(panel, weight_parts(tile))
        shape = f"{tile.spec.rows} x {tile.spec.columns}"
        panel.set_title(f"layer {index + 1}, {shape} cells", loc="left", fontsize=10)
        panel.set_xlabel("weight (1 = range of a capacitor)")
    panels[0].set_ylabel("share of the cells per bin (%)")
    # Outside of the panels, where no distribution can run through it.
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def _distribution(panel: Axes, parts: dict[str, NDArray[np.float64]]) -> None:
    # The last tenth of a per cent of the cells would leave the rest a spike.
    reach = max(float(np.quantile(np.abs(values), 0.999)) for values in parts.values())
    edges = np.linspace(-reach, reach, _BINS + 1) if reach else np.linspace(-1, 1, _BINS + 1)
    styles: dict[str, dict[str, Any]] = {
        "total": {"color": _TOTAL, "fill": True, "alpha": 0.25},
        "higher pair": {"color": _HIGHER, "linewidth": 1.3},
        "lower pair": {"color": _LOWER, "linewidth": 1.3},
    }
    for name, values in parts.items():
        counts, _ = np.histogram(values, edges)
        panel.stairs(100 * counts / values.size, edges, label=name, **styles[name])
    panel.set_xlim(edges[0], edges[-1])
    panel.set_ylim(bottom=0)


def _title(trainer: Trainer) -> str:
    run = trainer.run
    layers = "-".join(map(str, trainer.layers))
    return f"{run.dataset}, {layers}, cell {run.cell}, seed {run.seed}"
