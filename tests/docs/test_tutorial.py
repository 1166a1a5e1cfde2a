"""docs/tutorial.md, command after command; its figures are what they give."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from crosstile.cli import main

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", TUTORIAL.read_text(), re.DOTALL | re.MULTILINE
    )


@pytest.mark.slow
def test_every_command_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="needs the study extra: pip install '.[study]'")
    monkeypatch.chdir(tmp_path)
    (study,) = blocks("toml")
    Path("mine.toml").write_text(study)
    for command in (line for block in blocks("sh") for line in block.splitlines()):
        program, *words = shlex.split(command)
        assert program == "crosstile"
        assert main(words) == 0, command
    assert Path("studies/mine/table.md").read_text() in TUTORIAL.read_text()
    first = json.loads(Path("runs/first/result.json").read_text())
    assert first["layers"] == [528, 32, 10]
    *_, worst = json.loads(Path("studies/mine/result.json").read_text())["rows"]
    assert worst["points"] == {"inversion": "off", "mismatch": "0.4"}
    assert round(worst["difference"]) == -13
