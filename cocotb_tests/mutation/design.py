"""The small tile whose Verilog is damaged, and the network that it plays all roles in."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from crosstile.verilog import tile_text
from golden.training.config import configure, layer_specs
from golden.training.loop import Run
from rtl.top import module_name
from spec.tile import TileSpec

LAYERS = (3, 3, 3)
"""Two tiles of one size, so of one module: the first is hidden, the last gives BACKWARD codes."""
VERILOG_SETTINGS = {
    "pwm_bits": "4", "column_bits": "3", "slots": "8", "forward_bits": "5", "backward_bits": "5",
    "read_average_log2": "1", "calibration_log2": "2", "lanes": "1", "axis_bytes": "2",
    "set_shift": "8", "trim_limit": "16", "column_gains_log2": "0",
}  # fmt: skip
"""Short windows, a short SET table, and packets of several beats."""
OTHER_SETTINGS = {
    "transfer_interval": "6", "leak_tau_ns": "3e4", "leak_tick_ns": "480", "stuck_fraction": "0.1",
    "learning_rate": "0.005",
}  # fmt: skip
"""Leak that shows within an interval, devices that do not program; noise and drift are on."""
EXAMPLES = 14
"""Two transfers of every row, so one to each polarity, and two examples more."""
CLASSES = 3


@cache
def specs() -> tuple[TileSpec, ...]:
    """The network's tiles."""
    return tuple(layer_specs(configure("pcm-3t1c", settings()), list(LAYERS)))


def settings() -> dict[str, str]:
    """Of the run; the Verilog depends on the first part alone."""
    return VERILOG_SETTINGS | OTHER_SETTINGS


def top() -> str:
    """The tile's module."""
    return module_name(specs()[0])


@cache
def verilog() -> str:
    """The tile's Verilog, undamaged."""
    (text,) = {tile_text(spec) for spec in specs()}
    return text


def short_run(data: Path) -> Run:
    """The short closed loop; `data` gets its examples."""
    write_examples(data)
    return Run(
        data_dir=str(data), hidden=LAYERS[1:-1], examples=EXAMPLES, seed=1, settings=settings()
    )


def write_examples(folder: Path) -> None:
    """Images of one row of as many pixels as the network has inputs, as IDX files."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for part, count in (("train", EXAMPLES), ("t10k", CLASSES)):
        labels = (np.arange(count) % CLASSES).astype(np.uint8)
        images = rng.integers(0, 256, (count, 1, LAYERS[0])).astype(np.uint8)
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + b"".join(
                size.to_bytes(4, "big") for size in array.shape
            )
            (folder / f"{part}-{name}-ubyte").write_bytes(head + array.tobytes())
