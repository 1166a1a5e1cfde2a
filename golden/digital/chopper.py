"""The chopper: draws a row's new polarity at random, where it is not just the other one.

One step of its register a row is enough. The bits are a maximal sequence: up to 31 in turn take
every pattern equally often but for all zeros, and any two, whatever the rows between them, are as
often equal as not, so that with no length of a range does a polarity follow the row's last one.
(What follows is the parity of three: a bit with those of 25 and of 31 rows before. More steps a
row would not change that: every 16th bit of such a sequence is the same sequence, elsewhere.)
"""

from __future__ import annotations

from spec.lfsr import CHOPPER_LAG, CHOPPER_RESET, step


class Chopper:
    """Its LFSR's `state`. INIT, LOAD and a soft reset leave it alone."""

    def __init__(self) -> None:
        """As after aresetn."""
        self.state = CHOPPER_RESET

    def reset(self) -> None:
        """aresetn."""
        self.state = CHOPPER_RESET

    def draw(self) -> int:
        """The polarity bit of the next row."""
        bit = self.state & 1
        self.state = step(self.state, CHOPPER_LAG)
        return bit
