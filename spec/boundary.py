"""The two crossings between digital and analog: pulse events out, converter codes in.

A controller (golden integers, or Verilog under simulation) drives an `ArrayMacro`; the training
loop drives a `Controller`. Neither side can tell which implementation it talks to. Arrays are
integer arrays of one line per element.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Any, Protocol


class Polarity(IntEnum):
    """A row's bit. Its value is `lower_swap`: NORMAL means g adds and g_ref subtracts."""

    NORMAL = 0
    INVERTED = 1


class Pair(Enum):
    """What a READ selects."""

    ALL = "all"
    HIGHER = "higher"
    LOWER = "lower"


class ArrayMacro(Protocol):
    """The analog array as the controller sees it. Every call is one boundary event."""

    def integrate_columns(self, durations: Any, lower_swap: int) -> None:
        """FORWARD phase: rows high for `durations` (rows,) cycles; columns integrate."""

    def integrate_rows(self, durations: Any, row_lower_swap: Any) -> None:
        """BACKWARD phase: columns high for signed `durations` (columns,); rows integrate."""

    def integrate_read(self, row: int, pair: Pair, lower_swap: int) -> None:
        """READ phase: one row at full drive, one selection of devices; columns integrate."""

    def convert_forward(self, active: Any) -> Any:
        """Raw codes (columns,) of the integrators in FORWARD's range; clears them."""

    def convert_backward(self) -> Any:
        """Raw codes (rows,) of the integrators in BACKWARD's range; clears them."""

    def convert_read(self, active: Any, repeats: int) -> Any:
        """Raw codes (repeats, columns) in READ's range; clears the integrators at the end."""

    def update(self, row_words: Any, column_words: Any, charge: Any) -> None:
        """UPDATE phase; `charge` (columns,) is the direction.

        Words (parts, rows) and (parts, columns): slot s is bit s % 32 of part s // 32.
        """

    def precharge(self, row: int) -> None:
        """Bring a row's capacitors and their reference to V0."""

    def reset(self, row: int, active: Any) -> None:
        """RESET both devices of the active columns of a row."""

    def set(self, row: int, active: Any, minus: Any, step_codes: Any) -> None:
        """One SET ramp on a row: per column a device (plus or minus) and a step code."""

    def wait(self, duration_ns: int) -> None:
        """Let analog time pass."""


class SoftReset(Exception):
    """Raised by a macro in whose boundary event a soft reset fell; the command port catches it."""


class Controller(Protocol):
    """A tile controller as the training loop sees it."""

    @property
    def derivative_mask(self) -> Any:
        """Where column codes pass (columns,): slope one in the last FORWARD of a hidden layer."""

    def calibrate(self) -> None:
        """CALIBRATE: auto-zero the channels of both sides."""

    def set_rates(self, row_scale: int, column_scale: int) -> None:
        """Write the learning rate: threshold scales of both sides."""

    def forward(self, row_codes: Any) -> Any:
        """FORWARD: row codes (rows - 1,) to signed codes (columns,)."""

    def enter(self, column_codes: Any) -> Any:
        """Keep signed column codes (columns,) for the next BACKWARD or UPDATE; the mask applied."""

    def backward(self, column_codes: Any = None) -> Any:
        """BACKWARD: column codes (columns,), or those entered, to signed codes (rows - 1,)."""

    def update(self, new_columns: Any = None) -> None:
        """UPDATE with the active or entered vectors, or with new column codes (columns,)."""

    def transfer(self, first: int, last: int) -> None:
        """TRANSFER rows first..last."""

    def load(self, row: int, codes: Any) -> None:
        """LOAD one row's weight codes (columns,)."""

    def init(self, first: int, last: int) -> None:
        """INIT rows first..last."""

    def read(self, row: int, pair: Pair) -> Any:
        """READ weight codes (columns,) of a row."""
