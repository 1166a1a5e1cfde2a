"""What a tile does at its pins, as calls on an `ArrayMacro`; made from what the meter captured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.words import PART_SLOTS, Words
from rtl.converter import raw_bits
from spec.boundary import Pair
from spec.commands import PairCode, Phase
from spec.tile import STEP_CODE_BITS, TileSpec

Bits = NDArray[np.uint8]
PAIRS = {PairCode.ALL: Pair.ALL, PairCode.HIGHER: Pair.HIGHER, PairCode.LOWER: Pair.LOWER}
FAULT = 15
"""The meter's `kind` where a rule of the pins was broken."""


class Rule(IntEnum):
    """Rules of the pins, by the meter's `fault`."""

    DRIVEN_AT_REST = 1
    DRIVEN_EARLY = 2
    DRIVEN_LATE = 3
    MOVED = 4
    NOT_ONE_PIECE = 5
    CUT = 6
    LATCHED = 7
    CLEARED = 8
    WRONG_SIDE = 9
    NO_PHASE = 10
    SIGN_MOVED = 11
    REPEATED = 12


RULES = {
    Rule.DRIVEN_AT_REST: "a line is driven without a request",
    Rule.DRIVEN_EARLY: "a line is driven before the array is ready",
    Rule.DRIVEN_LATE: "a line is driven after its window, or in a phase that drives none",
    Rule.MOVED: "a select or a swap moves within a phase",
    Rule.NOT_ONE_PIECE: "a pulse is not one piece from the first cycle of its window",
    Rule.CUT: "a phase ends before its window or its last conversion",
    Rule.LATCHED: "a step code is latched within a phase",
    Rule.CLEARED: "the integrators are cleared within a phase",
    Rule.WRONG_SIDE: "a phase drives lines of the other side",
    Rule.NO_PHASE: "a request for a phase that there is not",
    Rule.SIGN_MOVED: "a column's sign moves within a window",
    Rule.REPEATED: "a READ's conversions are not all of its own, or hold wrongly",
}


@dataclass(frozen=True)
class Event:
    """One boundary event: the method of `ArrayMacro`, its arguments, what it gave."""

    name: str
    arguments: dict[str, Any]
    result: Any = None


class BrokenRule(Exception):
    """The tile broke a rule of the pins."""


def bits(text: str) -> Bits:
    """A simulator's text of a vector as an array, bit 0 first."""
    return np.frombuffer(text.encode(), np.uint8)[::-1] & np.uint8(1)


def word(values: NDArray[np.integer], width: int) -> int:
    """`values`, each of `width` bits, two's complement, as one number, the first lowest."""
    places = (values.astype(np.int64)[:, None] >> np.arange(width)) & 1
    packed = np.packbits(places.astype(np.uint8).reshape(-1), bitorder="little")
    return int.from_bytes(packed.tobytes(), "little")


def numbers(plane_bits: Bits, lines: int) -> NDArray[np.int64]:
    """Planes of bits (plane, line), bit 0 first, as a number a line."""
    planes = plane_bits.reshape(-1, lines).astype(np.int64)
    return (planes << np.arange(len(planes))[:, None]).sum(axis=0)


def words(plane_bits: Bits, lines: int) -> Words:
    """Planes of bits (slot, line), slot 0 first, as words (parts, lines)."""
    planes = plane_bits.reshape(-1, lines)
    firsts = range(0, len(planes), PART_SLOTS)
    return np.array([numbers(planes[n : n + PART_SLOTS], lines) for n in firsts], np.uint32)


