"""Conversions with their noise, many side by side.

FORWARD and BACKWARD convert 32 channels at a time. READ takes the repeats of four columns: the
columns that a transfer still reads get few, the repeats never, so that few lanes stay idle. A draw
is one long chain of steps, and a processor is busy only with several vectors of them at once:
hence more lanes than its vectors have.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from golden.analog.converter import OFFSET_BITS
from golden.analog.random import BELL_CENTRE, BELL_SHIFT, MASK32, MULTIPLIER, ROUNDS, WEYL
from golden.engines.compiled.vectors import array_data, constant, intrinsic, load, splat, store

LANES = 32
REPEATS = 8
COLUMNS = LANES // REPEATS
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_V32, _V64 = ir.VectorType(_I32, LANES), ir.VectorType(_I64, LANES)
_FIELD = 0xFFFF
_NUMBERS = ir.Constant(_V64, list(range(LANES)))


def _bells(builder: Any, seed: Any, addresses: Any, ordinals: Any) -> Any:
    """The bells of addresses (LANES,), mechanism and tile included, and ordinals (LANES,).

    As in `draws.philox`, what stands above bit 31 of low and high is never looked at.
    """
    mask, multiplier = constant(_V64, MASK32), constant(_V64, MULTIPLIER)
    wide = constant(_V64, 32)
    low, high, key = ordinals, addresses, builder.and_(seed, _I64(MASK32))
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


def _scaled(builder: Any, bells: Any, scale: Any) -> Any:
    """As `draws.scaled`; scale (LANES,)."""
    noise = builder.add(builder.mul(bells, scale), constant(_V64, 1 << (BELL_SHIFT - 1)))
    return builder.ashr(noise, constant(_V64, BELL_SHIFT))


def _rounded(builder: Any, values: Any, shift: Any) -> Any:
    """values (LANES,) / 2^shift, ties to even; a negative shift is exact."""
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


def _clipped(builder: Any, values: Any, low: Any, high: Any) -> Any:
    values = builder.select(builder.icmp_signed(">", values, low), values, low)
    return builder.select(builder.icmp_signed("<", values, high), values, high)


def _rails(builder: Any, bits: Any) -> tuple[Any, Any]:
    """Lowest and highest code (LANES,)."""
    limit = builder.shl(_I64(1), builder.sub(bits, _I64(1)))
    low, high = builder.neg(limit), builder.sub(limit, _I64(1))
    return splat(builder, low, _V64), splat(builder, high, _V64)


def _groups(builder: Any, count: Any, size: int) -> Any:
    return builder.udiv(builder.add(count, _I64(size - 1)), _I64(size))


def _sum(builder: Any, lanes: Any) -> Any:
    kind = lanes.type
    add = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_I64, [kind]), f"llvm.vector.reduce.add.v{kind.count}i64"
    )
    return builder.call(add, [lanes])


def _shuffled(builder: Any, lanes: Any, order: list[int]) -> Any:
    return builder.shuffle_vector(lanes, lanes, ir.Constant(ir.VectorType(_I32, len(order)), order))


_COLUMN = [lane // REPEATS for lane in range(LANES)]
_REPEAT = ir.Constant(_V64, [lane % REPEATS for lane in range(LANES)])


@intrinsic
def convert_repeats(
    typing_context, totals, charge, seed, address, lines, ordinals, repeats, spread, shift, bits,
    count,
):  # fmt: skip
    """totals[k] += `repeats` conversions of charge[k] for `count` columns.

    The ordinals are ordinals[k], ordinals[k] + 1, ... address: mechanism and tile; lines: the
    columns. spread (int32, the others int64): bell scales; int32 keeps the product one of 32 by
    32 bits. shift: log2 of the LSB. A column beyond the last may be read and written.
    """
    i, u = types.int64, types.uint64
    signature = types.void(totals, charge, u, i, lines, ordinals, i, spread, i, i, i)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        totals, *data = array_data(context, builder, signature, arguments, 0, 1, 4, 5, 7)
        seed, address, repeats, shift, bits, count = (arguments[k] for k in (2, 3, 6, 8, 9, 10))
        low, high = _rails(builder, bits)
        address = splat(builder, address, _V64)
        kinds = [ir.VectorType(each, COLUMNS) for each in (_I64, _I64, _I64, _I32)]
        aligns = 8, 8, 8, 4
        with cgutils.for_range(builder, _groups(builder, count, COLUMNS), intp=_I64) as columns:
            k = builder.mul(columns.index, _I64(COLUMNS))
            charge, lines, ordinals, spread = (
                _shuffled(builder, load(builder, each, k, kind, align), _COLUMN)
                for each, kind, align in zip(data, kinds, aligns, strict=True)
            )
            lines, spread = builder.or_(address, lines), builder.sext(spread, _V64)
            total = cgutils.alloca_once(builder, _V64)
            builder.store(constant(_V64, 0), total)
            with cgutils.for_range(builder, _groups(builder, repeats, REPEATS), intp=_I64) as loop:
                first = splat(builder, builder.mul(loop.index, _I64(REPEATS)), _V64)
                repeat = builder.add(first, _REPEAT)
                bells = _bells(builder, seed, lines, builder.add(ordinals, repeat))
                codes = builder.add(charge, _scaled(builder, bells, spread))
                codes = _clipped(builder, _rounded(builder, codes, shift), low, high)
                meant = builder.icmp_signed("<", repeat, splat(builder, repeats, _V64))
                codes = builder.select(meant, codes, constant(_V64, 0))
                builder.store(builder.add(builder.load(total), codes), total)
            lanes = builder.load(total)
            for column in range(COLUMNS):
                own = list(range(column * REPEATS, (column + 1) * REPEATS))
                item = builder.gep(totals, [builder.add(k, _I64(column))])
                more = _sum(builder, _shuffled(builder, lanes, own))
                builder.store(builder.add(builder.load(item), more), item)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def convert_channels(
    typing_context, codes, charge, seed, address, ordinals, ahead, scale, channel, offsets,
    fraction, dither, shift, bits, count,
):  # fmt: skip
    """Convert `count` charges and correct the channel offsets; returns how many railed.

    All arrays are int64. address: mechanism and tile. The noise is the draw `ahead` of each
    channel's ordinal. Up to LANES - 1 items beyond the last channel are read, and left as they are.
    """
    i, u = types.int64, types.uint64
    signature = i(codes, charge, u, i, ordinals, i, i, channel, offsets, i, i, i, i, i)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = array_data(context, builder, signature, arguments, 0, 1, 4, 7, 8)
        seed, address, ahead, scale, fraction, dither, shift, bits, count = (
            arguments[k] for k in (2, 3, 5, 6, 9, 10, 11, 12, 13)
        )
        low, high = _rails(builder, bits)
        address, ahead, scale, up, end = (
            splat(builder, value, _V64) for value in (address, ahead, scale, shift, count)
        )
        fraction, dither = (
            splat(builder, builder.trunc(value, _I32), _V32) for value in (fraction, dither)
        )
        lowest, highest = (builder.trunc(rail, _V32) for rail in (low, high))
        railed = cgutils.alloca_once_value(builder, constant(_V64, 0))
        with cgutils.for_range(builder, _groups(builder, count, LANES), intp=_I64) as loop:
            first = builder.mul(loop.index, _I64(LANES))
            before, total, ordinals, channel, offsets = (
                load(builder, each, first, _V64, 8) for each in data
            )
            lines = builder.add(splat(builder, first, _V64), _NUMBERS)
            meant = builder.icmp_signed("<", lines, end)
            ordinals = builder.add(ordinals, ahead)
            bells = _bells(builder, seed, builder.or_(address, lines), ordinals)
            total = builder.add(total, _scaled(builder, bells, scale))
            offset = builder.ashr(builder.shl(channel, up), constant(_V64, OFFSET_BITS))
            raw = _clipped(builder, _rounded(builder, builder.add(total, offset), shift), low, high)
            # From here on, codes and their fractions fit half a lane: half the vectors.
            raw, offsets = (builder.trunc(each, _V32) for each in (raw, offsets))
            code = builder.add(builder.sub(builder.shl(raw, fraction), offsets), dither)
            code = _clipped(builder, builder.ashr(code, fraction), lowest, highest)
            at_rail = builder.or_(
                builder.icmp_signed("==", raw, lowest), builder.icmp_signed("==", raw, highest)
            )
            code = builder.sext(builder.select(at_rail, raw, code), _V64)
            store(builder, builder.select(meant, code, before), data[0], first, 8)
            more = builder.zext(builder.and_(at_rail, meant), _V64)
            builder.store(builder.add(builder.load(railed), more), railed)
        return _sum(builder, builder.load(railed))

    return signature, generate
