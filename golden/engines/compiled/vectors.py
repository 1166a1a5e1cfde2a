"""The inner loops of training, in blocks of eight rows, as vector code for any processor.

A tile's capacitors and weights lie in blocks: eight rows of column 0, eight of column 1, and so
on, then the next eight rows. The capacitors of these eight share a cache line with their steps. An
example drives few of the blocks (an image is mostly background) and pulses few of the columns (an
error is mostly small), so a loop takes one block and, where it can, a list of columns. Written for
the compiler directly because its own vectoriser cannot know that the arrays are distinct.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba.extending
from llvmlite import ir
from numba import types
from numba.core import cgutils

from golden.analog.capacitor import SLOPE_BITS
from golden.analog.tables import VALUE_BITS

BLOCK = 8
LANES = BLOCK // 2

_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_V16, _V32 = ir.VectorType(_I16, BLOCK), ir.VectorType(_I32, BLOCK)
_V64 = ir.VectorType(_I64, LANES)
_int32, _int64 = types.int32, types.int64


def intrinsic(generator: Callable[..., Any]) -> Callable[..., Any]:
    """What the generator makes: a function that compiled code calls without its first argument."""
    make: Any = numba.extending.intrinsic
    return make(generator)


def array_data(
    context: Any, builder: Any, signature: Any, arguments: Any, *which: int
) -> list[Any]:
    """Data pointers of the array arguments `which`."""
    return [
        context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in which
    ]


FLIP = 1 << 15
"""A weight is kept with this bit flipped: see halves.py. It goes in and comes out by an xor."""


def _pointer(builder: Any, data: Any, index: Any, kind: ir.Type) -> Any:
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())


def load(builder: Any, data: Any, index: Any, kind: ir.VectorType, align: int = 4) -> Any:
    """A vector that starts at an item of an array."""
    return builder.load(_pointer(builder, data, index, kind), align=align)


def store(builder: Any, value: Any, data: Any, index: Any, align: int = 4) -> None:
    """Store a vector from an item of an array on."""
    builder.store(value, _pointer(builder, data, index, value.type), align=align)


def item(builder: Any, data: Any, index: Any) -> Any:
    """One item of an array."""
    return builder.load(builder.gep(data, [index]))


def prefetch(builder: Any, data: Any, index: Any) -> None:
    """Ask for the cache line of an item, wherever that is: nothing is read."""
    byte = ir.IntType(8).as_pointer()
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), [byte, _I32, _I32, _I32]),
        "llvm.prefetch.p0",
    )
    # To read, to keep in all caches, data.
    place = builder.bitcast(builder.gep(data, [index]), byte)
    builder.call(function, [place, _I32(0), _I32(3), _I32(1)])


def splat(builder: Any, value: Any, kind: ir.VectorType) -> Any:
    """A vector of one value."""
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, value, _I32(0))
    mask = ir.Constant(ir.VectorType(_I32, kind.count), [0] * kind.count)
    return builder.shuffle_vector(first, nothing, mask)


def constant(kind: ir.VectorType, value: int) -> ir.Constant:
    """A vector of one constant."""
    return ir.Constant(kind, [value] * kind.count)


def _sign_extended(builder: Any, pairs: Any, kind: ir.VectorType) -> Any:
    """The low 32 bits of each lane: a product of two such is one 32 x 32 multiply."""
    shift = constant(kind, 32)
    return builder.ashr(builder.shl(pairs, shift), shift)


def _even_odd(builder: Any, block: Any) -> tuple[Any, Any]:
    """Eight 32-bit lanes as four even and four odd ones, sign-extended to 64 bits."""
    pairs = builder.bitcast(block, _V64)
    return _sign_extended(builder, pairs, _V64), builder.ashr(pairs, constant(_V64, 32))


def _ones(builder: Any, words: Any) -> Any:
    """Ones in each lane."""
    ctpop = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_V32, [_V32]), f"llvm.ctpop.v{BLOCK}i32"
    )
    return builder.call(ctpop, [words])


def _signed(builder: Any, values: Any, minus: Any) -> Any:
    """The values, or where `minus` has every bit their negatives: less work than a product."""
    return builder.sub(builder.xor(values, minus), minus)


@intrinsic
def sum_columns(typing_context, charge, row, weight, place, offsets, errors, count):
    """BACKWARD of one block: charge[row..row + 7] = sum over a list of columns of error * weight.

    charge, offsets: int64, an offset is 8 x the column; errors: int32; `count` columns.
    """
    i = _int64
    signature = types.void(charge, i, weight, i, offsets, errors, i)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        charge, weight, offsets, errors = array_data(
            context, builder, signature, arguments, 0, 2, 4, 5
        )
        _, row, _, place, _, _, count = arguments
        totals = [cgutils.alloca_once_value(builder, constant(_V64, 0)) for _ in range(2)]
        with cgutils.for_range(builder, count, intp=_I64) as loop:
            at = builder.add(place, item(builder, offsets, loop.index))
            error = splat(builder, item(builder, errors, loop.index), _V32)
            error, _ = _even_odd(builder, error)
            rows = builder.xor(load(builder, weight, at, _V32), constant(_V32, FLIP))
            for total, w in zip(totals, _even_odd(builder, rows), strict=True):
                now = builder.add(builder.load(total), builder.mul(w, error))
                builder.store(now, total)
        for parity, total in enumerate(totals):
            lanes = builder.load(total)
            for lane in range(LANES):
                at = builder.add(row, _I64(2 * lane + parity))
                value = builder.extract_element(lanes, _I32(lane))
                builder.store(value, builder.gep(charge, [at]))
        return context.get_dummy_value()

    return signature, generate


AHEAD = 6
"""Columns whose cells are asked for while others are worked on: they lie all over the memory."""


MorePulses = Callable[[Any, Any, Any, Any, Any], Any]
"""Of a builder's values: pulses, words, row, column_words, hit; gives pulses."""


