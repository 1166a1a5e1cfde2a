"""The host's side of a tile, by the masters of cocotbext-axi: all that is known of them is here.

Every channel pauses at random, in both directions.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

# It is written for cocotb 1, and would fill the log before it says anything else.
warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"cocotbext\.")

from cocotbext.axi import (  # noqa: E402
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from golden.digital.axi_stream import Beat  # noqa: E402
from spec.registers import WORD_BYTES  # noqa: E402

INPUT_CYCLES = 5
"""From the last beat of a packet to the tile having it."""


class AxiHost:
    """AXI4-Lite and both streams of the design `dut`, under the names of its ports.

    `stalling` is the share of cycles in which a channel is held back. Make it in reset; `fresh`
    forgets what was before.
    """

    def __init__(self, dut: Any, settle_cycles: int) -> None:
        """`settle_cycles` is how long a result may be on its way out."""
        self.dut, self.settle_cycles = dut, settle_cycles
        ports = dut.aclk, dut.aresetn, False
        self.master: Any = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), *ports)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), *ports)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), *ports)
        writes, reads = self.master.write_if, self.master.read_if
        self.channels: list[Any] = [
            writes.aw_channel, writes.w_channel, writes.b_channel,
            reads.ar_channel, reads.r_channel, self.source, self.sink,
        ]  # fmt: skip
        self.fresh(0, 0.0)
        cocotb.start_soon(self._pause())

    def fresh(self, seed: int, stalling: float) -> None:
        """Forget all packets, and draw the pauses from a new stream."""
        self.random, self.stalling = random.Random(seed), stalling
        self.packets: list[tuple[int, bytes]] = []
        self.takes, self.holds = True, False
        self.source.clear()
        self.sink.clear()

    async def _pause(self) -> None:
        edge = RisingEdge(self.dut.aclk)
        while True:
            for channel in self.channels:
                pause = self.random.random() < self.stalling
                if channel is not self.source or not self.holds:
                    channel.pause = pause
            self.sink.pause = self.sink.pause or not self.takes
            await edge

    async def write(self, address: int, word: int) -> int:
        """An AXI4-Lite write of a word; its response."""
        return await self.write_bytes(address, word.to_bytes(WORD_BYTES, "little"))

    async def write_bytes(self, address: int, values: bytes) -> int:
        """A write of some bytes; the response, or the last bad one where it takes two words."""
        done: Any = await self.master.write(address, values)
        return int(done.resp)

    async def read(self, address: int) -> tuple[int, int]:
        """An AXI4-Lite read of a word: the word, and its response."""
        values, response = await self.read_bytes(address, WORD_BYTES)
        return int.from_bytes(values, "little"), response

    async def read_bytes(self, address: int, count: int) -> tuple[bytes, int]:
        """A read of some bytes: what came, and the response as of `write_bytes`."""
        found: Any = await self.master.read(address, count)
        return bytes(found.data), int(found.resp)

    async def send(self, destination: int, packet: bytes) -> None:
        """Offer a packet; returns at once."""
        self.source.send_nowait(AxiStreamFrame(packet, tdest=int(destination)))

    def offer(self, beats: Sequence[Beat], held: bool = False) -> None:
        """Offer a packet of any beats; returns at once. `held`: it waits for `one_beat`."""
        self.holds = held
        self.source.pause = self.source.pause or held
        lanes = range(len(beats[0].data))
        self.source.send_nowait(
            AxiStreamFrame(
                b"".join(beat.data for beat in beats),
                tkeep=[beat.keep >> lane & 1 for beat in beats for lane in lanes],
                tdest=[beat.destination for beat in beats for _ in lanes],
            )
        )

    async def one_beat(self) -> None:
        """Give a beat of what is held, and wait until it has been taken.

        What comes behind it waits until `holds` is False again.
        """
        dut, between_edges = self.dut, FallingEdge(self.dut.aclk)
        await between_edges
        self.source.pause = False
        await between_edges
        self.source.pause = True
        while not (int(dut.s_axis_tvalid.value) and int(dut.s_axis_tready.value)):
            await between_edges
        await RisingEdge(dut.aclk)

    async def sent(self) -> None:
        """Wait until all packets offered have been taken."""
        await self.source.wait()
        await ClockCycles(self.dut.aclk, INPUT_CYCLES)

    async def interrupt(self) -> None:
        """Wait until irq is high."""
        if not int(self.dut.irq.value):
            await RisingEdge(self.dut.irq)

    async def wait(self, cycles: int) -> None:
        """Let cycles pass."""
        if cycles:
            await ClockCycles(self.dut.aclk, cycles)

    def take(self, takes: bool) -> None:
        """Whether results are taken from now on."""
        self.takes = takes

    async def settle(self) -> None:
        """Wait until nothing is on its way out."""
        await ClockCycles(self.dut.aclk, self.settle_cycles)
        while not (self.sink.idle() and not int(self.dut.m_axis_tvalid.value)):
            await RisingEdge(self.dut.aclk)

    async def safe(self, bit: int) -> None:
        """Drive the pin analog_safe, and wait until the tile sees it behind its synchronisers."""
        self.dut.analog_safe.value = bit
        await ClockCycles(self.dut.aclk, INPUT_CYCLES)

    def received(self) -> list[tuple[int, bytes]]:
        """All packets that came out, with their destinations."""
        while not self.sink.empty():
            frame = self.sink.recv_nowait(compact=False)
            kept = bytes(frame.tkeep)
            assert kept == bytes([1]) * sum(kept) + bytes(len(kept) - sum(kept)), "tkeep has a hole"
            (destination,) = set(frame.tdest)
            self.packets.append((destination, bytes(frame.tdata[: sum(kept)])))
        return self.packets
