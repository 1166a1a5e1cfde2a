"""FORWARD's sums, on the two halves of a weight.

A weight of 32 bits has halves of 16: the high one has the sign, the low one has none. As every
weight is kept with the top bit of its low half flipped (vectors.FLIP), that half reads as a signed
number too, 2^15 less than it is:

    weight = 2^16 high + low + 2^15

Then one instruction of every processor multiplies eight or sixteen halves by durations of 16 bits
and adds the products in pairs, where whole weights would need 64-bit lanes. `dot_blocks` sums
halves in lanes of 32 bits, which hold AT_MOST blocks; `fold` puts the halves together.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from golden.engines.compiled.vectors import (
    BLOCK,
    FLIP,
    array_data,
    constant,
    intrinsic,
    item,
    load,
    prefetch,
    splat,
    store,
)

BLOCKS_AT_ONCE = 4
COLUMNS_AT_ONCE = 2
"""As wide as today's vectors get: the compiler splits them for a processor that has less."""

LEAD = 8 * COLUMNS_AT_ONCE * BLOCK
"""Weights by which a cache line is asked for ahead: few of a large tile's are in a near cache."""

AT_MOST = (1 << 31) // (2 * FLIP * 256)
"""Blocks until a lane could be full: each adds two products of a half and a duration of 8 bits."""

_HALVES = 2 * BLOCK * COLUMNS_AT_ONCE
_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_V16, _V32 = ir.VectorType(_I16, _HALVES), ir.VectorType(_I32, _HALVES // 2)
_WIDE, _V64 = ir.VectorType(_I32, _HALVES), ir.VectorType(_I64, _HALVES // 4)
_int64 = types.int64


def _order(lanes: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(_I32, len(lanes)), lanes)


def _shuffled(builder: Any, vector: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), _order(lanes))


# Four weights lie as low, high, low, high, ...; apart within 16 bytes, which is cheap everywhere.
_APART = [first + k for first in range(0, _HALVES, 8) for k in (0, 2, 4, 6, 1, 3, 5, 7)]
# The durations that go with them, from a block's eight of 32 bits, of which the low halves count.
_DRIVE = [2 * ((k // 8 * 4 + k % 4) % BLOCK) for k in range(_HALVES)]


def _add_pairs(builder: Any, weights: Any, drive: Any) -> Any:
    """Halves of weights times durations (_HALVES,) int16, neighbours added: one instruction."""
    products = builder.mul(builder.sext(weights, _WIDE), builder.sext(drive, _WIDE))
    even, odd = (_shuffled(builder, products, list(range(k, _HALVES, 2))) for k in (0, 1))
    return builder.add(even, odd)


@intrinsic
def dot_blocks(typing_context, sums, columns, weight, places, drive, rows, first):
    """FORWARD of some blocks: sums[8 j + lane] += their rows, for j < columns, an even number.

    sums: int32, eight a column, for `fold`; weight, drive: int32; places, rows: int64, where block
    k's weights and durations start, k = first .. first + BLOCKS_AT_ONCE - 1.
    """
    i = _int64
    signature = types.void(sums, i, weight, places, drive, rows, i)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, weight, places, drive, rows = array_data(
            context, builder, signature, arguments, 0, 2, 3, 4, 5
        )
        columns, first = arguments[1], arguments[6]
        blocks = []
        for k in range(BLOCKS_AT_ONCE):
            index = builder.add(first, _I64(k))
            x = load(builder, drive, item(builder, rows, index), ir.VectorType(_I16, 2 * BLOCK))
            blocks.append((item(builder, places, index), _shuffled(builder, x, _DRIVE)))
        steps = builder.udiv(columns, _I64(COLUMNS_AT_ONCE))
        with cgutils.for_range(builder, steps, intp=_I64) as loop:
            offset = builder.mul(loop.index, _I64(BLOCK * COLUMNS_AT_ONCE))
            total = load(builder, sums, offset, _V32)
            for place, x in blocks:
                prefetch(builder, weight, builder.add(builder.add(place, offset), _I64(LEAD)))
                w = load(builder, weight, builder.add(place, offset), _V16)
                total = builder.add(total, _add_pairs(builder, _shuffled(builder, w, _APART), x))
            store(builder, total, sums, offset)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def fold(typing_context, charge, sums, columns, drive):
    """charge[j] += the sums of `dot_blocks` for j < columns, an even number; the sums become zero.

    drive: the durations that went into them, added up.
    """
    i = _int64
    signature = types.void(charge, sums, i, i)
    # Of the sums in pairs: low, high, low, high for every column.
    low, high = ([4 * column + half for column in range(COLUMNS_AT_ONCE)] for half in (0, 1))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        charge, sums = array_data(context, builder, signature, arguments, 0, 1)
        columns, drive = arguments[2], arguments[3]
        kind = ir.VectorType(_I64, COLUMNS_AT_ONCE)
        missing = splat(builder, builder.mul(drive, _I64(FLIP)), kind)
        steps = builder.udiv(columns, _I64(COLUMNS_AT_ONCE))
        word, half = constant(_V64, 32), constant(kind, 16)
        with cgutils.for_range(builder, steps, intp=_I64) as loop:
            at = builder.mul(loop.index, _I64(COLUMNS_AT_ONCE))
            lanes = builder.mul(at, _I64(BLOCK))
            pairs = load(builder, sums, lanes, _V64)
            store(builder, constant(_V64, 0), sums, lanes, 4)
            one = builder.ashr(builder.shl(pairs, word), word)
            pairs = builder.add(one, builder.ashr(pairs, word))
            lows, highs = (
                builder.add(
                    _shuffled(builder, pairs, lanes),
                    _shuffled(builder, pairs, [lane + 2 for lane in lanes]),
                )
                for lanes in (low, high)
            )
            more = builder.add(builder.add(builder.shl(highs, half), lows), missing)
            total = builder.add(load(builder, charge, at, kind, 8), more)
            store(builder, total, charge, at, 8)
        return context.get_dummy_value()

    return signature, generate