def _pulse_columns(
    context: Any, builder: Any, signature: Any, arguments: Any, more: MorePulses | None = None
) -> Any:
    """Code of `pulse_columns`; `more` adds the pulses of what words have after their first part."""
    lower, weight, steps, words, signs, *lists, hits = array_data(
        context, builder, signature, arguments, 0, 1, 2, 4, 5, 8, 9, 10, 11, 12, 13
    )
    place, row, sign_row, count = (arguments[k] for k in (3, 6, 7, 14))
    first_step, bound = builder.shl(place, _I64(2)), splat(builder, arguments[15], _V32)
    low = builder.neg(bound)
    bits, one = constant(_V32, SLOPE_BITS), constant(_V32, 1 << SLOPE_BITS)
    flip = constant(_V32, FLIP)
    row_words = load(builder, words, row, _V32)
    inverted = builder.ashr(load(builder, signs, sign_row, _V32), constant(_V32, 31))
    with cgutils.for_range(builder, count, intp=_I64) as loop:
        hit = item(builder, hits, loop.index)
        offset, side, *values = (item(builder, each, hit) for each in lists)
        at, side = builder.add(place, offset), builder.add(first_step, side)
        line = builder.shl(at, _I64(1))
        later = item(builder, hits, builder.add(loop.index, _I64(AHEAD)))
        later = builder.add(place, item(builder, lists[0], later))
        prefetch(builder, lower, builder.shl(later, _I64(1)))
        prefetch(builder, weight, later)
        word, down, slope = (splat(builder, value, _V32) for value in values)
        pulses = _ones(builder, builder.and_(row_words, word))
        if more is not None:
            pulses = more(pulses, words, row, lists[2], hit)
        g = load(builder, lower, line, _V32)
        step = builder.sext(load(builder, steps, side, _V16, 2), _V32)
        tilt = builder.mul(slope, builder.ashr(g, bits))
        factor = builder.sub(one, builder.ashr(tilt, bits))
        change = builder.mul(builder.mul(pulses, step), factor)
        change = _signed(builder, builder.ashr(change, bits), down)
        moved = builder.add(g, change)
        moved = builder.select(builder.icmp_signed("<", moved, bound), moved, bound)
        moved = builder.select(builder.icmp_signed(">", moved, low), moved, low)
        store(builder, moved, lower, line)
        w = builder.xor(load(builder, weight, at, _V32), flip)
        w = builder.add(w, _signed(builder, builder.sub(moved, g), inverted))
        store(builder, builder.xor(w, flip), weight, at)
    return context.get_dummy_value()


