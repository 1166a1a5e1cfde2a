"""rtl/pulse_width.py against golden/digital/pulse_width.py and the words of update_stream.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from amaranth.hdl import Module
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.digital import update_stream
from golden.digital.pulse_width import row_durations
from golden.words import numbers_of
from rtl.pulse_width import LineDrivers, Shadow
from spec.tile import CodeSpec, TileSpec
from tests.equivalence.bench import simulate

few = settings(max_examples=15, deadline=None)


def rtl_lines(
    bits: int, lanes: int, codes: list[int], thresholds: list[int], live: int, packet: bool = True
):
    """The lines (one integer a cycle) that answer `thresholds`, drive going off at the end.

    The codes come as a `packet` into the shadow, or are written straight into the drivers.
    """
    m, seen = Module(), []
    m.submodules.shadow = shadow = Shadow(len(codes), bits, lanes)
    m.submodules.drivers = block = LineDrivers(len(codes), bits, lanes)
    m.d.comb += block.taken.eq(shadow.held)
    port = shadow if packet else block

    async def bench(ctx) -> None:
        ctx.set(port.write, 1)
        for group in range(block.groups):
            part = codes[group * lanes : (group + 1) * lanes]
            ctx.set(port.group, group)
            ctx.set(port.codes, sum(code << (bits * lane) for lane, code in enumerate(part)))
            await ctx.tick()
        ctx.set(port.write, 0)
        ctx.set(block.take, packet)
        await ctx.tick()
        ctx.set(block.take, 0)
        ctx.set(block.live, live)
        ctx.set(block.drive, 1)
        for threshold in thresholds:
            ctx.set(block.threshold, threshold)
            await ctx.tick()
            seen.append(ctx.get(block.lines))
        ctx.set(block.drive, 0)
        await ctx.tick()
        assert ctx.get(block.lines) == 0, "a line is high without drive"

    simulate(m, bench)
    return seen


def words(seen: list[int], lines: int) -> list[int]:
    """A word a line: bit s where it was high in cycle s."""
    high = [[(cycle >> line) & 1 for cycle in seen] for line in range(lines)]
    return [sum(bit << s for s, bit in enumerate(line)) for line in high]


@few
@given(st.data(), st.integers(2, 8), st.integers(2, 20), st.integers(1, 9), st.booleans())
def test_a_pulse_lasts_exactly_its_code(
    data, bits: int, rows: int, lanes: int, packet: bool
) -> None:
    spec = TileSpec(rows=rows, columns=1, codes=CodeSpec(pwm_bits=bits))
    given_codes = data.draw(
        st.lists(st.integers(0, (1 << bits) - 1), min_size=rows - 1, max_size=rows - 1)
    )
    live = data.draw(st.integers(0, (1 << rows) - 1))
    durations = row_durations(spec, np.array(given_codes)).tolist()
    window = range((1 << bits) - 1)
    found = words(rtl_lines(bits, lanes, durations, list(window), live, packet), rows)
    # One pulse from the start of the window, without a gap.
    expected = [(1 << d) - 1 if (live >> row) & 1 else 0 for row, d in enumerate(durations)]
    assert found == expected


@few
@given(st.data(), st.integers(1, (1 << 31) - 1), st.sampled_from([8, 32, 64]))
def test_drawn_thresholds_make_the_words_of_an_update(data, state: int, slots: int) -> None:
    spec = TileSpec()
    spec = replace(spec, update=replace(spec.update, slots=slots))
    codes = data.draw(st.lists(st.integers(0, 255), min_size=1, max_size=12))
    stream = update_stream.UpdateStream(spec, "row", state)
    thresholds = np.minimum(stream.thresholds(), spec.row_code.high).tolist()
    stream.state = state
    expected = numbers_of(update_stream.row_words(stream.table(), np.array(codes)))
    found = words(rtl_lines(8, 4, codes, thresholds, (1 << len(codes)) - 1), len(codes))
    assert found == expected


def test_full_lines_are_high_whatever_their_codes() -> None:
    block = LineDrivers(3, 4)

    async def bench(ctx) -> None:
        ctx.set(block.full, 1)
        ctx.set(block.drive, 1)
        ctx.set(block.live, 0b101)
        ctx.set(block.threshold, 15)
        await ctx.tick()
        assert ctx.get(block.lines) == 0b101

    simulate(block, bench)
