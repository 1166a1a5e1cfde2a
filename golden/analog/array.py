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
from golden.analog.pcm import PcmPairs, pulse_ordinals
from golden.words import Words
from spec.boundary import Pair
from spec.tile import TileSpec

IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Array:
    """The analog side of one tile.

    A weight, in fine units, is F(G+ - G-) + p (g - g_ref). `weights` (rows, columns) holds them
    with p as the row was last driven, in `signs` (rows,); 0 says that the row has changed since,
    other than by an UPDATE with one p for all rows, which moves `weights` along. Weights and
    charges are integers held in float64: sums in BLAS are exact below 2^53.
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
        self._cell_weights = self.weights.reshape(-1)
        self._first_cells = np.arange(spec.rows) * spec.columns
        self.refresh_weights()
        self._no_column_charge, self._no_row_charge = np.zeros(spec.columns), np.zeros(spec.rows)
        self._column_charge, self._row_charge = self._no_column_charge, self._no_row_charge
        self._read_spread: IntArray | None = None
        self._spread, self._spread_of = np.zeros(spec.columns, np.int64), (-1, -1)
        timing = spec.timing
        self._tick_ns, self._ramp_ns = timing.leak_tick_ns, timing.set_ramp_ns
        self._forward_ns, self._backward_ns = timing.forward_phase_ns, timing.backward_phase_ns
        self._read_ns, self._update_ns = timing.read_phase_ns, timing.update_phase_ns
        self._conversion_ns = timing.conversion_ns

    # -- the cell ----------------------------------------------------------------------------

    def refresh_weights(self) -> None:
        """Recompute `weights` from the devices and `signs`."""
        self._hold(np.arange(self.spec.rows))

    def weights_now(self, row_lower_swap: NDArray[np.integer]) -> NDArray[np.float64]:
        """Weights (rows, columns) as FORWARD would meet them, drift of this moment included."""
        lower = self.capacitors.lower + self.capacitors.mismatch
        signs = 1 - 2 * row_lower_swap.astype(np.int64)
        return (self.pcm.drifted(self.clock_ns) + signs[:, None] * lower).astype(np.float64)

    def _drive(self, signs: IntArray) -> None:
        """Bring `weights` to these p (rows,)."""
        rows = (self.signs != signs).nonzero()[0]
        self.signs[:] = signs
        self._hold(rows)

    def _hold(self, rows: IntArray) -> None:
        lower = self.capacitors.lower.take(rows, axis=0)
        lower += self.capacitors.mismatch.take(rows, axis=0)
        lower *= self.signs.take(rows).astype(np.int32)[:, None]
        self.weights[rows] = self.pcm.higher.take(rows, axis=0) + lower
        first = int(self.signs[0])
        self._common_sign = first if (self.signs == first).all() else 0

    def _written(self, rows: IntArray | int | slice) -> None:
        self.signs[rows] = self._common_sign = 0

    # -- phases ------------------------------------------------------------------------------

    def integrate_columns(self, durations: IntArray, lower_swap: int) -> None:
        """FORWARD phase: rows high for `durations` (rows,) cycles; columns integrate."""
        sign = 1 - 2 * lower_swap
        if self._common_sign != sign:
            self._drive(np.where((durations > 0) | (self.signs == 0), sign, self.signs))
        self._integrate(np.dot(durations, self.weights))
        self.wait(self._forward_ns)

    def integrate_rows(self, durations: IntArray, row_lower_swap: NDArray[np.integer]) -> None:
        """BACKWARD phase: columns high for signed `durations` (columns,); rows integrate."""
        # With one p for all rows, the count of inverted rows says whether `weights` have it.
        inverted = np.count_nonzero(row_lower_swap)
        if not self._common_sign or inverted != (0 if self._common_sign == 1 else self.spec.rows):
            self._drive(1 - 2 * row_lower_swap.astype(np.int64))
        charge = np.dot(self.weights, durations)
        if self._row_charge is not self._no_row_charge:
            charge += self._row_charge
        self._row_charge = charge
        self.wait(self._backward_ns)

    def integrate_read(self, row: int, pair: Pair, lower_swap: int) -> None:
        """READ phase: one row, one selection of devices. Writes back drift older than a tick."""
        if self.pcm.write_back_drift(row, self.clock_ns):
            self._written(row)
        driven = self.pcm.higher[row]
        if pair is not Pair.HIGHER:
            lower = self.capacitors.lower[row] + self.capacitors.mismatch[row]
            if pair is Pair.LOWER:
                driven = np.array(0, np.int32)
            driven = driven - lower if lower_swap else driven + lower
        if pair is not Pair.LOWER:
            self._read_spread = self._joint_spread(row)
        self._integrate(driven)
        self.wait(self._read_ns)

    def _integrate(self, charge: NDArray) -> None:
        """Add charge (columns,) to what the integrators hold."""
        if self._column_charge is not self._no_column_charge:
            charge = charge + self._column_charge
        self._column_charge = charge

    def _joint_spread(self, row: int) -> IntArray:
        """Spread of a READ of a row; the same for all READs between two writes of its pairs."""
        written = row, self.pcm.ordinals.item(row)
        if self._spread_of != written:
            cells = self.pcm.read_scale(row)
            self._spread = joint_spread(self.read_range.noise_scale, cells)
            self._spread_of = written
        return self._spread

    # -- conversions -------------------------------------------------------------------------

    def convert_forward(self, active: Mask) -> NDArray[np.signedinteger]:
        """Raw codes (columns,) in FORWARD's range; clears the integrators."""
        raw = self.columns.convert(self._column_charge, self.forward_range, active)[0]
        self._column_charge = self._no_column_charge
        self.wait(self._conversion_ns)
        return raw

    def convert_backward(self) -> NDArray[np.signedinteger]:
        """Raw codes (rows,) in BACKWARD's range; clears the integrators."""
        raw = self.rows.convert(self._row_charge, self.backward_range)[0]
        self._row_charge = self._no_row_charge
        self.wait(self._conversion_ns)
        return raw

    def convert_read(
        self, active: Mask, repeats: int, *, hold: bool = False
    ) -> NDArray[np.signedinteger]:
        """Raw codes (repeats, columns) in READ's range; clears the integrators, or they hold."""
        charge, spread = self._column_charge, self._read_spread
        raw = self.columns.convert(charge, self.read_range, active, spread, repeats)
        if not hold:
            self._column_charge = self._no_column_charge
            self._read_spread = None
        self.wait(repeats * self._conversion_ns)
        return raw

    def clear_integrators(self) -> None:
        """What a soft reset does to them: their charge is never converted. Takes no time."""
        self._column_charge, self._row_charge = self._no_column_charge, self._no_row_charge
        self._read_spread = None

    # -- writing -----------------------------------------------------------------------------

    def update(self, row_words: Words, column_words: Words, charge: Mask) -> None:
        """UPDATE phase: words (parts, rows) and (parts, columns); `charge` (columns,)."""
        if np.count_nonzero(column_words):
            rows, columns, counts = coincidences(row_words, column_words)
            cells = self._first_cells.take(rows)[:, None] + columns
            if self.devices.pcm.direct_update:
                self._pulse_pairs(rows, cells, counts, charge.take(columns))
            else:
                moved = self.capacitors.pulse(cells, counts, charge.take(columns), self.updates)
                self._move(rows, cells, moved)
        self.updates += 1
        self.wait(self._update_ns)

    def _move(self, rows: IntArray, cells: IntArray, moved: NDArray[np.int32]) -> None:
        """Move `weights` as the capacitors of `cells` (n, m), which lie in `rows` (n,), moved."""
        if self._common_sign == 0:
            self._written(rows)
            return
        weights = self._cell_weights.take(cells, mode="wrap")
        if self._common_sign == 1:
            weights += moved
        else:
            weights -= moved
        self._cell_weights[cells] = weights

    def _pulse_pairs(
        self, rows: IntArray, cells: IntArray, counts: NDArray[np.int32], charge: Mask
    ) -> None:
        """The pcm-only cell: a coincidence is a SET pulse on G+ (up) or G- (down)."""
        first = self.updates * self.update_ordinals
        hit = counts.nonzero()
        cells, pulses, up = cells[hit], counts[hit].astype(np.int64), charge[hit[1]]
        for device in (0, 1):
            chosen = up == (device == 0)
            self.pcm.pulse_cells(device, cells[chosen], pulses[chosen], first)
        self._spread_of = (-1, -1)
        self._written(rows)

    def precharge(self, row: int) -> None:
        """Bring a row's capacitors and their reference to V0."""
        self.capacitors.precharge(row)
        self._written(row)
        self.wait(self.spec.timing.precharge_ns)

    def reset(self, row: int, active: Mask) -> None:
        """RESET both devices of the active columns of a row."""
        self.pcm.reset(row, active, self.clock_ns)
        self._written(row)
        self.wait(self.spec.timing.reset_ns)

    def set(self, row: int, active: Mask, minus: Mask, step_codes: IntArray) -> None:
        """One SET ramp on a row; lasts as long as its longest ramp."""
        self.pcm.set(row, active, minus, step_codes, self.clock_ns)
        self._written(row)
        self.wait(self._ramp_ns[int(step_codes.max(initial=0))])

    @property
    def update_ordinals(self) -> int:
        """Ordinals of draws that an UPDATE has for itself; 0: it draws nothing."""
        if self.devices.pcm.direct_update:
            return pulse_ordinals(self.spec)
        return int(self.capacitors.cycle_scale > 0)

    # -- time --------------------------------------------------------------------------------

    def wait(self, duration_ns: int) -> None:
        """Let analog time pass; the capacitors relax at every tick crossed."""
        self.clock_ns = clock = self.clock_ns + duration_ns
        since_tick = clock % self._tick_ns
        if since_tick < duration_ns:
            self._relax(1 + (duration_ns - since_tick - 1) // self._tick_ns)

    def _relax(self, ticks: int) -> None:
        while ticks and self.capacitors.leak():
            self._written(slice(None))
            ticks -= 1

    def worn_rows(self) -> IntArray:
        """pcm-only: rows with a worn pair, a device above the level and the other above a quarter.

        Where one device alone holds the weight, a RESET and SET would gain nothing.
        """
        level = int(self.devices.pcm.refresh_level * self.pcm.tables.stuck_on)
        g_plus, g_minus = self.pcm.g_plus, self.pcm.g_minus
        worn = (np.maximum(g_plus, g_minus) > level) & (np.minimum(g_plus, g_minus) > level // 4)
        return np.flatnonzero(worn.any(axis=1))


def coincidences(
    row_words: Words, column_words: Words
) -> tuple[IntArray, IntArray, NDArray[np.int32]]:
    """The rows (n,) and columns (m,) that may meet, and in how many slots each pair does (n, m).

    Columns that pulse in a slot, and rows that meet one of them.
    """
    columns = np.bitwise_or.reduce(column_words).nonzero()[0]
    words = column_words.take(columns, axis=1)
    met = row_words & np.bitwise_or.reduce(words, axis=1)[:, None]
    rows = np.bitwise_or.reduce(met).nonzero()[0]
    driven = row_words.take(rows, axis=1)
    counts = np.bitwise_count(driven[0][:, None] & words[0]).astype(np.int32)
    for part in range(1, len(words)):
        counts += np.bitwise_count(driven[part][:, None] & words[part])
    return rows, columns, counts