@intrinsic
def pulse_columns(
    typing_context, lower, weight, steps, place, words, signs, row, sign_row, offsets, sides,
    column_words, downs, slopes, hits, count, bound,
):  # fmt: skip
    """UPDATE of one block: coincidences of its words with those of listed columns.

    lower, weight, signs, downs, slopes: int32; steps: int16; words, column_words: uint32;
    offsets, sides: int64, where steps[4 place + sides] are those of the direction; hits: int64, the
    `count` entries of the lists that are meant, and at least AHEAD more that may be anything of the
    lists. The formula is that of golden.analog.capacitor.Capacitors.pulse.
    """
    i = _int64
    signature = types.void(
        lower, weight, steps, i, words, signs, i, i, offsets, sides, column_words, downs,
        slopes, hits, i, _int32,
    )  # fmt: skip

    return signature, _pulse_columns


@intrinsic
def pulse_columns_of_parts(
    typing_context, lower, weight, steps, place, words, signs, row, sign_row, offsets, sides,
    column_words, downs, slopes, hits, count, bound, parts, stride,
):  # fmt: skip
    """The same where words have `parts` parts, each `stride` after the one before."""
    i = _int64
    signature = types.void(
        lower, weight, steps, i, words, signs, i, i, offsets, sides, column_words, downs,
        slopes, hits, i, _int32, i, i,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        parts, stride = arguments[16:]

        def more(pulses: Any, words: Any, row: Any, column_words: Any, hit: Any) -> Any:
            total = cgutils.alloca_once(builder, _V32)
            builder.store(pulses, total)
            with cgutils.for_range(builder, parts, start=_I64(1), intp=_I64) as loop:
                first = builder.mul(loop.index, stride)
                part = load(builder, words, builder.add(first, row), _V32)
                word = splat(builder, item(builder, column_words, builder.add(first, hit)), _V32)
                met = _ones(builder, builder.and_(part, word))
                builder.store(builder.add(builder.load(total), met), total)
            return builder.load(total)

        return _pulse_columns(context, builder, signature, arguments, more)

    return signature, generate


@intrinsic
def leak_block(typing_context, lower, weight, place, columns, signs, row, loss, target, bound):
    """One tick of one block (8 rows of `columns`); a word that is 0 where nothing moved.

    lower, weight, signs: int32. The formula is that of golden.analog.capacitor.Capacitors.leak;
    loss below 2^31.
    """
    i = _int64
    signature = _int32(lower, weight, i, i, signs, i, i, _int32, _int32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lower, weight, signs = array_data(context, builder, signature, arguments, 0, 1, 4)
        _, _, place, columns, _, row, loss, target, bound = arguments
        loss = splat(builder, builder.sext(builder.trunc(loss, _I32), _I64), _V64)
        target, bound = splat(builder, target, _V32), splat(builder, bound, _V32)
        low, sign = builder.neg(bound), load(builder, signs, row, _V32)
        half, shift = constant(_V64, 1 << (VALUE_BITS - 1)), constant(_V64, VALUE_BITS)
        flip, changed = constant(_V32, FLIP), cgutils.alloca_once_value(builder, constant(_V32, 0))
        with cgutils.for_range(builder, columns, intp=_I64) as loop:
            at = builder.add(place, builder.mul(loop.index, _I64(BLOCK)))
            line = builder.shl(at, _I64(1))
            g = load(builder, lower, line, _V32)
            parts = []
            for distance in _even_odd(builder, builder.sub(g, target)):
                lost = builder.add(builder.mul(distance, loss), half)
                # The result fits 32 bits, so the bits that a logical shift brings in do not matter.
                parts.append(builder.lshr(lost, shift))
            even = builder.and_(parts[0], constant(_V64, 0xFFFFFFFF))
            odd = builder.shl(parts[1], constant(_V64, 32))
            moved = builder.sub(g, builder.bitcast(builder.or_(even, odd), _V32))
            moved = builder.select(builder.icmp_signed("<", moved, bound), moved, bound)
            moved = builder.select(builder.icmp_signed(">", moved, low), moved, low)
            change = builder.sub(moved, g)
            store(builder, moved, lower, line)
            w = builder.xor(load(builder, weight, at, _V32), flip)
            w = builder.add(w, builder.mul(sign, change))
            store(builder, builder.xor(w, flip), weight, at)
            builder.store(builder.or_(builder.load(changed), change), changed)
        lanes, word = builder.load(changed), _I32(0)
        for lane in range(BLOCK):
            word = builder.or_(word, builder.extract_element(lanes, _I32(lane)))
        return word

    return signature, generate
