"""UPDATE where a line's word has several parts: over 32 slots. One part has loops of its own.

A part of `words` begins P[t, STRIDE] after the one before.
"""

from __future__ import annotations

import numpy as np

from golden.engines.compiled import array
from golden.engines.compiled import layout as at
from golden.engines.compiled.cache import compiled, inlined
from golden.engines.compiled.draws import popcount
from golden.engines.compiled.vectors import BLOCK, pulse_columns_of_parts
from golden.words import PART_SLOTS
from spec.tile import SKEW_ROWS


@inlined
def join_table(flat, t):
    """COLUMN_TABLE, from which pulsing columns are listed: the parts of COLUMN_PARTS or'ed."""
    p, table, joined = flat.P[t], flat.words[at.COLUMN_PARTS], flat.words[at.COLUMN_TABLE]
    for code in range(1 << p[at.COLUMN_BITS]):
        joined[code] = 0
        for part in range(p[at.PARTS]):
            joined[code] |= table[part * p[at.STRIDE] + code]


@compiled
def turned(table, code, late, part, parts, stride):
    """A part of a code's word whose pulses are `late` slots later, the last coming first."""
    whole, rest = late // PART_SLOTS, np.uint64(late % PART_SLOTS)
    up = np.uint64(table[(part - whole) % parts * stride + code])
    over = np.uint64(table[(part - whole - 1) % parts * stride + code])
    return np.uint32(((up << rest) | (over >> (np.uint64(PART_SLOTS) - rest))) & 0xFFFFFFFF)


@inlined
def list_blocks(flat, t, sign):
    """List the blocks with a pulse: DRIVEN, their ROW_WORDS, and these JOINED. Returns how many.

    Only rows of polarity `sign` pulse; 0: all.
    """
    p, count, stride = flat.P[t], 0, flat.P[t, at.STRIDE]
    table, words = flat.words[at.ROW_TABLE], flat.words[at.ROW_WORDS]
    for row in range(0, p[at.BLOCKS] * BLOCK, BLOCK):
        found = np.uint32(0)
        for part in range(p[at.PARTS]):
            joined = np.uint32(0)
            for i in range(row, row + BLOCK):
                line, word = p[at.LINE] + i, np.uint32(0)
                code = np.int64(flat.durations[line])
                if code and (sign == 0 or flat.signs[line] == sign):
                    late = flat.order[line] // SKEW_ROWS % p[at.ROW_TAPS]
                    word = turned(table, code, late, part, p[at.PARTS], stride)
                words[part * stride + i] = word
                joined |= word
            flat.words[at.JOINED, part * stride + count] = joined
            found |= joined
        flat.scratch[at.DRIVEN, count] = row
        count += found != 0
    return count


@inlined
def list_words(flat, t, listed):
    """COLUMN_WORDS of the `listed` columns, all their parts."""
    p, table, words = flat.P[t], flat.words[at.COLUMN_PARTS], flat.words[at.COLUMN_WORDS]
    for k in range(listed):
        code = abs(flat.columns[at.ERROR, p[at.COLUMN] + flat.scratch[at.OFFSETS, k] // BLOCK])
        for part in range(0, p[at.PARTS] * p[at.STRIDE], p[at.STRIDE]):
            words[part + k] = table[part + code]


@inlined
def list_hits(flat, t, block, listed):
    """HITS: which of the `listed` columns meet a block's words. Returns how many."""
    p, count = flat.P[t], 0
    words, joined = flat.words[at.COLUMN_WORDS], flat.words[at.JOINED]
    for k in range(listed):
        met = np.uint32(0)
        for part in range(0, p[at.PARTS] * p[at.STRIDE], p[at.STRIDE]):
            met |= words[part + k] & joined[part + block]
        flat.scratch[at.HITS, count] = k
        count += met != 0
    return count


@compiled
def update_cells(flat, t, count, listed):
    """`update` of cells that draw, one by one."""
    p, row_words = flat.P[t], flat.words[at.ROW_WORDS]
    end, stride = p[at.PARTS] * p[at.STRIDE], p[at.STRIDE]
    for k in range(listed):
        j, words = flat.scratch[at.OFFSETS, k] // BLOCK, flat.words[at.COLUMN_WORDS, k:]
        direction = np.int64(flat.work[at.DOWNS, k]) | 1
        for block in range(count):
            first = flat.scratch[at.DRIVEN, block]
            for place in range(first, first + BLOCK):
                row, met = flat.order[p[at.LINE] + place], np.int64(0)
                for part in range(0, end, stride):
                    met += popcount(row_words[part + place] & words[part])
                if row < p[at.ROWS]:
                    array.pulse_cell(flat, t, row, j, met, direction)


@inlined
def update(flat, t, count, listed):
    """UPDATE phase of tile t: `listed` columns against the `count` DRIVEN blocks of ROW_WORDS."""
    p = flat.P[t]
    list_words(flat, t, listed)
    if p[at.DIRECT] or p[at.CYCLE_SCALE]:
        update_cells(flat, t, count, listed)
        return
    for k in range(count):
        row = flat.scratch[at.DRIVEN, k]
        pulse_columns_of_parts(
            flat.lower,
            flat.weight,
            flat.steps,
            p[at.GRID] + row * p[at.WIDTH],
            flat.words[at.ROW_WORDS],
            flat.signs,
            row,
            p[at.LINE] + row,
            flat.scratch[at.OFFSETS],
            flat.scratch[at.SIDES],
            flat.words[at.COLUMN_WORDS],
            flat.work[at.DOWNS],
            flat.work[at.SLOPES],
            flat.scratch[at.HITS],
            np.int64(list_hits(flat, t, k, listed)),
            np.int32(p[at.BOUND]),
            p[at.PARTS],
            p[at.STRIDE],
        )
