"""The scripts of tests/equivalence at a tile on Verilator, as cocotb runs them.

CROSSTILE_JOB names a JSON file: {"spec", "cases": [{"script", "seed"}], "found": file}, and
"counted": true if the cycles of each command are asked for too. What the tile made of each case
goes to that file, as JSON; it is compared with golden elsewhere.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, Timer, select

from cocotb_tests.axi_host import AxiHost
from cocotb_tests.pins import Pins
from spec.registers import WindowCode, registers
from spec.tile import TileSpec
from tests.equivalence import macro, tile_cases
from tests.equivalence.tile_script import Driver, Found, Script, array_state, run

PERIOD_NS = 10
RESET_CYCLES = 3
LIMIT_CYCLES = 2_000_000
STALLING = (0.0, 0.3, 0.7)
"""Shares of cycles in which a channel pauses, one after the other by the case's seed."""


def begin(dut: Any) -> tuple[dict[str, Any], TileSpec]:
    """The job of CROSSTILE_JOB, and its tile, whose clock runs under aresetn from now on."""
    job = json.loads(Path(os.environ["CROSSTILE_JOB"]).read_text())
    Clock(dut.aclk, PERIOD_NS, "ns").start()
    dut.aresetn.value = dut.analog_safe.value = 0
    return job, tile_cases.SPECS[job["spec"]]


def around(dut: Any, spec: TileSpec) -> tuple[AxiHost, Pins]:
    """A host that waits until the longest result is out, and all pins of the array."""
    return AxiHost(dut, settle_cycles=40 + 3 * spec.rows), Pins(dut, macro.NAMES)


@cocotb.test()
async def cases(dut: Any) -> None:
    job, spec = begin(dut)
    host, pins = around(dut, spec)
    found, counter = [], Counter(dut)
    if job.get("counted"):
        cocotb.start_soon(counter.count())
    for case in job["cases"]:
        script = tile_cases.SCRIPTS[case["script"]](spec, case["seed"])
        counter.cycles.clear()
        made = await verilog_tile(host, pins, script, case["seed"])
        made.cycles = list(counter.cycles)
        found.append(asdict(tile_cases.plain(made)))
    Path(job["found"]).write_text(json.dumps(found))


class Counter:
    """Cycles of each command, from its strobe in the tile to its answer, in `cycles`.

    Both show a cycle later at the pins: the strobe by the response to its write, the answer by the
    interrupt.
    """

    def __init__(self, dut: Any) -> None:
        """Nothing is counted before `count` runs."""
        self.dut = dut
        self.cycles: list[int] = []

    async def count(self) -> None:
        """Watch the pins for ever."""
        dut, edge = self.dut, RisingEdge(self.dut.aclk)
        command = next(r.offset for r in registers(TileSpec()) if r.name == "COMMAND")
        cycle = since = 0
        written = False
        while True:
            await edge
            cycle += 1
            if int(dut.s_axil_awvalid.value) and int(dut.s_axil_awready.value):
                written, since = int(dut.s_axil_awaddr.value) == command, 0
            if written and not since and int(dut.s_axil_bvalid.value):
                since = cycle
            if since and int(dut.irq.value):
                self.cycles.append(cycle - since)
                written, since = False, 0


async def verilog_tile(
    host: AxiHost, pins: Pins, script: Script, seed: int, limit_cycles: int = LIMIT_CYCLES
) -> Found:
    """A script at a tile after aresetn. Raises macro.Wrong, and TimeoutError."""
    dut, array = host.dut, tile_cases.arrays(script.spec, seed)[0]
    behind = macro.PinMacro(script.spec, array, seed, delay=seed % 3)

    def cycle(seen: dict[str, int]) -> tuple[int, int, int]:
        answer = behind.cycle(macro.Pins(**seen))
        return answer.ready, answer.convert_valid, answer.convert_codes

    dut.aresetn.value = 0
    await ClockCycles(dut.aclk, RESET_CYCLES)
    host.fresh(seed, STALLING[seed % len(STALLING)])
    dut.aresetn.value = 1
    limit = Timer(limit_cycles * PERIOD_NS, "ns")
    first, found = await select(worked(script, host), pins.answer(cycle), limit)
    if first:
        raise TimeoutError(f"not done after {limit_cycles} cycles")
    assert isinstance(found, Found)
    found.events, found.cut = behind.events, behind.cut
    found.stalls = {"streams": host.stalling, "macro": behind.delay}
    found.state |= array_state(array)
    return found


async def worked(script: Script, host: AxiHost) -> Found:
    """A script, on memories that are clear."""
    await clear_offsets(script.spec, host)
    return await run(script, host)


async def clear_offsets(spec: TileSpec, host: AxiHost) -> None:
    """A memory starts with anything here; of the others, a script writes what it reads."""
    driver = Driver(spec, host)
    await driver.window(WindowCode.FORWARD_OFFSETS, [0] * spec.columns)
    await driver.window(WindowCode.BACKWARD_OFFSETS, [0] * spec.rows)
