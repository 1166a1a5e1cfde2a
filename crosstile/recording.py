"""The trace of a closed loop: what a recording leaves in its folder, and its replay at a tile."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from crosstile import simulator
from crosstile.folder import RESULT, host, refuse_taken, versions, write_json
from crosstile.simulator import DESIGN, PACKAGES, SIMULATION
from crosstile.train import PLAIN_LINE_SECONDS
from crosstile.verilog import hdl_extra
from crosstile.waves import waves_of
from spec.errors import InputError

TRACE, TEST_BENCH = "trace.bin", "replay"
"""A file and a folder."""


def recorded(folder: Path, console: Console) -> dict[str, Any]:
    """Write the test bench of a trace beside it; facts of both for result.json."""
    from cocotb_tests.closed_loop import plain_bench
    from cocotb_tests.closed_loop.trace import Reader

    trace = Reader(folder / TRACE)
    with console.status("writing the test bench"):
        orders = plain_bench.write(trace, folder / TEST_BENCH)
    return {
        "file": TRACE,
        "bytes": (folder / TRACE).stat().st_size,
        **trace.counts,
        "test_bench": f"{TEST_BENCH}/{plain_bench.TEST_BENCH}",
        "test_bench_orders": orders,
    }


def replay(
    file: Path,
    given: Path | None,
    folder: Path,
    console: Console,
    *,
    partial: bool = False,
    waves: bool = False,
) -> dict[str, Any]:
    """Drive the RTL from a trace, without dataset, golden or analog model; fills a folder.

    Returns the content of its result.json. `given` is a Verilog file in place of the design's own.
    `partial` takes a trace without its end. Raises InputError.
    """
    refuse_taken(folder, (RESULT, DESIGN))
    with hdl_extra("cosim"):
        from cocotb_tests import build
        from cocotb_tests.closed_loop import session
        from cocotb_tests.closed_loop.trace import Reader
    trace = Reader(file)
    if not (trace.complete or partial):
        raise InputError(
            f"--replay {file}: has no end: it was cut, or its recording was stopped; record it "
            "again, or give --partial to replay what is there"
        )
    if lacking := build.missing():
        raise InputError(f"cosim: the simulator needs more: {lacking}")
    design = simulator.design(trace.specs, given, folder, console)
    started = time.monotonic()
    with simulator.errors(folder):
        model = simulator.model(design, trace.specs, console, waves=waves)
        built = time.monotonic() - started
        report = _reporter(trace.counts.get("orders"), console)
        (found,) = session.replay(model, trace.specs, file, folder / SIMULATION, report)
        content = _result(trace, file, design, found, built)
        if waves:

            def again(begin: int, within: Path) -> dict[str, Any]:
                return session.replay(
                    model, trace.specs, file, within, lambda _: None, waves_from=begin
                )[0]

            content["waves"] = waves_of(again, found, folder, console)
    write_json(folder / RESULT, content)
    return content


def _result(
    trace: Any, file: Path, design: str, found: dict[str, Any], built: float
) -> dict[str, Any]:
    of = trace.description
    seconds = found["seconds"]
    return {
        "identical": found["mismatch"] is None,
        "first_mismatch": found["mismatch"],
        "replay": str(file),
        "complete": trace.complete,
        "recorded_mismatch": trace.mismatch,
        **{name: of.get(name) for name in ("dataset", "cell", "seed", "layers", "settings")},
        **{name: found[name] for name in ("orders", "events", "operations", "cycles")},
        "cycles_per_second": found["cycles"] / seconds if seconds else 0.0,
        "seconds": {"build": built, "replay": seconds},
        "verilog_sha256": hashlib.sha256(design.encode()).hexdigest(),
        "recorded_verilog_sha256": of.get("verilog_sha256"),
        "versions": host() | versions(PACKAGES),
    }


def _reporter(total: int | None, console: Console) -> Callable[[dict[str, Any]], None]:
    last_line = time.monotonic()

    def report(found: dict[str, Any]) -> None:
        nonlocal last_line
        pause = 1 if console.is_terminal else PLAIN_LINE_SECONDS
        if time.monotonic() - last_line > pause:
            last_line = time.monotonic()
            of = "" if total is None else f" of {total:,}"
            text = f"replaying  {found['orders']:,}{of} orders, {found['cycles']:,} cycles"
            console.print(text, end="\r" if console.is_terminal else "\n")

    return report


def last_words(found: dict[str, Any], folder: Path) -> str:
    """What came of a replay, within 80 columns."""
    lines = {
        "replayed": f"{found['orders']:,} orders, {found['events']:,} events"
        + ("" if found["complete"] else "; the trace has no end"),
        "cycles": f"{found['cycles']:,}, {found['cycles_per_second']:,.0f} a second",
    }
    first, recorded_ = found["first_mismatch"], found["recorded_mismatch"]
    if first is None:
        lines["identical"] = "every event and every answer is as recorded"
    else:
        lines["mismatch"] = f"order {first['order']}, {difference_text(first)}"
    if recorded_ is not None:
        lines["recorded"] = f"the recorded run ended with: {difference_text(recorded_)}"
    if "waves" in found:
        lines["waves"] = str(folder / found["waves"]["file"])
    lines["files"] = f"{folder / DESIGN}, {folder / RESULT}"
    return "\n".join(f"{name:10}{text}" for name, text in lines.items())


def difference_text(first: dict[str, Any]) -> str:
    """A first difference in one line."""
    place = "".join(
        f", {side} {first[side]}" for side in ("row", "column") if first[side] is not None
    )
    return (
        f"tile {first['tile']}, {first['operation']}{place}, cycle {first['cycle']}: "
        f"{first['what']}: expected {first['expected']}, got {first['got']}"
    )
