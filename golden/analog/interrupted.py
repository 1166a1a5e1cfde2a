"""An array macro in which a soft reset falls: the part of an event that still happens.

An event begun takes its whole nominal time, but for IDLE, of which only the cycles that passed have
passed. PRECHARGE, RESET and SET complete; a drive phase completes and its charge is lost; an UPDATE
is the slots delivered, and has had its ordinal; of a conversion only what was returned has drawn
noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from golden.analog.array import Array, IntArray, Mask
from golden.words import Words, thermometer
from spec.boundary import Pair, SoftReset

NEVER = -1


class InterruptedArray:
    """An `ArrayMacro` before `array` that ends one of its events with `SoftReset`."""

    def __init__(self, array: Array) -> None:
        """Nothing is interrupted before `cut` says so."""
        self.array = array
        self.events = 0
        """Boundary events begun."""
        self._cut_at = NEVER
        self._slots = self._conversions = self._idle_cycles = 0
        self._begun = True

    def cut(
        self,
        event: int,
        slots: int = 0,
        conversions: int = 0,
        begun: bool = True,
        idle_cycles: int = 0,
    ) -> None:
        """Let a soft reset fall in boundary event number `event` from now; 0 is the next.

        Where it is an UPDATE, `slots` are delivered; where a conversion, `conversions` (of its
        repeats) are returned, and the next has `begun` or not; where an IDLE, `idle_cycles` have
        passed. With all of them, it falls between this event and the next.
        """
        self._cut_at = self.events + event
        self._slots, self._conversions, self._begun = slots, conversions, begun
        self._idle_cycles = idle_cycles

    def _falls_here(self) -> bool:
        self.events += 1
        return self.events - 1 == self._cut_at

    def _end(self) -> None:
        self.array.clear_integrators()
        self._cut_at = NEVER
        raise SoftReset

    # -- phases and strobes: whole -----------------------------------------------------------

    def integrate_columns(self, durations: IntArray, lower_swap: int) -> None:
        """FORWARD phase."""
        falls_here = self._falls_here()
        self.array.integrate_columns(durations, lower_swap)
        if falls_here:
            self._end()

    def integrate_rows(self, durations: IntArray, row_lower_swap: NDArray[np.integer]) -> None:
        """BACKWARD phase."""
        falls_here = self._falls_here()
        self.array.integrate_rows(durations, row_lower_swap)
        if falls_here:
            self._end()

    def integrate_read(self, row: int, pair: Pair, lower_swap: int) -> None:
        """READ phase."""
        falls_here = self._falls_here()
        self.array.integrate_read(row, pair, lower_swap)
        if falls_here:
            self._end()

    def precharge(self, row: int) -> None:
        """PRECHARGE of a row."""
        falls_here = self._falls_here()
        self.array.precharge(row)
        if falls_here:
            self._end()

    def reset(self, row: int, active: Mask) -> None:
        """RESET of a row."""
        falls_here = self._falls_here()
        self.array.reset(row, active)
        if falls_here:
            self._end()

    def set(self, row: int, active: Mask, minus: Mask, step_codes: IntArray) -> None:
        """One SET ramp on a row."""
        falls_here = self._falls_here()
        self.array.set(row, active, minus, step_codes)
        if falls_here:
            self._end()

    # -- in parts ----------------------------------------------------------------------------

    def wait(self, duration_ns: int) -> None:
        """Let analog time pass: IDLE."""
        if self._falls_here():
            passed_ns = self._idle_cycles * self.array.spec.timing.cycle_ns
            self.array.wait(min(duration_ns, passed_ns))
            self._end()
        self.array.wait(duration_ns)

    def update(self, row_words: Words, column_words: Words, charge: Mask) -> None:
        """UPDATE phase."""
        if self._falls_here():
            delivered = thermometer(self._slots, self.array.spec.update.slots)
            self.array.update(row_words & delivered, column_words & delivered, charge)
            self._end()
        self.array.update(row_words, column_words, charge)

    def convert_forward(self, active: Mask) -> NDArray[np.signedinteger]:
        """Raw codes (columns,) in FORWARD's range."""
        if self._falls_here():
            if self._conversions:
                self.array.convert_forward(active)
            self._end_conversion(1)
        return self.array.convert_forward(active)

    def convert_backward(self) -> NDArray[np.signedinteger]:
        """Raw codes (rows,) in BACKWARD's range."""
        if self._falls_here():
            if self._conversions:
                self.array.convert_backward()
            self._end_conversion(1)
        return self.array.convert_backward()

    def convert_read(self, active: Mask, repeats: int) -> NDArray[np.signedinteger]:
        """Raw codes (repeats, columns) in READ's range."""
        if self._falls_here():
            returned = min(self._conversions, repeats)
            if returned:
                self.array.convert_read(active, returned)
            self._end_conversion(repeats)
        return self.array.convert_read(active, repeats)

    def _end_conversion(self, repeats: int) -> None:
        if self._conversions < repeats and self._begun:
            self.array.wait(self.array.spec.timing.conversion_ns)
        self._end()
