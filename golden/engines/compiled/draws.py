"""Counter-based draws, bells, rounding, population count and the table functions, compiled."""

from __future__ import annotations

import numpy as np
from numba import types

from golden.analog.random import BELL_CENTRE, BELL_SHIFT, LINE_BITS, MULTIPLIER, TILE_BITS, WEYL
from golden.analog.tables import INDEX_BITS, VALUE_BITS
from golden.engines.compiled.cache import compiled
from golden.engines.compiled.vectors import intrinsic

_M, _W, _LOW = np.uint64(MULTIPLIER), np.uint64(WEYL), np.uint64(0xFFFFFFFF)
_32, _16, _48, _FIELD = np.uint64(32), np.uint64(16), np.uint64(48), np.uint64(0xFFFF)
_MECHANISM, _TILE = np.uint64(TILE_BITS + LINE_BITS), np.uint64(LINE_BITS)
_CENTRE, _HALF = np.int64(BELL_CENTRE), np.int64(1 << (BELL_SHIFT - 1))
_INDEX_MASK, _REST = (1 << INDEX_BITS) - 1, VALUE_BITS - INDEX_BITS - 16


@intrinsic
def popcount(typing_context, word):
    """Ones in a 32-bit word."""
    signature = types.int32(types.uint32)

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return signature, generate


@compiled
def philox(seed, mechanism, tile, line, ordinal):
    """64 bits of an address; all arguments uint64."""
    # What stands above bit 31 of low and high is never looked at: it costs nothing to leave it.
    low = ordinal
    high = (mechanism << _MECHANISM) | (tile << _TILE) | line
    key = seed & _LOW
    for _ in range(10):
        product = (low & _LOW) * _M
        low = (product >> _32) ^ key ^ high
        high = product
        key = (key + _W) & _LOW
    return (high << _32) | (low & _LOW)


@compiled
def bell(bits):
    """Sum of four 16-bit fields, centred; int64."""
    total = (bits & _FIELD) + ((bits >> _16) & _FIELD) + ((bits >> _32) & _FIELD) + (bits >> _48)
    return np.int64(total) - _CENTRE


@compiled
def bell_at(seed, mechanism, tile, line, ordinal):
    """The bell of an address given in plain integers."""
    return bell(
        philox(seed, np.uint64(mechanism), np.uint64(tile), np.uint64(line), np.uint64(ordinal))
    )


@compiled
def scaled(value, scale):
    """(value * scale) >> 16, rounded half up."""
    return (value * scale + _HALF) >> np.int64(BELL_SHIFT)


@compiled
def round_half_even(value, shift):
    """value / 2^shift, ties to even; a negative shift is exact."""
    if shift <= 0:
        return value << -shift
    odd = (value >> shift) & 1
    return (value + (np.int64(1) << (shift - 1)) - 1 + odd) >> shift


@compiled
def clip(value, low, high):
    """value limited to low..high."""
    return min(max(value, low), high)


@compiled
def log2(table, value):
    """2^30 log2(value)."""
    exponent = 0
    while (value >> exponent) > 1:
        exponent += 1
    fraction = (value << (62 - exponent)) - (1 << 62)
    index = fraction >> (62 - INDEX_BITS)
    rest = (fraction >> (62 - INDEX_BITS - 16)) & 0xFFFF
    low, high = table[index], table[index + 1]
    return (exponent << VALUE_BITS) + low + (((high - low) * rest) >> 16)


@compiled
def exp2_negative(table, power):
    """2^30 2^(-power / 2^30)."""
    index = (power >> (VALUE_BITS - INDEX_BITS)) & _INDEX_MASK
    rest = (power >> _REST) & 0xFFFF
    low, high = table[index], table[index + 1]
    return (low + (((high - low) * rest) >> 16)) >> min(power >> VALUE_BITS, 62)
