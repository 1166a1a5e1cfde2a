"""Packets of any beats: bytes left out, codes of each bit, others' bytes; and what LOAD keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from cocotb.triggers import ClockCycles

from cocotb_tests.directed.bench import SILENT, Bench
from golden.digital import vector_input
from golden.digital.axi_stream import Beat, packet_beats
from spec.commands import Command, Destination, Error, Phase
from spec.registers import WindowCode
from spec.tile import TileSpec

TIMEOUT_CYCLES = 60
LONG_BEATS = 40
"""Of a packet that is not over when its tile is reset."""
WAITING = {Destination.ROWS: "ROWS_WAITING", Destination.COLUMNS: "COLUMNS_WAITING"}
TAKEN_BY = {
    Command.FORWARD: Destination.ROWS,
    Command.BACKWARD: Destination.COLUMNS,
    Command.UPDATE: Destination.COLUMNS,
}
WEIGHTS = ((-(1 << 15), (1 << 15) - 1, -1), (1 << 14, -(1 << 14), 1), (0x7FF, -0x7FF, 0x801))
"""Of three columns, or as many as there are: none is of any size that a tile keeps as it is."""


async def packets(bench: Bench) -> None:
    """All of them."""
    for destination in WAITING:
        for name, beats in any_packets(bench.spec, destination):
            bench.at = f"{destination.name}, {name}"
            await judged(bench, destination, beats)
    for name, beats in any_packets(bench.spec, Destination.WEIGHTS):
        bench.at = f"weights, {name}"
        await refused(bench, beats)
    for destination in WAITING:
        bench.at = f"{destination.name}, dropped within"
        await dropped(bench, destination)
    for command, destination in TAKEN_BY.items():
        bench.at = f"a bad packet of the other side while {command.name} waits"
        await beside(bench, command, destination)
    for codes in WEIGHTS:
        bench.at = f"weights of {codes}"
        await kept(bench, np.resize(codes, bench.spec.columns))


def any_packets(spec: TileSpec, destination: Destination) -> Iterator[tuple[str, list[Beat]]]:
    """Packets that are good, or bad by one thing; of weights, bad ones alone."""
    axis_bytes, length = spec.host.axis_bytes, vector_input.packet_length(spec, destination)
    assert length is not None
    whole = bytes(1 + place % 3 for place in range(length))

    def beats(packet: bytes) -> list[Beat]:
        return packet_beats(packet, destination, axis_bytes)

    vectors = destination in WAITING
    for size in range(length + 2 * axis_bytes + 1):
        if vectors or size != length:
            yield f"{size} bytes", beats((whole * 3)[:size])
    for place in range(length):
        made = beats(whole)
        at, lane = divmod(place, axis_bytes)
        if made[at].keep.bit_length() > lane + 1 or not made[at].last:
            made[at] = replace(made[at], keep=made[at].keep & ~(1 << lane))
            yield f"without byte {place}", made
        # As many bytes as it should have, but for one left out.
        made = beats(whole[:place] + b"\0" + whole[place:])
        made[at] = replace(made[at], keep=made[at].keep & ~(1 << lane))
        yield f"a byte left out before {place}", made
        if vectors:
            for bit in range(8):
                one = bytes([1 << bit])
                yield f"bit {bit} of {place}", beats(whole[:place] + one + whole[place + 1 :])
    for place in range(1, len(beats(whole))):
        made = beats(whole)
        made[place] = replace(made[place], destination=(destination + 1) % len(Destination))
        yield f"beat {place} of another destination", made
    if vectors and length % axis_bytes == 0:
        made = [replace(beat, last=False) for beat in beats(whole)]
        yield "an empty beat at its end", [*made, *packet_beats(b"", destination, axis_bytes)]


async def judged(bench: Bench, destination: Destination, beats: list[Beat]) -> None:
    """A vector that nobody waits for: it waits, or its error is told."""
    error, _ = vector_input.received(bench.spec, beats)
    bench.host.offer(beats)
    await bench.host.sent()
    await told(bench, error)
    waits = (await bench.driver.read("STATUS"))[WAITING[destination]]
    assert waits == int(error is Error.NONE), f"{WAITING[destination]} is {waits}"
    await bench.driver.write("RESET", SOFT_RESET=1)


async def told(bench: Bench, error: Error) -> None:
    """VECTOR_ERROR is this, and is cleared."""
    found = Error((await bench.driver.read("ERROR"))["VECTOR_ERROR"])
    assert found is error, f"{found.name}, not {error.name}"
    await bench.driver.write("ERROR")
    await bench.driver.write("IRQ_PENDING", ERROR=1)


async def refused(bench: Bench, beats: list[Beat]) -> None:
    """A LOAD that ends with the error of its packet."""
    error, _ = vector_input.received(bench.spec, beats)
    assert error is not Error.NONE
    assert await bench.driver.start(Command.LOAD, first=0) == 0
    bench.host.offer(beats)
    found = await bench.driver.answer()
    assert found is error, f"{found.name}, not {error.name}"
    await bench.host.sent()
    await told(bench, error)


async def dropped(bench: Bench, destination: Destination) -> None:
    """A soft reset within a packet with every fault; the next packet is good, and is not the old.

    The rest of the old one is nobody's.
    """
    spec, axis_bytes = bench.spec, bench.spec.host.axis_bytes
    other = (destination + 1) % len(Destination)
    packet = packet_beats(bytes([255] * axis_bytes * LONG_BEATS), destination, axis_bytes)
    packet[0] = replace(packet[0], keep=1 << (axis_bytes - 1))
    packet[1] = replace(packet[1], destination=other)
    for beats in (1, 2, 5):
        bench.host.offer(packet, held=True)
        for _ in range(beats):
            await bench.host.one_beat()
        await bench.driver.write("RESET", SOFT_RESET=1)
        bench.host.holds = False
        length = vector_input.packet_length(spec, destination)
        assert length is not None
        await judged(bench, destination, packet_beats(bytes(length), destination, axis_bytes))


async def beside(bench: Bench, command: Command, destination: Destination) -> None:
    """It is told, and the command waits on for its own."""
    if command is Command.UPDATE:
        await bench.send(Destination.ROWS)
        assert await bench.command(Command.FORWARD) is Error.NONE
        fields = {"new_columns": 1}
    else:
        fields = {}
    other = Destination.COLUMNS if destination is Destination.ROWS else Destination.ROWS
    axis_bytes = bench.spec.host.axis_bytes
    assert await bench.driver.start(command, **fields) == 0
    bench.host.offer(packet_beats(b"\1", other, axis_bytes))
    await bench.host.sent()
    await told(bench, Error.SHORT_VECTOR)
    await bench.send(destination)
    found = await bench.driver.answer()
    assert found is Error.NONE, found.name
    await bench.host.settle()


async def kept(bench: Bench, codes: np.ndarray) -> None:
    """The weights of a LOAD as the journal has them, where the array fails it."""
    spec, driver = bench.spec, bench.driver
    packet = vector_input.encoded(Destination.WEIGHTS, codes)
    _, expected = vector_input.decoded(spec, Destination.WEIGHTS, packet)
    await driver.write("MACRO_TIMEOUT", CYCLES=TIMEOUT_CYCLES)
    bench.failure, bench.fails_at = SILENT, Phase.PRECHARGE
    assert await driver.start(Command.LOAD, first=0) == 0
    await bench.host.send(Destination.WEIGHTS, packet)
    assert await driver.answer() is Error.MACRO_TIMEOUT
    found = await driver.window_values(WindowCode.JOURNAL_CODES, spec.columns)
    assert found == expected.tolist(), f"the journal has {found}"
    await bench.mend()
    await ClockCycles(bench.dut.aclk, 2)
    assert await bench.command(Command.INIT, first=0, last=0, force=1) is Error.NONE
