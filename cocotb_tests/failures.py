"""Commands that the array, its supply or the host fails or keeps waiting, on Verilator.

CROSSTILE_JOB names a JSON file: {"spec": a name of tile_cases.SPECS, "seed"}.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, Timer, select
from cocotb.utils import get_sim_time

from cocotb_tests.axi_host import AxiHost
from cocotb_tests.pins import Pins
from cocotb_tests.tile import PERIOD_NS, RESET_CYCLES, clear_offsets
from golden.digital import vector_input
from spec.commands import Command, Destination, Error, Phase
from spec.registers import WindowCode
from spec.tile import TileSpec
from tests.equivalence import macro, tile_cases
from tests.equivalence.tile_script import bring_up

LIMIT_CYCLES = 200_000
TIMEOUT_CYCLES = 90
LATEST_CYCLES = 40
"""From a time-out to its answer at the bus, and from a command's write to its phase."""
STALLING = 0.3
ROW = {"first": 1, "last": 1}

SILENT = "the array does not answer"
STUCK = "the array holds ready high"
SAFE = "analog_safe"
DISARMED = "the host disarms the tile"
ANSWERS = {
    SILENT: Error.MACRO_TIMEOUT, STUCK: Error.MACRO_TIMEOUT, SAFE: Error.SAFE,
    DISARMED: Error.NOT_ARMED,
}  # fmt: skip
CASES: tuple[tuple[str, Command, Phase], ...] = (
    (SILENT, Command.FORWARD, Phase.FORWARD),
    (SILENT, Command.FORWARD, Phase.CONVERT_FORWARD),
    (SILENT, Command.BACKWARD, Phase.CONVERT_BACKWARD),
    (SILENT, Command.UPDATE, Phase.UPDATE),
    (SILENT, Command.READ, Phase.CONVERT_READ),
    (SILENT, Command.CALIBRATE, Phase.CONVERT_BACKWARD),
    (SILENT, Command.TRANSFER, Phase.PRECHARGE),
    (SILENT, Command.TRANSFER, Phase.SET),
    (STUCK, Command.FORWARD, Phase.FORWARD),
    (STUCK, Command.TRANSFER, Phase.PRECHARGE),
    (SAFE, Command.FORWARD, Phase.FORWARD),
    (SAFE, Command.READ, Phase.READ),
    (SAFE, Command.TRANSFER, Phase.RESET),
    (SAFE, Command.IDLE, Phase.IDLE),
    (DISARMED, Command.BACKWARD, Phase.BACKWARD),
    (DISARMED, Command.UPDATE, Phase.UPDATE),
    (DISARMED, Command.TRANSFER, Phase.UPDATE),
)
"""What fails, in which command, in which of its phases."""

WAITS_CYCLES, MORE_CYCLES = (40, 75, 150, 300, 600, 1100, 2200), 8300
"""Waits that are measured; the last of two counters alone."""
LONG_BITS = range(12, 32)
"""Of waits that are too long to be measured, 2^k cycles: they must not be over at once."""
LONG_CYCLES = 60
"""What passes of these before they are ended otherwise."""
IDLE, READ_ROOM = "an IDLE", "room for a READ"
PACKET: dict[str, tuple[Command, dict[str, int]]] = {
    "a packet of FORWARD": (Command.FORWARD, {}),
    "a packet of BACKWARD": (Command.BACKWARD, {}),
    "a packet of UPDATE": (Command.UPDATE, {"new_rows": 1, "new_columns": 1}),
    "the weights of LOAD": (Command.LOAD, {"first": 0}),
}
"""Waits for a packet: the command and its fields."""
ROOM = {
    "room for a FORWARD": (Command.FORWARD, Destination.ROWS),
    "room for a BACKWARD": (Command.BACKWARD, Destination.COLUMNS),
    READ_ROOM: (Command.READ, None),
}
"""Waits for the host to take a result: the command, and the packet that waits with it."""


@cocotb.test()
async def all_failures(dut: Any) -> None:
    job = json.loads(Path(os.environ["CROSSTILE_JOB"]).read_text())
    spec = tile_cases.SPECS[job["spec"]]
    Clock(dut.aclk, PERIOD_NS, "ns").start()
    dut.aresetn.value = dut.analog_safe.value = 0
    host, pins = AxiHost(dut, settle_cycles=40 + 3 * spec.rows), Pins(dut, macro.NAMES)
    await failures(host, pins, spec, job["seed"])


async def failures(
    host: AxiHost, pins: Pins, spec: TileSpec, seed: int, limit_cycles: int = LIMIT_CYCLES
) -> None:
    """All cases after aresetn. Raises AssertionError, macro.Wrong, TimeoutError."""
    dut = host.dut
    dut.aresetn.value = dut.analog_safe.value = 0
    await ClockCycles(dut.aclk, RESET_CYCLES)
    host.fresh(seed, STALLING)
    dut.aresetn.value = 1
    failing = Failing(host, pins, spec, seed)
    try:
        first, _ = await select(
            failing.work(), pins.answer(failing.cycle), Timer(limit_cycles * PERIOD_NS, "ns")
        )
    finally:
        dut.analog_safe.value = 0
    if first:
        raise TimeoutError(f"{failing.at}: not done after {limit_cycles} cycles")


