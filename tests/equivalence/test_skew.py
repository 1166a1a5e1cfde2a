"""rtl/skew.py and the line drivers behind it against golden/digital/skew.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Module
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.digital import skew, update_stream
from golden.words import numbers_of
from rtl.pulse_width import LineDrivers
from rtl.skew import RowSkew
from spec.tile import SKEW_ROWS, TileSpec, UpdateSpec
from tests.equivalence.bench import simulate

few = settings(max_examples=8, deadline=None)


def rtl_words(
    spec: TileSpec, codes: list[int], thresholds: list[list[int]], cut: int | None, gaps: bool
) -> list[list[int]]:
    """Words (UPDATEs, rows) of UPDATEs with these thresholds each.

    Before them, with `cut`, an UPDATE that is stopped after so many cycles.
    """
    bits, slots = spec.row_code.bits, spec.update.slots
    m, found = Module(), []
    m.submodules.ring = ring = RowSkew(spec)
    m.submodules.drivers = drivers = LineDrivers(spec.rows, bits, taps=spec.row_taps)
    m.d.comb += [
        drivers.threshold.eq(ring.o.payload),
        drivers.drive.eq(ring.o.valid & ring.o.ready),
        drivers.live.eq((1 << spec.rows) - 1),
    ]

    async def bench(ctx) -> None:
        ctx.set(drivers.taken, sum(code << (bits * row) for row, code in enumerate(codes)))
        ctx.set(drivers.take, 1)
        await ctx.tick()
        ctx.set(drivers.take, 0)
        if cut is not None:
            ctx.set(ring.i.valid, 1)
            ctx.set(ring.o.ready, 1)
            for cycle in range(cut):
                ctx.set(ring.i.payload, cycle % (1 << bits))
                await ctx.tick()
            ctx.set(ring.stop, 1)
            await ctx.tick()
            ctx.set(ring.stop, 0)
            ctx.set(ring.o.ready, 0)
            ctx.set(ring.i.valid, 0)
        for update in thresholds:
            for number, threshold in enumerate(update):
                ctx.set(ring.i.valid, 0)
                for _ in range(gaps * (number % 3)):
                    await ctx.tick()
                ctx.set(ring.i.payload, threshold)
                ctx.set(ring.i.valid, 1)
                assert ctx.get(ring.i.ready), f"not ready for threshold {number}"
                assert not ctx.get(ring.o.valid), f"full after {number}"
                await ctx.tick()
            # The next UPDATE's first threshold waits until this one is through.
            assert ctx.get(ring.o.valid), "not full after all slots"
            assert not ctx.get(ring.i.ready), "takes thresholds while it gives them"
            words = [0] * spec.rows
            for slot in range(slots):
                for _ in range(gaps * (slot % 2)):
                    ctx.set(ring.o.ready, 0)
                    await ctx.tick()
                ctx.set(ring.o.ready, 1)
                await ctx.tick()
                lines = ctx.get(drivers.lines)
                words = [w | ((lines >> row) & 1) << slot for row, w in enumerate(words)]
            ctx.set(ring.o.ready, 0)
            ctx.set(ring.i.valid, 0)
            found.append(words)

    simulate(m, bench)
    return found


@pytest.mark.parametrize("slots", [2, 8, 32, 64])
@few
@given(
    st.data(), st.integers(SKEW_ROWS + 1, 5 * SKEW_ROWS), st.integers(1, (1 << 31) - 1),
    st.booleans(),
)  # fmt: skip
def test_each_group_pulses_a_slot_later(
    slots: int, data, rows: int, state: int, gaps: bool
) -> None:
    update = replace(UpdateSpec(), slots=slots, row_skew=True)
    spec = TileSpec(rows=rows, columns=1, update=update)
    codes = data.draw(st.lists(st.integers(0, 255), min_size=rows, max_size=rows))
    cut = data.draw(st.none() | st.integers(0, 2 * slots))
    stream = update_stream.UpdateStream(spec, "row", state)
    high = spec.row_code.high
    thresholds = [np.minimum(stream.thresholds(), high).tolist() for _ in range(2)]
    stream.state = state
    expected = [
        numbers_of(
            skew.skewed(
                update_stream.row_words(stream.table(), np.array(codes)), skew.turns(spec), slots
            )
        )
        for _ in thresholds
    ]
    assert rtl_words(spec, codes, thresholds, cut, gaps) == expected
