"""Training through the Verilog ends where golden does, and a tile that misbehaves is found."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")

from cocotb_tests import build
from cocotb_tests.closed_loop import session
from crosstile.verilog import tile_text
from golden.training.config import configure, layer_specs
from golden.training.loop import Run, Trainer
from rtl.top import module_name
from spec.tile import TileSpec
from tests.closed_loop.damages import DAMAGES, shell

CACHE = Path(__file__).parents[2] / "build" / "verilator"
LAYERS = [9, 4, 3]
HARD = {
    "stream_mode": "stochastic", "transfer_interval": "12", "leak_tau_ns": "3e4",
    "leak_tick_ns": "480", "stuck_fraction": "0.1",
}  # fmt: skip
"""Leak that shows within an interval, devices that do not program; noise and drift are on."""

pytestmark = pytest.mark.skipif(bool(build.missing()), reason=build.missing() or "all is there")


@cache
def texts(layers: tuple[int, ...], settings: tuple[tuple[str, str], ...], cell: str) -> str:
    """The tiles' Verilog, a shell around each whose input chooses a damage."""
    specs = layer_specs(configure(cell, dict(settings)), [*layers])
    one = {module_name(spec): (spec, tile_text(spec)) for spec in specs}
    return "\n".join(shell(*pair) for pair in one.values())


def model(run: Run) -> tuple[build.Model, list[TileSpec]]:
    """The run's tiles in shells, with waves for those who ask, and their specs.

    Most tests share it, for it takes longer to compile than to run. Tiles without shells are what
    tests/cli/test_cosim.py trains through.
    """
    layers = 9, *run.hidden, 3
    specs = layer_specs(configure(run.cell, run.settings), [*layers])
    # What does not change the Verilog must not change what is built.
    text = texts(layers, tuple(run.settings.items()), run.cell)
    return session.model(text, specs, CACHE, damaged=True, waves=True), specs


def simulate(run: Run, folder: Path, damages: tuple[int, ...] = (0,)) -> list[dict[str, Any]]:
    return session.simulate(*model(run), run, folder, lambda _: None, damages)


def run_of(data: Path, examples: int = 28, hidden: tuple[int, ...] = (4,), **options: Any) -> Run:
    settings = HARD | options.pop("settings", {})
    return Run(data_dir=str(data), hidden=hidden, examples=examples, settings=settings, **options)


@pytest.mark.parametrize(
    ("options", "transfers"),
    [
        ({"seed": 1}, 2),
        ({"seed": 2, "settings": {"transfer_mode": "staggered"}}, 2),
        ({"seed": 3, "settings": {"reference": "fixed", "significance_gain": "1"}}, 2),
    ],
)
def test_the_verilog_ends_in_goldens_state(
    options: dict[str, Any], transfers: int, small_data: Path, tmp_path: Path
) -> None:
    run = run_of(small_data, **options)
    (found,) = simulate(run, tmp_path)
    trainer = Trainer(run)
    while not trainer.done:
        trainer.advance()
    assert found["mismatch"] is None
    assert found["transfers"] == transfers
    assert found["rtl_digest"] == found["golden_digest"] == trainer.digest()


LOW_DISCREPANCY = {"stream_mode": "low_discrepancy"}
IDEAL = {"leak_compensation": "64", "transfer_mode": "staggered"}


# tests/cli trains through such Verilog: `ideal` by cosim, the other by the demo.
@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("cell", "settings"),
    [
        ("ideal", IDEAL),
        ("ideal", IDEAL | LOW_DISCREPANCY),
        ("pcm-3t1c", LOW_DISCREPANCY),
        ("pcm-3t1c", {"slots": "128", "row_skew": "true"}),
        ("pcm-3t1c", {"chopper": "random"}),
    ],
)
def test_other_verilog_does_too(
    cell: str, settings: dict[str, str], small_data: Path, tmp_path: Path
) -> None:
    (found,) = simulate(run_of(small_data, cell=cell, settings=settings), tmp_path)
    assert (found["mismatch"], found["rtl_digest"]) == (None, found["golden_digest"])


@pytest.mark.slow
def test_every_damage_is_found_and_named(small_data: Path, tmp_path: Path) -> None:
    run = run_of(small_data, examples=14)
    unharmed, *found = simulate(run, tmp_path, tuple(range(len(DAMAGES) + 1)))
    assert unharmed["mismatch"] is None
    missed = [
        (damage.name, damage.says, one["mismatch"] and one["mismatch"]["what"])
        for damage, one in zip(DAMAGES, found, strict=True)
        if one["mismatch"] is None or damage.says not in one["mismatch"]["what"]
    ]
    assert missed == [], "\n".join(map(str, missed))
    places = [one["mismatch"] for one in found]
    assert all(place["cycle"] > 0 and place["operation"] for place in places)
