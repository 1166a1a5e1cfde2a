"""The equivalence suite's scripts and accesses at one mutant after the other, as cocotb runs them.

CROSSTILE_JOB names a JSON file: {"mutants": [[number, places in cases]], "cases": [[name, seed]],
"limits": cycles a case, "traces": folder or null, "found": file}. To `found` goes a line as each
mutant begins, and one with what killed it, null for nothing, and the cycles of each case. A mutant
is left at its first difference. In `traces`, the file of a case's place gets all inputs of every
cycle, as words of 32 bits in the order of `replay.inputs`.
"""

from __future__ import annotations

import json
import os
from array import array
from functools import partial
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, Timer, select
from cocotb.utils import get_sim_time

from cocotb_tests import bus
from cocotb_tests.axi_host import AxiHost
from cocotb_tests.closed_loop.verilog import DAMAGE
from cocotb_tests.directed import bench as directed
from cocotb_tests.directed import waits
from cocotb_tests.directed.run import BENCHES
from cocotb_tests.mutation import design, long_waits, replay
from cocotb_tests.pins import Pins
from cocotb_tests.tile import PERIOD_NS, RESET_CYCLES, verilog_tile
from tests.equivalence import bus_cases, macro, tile_cases

STALLING = 0.3


@cocotb.test()
async def mutants(dut: Any) -> None:
    job = json.loads(Path(os.environ["CROSSTILE_JOB"]).read_text())
    Clock(dut.aclk, PERIOD_NS, "ns").start()
    dut.aresetn.value = dut.analog_safe.value = 0
    getattr(dut, DAMAGE).value = 0
    spec = design.specs()[0]
    host, pins = AxiHost(dut, settle_cycles=40 + 3 * spec.rows), Pins(dut, macro.NAMES)
    trace = array("I")
    if job["traces"]:
        cocotb.start_soon(record(dut, trace))
    with Path(job["found"]).open("a") as results:

        def line(**fields: Any) -> None:
            results.write(json.dumps(fields) + "\n")
            results.flush()

        for number, places in job["mutants"]:
            line(began=number)
            dut.aresetn.value = 0
            getattr(dut, DAMAGE).value = number
            await ClockCycles(dut.aclk, RESET_CYCLES)
            killed, cycles = None, []
            for place in places:
                name, seed = job["cases"][place]
                began = get_sim_time("ns")
                del trace[:]
                killed = await difference(host, pins, name, seed, job["limits"][place])
                cycles.append(round((get_sim_time("ns") - began) / PERIOD_NS))
                if job["traces"]:
                    (Path(job["traces"]) / str(place)).write_bytes(trace.tobytes())
                if killed is not None:
                    killed = f"{name}, seed {seed}: {killed}"
                    break
            line(number=number, killed=killed, cycles=cycles)


async def record(dut: Any, trace: array[int]) -> None:
    """Every cycle's inputs, as they are before the edge that takes them."""
    pins, edge = [getattr(dut, name) for name in replay.inputs(design.specs()[0])], dut.aclk
    while True:
        await FallingEdge(edge)
        trace.extend(int(pin.value) for pin in pins)


async def difference(host: AxiHost, pins: Pins, name: str, seed: int, limit: int) -> str | None:
    """None where the tile does in this case what golden does; else what it does not."""
    spec = design.specs()[0]
    try:
        if name in long_waits.CASES:
            wait = partial(waits.begun, **long_waits.CASES[name])
            await directed.run(directed.Bench(host, pins, spec, seed), wait, limit)
        elif name in BENCHES:
            await directed.run(directed.Bench(host, pins, spec, seed), BENCHES[name], limit)
        elif name in bus_cases.CASES:
            await accesses(host, name, seed, limit)
        else:
            script = tile_cases.SCRIPTS[name](spec, seed)
            tile_cases.check(
                tile_cases.plain(await verilog_tile(host, pins, script, seed, limit)), script, seed
            )
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return None


async def accesses(host: AxiHost, name: str, seed: int, limit: int) -> None:
    """What `cocotb_tests.bus` does."""
    dut = host.dut
    dut.aresetn.value = 0
    await ClockCycles(dut.aclk, RESET_CYCLES)
    host.fresh(seed, STALLING)
    dut.aresetn.value = 1

    async def asked() -> None:
        expected = bus_cases.CASES[name](design.specs()[0])
        found = await bus.answers(host, [access for access, _ in expected])
        for (access, answer), got in zip(expected, found, strict=True):
            assert got == answer, f"{access}: {answer} against {got}"
        await bus.at_a_time(host)

    first, _ = await select(asked(), Timer(limit * PERIOD_NS, "ns"))
    if first:
        raise TimeoutError(f"not done after {limit} cycles")
