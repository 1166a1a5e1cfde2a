"""A scaling study looks for nothing twice, and loses no point to another that fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")

from crosstile.cli import main
from crosstile.scaling import point as points
from crosstile.verilog import tile_spec
from golden.training import plots
from spec.errors import InputError
from synth import targets
from synth.process import Took
from synth.targets import Step
from tests.synth.block import BLOCK, needs_cells

SQUARES = ("--size", "64x64", "--size", "128x128", "--size", "256x256")


class Device:
    """A device of 9,000 cells, on which a tile has 1,000 and 10 a line; asked: what was done."""

    packages = ()
    measures = {"area": "logic cells", "luts": "LUTs", "ffs": "flip-flops"}  # noqa: RUF012
    there = 9000

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.fails: dict[tuple[str, str], BaseException] = {}
        self.version = "1"
        self.mark_mhz = 90

    def check_tools(self) -> None:
        """All are there."""

    def versions(self) -> dict[str, str]:
        return {"tool": self.version}

    def _ask(self, what: str, top: str, step: Step) -> dict[str, Any]:
        with step(what):
            self.asked.append((what, top.removeprefix("crosstile_")))
            if self.asked[-1] in self.fails:
                raise self.fails[self.asked[-1]]
        return {what: vars(Took(2.0, 1.5, 300))}

    def area(self, top: str, folder: Path, step: Step) -> dict[str, Any]:
        took = self._ask("synthesis", top, step)
        assert (folder / f"{top}.v").read_text() == "module\n"
        rows, columns = map(int, top.removeprefix("crosstile_").split("x"))
        area = 1000 + 10 * (rows + columns)
        return {
            "area": area, "luts": area // 2, "ffs": rows, "rams": columns // 64, "took": took,
            "utilization": {"CELL": {"used": area, "available": self.there}},
            "too_few": "it needs more CELL" if area > self.there else None,
            "blocks": [
                {"name": "tile_mesh", "area": 1 + rows * columns // 64, "ffs": rows},
                {"name": "tile_drivers", "area": 10 * columns, "ffs": 0},
            ],
        }  # fmt: skip

    def timing(self, top: str, folder: Path, step: Step) -> dict[str, Any]:
        took = self._ask("place and route", top, step)
        return {"fmax_mhz": 99.5, "critical_path": [], "took": took}


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    made = Device()
    monkeypatch.setitem(targets.TARGETS, "device", made)
    monkeypatch.setattr(points, "tile_text", lambda spec: "module\n")
    return made


@pytest.fixture
def scaling(tmp_path: Path) -> Callable[..., int]:
    """scaling(options...) -> the exit code; fills tmp_path / out."""

    def run(*options: str) -> int:
        return main(["scaling", "--target", "device", *options, "--out", str(tmp_path / "out")])

    return run


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def test_a_study_has_its_sizes_its_fits_and_its_page(
    device: Device, scaling: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scaling() == 0
    found = result_of(tmp_path / "out")
    sizes = {(row["rows"], row["columns"]) for row in found["points"]}
    assert len(sizes) == len(found["points"]) == 19
    assert {(8, 8), (512, 512), (64, 512), (512, 64), (8, 64)} <= sizes
    line = found["targets"]["device"]["fits"]["area"]["line"]
    assert (line["base"], line["per_line"]) == (pytest.approx(1000), pytest.approx(10))
    worse = found["targets"]["device"]["worse_than_linear"]
    assert [one["block"] for one in worse["area"]] == ["tile_mesh"]
    assert worse["ffs"] == []
    said, page = capsys.readouterr().out, (tmp_path / "out" / "report.md").read_text()
    assert "3/19  32 x 32, device: 1,640 logic cells, 99.5 MHz, 4 s\n" in said
    assert "19 points, 19 of them worked on now" in said
    for text in (said, page):
        assert "logic cells: linear within 10 % in rows + columns: 10.0 a line, off 0.0 %." in text
        assert "- `mesh`, along rows and columns: 44 % of it, 15.9 % of the tile." in text
        shown = [line for line in text.splitlines() if str(tmp_path) not in line]
        assert max(map(len, shown)) <= 80
    assert "    crosstile scaling --target device\n" in page
    drawn = (tmp_path / "out" / "scaling.png").exists()
    assert drawn == plots.available() == ("](scaling.png)" in page)


def test_what_is_there_is_not_done_again(
    device: Device, scaling: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scaling(*SQUARES, "--fmax-up-to", "0") == 0
    areas = [("synthesis", size) for size in ("64x64", "128x128", "256x256")]
    assert device.asked == areas
    assert "not asked" in (tmp_path / "out" / "report.md").read_text()
    # The area of a tile is there when its timing is asked for.
    assert scaling(*SQUARES, "--fmax-up-to", "128") == 0
    timings = [("place and route", size) for size in ("64x64", "128x128")]
    assert device.asked == areas + timings
    before = result_of(tmp_path / "out")
    capsys.readouterr()
    assert scaling(*SQUARES, "--fmax-up-to", "128") == 0
    assert device.asked == areas + timings
    assert "3 points, 0 of them worked on now" in capsys.readouterr().out
    again = result_of(tmp_path / "out")
    assert again["targets"] == before["targets"]
    assert [row["fmax_mhz"] for row in again["points"]] == [99.5, 99.5, None]
    # What is known is told, asked for or not.
    assert scaling(*SQUARES, "--fmax-up-to", "0") == 0
    assert result_of(tmp_path / "out")["points"] == again["points"]
    assert device.asked == areas + timings
    # Another version of a tool is another point.
    device.version = "2"
    assert scaling(*SQUARES, "--fmax-up-to", "64") == 0
    assert device.asked[5:7] == [("synthesis", "64x64"), ("place and route", "64x64")]


def test_a_study_of_fewer_sizes_leaves_what_is_there(
    device: Device, scaling: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scaling("--size", "64x64", "--size", "64x128") == 0
    before = result_of(tmp_path / "out")
    capsys.readouterr()
    assert scaling("--size", "64x64", "--size", "128x128") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "leaves out 1 points of its study, as --target device --size 64x128; ask" in error
    assert result_of(tmp_path / "out") == before
    assert scaling(*SQUARES, "--size", "64x128") == 0
    assert len(result_of(tmp_path / "out")["points"]) == 4


def test_a_study_of_other_tiles_wants_another_folder(
    device: Device, scaling: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scaling("--size", "64x64") == 0
    before = result_of(tmp_path / "out")
    capsys.readouterr()
    assert scaling("--size", "64x64", "--set", "lanes=4") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "its study is of tiles with converters.lanes=8, not 4; give another folder" in error
    assert result_of(tmp_path / "out") == before


def test_a_point_that_fails_loses_no_other(
    device: Device, scaling: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device.fails = {
        ("synthesis", "64x64"): InputError("synth: yosys failed: out of memory; see yosys.log"),
        ("place and route", "128x128"): InputError("synth: nextpnr failed: no way; see its.log"),
    }
    assert scaling(*SQUARES) == 1
    first, second, third = result_of(tmp_path / "out")["points"]
    assert ("area" in first, first["no_fmax"]) == (False, "failed")
    assert (second["area"], second["no_fmax"]) == (3560, "failed"), "its area is there"
    assert third["fmax_mhz"] == 99.5
    for text in (capsys.readouterr().out, (tmp_path / "out" / "report.md").read_text()):
        assert "ailed: synth: yosys failed: out of memory; see yosys.log (" in text
        assert "ailed: synth: nextpnr failed: no way; see its.log (" in text
    device.fails, device.asked = {}, []
    assert scaling(*SQUARES) == 0
    assert device.asked == [
        ("synthesis", "64x64"), ("place and route", "64x64"), ("place and route", "128x128"),
    ]  # fmt: skip


def test_a_study_that_was_stopped_goes_on(
    device: Device, scaling: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device.fails = {("synthesis", "128x128"): KeyboardInterrupt()}
    assert scaling(*SQUARES) == 130
    error = capsys.readouterr().err.strip()
    assert error.startswith("crosstile: stopped; ")
    assert error.count("\n") == 0
    assert not (tmp_path / "out" / "result.json").exists()
    device.fails, device.asked = {}, []
    assert scaling(*SQUARES) == 0
    assert ("synthesis", "64x64") not in device.asked
    assert len(result_of(tmp_path / "out")["points"]) == 3


def test_a_tile_that_does_not_fit_has_its_area(
    device: Device, scaling: Callable[..., int], tmp_path: Path
) -> None:
    device.there = 5000
    assert scaling(*SQUARES) == 0
    large = result_of(tmp_path / "out")["points"][-1]
    assert (large["area"], large["fmax_mhz"], large["no_fmax"]) == (6120, None, "does not fit")
    assert large["too_few"] == "it needs more CELL"
    assert ("place and route", "256x256") not in device.asked
    page = (tmp_path / "out" / "report.md").read_text()
    cells = [cell.strip() for cell in page.split("| 256 x 256 |")[1].splitlines()[0].split("|")]
    assert cells[:6] == ["6,120", "3,060", "256", "4", "122 %", "does not fit"]


def test_a_damaged_result_is_told_and_stays(
    device: Device, scaling: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scaling("--size", "64x64") == 0
    (file,) = (tmp_path / "out" / "runs").glob("device-64x64-*/found-area.json")
    file.write_text("{")
    assert scaling("--size", "64x64") == 1
    assert f"failed: {file}: damaged; delete it" in capsys.readouterr().out
    assert file.read_text() == "{"


def test_a_document_gets_a_section_once(
    device: Device, scaling: Callable[..., int], tmp_path: Path
) -> None:
    document = tmp_path / "synthesis.md"
    document.write_text("# Synthesis\n")
    for _ in range(2):
        assert scaling(*SQUARES, "--report", str(document)) == 0
    text = document.read_text()
    assert text.startswith("# Synthesis\n\n<!-- study scaling -->\n## How a tile grows")
    assert text.count("### device") == 1
    assert "--report" not in text
    assert (tmp_path / "scaling.png").exists() == plots.available()


def test_a_folder_of_something_else_stays_as_it_is(
    device: Device, scaling: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "result.json").write_text('{"study": "leak"}')
    assert scaling() == 2
    assert "holds the result.json of something else" in capsys.readouterr().err
    assert (tmp_path / "out" / "result.json").read_text() == '{"study": "leak"}'
    assert device.asked == []


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--target", "ecp5"], "--target ecp5: choose one of ice40-hx8k"),
        (["--size", "64"], "--size 64: give rows and columns, as 64x512"),
        (["--size", "0x64"], "rows=0: give a value"),
        (["--size", "64x4096"], "columns=4096: give a value"),
        (["--fmax-up-to", "-1"], "--fmax-up-to -1: give 0 or more"),
        (["--preset", "huge"], "preset huge: choose one of"),
        (["--set", "slots=12"], "slots=12: give a power of two"),
        (["--report", "."], "--report .: cannot be read (Is a directory)"),
        (["--report", "nowhere/x.md"], "--report nowhere/x.md: its folder is not there"),
    ],
)
def test_bad_input_is_one_line(
    options: list[str],
    line: str,
    device: Device,
    scaling: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert scaling(*options) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"crosstile: {line}")
    assert not (tmp_path / "out").exists()
    assert device.asked == []


def test_a_point_is_kept_under_all_that_it_rests_on(device: Device, tmp_path: Path) -> None:
    def folder(rows: int, settings: dict[str, str]) -> Path:
        return points.point("device", tile_spec("paper", rows, 8, settings), tmp_path).folder

    assert folder(8, {}) == folder(8, {})
    assert len({folder(8, {}), folder(9, {}), folder(8, {"lanes": "4"})}) == 3
    before = folder(8, {})
    device.version = "2"
    assert folder(8, {}) != before


FPGAS = ("ice40-hx8k", "ecp5-25k", "ecp5-85k")


@pytest.mark.parametrize(
    ("target", "steps"),
    [
        *((name, ["synthesis", "packing", "blocks", "place and route"]) for name in FPGAS),
        pytest.param("osu018", ["synthesis", "blocks", "timing"], marks=needs_cells),
    ],
)
def test_the_tools_of_a_target_on_a_block(
    target: str, steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in targets.target(target).packages:
        pytest.importorskip(package.replace("-", "_"), reason="needs the hdl extra")
    monkeypatch.setattr(points, "tile_text", lambda spec: BLOCK)
    out = tmp_path / "out"
    words = ["scaling", "--target", target, "--preset", "tiny", "--size", "5x3"]
    assert main([*words, "--out", str(out)]) == 0
    (row,) = result_of(out)["points"]
    assert row["fmax_mhz"] > 0
    assert row["area"] > 0
    assert {block["name"]: block["ffs"] for block in row["blocks"]}["tile_bank"] == 100
    assert list(row["took"]) == steps
    assert all(took["cpu_seconds"] > 0 < took["peak_mb"] for took in row["took"].values())
