"""rtl/converter.py against golden/digital/converter.py."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.digital import converter
from rtl.converter import Corrector, Dither, ReadAverage
from spec.formats import Signed
from tests.equivalence.bench import receive, send, simulate

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


def rtl_corrected(raw: list[int], offsets: list[int], bits: int, dither: int, code: Signed):
    block, found, railed = Corrector(code, bits), [], []
    items = [{"raw": r, "offset": o} for r, o in zip(raw, offsets, strict=True)]

    async def count(ctx) -> None:
        ctx.set(block.dither, dither)
        while len(found) < len(items):
            _, _, at_rail = await ctx.tick().sample(block.at_rail)
            railed.append(at_rail)

    simulate(block, count, send(block.i, items, 1), receive(block.o, len(items), found, 2))
    return [int(code) for code in found], sum(railed)


def golden_corrected(raw: list[int], offsets: list[int], bits: int, dither: int, code: Signed):
    codes = converter.corrected(np.array(raw), np.array(offsets), bits, dither, code)
    return codes.tolist(), converter.at_rail(np.array(raw), code)


@few
@given(st.data(), st.integers(4, 14), st.integers(0, 8))
def test_corrected(data, width: int, bits: int) -> None:
    code = Signed(width)
    edges = [code.low, code.low + 1, 0, code.high - 1, code.high]
    raw = edges + data.draw(st.lists(st.integers(code.low, code.high), max_size=20))
    reach = 1 << (width + bits - 1)
    offset = st.integers(-reach, reach - 1)
    offsets = data.draw(st.lists(offset, min_size=len(raw), max_size=len(raw)))
    case = raw, offsets, bits, data.draw(st.integers(0, (1 << bits) - 1)), code
    assert rtl_corrected(*case) == golden_corrected(*case)


def rtl_reads(reads: list[np.ndarray], average_log2: int, code: Signed):
    """Codes of several READs in turn, each (2 x 2^a, columns) raw codes."""
    columns = reads[0].shape[1]
    block, found = ReadAverage(columns, code, average_log2), []
    raw = [int(value) for read in reads for value in read.ravel()]
    simulate(block, send(block.i, raw, 3), receive(block.o, len(reads) * columns, found, 4))
    return [int(code) for code in found]


def golden_reads(reads: list[np.ndarray], average_log2: int, code: Signed):
    n, found = 1 << average_log2, []
    for read in reads:
        found += converter.read_code(read[n:], read[:n].sum(axis=0), average_log2, code).tolist()
    return found


@few
@given(st.integers(1, 7), st.integers(0, 3), st.integers(6, 15), st.integers(0, 2**32 - 1))
def test_reads(columns: int, average_log2: int, width: int, seed: int) -> None:
    code, rng = Signed(width), np.random.default_rng(seed)
    shape = 2 << average_log2, columns
    wide = rng.integers(code.low, code.high + 1, shape)
    near = rng.integers(-3, 4, shape)
    rails = np.where(np.arange(shape[0])[:, None] < shape[0] // 2, code.low, code.high)
    case = [wide, near, np.broadcast_to(rails, shape)], average_log2, code
    assert rtl_reads(*case) == golden_reads(*case)
