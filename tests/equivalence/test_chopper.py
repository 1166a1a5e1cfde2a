"""rtl/chopper.py against golden/digital/chopper.py."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from golden.digital import chopper
from rtl.chopper import Chopper
from tests.equivalence.bench import simulate

few = settings(max_examples=10, deadline=None)


def rtl_chopper(steps: list[bool]) -> tuple[list[int], int]:
    """The bits drawn, a cycle for each of `steps`, and the state at the end."""
    block, drawn, states = Chopper(), [], []

    async def bench(ctx: Any) -> None:
        for step in steps:
            ctx.set(block.step, step)
            if step:
                drawn.append(ctx.get(block.bit))
            await ctx.tick()
        states.append(ctx.get(block.state))

    simulate(block, bench)
    return drawn, states[0]


def golden_chopper(steps: list[bool]) -> tuple[list[int], int]:
    twin = chopper.Chopper()
    return [twin.draw() for step in steps if step], twin.state


@few
@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_bits_and_state(steps: list[bool]) -> None:
    assert rtl_chopper(steps) == golden_chopper(steps)
