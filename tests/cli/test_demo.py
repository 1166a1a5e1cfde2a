"""`crosstile demo` on a run small enough for a test."""

from __future__ import annotations

import dataclasses
import json

import pytest

from crosstile import demo
from crosstile.cli import main
from golden.training import datasets, plots
from golden.training.loop import Run


@pytest.fixture
def small_demo(small_data, monkeypatch):
    run = dataclasses.replace(
        demo.RUN, data_dir=str(small_data), hidden=(4,), engine="numpy", examples=30
    )
    monkeypatch.setattr(demo, "RUN", run)


def in_a_folder(write):
    """`write`, of a folder that need not be there."""

    def made(folder):
        folder.mkdir(exist_ok=True)
        write(folder)

    return made


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


def test_the_digits_of_the_closed_loop_are_means_of_pixels(tmp_path):
    demo._write_pooled(tmp_path)
    mnist, pooled = datasets.load("mnist"), datasets.load("mnist", str(tmp_path))
    assert pooled.train_images.shape == (demo.POOLED_IMAGES, 30)
    whole = mnist.train_images[: demo.POOLED_IMAGES].reshape(-1, 24, 22)[:, :24, :20]
    tiles = whole.reshape(-1, 6, 4, 5, 4).mean(axis=(2, 4)).astype("uint8")
    assert (pooled.train_images == tiles.reshape(-1, 30)).all()
    assert (pooled.train_labels == mnist.train_labels[: demo.POOLED_IMAGES]).all()


@pytest.mark.slow
@pytest.mark.skipif(bool(demo.lacking()), reason=demo.lacking() or "all is there")
@pytest.mark.usefixtures("small_demo")
def test_a_small_network_is_trained_through_its_verilog_too(
    tmp_path, capsys, monkeypatch, write_data
):
    # The tiles of tests/cli/test_cosim.py, which are compiled once.
    loop = Run(hidden=(4,), cell="ideal", examples=30, settings={"transfer_interval": "12"})
    monkeypatch.setattr(demo, "PRESET", "tiny")
    monkeypatch.setattr(demo, "LOOP", loop)
    monkeypatch.setattr(demo, "_write_pooled", in_a_folder(write_data))
    for _ in range(2):
        assert main(["demo", "--out", str(tmp_path)]) == 0
    loop = json.loads((tmp_path / "cosim" / "result.json").read_text())
    assert (loop["identical"], loop["transfers"], loop["layers"]) == (True, 2, [9, 4, 3])
    page = (tmp_path / "index.html").read_text()
    for word in ("crosstile_5x3", "9-4-3", loop["rtl_digest"], "every converter code"):
        assert word in page
    assert "through its Verilog, 2 transfers: identical to golden" in capsys.readouterr().out
