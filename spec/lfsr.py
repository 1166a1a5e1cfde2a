"""The linear-feedback shift registers of the update streams and of the chopper.

Each has a Fibonacci register of 31 bits over a primitive trinomial x^31 + x^(31-lag) + 1 of its
own. The new bit is the XOR of the bits `31` and `lag` places back; the streams' lags are at least
16, so a draw (16 steps) is one layer of 16 XORs in hardware and one word operation in software.
"""

from __future__ import annotations

from typing import Any

LFSR_BITS = 31
STEPS_A_DRAW = 16
DRAW_BITS = 16
ROW_LAG = 28
COLUMN_LAG = 18
CHOPPER_LAG = 25
LFSR_MASK = (1 << LFSR_BITS) - 1
CHOPPER_RESET = 0x243F6A88
"""The chopper's state after aresetn, in every tile: the first binary digits of pi's fraction.

Zeros and ones in about equal number: a register with a single one in it gives long runs of zeros
before it looks random.
"""


def draw(state: Any, lag: int) -> Any:
    """The state after one draw (16 steps); its low 16 bits are the number drawn.

    Works on `int` and on integer arrays alike.

    Bit k of the state is the bit produced k steps ago.
    """
    new = (state >> (LFSR_BITS - STEPS_A_DRAW)) ^ (state >> (lag - STEPS_A_DRAW))
    return ((state << STEPS_A_DRAW) | (new & ((1 << STEPS_A_DRAW) - 1))) & LFSR_MASK


def step(state: Any, lag: int) -> Any:
    """The state after one step; its lowest bit is the new one."""
    new = (state >> (LFSR_BITS - 1)) ^ (state >> (lag - 1))
    return ((state << 1) | (new & 1)) & LFSR_MASK
