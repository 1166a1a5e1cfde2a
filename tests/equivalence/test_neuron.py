"""rtl/neuron.py against golden/digital/neuron.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.digital import neuron
from rtl.neuron import Activation, ColumnGain, segment_slope, slope
from rtl.neuron import Segments as SegmentsBlock
from spec.formats import Signed, SignMagnitude, Unsigned
from spec.segments import SLOPE, Segments, clipped_relu
from spec.tile import COLUMN_SHIFT, CodeSpec, ConverterSpec, TileSpec
from tests.equivalence.bench import simulate

few = settings(max_examples=15, deadline=None)


def settle(block, bench) -> None:
    """Run a bench on a block without registers."""
    simulator = Simulator(block)
    simulator.add_testbench(bench)
    simulator.run()


def beats_of(codes: list[int], lanes: int) -> list[list[int]]:
    codes = codes + [0] * (-len(codes) % lanes)
    return [codes[first : first + lanes] for first in range(0, len(codes), lanes)]


def rtl_activation(codes: list[int], code: Signed, row_code: Unsigned, lanes: int) -> list[int]:
    block, found = Activation(code, row_code, lanes), []

    async def bench(ctx) -> None:
        for beat in beats_of(codes, lanes):
            ctx.set(block.codes, beat)
            await ctx.delay(1e-9)
            found.extend(int(row) for row in ctx.get(block.row_codes))

    settle(block, bench)
    return found[: len(codes)]


def golden_activation(codes: list[int], code: Signed, row_code: Unsigned, lanes: int) -> list[int]:
    return neuron.activate(np.array(codes), code, row_code).tolist()


def codes_of(bits: int):
    return st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def edges_of(code: Signed) -> list[int]:
    near = [-4, -3, -2, -1, 0, 1, 2, 3, 4]
    return [code.low, code.low + 1, *near, code.high - 1, code.high]


@few
@given(st.data(), st.integers(4, 14), st.integers(2, 8), st.sampled_from([1, 2, 8]))
def test_activation(data, bits: int, row_bits: int, lanes: int) -> None:
    codes = edges_of(Signed(bits)) + data.draw(st.lists(codes_of(bits), max_size=30))
    case = codes, Signed(bits), Unsigned(row_bits), lanes
    assert rtl_activation(*case) == golden_activation(*case)


def rtl_slopes(codes: list[int], code: Signed) -> list[bool]:
    m, value, found = Module(), Signal(signed(code.bits)), []
    answer = Signal()
    m.d.comb += answer.eq(slope(value, code))

    async def bench(ctx) -> None:
        for item in codes:
            ctx.set(value, item)
            await ctx.delay(1e-9)
            found.append(bool(ctx.get(answer)))

    settle(m, bench)
    return found


def golden_slopes(codes: list[int], code: Signed) -> list[bool]:
    return neuron.derivative(np.array(codes), code).tolist()


@few
@given(st.integers(4, 14))
def test_slopes(bits: int) -> None:
    case = edges_of(Signed(bits)), Signed(bits)
    assert rtl_slopes(*case) == golden_slopes(*case)


def joined(words: tuple[int, ...], bits: int) -> int:
    return sum((word & ((1 << bits) - 1)) << (bits * place) for place, word in enumerate(words))


def rtl_segments(
    codes: list[int], code: Signed, row_code: Unsigned, table: Segments, lanes: int
) -> tuple[list[int], list[bool]]:
    log2 = len(table.bases).bit_length() - 1
    m, rows, passed = Module(), [], []
    m.submodules.block = block = SegmentsBlock(code, row_code, log2, lanes)
    passes, answers = Signal(len(table.passes)), Signal(lanes)
    for lane in range(lanes):
        m.d.comb += answers[lane].eq(segment_slope(block.codes[lane], code, passes))

    async def bench(ctx) -> None:
        ctx.set(block.move, 1)
        ctx.set(block.bases, joined(table.bases, row_code.bits))
        ctx.set(block.slopes, joined(table.slopes, SLOPE.bits))
        ctx.set(passes, joined(table.passes, 1))
        for beat in beats_of(codes, lanes):
            ctx.set(block.codes, beat)
            await ctx.tick().repeat(2)
            rows.extend(int(row) for row in ctx.get(block.row_codes))
            passed.extend(bool(ctx.get(answers) >> lane & 1) for lane in range(lanes))

    simulate(m, bench)
    return rows[: len(codes)], passed[: len(codes)]


def golden_segments(
    codes: list[int], code: Signed, row_code: Unsigned, table: Segments, lanes: int
) -> tuple[list[int], list[bool]]:
    found = np.array(codes)
    rows = neuron.activate_segments(found, code, row_code, table)
    return rows.tolist(), neuron.derivative_segments(found, code, table).tolist()


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(4, 14), st.integers(2, 8), st.sampled_from([1, 2, 8]))
def test_segments(data, bits: int, row_bits: int, lanes: int) -> None:
    code, row_code = Signed(bits), Unsigned(row_bits)
    count = 1 << data.draw(st.integers(1, min(6, bits - 1, row_bits + 1)))

    def words(low: int, high: int) -> tuple[int, ...]:
        word = st.one_of(st.integers(low, high), st.sampled_from([low, high]))
        return tuple(data.draw(st.lists(word, min_size=count, max_size=count)))

    table = Segments(words(0, row_code.high), words(SLOPE.low, SLOPE.high), words(0, 1))
    corners = [code.low + k * (1 << bits) // count for k in range(count)]
    near = [corner + by for corner in corners for by in (-1, 0, 1) if corner + by >= code.low]
    codes = edges_of(code) + near + data.draw(st.lists(codes_of(bits), max_size=30))
    case = codes, code, row_code, table, lanes
    assert rtl_segments(*case) == golden_segments(*case)


@pytest.mark.parametrize("segments", [2, 4, 8, 16])
@pytest.mark.parametrize("row_bits", [3, 4, 7, 8])
@pytest.mark.parametrize("bits", [5, 9, 14])
def test_the_table_at_first_is_the_clipped_relu(bits: int, row_bits: int, segments: int) -> None:
    code, row_code = Signed(bits), Unsigned(row_bits)
    codes = np.arange(code.low, code.high + 1)
    table = clipped_relu(code, row_code, segments)
    rows = neuron.activate_segments(codes, code, row_code, table)
    assert rows.tolist() == neuron.activate(codes, code, row_code).tolist()
    passed = neuron.derivative_segments(codes, code, table)
    assert passed.tolist() == neuron.derivative(codes, code).tolist()


def rtl_column_codes(
    errors: list[int], shift: int, code: Signed, column_code: SignMagnitude, lanes: int
) -> list[int]:
    block, found = ColumnGain(code, column_code, lanes), []

    async def bench(ctx) -> None:
        ctx.set(block.move, 1)
        ctx.set(block.scales, 1)
        ctx.set(block.shift, shift)
        await ctx.tick().repeat(2)
        for beat in beats_of(errors, lanes):
            ctx.set(block.codes, beat)
            await ctx.tick()
            # Until it moves again, nothing does.
            ctx.set(block.move, 0)
            ctx.set(block.codes, [0] * lanes)
            await ctx.tick()
            ctx.set(block.move, 1)
            for lane in range(lanes):
                byte = ctx.get(block.bytes[lane])
                magnitude = byte & 127
                assert magnitude or not byte, "zero has one code"
                found.append(-magnitude if byte >> 7 else magnitude)

    simulate(block, bench)
    return found[: len(errors)]


def golden_column_codes(
    errors: list[int], shift: int, code: Signed, column_code: SignMagnitude, lanes: int
) -> list[int]:
    return neuron.saturated_shift(np.array(errors), shift, column_code.high).tolist()


@settings(max_examples=40, deadline=None)
@given(
    st.data(),
    st.integers(4, 14),
    st.integers(COLUMN_SHIFT.low, COLUMN_SHIFT.high),
    st.integers(2, 7),
    st.sampled_from([1, 2, 8]),
)
def test_column_gain(data, bits: int, shift: int, column_bits: int, lanes: int) -> None:
    code = Signed(bits)
    errors = edges_of(code) + data.draw(st.lists(codes_of(bits), max_size=30))
    if 0 < shift < bits:
        half = 1 << (shift - 1)
        ties = [sign * half * odd for odd in (1, 3, 5, 7) for sign in (1, -1)]
        errors += [tie + off for tie in ties for off in (-1, 0, 1)]
        errors = [error for error in errors if code.low <= error <= code.high]
    case = errors, shift, code, SignMagnitude(column_bits), lanes
    assert rtl_column_codes(*case) == golden_column_codes(*case)


def test_every_shift_of_two_tiles_fits_its_register() -> None:
    shifts = [
        neuron.column_shift(
            TileSpec(rows=3, columns=2, codes=CodeSpec(column_bits=bits), column_gain_log2=gain),
            TileSpec(
                converters=replace(
                    ConverterSpec(), backward_bits=width, backward_range_log2=range_log2
                )
            ),
        )
        for bits in (2, 7)
        for gain in (-4, 4)
        for width in (4, 14)
        for range_log2 in (-6, 4)
    ]
    assert (min(shifts), max(shifts)) == (-12, 21)
    assert COLUMN_SHIFT.low <= min(shifts)
    assert max(shifts) <= COLUMN_SHIFT.high
