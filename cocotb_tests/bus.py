"""Accesses that no driver makes, at a tile on Verilator: a master that splits what it is given.

CROSSTILE_JOB names a JSON file: {"accesses": [["write", address, hex] or ["read", address,
length]], "found": file}. For each access there comes [response, hex of what was read, BUS_ERROR].
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

from cocotb_tests.axi_host import AxiHost
from spec.registers import registers
from spec.tile import TileSpec

PERIOD_NS = 10
RESET_CYCLES = 3
TOGETHER = 20
IDENTITY, ERROR, IDLE_CYCLES = (
    next(r for r in registers(TileSpec()) if r.name == name)
    for name in ("ID", "ERROR", "IDLE_CYCLES")
)


async def reset(dut: Any) -> AxiHost:
    Clock(dut.aclk, PERIOD_NS, "ns").start()
    dut.aresetn.value = dut.analog_safe.value = dut.macro_ready.value = 0
    dut.macro_convert_valid.value = 0
    host = AxiHost(dut, settle_cycles=0)
    await ClockCycles(dut.aclk, RESET_CYCLES)
    host.fresh(seed=1, stalling=0.3)
    dut.aresetn.value = 1
    return host


@cocotb.test()
async def accesses(dut: Any) -> None:
    job = json.loads(Path(os.environ["CROSSTILE_JOB"]).read_text())
    found = await answers(await reset(dut), job["accesses"])
    Path(job["found"]).write_text(json.dumps(found))


async def answers(host: AxiHost, asked: list[Any]) -> list[list[Any]]:
    """What came of each access."""
    found = []
    for kind, address, what in asked:
        read = ""
        if kind == "write":
            response = await host.write_bytes(address, bytes.fromhex(what))
        else:
            values, response = await host.read_bytes(address, what)
            read = values.hex()
        word, answer = await host.read(ERROR.offset)
        assert answer == 0
        found.append([response, read, ERROR.unpack(word)["BUS_ERROR"]])
        if found[-1][2]:
            await host.write(ERROR.offset, 0)
    return found


@cocotb.test()
async def writes_and_reads_at_a_time(dut: Any) -> None:
    await at_a_time(await reset(dut))


async def at_a_time(host: AxiHost) -> None:
    """All of them are offered at once."""
    values = range(1, TOGETHER + 1)
    writes = [cocotb.start_soon(host.write(IDLE_CYCLES.offset, value)) for value in values]
    reads = [cocotb.start_soon(host.read(IDENTITY.offset)) for _ in values]
    assert [await write for write in writes] == [0] * TOGETHER
    assert [await read for read in reads] == [(IDENTITY.reset, 0)] * TOGETHER
    assert await host.read(IDLE_CYCLES.offset) == (TOGETHER, 0)
