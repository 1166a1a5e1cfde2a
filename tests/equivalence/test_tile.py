"""rtl/tile.py against golden/digital/command.py, on Amaranth's simulator: scripts of commands."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cocotb_tests.coverage import functional
from golden.analog.array import Array
from golden.digital import vector_input, vector_output
from rtl.tile import Tile
from spec.commands import Command, Destination, Error, Phase, VectorFormat
from spec.presets import preset
from spec.registers import WindowCode
from spec.tile import TileSpec
from tests.equivalence import tile_cases
from tests.equivalence.bench import STALLING, simulate
from tests.equivalence.macro import NAMES, PinMacro, Pins
from tests.equivalence.tile_cases import SCRIPTS, SPECS, TINY, arrays, script
from tests.equivalence.tile_script import Found, Script, array_state, bring_up, run

LIMIT_CYCLES = 60_000


class SimulatedHost:
    """The host's side on Amaranth's simulator, with random stalls."""

    def __init__(self, ctx: Any, tile: Tile, seed: int, stalling: float = STALLING) -> None:
        """One test bench's context drives AXI4-Lite; the streams have benches of their own."""
        self.ctx, self.tile, self.axil = ctx, tile, tile.axil
        self.stalls, self.stalling = random.Random(seed), stalling
        self.outgoing: list[tuple[int, int, bytes, bool]] = []
        self.incoming: list[tuple[int, bytes]] = []
        self.takes = True

    async def write(self, address: int, word: int) -> int:
        ctx, axil = self.ctx, self.axil
        ctx.set(axil.awaddr, address)
        ctx.set(axil.wdata, word)
        ctx.set(axil.wstrb, 0xF)
        waiting = {"aw": True, "w": True}
        while any(waiting.values()):
            for channel in ("aw", "w"):
                if waiting[channel] and self.stalls.random() >= self.stalling:
                    ctx.set(getattr(axil, f"{channel}valid"), 1)
            _, _, *ready = await ctx.tick().sample(
                axil.awready & axil.awvalid, axil.wready & axil.wvalid
            )
            for channel, taken in zip(("aw", "w"), ready, strict=True):
                if taken:
                    waiting[channel] = False
                    ctx.set(getattr(axil, f"{channel}valid"), 0)
        while self.stalls.random() < self.stalling:
            await ctx.tick()
        ctx.set(axil.bready, 1)
        (response,) = await ctx.tick().sample(axil.bresp).until(axil.bvalid)
        ctx.set(axil.bready, 0)
        return int(response)

    async def read(self, address: int) -> tuple[int, int]:
        ctx, axil = self.ctx, self.axil
        ctx.set(axil.araddr, address)
        ctx.set(axil.arvalid, 1)
        await ctx.tick().until(axil.arready)
        ctx.set(axil.arvalid, 0)
        while self.stalls.random() < self.stalling:
            await ctx.tick()
        ctx.set(axil.rready, 1)
        word, response = await ctx.tick().sample(axil.rdata, axil.rresp).until(axil.rvalid)
        ctx.set(axil.rready, 0)
        return int(word), int(response)

    async def send(self, destination: int, packet: bytes) -> None:
        size = self.tile.spec.host.axis_bytes
        for start in range(0, len(packet), size):
            part = packet[start : start + size]
            self.outgoing.append((destination, len(part), part, start + size >= len(packet)))

    async def sent(self) -> None:
        while self.outgoing:
            await self.ctx.tick()
        await self.ctx.tick().repeat(5)

    async def interrupt(self) -> None:
        await self.ctx.tick().until(self.tile.irq)

    def received(self) -> list[tuple[int, bytes]]:
        return self.incoming

    def take(self, takes: bool) -> None:
        self.takes = takes

    async def wait(self, cycles: int) -> None:
        if cycles:
            await self.ctx.tick().repeat(cycles)

    async def safe(self, bit: int) -> None:
        self.ctx.set(self.tile.analog_safe, bit)
        await self.ctx.tick().repeat(5)

    async def settle(self) -> None:
        await self.ctx.tick().repeat(40 + 3 * self.tile.spec.rows)


Program = Callable[[SimulatedHost, PinMacro], Coroutine[Any, Any, None]]


