"""Update streams: codes become words of `slots` pulses by comparison with a shared threshold.

Each side draws once for the scramble and once a slot. A line pulses in a slot if the slot's
threshold is below its code, so that one comparator a line, of the code's width, does it all:
the learning rate scales the threshold. A word has slot s in bit s.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from spec.lfsr import COLUMN_LAG, DRAW_BITS, LFSR_MASK, ROW_LAG, draw
from spec.tile import TileSpec

DRAW_MASK = (1 << DRAW_BITS) - 1


@cache
def _leaps(lag: int, draws: int) -> NDArray[np.int64]:
    """All states of an UPDATE's draws (4, 256, draws) by each byte of the state before.

    A register is linear: the states are the XOR of what its four bytes give alone. It saves the
    software a loop; hardware steps.
    """
    table = np.zeros((4, 256, draws), np.int64)
    for byte in range(4):
        for value in range(256):
            state = (value << (8 * byte)) & LFSR_MASK
            for index in range(draws):
                state = table[byte, value, index] = draw(state, lag)
    return table


class UpdateStream:
    """One side's generator: its LFSR, and thresholds scaled by the rate register `scale`."""

    def __init__(self, spec: TileSpec, side: str, state: int) -> None:
        """`side` is "row" or "column"; `state` seeds the LFSR and is never 0."""
        if side not in ("row", "column"):
            raise ValueError(f"side {side!r}: row or column")
        if not 0 < state <= LFSR_MASK:
            raise ValueError("an LFSR state is never 0")
        self._slots, self._slot_bits = spec.update.slots, spec.update.slot_bits
        self._low_discrepancy = spec.update.stream_mode == "low_discrepancy"
        self._lag = ROW_LAG if side == "row" else COLUMN_LAG
        code = spec.row_code if side == "row" else spec.column_code
        self._codes = code.high + 1
        self.scale = 1 << code.bits
        self.state = state
        order = range(self._slots)
        if side == "column":
            order = [int(f"{slot:0{self._slot_bits}b}"[::-1], 2) for slot in order]
        self.order = np.array(order, np.int64)
        self._leaps = _leaps(self._lag, 1 + self._slots)

    def thresholds(self) -> NDArray[np.int64]:
        """The thresholds (slots,) of one UPDATE: (u * scale) >> 16, not truncated."""
        first, second, third, fourth = self._leaps
        state = self.state
        states = first[state & 0xFF] ^ second[(state >> 8) & 0xFF]
        states = states ^ third[(state >> 16) & 0xFF] ^ fourth[state >> 24]
        self.state = int(states[-1])
        scramble = int(states[0] & DRAW_MASK) >> (DRAW_BITS - self._slot_bits)
        draws = states[1:] & DRAW_MASK
        if self._low_discrepancy:
            low_bits = DRAW_BITS - self._slot_bits
            top = self.order ^ scramble
            draws = (top << low_bits) | (draws & ((1 << low_bits) - 1))
        return (draws * self.scale) >> DRAW_BITS

    def table(self) -> NDArray[np.uint32]:
        """Words (codes,) of one UPDATE, one a code magnitude: what the comparators would say."""
        thresholds = self.thresholds()
        born = np.zeros(self._codes + 1, np.uint32)
        slots = np.uint32(1) << np.arange(self._slots, dtype=np.uint32)
        # A threshold at or above the largest code never lets a line pulse.
        np.bitwise_or.at(born, np.minimum(thresholds + 1, self._codes), slots)
        return np.bitwise_or.accumulate(born)[: self._codes]


def row_words(table: NDArray[np.uint32], durations: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Words (rows,) of row codes (rows,)."""
    return table[durations]


def column_words(table: NDArray[np.uint32], codes: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Words (columns,) of the magnitudes of signed column codes (columns,)."""
    return table[np.abs(codes)]


def thermometer(pulses: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Words whose first `pulses` (columns,) slots are high."""
    return ((np.uint64(1) << pulses.astype(np.uint64)) - np.uint64(1)).astype(np.uint32)


def coincidences(rows: NDArray[np.uint32], columns: NDArray[np.uint32]) -> NDArray[np.integer]:
    """Slots in which row and column are both high, (rows, columns)."""
    return np.bitwise_count(rows[:, None] & columns[None, :])