class Failing:
    """A tile whose array can be told to fail."""

    def __init__(self, host: AxiHost, pins: Pins, spec: TileSpec, seed: int) -> None:
        """Nothing fails yet."""
        self.host, self.pins, self.spec, self.dut = host, pins, spec, host.dut
        self.array = tile_cases.arrays(spec, seed)[0]
        self.macro = macro.PinMacro(spec, self.array, seed)
        self.rng = np.random.default_rng(seed)
        self.seed, self.at = seed, "bring-up"
        self.failure, self.fails = "", ""
        self.fails_at: Phase | None = None
        self.failed_ns = 0.0

    def cycle(self, seen: dict[str, int]) -> tuple[int, int, int]:
        """The array's answers."""
        if seen["request"] and (seen["phase"] == self.fails_at):
            self.fails, self.fails_at, self.failed_ns = self.failure, None, get_sim_time("ns")
        if self.fails:
            return int(self.fails == STUCK), 0, 0
        answer = self.macro.cycle(macro.Pins(**seen))
        return answer.ready, answer.convert_valid, answer.convert_codes

    async def work(self) -> None:
        """All cases, one after the other."""
        await clear_offsets(self.spec, self.host)
        script = tile_cases.script(self.spec, self.seed, [])
        self.driver = driver = await bring_up(script, self.host)
        self.control = script.control
        await driver.write("RESET", POLARITY_VALID=1)
        assert await self.command(Command.INIT, first=0, last=self.spec.rows - 1) is Error.NONE
        await driver.write("MACRO_TIMEOUT", CYCLES=TIMEOUT_CYCLES)
        for case in CASES:
            self.at = f"{case[0]}, {case[1].name} at {case[2].name}"
            try:
                await self.case(*case)
            except AssertionError as error:
                raise AssertionError(f"{self.at}: {error}") from None
        await self.waits()

    async def waits(self) -> None:
        """Each wait takes its register's cycles, to the cycle, whichever bits that has."""
        driver, host = self.driver, self.host
        await driver.write("MACRO_TIMEOUT", CYCLES=max(WAITS_CYCLES))
        host.stalling, host.random = 0.0, random.Random(self.seed)
        await ClockCycles(self.dut.aclk, 2)
        for of in (*PACKET, *ROOM, SILENT, IDLE):
            waiting = ROOM[of][1] if of in ROOM else None
            if of in ROOM:
                host.take(False)
                assert await self.command(Command.READ, first=0) is Error.NONE
            if waiting is not None:
                await self.send(waiting)
            more = set[int]()
            for cycles in (*WAITS_CYCLES, *([MORE_CYCLES] if of in (IDLE, READ_ROOM) else [])):
                self.at = f"{of}, {cycles} cycles"
                begun = await self.wait_for(of, cycles)
                await host.interrupt()
                more.add(round((get_sim_time("ns") - begun) / PERIOD_NS) - cycles)
                error = await driver.answer()
                right = {SILENT: Error.MACRO_TIMEOUT, IDLE: Error.NONE}
                assert error is right.get(of, Error.STREAM_TIMEOUT), f"{self.at}: {error.name}"
                await self.mend()
                assert len(more) == 1, f"{self.at}: {sorted(more)} more than stated"
            for bit in LONG_BITS:
                self.at = f"{of}, 2^{bit} cycles"
                await self.wait_for(of, 1 << bit)
                await ClockCycles(self.dut.aclk, LONG_CYCLES)
                assert (await driver.read("STATUS"))["BUSY"], f"{self.at}: over at once"
                await driver.write("RESET", SOFT_RESET=1)
                await self.mend()
                await driver.write("IRQ_PENDING", DONE=1, ERROR=1)
                if waiting is not None:
                    await self.send(waiting)
            await driver.write("RESET", SOFT_RESET=1)
            host.take(True)
            await host.settle()

    async def wait_for(self, of: str, cycles: int) -> float:
        """A command that waits; the time at which it began."""
        if of == SILENT:
            await self.driver.write("MACRO_TIMEOUT", CYCLES=cycles)
            self.failure, self.fails_at = SILENT, Phase.READ
            command, fields = Command.READ, {"first": 0}
        elif of == IDLE:
            command, fields = Command.IDLE, {"cycles": cycles}
        else:
            await self.driver.write("STREAM_TIMEOUT", CYCLES=cycles)
            command, fields = PACKET[of] if of in PACKET else (ROOM[of][0], {"first": 0})
        assert await self.driver.start(command, **fields) == 0, "refused"
        return get_sim_time("ns")

    async def command(self, command: Command, **fields: int) -> Error:
        """A whole command."""
        assert await self.driver.start(command, **fields) == 0, "refused"
        return await self.driver.answer()

    async def send(self, destination: Destination) -> None:
        """A packet of random codes, taken."""
        high = self.spec.column_code.high
        codes = (
            self.rng.integers(1, self.spec.row_code.high + 1, self.spec.rows - 1)
            if destination is Destination.ROWS
            else self.rng.integers(-high, high + 1, self.spec.columns)
        )
        await self.host.send(destination, vector_input.encoded(destination, codes))
        await self.host.sent()

    async def vectors(self) -> None:
        """Both sides get a new active vector, and give their results."""
        before = len(self.host.received())
        await self.send(Destination.ROWS)
        assert await self.command(Command.FORWARD) is Error.NONE
        await self.send(Destination.COLUMNS)
        assert await self.command(Command.BACKWARD) is Error.NONE
        await self.host.settle()
        sizes = [len(packet) for _, packet in self.host.received()[before:]]
        assert sizes == [2 * self.spec.columns, 2 * (self.spec.rows - 1)], f"results of {sizes}"

    async def case(self, failure: str, command: Command, phase: Phase) -> None:
        """A command up to its phase, its failure, and what the tile says; then it goes on."""
        driver = self.driver
        await self.vectors()
        bits = await driver.window_values(WindowCode.POLARITY, self.spec.rows)
        if command is Command.FORWARD:
            await self.send(Destination.ROWS)
        if command is Command.BACKWARD:
            await self.send(Destination.COLUMNS)
        fields = {"cycles": 1000} if command is Command.IDLE else dict(ROW)
        if failure in (SILENT, STUCK):
            self.failure, self.fails_at = failure, phase
        assert await driver.start(command, **fields) == 0, "refused"
        await self.reaches(phase)
        await self.fail(failure)
        error = await driver.answer()
        assert error is ANSWERS[failure], f"{error.name}"
        status, journal = await driver.read("STATUS"), await driver.read("JOURNAL")
        of_status = {name: status[name] for name in ("BUSY", "ARMED", "SAFE", "ROW_INCOMPLETE")}
        incomplete = int(command is Command.TRANSFER)
        assert of_status == {
            "BUSY": 0, "ARMED": int(failure != DISARMED), "SAFE": int(failure == SAFE),
            "ROW_INCOMPLETE": incomplete,
        }, f"{of_status}"  # fmt: skip
        assert journal["VALID"] == incomplete, f"{journal}"
        if failure in (SAFE, DISARMED):
            refused = await self.command(Command.READ, first=0)
            assert refused is ANSWERS[failure], f"refused with {refused.name}"
        await self.mend()
        if command is Command.TRANSFER:
            bits[ROW["first"]] ^= 1
            assert await self.command(Command.FORWARD) is Error.ROW_INCOMPLETE
            assert await self.command(Command.RESUME) is Error.NONE
            assert (await driver.read("JOURNAL"))["VALID"] == 0, "the row is incomplete"
        now = await driver.window_values(WindowCode.POLARITY, self.spec.rows)
        assert now == bits, f"polarity {now}, {bits} expected"
        calibrated = (await driver.read("STATUS"))["CALIBRATED"]
        assert calibrated == int(command is not Command.CALIBRATE), "CALIBRATED"
        if command is Command.CALIBRATE:
            assert await self.command(Command.CALIBRATE) is Error.NONE

    async def reaches(self, phase: Phase) -> None:
        """Wait until the tile asks for a phase."""
        edge, seen = RisingEdge(self.dut.aclk), self.pins.seen
        while not (seen["request"] and seen["phase"] == phase):
            await edge

    async def fail(self, failure: str) -> None:
        """The failure, and what must come of it at the pins at once, or in time."""
        dut, edge = self.dut, RisingEdge(self.dut.aclk)
        if failure in (SILENT, STUCK):
            await RisingEdge(dut.macro_clear)
            waited = round((get_sim_time("ns") - self.failed_ns) / PERIOD_NS)
            late = waited - TIMEOUT_CYCLES
            assert 0 <= late <= LATEST_CYCLES, f"answered after {waited} cycles"
        elif failure == SAFE:
            await ClockCycles(dut.aclk, 2)
            dut.analog_safe.value = 1
            await Timer(1, "ns")
            for name in ("request", "row_pulse", "column_pulse", "set_write"):
                assert int(getattr(dut, f"macro_{name}").value) == 0, f"{name} is live"
        else:
            await self.driver.write("CONTROL", **(self.control | {"ARM": 0}))
            await edge
            assert self.pins.seen["request"] == 0, "request is live"
            assert self.pins.seen["clear"] == 1, "the integrators are not cleared"

    async def mend(self) -> None:
        """The array answers again, from rest; the tile is armed."""
        self.dut.analog_safe.value = 0
        await self.driver.write("CONTROL", **self.control)
        if self.fails:
            self.macro.rest()
            self.fails = ""
            await ClockCycles(self.dut.aclk, 2)
