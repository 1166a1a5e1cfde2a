"""rtl/update_stream.py against golden/digital/update_stream.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.digital import update_stream
from rtl.update_stream import UpdateStream
from spec.lfsr import LFSR_MASK
from spec.tile import TileSpec, UpdateSpec
from tests.equivalence.bench import receive, simulate

few = settings(max_examples=10, deadline=None)


def rtl_updates(spec: TileSpec, side: str, state: int, scale: int, replays: list[bool]):
    """Thresholds of UPDATEs in turn, with a second phase where `replays` says, and the state."""
    block, found, states = UpdateStream(spec, side), [], []
    phases = sum(1 + replay for replay in replays)

    async def begin(ctx) -> None:
        ctx.set(block.scale, scale)
        ctx.set(block.new_state, state)
        ctx.set(block.write_state, 1)
        await ctx.tick()
        ctx.set(block.write_state, 0)
        begun = 0
        for replay in replays:
            for again in (False, True)[: 1 + replay]:
                ctx.set(block.begin.payload.replay, again)
                ctx.set(block.begin.valid, 1)
                await ctx.tick().until(block.begin.ready)
                ctx.set(block.begin.valid, 0)
                begun += block.slots
            while len(found) < begun:
                await ctx.tick()
            ctx.set(block.commit, 1)
            await ctx.tick()
            ctx.set(block.commit, 0)
        states.append(ctx.get(block.state))

    simulate(block, begin, receive(block.o, phases * block.slots, found, 3))
    return [int(f) for f in found], states[0]


def golden_updates(spec: TileSpec, side: str, state: int, scale: int, replays: list[bool]):
    stream = update_stream.UpdateStream(spec, side, state)
    stream.scale = scale
    code = spec.row_code if side == "row" else spec.column_code
    found = []
    for replay in replays:
        thresholds = np.minimum(stream.thresholds(), code.high).tolist()
        found += thresholds * (2 if replay else 1)
    return found, stream.state


@pytest.mark.parametrize("mode", ["low_discrepancy", "stochastic"])
@pytest.mark.parametrize("side", ["row", "column"])
@few
@given(
    st.sampled_from([2, 8, 32, 128]),
    st.integers(1, LFSR_MASK),
    st.integers(0, (1 << 16) - 1),
    st.lists(st.booleans(), min_size=1, max_size=3),
)
def test_thresholds_and_state(
    side: str, mode: str, slots: int, state: int, scale: int, replays: list[bool]
) -> None:
    spec = TileSpec(update=replace(UpdateSpec(), slots=slots, stream_mode=mode))
    case = spec, side, state, scale, replays
    assert rtl_updates(*case) == golden_updates(*case)
