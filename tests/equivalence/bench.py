"""Running a block on Amaranth's simulator: streams with random stalls, results as integers."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from amaranth.hdl import Elaboratable
from amaranth.sim import Simulator

LIMIT_CYCLES = 20_000
STALLING = 0.3
"""Share of cycles in which a bench holds a stream back."""

Bench = Callable[[Any], Coroutine[Any, Any, None]]


class TooLong(AssertionError):
    """The block did not finish: a dead-lock, or a stream that never moves."""


def simulate(
    block: Elaboratable,
    *benches: Bench,
    background: Sequence[Bench] = (),
    limit_cycles: int = LIMIT_CYCLES,
) -> None:
    """Run the test benches to their end; raises TooLong where they do not end.

    Those in the `background` may run for ever.
    """
    simulator = Simulator(block)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    for bench in background:
        simulator.add_testbench(bench, background=True)
    # Two steps a cycle: an edge up, an edge down.
    for _ in range(2 * limit_cycles):
        if not simulator.advance():
            return
    raise TooLong(f"not done after {limit_cycles} cycles")


def send(port: Any, items: Sequence[Any], seed: int) -> Bench:
    """A bench that puts `items` on a stream, with pauses."""
    stalls = random.Random(seed)

    async def bench(ctx: Any) -> None:
        for item in items:
            while stalls.random() < STALLING:
                await ctx.tick()
            ctx.set(port.payload, item)
            ctx.set(port.valid, 1)
            await ctx.tick().until(port.ready)
            ctx.set(port.valid, 0)

    return bench


def receive(port: Any, count: int, found: list[Any], seed: int) -> Bench:
    """A bench that takes `count` items off a stream into `found`, with pauses.

    An item once offered must stay as it is until it is taken.
    """
    stalls = random.Random(seed)

    async def bench(ctx: Any) -> None:
        while len(found) < count:
            offered = None
            while stalls.random() < STALLING:
                _, _, valid, payload = await ctx.tick().sample(port.valid, port.payload)
                assert offered in (None, (valid, payload)), f"{offered} became {(valid, payload)}"
                offered = (valid, payload) if valid else None
            ctx.set(port.ready, 1)
            (payload,) = await ctx.tick().sample(port.payload).until(port.valid)
            ctx.set(port.ready, 0)
            assert offered in (None, (1, payload)), f"{offered} became {payload}"
            found.append(payload)

    return bench


def through(block: Any, items: Sequence[Any], seed: int) -> list[Any]:
    """What comes out of `block.o` for `items` into `block.i`, one for one."""
    found: list[Any] = []
    simulate(block, send(block.i, items, seed), receive(block.o, len(items), found, ~seed))
    return found
