"""A simulated tile that plain code drives: calls return when the simulator has come that far.

The host's side is `SimulatedHost`, the macro `PinMacro`. The streams and the macro never wait, so that
cycles can be counted; only AXI4-Lite has random stalls, which no count sees.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from golden.analog.array import Array
from golden.analog.parameters import DeviceParameters
from golden.analog.pcm import set_table
from golden.digital.vector_input import encoded
from rtl.tile import Tile
from spec.commands import Destination, Error
from spec.registers import Register, WindowCode, registers
from spec.tile import TileSpec
from tests.equivalence.bench import TooLong
from tests.equivalence.macro import NAMES, PinMacro, Pins
from tests.equivalence.test_tile import SimulatedHost

LIMIT_CYCLES = 40_000
"""Of one call."""
DEVICES = DeviceParameters()


class BusError(Exception):
    """An access was answered with an error."""


class LateMacro(PinMacro):
    """Answers a phase `late` cycles after the next cycle."""

    late = 0

    def _begin(self, pins: Pins) -> None:
        super()._begin(pins)
        self.wait = self.late


class SimulatedTile:
    """`read`, `write`, `send`, `receive` and `interrupt` as firmware has them.

    `watched` signals are listed in `trace`, a tuple a cycle, from the start of the simulation on.
    """

    def __init__(
        self,
        spec: TileSpec,
        array: Array | None = None,
        late: int = 0,
        watch: Callable[[Tile], dict[str, Any]] | None = None,
    ) -> None:
        """A tile as after aresetn."""
        self.spec, self.tile = spec, Tile(spec)
        self.array = array or Array(spec, DEVICES, 1, 0)
        self.macro = LateMacro(spec, self.array)
        self.macro.late = late
        self.host: Any = None
        self.reset = Signal()
        self.trace: list[tuple[int, ...]] = []
        self.cycle = 0
        self._asked: Callable[[], Awaitable[Any]] | None = None
        self._answer: list[Any] = []
        self.simulator = Simulator(ResetInserter(self.reset)(self.tile))
        self.simulator.add_clock(1e-6)
        # Blocks of the tile are there once it is elaborated.
        self.watched = watch(self.tile) if watch else {}
        for bench in (self._serve, self._pins, self._sender, self._receiver, self._watch):
            self.simulator.add_testbench(bench, background=True)
        self.table: dict[str, Register] = {r.name: r for r in registers(spec)}

    # -- what firmware has -------------------------------------------------------------------

    def write(self, address: int, word: int) -> None:
        """Raises BusError."""
        if self._run(lambda: self.host.write(address, word)):
            raise BusError(f"write of {word:#x} to {address:#x}")

    def read(self, address: int) -> int:
        """Raises BusError."""
        word, response = self._run(lambda: self.host.read(address))
        if response:
            raise BusError(f"read of {address:#x}")
        return word

    def send(self, destination: int, packet: bytes) -> None:
        """Offer a packet; it goes when the tile has room for it."""
        self._run(lambda: self.host.send(destination, packet))

    def receive(self) -> tuple[int, bytes]:
        """The next packet, with its destination."""
        self._run(lambda: self._until(lambda: self.host.incoming))
        return self.host.incoming.pop(0)

    def interrupt(self) -> None:
        """Wait until the interrupt is raised."""
        self._run(lambda: self.host.interrupt())

    # -- what a test has ---------------------------------------------------------------------

    def wait(self, cycles: int) -> None:
        """Let cycles pass."""
        self._run(lambda: self.host.ctx.tick().repeat(cycles))

    def sent(self) -> None:
        """Wait until all packets offered are taken and judged."""
        self._run(lambda: self.host.sent())

    def set(self, signal: Signal, value: int) -> None:
        """Set an input pin."""

        async def setting() -> None:
            self.host.ctx.set(signal, value)
            await self.host.ctx.tick()

        self._run(setting)

    def aresetn(self) -> None:
        """A cycle of reset; what the tile was asked is forgotten with it."""
        self.set(self.reset, 1)
        self.set(self.reset, 0)

    def put(self, name: str, **fields: int) -> None:
        """Write a register by name."""
        register = self.table[name]
        self.write(register.offset, register.pack(**fields))

    def get(self, name: str) -> dict[str, int]:
        """A register's fields."""
        register = self.table[name]
        return register.unpack(self.read(register.offset))

    def put_window(self, code: WindowCode, values: list[int]) -> None:
        """Write a whole memory."""
        self.put("WINDOW", SELECT=code)
        for value in values:
            self.write(self.table["WINDOW_DATA"].offset, value & 0xFFFF_FFFF)

    def packet(self, destination: Destination, codes: Any) -> None:
        """Send codes, and wait until they are judged."""
        self.send(destination, encoded(destination, np.array(codes, np.int64)))
        if destination is not Destination.WEIGHTS:
            self.sent()

    def arm(self) -> None:
        """Bring a tile up, whose polarity is declared known."""
        self.put("CONTROL", ARM=1, RAW_FORWARD=1, RAW_BACKWARD=1, BRINGUP=1)
        self.put("IRQ_ENABLE", DONE=1, ERROR=1)
        self.put("STREAM_TIMEOUT", CYCLES=200)
        self.put("MACRO_TIMEOUT", CYCLES=2000)
        self.put_window(WindowCode.SET_TABLE, set_table(self.spec, DEVICES).tolist())
        self.put("RESET", POLARITY_VALID=1)

    def polarity(self, bits: list[int]) -> None:
        """Write all rows' bits."""
        self.put_window(WindowCode.POLARITY, bits)

    def start(self, command: int, first: int = 0, last: int = 0, cycles: int = 0, **options: int):
        """Write what a command needs, then the command."""
        self.put("ROWS", FIRST=first, LAST=last)
        self.put("IDLE_CYCLES", CYCLES=cycles)
        self.put("COMMAND", OPCODE=command, **options)

    def command(self, command: int, **fields: int) -> Error:
        """Run a command to its answer."""
        self.start(command, **fields)
        self.interrupt()
        self.put("IRQ_PENDING", DONE=1, ERROR=1, RESULT=1)
        return Error(self.get("ERROR")["COMMAND_ERROR"])

    # -- the simulation ----------------------------------------------------------------------

    def _run(self, asked: Callable[[], Awaitable[Any]]) -> Any:
        """Let the host's bench await something, and the simulator run until it has."""
        self._asked, limit = asked, self.cycle + LIMIT_CYCLES
        while not self._answer:
            self.simulator.advance()
            if self.cycle > limit:
                raise TooLong(f"not done after {LIMIT_CYCLES} cycles")
        return self._answer.pop()

    async def _serve(self, ctx: Any) -> None:
        self.host = SimulatedHost(ctx, self.tile, seed=1)
        while True:
            if self._asked is None:
                await ctx.tick()
                continue
            asked, self._asked = self._asked, None
            self._answer.append(await asked())

    async def _until(self, condition: Callable[[], Any]) -> None:
        while not condition():
            await self.host.ctx.tick()

    async def _pins(self, ctx: Any) -> None:
        tile = self.tile
        while True:
            answer = self.macro.cycle(Pins(*(ctx.get(getattr(tile.pins, name)) for name in NAMES)))
            await ctx.tick()
            ctx.set(tile.ready, answer.ready)
            ctx.set(tile.convert_valid, answer.convert_valid)
            ctx.set(tile.convert_codes, answer.convert_codes)

    async def _sender(self, ctx: Any) -> None:
        port = self.tile.s_axis
        while True:
            while self.host is None or not self.host.outgoing:
                await ctx.tick()
            destination, count, part, last = self.host.outgoing[0]
            ctx.set(port.tdata, int.from_bytes(part, "little"))
            ctx.set(port.tkeep, (1 << count) - 1)
            ctx.set(port.tlast, last)
            ctx.set(port.tdest, destination)
            ctx.set(port.tvalid, 1)
            await ctx.tick().until(port.tready)
            ctx.set(port.tvalid, 0)
            self.host.outgoing.pop(0)

    async def _receiver(self, ctx: Any) -> None:
        port, packet = self.tile.m_axis, b""
        ctx.set(port.tready, 1)
        while True:
            _, _, valid, data, keep, last, destination = await ctx.tick().sample(
                port.tvalid, port.tdata, port.tkeep, port.tlast, port.tdest
            )
            if valid:
                whole = int(data).to_bytes(self.spec.host.axis_bytes, "little")
                packet += whole[: int(keep).bit_count()]
                if last:
                    self.host.incoming.append((int(destination), packet))
                    packet = b""

    async def _watch(self, ctx: Any) -> None:
        signals = tuple(self.watched.values())
        while True:
            _, _, *values = await ctx.tick().sample(*signals)
            self.trace.append(tuple(int(value) for value in values))
            self.cycle += 1
