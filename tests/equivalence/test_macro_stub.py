"""rtl/macro_stub.py in the array's place: a tile's commands give what the stub's rules say."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Elaboratable, Fragment, Module

from golden.digital import vector_input, vector_output
from rtl.macro_stub import MacroStub, MacroStubTop, backward_shift, forward_shift
from rtl.tile import Tile
from rtl.top import FROM_MACRO, Top
from spec.commands import Command, Destination, Error, PairCode, VectorFormat
from spec.presets import preset
from spec.registers import WindowCode
from spec.tile import TileSpec
from tests.equivalence.bench import simulate
from tests.equivalence.test_tile import SimulatedHost
from tests.equivalence.tile_script import Driver

SHAPES = {
    "tiny": preset("tiny"),
    "wide": replace(preset("tiny"), rows=3, columns=11),
    "lanes": replace(
        preset("tiny"),
        rows=7,
        columns=6,
        converters=replace(preset("tiny").converters, lanes=4, forward_bits=9, backward_bits=4),
    ),
}


class Board(Elaboratable):
    """A tile and the stub, pin to pin."""

    def __init__(self, spec: TileSpec) -> None:
        self.tile, self.stub = Tile(spec), MacroStub(spec)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.tile, m.submodules.stub = tile, stub = self.tile, self.stub
        for name in tile.pins.signature.members:
            m.d.comb += getattr(stub.pins, name).eq(getattr(tile.pins, name))
        for name in FROM_MACRO:
            m.d.comb += getattr(tile, name).eq(getattr(stub, name))
        return m


class BoardHost:
    """Commands with their packets, at a board in simulation."""

    def __init__(self, ctx, board: Board) -> None:
        self.ctx, self.tile, self.spec = ctx, board.tile, board.tile.spec
        self.host = SimulatedHost(ctx, board.tile, seed=1)
        self.driver = Driver(self.spec, self.host)
        self.packets: list[bytes] = []

    async def bring_up(self) -> None:
        """As the programmer's guide has it, with the SET table that the stub asks for."""
        driver, spec = self.driver, self.spec
        await driver.write("CONTROL", ARM=1, RAW_FORWARD=1, RAW_BACKWARD=1)
        await driver.write("IRQ_ENABLE", DONE=1, ERROR=1)
        await driver.window(WindowCode.SET_TABLE, list(range(spec.set_table_entries)))
        await self.command(Command.INIT, first=0, last=spec.rows - 1)

    async def command(self, command: Command, **fields: int) -> np.ndarray:
        """A command that succeeds; the codes of its result."""
        before = len(self.packets)
        assert await self.driver.start(command, **fields) == 0
        assert await self.driver.answer() == Error.NONE
        gives = command in (Command.FORWARD, Command.BACKWARD, Command.READ)
        while gives and len(self.packets) == before:
            await self.ctx.tick()
        packet = self.packets[-1] if gives else b""
        return vector_output.decoded(packet, VectorFormat.RAW)

    async def send(self, destination: Destination, codes: list[int]) -> None:
        await self.host.send(destination, vector_input.encoded(destination, np.array(codes)))

    async def load(self, row: int, weight: int) -> None:
        await self.send(Destination.WEIGHTS, [weight] * self.spec.columns)
        await self.command(Command.LOAD, first=row)


def on_a_board(spec: TileSpec, story) -> None:
    """Run `story(host, board)`, with the streams' traffic beside it."""
    board, hosts = Board(spec), []
    tile, stalls = board.tile, random.Random(3)

    async def sender(ctx) -> None:
        while True:
            while not hosts or not hosts[0].host.outgoing:
                await ctx.tick()
            destination, count, part, last = hosts[0].host.outgoing[0]
            ctx.set(tile.s_axis.tdata, int.from_bytes(part, "little"))
            ctx.set(tile.s_axis.tkeep, (1 << count) - 1)
            ctx.set(tile.s_axis.tlast, last)
            ctx.set(tile.s_axis.tdest, destination)
            ctx.set(tile.s_axis.tvalid, 1)
            await ctx.tick().until(tile.s_axis.tready)
            ctx.set(tile.s_axis.tvalid, 0)
            hosts[0].host.outgoing.pop(0)

    async def receiver(ctx) -> None:
        port, packet = tile.m_axis, b""
        while True:
            ready = stalls.random() < 0.6
            ctx.set(port.tready, ready)
            _, _, valid, word, keep, last = await ctx.tick().sample(
                port.tvalid, port.tdata, port.tkeep, port.tlast
            )
            if valid and ready:
                packet += int(word).to_bytes(spec.host.axis_bytes, "little")[: keep.bit_count()]
                if last:
                    hosts[0].packets.append(packet)
                    packet = b""

    async def host(ctx) -> None:
        hosts.append(BoardHost(ctx, board))
        ctx.set(board.stub.loopback, 1)
        await hosts[0].bring_up()
        await story(hosts[0], board)

    simulate(board, host, background=(sender, receiver), limit_cycles=60_000)


