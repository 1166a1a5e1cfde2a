"""docs/programmers-guide.md, run block after block on a simulated tile with the golden array."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from golden.analog.array import Array
from golden.analog.pcm import set_table
from spec.commands import Command, Error, PairCode
from spec.presets import preset
from spec.registers import WindowCode
from tests.equivalence.simulated_tile import DEVICES, BusError, SimulatedTile

GUIDE = Path(__file__).parents[2] / "docs" / "programmers-guide.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)

_tiny = preset("tiny")
SPEC = replace(_tiny, rows=3, transfer=replace(_tiny.transfer, set_shift=6, trim_limit=8))
EXAMPLE, TARGET = [15, 9], [6, -5, 3]
WEIGHTS = [[200, -150, 90], [-60, 120, 30], [10, 240, -110]]
OFFSETS = {WindowCode.FORWARD_OFFSETS: SPEC.columns, WindowCode.BACKWARD_OFFSETS: SPEC.rows}
ANYTHING = (1 << (SPEC.converters.forward_bits + SPEC.converters.calibration_log2 - 1)) - 1
TOLERANCE = 60
"""READ codes: what one pulse moves, and the noise of a READ."""


@cache
def guide() -> dict[str, Any]:
    """The names that its blocks leave behind, and the tile under `tile`."""
    tile = SimulatedTile(SPEC, Array(SPEC, DEVICES, 7, 0))
    names: dict[str, Any] = {
        "tile": tile,
        "read": tile.read,
        "write": tile.write,
        "send": tile.send,
        "receive": tile.receive,
        "wait_for_interrupt": tile.interrupt,
        "reset_tile": tile.aresetn,
        "BusError": BusError,
        "set_table": set_table(SPEC, DEVICES).tolist(),
        "weights": WEIGHTS,
        "example": EXAMPLE,
        "target": TARGET,
    }
    # As after power-up: the memories hold anything.
    for code, count in OFFSETS.items():
        tile.put_window(code, [ANYTHING] * count)
    tile.put_window(WindowCode.SET_TABLE, [0] * SPEC.set_table_entries)
    tile.aresetn()
    text = GUIDE.read_text("utf-8")
    for block in BLOCK.finditer(text):
        # Empty lines in front, so that a failure names the line of the guide.
        lines_before = text.count("\n", 0, block.start(1))
        exec(compile("\n" * lines_before + block[1], str(GUIDE), "exec"), names)
    return names


def test_what_is_discovered() -> None:
    names = guide()
    assert (names["rows"], names["columns"]) == (SPEC.rows, SPEC.columns)
    assert names["row_code_high"] == SPEC.row_code.high
    assert names["column_code_high"] == SPEC.column_code.high
    assert names["weight_high"] == SPEC.weight_code.high
    assert len(names["set_table"]) == names["features"]["SET_TABLE_ENTRIES"]


def test_weights_come_back() -> None:
    assert np.abs(np.array(guide()["loaded"]) - WEIGHTS).max() <= TOLERANCE


def test_no_offset_is_what_power_up_left() -> None:
    _, memories = guide()["saved"]
    for code, count in OFFSETS.items():
        assert len(memories[code]) == count
        assert max(memories[code]) < ANYTHING // 4


def test_training_lowers_the_error() -> None:
    first, last = (np.abs(errors).sum() for errors in (guide()["history"][k] for k in (0, -1)))
    assert last < first


def test_counters() -> None:
    names, counted = guide(), guide()["counted"]
    rows, trained = SPEC.rows, len(names["history"]) + 2 + names["INTERVAL"]
    assert counted["FORWARDS"] == trained
    assert counted["ROWS_DONE"] == 4 * rows  # INIT, LOAD, one burst, one staggered interval
    assert counted["ATTEMPTS"] > 0
    assert names["after"] == [1] * rows


def test_weights_survive_resets() -> None:
    """A row that aresetn found incomplete comes back as its journal had it."""
    fields, memories = guide()["saved"]
    assert fields["JOURNAL"]["VALID"]
    row = fields["JOURNAL"]["ROW"]
    difference = np.array(guide()["survived"][row]) - memories[WindowCode.JOURNAL_CODES]
    assert np.abs(difference).max() <= TOLERANCE
    assert np.abs(guide()["survived"]).max() > 2 * TOLERANCE


def test_raw_access() -> None:
    assert min(guide()["plus"]) > 0 > max(guide()["minus"])
    assert guide()["tile"].get("STATUS")["UNKNOWN"] == 0


def test_the_rest_of_its_text() -> None:
    """MACRO_TIMEOUT within a row, SAFE, FORCE, and RESUME with nothing to do."""
    names = guide()
    tile, run, rows = names["tile"], names["run"], SPEC.rows
    assert run(Command.RESUME) == Error.NONE
    tile.put("COMMAND", OPCODE=Command.TRANSFER)
    while not tile.get("STATUS")["ROW_INCOMPLETE"]:
        pass
    tile.set(tile.tile.analog_safe, 1)
    assert names["answer"]() == Error.SAFE
    assert run(Command.RESUME) == Error.SAFE
    tile.set(tile.tile.analog_safe, 0)
    tile.macro.dead = True
    assert run(Command.RESUME) == Error.MACRO_TIMEOUT
    tile.macro.dead = False
    assert tile.get("STATUS")["ROW_INCOMPLETE"]
    assert run(Command.INIT, first=0, last=rows - 1, FORCE=1) == Error.NONE
    assert not tile.get("STATUS")["ROW_INCOMPLETE"]
    assert np.abs(names["read_row"](0, PairCode.HIGHER)).max() < 100
