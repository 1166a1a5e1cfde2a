"""rtl/polarity.py against golden/digital/polarity.py."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.digital import polarity
from rtl.polarity import PolarityBank
from tests.equivalence.bench import simulate

few = settings(max_examples=20, deadline=None)


def rtl_polarity(rows: int, writes: list[tuple[int, int]]):
    """After each write: the bits, the row's own, and the phases that there are."""
    block, found = PolarityBank(rows), []

    async def bench(ctx) -> None:
        for row, bit in writes:
            ctx.set(block.row, row)
            ctx.set(block.polarity, bit)
            ctx.set(block.write, 1)
            await ctx.tick()
            ctx.set(block.write, 0)
            ctx.set(block.read_row, row)
            # The phases follow the bit two cycles later, as what is read does.
            await ctx.tick()
            await ctx.tick()
            read = ctx.get(block.read_bit)
            exist = enumerate((block.any_normal, block.any_inverted))
            phases = [phase for phase, exists in exist if ctx.get(exists)]
            found.append((ctx.get(block.bits), read, phases))

    simulate(block, bench)
    return found


def golden_polarity(rows: int, writes: list[tuple[int, int]]):
    bank, found = polarity.PolarityBank(rows), []
    for row, bit in writes:
        bank.flip_to(row, bit)
        phases = [int(p) for p, _ in bank.phases(np.ones(rows, np.int64))]
        found.append((packed(bank.bits), int(bank.bits[row]), phases))
    return found


def packed(lines: np.ndarray) -> int:
    return sum(int(bit) << line for line, bit in enumerate(lines))


@few
@given(st.data(), st.integers(1, 20))
def test_bits_and_phases(data, rows: int) -> None:
    write = st.tuples(st.integers(0, rows - 1), st.integers(0, 1))
    writes = data.draw(st.lists(write, min_size=1, max_size=30))
    writes += [(row, 1) for row in range(rows)] + [(row, 0) for row in range(rows)]
    assert rtl_polarity(rows, writes) == golden_polarity(rows, writes)
