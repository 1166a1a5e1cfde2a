"""The transfer sequencer: journal, targets, program-and-verify, trim, commit; row by row.

`step` performs one state: at most one strobe or READ at the array. Between rows the tile is
always consistent; within a row the journal says how to go on. It knows weight codes only: F lives
in the analog gain and in the content of the SET table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto

import numpy as np
from numpy.typing import NDArray

from golden.digital.chopper import Chopper
from golden.digital.converter import read_code, saturate, sum_of_codes
from golden.digital.polarity import PolarityBank
from golden.words import parts_of, thermometer
from spec.boundary import ArrayMacro, Pair
from spec.formats import round_half_even
from spec.tile import TileSpec

IntArray = NDArray[np.int64]


class Kind(Enum):
    """Which command a row is worked for."""

    TRANSFER = 0
    LOAD = 1
    INIT = 2


class State(IntEnum):
    """States of the sequencer, in order; integers, which are looked up fastest."""

    IDLE = auto()
    READ_ZERO = auto()
    READ_LOWER_BEFORE = auto()
    READ_ALL = auto()
    JOURNAL = auto()
    PRECHARGE = auto()
    FLIP = auto()
    READ_LOWER = auto()
    ERASE = auto()
    SET = auto()
    VERIFY = auto()
    TRIM_READ = auto()
    TRIM_PULSE = auto()
    COMMIT = auto()


@dataclass
class Journal:
    """What a row needs to be finished after a soft reset.

    `kind` is written when a range starts, the rest with `valid`.
    """

    codes: IntArray
    valid: bool = False
    row: int = 0
    p_new: int = 0
    kind: Kind = Kind.TRANSFER


@dataclass
class Counters:
    """Rows committed, programming attempts, columns left unconverged, saturated conversions."""

    rows: int = 0
    attempts: int = 0
    not_programmed: int = 0
    not_trimmed: int = 0
    saturated: int = 0


@dataclass
class TransferSequencer:
    """Works rows `first..last` of one command through the array.

    `set_table` (entries,) gives step codes; `active` (columns,) are the columns not masked. The
    range has rows to go while next_row <= last_row, which is -1 where there was none.
    """

    spec: TileSpec
    array: ArrayMacro
    polarity: PolarityBank
    set_table: IntArray
    active: NDArray[np.bool_]
    counters: Counters
    state: State = State.IDLE
    next_row: int = 0
    last_row: int = -1
    abort: bool = False
    journal: Journal = field(init=False)
    chopper: Chopper | None = field(init=False)

    def __post_init__(self) -> None:
        """An empty journal, a chopper if the spec has one, and one handler a state."""
        columns = self.spec.columns
        self.journal = Journal(np.zeros(columns, np.int64))
        self.chopper = Chopper() if self.spec.transfer.draws_polarity else None
        self._zeros = np.zeros(columns, np.int64)
        self._codes = self._undriven = self._zeros
        # Constants as arrays without dimensions: the form that costs NumPy least.
        self._trim_tol = np.array(self.spec.transfer.trim_tol)
        self._trim_gain = np.array(self.spec.transfer.trim_gain)
        self._trim_shift = np.array(self.spec.transfer.trim_shift)
        slots = self.spec.update.slots
        self._one, self._slots = np.array(1), np.array(slots)
        self._parts, self._full_word = parts_of(slots), thermometer(slots, slots)[:, 0]
        self._handlers: dict[State, Callable[[], State]] = {
            State.READ_ZERO: self._read_zero,
            State.READ_LOWER_BEFORE: self._read_lower_before,
            State.READ_ALL: self._read_all,
            State.JOURNAL: self._write_journal,
            State.PRECHARGE: self._precharge,
            State.FLIP: self._flip,
            State.READ_LOWER: self._read_lower,
            State.ERASE: self._erase,
            State.SET: self._set,
            State.VERIFY: self._verify,
            State.TRIM_READ: self._trim_read,
            State.TRIM_PULSE: self._trim_pulse,
            State.COMMIT: self._commit,
        }

    # -- commands ----------------------------------------------------------------------------

    def start(self, kind: Kind, first: int, last: int, codes: IntArray | None = None) -> None:
        """Take a range of rows; LOAD brings `codes` (columns,) and takes one row."""
        if self.state is not State.IDLE or self.journal.valid:
            raise RuntimeError("the sequencer is busy or a row is incomplete")
        self.next_row, self.last_row, self.abort = first, last, False
        self.journal.kind = kind
        if kind is Kind.LOAD:
            if codes is None:
                raise ValueError("LOAD brings weight codes")
            self._codes = saturate(codes.astype(np.int64), self.spec.weight_code)
        self._enter_row()

    def resume(self) -> None:
        """Go on after a soft reset: a valid journal re-enters at precharge, with a new zero.

        An abort of before is forgotten.
        """
        self.abort, kind = False, self.journal.kind
        if self.journal.valid:
            self.state = State.PRECHARGE if kind is Kind.INIT else State.READ_ZERO
        elif kind is not Kind.LOAD and self.next_row <= self.last_row:
            self._enter_row()

    def end_range(self) -> None:
        """While idle: complete a row begun, as `resume` does; of the other rows none is to go."""
        if self.journal.valid:
            self.resume()
            self.abort = True
        else:
            self.last_row = self.next_row - 1

    def soft_reset(self) -> None:
        """Forget convergence, attempt and trim; the journal and the range stay."""
        self.state = State.IDLE

    def run(self) -> None:
        """Step until idle."""
        while self.state is not State.IDLE:
            self.step()

    def step(self) -> None:
        """Perform the present state and move to the next."""
        self.state = self._handlers[self.state]()

    # -- states ------------------------------------------------------------------------------

    def _enter_row(self) -> None:
        if self.journal.kind is Kind.INIT:
            self._codes = self._zeros
        transfer = self.journal.kind is Kind.TRANSFER
        self.state = State.READ_ZERO if transfer else State.JOURNAL

    def _read_zero(self) -> State:
        # One for all READs of the row: what is wrong with it cancels where READs are compared.
        self._undriven = read_undriven(self.spec, self.array, self.active)
        if self.journal.valid:
            return State.PRECHARGE
        compensated = self.spec.transfer.leak_compensation > 0
        return State.READ_LOWER_BEFORE if compensated else State.READ_ALL

    def _read_lower_before(self) -> State:
        self._lower_before = self._read(self.next_row, Pair.LOWER)
        return State.READ_ALL

    def _read_all(self) -> State:
        codes = self._read(self.next_row, Pair.ALL)
        compensation = self.spec.transfer.leak_compensation
        if compensation:
            codes = codes + round_half_even(self._lower_before * compensation, 8)
            codes = saturate(codes, self.spec.weight_code)
        self._codes = codes
        return State.JOURNAL

    def _write_journal(self) -> State:
        journal, row = self.journal, self.next_row
        journal.row, journal.codes = row, self._codes.copy()
        journal.p_new = self._new_polarity(row)
        journal.valid = True
        # A TRANSFER has its zero, an INIT needs none.
        return State.READ_ZERO if journal.kind is Kind.LOAD else State.PRECHARGE

    def _new_polarity(self, row: int) -> int:
        """The bit that the row will have. It is drawn once: a RESUME finds it in the journal."""
        bit, kind = int(self.polarity.bits[row]), self.journal.kind
        if kind is Kind.INIT:
            return 0
        if kind is Kind.LOAD or not self.spec.transfer.polarity_inversion:
            return bit
        return bit ^ 1 if self.chopper is None else self.chopper.draw()

    def _precharge(self) -> State:
        self.array.precharge(self.journal.row)
        return State.FLIP

    def _flip(self) -> State:
        self.polarity.flip_to(self.journal.row, self.journal.p_new)
        self._attempt = 0
        if self.journal.kind is Kind.INIT:
            self._programming = np.zeros(self.spec.columns, np.bool_)
            return State.ERASE
        return State.READ_LOWER

    def _read_lower(self) -> State:
        lower = self._read(self.journal.row, Pair.LOWER)
        transfer = self.spec.transfer
        sign = 1 - 2 * self.journal.p_new
        target = self.journal.codes - sign * transfer.offset - lower
        target = np.minimum(np.maximum(target, -transfer.c_max), transfer.c_max)
        small = (target == 0) | ((sign * target > 0) & (sign * target < transfer.offset))
        self._target = target
        self._programming = self.active & ~small & transfer.program_pcm
        self._c = target.copy()
        return State.ERASE

    def _erase(self) -> State:
        # The first attempt erases every column, so that small targets end in RESET.
        active = self.active if self._attempt == 0 else self._programming
        self.array.reset(self.journal.row, active)
        if self._programming.any():
            return State.SET
        return self._programmed()

    def _set(self) -> State:
        index = np.abs(self._c) >> self.spec.transfer.set_shift
        step_codes = np.where(self._programming, self.set_table.take(index), self._zeros)
        minus = self._programming & (self._c < 0)
        self.array.set(self.journal.row, self._programming, minus, step_codes)
        self._attempt += 1
        self.counters.attempts += 1
        return State.VERIFY

    def _verify(self) -> State:
        transfer = self.spec.transfer
        error = self._target - self._read(self.journal.row, Pair.HIGHER)
        self._programming &= np.abs(error) > transfer.prog_tol
        if not self._programming.any():
            return self._programmed()
        if self._attempt == transfer.prog_limit:
            self.counters.not_programmed += int(np.count_nonzero(self._programming))
            return self._programmed()
        # c keeps the target's sign and never reaches zero: one device, at least one code.
        sign = np.sign(self._target)
        magnitude = np.minimum(np.maximum(sign * (self._c + error), 1), transfer.c_max)
        self._c = np.where(self._programming, sign * magnitude, self._c)
        return State.ERASE

    def _programmed(self) -> State:
        if self.journal.kind is Kind.INIT:
            return State.COMMIT
        self._trimming = self.active.copy()
        self._damping = np.zeros(self.spec.columns, np.int64)
        self._last_sign = self._zeros
        self._trains = 0
        return State.TRIM_READ

    def _trim_read(self) -> State:
        transfer = self.spec.transfer
        residual = self.journal.codes - self._read(self.journal.row, Pair.ALL)
        self._size = np.abs(residual)
        self._trimming &= self._size > self._trim_tol
        if not np.count_nonzero(self._trimming):
            return State.COMMIT
        if self._trains == transfer.trim_limit:
            self.counters.not_trimmed += int(np.count_nonzero(self._trimming))
            return State.COMMIT
        # An undamped trim diverges where a step is over twice nominal.
        sign = np.sign(residual)
        self._damping += sign * self._last_sign < 0
        self._last_sign = sign
        self._residual = residual
        return State.TRIM_PULSE

    def _trim_pulse(self) -> State:
        journal = self.journal
        pulses = self._size * self._trim_gain
        pulses >>= self._damping + self._trim_shift
        np.maximum(pulses, self._one, out=pulses)
        np.minimum(pulses, self._slots, out=pulses)
        words = thermometer(pulses * self._trimming, self.spec.update.slots)
        row_words = np.zeros((self._parts, self.spec.rows), np.uint32)
        row_words[:, journal.row] = self._full_word
        inverted = self.polarity.bits.item(journal.row)
        charge = self._residual <= 0 if inverted else self._residual > 0
        self.array.update(row_words, words, charge)
        self._trains += 1
        return State.TRIM_READ

    def _commit(self) -> State:
        self.journal.valid = False
        self.next_row = self.journal.row + 1
        self.counters.rows += 1
        if self.abort:
            # The range ends here, so that a RESUME finds nothing to go on with.
            self.last_row = self.journal.row
        if self.journal.kind is Kind.LOAD or self.next_row > self.last_row:
            return State.IDLE
        self._enter_row()
        return self.state

    # -- READ --------------------------------------------------------------------------------

    def _read(self, row: int, pair: Pair) -> IntArray:
        return read_row(
            self.spec, self.array, self.polarity, self.active, row, pair, self._undriven
        )


def read_undriven(spec: TileSpec, array: ArrayMacro, active: NDArray[np.bool_]) -> IntArray:
    """The zero of READs (columns,): the sum of 2^a conversions without drive."""
    return sum_of_codes(array.convert_read(active, 1 << spec.converters.read_average_log2))


def read_row(
    spec: TileSpec,
    array: ArrayMacro,
    polarity: PolarityBank,
    active: NDArray[np.bool_],
    row: int,
    pair: Pair,
    undriven: IntArray,
) -> IntArray:
    """Weight codes (columns,) of a row, in weight sign; masked columns give 0."""
    average = spec.converters.read_average_log2
    array.integrate_read(row, pair, int(polarity.bits[row]))
    driven = array.convert_read(active, 1 << average)
    codes = read_code(driven, undriven, average, spec.weight_code)
    return codes if np.count_nonzero(active) == len(active) else np.where(active, codes, 0)
