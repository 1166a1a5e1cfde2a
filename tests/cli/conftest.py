"""The command line as a test calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from crosstile.cli import main


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