def simulate_tile(
    spec: TileSpec, array: Array, seed: int, program: Program, stalling: float = STALLING
) -> None:
    """A host's program at a tile whose pins an array answers."""
    tile = Tile(spec)
    macro = PinMacro(spec, array, seed, delay=seed % 3)
    hosts: list[SimulatedHost] = []
    stalls = random.Random(~seed)

    async def pins(ctx) -> None:
        while True:
            answer = macro.cycle(Pins(*(ctx.get(getattr(tile.pins, name)) for name in NAMES)))
            await ctx.tick()
            ctx.set(tile.ready, answer.ready)
            ctx.set(tile.convert_valid, answer.convert_valid)
            ctx.set(tile.convert_codes, answer.convert_codes)

    async def sender(ctx) -> None:
        while True:
            while not hosts or not hosts[0].outgoing or stalls.random() < stalling:
                await ctx.tick()
            destination, count, part, last = hosts[0].outgoing[0]
            ctx.set(tile.s_axis.tdata, int.from_bytes(part, "little"))
            ctx.set(tile.s_axis.tkeep, (1 << count) - 1)
            ctx.set(tile.s_axis.tlast, last)
            ctx.set(tile.s_axis.tdest, destination)
            ctx.set(tile.s_axis.tvalid, 1)
            await ctx.tick().until(tile.s_axis.tready)
            ctx.set(tile.s_axis.tvalid, 0)
            hosts[0].outgoing.pop(0)

    async def receiver(ctx) -> None:
        packet = b""
        port = tile.m_axis
        while True:
            ready = stalls.random() >= stalling and (not hosts or hosts[0].takes)
            ctx.set(port.tready, ready)
            _, _, valid, data, keep, last, destination = await ctx.tick().sample(
                port.tvalid, port.tdata, port.tkeep, port.tlast, port.tdest
            )
            if valid and ready:
                whole = int(data).to_bytes(spec.host.axis_bytes, "little")
                packet += whole[: int(keep).bit_count()]
                if last:
                    hosts[0].incoming.append((int(destination), packet))
                    packet = b""

    async def host(ctx) -> None:
        hosts.append(SimulatedHost(ctx, tile, seed, stalling))
        await program(hosts[0], macro)

    benches = (pins, sender, receiver)
    simulate(tile, host, background=benches, limit_cycles=LIMIT_CYCLES)


def rtl_tile(script: Script, array: Array, seed: int, stalling: float = STALLING) -> Found:
    """The script at the simulated tile."""
    found: list[Found] = []

    async def program(host: SimulatedHost, macro: PinMacro) -> None:
        found.append(await run(script, host))
        found[0].events, found[0].cut = macro.events, macro.cut
        found[0].stalls = {"streams": stalling, "macro": macro.delay}

    simulate_tile(script.spec, array, seed, program, stalling)
    found[0].state |= array_state(array)
    return found[0]


def check(case: Script, seed: int, stalling: float = STALLING) -> None:
    """Both end alike, in all that can be seen."""
    tile_cases.check(rtl_tile(case, arrays(case.spec, seed)[0], seed, stalling), case, seed)


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("one", "training"),
        ("synchronised", "interruptions"),
        ("lanes", "polarities"),
        # On Verilator `tiny` goes through all scripts, far quicker.
        *(
            pytest.param(name, "training", marks=pytest.mark.exhaustive)
            for name in ("tiny", "synchronised", "lanes")
        ),
    ],
)
def test_examples_and_transfers(name: str, case: str) -> None:
    check(SCRIPTS[case](SPECS[name], 1), 1)


@pytest.mark.coverage
@pytest.mark.parametrize("stalling", [0.0, STALLING])
def test_operations_of_every_polarity(stalling: float) -> None:
    update = replace(TINY.update, stream_mode="stochastic")
    spec = replace(TINY, rows=3, columns=2, update=update)
    check(SCRIPTS["polarities"](spec, 1), 1, stalling)


@pytest.mark.parametrize("name", ["skewed", "128 slots", "64 slots, skewed"])
@pytest.mark.parametrize("case", ["polarities", "cut update"])
def test_updates_of_skewed_rows_and_of_many_slots_whole_and_cut(case: str, name: str) -> None:
    check(SCRIPTS[case](SPECS[name], 1), 1)


@pytest.mark.parametrize("case", ["cut transfer", "restored"])
def test_rows_of_random_polarity(case: str) -> None:
    check(SCRIPTS[case](SPECS["chopped"], 1), 1)


# Verilator goes through the same scripts in `make test`, and is faster.
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", tile_cases.CUT_COMMANDS)
@pytest.mark.parametrize("seed", range(4))
def test_a_soft_reset_anywhere_and_what_comes_after(name: str, seed: int) -> None:
    check(SCRIPTS[f"cut {name}"](replace(SPECS["tiny"], rows=3), seed), seed)


# On Verilator, the tile `wide` has a table too.
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["segments", "training"])
def test_neurons_of_a_table(name: str) -> None:
    spec = SPECS["segments"]
    case = SCRIPTS[name](spec, 4)
    # The table as it is after aresetn, or as a host writes it.
    check(replace(case, control=case.control | {"RAW_FORWARD": 0}), 4)


@pytest.mark.parametrize("name", ["tiny", "one"])
def test_a_host_that_takes_no_results_is_told_and_the_tile_goes_on(name: str) -> None:
    check(SCRIPTS["results stay"](SPECS[name], 2), 2)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in (1, 2))]
)
def test_an_idle_that_a_soft_reset_cuts(seed: int) -> None:
    check(SCRIPTS["cut idle"](replace(SPECS["tiny"], rows=3), seed), seed)


def test_wrong_use_is_told_and_the_tile_goes_on() -> None:
    check(SCRIPTS["wrong use"](replace(TINY, rows=3), 3), 3)


