"""The closed loop as cocotb runs it: whole training runs in the simulator's process.

CROSSTILE_JOB names a JSON file: {"run": Run.to_json(), "inputs": names, "damages": numbers,
"found": file, "progress": file}. The run is done once for each damage of the tiles; 0 is none. To
`progress` goes a JSON line a report, to `found` one for what came of each.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, TextIO

import cocotb
from cocotb.clock import Clock
from cocotb.task import bridge
from cocotb.triggers import ClockCycles

from cocotb_tests.closed_loop.engine import ClosedLoopEngine
from cocotb_tests.closed_loop.lockstep import Mismatch
from cocotb_tests.closed_loop.simulated import SimulatedTile
from cocotb_tests.closed_loop.verilog import DAMAGE
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
            found = await bridge(train)(dut, job["run"], progress)
            results.write(json.dumps(found | {"damage": damage}) + "\n")
            results.flush()
            functional.save()


async def reset(dut: Any, inputs: list[str], damage: int) -> None:
    """Tiles as after aresetn, with this damage."""
    dut.aresetn.value = 0
    if hasattr(dut, DAMAGE):
        dut.damage.value = damage
    for name in inputs:
        # An input that nobody drives is anything at first.
        getattr(dut, name).value = 0
    await ClockCycles(dut.aclk, RESET_CYCLES)
    dut.aresetn.value = 1
    await ClockCycles(dut.aclk, 1)


def train(dut: Any, run: dict[str, Any], progress: TextIO) -> dict[str, Any]:
    """A whole run, in a thread that waits while the simulator runs; what came of it."""
    engine: ClosedLoopEngine | None = None
    trainer: Trainer | None = None

    def simulated(index: int, spec: TileSpec, array: Array) -> SimulatedTile:
        tile = SimulatedTile(dut, index, spec, array)

        def worked(command: Command) -> None:
            if engine is not None:
                bits = engine.golden.tiles[index].controller.polarity.bits
                mode = spec.transfer.transfer_mode
                functional.sample("loop", command.name, functional.live(bits), mode)
            now_and_then()

        tile.on_command = worked
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
        trainer = Trainer(Run.from_json(run), engine=build, evaluates=False, chunk=CHUNK_EXAMPLES)
        found["loaded"] = report()
        while not trainer.done:
            trainer.advance()
            now_and_then()
        found["rtl_digest"] = trainer.digest()
    except Mismatch as mismatch:
        found["mismatch"] = mismatch.difference.plain()
    if engine is None:
        # It did not even come up.
        return found | report() | {"golden_digest": None}
    return found | report() | {"golden_digest": engine.golden.digest()}
