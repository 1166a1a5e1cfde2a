"""The three inner loops of training, in blocks of eight rows, as vector code for any processor.

A tile's capacitors and weights lie column by column, each column padded to whole blocks. An
example drives few of the blocks (an image is mostly background) and few of the columns (an error
is mostly zero), so each loop takes a list of blocks. Written for the compiler directly because
its own vectoriser cannot know that the arrays are distinct.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from golden.analog.capacitor import SLOPE_BITS

BLOCK = 8

_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_V16, _V32 = ir.VectorType(_I16, BLOCK), ir.VectorType(_I32, BLOCK)
_HALF = ir.VectorType(_I64, BLOCK // 2)


def _data(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    return context.make_array(kind)(context, builder, value).data


def _place(builder: Any, data: Any, index: Any, kind: ir.Type) -> Any:
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())


def _load(builder: Any, data: Any, index: Any, kind: ir.VectorType, bytes_each: int) -> Any:
    return builder.load(_place(builder, data, index, kind), align=bytes_each)


def _splat(builder: Any, value: Any, kind: ir.VectorType) -> Any:
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, _I32(0))
    mask = ir.Constant(ir.VectorType(_I32, kind.count), [0] * kind.count)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), mask)


def _constant(kind: ir.VectorType, value: int) -> ir.Constant:
    return ir.Constant(kind, [value] * kind.count)


def _sign_extended(builder: Any, pairs: Any) -> Any:
    """The low 32 bits of each 64, sign-extended: with it a product is one 32 x 32 multiply."""
    shift = _constant(_HALF, 32)
    return builder.ashr(builder.shl(pairs, shift), shift)


@intrinsic
def dot_blocks(typing_context, weight, start, drive, blocks, count):  # noqa: ANN001, ANN201, ARG001
    """Sum over `count` blocks b of weight[start + 8 b + i] * drive[8 b + i], as int64.

    weight, drive: int32; blocks: int64, multiples of 8.
    """
    signature = types.int64(weight, types.int64, drive, blocks, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        weight, drive, blocks = (
            _data(context, builder, kinds[k], arguments[k]) for k in (0, 2, 3)
        )
        totals = [cgutils.alloca_once_value(builder, _constant(_HALF, 0)) for _ in range(2)]
        with cgutils.for_range(builder, arguments[4], intp=_I64) as loop:
            block = builder.load(builder.gep(blocks, [loop.index]))
            place = builder.add(arguments[1], block)
            w = builder.bitcast(_load(builder, weight, place, _V32, 4), _HALF)
            x = builder.bitcast(_load(builder, drive, block, _V32, 4), _HALF)
            shift = _constant(_HALF, 32)
            even = builder.mul(_sign_extended(builder, w), _sign_extended(builder, x))
            odd = builder.mul(builder.ashr(w, shift), builder.ashr(x, shift))
            for total, product in zip(totals, (even, odd), strict=True):
                builder.store(builder.add(builder.load(total), product), total)
        lanes = builder.add(builder.load(totals[0]), builder.load(totals[1]))
        total = _I64(0)
        for lane in range(BLOCK // 2):
            total = builder.add(total, builder.extract_element(lanes, _I32(lane)))
        return total

    return signature, generate


@intrinsic
def pulse_blocks(
    typing_context,  # noqa: ANN001, ARG001
    lower,  # noqa: ANN001
    weight,  # noqa: ANN001
    steps,  # noqa: ANN001
    start,  # noqa: ANN001, ARG001
    words,  # noqa: ANN001
    signs,  # noqa: ANN001
    blocks,  # noqa: ANN001
    count,  # noqa: ANN001, ARG001
    word,  # noqa: ANN001, ARG001
    slope,  # noqa: ANN001, ARG001
    direction,  # noqa: ANN001, ARG001
    bound,  # noqa: ANN001, ARG001
):  # noqa: ANN201
    """UPDATE of one column: coincidences of `word` with words[8 b + i], along `direction`.

    lower, weight, signs: int32; steps: int16; words: uint32; blocks: int64, multiples of 8. The
    formula is that of golden.analog.capacitor.Capacitors.pulse.
    """
    i32, i64 = types.int32, types.int64
    signature = types.void(
        lower, weight, steps, i64, words, signs, blocks, i64, types.uint32, i32, i32, i32
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        lower, weight, steps, words, signs, blocks = (
            _data(context, builder, kinds[k], arguments[k]) for k in (0, 1, 2, 4, 5, 6)
        )
        start, count = arguments[3], arguments[7]
        word, slope, direction, bound = (_splat(builder, a, _V32) for a in arguments[8:12])
        low = builder.neg(bound)
        ctpop = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_V32, [_V32]), f"llvm.ctpop.v{BLOCK}i32"
        )
        bits, one = _constant(_V32, SLOPE_BITS), _constant(_V32, 1 << SLOPE_BITS)
        with cgutils.for_range(builder, count, intp=_I64) as loop:
            block = builder.load(builder.gep(blocks, [loop.index]))
            place = builder.add(start, block)
            row_words = _load(builder, words, block, _V32, 4)
            pulses = builder.call(ctpop, [builder.and_(row_words, word)])
            g = _load(builder, lower, place, _V32, 4)
            step = builder.sext(_load(builder, steps, place, _V16, 2), _V32)
            tilt = builder.ashr(builder.mul(slope, builder.ashr(g, bits)), bits)
            change = builder.mul(builder.mul(pulses, step), builder.sub(one, tilt))
            change = builder.ashr(change, bits)
            moved = builder.add(g, builder.mul(direction, change))
            moved = builder.select(builder.icmp_signed("<", moved, bound), moved, bound)
            moved = builder.select(builder.icmp_signed(">", moved, low), moved, low)
            builder.store(moved, _place(builder, lower, place, _V32), align=4)
            sign = _load(builder, signs, block, _V32, 4)
            w = _load(builder, weight, place, _V32, 4)
            w = builder.add(w, builder.mul(sign, builder.sub(moved, g)))
            builder.store(w, _place(builder, weight, place, _V32), align=4)
        return context.get_dummy_value()

    return signature, generate
