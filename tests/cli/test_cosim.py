"""`crosstile cosim` as its users and other programs meet it: files, exit codes, one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")

from cocotb_tests import build
from cocotb_tests.closed_loop import given_verilog
from crosstile.cli import main

KEYS = {
    "identical", "first_mismatch", "cycles", "cycles_per_second", "examples_per_second",
    "transfers", "golden_digest", "rtl_digest",
}  # fmt: skip
DESIGN = """\
module crosstile_10x4(aclk, a, b); input aclk; input [3:0] a; output reg signed [0:7] b; endmodule
module other #(parameter W = 3) (input wire c, d, output logic [11:0] e); endmodule
"""

pytestmark = pytest.mark.skipif(bool(build.missing()), reason=build.missing() or "all is there")


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """refused(arguments...) -> the one line of a command that ends with 2."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    return run


def command(data: Path, out: Path, *more: object) -> list[str]:
    words = ("cosim", "--data-dir", data, "--network", "9,4,3", "--examples", 30, "--out", out)
    # The cell that neither the demo nor tests/closed_loop trains through its Verilog.
    settings = ("--cell", "ideal", "--set", "transfer_interval=12")
    return [str(word) for word in (*words, *settings, *more)]


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def test_a_run_ends_where_train_does_and_its_verilog_can_be_given_back(
    small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, trained = (tmp_path / name for name in ("first", "second", "trained"))
    assert main(command(small_data, first)) == 0
    words = capsys.readouterr().out
    found = result_of(first)
    assert found.keys() >= KEYS
    assert (found["identical"], found["first_mismatch"], found["transfers"]) == (True, None, 2)
    assert found["cycles"] > 10_000
    assert found["rtl_digest"] in words
    assert max(map(len, words.splitlines())) <= 80 + len(str(tmp_path))
    arguments = ("--data-dir", small_data, "--hidden", 4, "--examples", 30, "--out", trained)
    more = ("--cell", "ideal", "--set", "transfer_interval=12", "--engine", "numpy")
    assert main([str(word) for word in ("train", *arguments, *more)]) == 0
    assert result_of(trained)["state_digest"] == found["golden_digest"] == found["rtl_digest"]

    assert main(command(small_data, second, "--verilog", first / "design.v")) == 0
    assert (second / "design.v").read_bytes() == (first / "design.v").read_bytes()
    assert result_of(second)["rtl_digest"] == found["rtl_digest"]


def test_wrong_options_are_one_line(
    small_data: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    def of(*more: object) -> str:
        line = refused(*command(small_data, tmp_path / "out", *more))
        assert not (tmp_path / "out").exists()
        return line

    assert "9 inputs and 3 classes; give 9,...,3" in of("--network", "8,4,3")
    assert "9 inputs" in of("--network", "9")
    assert "--network 9,x,3: give whole numbers" in of("--network", "9,x,3")
    for cell in ("pcm-only", "3t1c-only", "float"):
        assert "no tile controller to simulate; give one of pcm-3t1c, ideal" in of("--cell", cell)
    assert "no_such: unknown parameter" in of("--set", "no_such=1")
    assert "slots=7" in of("--set", "slots=7")
    assert "cannot be read (No such file" in of("--verilog", tmp_path / "none.v")
    (tmp_path / "bytes.v").write_bytes(b"\xff\xfe\x00\x80")
    assert "it is no text" in of("--verilog", tmp_path / "bytes.v")


def test_verilog_of_another_tile_is_refused_by_port(
    small_data: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    def of(text: str) -> str:
        (tmp_path / "given.v").write_text(text)
        out = tmp_path / "out"
        return refused(*command(small_data, out, "--verilog", tmp_path / "given.v"))

    assert "has no module crosstile_10x4; this network needs crosstile_10x4, crosstile_5x3" in of(
        "module crosstile_11x4(); endmodule"
    )
    assert "has no port aresetn; add it" in of("module crosstile_10x4(input aclk); endmodule")
    head = "module crosstile_10x4(input aclk, aresetn, analog_safe, input [12:0] s_axil_awaddr);"
    assert "port s_axil_awaddr of crosstile_10x4 has 13 bits" in of(f"{head} endmodule")
    assert not (tmp_path / "out").exists()


def test_heads_of_modules_are_read_in_both_styles() -> None:
    assert given_verilog.modules(DESIGN) == {
        "crosstile_10x4": {"aclk": ("input", 1), "a": ("input", 4), "b": ("output", 8)},
        "other": {"c": ("input", 1), "d": ("input", 1), "e": ("output", 12)},
    }


def test_a_folder_with_a_run_stays_as_it_is(
    small_data: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "result.json").write_text("mine")
    assert "holds the result.json of a run" in refused(*command(small_data, tmp_path))
    assert (tmp_path / "result.json").read_text() == "mine"


def test_without_a_compiler_it_says_what_to_install(
    small_data: Path, tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "apt-get install g++ make" in refused(*command(small_data, tmp_path / "out"))


@pytest.fixture
def long_run(small_data: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that goes on for minutes, once it trains."""
    words = command(small_data, tmp_path, "--examples", 3000, "--epochs", 20)
    process = subprocess.Popen(
        [sys.executable, "-m", "crosstile", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # Tests that run in the background of a shell would have it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    progress, end = tmp_path / "simulation" / "progress.jsonl", time.monotonic() + 300
    while not (progress.exists() and re.search(r'"example": [1-9]', progress.read_text())):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)
    yield process
    process.kill()
    process.communicate()


def simulators(folder: Path) -> list[int]:
    """Simulators at work for a run in this folder, by what their environment names."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            environment = (process / "environ").read_bytes() if process.name.isdigit() else b""
            program = os.readlink(process / "exe") if environment else ""
        except OSError:
            continue
        if str(folder).encode() in environment and program.endswith("/closed_loop"):
            found.append(int(process.name))
    return found


def until_none(folder: Path) -> None:
    end = time.monotonic() + 30
    while simulators(folder):
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by /proc")
def test_a_killed_simulator_is_one_line(long_run: subprocess.Popen[str], tmp_path: Path) -> None:
    (simulator,) = simulators(tmp_path)
    os.kill(simulator, signal.SIGKILL)
    _, error = long_run.communicate(timeout=60)
    assert long_run.returncode == 2
    assert error.count("\n") == 1
    assert "the simulator ended before the run did" in error
    assert not (tmp_path / "result.json").exists()
    assert (tmp_path / "simulation.log").exists()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_leaves_no_simulator(
    long_run: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    assert simulators(tmp_path)
    long_run.send_signal(number)
    _, error = long_run.communicate(timeout=60)
    assert long_run.returncode == (130 if number is signal.SIGINT else -number)
    # After a Ctrl-C the line begins below it.
    assert error.strip("\n").count("\n") == 0
    assert ("crosstile: stopped" in error) == (number is signal.SIGINT)
    assert not (tmp_path / "result.json").exists()
    until_none(tmp_path)
