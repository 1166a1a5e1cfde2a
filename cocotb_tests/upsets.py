"""A tile on Verilator that its macro or its host leaves alone in the middle of each phase.

CROSSTILE_JOB names a JSON file: {"spec", "cases": [[command, phase, upset]], "found": file}. An
upset is "silent": the macro answers no more, "safe": analog_safe is high, or "disarmed". For each
case there comes [answer, answer of a RESUME after all is well again, JOURNAL.VALID then].
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout

from cocotb_tests.axi_host import AxiHost
from cocotb_tests.pins import Pins
from cocotb_tests.tile import begin
from golden.digital import vector_input
from rtl.converter import raw_bits
from spec.commands import Command, Destination, Phase
from spec.tile import TileSpec
from tests.equivalence.tile_script import Driver

PERIOD_NS = 10
RESET_CYCLES = 3
LIMIT_CYCLES = 100_000
MACRO_TIMEOUT_CYCLES = 300
PINS = ("request", "phase", "row_pulse", "column_pulse")
CONVERSIONS = (Phase.CONVERT_FORWARD, Phase.CONVERT_BACKWARD, Phase.CONVERT_READ)
CONTROL = {"ARM": 1, "BRINGUP": 1, "RAW_FORWARD": 1, "RAW_BACKWARD": 1}


class Macro:
    """Answers in the next cycle, with any codes; holds still from `dead_in`'s phase on."""

    def __init__(self, spec: TileSpec) -> None:
        self.random, self.mask = random.Random(1), (1 << raw_bits(spec)) - 1
        self.dead_in: Phase | None = None
        self.dead = False

    def cycle(self, seen: dict[str, int]) -> tuple[int, int, int]:
        request, phase = seen["request"], seen["phase"]
        assert request or not (seen["row_pulse"] or seen["column_pulse"])
        self.dead |= bool(request) and phase == self.dead_in
        if self.dead or not request or phase == Phase.IDLE:
            return 0, 0, 0
        if phase in CONVERSIONS:
            return 0, 1, self.random.getrandbits(32) & self.mask
        return 1, 0, 0


@cocotb.test()
async def cases(dut: Any) -> None:
    job, spec = begin(dut)
    host, macro = AxiHost(dut, settle_cycles=0), Macro(spec)
    pins, driver = Pins(dut, PINS), Driver(spec, host)
    await ClockCycles(dut.aclk, RESET_CYCLES)
    host.fresh(seed=1, stalling=0.0)
    dut.aresetn.value = 1
    cocotb.start_soon(pins.answer(macro.cycle))
    await driver.write("MACRO_TIMEOUT", CYCLES=MACRO_TIMEOUT_CYCLES)
    await driver.write("IRQ_ENABLE", DONE=1, ERROR=1)
    found = []
    for command, phase, upset in job["cases"]:
        case = one(dut, spec, driver, macro, Command[command], Phase[phase], upset)
        found.append(await with_timeout(case, LIMIT_CYCLES * PERIOD_NS, "ns"))
    Path(job["found"]).write_text(json.dumps(found))


async def one(
    dut: Any,
    spec: TileSpec,
    driver: Driver,
    macro: Macro,
    command: Command,
    phase: Phase,
    upset: str,
) -> list[Any]:
    """A command whose phase is upset, and a RESUME once all is well."""
    host = driver.host
    await driver.write("RESET", SOFT_RESET=1, POLARITY_VALID=1)
    await driver.write("CONTROL", **CONTROL)
    packets = {
        Destination.ROWS: [spec.row_code.high] * (spec.rows - 1),
        Destination.COLUMNS: [1] * spec.columns,
        Destination.WEIGHTS: [50] * spec.columns,
    }

    async def begin(command: Command) -> None:
        takes = {
            Command.FORWARD: Destination.ROWS,
            Command.BACKWARD: Destination.COLUMNS,
            Command.LOAD: Destination.WEIGHTS,
        }.get(command)
        if takes is not None:
            await host.send(takes, vector_input.encoded(takes, np.array(packets[takes])))
        fields = {"first": 1, "last": 2, "cycles": 500, "step_code": 9}
        assert await driver.start(command, **fields) == 0

    if command is Command.UPDATE:
        for before in (Command.FORWARD, Command.BACKWARD):
            await begin(before)
            assert await driver.answer() == 0
    macro.dead_in = phase
    await begin(command)
    while not (int(dut.macro_request.value) and int(dut.macro_phase.value) == phase):
        await RisingEdge(dut.aclk)
    if upset == "safe":
        await host.safe(1)
        assert not int(dut.macro_request.value)
    elif upset == "disarmed":
        await driver.write("CONTROL", **CONTROL | {"ARM": 0})
    answer = await driver.answer()
    assert not int(dut.macro_request.value)
    macro.dead_in, macro.dead = None, False
    await host.safe(0)
    await driver.write("CONTROL", **CONTROL)
    await driver.write("RESET", POLARITY_VALID=1)
    await begin(Command.RESUME)
    resumed = await driver.answer()
    return [answer.name, resumed.name, (await driver.read("JOURNAL"))["VALID"]]
