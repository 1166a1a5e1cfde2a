"""The lower-significance conductance: a 3T1C cell per crosspoint and its reference.

State `lower` is g - g_ref without the mismatch at V0, in fine units: zero after a precharge.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from golden.analog import tables
from golden.analog.parameters import GRID, DeviceParameters, max_step
from golden.analog.random import Mechanism, bell, bell_scale, philox, scaled
from spec.formats import nearest
from spec.parameter import as_fraction
from spec.tile import MAX_SLOTS, TileSpec

IntArray = NDArray[np.int64]

SLOPE_BITS = 10
"""The slope acts in steps of 2^-10 of the step size, so that c * step * factor fits 31 bits."""

# Arrays without dimensions: the form of a constant that costs NumPy least a call.
_SLOPE_BITS, _ONE = np.array(SLOPE_BITS, np.int32), np.array(1 << SLOPE_BITS, np.int32)
_STEP = np.array((1 << 15) - 1, np.int32)
_DIRECTIONS, _STEPS_AT = np.array([[-1, 1], [0, 16]], np.int32)
"""By whether a column charges: its sign, and where the steps of both directions have its own."""

SPREAD_BITS = 16
ROOTS = np.array([nearest(Fraction(str(n**0.5)) * 256) for n in range(MAX_SLOTS + 1)], np.int64)
"""256 sqrt(n): the spread of n independent cycle-to-cycle steps."""


class Capacitors:
    """The capacitors of a tile; arrays (rows, columns). Only `lower` is state.

    step_up, step_down int16: change of one coincidence. mismatch int32: (g - g_ref) at V0.
    """

    def __init__(self, spec: TileSpec, devices: DeviceParameters, seed: int, tile: int) -> None:
        """Draw the fixed device-to-device variations from the seed; start precharged."""
        capacitor = devices.capacitor
        shape = (spec.rows, spec.columns)
        cells = np.arange(spec.rows * spec.columns).reshape(shape)

        def variation(mechanism: Mechanism, sigma: float, unit: int) -> IntArray:
            draws = bell(philox(seed, mechanism, tile, cells, 0))
            return scaled(draws, bell_scale(as_fraction(sigma) * unit))

        one = 1 << SPREAD_BITS
        step = nearest(as_fraction(capacitor.step) * GRID)
        most = max_step(spec.update.slots)
        size = one + variation(Mechanism.STEP, capacitor.step_spread, one)
        beta = variation(Mechanism.MISMATCH, capacitor.up_down_mismatch, one)

        def steps(factor: IntArray) -> NDArray[np.int16]:
            value = (((step * size) >> SPREAD_BITS) * factor) >> SPREAD_BITS
            return np.clip(value, 0, most).astype(np.int16)

        self.step_up, self.step_down = steps(one + beta), steps(one - beta)
        # Both directions by cell number in one integer, for one look-up: up in the upper half.
        both = self.step_up.astype(np.int32) << _STEPS_AT[1] | self.step_down
        self._steps = both.reshape(-1)
        sigma = capacitor.reference_mismatch
        self.mismatch = variation(Mechanism.REFERENCE, sigma, GRID).astype(np.int32)
        self.lower = np.zeros(shape, np.int32)
        self._cells = self.lower.reshape(-1)
        self.bound = nearest(as_fraction(capacitor.bound) * GRID)
        self._lowest = np.array(-self.bound, np.int32)
        self._highest = np.array(self.bound, np.int32)
        self.slope = nearest(
            as_fraction(capacitor.slope) / as_fraction(capacitor.bound) * (1 << SLOPE_BITS)
        )
        self._slopes = _DIRECTIONS * np.int32(self.slope)
        self.cycle_scale = bell_scale(as_fraction(capacitor.cycle_to_cycle) * (1 << SPREAD_BITS))
        self._address = (seed, tile)
        self.leak_loss, self.leak_target = _leak(spec, devices)

    def pulse(
        self,
        cells: NDArray[np.integer],
        counts: NDArray[np.int32],
        charge: NDArray[np.bool_],
        ordinal: int,
    ) -> NDArray[np.int32]:
        """Apply `counts` (n, m) coincidences to `cells` (n, m), by number; charge (m,): up?

        Cells are those where n rows cross m columns. Gives the change (n, m). All steps of one
        UPDATE see the g that it found. A step shrinks towards the bound it moves to, and grows
        away from it, by the slope.
        """
        # All crosspoints of these rows and columns, though some have no coincidence: to pick only
        # those that have would take longer than to move the others by nothing. In place: half of
        # the time is memory. Cells are in range, and "wrap" asks least.
        up = charge.view(np.uint8)
        g = self._cells.take(cells, mode="wrap")
        step = self._steps.take(cells, mode="wrap")
        step >>= _STEPS_AT.take(up)
        step &= _STEP
        change = g >> _SLOPE_BITS
        change *= self._slopes.take(up)
        change >>= _SLOPE_BITS
        np.subtract(_ONE, change, out=change)
        change *= step
        change *= counts
        change >>= _SLOPE_BITS
        if self.cycle_scale:
            self._add_cycle(change, cells, counts, step, ordinal)
        change *= _DIRECTIONS.take(up)
        change += g
        np.maximum(change, self._lowest, out=change)
        np.minimum(change, self._highest, out=change)
        self._cells[cells] = change
        change -= g
        return change

    def _add_cycle(
        self,
        change: NDArray[np.int32],
        cells: NDArray[np.integer],
        counts: NDArray[np.int32],
        step: NDArray[np.int32],
        ordinal: int,
    ) -> None:
        """Cycle-to-cycle noise, drawn for the cells that have a coincidence."""
        seed, tile = self._address
        hit = counts.nonzero()
        draws = bell(philox(seed, Mechanism.CYCLE, tile, cells[hit], ordinal))
        noise = ((step[hit] * ROOTS[counts[hit]]) >> 8) * scaled(draws, self.cycle_scale)
        change[hit] += (noise >> SPREAD_BITS).astype(np.int32)

    def precharge(self, row: int) -> None:
        """Bring a row and its reference to V0."""
        self.lower[row] = 0

    def leak(self) -> bool:
        """One tick: every capacitor relaxes towards its target by one factor, one rounding.

        False where nothing moved, and so nothing will before the next write.
        """
        if not self.leak_loss:
            return False
        loss = np.subtract(self.lower, self.leak_target, dtype=np.int64)
        loss *= self.leak_loss
        loss += 1 << 29
        loss >>= tables.VALUE_BITS
        moved = self.lower - loss.astype(np.int32)
        moved.clip(self._lowest, self._highest, out=moved)
        if np.array_equal(moved, self.lower):
            return False
        self.lower[:] = moved
        return True


def _leak(spec: TileSpec, devices: DeviceParameters) -> tuple[int, int]:
    """(2^30 x share lost a tick, the level relaxed to in fine units)."""
    capacitor = devices.capacitor
    if capacitor.leak_tau_ns == 0:
        return 0, 0
    tick = Fraction(spec.timing.leak_tick_ns)
    loss = tables.decay_loss(tick, as_fraction(capacitor.leak_tau_ns))
    if capacitor.reference == "tracking":
        return loss, 0
    volts = as_fraction(capacitor.leak_target_V) - as_fraction(capacitor.start_V)
    return loss, nearest(volts / as_fraction(capacitor.volt_per_weight) * GRID)
