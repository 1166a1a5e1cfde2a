"""Two runs as one: golden's control works an operation, then the Verilog does, event for event.

Each has an analog array of its own, from the same seed. The first difference ends the run.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cocotb_tests.closed_loop.pins import Event
from golden.analog.array import Array
from golden.digital import vector_input, vector_output
from golden.digital.controller import TileController
from golden.words import pulsing
from spec.boundary import Pair
from spec.commands import Command, Destination, PairCode, VectorFormat

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Difference:
    """Where two runs first differ, as `first_mismatch` of result.json."""

    tile: int
    operation: str
    what: str
    row: int | None = None
    column: int | None = None
    cycle: int | None = None
    expected: Any = None
    got: Any = None

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Mismatch(Exception):
    """The first difference; `difference` says where."""

    def __init__(self, difference: Difference) -> None:
        """See `Difference`."""
        super().__init__(str(difference))
        self.difference = difference


LINES = {
    "row": ("durations:integrate_columns", "row_lower_swap", "row_words", "backward"),
    "column": (
        "durations:integrate_rows", "column_words", "charge", "active", "minus", "step_codes",
        "forward", "convert_forward", "convert_read", "load", "read",
    ),
}  # fmt: skip


class Recorder:
    """An `ArrayMacro` before golden's array, which notes each event as the pins would show it."""

    def __init__(self, array: Array) -> None:
        """Nothing is noted yet."""
        self.array, self.events = array, list[Event]()

    def _note(self, name: str, result: Any = None, **arguments: Any) -> Any:
        self.events.append(Event(name, arguments, result))
        return result

    def integrate_columns(self, durations: IntArray, lower_swap: int) -> None:
        self._note("integrate_columns", durations=durations.copy(), lower_swap=lower_swap)
        self.array.integrate_columns(durations, lower_swap)

    def integrate_rows(self, durations: IntArray, row_lower_swap: Any) -> None:
        self._note(
            "integrate_rows", durations=durations.copy(), row_lower_swap=row_lower_swap.copy()
        )
        self.array.integrate_rows(durations, row_lower_swap)

    def integrate_read(self, row: int, pair: Pair, lower_swap: int) -> None:
        self._note("integrate_read", row=row, pair=pair, lower_swap=lower_swap)
        self.array.integrate_read(row, pair, lower_swap)

    def convert_forward(self, active: Any) -> Any:
        return self._note(
            "convert_forward", self.array.convert_forward(active), active=active.copy()
        )

    def convert_backward(self) -> Any:
        return self._note("convert_backward", self.array.convert_backward())

    def convert_read(self, active: Any, repeats: int) -> Any:
        codes = self.array.convert_read(active, repeats)
        return self._note("convert_read", codes, active=active.copy(), repeats=repeats)

    def update(self, row_words: Any, column_words: Any, charge: Any) -> None:
        self._note(
            "update", row_words=row_words.copy(), column_words=column_words.copy(),
            charge=charge.copy(),
        )  # fmt: skip
        self.array.update(row_words, column_words, charge)

    def precharge(self, row: int) -> None:
        self._note("precharge", row=row)
        self.array.precharge(row)

    def reset(self, row: int, active: Any) -> None:
        self._note("reset", row=row, active=active.copy())
        self.array.reset(row, active)

    def set(self, row: int, active: Any, minus: Any, step_codes: Any) -> None:
        self._note(
            "set", row=row, active=active.copy(), minus=minus & active,
            step_codes=np.where(active, step_codes, 0),
        )  # fmt: skip
        self.array.set(row, active, minus, step_codes)

    def wait(self, duration_ns: int) -> None:
        self._note("wait", duration_ns=duration_ns)
        self.array.wait(duration_ns)


class ArrayPair:
    """Both arrays, for what the training loop does to them directly."""

    def __init__(self, golden: Array, driven: Array) -> None:
        """`driven` is the Verilog's."""
        self.golden, self.driven = golden, driven

    @property
    def clock_ns(self) -> int:
        """The analog time of the Verilog's array."""
        return self.driven.clock_ns

    def wait(self, duration_ns: int) -> None:
        """Let analog time pass in both."""
        self.golden.wait(duration_ns)
        self.driven.wait(duration_ns)


class Simulated(Protocol):
    """A tile under simulation, as plain code drives it; each call returns when it is done."""

    @property
    def cycle(self) -> int:
        """Cycles of the tile's clock since its reset."""
        ...

    def command(
        self,
        command: Command,
        expected: list[Event],
        packet: tuple[int, bytes] | None = None,
        result: bool = False,
        **fields: int,
    ) -> bytes | None:
        """Work one command whose boundary events must be `expected`; its result's packet."""
        ...

    def set_rates(self, row_scale: int, column_scale: int) -> None:
        """Write the threshold scales."""
        ...


