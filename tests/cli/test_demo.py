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


@pytest.mark.usefixtures("small_demo")
def test_the_page_stands_alone_and_has_the_numbers(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "train" / "result.json").read_text())
    page = (tmp_path / "index.html").read_text()
    for word in (result["state_digest"], f"{result['final_test_accuracy']:.2f} %", "9-4-3"):
        assert word in page
    assert page.count("data:image/png;base64,") == (len(plots.NAMES) if plots.available() else 0)
    assert "http" not in page
    *_, first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith("trained 9-4-3 on 30 examples")
    assert result["state_digest"][:16] in second
    assert str(tmp_path / "index.html") in third


@pytest.mark.usefixtures("small_demo")
def test_a_demo_may_be_done_again_but_not_over_another_run(tmp_path, capsys, monkeypatch):
    assert main(["demo", "--out", str(tmp_path)]) == 0
    assert main(["demo", "--out", str(tmp_path)]) == 0
    before = {file.name: file.read_bytes() for file in (tmp_path / "train").iterdir()}
    monkeypatch.setattr(demo, "RUN", dataclasses.replace(demo.RUN, seed=1))
    capsys.readouterr()
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert {file.name: file.read_bytes() for file in (tmp_path / "train").iterdir()} == before
