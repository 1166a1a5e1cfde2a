"""The closed loop as cocotb runs it: whole training runs in the simulator's process.

CROSSTILE_JOB names a JSON file: {"run": Run.to_json(), "inputs": names, "damages": numbers,
"found": file, "progress": file}. The run is done once for each damage of the tiles; 0 is none. To
`progress` goes a JSON line a report, to `found` one for what came of each. With "record": file, the
run is recorded there; in place of "run", "replay": file plays a recorded one. With "waves_from": n,
waves are dumped from command n on, counted over all tiles from 0.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import cocotb
from cocotb.clock import Clock
from cocotb.task import bridge
from cocotb.triggers import ClockCycles

from cocotb_tests.closed_loop.engine import ClosedLoopEngine
from cocotb_tests.closed_loop.lockstep import Mismatch
from cocotb_tests.closed_loop.play import play
from cocotb_tests.closed_loop.simulated import SimulatedTile
from cocotb_tests.closed_loop.trace import Order, Reader, Writer
from cocotb_tests.closed_loop.verilog import DAMAGE, WAVES
from cocotb_tests.coverage import functional
from golden.analog.array import Array
from golden.training.loop import Run, Trainer
from golden.training.network import Network
from spec.commands import Command
from spec.tile import TileSpec

PERIOD_NS = 10
RESET_CYCLES = 8
REPORT_SECONDS = 0.5
CHUNK_EXAMPLES = 50


@cocotb.test()
async def closed_loop(dut: Any) -> None:
    job = json.loads(Path(os.environ["CROSSTILE_JOB"]).read_text())
    Clock(dut.aclk, PERIOD_NS, "ns").start()
    with Path(job["found"]).open("w") as results, Path(job["progress"]).open("w") as progress:
        for damage in job["damages"]:
            await reset(dut, job["inputs"], damage)
            if "replay" in job:
                found = await replay(dut, job, progress)
            else:
                found = await bridge(train)(dut, job, progress, damage)
            results.write(json.dumps(found | {"damage": damage}) + "\n")
            results.flush()
            functional.save()


async def reset(dut: Any, inputs: list[str], damage: int) -> None:
    """Tiles as after aresetn, with this damage."""
    dut.aresetn.value = 0
    if hasattr(dut, DAMAGE):
        dut.damage.value = damage
    if hasattr(dut, WAVES):
        getattr(dut, WAVES).value = 0
    for name in inputs:
        # An input that nobody drives is anything at first.
        getattr(dut, name).value = 0
    await ClockCycles(dut.aclk, RESET_CYCLES)
    dut.aresetn.value = 1
    await ClockCycles(dut.aclk, 2)


class Waves:
    """Begins to dump waves with the command of a number."""

    def __init__(self, dut: Any, job: dict[str, Any]) -> None:
        """Never, if the job names none."""
        self._dut, self._left = dut, job.get("waves_from")

    def before(self, order: Order) -> None:
        """Call it with each order, in the simulator's thread."""
        if self._left is not None:
            if self._left == 0:
                getattr(self._dut, WAVES).value = 1
            self._left -= order.waits


async def replay(dut: Any, job: dict[str, Any], progress: TextIO) -> dict[str, Any]:
    """A recorded run; what came of it."""
    trace, waves = Reader(Path(job["replay"])), Waves(dut, job)
    started = last_report = time.perf_counter()

    def now_and_then(facts: Callable[[], dict[str, Any]]) -> None:
        nonlocal last_report
        if time.perf_counter() - last_report > REPORT_SECONDS:
            last_report = time.perf_counter()
            print(json.dumps(facts()), file=progress, flush=True)

    found = await play(dut, trace, now_and_then, waves.before)
    return found | {"seconds": time.perf_counter() - started}


def train(dut: Any, job: dict[str, Any], progress: TextIO, damage: int = 0) -> dict[str, Any]:
    """A whole run, in a thread that waits while the simulator runs; what came of it.

    A tile with a damage may show what has no name, as a code that is none: a mismatch too.
    """
    engine: ClosedLoopEngine | None = None
    trainer: Trainer | None = None
    run, waves = Run.from_json(job["run"]), Waves(dut, job)
    writer = Writer(Path(job["record"]), job["description"]) if "record" in job else None

    def before(order: Order) -> None:
        waves.before(order)
        if writer is not None:
            writer.add(order)

    def simulated(index: int, spec: TileSpec, array: Array) -> SimulatedTile:
        tile = SimulatedTile(dut, index, spec, array)

        def worked(command: Command) -> None:
            if engine is not None:
                bits = engine.golden.tiles[index].controller.polarity.bits
                mode = spec.transfer.transfer_mode
                functional.sample("loop", command.name, functional.live(bits), mode)
            now_and_then()

        tile.on_command = worked
        if writer is not None or "waves_from" in job:
            tile.on_order = before
        return tile

    def build(network: Network) -> ClosedLoopEngine:
        nonlocal engine
        engine = ClosedLoopEngine(network, simulated)
        return engine

    started = last_report = time.perf_counter()

    def report() -> dict[str, Any]:
        found = {
            "example": 0 if trainer is None else trainer.example,
            "transfers": 0 if trainer is None else trainer.transfers,
            "cycles": 0 if engine is None else engine.cycles,
            "operations": 0 if engine is None else engine.operations,
            "seconds": time.perf_counter() - started,
        }
        nonlocal last_report
        last_report = time.perf_counter()
        progress.write(json.dumps(found) + "\n")
        progress.flush()
        return found

    def now_and_then() -> None:
        if time.perf_counter() - last_report > REPORT_SECONDS:
            report()

    found: dict[str, Any] = {"mismatch": None, "rtl_digest": None}
    try:
        trainer = Trainer(run, engine=build, evaluates=False, chunk=CHUNK_EXAMPLES)
        found["loaded"] = report()
        while not trainer.done:
            trainer.advance()
            now_and_then()
        found["rtl_digest"] = trainer.digest()
    except Mismatch as mismatch:
        found["mismatch"] = mismatch.difference.plain()
    except Exception as error:
        if not damage:
            raise
        found["mismatch"] = {"what": f"{type(error).__name__}: {error}"}
    if writer is not None:
        writer.end(found["mismatch"])
        found |= {"orders": writer.orders, "events": writer.events}
    if engine is None:
        # It did not even come up.
        return found | report() | {"golden_digest": None}
    return found | report() | {"golden_digest": engine.golden.digest()}
