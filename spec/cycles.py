"""Cycles of each command: windows, conversions, passes over the columns, and the stated overhead.

Counted from the cycle of the COMMAND strobe in the tile to the cycle of the answer, with vectors
already waiting, room for the result, a macro that answers in the next cycle, and no synchronisers.
What the host's bus and its software take is not in it. tests/equivalence/test_cycles.py holds each
against the RTL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spec.commands import Destination
from spec.tile import TileSpec, groups

ASK = 3
"""A phase: it is asked for, its selects, its request; conversions then give a group a cycle."""
ASK_AND_ANSWER = 4
"""A phase with a window, or a strobe: the same, and the cycle in which `ready` is seen."""
TOLD = 1
"""The end of a conversion or of a strobe is told a cycle later; that of a window is foreseen."""
CODES = 4
"""From a group of raw codes to its codes: rtl/converter.py's LATENCY."""
THROUGH = 6
"""A pass: from its last group to the drivers."""
WEIGHT_BYTES = 2


@dataclass(frozen=True)
class Cycles:
    """What a command spends its cycles on.

    `answers` are phases that wait for `ready`: each adds the cycles by which the macro is later
    than the next cycle, a strobe's own time among them.
    """

    windows: int = 0
    """Lines can be high: integration, update slots, trim pulses, IDLE."""
    conversions: int = 0
    """A group of codes a cycle."""
    passes: int = 0
    """Over groups or columns, to the drivers and latches; weights of a LOAD."""
    overhead: int = 0
    answers: int = 0

    def __add__(self, other: Cycles) -> Cycles:
        """One after the other."""
        return Cycles(
            self.windows + other.windows,
            self.conversions + other.conversions,
            self.passes + other.passes,
            self.overhead + other.overhead,
            self.answers + other.answers,
        )

    def __mul__(self, times: int) -> Cycles:
        """So many times."""
        return sum([self] * times, Cycles())

    def total(self, late: int = 0) -> int:
        """All cycles; `late` is by how many each answer of the macro comes after the next cycle."""
        own = self.windows + self.conversions + self.passes + self.overhead
        return own + late * self.answers


def _drive(window: int, overhead: int = 0) -> Cycles:
    """A drive phase: its window, and the cycle after it that ends it."""
    return Cycles(windows=window, overhead=ASK_AND_ANSWER + overhead, answers=1)


def _convert(spec: TileSpec, lines: int) -> Cycles:
    return Cycles(conversions=groups(spec, lines), overhead=ASK + TOLD)


def _strobe(overhead: int = 0) -> Cycles:
    return Cycles(overhead=ASK_AND_ANSWER + TOLD + overhead, answers=1)


def _pass(cycles: int) -> Cycles:
    return Cycles(passes=cycles, overhead=THROUGH)


# -- commands --------------------------------------------------------------------------------


def forward(spec: TileSpec, polarities: int = 1) -> Cycles:
    """FORWARD with rows of one polarity live, or of both."""
    window = spec.row_code.high
    # The command, the vector; a set of conversions begins; its codes' steps, of which one passes
    # while the end is told; the answer, which comes with the result.
    begin_and_end = Cycles(overhead=1 + CODES)
    return _drive(window) * polarities + _convert(spec, spec.columns) + begin_and_end


def backward(spec: TileSpec) -> Cycles:
    """BACKWARD: one phase, whatever the polarities."""
    drive, convert = _drive(spec.column_code.high), _convert(spec, spec.rows)
    return drive + convert + Cycles(overhead=1 + CODES)


def update(spec: TileSpec, polarities: int = 1, new_vectors: int = 0) -> Cycles:
    """UPDATE, which takes `new_vectors` waiting ones first.

    Before it asks, each phase draws its first thresholds; with row skew the ring fills.
    """
    fill = spec.update.slots + 4 if spec.row_taps > 1 else 4
    # A second phase draws anew, which takes a cycle.
    again = polarities - 1
    return _drive(spec.update.slots, fill) * polarities + Cycles(overhead=1 + new_vectors + again)


def read(spec: TileSpec) -> Cycles:
    """READ of a row: its zero, its drive phase, its conversions."""
    conversions = _convert(spec, spec.columns) * (2 << spec.converters.read_average_log2)
    return conversions + _drive(_read_window(spec)) + Cycles(overhead=1 + CODES)


def calibrate(spec: TileSpec) -> Cycles:
    """CALIBRATE of both sides."""
    both = _convert(spec, spec.columns) + _convert(spec, spec.rows)
    return both * (1 << spec.converters.calibration_log2) + Cycles(overhead=3)


def idle(cycles: int) -> Cycles:
    """IDLE; its window is a request that waits for no answer."""
    return Cycles(windows=cycles, overhead=4)


def precharge() -> Cycles:
    """PRECHARGE."""
    return _strobe(1)


def program(spec: TileSpec) -> Cycles:
    """PROGRAM: selects by groups, step codes by columns, RESET, SET."""
    loads = Cycles(passes=groups(spec, spec.columns) + spec.columns)
    return loads + _strobe() + _strobe() + Cycles(overhead=1)


def init(spec: TileSpec, rows: int) -> Cycles:
    """INIT of so many rows."""
    return _RANGE + init_row(spec) * rows


def load(spec: TileSpec, attempts: int, trains: int) -> Cycles:
    """LOAD of a row whose packet is at the port: see `transfer_row`."""
    taken = Cycles(passes=spec.columns, overhead=5)
    program = _program_and_trim(spec, attempts, trains)
    return _RANGE + taken + _JOURNAL + _read_zero(spec) + program


def transfer(spec: TileSpec, rows: Sequence[tuple[int, int]]) -> Cycles:
    """TRANSFER of rows, of which each took (attempts, trains)."""
    return sum((transfer_row(spec, *counts) for counts in rows), _RANGE)


