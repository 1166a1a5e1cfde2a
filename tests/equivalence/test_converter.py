"""rtl/converter.py against golden/digital/converter.py."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Elaboratable, Module
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.digital import converter, neuron
from rtl.converter import CONVERSION_CYCLES, LATENCY, Converter, Dither, Use, raw_bits
from spec.tile import ConverterSpec, TileSpec
from tests.equivalence.bench import simulate

few = settings(max_examples=15, deadline=None)


def rtl_dither(bits: int, count: int) -> list[int]:
    block, found = Dither(bits), []

    async def bench(ctx) -> None:
        ctx.set(block.next, 1)
        for _ in range(count):
            found.append(ctx.get(block.value))
            await ctx.tick()

    simulate(block, bench)
    return found


def golden_dither(bits: int, count: int) -> list[int]:
    dither = converter.Dither(bits)
    return [dither.next() for _ in range(count)]


def test_dither() -> None:
    for bits in (0, 1, 6):
        assert rtl_dither(bits, 70) == golden_dither(bits, 70)


@dataclass
class Case:
    """Sets of conversions: what each is for, and its raw codes (repeats, channels)."""

    spec: TileSpec
    enabled: np.ndarray
    sets: list[tuple[Use, np.ndarray]]
    seed: int


class Bench(Elaboratable):
    """The converter with its dithers."""

    def __init__(self, spec: TileSpec) -> None:
        self.converter = Converter(spec)
        self.dithers = [Dither(spec.converters.calibration_log2) for _ in range(2)]

    def elaborate(self, platform) -> Module:
        m = Module()
        block, (forward, backward) = self.converter, self.dithers
        m.submodules.converter = block
        m.submodules.forward, m.submodules.backward = forward, backward
        done = block.o_valid & block.o_last
        m.d.comb += [
            block.forward_dither.eq(forward.value),
            block.backward_dither.eq(backward.value),
            forward.next.eq(done & (block.o_use == Use.FORWARD)),
            backward.next.eq(done & (block.o_use == Use.BACKWARD)),
        ]
        return m


def packed(values, bits: int) -> int:
    return sum(
        (int(value) & ((1 << bits) - 1)) << (bits * lane) for lane, value in enumerate(values)
    )


def signed_field(word: int, lane: int, bits: int) -> int:
    value = (word >> (lane * bits)) & ((1 << bits) - 1)
    return value - (1 << bits) if value >> (bits - 1) else value


def rtl_conversions(case: Case):
    """Per vector its use and codes; rails; slopes of FORWARDs; the offsets at the end."""
    spec, lanes, stalls = case.spec, case.spec.converters.lanes, random.Random(case.seed)
    top, out, rails, slopes, offsets = Bench(spec), [], [0], [], []
    block, done, ending = top.converter, [], [0]

    async def feed(ctx) -> None:
        ctx.set(block.column_enable, packed(case.enabled, 1))
        for use, conversions in case.sets:
            ctx.set(block.use, use)
            ctx.set(block.start, 1)
            await ctx.tick()
            ctx.set(block.start, 0)
            await ctx.tick().repeat(CONVERSION_CYCLES - 2)
            for place, raw in enumerate(conversions):
                count = -(-len(raw) // lanes)
                ctx.set(block.conversion_last, place == len(conversions) - 1)
                for group in range(count):
                    while stalls.random() < 0.3:
                        await ctx.tick()
                    # What is beyond the last line is ignored: a rail shows it.
                    padded = np.append(raw, [spec.backward_code.low] * lanes)
                    part = padded[group * lanes : (group + 1) * lanes]
                    ctx.set(block.raw, packed(part, raw_bits(spec)))
                    ctx.set(block.group, group)
                    ctx.set(block.last, group == count - 1)
                    ctx.set(block.beat, 1)
                    await ctx.tick()
                    ctx.set(block.beat, 0)
                # The handshake with the macro leaves at least this between two conversions; the
                # next set begins at once where it waits for no codes of this one.
                if place < len(conversions) - 1:
                    await ctx.tick().repeat(CONVERSION_CYCLES - 1)
                elif use in (Use.FORWARD, Use.BACKWARD, Use.READ):
                    await ctx.tick().repeat(LATENCY)
        for window, count in (
            (block.forward_window, spec.columns),
            (block.backward_window, spec.rows),
        ):
            ctx.set(window.use, 1)
            for index in range(count):
                ctx.set(window.index, index)
                await ctx.tick().repeat(3)
                offsets.append(signed_field(ctx.get(window.value), 0, len(window.value)))
        done.append(True)

    async def watch(ctx) -> None:
        while not done:
            _, _, valid, use, last, codes, slope, railed, ends = await ctx.tick().sample(
                block.o_valid,
                block.o_use,
                block.o_last,
                block.o_codes,
                block.o_slopes,
                block.o_rails,
                block.o_ends,
            )
            assert ending[0] == (valid and last), "the end is announced a cycle before"
            ending[0] = ends
            if valid:
                out.append((use, last, [signed_field(codes, lane, 16) for lane in range(lanes)]))
                rails[0] += railed if last else 0
                if use == Use.FORWARD:
                    slopes.extend((slope >> lane) & 1 for lane in range(lanes))

    simulate(top, feed, watch)
    return vectors(out, spec), rails[0], slopes_of(slopes, spec), offsets


def vectors(out, spec: TileSpec) -> list[tuple[Use, list[int]]]:
    found, codes = [], []
    for use, last, group in out:
        codes += group
        if last:
            count = spec.rows if use == Use.BACKWARD else spec.columns
            found.append((Use(use), codes[:count]))
            codes = []
    return found


def slopes_of(slopes: list[int], spec: TileSpec) -> list[int]:
    padded = -(-spec.columns // spec.converters.lanes) * spec.converters.lanes
    return [s for place, s in enumerate(slopes) if place % padded < spec.columns]


def golden_conversions(case: Case):
    spec, enabled = case.spec, case.enabled
    bits, average = spec.converters.calibration_log2, spec.converters.read_average_log2
    dithers = [converter.Dither(bits), converter.Dither(bits)]
    offsets = [np.zeros(spec.columns, int), np.zeros(spec.rows, int)]
    zero = np.zeros(spec.columns, int)
    found, rails, slopes = [], 0, []
    for use, raw in case.sets:
        if use == Use.AUTO_ZERO_COLUMNS:
            offsets[0] = converter.auto_zero(np.where(enabled, raw, 0))
        elif use == Use.AUTO_ZERO_ROWS:
            offsets[1] = converter.auto_zero(raw)
        elif use == Use.READ_ZERO:
            zero = np.where(enabled, raw, 0).sum(axis=0)
        elif use == Use.READ:
            codes = converter.read_code(np.where(enabled, raw, 0), zero, average, spec.weight_code)
            found.append((use, np.where(enabled, codes, 0).tolist()))
        else:
            forward = use == Use.FORWARD
            code = spec.forward_code if forward else spec.backward_code
            values = np.where(enabled, raw[0], 0) if forward else raw[0]
            rails += converter.at_rail(values, code)
            dither = dithers[0 if forward else 1].next()
            codes = converter.corrected(values, offsets[0 if forward else 1], bits, dither, code)
            if forward:
                codes = np.where(enabled, codes, 0)
                slopes += neuron.derivative(codes, code).astype(int).tolist()
            found.append((use, codes.tolist()))
    return found, rails, slopes, [*offsets[0].tolist(), *offsets[1].tolist()]


@st.composite
def cases(draw) -> Case:
    converters = ConverterSpec(
        forward_bits=draw(st.integers(4, 14)),
        backward_bits=draw(st.integers(4, 14)),
        read_bits=draw(st.integers(11, 15)),
        read_average_log2=draw(st.integers(0, 3)),
        calibration_log2=draw(st.integers(0, 3)),
        lanes=draw(st.sampled_from([1, 2, 4, 8])),
    )
    spec = TileSpec(
        rows=draw(st.integers(1, 11)), columns=draw(st.integers(1, 11)), converters=converters
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bits, average = converters.calibration_log2, converters.read_average_log2
    kinds = [
        (Use.AUTO_ZERO_COLUMNS, bits, spec.forward_code, spec.columns),
        (Use.AUTO_ZERO_ROWS, bits, spec.backward_code, spec.rows),
        (Use.READ_ZERO, average, spec.weight_code, spec.columns),
        (Use.READ, average, spec.weight_code, spec.columns),
        (Use.FORWARD, 0, spec.forward_code, spec.columns),
        (Use.BACKWARD, 0, spec.backward_code, spec.rows),
    ]
    order = [0, 1, 2, *draw(st.lists(st.integers(2, 5), min_size=4, max_size=8)), 3, 4, 5]
    enabled = rng.random(spec.columns) < draw(st.sampled_from([0.5, 1.0]))
    sets = []
    for place in order:
        use, repeats_log2, code, channels = kinds[place]
        shape = 1 << repeats_log2, channels
        raw = rng.integers(code.low, code.high + 1, shape)
        near = rng.integers(-3, 4, shape)
        rail = rng.choice([code.low, code.high], shape)
        raw = np.choose(rng.integers(0, 3, shape), [raw, near, rail])
        sets.append((use, raw))
    return Case(spec, enabled, sets, draw(st.integers(0, 99)))


@few
@given(cases())
def test_conversions(case: Case) -> None:
    assert rtl_conversions(case) == golden_conversions(case)
