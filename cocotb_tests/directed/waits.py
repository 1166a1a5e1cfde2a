"""Each wait takes its register's cycles, to the cycle, whichever bits that has."""

from __future__ import annotations

import random

from cocotb.triggers import ClockCycles
from cocotb.utils import get_sim_time

from cocotb_tests.directed.bench import SILENT, Bench
from cocotb_tests.tile import PERIOD_NS
from golden.digital.axi_stream import packet_beats
from golden.digital.vector_input import WORD
from spec.commands import Command, Destination, Error, Phase

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
    "packets of UPDATE": (Command.UPDATE, {"new_rows": 1, "new_columns": 1}),
    "the weights of LOAD": (Command.LOAD, {"first": 0}),
}
"""Waits for a packet: the command and its fields."""
COLUMNS = "columns of UPDATE"
"""Its rows are held."""
ROOM = {
    "room for a FORWARD": (Command.FORWARD, Destination.ROWS),
    "room for a BACKWARD": (Command.BACKWARD, Destination.COLUMNS),
    READ_ROOM: (Command.READ, None),
}
"""Waits for the host to take a result: the command, and the packet that waits with it."""
COMMANDS = (
    PACKET
    | {COLUMNS: (Command.UPDATE, {"new_columns": 1})}
    | {of: (command, {"first": 0}) for of, (command, _) in ROOM.items()}
)
REST: dict[str, Destination] = {
    "a packet of FORWARD": Destination.ROWS,
    "a packet of BACKWARD": Destination.COLUMNS,
    "packets of UPDATE": Destination.ROWS,
    COLUMNS: Destination.COLUMNS,
    "the weights of LOAD": Destination.WEIGHTS,
}
"""Waits that a packet's first beat has begin anew, and its destination."""
REST_CYCLES = 120
REST_MORE_CYCLES = 3
"""From a vector's beat to its wait's beginning, and from its end to the interrupt."""


async def waits(bench: Bench) -> None:
    """All of them."""
    driver, host = bench.driver, bench.host
    await driver.write("MACRO_TIMEOUT", CYCLES=max(WAITS_CYCLES))
    host.stalling, host.random = 0.0, random.Random(bench.seed)
    await ClockCycles(bench.dut.aclk, 2)
    for of in (*COMMANDS, SILENT, IDLE):
        await prepared(bench, of)
        cycles_too_many = set[int]()
        for cycles in (*WAITS_CYCLES, *([MORE_CYCLES] if of in (IDLE, READ_ROOM) else [])):
            bench.at = f"{of}, {cycles} cycles"
            begun = await begin(bench, of, cycles)
            cycles_too_many.add(await over(bench, of, begun) - cycles)
            assert len(cycles_too_many) == 1, f"{sorted(cycles_too_many)} more than stated"
        for bit in LONG_BITS:
            bench.at = f"{of}, 2^{bit} cycles"
            await begin(bench, of, 1 << bit)
            await ClockCycles(bench.dut.aclk, LONG_CYCLES)
            assert (await driver.read("STATUS"))["BUSY"], "over at once"
            await driver.write("RESET", SOFT_RESET=1)
            await bench.mend()
            await driver.write("IRQ_PENDING", DONE=1, ERROR=1)
            await vectors(bench, of)
        await driver.write("RESET", SOFT_RESET=1)
        host.take(True)
        await host.settle()
    for of, destination in REST.items():
        bench.at = f"the rest of {of}"
        await rest(bench, of, destination)


async def begun(bench: Bench, of: str, cycles: int) -> None:
    """A wait that goes on; the host's channels do not pause."""
    bench.host.stalling = 0.0
    await ClockCycles(bench.dut.aclk, 2)
    await prepared(bench, of)
    await begin(bench, of, cycles)
    await ClockCycles(bench.dut.aclk, LONG_CYCLES)


async def prepared(bench: Bench, of: str) -> None:
    """What a wait needs: a result in the way, vectors."""
    if of in ROOM:
        bench.host.take(False)
        assert await bench.command(Command.READ, first=0) is Error.NONE
    await vectors(bench, of)


async def vectors(bench: Bench, of: str) -> None:
    """The vectors that a soft reset clears."""
    if of == COLUMNS:
        await bench.send(Destination.ROWS)
        assert await bench.command(Command.FORWARD) is Error.NONE
        await bench.host.settle()
    if of in ROOM and (waiting := ROOM[of][1]) is not None:
        await bench.send(waiting)


async def begin(bench: Bench, of: str, cycles: int) -> float:
    """A command that waits; the time at which it began."""
    if of == SILENT:
        await bench.driver.write("MACRO_TIMEOUT", CYCLES=cycles)
        bench.failure, bench.fails_at = SILENT, Phase.READ
        command, fields = Command.READ, {"first": 0}
    elif of == IDLE:
        command, fields = Command.IDLE, {"cycles": cycles}
    else:
        await bench.driver.write("STREAM_TIMEOUT", CYCLES=cycles)
        command, fields = COMMANDS[of]
    assert await bench.driver.start(command, **fields) == 0, "refused"
    return get_sim_time("ns")


async def over(bench: Bench, of: str, begun: float) -> int:
    """The end of a wait, as it must be; its cycles from then on."""
    await bench.host.interrupt()
    waited = round((get_sim_time("ns") - begun) / PERIOD_NS)
    error = await bench.driver.answer()
    right = {SILENT: Error.MACRO_TIMEOUT, IDLE: Error.NONE}
    assert error is right.get(of, Error.STREAM_TIMEOUT), error.name
    await bench.mend()
    return waited


async def rest(bench: Bench, of: str, destination: Destination) -> None:
    """A beat comes when half of the time is over, and no more: the wait begins anew."""
    await prepared(bench, of)
    await begin(bench, of, REST_CYCLES)
    await ClockCycles(bench.dut.aclk, REST_CYCLES // 2)
    axis_bytes = bench.spec.host.axis_bytes
    bench.host.offer(packet_beats(bytes(3 * axis_bytes), destination, axis_bytes), held=True)
    await bench.host.one_beat()
    more = await over(bench, of, get_sim_time("ns")) - REST_CYCLES
    stated = REST_MORE_CYCLES
    if destination is Destination.WEIGHTS:
        # They leave one a cycle, three cycles after their beat; their end is looked at one later.
        stated += 4 + min(axis_bytes // WORD.itemsize, bench.spec.columns)
    assert more == stated, f"{more} more than the register has, not {stated}"
    # What comes of it now belongs to no packet.
    bench.host.holds = False
    await bench.host.sent()
