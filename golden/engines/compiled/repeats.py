"""A READ's repeated conversions of one column, the repeats side by side in one vector.

The columns that a transfer still reads get few, the repeats never: so no lane stays idle.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from golden.analog.random import (
    BELL_CENTRE,
    BELL_SHIFT,
    LINE_BITS,
    MASK32,
    MULTIPLIER,
    ROUNDS,
    TILE_BITS,
    WEYL,
    Mechanism,
)
from golden.engines.compiled.vectors import constant, intrinsic, splat

REPEATS = 8
_I64 = ir.IntType(64)
_V64 = ir.VectorType(_I64, REPEATS)
_FIELD = 0xFFFF


def _bells(builder: Any, seed: Any, line: Any, ordinals: Any) -> Any:
    """Bells of COLUMN_NOISE for ordinals (8,); see `draws.philox`. line: tile's field included."""
    mechanism = int(Mechanism.COLUMN_NOISE) << (TILE_BITS + LINE_BITS)
    mask, multiplier = constant(_V64, MASK32), constant(_V64, MULTIPLIER)
    wide = constant(_V64, 32)
    low, high = ordinals, splat(builder, builder.or_(line, _I64(mechanism)), _V64)
    key = builder.and_(seed, _I64(MASK32))
    for _ in range(ROUNDS):
        product = builder.mul(builder.and_(low, mask), multiplier)
        mixed = builder.xor(splat(builder, key, _V64), high)
        low, high = builder.xor(builder.lshr(product, wide), mixed), product
        key = builder.and_(builder.add(key, _I64(WEYL)), _I64(MASK32))
    field, upper = constant(_V64, _FIELD), constant(_V64, _FIELD << 16)
    total = builder.add(builder.and_(low, field), builder.and_(high, field))
    above = builder.add(builder.and_(low, upper), builder.and_(high, upper))
    total = builder.add(total, builder.lshr(above, constant(_V64, 16)))
    return builder.sub(total, constant(_V64, BELL_CENTRE))


def _rounded(builder: Any, values: Any, shift: Any) -> Any:
    """values (8,) / 2^shift, ties to even; a negative shift is exact."""
    exact = builder.icmp_signed("<=", shift, _I64(0))
    right = builder.select(exact, _I64(0), shift)
    left = builder.select(exact, builder.neg(shift), _I64(0))
    half = builder.lshr(builder.shl(_I64(1), right), _I64(1))
    below_half = builder.select(exact, _I64(0), builder.sub(half, _I64(1)))
    one = builder.select(exact, _I64(0), _I64(1))
    left, right, below_half, one = (
        splat(builder, value, _V64) for value in (left, right, below_half, one)
    )
    values = builder.shl(values, left)
    odd = builder.and_(builder.ashr(values, right), one)
    return builder.ashr(builder.add(builder.add(values, below_half), odd), right)


@intrinsic
def sum_repeats(typing_context, seed, line, ordinal, repeats, charge, spread, shift, high):
    """Sum of `repeats` conversions of a charge, ordinals ordinal, ordinal + 1, ...

    line: with the tile's field, as in an address. spread: bell scale below 2^31. shift: log2 of
    the LSB; codes are limited to -high - 1..high.
    """
    i, u = types.int64, types.uint64
    signature = i(u, i, i, i, i, i, i, i)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        seed, line, ordinal, repeats, charge, spread, shift, high = arguments
        # Its low half alone, so that its product with a bell is one of 32 by 32 bits.
        spread = builder.sext(builder.trunc(spread, ir.IntType(32)), _I64)
        low = splat(builder, builder.sub(_I64(-1), high), _V64)
        charge, spread, high = (splat(builder, value, _V64) for value in (charge, spread, high))
        lanes = ir.Constant(_V64, list(range(REPEATS)))
        half = constant(_V64, 1 << (BELL_SHIFT - 1))
        total = cgutils.alloca_once_value(builder, constant(_V64, 0))
        groups = builder.udiv(builder.add(repeats, _I64(REPEATS - 1)), _I64(REPEATS))
        with cgutils.for_range(builder, groups, intp=_I64) as loop:
            first = builder.mul(loop.index, _I64(REPEATS))
            ordinals = builder.add(splat(builder, builder.add(ordinal, first), _V64), lanes)
            noise = builder.mul(_bells(builder, seed, line, ordinals), spread)
            noise = builder.ashr(builder.add(noise, half), constant(_V64, BELL_SHIFT))
            codes = _rounded(builder, builder.add(charge, noise), shift)
            codes = builder.select(builder.icmp_signed(">", codes, low), codes, low)
            codes = builder.select(builder.icmp_signed("<", codes, high), codes, high)
            left = splat(builder, builder.sub(repeats, first), _V64)
            meant = builder.icmp_signed("<", lanes, left)
            codes = builder.select(meant, codes, constant(_V64, 0))
            builder.store(builder.add(builder.load(total), codes), total)
        add = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_I64, [_V64]), f"llvm.vector.reduce.add.v{REPEATS}i64"
        )
        return builder.call(add, [builder.load(total)])

    return signature, generate
