"""rtl/axi_lite.py against what the protocol says: each request answered once, in its own order."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rtl.axi_lite import OKAY, SLVERR, AxiLite
from spec.registers import ADDRESS_BITS, WORD_BITS, WORD_BYTES
from tests.equivalence.bench import STALLING, Bench, simulate

few = settings(max_examples=15, deadline=None)

Write = tuple[int, int, int]
"""Address, data, byte lanes."""


def request(valid: Any, ready: Any, port: tuple[Any, ...], items: list, seed: int) -> Bench:
    """Put items on a request channel, with pauses."""
    stalls = random.Random(seed)

    async def bench(ctx: Any) -> None:
        for item in items:
            while stalls.random() < STALLING:
                await ctx.tick()
            for signal, value in zip(port, item, strict=True):
                ctx.set(signal, value)
            ctx.set(valid, 1)
            await ctx.tick().until(ready)
            ctx.set(valid, 0)

    return bench


def response(
    valid: Any, ready: Any, port: tuple[Any, ...], count: int, found: list, seed: int
) -> Bench:
    """Take responses, with pauses; one once offered must stay until it is taken."""
    stalls, late = random.Random(seed), 0

    async def bench(ctx: Any) -> None:
        nonlocal late
        offered = None
        while len(found) < count:
            # Sometimes for longer than the next access takes.
            late = late - 1 if late else stalls.choice([0] * 9 + [12])
            ready_now = not late and stalls.random() >= STALLING
            ctx.set(ready, ready_now)
            _, _, is_valid, *values = await ctx.tick().sample(valid, *port)
            assert offered is None or (is_valid and values == offered), f"{offered} was taken back"
            offered = values if is_valid and not ready_now else None
            if is_valid and ready_now:
                found.append(tuple(values))
        ctx.set(ready, 0)

    return bench


def answer(address: int) -> tuple[int, int]:
    """What the bus of the bench says of an address: a word, and whether it is an error."""
    return (address * 0x9E3779B1) & 0xFFFFFFFF, (address >> 3) & 1


def rtl_axi_lite(writes: list[Write], reads: list[int], seed: int):
    """The responses (B, R), and the accesses (writes, reads) that the bus has seen."""
    block = AxiLite()
    b: list[tuple[int, ...]] = []
    r: list[tuple[int, ...]] = []
    written: list[Write] = []
    read: list[int] = []
    delays = random.Random(seed)

    async def bus(ctx: Any) -> None:
        port = block.bus
        while len(written) + len(read) < len(writes) + len(reads):
            seen = port.write, port.read, port.address, port.data, port.lanes
            _, _, is_write, is_read, address, word, lanes = await ctx.tick().sample(*seen)
            assert not (is_write and is_read)
            if not (is_write or is_read):
                continue
            for _ in range(delays.choice([0, 0, 1, 4])):
                _, _, again, once_more, stays = await ctx.tick().sample(*seen[:3])
                assert (again, once_more, stays) == (0, 0, address)
            written.append((address, word, lanes)) if is_write else read.append(address)
            found, error = answer(address)
            ctx.set(port.answer, found)
            ctx.set(port.error, error)
            ctx.set(port.answered, 1)
            await ctx.tick()
            # What is there without `answered` must not matter.
            ctx.set(port.answer, ~found & 0xFFFFFFFF)
            ctx.set(port.error, 1 - error)
            ctx.set(port.answered, 0)

    simulate(
        block,
        bus,
        request(block.awvalid, block.awready, (block.awaddr,), [w[:1] for w in writes], seed + 1),
        request(
            block.wvalid,
            block.wready,
            (block.wdata, block.wstrb),
            [w[1:] for w in writes],
            seed + 2,
        ),
        request(block.arvalid, block.arready, (block.araddr,), [(a,) for a in reads], seed + 3),
        response(block.bvalid, block.bready, (block.bresp,), len(writes), b, seed + 4),
        response(block.rvalid, block.rready, (block.rresp, block.rdata), len(reads), r, seed + 5),
    )
    return b, r, written, read


def golden_axi_lite(writes: list[Write], reads: list[int]):
    def code(address: int) -> int:
        return SLVERR if answer(address)[1] else OKAY

    b = [(code(address),) for address, _, _ in writes]
    r = [(code(address), answer(address)[0]) for address in reads]
    return b, r, writes, reads


addresses = st.integers(0, (1 << ADDRESS_BITS) - 1)
words = st.integers(0, (1 << WORD_BITS) - 1)
lanes = st.integers(0, (1 << WORD_BYTES) - 1)


@few
@given(
    st.lists(st.tuples(addresses, words, lanes), max_size=12),
    st.lists(addresses, max_size=12),
    st.integers(0, 999),
)
def test_each_request_is_answered_once(writes: list[Write], reads: list[int], seed: int) -> None:
    assert rtl_axi_lite(writes, reads, seed) == golden_axi_lite(writes, reads)


def test_writes_and_reads_take_turns_where_both_wait() -> None:
    block, order = AxiLite(), []

    async def bench(ctx: Any) -> None:
        for always in ("awvalid", "wvalid", "arvalid", "bready", "rready"):
            ctx.set(getattr(block, always), 1)
        ctx.set(block.bus.answered, 1)
        while len(order) < 10:
            _, _, write, read = await ctx.tick().sample(block.bus.write, block.bus.read)
            order.extend(["write"] * write + ["read"] * read)

    simulate(block, bench)
    assert order in (["write", "read"] * 5, ["read", "write"] * 5)


def test_a_response_not_taken_does_not_hold_the_other_channel_back() -> None:
    block, done = AxiLite(), []

    async def bench(ctx: Any) -> None:
        for always in ("awvalid", "wvalid", "arvalid", "rready"):
            ctx.set(getattr(block, always), 1)
        ctx.set(block.bus.answered, 1)
        while len(done) < 5:
            _, _, valid = await ctx.tick().sample(block.rvalid)
            done.extend([1] * valid)
        assert ctx.get(block.bvalid)

    simulate(block, bench)


def test_the_slave_is_ready_before_it_is_asked_and_holds_one_of_each_request() -> None:
    """No output waits for an input of the same cycle, on any channel."""
    block = AxiLite()
    inputs = ("awvalid", "wvalid", "arvalid", "bready", "rready")
    outputs = ("awready", "wready", "arready", "bvalid", "rvalid")

    async def bench(ctx: Any) -> None:
        stalls = random.Random(5)
        ctx.set(block.bus.answered, 1)
        for _ in range(200):
            before = [ctx.get(getattr(block, name)) for name in outputs]
            for name in inputs:
                ctx.set(getattr(block, name), stalls.random() < 0.5)
                assert before == [ctx.get(getattr(block, out)) for out in outputs], name
            await ctx.tick()

    simulate(block, bench)
