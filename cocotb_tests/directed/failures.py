"""Commands that the array, its supply or the host fails."""

from __future__ import annotations

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge, Timer
from cocotb.utils import get_sim_time

from cocotb_tests.directed.bench import SILENT, STUCK, Bench
from cocotb_tests.tile import PERIOD_NS
from spec.commands import Command, Destination, Error, Phase
from spec.registers import WindowCode

TIMEOUT_CYCLES = 90
LATEST_CYCLES = 40
"""From a time-out to its answer at the bus, and from a command's write to its phase."""
ROW = {"first": 1, "last": 1}

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


async def failures(bench: Bench) -> None:
    """All cases, one after the other."""
    await bench.driver.write("MACRO_TIMEOUT", CYCLES=TIMEOUT_CYCLES)
    for case in CASES:
        bench.at = f"{case[0]}, {case[1].name} at {case[2].name}"
        await fails(bench, *case)


async def fails(bench: Bench, failure: str, command: Command, phase: Phase) -> None:
    """A command up to its phase, its failure, and what the tile says; then it goes on."""
    driver = bench.driver
    await vectors(bench)
    bits = await driver.window_values(WindowCode.POLARITY, bench.spec.rows)
    if command is Command.FORWARD:
        await bench.send(Destination.ROWS)
    if command is Command.BACKWARD:
        await bench.send(Destination.COLUMNS)
    fields = {"cycles": 1000} if command is Command.IDLE else dict(ROW)
    if failure in (SILENT, STUCK):
        bench.failure, bench.fails_at = failure, phase
    if failure == DISARMED:
        # The host takes longer than a short window: the array waits for it before it answers.
        bench.failure, bench.fails_at = SILENT, phase
    assert await driver.start(command, **fields) == 0, "refused"
    await reached(bench, phase)
    await fail(bench, failure)
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
        refused = await bench.command(Command.READ, first=0)
        assert refused is ANSWERS[failure], f"refused with {refused.name}"
    await bench.mend()
    if command is Command.TRANSFER:
        bits[ROW["first"]] ^= 1
        assert await bench.command(Command.FORWARD) is Error.ROW_INCOMPLETE
        assert await bench.command(Command.RESUME) is Error.NONE
        assert (await driver.read("JOURNAL"))["VALID"] == 0, "the row is incomplete"
    now = await driver.window_values(WindowCode.POLARITY, bench.spec.rows)
    assert now == bits, f"polarity {now}, {bits} expected"
    calibrated = (await driver.read("STATUS"))["CALIBRATED"]
    assert calibrated == int(command is not Command.CALIBRATE), "CALIBRATED"
    if command is Command.CALIBRATE:
        assert await bench.command(Command.CALIBRATE) is Error.NONE


async def vectors(bench: Bench) -> None:
    """Both sides get a new active vector, and give their results."""
    before = len(bench.host.received())
    await bench.send(Destination.ROWS)
    assert await bench.command(Command.FORWARD) is Error.NONE
    await bench.send(Destination.COLUMNS)
    assert await bench.command(Command.BACKWARD) is Error.NONE
    await bench.host.settle()
    sizes = [len(packet) for _, packet in bench.host.received()[before:]]
    expected = [2 * bench.spec.columns, 2 * (bench.spec.rows - 1)]
    assert sizes == expected, f"results of {sizes}"


async def reached(bench: Bench, phase: Phase) -> None:
    """Wait until the tile asks for a phase."""
    edge, seen = RisingEdge(bench.dut.aclk), bench.pins.seen
    while not (seen["request"] and seen["phase"] == phase):
        await edge


async def fail(bench: Bench, failure: str) -> None:
    """The failure, and what must come of it at the pins at once, or in time."""
    dut, edge = bench.dut, RisingEdge(bench.dut.aclk)
    if failure in (SILENT, STUCK):
        await RisingEdge(dut.macro_clear)
        waited = round((get_sim_time("ns") - bench.failed_ns) / PERIOD_NS)
        late = waited - TIMEOUT_CYCLES
        assert 0 <= late <= LATEST_CYCLES, f"answered after {waited} cycles"
    elif failure == SAFE:
        await ClockCycles(dut.aclk, 2)
        dut.analog_safe.value = 1
        await Timer(1, "ns")
        for name in ("request", "row_pulse", "column_pulse", "set_write"):
            assert int(getattr(dut, f"macro_{name}").value) == 0, f"{name} is live"
    else:
        disarm = bench.driver.write("CONTROL", **(bench.control | {"ARM": 0}))
        write = cocotb.start_soon(disarm)
        while int(dut.s_axil_awready.value) or int(dut.s_axil_wready.value):
            await edge
        # Taken, and done in five cycles: with the window open.
        await edge
        bench.fails = ""
        await write
        await ClockCycles(dut.aclk, 2)
        assert bench.pins.seen["request"] == 0, "request is live"
        assert bench.pins.seen["clear"] == 1, "the integrators are not cleared"