@pytest.mark.parametrize("name", SHAPES)
def test_a_vector_comes_back_as_its_pulses_lasted(name: str) -> None:
    spec = SHAPES[name]
    rng = np.random.default_rng(2)
    high = spec.column_code.high
    rows = [*rng.integers(0, spec.row_code.high + 1, spec.rows - 1).tolist(), spec.row_code.high]
    columns = rng.integers(-high, high + 1, spec.columns).tolist()
    shift = backward_shift(spec)
    forward = [rows[column % spec.rows] >> forward_shift(spec) for column in range(spec.columns)]
    backward = [columns[row % spec.columns] for row in range(spec.rows - 1)]
    backward = [-(-code >> shift) if code < 0 else code >> shift for code in backward]

    async def story(host: BoardHost, board: Board) -> None:
        # Twice: a conversion begins anew. An inverted row does not change what it measures.
        for _ in range(2):
            await host.send(Destination.ROWS, rows[:-1])
            assert (await host.command(Command.FORWARD)).tolist() == forward
            await host.send(Destination.COLUMNS, columns)
            assert (await host.command(Command.BACKWARD)).tolist() == backward
            await host.command(Command.TRANSFER, first=0, last=0)
        host.ctx.set(board.stub.loopback, 0)
        await host.send(Destination.ROWS, rows[:-1])
        assert not (await host.command(Command.FORWARD)).any()

    assert any(forward)
    assert any(backward)
    on_a_board(spec, story)


@pytest.mark.parametrize("name", ["tiny", "lanes"])
def test_weights_are_loaded_updated_transferred_and_read(name: str) -> None:
    spec = SHAPES[name]
    row, scale = spec.rows - 1, 1 << spec.column_code.bits

    async def story(host: BoardHost, board: Board) -> None:
        async def read(at: int, pair: PairCode = PairCode.ALL) -> int:
            codes = set((await host.command(Command.READ, first=at, pair=pair)).tolist())
            assert len(codes) == 1
            return codes.pop()

        await host.load(row, 333)
        await host.load(0, -470)
        assert (await read(row), await read(0)) == (333, -470)
        higher, lower = await read(row, PairCode.HIGHER), await read(row, PairCode.LOWER)
        assert higher + lower == 333
        assert abs(lower) < 1 << spec.transfer.set_shift

        await host.driver.write("COLUMN_SCALE", SCALE=scale)
        weight, inverted = 333, False
        for sign in (1, -1, 1):
            await host.send(Destination.ROWS, [0] * (spec.rows - 1))
            await host.send(Destination.COLUMNS, [sign * spec.column_code.high] * spec.columns)
            await host.command(Command.UPDATE, new_rows=1, new_columns=1)
            moved = await read(row) - weight
            assert 0 < sign * moved <= spec.update.slots
            weight += moved
            # The other polarity; what was in the lower pair is now in the higher one.
            await host.command(Command.TRANSFER, first=row, last=row)
            assert await read(row) == weight
            inverted = not inverted
        assert await read(0) == -470
        assert inverted

    on_a_board(spec, story)


def test_the_stub_has_the_pins_of_the_tile_the_other_way_round() -> None:
    for spec in (preset("tiny"), replace(preset("tiny"), rows=1, columns=1)):
        tops = Top(spec), MacroStubTop(spec)
        for top in tops:
            Fragment.get(top, None)  # Amaranth asks that what is made is used
        tile, stub = (top.signature.members for top in tops)
        pins = {name: tile[name].flip() for name in tile if name.startswith("macro_")}
        own = {name: stub[name] for name in stub if name.startswith("macro_")}
        assert own == pins
        assert set(stub) - set(own) == {"aclk", "aresetn", "loopback"}
