"""The formulas of spec/cycles.py against cycles counted on Amaranth's simulator."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from golden.analog.array import Array
from golden.analog.parameters import DeviceParameters
from rtl.tile import Tile
from spec import cycles
from spec.commands import Command, Destination, Error
from spec.presets import preset
from spec.tile import NeuronSpec, TileSpec
from tests.equivalence.simulated_tile import SimulatedTile

_tiny = preset("tiny")
# A short SET table, because a host writes it; few trains.
TINY = replace(
    _tiny,
    rows=3,
    transfer=replace(_tiny.transfer, set_shift=6, prog_tol=24, trim_limit=2, trim_gain=12),
)
SPECS = {
    "tiny": TINY,
    "lanes": replace(
        TINY,
        rows=3,
        columns=7,
        codes=replace(TINY.codes, pwm_bits=3, column_bits=4),
        update=replace(TINY.update, slots=16),
        converters=replace(TINY.converters, lanes=4, read_average_log2=2, calibration_log2=2),
        transfer=replace(TINY.transfer, prog_tol=40, trim_limit=3, prog_limit=2),
    ),
    "leak": replace(
        TINY,
        rows=2,
        columns=9,
        converters=replace(TINY.converters, lanes=2, read_average_log2=0, calibration_log2=0),
        transfer=replace(
            TINY.transfer, leak_compensation=9, prog_tol=8, trim_limit=4, trim_tol=200
        ),
        host=replace(TINY.host, axis_bytes=2),
    ),
    "skew": replace(TINY, rows=10, update=replace(TINY.update, slots=8, row_skew=True)),
    "128 slots": replace(TINY, rows=2, update=replace(TINY.update, slots=128)),
    "no PCM, segments": replace(
        TINY,
        neurons=NeuronSpec(segments_log2=1),
        rows=2,
        columns=4,
        converters=replace(TINY.converters, lanes=4, calibration_log2=1),
        transfer=replace(TINY.transfer, program_pcm=False, trim_limit=2),
    ),
}


def watch(tile: Tile) -> dict[str, object]:
    return {
        "command": tile.controller.command,
        "answered": tile.controller.answered,
        "result": tile.m_axis.tvalid & tile.m_axis.tlast,
        "beat": tile.s_axis.tvalid,
        "rows_waiting": tile.input.rows_waiting,
        "columns_waiting": tile.input.columns_waiting,
    }


class Counted(SimulatedTile):
    """A tile whose cycles are counted, armed, of random weights."""

    def __init__(self, spec: TileSpec, late: int = 0) -> None:
        array = Array(spec, DeviceParameters(), 3, 0)
        super().__init__(spec, array, late, watch)
        self.arm()

    def cycles_of(self, name: str, since: int) -> list[int]:
        """Cycles since then in which a signal was high."""
        place = list(self.watched).index(name)
        return [since + k for k, row in enumerate(self.trace[since:]) if row[place]]

    def count(self, command: Command, **fields: int) -> int:
        """Cycles from the strobe to the answer."""
        since = len(self.trace)
        assert self.command(command, **fields) is Error.NONE
        (strobe,), (answer,) = self.cycles_of("command", since), self.cycles_of("answered", since)
        return answer - strobe

    def row(self, command: Command, **fields: int) -> tuple[int, list[tuple[int, int]]]:
        """The same, and the attempts and trains of each row."""
        since = len(self.macro.events)
        count = self.count(command, **fields)
        rows: list[list[int]] = []
        for kind, *_ in self.macro.events[since:]:
            if kind == "precharge":
                rows.append([0, 0])
            elif kind in ("set", "update"):
                rows[-1][kind == "update"] += 1
        return count, [(attempts, trains) for attempts, trains in rows]

    def vectors(self, *destinations: Destination) -> None:
        """Send packets of ones."""
        for destination in destinations:
            rows = destination is Destination.ROWS
            self.packet(destination, [1] * (self.spec.rows - 1 if rows else self.spec.columns))


@cache
def counted(name: str, late: int = 0) -> Counted:
    """One tile for all tests, because it takes longest to build."""
    return Counted(SPECS[name], late)


def measured(tile: Counted) -> dict[str, int]:
    """Counts of all commands whose cycles are the same each time, by name."""
    spec, found = tile.spec, {}
    for polarities, bits in ((1, 0), (1, 1), (2, 0)):
        first = [bits] * spec.rows
        first[0] |= polarities - 1
        tile.polarity(first)
        name = f"{polarities} from {bits}"
        tile.vectors(Destination.ROWS, Destination.COLUMNS)
        found[f"forward {name}"] = tile.count(Command.FORWARD)
        found[f"backward {name}"] = tile.count(Command.BACKWARD)
        found[f"update {name}"] = tile.count(Command.UPDATE)
        tile.vectors(Destination.COLUMNS)
        found[f"update new {name}"] = tile.count(Command.UPDATE, NEW_COLUMNS=1)
        tile.vectors(Destination.ROWS, Destination.COLUMNS)
        found[f"update both new {name}"] = tile.count(Command.UPDATE, NEW_ROWS=1, NEW_COLUMNS=1)
        found[f"read {name}"] = tile.count(Command.READ, first=1)
    found["calibrate"] = tile.count(Command.CALIBRATE)
    found["idle 1"] = tile.count(Command.IDLE, cycles=1)
    found["idle 9"] = tile.count(Command.IDLE, cycles=9)
    for command in (Command.PRECHARGE, Command.PROGRAM):
        found[command.name.lower()] = tile.count(command, first=1, STEP_CODE=9)
        tile.put("RESET", POLARITY_VALID=1)
    return found


def stated(spec: TileSpec, late: int = 0) -> dict[str, int]:
    """The same by the formulas."""
    found: dict[str, cycles.Cycles] = {}
    for polarities, bits in ((1, 0), (1, 1), (2, 0)):
        name = f"{polarities} from {bits}"
        found |= {
            f"forward {name}": cycles.forward(spec, polarities),
            f"backward {name}": cycles.backward(spec),
            f"update {name}": cycles.update(spec, polarities),
            f"update new {name}": cycles.update(spec, polarities, 1),
            f"update both new {name}": cycles.update(spec, polarities, 2),
            f"read {name}": cycles.read(spec),
        }
    found |= {
        "calibrate": cycles.calibrate(spec),
        "idle 1": cycles.idle(1),
        "idle 9": cycles.idle(9),
        "precharge": cycles.precharge(),
        "program": cycles.program(spec),
    }
    return {name: value.total(late) for name, value in found.items()}


CASES = [*((name, 0) for name in SPECS), ("leak", 3)]


@pytest.mark.parametrize(("name", "late"), CASES)
def test_commands(name: str, late: int) -> None:
    assert measured(counted(name, late)) == stated(SPECS[name], late)


@pytest.mark.parametrize(("name", "late"), CASES)
def test_rows(name: str, late: int) -> None:
    """INIT, LOAD and TRANSFER, by the attempts and trains that the macro saw."""
    spec = SPECS[name]
    tile, rng = counted(name, late), np.random.default_rng(2)
    for rows in (1, spec.rows):
        count = tile.count(Command.INIT, first=0, last=rows - 1)
        assert count == cycles.init(spec, rows).total(late)
    found, expected = [], []
    high = spec.weight_code.high // 2
    for row in range(spec.rows):
        tile.packet(Destination.WEIGHTS, rng.integers(-high, high + 1, spec.columns))
        count, (counts,) = tile.row(Command.LOAD, first=row)
        found.append((row, counts, count))
        expected.append((row, counts, cycles.load(spec, *counts).total(late)))
    count, rows = tile.row(Command.TRANSFER, first=0, last=spec.rows - 1)
    assert len(rows) == spec.rows
    assert count == cycles.transfer(spec, rows).total(late)
    assert found == expected


@pytest.mark.parametrize("name", SPECS)
def test_vectors(name: str) -> None:
    """Packets in, from their first beat until they wait; results out, from the answer."""
    spec = SPECS[name]
    tile, found, expected = counted(name), [], []
    for destination, waiting, command, codes in (
        (Destination.ROWS, "rows_waiting", Command.FORWARD, spec.columns),
        (Destination.COLUMNS, "columns_waiting", Command.BACKWARD, spec.rows - 1),
    ):
        since = len(tile.trace)
        tile.vectors(destination)
        taken = tile.cycles_of(waiting, since)[0] - tile.cycles_of("beat", since)[0]
        assert tile.command(command) is Error.NONE
        tile.receive()
        sent = tile.cycles_of("result", since)[-1] - tile.cycles_of("answered", since)[-1]
        found.append((taken, sent))
        expected.append((cycles.packet_in(spec, destination), cycles.packet_out(spec, codes, True)))
    assert found == expected
