"""A tile, its host and an array that can be told to fail: what the directed benches share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import numpy as np
from cocotb.triggers import ClockCycles, Timer, select
from cocotb.utils import get_sim_time

from cocotb_tests.axi_host import AxiHost
from cocotb_tests.pins import Pins
from cocotb_tests.tile import PERIOD_NS, RESET_CYCLES, clear_offsets
from golden.digital import vector_input
from spec.commands import Command, Destination, Error, Phase
from spec.tile import TileSpec
from tests.equivalence import macro, tile_cases
from tests.equivalence.tile_script import bring_up

LIMIT_CYCLES = 200_000
STALLING = 0.3
SILENT = "the array does not answer"
STUCK = "the array holds ready high"


class Bench:
    """An armed tile whose rows are known, each blanked. `at` says what it is about, for errors."""

    def __init__(self, host: AxiHost, pins: Pins, spec: TileSpec, seed: int) -> None:
        """Nothing fails yet."""
        self.host, self.pins, self.spec, self.dut = host, pins, spec, host.dut
        self.macro = macro.PinMacro(spec, tile_cases.arrays(spec, seed)[0], seed)
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

    async def ready(self) -> None:
        """From aresetn to rows that are known."""
        await clear_offsets(self.spec, self.host)
        script = tile_cases.script(self.spec, self.seed, [])
        self.driver = await bring_up(script, self.host)
        self.control = script.control
        await self.driver.write("RESET", POLARITY_VALID=1)
        assert await self.command(Command.INIT, first=0, last=self.spec.rows - 1) is Error.NONE

    async def command(self, command: Command, **fields: int) -> Error:
        """A whole command."""
        assert await self.driver.start(command, **fields) == 0, "refused"
        return await self.driver.answer()

    async def send(self, destination: Destination) -> None:
        """A packet of random codes, taken."""
        codes = tile_cases.vector(self.spec, self.rng, destination, least=1)
        await self.host.send(destination, vector_input.encoded(destination, np.array(codes)))
        await self.host.sent()

    async def mend(self) -> None:
        """The array answers again, from rest; the tile is armed."""
        self.dut.analog_safe.value = 0
        await self.driver.write("CONTROL", **self.control)
        if self.fails:
            self.macro.rest()
            self.fails = ""
            await ClockCycles(self.dut.aclk, 2)


async def run(
    bench: Bench, work: Callable[[Bench], Awaitable[None]], limit_cycles: int = LIMIT_CYCLES
) -> None:
    """`work`, from aresetn on. Raises AssertionError, macro.Wrong, TimeoutError."""
    dut, host = bench.dut, bench.host
    dut.aresetn.value = dut.analog_safe.value = 0
    await ClockCycles(dut.aclk, RESET_CYCLES)
    host.fresh(bench.seed, STALLING)
    dut.aresetn.value = 1

    async def whole() -> None:
        await bench.ready()
        await work(bench)

    try:
        first, _ = await select(
            whole(), bench.pins.answer(bench.cycle), Timer(limit_cycles * PERIOD_NS, "ns")
        )
    except AssertionError as error:
        raise AssertionError(f"{bench.at}: {error}") from None
    finally:
        dut.analog_safe.value = 0
    if first:
        raise TimeoutError(f"{bench.at}: not done after {limit_cycles} cycles")