class Lockstep:
    """A `spec.boundary.Controller` that works both; golden first, which says what must come."""

    def __init__(self, index: int, golden: TileController, array: Array, tile: Simulated) -> None:
        """`golden` drives `array` from now on through a recorder; `tile` has the other array."""
        self.index, self.golden, self.tile = index, golden, tile
        self.recorder = Recorder(array)
        golden.array = self.recorder
        golden.transfers.array = self.recorder
        self._entered: IntArray | None = None
        """Column codes that golden has and the tile has not been given yet."""

    @property
    def derivative_mask(self) -> Any:
        """Golden's; the tile's own shows in the columns that it drives."""
        return self.golden.derivative_mask

    def _events(self) -> list[Event]:
        events, self.recorder.events = self.recorder.events, []
        return events

    def _check(self, operation: str, expected: IntArray, packet: bytes | None) -> IntArray:
        got = vector_output.decoded(packet or b"", VectorFormat.RAW)
        difference = compare(expected, got, operation)
        if difference is not None:
            raise Mismatch(
                Difference(self.index, operation, "code", cycle=self.tile.cycle, **difference)
            )
        return got

    def set_rates(self, row_scale: int, column_scale: int) -> None:
        self.golden.set_rates(row_scale, column_scale)
        self.tile.set_rates(row_scale, column_scale)

    def calibrate(self) -> None:
        self.golden.calibrate()
        self.tile.command(Command.CALIBRATE, self._events())

    def forward(self, row_codes: Any) -> IntArray:
        expected = self.golden.forward(row_codes)
        packet = _packet(Destination.ROWS, row_codes) if len(row_codes) else None
        got = self.tile.command(Command.FORWARD, self._events(), packet, result=True)
        return self._check("FORWARD", expected, got)

    def enter(self, column_codes: Any) -> IntArray:
        self._entered = np.asarray(column_codes).astype(np.int64)
        return self.golden.enter(self._entered)

    def _packet(self) -> tuple[int, bytes] | None:
        entered, self._entered = self._entered, None
        return None if entered is None else _packet(Destination.COLUMNS, entered)

    def backward(self, column_codes: Any = None) -> IntArray:
        if column_codes is not None:
            self.enter(column_codes)
        expected = self.golden.backward()
        got = self.tile.command(Command.BACKWARD, self._events(), self._packet(), result=True)
        return self._check("BACKWARD", expected, got)

    def update(self, new_columns: Any = None) -> None:
        if new_columns is not None:
            self.enter(new_columns)
        self.golden.update()
        packet = self._packet()
        self.tile.command(
            Command.UPDATE, self._events(), packet, new_columns=int(packet is not None)
        )

    def transfer(self, first: int, last: int) -> None:
        self._entered = None
        self.golden.transfer(first, last)
        self.tile.command(Command.TRANSFER, self._events(), first=first, last=last)

    def load(self, row: int, codes: Any) -> None:
        self._entered = None
        self.golden.load(row, codes)
        packet = _packet(Destination.WEIGHTS, codes)
        self.tile.command(Command.LOAD, self._events(), packet, first=row, last=row)

    def init(self, first: int, last: int) -> None:
        self._entered = None
        self.golden.init(first, last)
        self.tile.command(Command.INIT, self._events(), first=first, last=last)

    def read(self, row: int, pair: Pair) -> IntArray:
        expected = self.golden.read(row, pair)
        code = {Pair.ALL: PairCode.ALL, Pair.HIGHER: PairCode.HIGHER, Pair.LOWER: PairCode.LOWER}
        got = self.tile.command(
            Command.READ, self._events(), result=True, first=row, last=row, pair=code[pair]
        )
        return self._check("READ", expected, got)


def _packet(destination: Destination, codes: Any) -> tuple[int, bytes]:
    return int(destination), vector_input.encoded(destination, np.asarray(codes))


def compare(expected: Any, got: Any, name: str, event: str = "") -> dict[str, Any] | None:
    """None where equal; else `expected` and `got` of the first line that differs, and its number.

    The number is under "row" or "column", by what `name` is an array of.
    """
    if not isinstance(expected, np.ndarray):
        return None if expected == got else {"expected": _plain(expected), "got": _plain(got)}
    if expected.shape != np.shape(got):
        return {"expected": f"shape {expected.shape}", "got": f"shape {np.shape(got)}"}
    different = (expected != got).reshape(-1)
    if not different.any():
        return None
    line = int(different.argmax())
    found = {"expected": expected.reshape(-1)[line].item(), "got": got.reshape(-1)[line].item()}
    for side, names in LINES.items():
        if name in names or f"{name}:{event}" in names:
            found[side] = line % expected.shape[-1]
    return found


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Pair) else value


def event_difference(expected: Event | None, got: Event) -> dict[str, Any] | None:
    """None where the events are equal; else fields of a `Difference`."""
    if expected is None:
        return {"what": "an event nobody asked for", "expected": None, "got": got.name}
    if expected.name != got.name:
        return {"what": "event", "expected": expected.name, "got": got.name}
    for name, value in expected.arguments.items():
        of, others = value, got.arguments[name]
        if name == "charge":
            # A direction matters where its column pulses.
            pulsed = pulsing(expected.arguments["column_words"])
            of, others = value & pulsed, others & pulsed
        found = compare(of, others, name, got.name)
        if found is not None:
            if "row" in expected.arguments and "row" not in found:
                found["row"] = expected.arguments["row"]
            return {"what": f"{name} of {got.name}", **found}
    return None
