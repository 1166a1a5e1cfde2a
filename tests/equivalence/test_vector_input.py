"""rtl/vector_input.py against golden/digital/vector_input.py."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.digital import vector_input
from golden.digital.axi_stream import Beat, packet_beats
from rtl.vector_input import VectorInput
from spec.commands import Destination, Error
from spec.tile import CodeSpec, ConverterSpec, HostSpec, TileSpec
from tests.equivalence.bench import STALLING, simulate

Packet = list[Beat]
SETTLED_CYCLES = 30
"""More than a packet of these tests needs to its answer, once it is let in."""


def tile(
    rows: int, columns: int, axis_bytes: int = 4, pwm_bits: int = 5, column_bits: int = 4
) -> TileSpec:
    return TileSpec(
        rows=rows,
        columns=columns,
        codes=CodeSpec(pwm_bits=pwm_bits, column_bits=column_bits),
        converters=replace(ConverterSpec(), read_bits=9),
        host=HostSpec(axis_bytes=axis_bytes),
    )


def lanes_of(value: int, bits: int, lanes: int) -> list[int]:
    return [(value >> (bits * lane)) & ((1 << bits) - 1) for lane in range(lanes)]


class Tile:
    """The tile around a block: shadows, somebody who takes vectors and weights, and a record.

    `answers`: a packet each, (destination, error, codes). The codes of a vector are those of its
    shadow when it is taken, which may be long after it began to wait.
    """

    def __init__(self, spec: TileSpec, seed: int, taking: bool = True) -> None:
        self.spec, self.block = spec, VectorInput(spec)
        self.stalls, self.taking = random.Random(seed), taking
        self.answers: list[list[Any]] = []
        self.rows, self.columns = [0] * spec.rows, [0] * spec.columns
        self.sending, self.expected = True, 0

    def stalled(self) -> bool:
        return self.stalls.random() < STALLING

    async def put(self, ctx, beat: Beat) -> None:
        """Offer a beat until it is taken; `drop` may be set beforehand."""
        port = self.block.i
        ctx.set(port.tdata, int.from_bytes(beat.data, "little"))
        ctx.set(port.tkeep, beat.keep)
        ctx.set(port.tlast, beat.last)
        ctx.set(port.tdest, beat.destination)
        ctx.set(port.tvalid, 1)
        await ctx.tick().until(port.tready)
        ctx.set(port.tvalid, 0)

    def sends(self, packets: list[Packet]):
        """Sends packets and waits for an answer each, and whether there is one too many."""

        async def bench(ctx) -> None:
            self.expected += len(packets)
            for packet in packets:
                for beat in packet:
                    while self.stalled():
                        await ctx.tick()
                    await self.put(ctx, beat)
            while self.answered < self.expected:
                await ctx.tick()
            for _ in range(SETTLED_CYCLES):
                await ctx.tick()
            self.sending = False

        return bench

    @property
    def answered(self) -> int:
        return sum(answer[2] is not None for answer in self.answers)

    def writes(self, ctx, name: str, shadow: list[int], bits: int, signed: bool) -> None:
        block, lanes = self.block, self.spec.host.axis_bytes
        if ctx.get(getattr(block, f"{name}_write")):
            first = lanes * ctx.get(getattr(block, f"{name}_group"))
            codes = lanes_of(ctx.get(getattr(block, f"{name}_codes")), bits, lanes)
            for line, code in enumerate(codes, first):
                magnitude = code & ((1 << (bits - 1)) - 1)
                assert not signed or code == magnitude or magnitude, "zero has one code"
                if line < len(shadow):
                    shadow[line] = -magnitude if signed and code != magnitude else code

    def shadows(self):
        block, spec = self.block, self.spec

        async def bench(ctx) -> None:
            while self.sending:
                self.writes(ctx, "row", self.rows, spec.row_code.bits, False)
                self.writes(ctx, "column", self.columns, 1 + spec.column_code.bits, True)
                code = ctx.get(block.error.code)
                if code:
                    to = ctx.get(block.error.destination)
                    self.answers.append([to, Error(code), ()])
                await ctx.tick()

        return bench

    def takes(self, name: str, to: Destination, shadow: list[int], count: int):
        flag, take = getattr(self.block, f"{name}_waiting"), getattr(self.block, f"{name}_take")

        async def bench(ctx) -> None:
            while self.sending:
                await ctx.tick()
                if ctx.get(flag):
                    answer = [to, Error.NONE, None]
                    self.answers.append(answer)
                    while self.stalls.random() < 0.9 or not self.taking:
                        await ctx.tick()
                        if not ctx.get(flag):
                            break
                    answer[2] = tuple(shadow[:count])
                    ctx.set(take, 1)
                    await ctx.tick()
                    ctx.set(take, 0)
                    assert not ctx.get(flag), "taken, and still waiting"

        return bench

    def weighs(self):
        block = self.block

        async def bench(ctx) -> None:
            while self.sending:
                while self.stalls.random() < 0.9 and self.sending:
                    assert not ctx.get(block.weights.valid), "weights behind a closed door"
                    await ctx.tick()
                ctx.set(block.weights_open, 1)
                found: list[tuple[int, int]] = []
                while self.sending:
                    ctx.set(block.weights.ready, not self.stalled())
                    _, _, valid, ready, weight, done, error, drop = await ctx.tick().sample(
                        block.weights.valid,
                        block.weights.ready,
                        block.weights.payload,
                        block.weights_done,
                        block.error.code,
                        block.drop,
                    )
                    if valid and ready:
                        found.append((int(weight.column), int(weight.code)))
                    if drop:
                        found.clear()
                    if done:
                        assert [column for column, _ in found] == list(range(len(found)))
                        if not error:
                            codes = tuple(code for _, code in found)
                            self.answers.append([Destination.WEIGHTS, Error.NONE, codes])
                        break
                ctx.set(block.weights_open, 0)
                ctx.set(block.weights.ready, 0)

        return bench

    def run(self, *senders) -> list[tuple[int, Error, tuple[int, ...]]]:
        rows = self.takes("rows", Destination.ROWS, self.rows, self.spec.rows - 1)
        columns = self.takes("columns", Destination.COLUMNS, self.columns, self.spec.columns)
        simulate(self.block, *senders, self.shadows(), rows, columns, self.weighs())
        return [tuple(answer) for answer in self.answers]


def rtl_answers(spec: TileSpec, packets: list[Packet], seed: int):
    tile = Tile(spec, seed)
    return tile.run(tile.sends(packets))


def golden_answers(spec: TileSpec, packets: list[Packet], seed: int):
    answers = []
    for packet in packets:
        error, codes = vector_input.received(spec, packet)
        answers.append((packet[0].destination, error, tuple(codes.tolist())))
    return answers


def littered(rng: random.Random, beat: Beat) -> Beat:
    """The same beat to whoever minds `keep`."""
    kept = [(beat.keep >> place) & 1 for place in range(len(beat.data))]
    data = [byte if bit else rng.randrange(256) for byte, bit in zip(beat.data, kept, strict=True)]
    return replace(beat, data=bytes(data))


def random_packet(rng: random.Random, spec: TileSpec) -> Packet:
    """Good, or with one thing wrong: length, a code, a byte left out, the destination."""
    to = rng.choice([Destination.ROWS, Destination.COLUMNS, Destination.WEIGHTS])
    length = vector_input.packet_length(spec, to) or 3
    size = spec.host.axis_bytes
    if to == Destination.WEIGHTS:
        packet = rng.randbytes(length)
    elif to == Destination.ROWS:
        packet = bytes(rng.randint(0, spec.row_code.high) for _ in range(length))
    else:
        magnitude = spec.column_code.high
        packet = bytes(
            rng.choice((0, 128)) + rng.choice((0, 1, rng.randint(0, magnitude), magnitude))
            for _ in range(length)
        )
    fault = rng.choice(["", "", "", "", "short", "long", "code", "gap", "to", "strays", "empty"])
    if fault == "short":
        packet = packet[: length - rng.choice([1, 2, size, rng.randint(1, length)])]
    elif fault == "long":
        packet += rng.randbytes(rng.choice([1, 2, size, rng.randint(1, 5 * size)]))
    elif fault == "code":
        place = rng.randrange(length)
        # With the widest codes these are good: every byte is.
        bad = min(255, spec.row_code.high + 1) if to == Destination.ROWS else 0x40
        packet = packet[:place] + bytes([bad]) + packet[place + 1 :]
    beats = packet_beats(packet, 3 if fault == "to" else to, size)
    place = rng.randrange(len(beats))
    if fault == "gap":
        keep = beats[place].keep & ~(1 << rng.randrange(size))
        beats[place] = replace(beats[place], keep=keep)
    elif fault == "strays" and place:
        beats[place] = replace(beats[place], destination=to ^ 1)
    elif fault == "empty":
        beats[-1] = replace(beats[-1], last=False)
        beats.append(Beat(bytes(size), 0, True, to))
    return [littered(rng, beat) for beat in beats]


SIZES = [
    (1, 1, 2),
    (2, 1, 2),
    (5, 3, 4),
    (9, 8, 4),  # row codes that just fill their beats
    (17, 8, 8),
    (18, 9, 8),
    (4, 5, 16),
]


@pytest.mark.parametrize(("rows", "columns", "axis_bytes"), SIZES)
@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_packets(rows: int, columns: int, axis_bytes: int, seed: int) -> None:
    rng = random.Random(seed)
    widths = rng.choice([(5, 4), (8, 7), (2, 2)])
    spec = tile(rows, columns, axis_bytes, *widths)
    case = spec, [random_packet(rng, spec) for _ in range(8)], seed
    assert rtl_answers(*case) == golden_answers(*case)


def test_every_length_is_judged() -> None:
    spec = tile(6, 4)
    packets = [packet_beats(bytes(length), to, 4) for to in range(3) for length in range(25)]
    case = spec, packets, 1
    assert rtl_answers(*case) == golden_answers(*case)


def test_codes_survive_the_way() -> None:
    """The host's words and the tile's are one language."""
    spec, rng = tile(9, 6), np.random.default_rng(3)
    formats = (
        (Destination.ROWS, spec.row_code, spec.rows - 1),
        (Destination.COLUMNS, spec.column_code, spec.columns),
        (Destination.WEIGHTS, spec.weight_code, spec.columns),
    )
    for to, code, count in formats:
        codes = rng.integers(code.low, code.high + 1, count)
        codes[:2] = code.low, code.high
        packet = packet_beats(vector_input.encoded(to, codes), to, spec.host.axis_bytes)
        error, found = vector_input.received(spec, packet)
        assert (error, found.tolist()) == (Error.NONE, codes.tolist())


def rtl_dropped(spec: TileSpec, packets: list[Packet], which: int, taken: int, late: int, seed):
    """A drop with the beat `taken` of packet `which`, or `late` cycles after it.

    Before that packet the block comes to rest.
    """
    tile = Tile(spec, seed)

    async def bench(ctx) -> None:
        await tile.sends(packets[:which])(ctx)
        tile.sending = True
        for count, beat in enumerate(packets[which], 1):
            if count == taken and late == 0:
                ctx.set(tile.block.drop, 1)
            await tile.put(ctx, beat)
            if count == taken:
                if late:
                    for _ in range(late - 1):
                        await ctx.tick()
                    ctx.set(tile.block.drop, 1)
                    await ctx.tick()
                ctx.set(tile.block.drop, 0)
        await tile.sends(packets[which + 1 :])(ctx)

    return tile.run(bench)


def golden_dropped(spec: TileSpec, packets: list[Packet], which: int, taken: int, late: int, seed):
    return golden_answers(spec, packets[:which] + packets[which + 1 :], seed)


@pytest.mark.parametrize(("rows", "columns", "axis_bytes"), SIZES[2:])
@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_drop_ends_one_packet(rows: int, columns: int, axis_bytes: int, seed: int) -> None:
    rng = random.Random(seed)
    spec = tile(rows, columns, axis_bytes)
    packets = [random_packet(rng, spec) for _ in range(6)]
    which, late = rng.randrange(6), rng.choice([0, 0, 1, 2, 3, 20])
    # After a whole packet a late drop finds nothing to end.
    beats = len(packets[which])
    taken = beats if beats == 1 else rng.randrange(1, beats + (late == 0))
    late = 0 if taken == beats else late
    case = spec, packets, which, taken, late, seed
    assert rtl_dropped(*case) == golden_dropped(*case)


def test_a_drop_between_packets_ends_none() -> None:
    spec = tile(5, 3)
    packets = [packet_beats(bytes([1, 2, 3, 4]), Destination.ROWS, 4)] * 2
    tile_around = Tile(spec, 1)

    async def bench(ctx) -> None:
        await tile_around.sends(packets[:1])(ctx)
        tile_around.sending = True
        ctx.set(tile_around.block.drop, 1)
        await ctx.tick()
        ctx.set(tile_around.block.drop, 0)
        await tile_around.sends(packets[1:])(ctx)

    assert tile_around.run(bench) == golden_answers(spec, packets, 1)


def test_a_drop_forgets_what_waits_and_what_is_held_back() -> None:
    """Two row packets wait, one of them at the port's buffer; the third one is whole and new."""
    spec = tile(5, 3)
    old = packet_beats(bytes([1, 2, 3, 4]), Destination.ROWS, 4)
    new = packet_beats(bytes([5, 6, 7, 8]), Destination.ROWS, 4)
    tile_around = Tile(spec, 1, taking=False)
    block = tile_around.block

    async def bench(ctx) -> None:
        for beat in old + old:
            await tile_around.put(ctx, beat)
        for _ in range(SETTLED_CYCLES):
            assert not ctx.get(block.row_write) or not ctx.get(block.rows_waiting)
            await ctx.tick()
        assert ctx.get(block.rows_waiting)
        ctx.set(block.drop, 1)
        await ctx.tick()
        ctx.set(block.drop, 0)
        for _ in range(SETTLED_CYCLES):
            assert not ctx.get(block.rows_waiting)
            await ctx.tick()
        tile_around.answers.clear()
        tile_around.taking = True
        await tile_around.sends([new])(ctx)

    assert tile_around.run(bench) == golden_answers(spec, [new], 1)


def test_silence_is_counted() -> None:
    """Silent are the cycles in which no beat is taken and no weight leaves: here all but those."""
    spec = tile(5, 6)
    around = Tile(spec, 1)
    block = around.block
    beats = packet_beats(bytes(12), Destination.WEIGHTS, 4)
    moved, busy = [], []

    async def send(ctx) -> None:
        ctx.set(block.weights_open, 1)
        for beat in beats:
            for _ in range(5):
                await ctx.tick()
            await around.put(ctx, beat)

    async def count(ctx) -> None:
        for cycle in range(80):
            ctx.set(block.weights.ready, cycle % 3 == 0)
            port, weights = block.i, block.weights
            _, _, *sampled, silent = await ctx.tick().sample(
                port.tvalid, port.tready, weights.valid, weights.ready, block.silent
            )
            moved.append(bool((sampled[0] and sampled[1]) or (sampled[2] and sampled[3])))
            busy.append(not silent)

    simulate(block, send, count)
    assert busy == moved
    # A beat and the weight before it may move together.
    assert 6 <= sum(busy) <= 9
