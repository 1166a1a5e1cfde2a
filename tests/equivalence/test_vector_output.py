"""rtl/vector_output.py against golden/digital/vector_output.py."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.digital import vector_output
from golden.digital.axi_stream import Beat, packet_beats, packet_bytes
from rtl.converter import CODE_BITS
from rtl.vector_output import FIRST_BEAT, VectorOutput
from spec.commands import VectorFormat
from spec.formats import Signed
from spec.tile import COLUMN_SHIFT, ConverterSpec, HostSpec, TileSpec
from tests.equivalence.bench import simulate


def tile(codes: int, axis_bytes: int, lanes: int, backward_bits: int = 9) -> TileSpec:
    converters = replace(ConverterSpec(), lanes=lanes, backward_bits=backward_bits)
    return TileSpec(
        rows=codes, columns=1, converters=converters, host=HostSpec(axis_bytes=axis_bytes)
    )


@dataclass(frozen=True)
class Vector:
    """One vector of results, and where it goes. `drop`: cycles from `finish` to a drop."""

    codes: tuple[int, ...]
    format: VectorFormat
    destination: int
    shift: int = 0
    drop: int | None = None


class Sender:
    """A block, somebody who writes vectors into it, and a receiver who checks the pins' rules."""

    def __init__(self, spec: TileSpec, seed: int, stalling: float = 0.3) -> None:
        self.spec, self.block = spec, VectorOutput(spec)
        self.random, self.stalling = random.Random(seed), stalling
        self.beats: list[Beat] = []
        self.offered, self.finished = [], []
        self.cycle, self.writing = 0, True

    async def write(self, ctx, vector: Vector) -> None:
        """Groups in any order, what is beyond the last code random; then `finish`."""
        block, lanes = self.block, self.spec.converters.lanes
        while not ctx.get(block.free):
            await ctx.tick()
        groups = list(range(0, len(vector.codes), lanes))
        self.random.shuffle(groups)
        ctx.set(block.backward_shift, vector.shift)
        ctx.set(
            block.packet,
            {
                "count": len(vector.codes),
                "format": vector.format,
                "destination": vector.destination,
            },
        )
        for first in groups:
            part = [self.random.getrandbits(CODE_BITS) for _ in range(lanes)]
            for lane, code in enumerate(vector.codes[first : first + lanes]):
                part[lane] = code & ((1 << CODE_BITS) - 1)
            ctx.set(block.group, first // lanes)
            ctx.set(block.codes, sum(code << (CODE_BITS * lane) for lane, code in enumerate(part)))
            ctx.set(block.write, 1)
            if first == groups[-1] and self.random.random() < 0.5:
                break
            await ctx.tick()
            ctx.set(block.write, 0)
        ctx.set(block.finish, 1)
        await ctx.tick()
        self.finished.append(self.cycle)
        ctx.set(block.finish, 0)
        ctx.set(block.write, 0)
        if vector.drop is not None:
            for wait in [vector.drop, 0, 1][: self.random.randint(1, 3)]:
                for _ in range(wait):
                    await ctx.tick()
                ctx.set(block.drop, 1)
                await ctx.tick()
                ctx.set(block.drop, 0)

    def writes(self, vectors: Sequence[Vector]):
        async def bench(ctx) -> None:
            for vector in vectors:
                await self.write(ctx, vector)
            quiet = 0
            while quiet < 40:
                quiet = 0 if ctx.get(self.block.o.tvalid) or not ctx.get(self.block.free) else quiet
                await ctx.tick()
                quiet += 1
            self.writing = False

        return bench

    async def receives(self, ctx: Any) -> None:
        port, waiting = self.block.o, None
        size = self.spec.host.axis_bytes
        while self.writing:
            ctx.set(port.tready, self.random.random() >= self.stalling)
            _, _, valid, ready, tdata, keep, last, to, free, stalled = await ctx.tick().sample(
                port.tvalid, port.tready, port.tdata, port.tkeep, port.tlast, port.tdest,
                self.block.free, self.block.stalled,
            )  # fmt: skip
            self.cycle += 1
            assert not (valid and free), "room beside a beat that nobody has taken"
            assert stalled == (valid and not ready)
            beat = Beat(tdata.to_bytes(size, "little"), keep, bool(last), to) if valid else None
            assert waiting in (None, beat), f"{waiting} became {beat}"
            if valid and not waiting:
                self.offered.append(self.cycle)
            waiting = beat if not ready else None
            if beat and ready:
                self.beats.append(beat)

    def run(self, vectors: Sequence[Vector]) -> None:
        simulate(self.block, self.receives, self.writes(vectors))


def blank(beat: Beat) -> Beat:
    """The bytes that are not kept say nothing."""
    kept = "".join(str((beat.keep >> place) & 1) for place in range(len(beat.data)))
    data = bytes(byte * int(bit) for byte, bit in zip(beat.data, kept, strict=True))
    return replace(beat, data=data)


def rtl_beats(
    spec: TileSpec, vectors: Sequence[Vector], seed: int, stalling: float = 0.3
) -> list[Beat]:
    sender = Sender(spec, seed, stalling)
    sender.run(vectors)
    return [blank(beat) for beat in sender.beats]


def golden_packet(spec: TileSpec, vector: Vector) -> list[Beat]:
    if not vector.codes:
        return []
    codes = np.array(vector.codes)
    packet = vector_output.encoded(spec, codes, vector.format, vector.shift)
    return packet_beats(packet, vector.destination, spec.host.axis_bytes)


def golden_beats(spec: TileSpec, vectors: Sequence[Vector], seed: int) -> list[Beat]:
    return [beat for vector in vectors for beat in golden_packet(spec, vector)]


def random_vector(rng: random.Random, spec: TileSpec) -> Vector:
    vector_format = rng.choice(list(VectorFormat))
    code = {
        VectorFormat.RAW: Signed(CODE_BITS),
        VectorFormat.ROW_CODES: spec.forward_code,
        VectorFormat.COLUMN_CODES: spec.backward_code,
    }[vector_format]
    count = rng.choice([0, 1, spec.rows, rng.randint(1, spec.rows), rng.randint(1, spec.rows)])
    codes = tuple(
        rng.choice([code.low, code.high, rng.randint(-4, 4), rng.randint(code.low, code.high)])
        for _ in range(count)
    )
    shift = rng.choice([rng.randint(-3, 5), rng.randint(COLUMN_SHIFT.low, COLUMN_SHIFT.high)])
    return Vector(codes, vector_format, rng.randint(0, 3), shift)


SIZES = [
    (1, 2, 1),
    (7, 2, 8),
    (13, 4, 1),
    (16, 8, 8),
    (21, 8, 2),
    (33, 4, 16),
    (70, 16, 4),
]


@pytest.mark.parametrize(("codes", "axis_bytes", "lanes"), SIZES)
@settings(max_examples=3, deadline=None)
@given(st.integers(4, 14), st.integers(0, 2**32 - 1))
def test_packets(codes: int, axis_bytes: int, lanes: int, backward_bits: int, seed: int) -> None:
    rng = random.Random(seed)
    spec = tile(codes, axis_bytes, lanes, backward_bits)
    case = spec, [random_vector(rng, spec) for _ in range(5)], seed
    assert rtl_beats(*case) == golden_beats(*case)


def test_every_count() -> None:
    for axis_bytes, lanes in ((4, 2), (2, 4)):
        spec = tile(2 * axis_bytes + 3, axis_bytes, lanes)
        vectors = [
            Vector(tuple(range(1, count + 1)), vector_format, 1)
            for count in range(spec.rows + 1)
            for vector_format in VectorFormat
        ]
        case = spec, vectors, 1
        assert rtl_beats(*case) == golden_beats(*case)


@pytest.mark.parametrize(("axis_bytes", "lanes"), [(2, 1), (8, 1), (8, 8), (4, 16)])
def test_a_beat_a_cycle(axis_bytes: int, lanes: int) -> None:
    """To a receiver who is always ready, however narrow the side that writes."""
    spec = tile(40, axis_bytes, lanes)
    for vector_format in VectorFormat:
        sender = Sender(spec, 1, stalling=0)
        sender.run([Vector(tuple(range(40)), vector_format, 0)])
        assert sender.offered[0] - sender.finished[0] <= FIRST_BEAT
        steps = range(sender.offered[0], sender.offered[0] + len(sender.beats))
        assert sender.offered == list(steps)


def rtl_dropped(spec: TileSpec, vectors: Sequence[Vector], seed: int) -> list[list[Beat]]:
    """The beats of each packet that was begun; an empty beat is the end of a dropped one."""
    packets: list[list[Beat]] = [[]]
    # So slow that the next vector may be written before the end of the dropped packet is taken.
    for beat in rtl_beats(spec, vectors, seed, stalling=0.8):
        packets[-1].append(beat)
        if beat.last:
            packets.append([])
    assert packets.pop() == [], "a packet without an end"
    return packets


def golden_dropped(spec: TileSpec, vectors: Sequence[Vector], found: Sequence[list[Beat]]):
    """What the packets `found` should be: how far a dropped one came is the receiver's doing."""
    expected, packets = [], list(found)
    for vector in vectors:
        whole = golden_packet(spec, vector)
        if vector.drop is not None:
            dropped = packets[len(expected)] if len(expected) < len(packets) else []
            if not dropped or dropped[0].destination != vector.destination:
                continue
            if dropped != whole:
                end = Beat(bytes(spec.host.axis_bytes), 0, True, vector.destination)
                whole = [*whole[: len(dropped) - 1], end]
        expected.append(whole)
    return expected


@pytest.mark.parametrize(("codes", "axis_bytes", "lanes"), SIZES)
@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_drop_ends_the_packet(codes: int, axis_bytes: int, lanes: int, seed: int) -> None:
    """The vectors around it come whole; of its own packet the beginning, which looks short."""
    rng = random.Random(seed)
    spec = tile(codes, axis_bytes, lanes)
    vectors = []
    for destination in range(8):
        drop = rng.choice([0, 1, 2, 3, 4, 5, 8, 12, 20]) if destination % 2 else None
        vector = random_vector(rng, spec)
        codes_of_it = vector.codes or (1,)
        vectors.append(replace(vector, codes=codes_of_it, destination=destination % 4, drop=drop))
    found = rtl_dropped(spec, vectors, seed)
    assert found == golden_dropped(spec, vectors, found)


@pytest.mark.parametrize("drop", range(12))
def test_a_dropped_packet_is_short(drop: int) -> None:
    """Eight beats to a receiver who is always ready: as many as were on offer before the drop."""
    spec = tile(16, 4, 4)
    sender = Sender(spec, 1, stalling=0)
    sender.run([Vector(tuple(range(16)), VectorFormat.RAW, 0, drop=drop)])
    offered = min(8, max(0, drop + 2 - FIRST_BEAT))
    keeps = [beat.keep for beat in sender.beats]
    assert keeps == [15] * offered + [0] * (0 < offered < 8)
    packet = packet_bytes(sender.beats)
    assert packet is not None
    assert len(packet) == 4 * offered


def test_codes_survive_the_way() -> None:
    spec = tile(9, 4, 4)
    codes = np.array([-256, -3, -1, 0, 1, 2, 77, 254, 255])
    raw = vector_output.encoded(spec, codes, VectorFormat.RAW, 0)
    assert vector_output.decoded(raw, VectorFormat.RAW).tolist() == codes.tolist()
    rows = vector_output.encoded(spec, codes, VectorFormat.ROW_CODES, 0)
    assert vector_output.decoded(rows, VectorFormat.ROW_CODES).tolist() == [
        0, 0, 0, 0, 1, 2, 77, 254, 255,
    ]  # fmt: skip
    columns = vector_output.encoded(spec, codes, VectorFormat.COLUMN_CODES, 1)
    assert vector_output.decoded(columns, VectorFormat.COLUMN_CODES).tolist() == [
        -127, -2, 0, 0, 0, 1, 38, 127, 127,
    ]  # fmt: skip