# -- rows of a range -------------------------------------------------------------------------

_RANGE = Cycles(overhead=3)
"""The command, the sequencer's start, the answer."""
_JOURNAL = Cycles(overhead=3)
_FLIP = Cycles(overhead=2)
_HEARD = Cycles(overhead=1)
"""The sequencer goes on a cycle after a phase has told its end."""


def init_row(spec: TileSpec) -> Cycles:
    """A row of an INIT: journal, precharge, flip, RESET, commit."""
    zeros = _pass(groups(spec, spec.columns))
    return zeros + _strobe() + _HEARD + _FLIP + _erase(spec) + Cycles(overhead=1)


def transfer_row(spec: TileSpec, attempts: int, trains: int) -> Cycles:
    """A row of a TRANSFER that took so many SETs and so many trains of trim pulses."""
    reads = 2 if spec.transfer.leak_compensation else 1
    before = _read_zero(spec) + _row_read(spec) * reads + _JOURNAL
    return before + _program_and_trim(spec, attempts, trains)


def _program_and_trim(spec: TileSpec, attempts: int, trains: int) -> Cycles:
    """From the precharge to the commit; every attempt and every train ends in a READ."""
    attempt = _erase(spec) + _pass(spec.columns) + _strobe(-1) + _HEARD + _row_read(spec)
    programmed = attempt * attempts if attempts else _erase(spec)
    pulses = _pass(groups(spec, spec.columns)) + _drive(spec.update.slots, -1) + _HEARD
    train = pulses + _row_read(spec)
    flipped = _strobe() + _HEARD + _FLIP + _row_read(spec)
    return flipped + programmed + _row_read(spec) + train * trains + Cycles(overhead=1)


def _erase(spec: TileSpec) -> Cycles:
    # Its request is asked for in the cycle in which the pass is through.
    return _pass(groups(spec, spec.columns)) + _strobe(-1) + _HEARD


def _read_zero(spec: TileSpec) -> Cycles:
    repeats = 1 << spec.converters.read_average_log2
    return (_convert(spec, spec.columns) + _HEARD) * repeats + Cycles(overhead=2)


def _row_read(spec: TileSpec) -> Cycles:
    """A READ of the sequencer, until its codes are worked."""
    repeats = 1 << spec.converters.read_average_log2
    # The codes of the last conversion come later than its end is heard of.
    conversions = _convert(spec, spec.columns) * repeats + _HEARD * (repeats - 1)
    return _drive(_read_window(spec)) + _HEARD + conversions + Cycles(overhead=6 + CODES)


def _read_window(spec: TileSpec) -> int:
    return 1 << (spec.row_code.bits - 1)


# -- vectors ---------------------------------------------------------------------------------

INPUT_LATENCY = 4
"""From a packet's last beat until its vector waits; its first beat waits a cycle at the port."""
OUTPUT_LATENCY = 4
"""From the answer until the first beat of the result is offered, and taken; see packet_out."""


def beats(spec: TileSpec, destination: Destination, raw: bool = False) -> int:
    """Beats of a packet for a tile's rows, columns or weights; `raw`: of converter codes."""
    codes = spec.rows - 1 if destination is Destination.ROWS else spec.columns
    width = WEIGHT_BYTES if raw or destination is Destination.WEIGHTS else 1
    return -(-codes * width // spec.host.axis_bytes)


def result_beats(spec: TileSpec, codes: int, raw: bool = False) -> int:
    """Beats of a result of so many codes."""
    return -(-codes * (WEIGHT_BYTES if raw else 1) // spec.host.axis_bytes)


def packet_in(spec: TileSpec, destination: Destination) -> int:
    """From the cycle of a packet's first beat to the one in which its vector waits."""
    return beats(spec, destination) + INPUT_LATENCY - 1


def packet_out(spec: TileSpec, codes: int, raw: bool = False) -> int:
    """From the cycle of an answer to the one of the last beat of its result.

    A table of segments takes a step more.
    """
    return result_beats(spec, codes, raw) + OUTPUT_LATENCY + int(spec.neurons.segments > 0)


# -- a training example ----------------------------------------------------------------------


def overhead_share(spec: TileSpec) -> float:
    """Overhead of FORWARD, BACKWARD and UPDATE of one tile, of one polarity.

    As a share of their windows, their conversions, and the beats of the two vectors that come in
    and the two that go out.
    """
    commands = forward(spec) + backward(spec) + update(spec)
    vectors = beats(spec, Destination.ROWS) + beats(spec, Destination.COLUMNS)
    results = result_beats(spec, spec.columns) + result_beats(spec, spec.rows - 1)
    return commands.overhead / (commands.windows + commands.conversions + vectors + results)


def example(layers: Sequence[TileSpec], polarities: int = 1) -> int:
    """A training example of a network, one tile a layer, without the host's time.

    Each vector leaves its tile whole before it enters the next one. The last layer gives raw codes,
    of which the host makes errors; then BACKWARD of all layers but the first, and all UPDATEs at
    once, the first layer's with new columns.
    """
    *hidden, last = layers
    total = sum(packet_in(spec, Destination.ROWS) for spec in layers)
    total += sum(forward(spec, polarities).total() for spec in layers)
    total += sum(packet_out(spec, spec.columns) for spec in hidden)
    total += packet_out(last, last.columns, raw=True)
    total += sum(packet_in(spec, Destination.COLUMNS) for spec in layers)
    for spec in layers[1:]:
        total += backward(spec).total() + packet_out(spec, spec.rows - 1)
    updates = [update(spec, polarities, int(spec is layers[0])).total() for spec in layers]
    return total + max(updates)