@pytest.mark.exhaustive
def test_neuron_codes_and_raw_access() -> None:
    check(SCRIPTS["codes and raw access"](SPECS["lanes"], 5), 5)


FAILURES = {
    "silent": Error.MACRO_TIMEOUT,
    "safe": Error.SAFE,
    "disarmed": Error.NOT_ARMED,
}


@pytest.mark.parametrize(
    "failure",
    [
        "silent",
        # cocotb_tests/directed/failures.py has these too, though with targets less close.
        *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("safe", "disarmed")),
    ],
)
def test_a_transfer_that_the_array_fails_is_finished_by_resume(failure: str) -> None:
    # A whole SET table: only with it are weights kept closely.
    spec = replace(preset("tiny"), rows=2)
    array = arrays(spec, 4)[0]
    weights = [[300, -200, 100], [-50, 400, 0]]

    async def program(host: SimulatedHost, macro: PinMacro) -> None:
        ctx, tile = host.ctx, host.tile
        driver = await bring_up(script(spec, 4, []), host)
        await driver.write("RESET", POLARITY_VALID=1)
        for row, codes in enumerate(weights):
            await driver.start(Command.LOAD, first=row)
            packet = vector_input.encoded(Destination.WEIGHTS, np.array(codes))
            await host.send(Destination.WEIGHTS, packet)
            assert await driver.answer() is Error.NONE
        await driver.start(Command.TRANSFER, first=0, last=1)
        # The first row's journal is written, its bit may have been flipped.
        await ctx.tick().until(tile.pins.request & (tile.pins.phase == Phase.RESET))
        if failure == "silent":
            macro.dead = True
        elif failure == "safe":
            ctx.set(tile.analog_safe, 1)
            assert ctx.get(tile.pins.request) == 0, "not at once"
        else:
            await driver.write("CONTROL", **(script(spec, 4, []).control | {"ARM": 0}))
        assert await driver.answer() is FAILURES[failure]
        assert (await driver.read("JOURNAL"))["VALID"] == 1
        refused = Error.ROW_INCOMPLETE if failure == "silent" else FAILURES[failure]
        await driver.start(Command.FORWARD)
        assert await driver.answer() is refused
        macro.dead = False
        ctx.set(tile.analog_safe, 0)
        await driver.write("CONTROL", **script(spec, 4, []).control)
        await driver.start(Command.RESUME)
        assert await driver.answer() is Error.NONE
        assert (await driver.read("JOURNAL"))["VALID"] == 0
        assert await driver.window_values(WindowCode.POLARITY, 2) == [1, 1]
        for row, codes in enumerate(weights):
            await driver.start(Command.READ, first=row)
            assert await driver.answer() is Error.NONE
            await host.settle()
            read = vector_output.decoded(host.received()[-1][1], VectorFormat.RAW)
            # One step of a trim is some ten codes, and each READ has its noise.
            assert np.abs(read - codes).max() < 60, (row, read)

    simulate_tile(spec, array, 4, program)
    functional.sample("upsets", failure, FAILURES[failure].name)
    functional.save()


def test_every_wrong_access_is_an_error_and_changes_nothing() -> None:
    spec = replace(TINY, rows=2)

    async def program(host: SimulatedHost, macro: PinMacro) -> None:
        driver = await bring_up(script(spec, 1, []), host)
        wrong = [
            (0x08, 1, Error.READ_ONLY),
            (0x1C, 1, Error.READ_ONLY),
            (0x16, 1, Error.UNALIGNED),
            (0x80, 1, Error.UNMAPPED),
            (driver.table["ROW_LFSR"].offset, 0, Error.BAD_VALUE),
            (driver.table["ROW_SCALE"].offset, 3, Error.BAD_VALUE),
            (driver.table["WINDOW"].offset, 7, Error.BAD_VALUE),
        ]
        before = [await driver.read(name) for name in ("CONTROL", "ROW_LFSR", "ROW_SCALE")]
        for address, word, error in wrong:
            assert await host.write(address, word) != 0
            assert (await driver.read("ERROR"))["BUS_ERROR"] == error
            await driver.write("ERROR")
        assert (await host.read(0x80))[1] != 0
        await driver.write("ERROR")
        # A command while another runs; a window while the tile works.
        await driver.start(Command.IDLE, cycles=400)
        assert await driver.start(Command.READ) != 0
        assert (await driver.read("ERROR"))["BUS_ERROR"] == Error.BUSY
        await driver.write("ERROR")
        assert (await host.read(driver.table["WINDOW_DATA"].offset))[1] != 0
        assert (await driver.read("ERROR"))["BUS_ERROR"] == Error.BUSY
        assert await driver.answer() is Error.NONE
        assert [await driver.read(n) for n in ("CONTROL", "ROW_LFSR", "ROW_SCALE")] == before

    simulate_tile(spec, arrays(spec, 1)[0], 1, program)
    functional.sample("upsets", "another command", Error.BUSY.name)
    functional.save()
