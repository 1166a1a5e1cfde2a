"""The linear-feedback shift registers of the update streams.

Each side has a Fibonacci register of 31 bits over a primitive trinomial x^31 + x^(31-lag) + 1 of
its own. The new bit is the XOR of the bits `31` and `lag` places back; both lags are at least 16,
so a draw (16 steps) is one layer of 16 XORs in hardware and one word operation in software.
"""

from __future__ import annotations

from typing import Any

LFSR_BITS = 31
STEPS_A_DRAW = 16
DRAW_BITS = 16
ROW_LAG = 28
COLUMN_LAG = 18
LFSR_MASK = (1 << LFSR_BITS) - 1


def draw(state: Any, lag: int) -> Any:
    """The state after one draw (16 steps); its low 16 bits are the number drawn.

    Works on `int` and on integer arrays alike.

    Bit k of the state is the bit produced k steps ago.
    """
    new = (state >> (LFSR_BITS - STEPS_A_DRAW)) ^ (state >> (lag - STEPS_A_DRAW))
    return ((state << STEPS_A_DRAW) | (new & ((1 << STEPS_A_DRAW) - 1))) & LFSR_MASK
