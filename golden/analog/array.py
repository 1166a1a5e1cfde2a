"""The array macro: cells, integrators and converters behind the boundary, on one analog clock.

Every public method that `spec.boundary.ArrayMacro` names is one boundary event: it is applied,
then the clock advances by its nominal duration, then the ticks that it crossed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from golden.analog.capacitor import Capacitors
from golden.analog.converter import Converters, joint_spread, ranges
from golden.analog.parameters import DeviceParameters
from golden.analog.pcm import PcmPairs
from spec.boundary import Pair
from spec.tile import TileSpec

IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Array:
    """The analog side of one tile.

    `weights` (rows, columns) float64 holds integers of fine units (so BLAS sums are exact, below
    2^53): F(G+ - G-) + p (g - g_ref), with p as it was last driven, per row in `signs`.
    """

    def __init__(self, spec: TileSpec, devices: DeviceParameters, seed: int, tile: int) -> None:
        """Draw the devices of tile number `tile` (0..63) from the seed."""
        self.spec, self.devices = spec, devices
        self.pcm = PcmPairs(spec, devices, seed, tile)
        self.capacitors = Capacitors(spec, devices, seed, tile)
        self.columns = Converters(devices, "column", spec.columns, seed, tile)
        self.rows = Converters(devices, "row", spec.rows, seed, tile)
        self.forward_range, self.backward_range, self.read_range = ranges(spec, devices)
        self.clock_ns = 0
        self.updates = 0
        self.signs = np.ones(spec.rows, np.int64)
        self.weights = np.zeros((spec.rows, spec.columns))
        self.refresh_weights()
        self._column_charge = np.zeros(spec.columns, np.int64)
        self._row_charge = np.zeros(spec.rows, np.int64)
        self._read_spread: IntArray | None = None
        timing = spec.timing
        self._tick_ns = timing.leak_tick_ns
        self._ramp_ns = timing.set_ramp_ns

    # -- the cell ----------------------------------------------------------------------------

    def _cells(self, row: int | slice) -> IntArray:
        lower = self.capacitors.lower[row] + self.capacitors.mismatch[row]
        sign = self.signs[row] if isinstance(row, int) else self.signs[row, None]
        return self.pcm.higher[row] + sign * lower

    def refresh_weights(self) -> None:
        """Recompute `weights` from the devices."""
        self.weights[:] = self._cells(slice(None))

    def weights_now(self, row_lower_swap: NDArray[np.integer]) -> NDArray[np.float64]:
        """Weights (rows, columns) as FORWARD would meet them, drift of this moment included."""
        lower = self.capacitors.lower + self.capacitors.mismatch
        signs = 1 - 2 * row_lower_swap.astype(np.int64)
        return (self.pcm.drifted(self.clock_ns) + signs[:, None] * lower).astype(np.float64)

    def _drive(self, rows: Mask, lower_swap: int) -> None:
        """Rows are about to be driven with this swap: bring their weights to its sign."""
        sign = 1 - 2 * lower_swap
        for row in np.flatnonzero(rows & (self.signs != sign)):
            self.signs[row] = sign
            self.weights[row] = self._cells(int(row))

    # -- phases ------------------------------------------------------------------------------

    def integrate_columns(self, durations: IntArray, lower_swap: int) -> None:
        """FORWARD phase: rows high for `durations` (rows,) cycles; columns integrate."""
        self._drive(durations > 0, lower_swap)
        self._column_charge += (durations.astype(np.float64) @ self.weights).astype(np.int64)
        self.wait(self.spec.timing.forward_phase_ns)

    def integrate_rows(self, durations: IntArray, row_lower_swap: NDArray[np.integer]) -> None:
        """BACKWARD phase: columns high for signed `durations` (columns,); rows integrate."""
        for swap in (0, 1):
            self._drive(row_lower_swap == swap, swap)
        self._row_charge += (self.weights @ durations.astype(np.float64)).astype(np.int64)
        self.wait(self.spec.timing.backward_phase_ns)

    def integrate_read(self, row: int, pair: Pair, lower_swap: int) -> None:
        """READ phase: one row, one selection of devices. Writes back drift older than a tick."""
        if self.pcm.write_back_drift(row, self.clock_ns):
            self.weights[row] = self._cells(row)
        sign = 1 - 2 * lower_swap
        lower = self.capacitors.lower[row].astype(np.int64) + self.capacitors.mismatch[row]
        if pair is not Pair.LOWER:
            self._column_charge += self.pcm.higher[row]
            self._read_spread = joint_spread(self.read_range.noise_scale, self.pcm.read_scale(row))
        if pair is not Pair.HIGHER:
            self._column_charge += sign * lower
        self.wait(self.spec.timing.read_phase_ns)

    # -- conversions -------------------------------------------------------------------------

    def convert_forward(self, active: Mask) -> IntArray:
        """Raw codes (columns,) in FORWARD's range; clears the integrators."""
        raw = self.columns.convert(self._column_charge, self.forward_range, active)
        self._column_charge[:] = 0
        self.wait(self.spec.timing.conversion_ns)
        return raw

    def convert_backward(self) -> IntArray:
        """Raw codes (rows,) in BACKWARD's range; clears the integrators."""
        raw = self.rows.convert(self._row_charge, self.backward_range)
        self._row_charge[:] = 0
        self.wait(self.spec.timing.conversion_ns)
        return raw

    def convert_read(self, active: Mask, repeats: int) -> IntArray:
        """Raw codes (repeats, columns) in READ's range; clears the integrators at the end."""
        charge, spread = self._column_charge, self._read_spread
        convert = self.columns.convert
        raw = np.array([convert(charge, self.read_range, active, spread) for _ in range(repeats)])
        self._column_charge[:] = 0
        self._read_spread = None
        self.wait(repeats * self.spec.timing.conversion_ns)
        return raw

    # -- writing -----------------------------------------------------------------------------

    def update(
        self, row_words: NDArray[np.uint32], column_words: NDArray[np.uint32], charge: Mask
    ) -> None:
        """UPDATE phase: words (rows,) and (columns,) of `slots` pulses; `charge` (columns,)."""
        rows, columns = np.flatnonzero(row_words), np.flatnonzero(column_words)
        counts = np.bitwise_count(row_words[rows, None] & column_words[columns])
        hit = np.flatnonzero(counts)
        if hit.size:
            i, j = np.divmod(hit, columns.size)
            counts, rows, columns = counts.reshape(-1)[hit], rows[i], columns[j]
            cells = rows * self.spec.columns + columns
            if self.devices.pcm.direct_update:
                self._pulse_pairs(cells, counts, charge[columns])
            else:
                moves = self.capacitors.pulse(cells, counts, charge[columns], self.updates)
                self.weights.reshape(-1)[cells] += self.signs[rows] * moves
        self.updates += 1
        self.wait(self.spec.timing.update_phase_ns)

    def _pulse_pairs(self, cells: IntArray, counts: NDArray[np.uint8], charge: Mask) -> None:
        """The pcm-only cell: a coincidence is a SET pulse on G+ (up) or G- (down)."""
        first = self.updates * 32
        for device in (0, 1):
            chosen = charge == (device == 0)
            self.pcm.pulse_cells(device, cells[chosen], counts[chosen].astype(np.int64), first)
        for row in np.unique(cells // self.spec.columns):
            self.weights[row] = self._cells(int(row))

    def precharge(self, row: int) -> None:
        """Bring a row's capacitors and their reference to V0."""
        self.capacitors.precharge(row)
        self.weights[row] = self._cells(row)
        self.wait(self.spec.timing.precharge_ns)

    def reset(self, row: int, active: Mask) -> None:
        """RESET both devices of the active columns of a row."""
        self.pcm.reset(row, active, self.clock_ns)
        self.weights[row] = self._cells(row)
        self.wait(self.spec.timing.reset_ns)

    def set(self, row: int, active: Mask, minus: Mask, step_codes: IntArray) -> None:
        """One SET ramp on a row; lasts as long as its longest ramp."""
        self.pcm.set(row, active, minus, step_codes, self.clock_ns)
        self.weights[row] = self._cells(row)
        self.wait(self._ramp_ns[int(step_codes.max(initial=0))])

    # -- time --------------------------------------------------------------------------------

    def wait(self, duration_ns: int) -> None:
        """Let analog time pass; the capacitors relax at every tick crossed."""
        ticks = self.clock_ns // self._tick_ns
        self.clock_ns += duration_ns
        for _ in range(self.clock_ns // self._tick_ns - ticks):
            if not self.capacitors.leak():
                break
            self.refresh_weights()

    def worn_rows(self) -> IntArray:
        """pcm-only: rows with a worn pair, a device above the level and the other above a quarter.

        Where one device alone holds the weight, a RESET and SET would gain nothing.
        """
        level = int(self.devices.pcm.refresh_level * self.pcm.tables.stuck_on)
        g_plus, g_minus = self.pcm.g_plus, self.pcm.g_minus
        worn = (np.maximum(g_plus, g_minus) > level) & (np.minimum(g_plus, g_minus) > level // 4)
        return np.flatnonzero(worn.any(axis=1))
