"""The command port: takes a command, checks it, runs it at the tile's control, answers it.

A command is refused for the first of these that holds, and then nothing has happened:

    UNKNOWN_COMMAND   no such code; BACKWARD where there is only the bias row
    BUSY              a command runs (ABORT is for that, and is taken)
    SAFE              `analog_safe` holds the outputs inactive
    NOT_ARMED         the tile is not armed
    STATE_UNKNOWN     while the state is unknown (all but INIT and IDLE)
    ROW_INCOMPLETE    while the journal is valid (all but RESUME, ABORT, IDLE, READ, and INIT with
                      FORCE over its row)
    BAD_ROWS          TRANSFER, INIT: first > last or last >= rows; READ, LOAD, PROGRAM, PRECHARGE:
                      first >= rows
    BAD_VALUE         READ of a pair that there is not; IDLE of no cycles
    NOT_BRINGUP       PROGRAM, PRECHARGE without the bring-up enable
    NO_VECTOR         UPDATE: a side whose vector is neither held nor to be taken

Then it takes its packets, rows before columns, each active at once. A side that has none is
STREAM_TIMEOUT; a bad one is SHORT_VECTOR, LONG_VECTOR or, of the right length, BAD_VALUE, and is
thrown away: the vector active before stays. A LOAD that fails so has changed nothing.

*Results.* There is room for one. FORWARD, BACKWARD and READ wait for it before they take a packet
or ask the array for anything; where the host does not take the last result, STREAM_TIMEOUT ends
them, nothing has happened, and a good packet waits on.

*Unknown state.* `reset` makes the state unknown, and so do PROGRAM and PRECHARGE as they start. It
ends when INIT has committed every row: `covered` counts them from row 0 up, one at a time, and a
row out of turn counts for nothing. Or the host, having restored the polarity, says so.

*Soft reset* ends the command, which then has no answer. It keeps journal, range, polarity, LFSRs,
dithers, offsets, tables, configuration (the enables among them), counters, `unknown` and `covered`;
it clears held and waiting vectors, the derivative mask, an abort and the state within a row. What
counts an event (attempts, dithers) counts when the event has returned. An UPDATE cut short takes
its draws back; a CALIBRATE cut short leaves no good offset (`calibrated`); an IDLE cut short has
waited for the cycles that passed.

*Ranges.* Rows next_row..last_row are to go; both are signed, and -1 is a last_row before row 0.
ABORT completes the row in hand (while idle: that of a valid journal) and ends the range; with no
row in hand it writes last_row := next_row - 1. RESUME then finds nothing, which is no error. An
ABORT that a soft reset overtakes is forgotten.

*Column vectors.* Whatever works a row or programs forgets the active one, whose drivers carry the
trim.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.digital.controller import TileController
from golden.digital.transfer import Counters, Kind, State
from spec.boundary import Pair, SoftReset
from spec.commands import Command, Destination, Error, PairCode
from spec.lfsr import LFSR_MASK
from spec.segments import clipped_relu

IntArray = NDArray[np.int64]

LFSR_RESET = 1
"""Not 0, in which a register would stay."""

WITH_UNKNOWN_STATE = (Command.INIT, Command.IDLE)
WITH_INCOMPLETE_ROW = (Command.RESUME, Command.ABORT, Command.IDLE, Command.READ)
RANGES = (Command.TRANSFER, Command.INIT)
ONE_ROW = (Command.READ, Command.LOAD, Command.PROGRAM, Command.PRECHARGE)
BRINGUP = (Command.PROGRAM, Command.PRECHARGE)
PACKET_CODES = {
    Destination.ROWS: (0, 255),
    Destination.COLUMNS: (-127, 127),
    Destination.WEIGHTS: (-(1 << 15), (1 << 15) - 1),
}
"""What the bytes of a packet can say."""


@dataclass(frozen=True)
class Request:
    """A command as written to the registers; each uses the fields that it needs."""

    command: int
    first: int = 0
    last: int = 0
    new_rows: bool = False
    new_columns: bool = False
    force: bool = False
    pair: int = PairCode.ALL
    minus: bool = False
    step_code: int = 0
    cycles: int = 0


class CommandPort:
    """Drives a `TileController`. Starts as after aresetn: not armed, the state unknown.

    `results` lists what came out, (destination, codes), under the destination that it has at the
    neighbour: FORWARD's codes are ROWS of the tile downstream, BACKWARD's are COLUMNS of the one
    upstream, READ's are WEIGHTS.
    """

    def __init__(self, control: TileController) -> None:
        """`control` is taken as it is; `reset` clears it too."""
        self.control, self.spec = control, control.spec
        self.armed = self.bringup = self.safe = False
        self.unknown, self.covered = True, 0
        self.calibrated = False
        """Offsets were auto-zeroed or written since aresetn."""
        self.forwards = 0
        """FORWARD commands answered without error."""
        self.vector_error = Error.NONE
        """What was wrong with the first packet that failed since `clear_errors`."""
        self.results: list[tuple[Destination, IntArray]] = []
        self.result_waits = False
        """A result has not been taken: there is no room for another."""
        self._takes = True
        self.on_step: Callable[[], object] | None = None
        """Called before every step of a row: where ABORT, or a SoftReset raised, may fall."""
        self._waiting: dict[Destination, IntArray] = {}
        self._running = False
        self._handlers: dict[Command, Callable[[Request], Error]] = {
            Command.FORWARD: self._forward,
            Command.BACKWARD: self._backward,
            Command.UPDATE: self._update,
            Command.TRANSFER: self._transfer,
            Command.LOAD: self._load,
            Command.INIT: self._init,
            Command.READ: self._read,
            Command.CALIBRATE: self._calibrate,
            Command.RESUME: self._resume,
            Command.ABORT: self._abort,
            Command.IDLE: self._idle,
            Command.PROGRAM: self._program,
            Command.PRECHARGE: self._precharge,
        }

    # -- packets -----------------------------------------------------------------------------

    def send_rows(self, codes: NDArray[np.integer]) -> bool:
        """Put a packet of row codes in its place; False where one waits there: the stream stalls.

        A good one has rows - 1 codes. Raises ValueError on codes that no packet can hold.
        """
        return self._send(Destination.ROWS, codes)

    def send_columns(self, codes: NDArray[np.integer]) -> bool:
        """The same of signed column codes, `columns` of them."""
        return self._send(Destination.COLUMNS, codes)

    def send_weights(self, codes: NDArray[np.integer]) -> bool:
        """The same of weight codes, `columns` of them; LOAD saturates them."""
        return self._send(Destination.WEIGHTS, codes)

    def waits(self, destination: Destination) -> bool:
        """Whether a packet waits there for its command."""
        return destination in self._waiting

    def _send(self, destination: Destination, codes: NDArray[np.integer]) -> bool:
        low, high = PACKET_CODES[destination]
        packet = np.array(codes, np.int64)
        if packet.ndim != 1 or ((packet < low) | (packet > high)).any():
            raise ValueError(f"a packet holds codes {low}..{high}")
        if destination in self._waiting:
            return False
        self._waiting[destination] = packet
        if self.vector_error is Error.NONE:
            self.vector_error = self._fault(destination, packet)
        return True

    def take_results(self, takes: bool) -> None:
        """Whether the host takes results from now on; if so, what stays here leaves at once."""
        self._takes = takes
        self.result_waits = self.result_waits and not takes

    def _give(self, destination: Destination, codes: IntArray) -> None:
        self.results.append((destination, codes))
        self.result_waits = not self._takes

    def _take(self, destination: Destination, gives: bool = False) -> IntArray | Error:
        """The packet that waits, if it is good; it does not wait any more, good or bad.

        For a command that `gives` a result a good one waits on where there is no room for that.
        """
        packet = self._waiting.get(destination)
        if packet is None:
            return Error.STREAM_TIMEOUT
        fault = self._fault(destination, packet)
        if fault is Error.NONE and gives and self.result_waits:
            return Error.STREAM_TIMEOUT
        del self._waiting[destination]
        return packet if fault is Error.NONE else fault

    def _fault(self, destination: Destination, packet: IntArray) -> Error:
        """What is wrong with a packet."""
        spec = self.spec
        length = spec.rows - 1 if destination is Destination.ROWS else spec.columns
        if len(packet) != length:
            return Error.SHORT_VECTOR if len(packet) < length else Error.LONG_VECTOR
        bad = False
        if destination is Destination.ROWS:
            bad = (packet > spec.row_code.high).any()
        elif destination is Destination.COLUMNS:
            bad = (np.abs(packet) > spec.column_code.high).any()
        return Error.BAD_VALUE if bad else Error.NONE

    # -- commands ----------------------------------------------------------------------------

    def execute(
        self,
        command: int,
        first: int = 0,
        last: int = 0,
        new_rows: bool = False,
        new_columns: bool = False,
        force: bool = False,
        pair: int = PairCode.ALL,
        minus: bool = False,
        step_code: int = 0,
        cycles: int = 0,
    ) -> Error | None:
        """Run a command of `spec.commands.Command`: its answer, or None if a soft reset ended it.

        Any other code is UNKNOWN_COMMAND. Of a range of rows, `on_step` may abort.
        """
        request = Request(
            command, first, last, new_rows, new_columns, force, pair, minus, step_code, cycles
        )
        refusal = self._refusal(request)
        if refusal is not Error.NONE:
            return refusal
        if self._running:
            self.control.transfers.abort = True
            return Error.NONE
        self._running = True
        try:
            return self._handlers[Command(command)](request)
        except SoftReset:
            self.soft_reset()
            return None
        finally:
            self._running = False

    def _refusal(self, request: Request) -> Error:
        spec, journal = self.spec, self.control.transfers.journal
        command, first, last = request.command, request.first, request.last
        forced = command == Command.INIT and request.force and first <= journal.row <= last
        bad_range = command in RANGES and (first > last or last >= spec.rows)
        holds_rows = request.new_rows or self.control.holds_rows
        holds_columns = request.new_columns or self.control.holds_columns
        unknown_command = command not in list(Command)
        refusals = {
            Error.UNKNOWN_COMMAND: unknown_command
            or (command == Command.BACKWARD and spec.rows == 1),
            Error.BUSY: self._running and command != Command.ABORT,
            Error.SAFE: self.safe,
            Error.NOT_ARMED: not self.armed,
            # What runs was let in: an INIT may be aborted in an unknown state.
            Error.STATE_UNKNOWN: self.unknown
            and command not in WITH_UNKNOWN_STATE
            and not self._running,
            Error.ROW_INCOMPLETE: journal.valid
            and command not in WITH_INCOMPLETE_ROW
            and not forced,
            Error.BAD_ROWS: bad_range or (command in ONE_ROW and first >= spec.rows),
            Error.BAD_VALUE: (command == Command.READ and request.pair not in list(PairCode))
            or (command == Command.IDLE and request.cycles == 0),
            Error.NOT_BRINGUP: command in BRINGUP and not self.bringup,
            Error.NO_VECTOR: command == Command.UPDATE and not (holds_rows and holds_columns),
        }
        return next((error for error, holds in refusals.items() if holds), Error.NONE)

    def _forward(self, request: Request) -> Error:
        codes = self._take_rows(gives=True)
        if isinstance(codes, Error):
            return codes
        self._give(Destination.ROWS, self.control.forward(codes))
        self.forwards += 1
        return Error.NONE

    def _take_rows(self, gives: bool = False) -> IntArray | Error:
        if self.spec.rows > 1:
            return self._take(Destination.ROWS, gives)
        # The bias row alone has no codes, and so no packet.
        return Error.STREAM_TIMEOUT if gives and self.result_waits else np.zeros(0, np.int64)

    def _backward(self, request: Request) -> Error:
        codes = self._take(Destination.COLUMNS, gives=True)
        if isinstance(codes, Error):
            return codes
        self._give(Destination.COLUMNS, self.control.backward(codes))
        return Error.NONE

    def _update(self, request: Request) -> Error:
        if request.new_rows:
            codes = self._take_rows()
            if isinstance(codes, Error):
                return codes
            self.control.hold_rows(codes)
        if request.new_columns:
            codes = self._take(Destination.COLUMNS)
            if isinstance(codes, Error):
                return codes
            self.control.hold_columns(codes)
        streams = self.control.row_stream, self.control.column_stream
        before = [stream.state for stream in streams]
        try:
            self.control.update()
        except SoftReset:
            for stream, state in zip(streams, before, strict=True):
                stream.state = state
            raise
        return Error.NONE

    def _transfer(self, request: Request) -> Error:
        self.control.transfers.start(Kind.TRANSFER, request.first, request.last)
        return self._work()

    def _load(self, request: Request) -> Error:
        codes = self._take(Destination.WEIGHTS)
        if isinstance(codes, Error):
            return codes
        self.control.transfers.start(Kind.LOAD, request.first, request.first, codes)
        return self._work()

    def _init(self, request: Request) -> Error:
        # Only FORCE over its row comes here with a valid journal: it is discarded.
        self.control.transfers.journal.valid = False
        self.control.transfers.start(Kind.INIT, request.first, request.last)
        return self._work()

    def _resume(self, request: Request) -> Error:
        self.control.transfers.resume()
        return self._work()

    def _abort(self, request: Request) -> Error:
        self.control.transfers.end_range()
        return self._work()

    def _work(self) -> Error:
        """Step the sequencer until it is idle; it may be idle already."""
        transfers = self.control.transfers
        if transfers.state is not State.IDLE:
            self.control.forget_columns()
        while transfers.state is not State.IDLE:
            if self.on_step is not None:
                self.on_step()
            committing = transfers.state is State.COMMIT
            transfers.step()
            if committing:
                self._cover(transfers.journal.row, transfers.journal.kind)
        return Error.NONE

    def _cover(self, row: int, kind: Kind) -> None:
        if self.unknown and kind is Kind.INIT and row == self.covered:
            self.covered += 1
            if self.covered == self.spec.rows:
                self.polarity_valid()

    def _read(self, request: Request) -> Error:
        if self.result_waits:
            return Error.STREAM_TIMEOUT
        codes = self.control.read(request.first, Pair[PairCode(request.pair).name])
        self._give(Destination.WEIGHTS, codes)
        return Error.NONE

    def _calibrate(self, request: Request) -> Error:
        self.calibrated = False
        self.control.calibrate()
        self.calibrated = True
        return Error.NONE

    def _idle(self, request: Request) -> Error:
        self.control.array.wait(request.cycles * self.spec.timing.cycle_ns)
        return Error.NONE

    def _program(self, request: Request) -> Error:
        control = self.control
        self._lose_state()
        control.forget_columns()
        control.array.reset(request.first, control.active)
        steps = np.where(control.active, request.step_code, 0)
        control.array.set(request.first, control.active, control.active & request.minus, steps)
        return Error.NONE

    def _precharge(self, request: Request) -> Error:
        self._lose_state()
        self.control.array.precharge(request.first)
        return Error.NONE

    def _lose_state(self) -> None:
        self.unknown, self.covered = True, 0

    # -- the host's writes -------------------------------------------------------------------

    def clear_errors(self) -> None:
        """Any write to ERROR."""
        self.vector_error = Error.NONE

    def polarity_valid(self) -> None:
        """POLARITY_VALID: the state is known. `covered` is 0 whenever it is."""
        self.unknown, self.covered = False, 0

    def write_polarity(self, row: int, bit: int) -> Error:
        """Write a row's bit; ROW_INCOMPLETE with a valid journal, BAD_ROWS off the tile."""
        if self.control.transfers.journal.valid:
            return Error.ROW_INCOMPLETE
        if row >= self.spec.rows:
            return Error.BAD_ROWS
        self.control.polarity.flip_to(row, bit)
        return Error.NONE

    def write_journal(self, row: int, p_new: int, kind: Kind, codes: IntArray) -> Error:
        """Make a journal valid; ROW_INCOMPLETE where one is, BAD_ROWS off the tile."""
        journal = self.control.transfers.journal
        if journal.valid:
            return Error.ROW_INCOMPLETE
        if row >= self.spec.rows:
            return Error.BAD_ROWS
        journal.row, journal.p_new, journal.kind, journal.valid = row, p_new, kind, True
        journal.codes = codes.astype(np.int64)
        return Error.NONE

    def write_lfsrs(self, row_state: int, column_state: int) -> Error:
        """Seed both update streams; ROW_INCOMPLETE with a valid journal, BAD_VALUE on a 0."""
        if self.control.transfers.journal.valid:
            return Error.ROW_INCOMPLETE
        if not (0 < row_state <= LFSR_MASK and 0 < column_state <= LFSR_MASK):
            return Error.BAD_VALUE
        self.control.row_stream.state = row_state
        self.control.column_stream.state = column_state
        return Error.NONE

    # -- resets ------------------------------------------------------------------------------

    def soft_reset(self) -> None:
        """Clear what a soft reset clears, while no command runs. Within one, raise SoftReset.

        A result that the host does not take is cut short, but a beat on offer must stay, and the
        packet's end behind it: there is no room before the host has taken them.
        """
        self._waiting.clear()
        self.control.soft_reset()

    def reset(self) -> None:
        """aresetn: every register. The memories keep what they hold, for the host to write again.

        These are the SET table, the offsets, and the codes of a journal that is not valid now.
        """
        self.soft_reset()
        self.result_waits = False
        control, transfers = self.control, self.control.transfers
        self.armed = self.bringup = self.calibrated = False
        self._lose_state()
        self.forwards = 0
        vars(control.counters).update(vars(Counters()))
        control.active[:] = True
        control.polarity.bits[:] = 0
        if segments := self.spec.neurons.segments:
            # It lies in registers, which have a value after reset.
            spec = self.spec
            control.set_segments(clipped_relu(spec.forward_code, spec.row_code, segments))
        for stream, code in (
            (control.row_stream, self.spec.row_code),
            (control.column_stream, self.spec.column_code),
        ):
            stream.state, stream.scale = LFSR_RESET, 1 << code.bits
        control.forward_dither.count = control.backward_dither.count = 0
        transfers.next_row, transfers.last_row = 0, -1
        if transfers.chopper is not None:
            transfers.chopper.reset()
        journal = transfers.journal
        journal.valid, journal.row, journal.p_new, journal.kind = False, 0, 0, Kind.TRANSFER
