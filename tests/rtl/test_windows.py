"""rtl/windows.py: bits of lines, and words, that a host writes and reads one by one."""

from __future__ import annotations

import random

import pytest

from rtl.windows import LineBits, Words
from tests.equivalence.bench import simulate


@pytest.mark.parametrize("lines", [1, 5, 8, 19])
def test_a_write_changes_its_line_alone(lines: int) -> None:
    block, choice, expected = LineBits(lines), random.Random(lines), [1] * lines

    async def bench(ctx) -> None:
        for _ in range(6 * lines):
            line, bit = choice.randrange(lines), choice.randrange(2)
            ctx.set(block.window.index, line)
            ctx.set(block.window.data, bit)
            use, write = choice.choice([(1, 1), (1, 1), (1, 0), (0, 1)])
            ctx.set(block.window.use, use)
            ctx.set(block.window.write, write)
            await ctx.tick()
            ctx.set(block.window.write, 0)
            if use and write:
                expected[line] = bit
            assert ctx.get(block.bits) == sum(bit << at for at, bit in enumerate(expected))
            await ctx.tick().repeat(2)
            assert ctx.get(block.window.value) == expected[line]

    simulate(block, bench)
    assert lines == 1 or 0 in expected


@pytest.mark.parametrize(("count", "bits"), [(2, 1), (4, 8), (16, 5)])
def test_a_write_changes_its_word_alone(count: int, bits: int) -> None:
    choice = random.Random(count)
    mask = (1 << bits) - 1
    first = [choice.randint(-4, 4) for _ in range(count)]
    block, expected = Words(first, bits), [word & mask for word in first]

    async def bench(ctx) -> None:
        assert ctx.get(block.words) == sum(w << (bits * at) for at, w in enumerate(expected))
        for _ in range(6 * count):
            place, word = choice.randrange(count), choice.getrandbits(bits)
            ctx.set(block.window.index, place)
            ctx.set(block.window.data, word)
            use, write = choice.choice([(1, 1), (1, 1), (1, 0), (0, 1)])
            ctx.set(block.window.use, use)
            ctx.set(block.window.write, write)
            await ctx.tick()
            ctx.set(block.window.write, 0)
            if use and write:
                expected[place] = word
            assert ctx.get(block.words) == sum(w << (bits * at) for at, w in enumerate(expected))
            await ctx.tick().repeat(2)
            assert ctx.get(block.window.value) == expected[place]

    simulate(block, bench)