class Reader:
    """Events of one tile; `capture` reads a signal of its meter by name."""

    def __init__(self, spec: TileSpec, capture: Callable[[str], str]) -> None:
        """The tile's signals have not been read yet."""
        self.spec, self._capture = spec, capture
        self._seen: dict[str, tuple[str, Bits]] = {}
        self._read = dict(zip(Phase, [self._wait] * len(Phase), strict=True)) | {
            Phase.FORWARD: self._forward,
            Phase.BACKWARD: self._backward,
            Phase.UPDATE: self._update,
            Phase.READ: self._read_row,
            Phase.PRECHARGE: self._precharge,
            Phase.RESET: self._reset,
            Phase.SET: self._set,
            Phase.CONVERT_FORWARD: self._convert_forward,
            Phase.CONVERT_BACKWARD: self._convert_backward,
            Phase.CONVERT_READ: self._convert_read,
        }

    def event(self, status: dict[str, int]) -> Event:
        """The event that the meter reports. Raises BrokenRule."""
        if status["fault"]:
            raise BrokenRule(RULES[Rule(status["fault"])])
        return self._read[Phase(status["kind"])](status)

    def _bits(self, name: str) -> Bits:
        text = self._capture(name)
        before = self._seen.get(name)
        if before is None or before[0] != text:
            self._seen[name] = before = text, bits(text)
        return before[1]

    def _counts(self, name: str, lines: int) -> NDArray[np.int64]:
        return numbers(self._bits(name), lines)

    def _wait(self, _status: dict[str, int]) -> Event:
        cycles = int(self._capture("cycles"), 2)
        return Event("wait", {"duration_ns": cycles * self.spec.timing.cycle_ns})

    def _forward(self, status: dict[str, int]) -> Event:
        durations = self._counts("row_counts", self.spec.rows)
        return Event(
            "integrate_columns", {"durations": durations, "lower_swap": status["event_swap"]}
        )

    def _backward(self, _status: dict[str, int]) -> Event:
        durations = self._counts("column_counts", self.spec.columns)
        signed = np.where(self._bits("signs") > 0, -durations, durations)
        swaps = self._bits("swaps").astype(np.int64)
        return Event("integrate_rows", {"durations": signed, "row_lower_swap": swaps})

    def _update(self, _status: dict[str, int]) -> Event:
        rows = words(self._bits("row_words"), self.spec.rows)
        columns = words(self._bits("column_words"), self.spec.columns)
        charge = self._bits("signs") > 0
        return Event(
            "update", {"row_words": rows, "column_words": columns, "charge": charge}
        )  # fmt: skip

    def _read_row(self, status: dict[str, int]) -> Event:
        row, window = status["event_row"], 1 << (self.spec.codes.pwm_bits - 1)
        driven = self._counts("row_counts", self.spec.rows)
        if row >= self.spec.rows or driven[row] != window or np.count_nonzero(driven) != 1:
            others = np.flatnonzero(driven).tolist()
            raise BrokenRule(
                f"READ selects row {row} and drives rows {others}, not it for {window}"
            )
        pair = PAIRS[PairCode(status["event_pair"])]
        return Event(
            "integrate_read", {"row": row, "pair": pair, "lower_swap": status["event_swap"]}
        )

    def _precharge(self, status: dict[str, int]) -> Event:
        return Event("precharge", {"row": status["event_row"]})

    def _reset(self, status: dict[str, int]) -> Event:
        return Event("reset", {"row": status["event_row"], "active": self._bits("selected") > 0})

    def _set(self, status: dict[str, int]) -> Event:
        active = self._bits("selected") > 0
        minus = (self._bits("set_minuses") > 0) & active
        places = self._bits("set_codes").reshape(self.spec.columns, STEP_CODE_BITS)
        codes = (places.astype(np.int64) << np.arange(STEP_CODE_BITS)).sum(axis=1)
        codes = np.where(active, codes, 0)
        row = status["event_row"]
        return Event("set", {"row": row, "active": active, "minus": minus, "step_codes": codes})

    def _convert_forward(self, _status: dict[str, int]) -> Event:
        return Event("convert_forward", {"active": self._bits("enabled") > 0})

    def _convert_backward(self, _status: dict[str, int]) -> Event:
        return Event("convert_backward", {})

    def _convert_read(self, _status: dict[str, int]) -> Event:
        repeats = 1 << self.spec.converters.read_average_log2
        return Event("convert_read", {"active": self._bits("enabled") > 0, "repeats": repeats})


def codes_word(spec: TileSpec, codes: NDArray[np.integer]) -> int:
    """Raw codes (lines,) or (repeats, lines) as the meter takes them, each side in whole groups."""
    sides = np.atleast_2d(codes)
    lanes = spec.converters.lanes
    padded = np.zeros((len(sides), -(-sides.shape[1] // lanes) * lanes), np.int64)
    padded[:, : sides.shape[1]] = sides
    return word(padded.reshape(-1), raw_bits(spec))
