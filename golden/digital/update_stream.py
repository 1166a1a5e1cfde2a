"""Update streams: codes become words of `slots` pulses by comparison with a shared threshold.

Each side draws once for the scramble and once a slot. A line pulses in a slot if the slot's
threshold is below its code, so that one comparator a line, of the code's width, does it all:
the learning rate scales the threshold. Words are those of golden/words.py.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from golden.words import PART_SLOTS, Words, parts_of
from spec.lfsr import COLUMN_LAG, DRAW_BITS, LFSR_MASK, ROW_LAG, draw
from spec.tile import TileSpec

DRAW_MASK = (1 << DRAW_BITS) - 1


AHEAD = 32
"""UPDATEs whose words the software finds at once."""


@cache
def _leaps(lag: int, draws: int) -> NDArray[np.int32]:
    """The next states (4, 256, draws) of a register by each byte of its state now.

    A register is linear: the states are the XOR of what its four bytes give alone. It saves the
    software a loop; hardware steps.
    """
    states = np.arange(256) << np.array([0, 8, 16, 24])[:, None] & LFSR_MASK
    table = np.zeros((4, 256, draws), np.int32)
    for index in range(draws):
        states = table[:, :, index] = draw(states, lag)
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
        self._leaps = _leaps(self._lag, AHEAD * (1 + self._slots))
        # What the next UPDATEs find: their states before, the scale that it holds for.
        self._states: list[int] = []
        self._scale, self._next = 0, AHEAD
        self._thresholds = np.zeros((AHEAD, self._slots), np.int64)
        self._tables = np.zeros((AHEAD, parts_of(self._slots), self._codes), np.uint32)

    def thresholds(self) -> NDArray[np.int64]:
        """The thresholds (slots,) of one UPDATE: (u * scale) >> 16, not truncated."""
        place = self._advance()
        return self._thresholds[place]

    def table(self) -> Words:
        """Words (parts, codes) of one UPDATE by code magnitude: what the comparators would say."""
        place = self._advance()
        return self._tables[place]

    def _advance(self) -> int:
        """Step the register by an UPDATE; its place among those found ahead."""
        place = self._next
        if place == AHEAD or self._scale != self.scale or self._states[place] != self.state:
            self._look_ahead()
            place = 0
        self._next = place + 1
        self.state = self._states[self._next]
        return place

    def _look_ahead(self) -> None:
        """Thresholds and tables of the next UPDATEs, from the present state and scale."""
        first, second, third, fourth = self._leaps
        state = self.state
        states = first[state & 0xFF] ^ second[(state >> 8) & 0xFF]
        states ^= third[(state >> 16) & 0xFF] ^ fourth[state >> 24]
        states = states.reshape(AHEAD, 1 + self._slots)
        self._states, self._scale = [state, *states[:, -1].tolist()], self.scale
        draws = states[:, 1:] & DRAW_MASK
        if self._low_discrepancy:
            scramble = (states[:, :1] & DRAW_MASK) >> (DRAW_BITS - self._slot_bits)
            low_bits = DRAW_BITS - self._slot_bits
            draws = ((self.order ^ scramble) << low_bits) | (draws & ((1 << low_bits) - 1))
        self._thresholds = (draws.astype(np.int64) * self.scale) >> DRAW_BITS
        # Each slot's bit is born at the first code above its threshold, and stays. A threshold at
        # or above the largest code never lets a line pulse.
        born = np.zeros((AHEAD, parts_of(self._slots), self._codes + 1), np.uint32)
        parts, places = np.divmod(np.arange(self._slots, dtype=np.uint32), PART_SLOTS)
        codes = np.minimum(self._thresholds + 1, self._codes)
        np.bitwise_or.at(born, (np.arange(AHEAD)[:, None], parts, codes), np.uint32(1) << places)
        self._tables = np.bitwise_or.accumulate(born, axis=2)[:, :, : self._codes]


def row_words(table: Words, durations: NDArray[np.int64]) -> Words:
    """Words (parts, rows) of row codes (rows,)."""
    return table.take(durations, axis=1)


def column_words(table: Words, codes: NDArray[np.int64]) -> Words:
    """Words (parts, columns) of the magnitudes of signed column codes (columns,)."""
    return table.take(np.abs(codes), axis=1)
