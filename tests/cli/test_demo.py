"""`crosstile demo` on a run small enough for a test."""

from __future__ import annotations

import dataclasses
import json

import pytest

from crosstile import demo
from crosstile.cli import main
from golden.training import plots


@pytest.fixture
def small_demo(small_data, monkeypatch):
    run = dataclasses.replace(
        demo.RUN, data_dir=str(small_data), hidden=(4,), engine="numpy", examples=30
    )
    monkeypatch.setattr(demo, "RUN", run)


@pytest.fixture
def without_simulator(monkeypatch):
    monkeypatch.setattr(demo, "lacking", lambda: "apt-get install g++")


@pytest.mark.usefixtures("small_demo", "without_simulator")
def test_the_page_stands_alone_and_has_the_numbers(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "train" / "result.json").read_text())
    page = (tmp_path / "index.html").read_text()
    for word in (result["state_digest"], f"{result['final_test_accuracy']:.2f} %", "9-4-3"):
        assert word in page
    assert page.count("data:image/png;base64,") == (len(plots.NAMES) if plots.available() else 0)
    assert "http" not in page
    assert "Left out: apt-get install g++." in page
    *_, first, second, third, last = capsys.readouterr().out.splitlines()
    assert first.startswith("trained 9-4-3 on 30 examples")
    assert result["state_digest"][:16] in second
    assert third == "no Verilog, no closed loop: apt-get install g++"
    assert str(tmp_path / "index.html") in last


@pytest.mark.usefixtures("small_demo", "without_simulator")
def test_a_demo_may_be_done_again_but_not_over_another_run(tmp_path, capsys, monkeypatch):
    assert main(["demo", "--out", str(tmp_path)]) == 0
    assert main(["demo", "--out", str(tmp_path)]) == 0
    before = {file.name: file.read_bytes() for file in (tmp_path / "train").iterdir()}
    monkeypatch.setattr(demo, "RUN", dataclasses.replace(demo.RUN, seed=1))
    capsys.readouterr()
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert {file.name: file.read_bytes() for file in (tmp_path / "train").iterdir()} == before


@pytest.mark.slow
@pytest.mark.skipif(bool(demo.lacking()), reason=demo.lacking() or "all is there")
@pytest.mark.usefixtures("small_demo")
def test_a_small_network_is_trained_through_its_verilog_too(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "PRESET", "tiny")
    monkeypatch.setattr(demo, "LOOP", dataclasses.replace(demo.LOOP, examples=41))
    for _ in range(2):
        assert main(["demo", "--out", str(tmp_path)]) == 0
    loop = json.loads((tmp_path / "cosim" / "result.json").read_text())
    assert (loop["identical"], loop["transfers"], loop["layers"]) == (True, 2, [30, 8, 10])
    page = (tmp_path / "index.html").read_text()
    for word in ("crosstile_5x3", "30-8-10", loop["rtl_digest"], "every converter code"):
        assert word in page
    assert "through its Verilog, 2 transfers: identical to golden" in capsys.readouterr().out
