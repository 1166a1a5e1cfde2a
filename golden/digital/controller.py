"""The tile controller: commands in, boundary events out. Joins the digital blocks.

Holds one active row vector (set by FORWARD) and one active column vector (set by BACKWARD or by
UPDATE with new columns), and the derivative mask of its last FORWARD, applied as column codes
enter. TRANSFER, LOAD and INIT forget the column vector: its drivers carry the trim.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from golden.digital import converter, neuron, skew, update_stream
from golden.digital.polarity import PolarityBank
from golden.digital.pulse_width import column_durations, row_durations
from golden.digital.transfer import Counters, Kind, TransferSequencer, read_row, read_undriven
from golden.digital.update_stream import UpdateStream
from spec.boundary import ArrayMacro, Pair
from spec.segments import Segments
from spec.tile import TileSpec

IntArray = NDArray[np.int64]


class TileController:
    """One tile's control in integers. Drives an `ArrayMacro`."""

    def __init__(
        self,
        spec: TileSpec,
        array: ArrayMacro,
        set_table: IntArray,
        lfsr_states: tuple[int, int],
        *,
        hidden: bool = True,
    ) -> None:
        """`set_table` (spec.set_table_entries,) of step codes; `lfsr_states` row and column.

        `hidden` tiles apply the neurons' derivative to their column codes: that of the clipped
        ReLU, unless `set_segments` says otherwise.
        """
        if set_table.shape != (spec.set_table_entries,):
            raise ValueError(f"SET table {set_table.shape}: {spec.set_table_entries} entries")
        self.spec, self.array = spec, array
        self.hidden = hidden
        self.active = np.ones(spec.columns, np.bool_)
        self.counters = Counters()
        self.polarity = PolarityBank(spec.rows)
        self.set_table = set_table
        self.row_stream = UpdateStream(spec, "row", lfsr_states[0])
        self.column_stream = UpdateStream(spec, "column", lfsr_states[1])
        self.forward_dither = converter.Dither(spec.converters.calibration_log2)
        self.backward_dither = converter.Dither(spec.converters.calibration_log2)
        self.forward_offsets = np.zeros(spec.columns, np.int64)
        self.backward_offsets = np.zeros(spec.rows, np.int64)
        self.transfers = TransferSequencer(
            spec, array, self.polarity, set_table, self.active, self.counters
        )
        fraction_bits = spec.converters.calibration_log2
        self._forward_correction = converter.Correction(fraction_bits, spec.forward_code)
        self._backward_correction = converter.Correction(fraction_bits, spec.backward_code)
        self._derivatives = neuron.derivatives(spec.forward_code)
        self._late = skew.turns(spec) if spec.row_taps > 1 else None
        self._rows: IntArray | None = None
        self._columns: IntArray | None = None
        self._mask: NDArray[np.bool_] | None = None

    def set_segments(self, segments: Segments) -> None:
        """Write the table of the neurons, of which the controller has the derivative.

        Raises ValueError where the tile has no table, or another number of segments.
        """
        lengths = {len(part) for part in (segments.bases, segments.slopes, segments.passes)}
        if lengths != {self.spec.neurons.segments} or not segments.bases:
            raise ValueError(f"a table of {lengths} for {self.spec.neurons.segments} segments")
        code = self.spec.forward_code
        codes = np.concatenate([np.arange(code.high + 1), np.arange(code.low, 0)])
        self._derivatives = neuron.derivative_segments(codes, code, segments)

    def calibrate(self) -> None:
        """Auto-zero both sides: channel offsets from averaged zero-drive conversions."""
        repeats = range(1 << self.spec.converters.calibration_log2)
        columns = np.array([self.array.convert_forward(self.active) for _ in repeats])
        self.forward_offsets[:] = converter.auto_zero(columns)
        rows = np.array([self.array.convert_backward() for _ in repeats])
        self.backward_offsets[:] = converter.auto_zero(rows)

    def set_rates(self, row_scale: int, column_scale: int) -> None:
        """Write the learning rate: threshold scales of both sides, at least unit scale."""
        if row_scale <= self.spec.row_code.high or column_scale <= self.spec.column_code.high:
            raise ValueError("a threshold scale is at least 2^w of its side")
        self.row_stream.scale, self.column_stream.scale = row_scale, column_scale

    def forward(self, row_codes: NDArray[np.integer]) -> IntArray:
        """FORWARD: row codes (rows - 1,) to signed codes (columns,); a phase per polarity."""
        self._rows = row_durations(self.spec, row_codes)
        for polarity, durations in self.polarity.phases(self._rows):
            self.array.integrate_columns(durations, int(polarity))
        raw = self.array.convert_forward(self.active)
        dither = self.forward_dither.next()
        codes, railed = self._forward_correction.apply(raw, self.forward_offsets, dither)
        # A masked column gives 0, which is no rail.
        self.counters.saturated += railed
        if np.count_nonzero(self.active) < len(codes):
            codes *= self.active
        self._mask = self._derivatives[codes]
        return codes

    def enter(self, column_codes: IntArray) -> IntArray:
        """Make signed column codes (columns,) the active vector: what of them drives a column."""
        columns = column_durations(self.spec, column_codes)
        if self.hidden and self._mask is not None:
            columns *= self._mask
        if np.count_nonzero(self.active) < len(columns):
            columns *= self.active
        self._columns = columns
        return columns

    def backward(self, column_codes: IntArray | None = None) -> IntArray:
        """BACKWARD: column codes (columns,), or those entered, to signed codes (rows - 1,)."""
        if self.spec.rows == 1:
            raise ValueError("BACKWARD needs more than the bias row")
        columns = self._columns if column_codes is None else self.enter(column_codes)
        if columns is None:
            raise RuntimeError("NO_VECTOR: BACKWARD needs column codes first")
        self.array.integrate_rows(columns, self.polarity.bits)
        raw = self.array.convert_backward()
        dither = self.backward_dither.next()
        codes, railed = self._backward_correction.apply(raw, self.backward_offsets, dither)
        self.counters.saturated += railed
        return codes[:-1]

    def update(self, new_columns: IntArray | None = None) -> None:
        """UPDATE with the active vectors, or with new signed column codes (columns,)."""
        columns = self._columns if new_columns is None else self.enter(new_columns)
        if self._rows is None or columns is None:
            raise RuntimeError("NO_VECTOR: UPDATE needs a FORWARD and column codes first")
        row_words = update_stream.row_words(self.row_stream.table(), self._rows)
        if self._late is not None:
            row_words = skew.skewed(row_words, self._late, self.spec.update.slots)
        column_words = update_stream.column_words(self.column_stream.table(), columns)
        for polarity, words in self.polarity.phases(row_words):
            charge = columns <= 0 if polarity else columns > 0
            self.array.update(words, column_words, charge)

    @property
    def derivative_mask(self) -> NDArray[np.bool_]:
        """Where column codes pass (columns,): slope one in the last FORWARD, if `hidden`."""
        if self._mask is None or not self.hidden:
            return np.ones(self.spec.columns, np.bool_)
        return self._mask

    def transfer(self, first: int, last: int) -> None:
        """TRANSFER rows first..last."""
        self._columns = None
        self.transfers.start(Kind.TRANSFER, first, last)
        self.transfers.run()

    def load(self, row: int, codes: IntArray) -> None:
        """LOAD a row's weight codes (columns,); a row of the wrong length changes nothing."""
        if codes.shape != (self.spec.columns,):
            raise ValueError(f"{codes.shape} weights for {self.spec.columns} columns")
        self._columns = None
        self.transfers.start(Kind.LOAD, row, row, codes)
        self.transfers.run()

    def init(self, first: int, last: int) -> None:
        """INIT rows first..last: blank PCM and capacitors, NORMAL polarity."""
        self._columns = None
        self.transfers.start(Kind.INIT, first, last)
        self.transfers.run()

    def read(self, row: int, pair: Pair) -> IntArray:
        """READ weight codes (columns,) of a row."""
        undriven = read_undriven(self.spec, self.array, self.active)
        return read_row(self.spec, self.array, self.polarity, self.active, row, pair, undriven)

    # -- what the command port needs besides ---------------------------------------------------

    @property
    def holds_rows(self) -> bool:
        """A row vector is active."""
        return self._rows is not None

    @property
    def holds_columns(self) -> bool:
        """A column vector is active."""
        return self._columns is not None

    def hold_rows(self, row_codes: NDArray[np.integer]) -> None:
        """Make row codes (rows - 1,) the active row vector."""
        self._rows = row_durations(self.spec, row_codes)

    def hold_columns(self, column_codes: IntArray) -> None:
        """Make signed column codes (columns,) the active column vector."""
        self.enter(column_codes)

    def forget_columns(self) -> None:
        """No column vector is active."""
        self._columns = None

    def soft_reset(self) -> None:
        """Forget vectors and derivative mask, and where the sequencer stood."""
        self._rows = self._columns = self._mask = None
        self.transfers.soft_reset()
