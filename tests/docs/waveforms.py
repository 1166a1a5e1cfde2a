"""The timing diagrams of docs/theory-of-operation.md, taken from a simulated tile, and its pins.

`python -m tests.docs.waveforms` writes them into the document. A diagram stands in the code block
behind the line `<!-- diagram: NAME -->`, the macro's pins behind `<!-- ports: macro -->`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache
from itertools import groupby
from pathlib import Path

from rtl.tile import Tile
from rtl.transfer import State
from spec import cycles
from spec.commands import Command, Destination, PairCode, Phase
from spec.ports import macro_table
from spec.presets import preset
from spec.tile import TileSpec
from tests.equivalence.simulated_tile import SimulatedTile

DOCUMENT = Path(__file__).parents[2] / "docs" / "theory-of-operation.md"
BLOCK = re.compile(r"(<!-- diagram: (\w+) -->\n```text\n)(.*?)(```\n)", re.DOTALL)
PINS_TABLE = re.compile(r"(<!-- ports: macro -->\n)(.*?)(<!-- end of ports -->\n)", re.DOTALL)
NAME_WIDTH = 18
RULER_CYCLES = 5
BEFORE, AFTER = 1, 2
"""Cycles shown beside those meant."""

_tiny = preset("tiny")
SPEC = replace(
    _tiny,
    rows=3,
    columns=2,
    codes=replace(_tiny.codes, pwm_bits=2, column_bits=2),
    update=replace(_tiny.update, slots=4),
    converters=replace(_tiny.converters, calibration_log2=0),
    transfer=replace(
        _tiny.transfer, set_shift=6, prog_limit=2, prog_tol=24, trim_limit=2, trim_gain=12
    ),
)
LONG = replace(SPEC, codes=replace(SPEC.codes, pwm_bits=5))
"""With a window that a host can reach into."""


@dataclass(frozen=True)
class Line:
    """A line of a diagram: a watched signal, or one of its bits, or its value by name."""

    signal: str
    bit: int | None = None
    values: type[IntEnum] | None = None
    bus: bool = False

    @property
    def name(self) -> str:
        return self.signal if self.bit is None else f"{self.signal}[{self.bit}]"

    def draw(self, words: Sequence[int]) -> str:
        """Two characters a cycle."""
        if self.bus or self.values:
            return "".join(self._segment(word, len(list(run))) for word, run in groupby(words))
        levels = [(word >> (self.bit or 0)) & 1 for word in words]
        drawn = []
        for before, level in zip([levels[0], *levels], levels, strict=False):
            edge = "_~"[level] if before == level else "\\/"[level]
            drawn.append(edge + "_~"[level])
        return "".join(drawn)

    def _segment(self, word: int, cycles: int) -> str:
        name = self.values(word).name if self.values else str(word)
        room = 2 * cycles - 1
        return "|" + name[:room].ljust(room)


def bits(signal: str, count: int) -> list[Line]:
    return [Line(signal, bit) for bit in range(count)]


STROBE, ANSWER = Line("command"), Line("answered")
REQUEST, PHASE, READY = Line("request"), Line("phase", values=Phase), Line("ready")
CONVERSION = [Line("convert_valid"), Line("convert_hold")]
ROWS, COLUMNS = bits("row_pulse", SPEC.rows), bits("column_pulse", SPEC.columns)
PINS = (
    "clear", "request", "phase", "row_pulse", "column_pulse", "column_sign", "lower_swap",
    "row_lower_swap", "row_select", "pair", "column_enable", "column_select", "set_write",
    "set_column", "set_code", "set_minus", "convert_hold",
)  # fmt: skip


def watch(tile: Tile) -> dict[str, object]:
    return {
        "command": tile.controller.command,
        "answered": tile.controller.answered,
        **{name: getattr(tile.pins, name) for name in PINS},
        "ready": tile.ready,
        "convert_valid": tile.convert_valid,
        "analog_safe": tile.analog_safe,
        "soft_reset": tile.bank.reset.soft_reset,
        "state": tile.transfer.state,
        "journal_valid": tile.journal.valid,
        "polarity": tile.polarity.bits,
    }


class Drawn(SimulatedTile):
    """A tile whose signals can be drawn."""

    def __init__(self, spec: TileSpec = SPEC) -> None:
        super().__init__(spec, watch=watch)
        self.arm()

    def words(self, name: str, first: int, last: int) -> list[int]:
        """A signal in the cycles first..last."""
        place = list(self.watched).index(name)
        return [row[place] for row in self.trace[first : last + 1]]

    def first(self, name: str, since: int, value: int = 1) -> int:
        """The first cycle from `since` on in which a signal has a value."""
        return since + self.words(name, since, len(self.trace)).index(value)

    def diagram(self, lines: Sequence[Line], first: int, last: int, start: int) -> str:
        """Cycles first..last; `start` is cycle 0."""
        last = min(last, len(self.trace) - 1)
        marks = []
        for cycle in range(first - start, last - start + 1):
            number = str(cycle) if cycle >= 0 and cycle % RULER_CYCLES == 0 else ""
            marks.append(number.ljust(2)[:2])
        drawn = [("cycle", "".join(marks))]
        drawn += [(line.name, line.draw(self.words(line.signal, first, last))) for line in lines]
        return "".join(f"{name:<{NAME_WIDTH}}{text}".rstrip() + "\n" for name, text in drawn)

    def drawn_command(self, lines: Sequence[Line], command: Command, **fields: int) -> str:
        """A command from its strobe to its answer."""
        since = len(self.trace)
        self.command(command, **fields)
        start, end = self.first("command", since), self.first("answered", since)
        return self.diagram([STROBE, *lines, ANSWER], start - BEFORE, end + AFTER, start)


@cache
def diagrams() -> dict[str, str]:
    """All of them, by name."""
    tile, found = Drawn(), {}
    tile.polarity([0, 1, 0])
    tile.packet(Destination.ROWS, [1, 2])
    swap = Line("lower_swap")
    found["forward"] = tile.drawn_command(
        [REQUEST, PHASE, swap, READY, *ROWS, CONVERSION[0]], Command.FORWARD
    )
    tile.packet(Destination.COLUMNS, [3, -2])
    signs = bits("column_sign", SPEC.columns)
    swaps = Line("row_lower_swap", bus=True)
    found["backward"] = tile.drawn_command(
        [REQUEST, PHASE, swaps, READY, *COLUMNS, *signs, CONVERSION[0]], Command.BACKWARD
    )
    found["update"] = tile.drawn_command(
        [REQUEST, PHASE, swap, READY, *ROWS, *COLUMNS, *signs], Command.UPDATE
    )
    select, pair = Line("row_select", bus=True), Line("pair", values=PairCode)
    found["read"] = tile.drawn_command(
        [REQUEST, PHASE, select, pair, swap, READY, *ROWS, *CONVERSION],
        Command.READ,
        first=1,
        PAIR=PairCode.LOWER,
    )
    journal, polarity = Line("journal_valid"), bits("polarity", SPEC.rows)
    state, selects = Line("state", values=State), bits("column_select", SPEC.columns)
    found["init"] = tile.drawn_command(
        [state, journal, polarity[1], REQUEST, PHASE, select, *selects, READY],
        Command.INIT,
        first=1,
        last=1,
    )
    found |= _row_transfer(tile)
    found |= _cut_short()
    found["cycles"] = _cycles()
    return found


def _cycles() -> str:
    """The cycles of the paper's first layer, from the formulas."""
    paper = preset("paper")
    attempts, trains = 1, 2
    commands = {
        "FORWARD": cycles.forward(paper),
        "FORWARD, both polarities": cycles.forward(paper, 2),
        "BACKWARD": cycles.backward(paper),
        "UPDATE": cycles.update(paper),
        "UPDATE, both polarities": cycles.update(paper, 2),
        "READ": cycles.read(paper),
        "CALIBRATE": cycles.calibrate(paper),
        "INIT, a row": cycles.init(paper, 1),
        f"TRANSFER, a row, a = {attempts}, t = {trains}": cycles.transfer(
            paper, [(attempts, trains)]
        ),
    }
    heads = ("windows", "conversions", "passes", "overhead", "total")
    lines = [f"{'command':<34}" + "".join(f"{head:>13}" for head in heads) + "\n"]
    for name, counts in commands.items():
        values = [getattr(counts, head) for head in heads[:-1]] + [counts.total()]
        lines.append(f"{name:<34}" + "".join(f"{value:>13,}" for value in values) + "\n")
    return "".join(lines)


def _row_transfer(tile: Drawn) -> dict[str, str]:
    """Parts of a TRANSFER, and its states."""
    since = len(tile.trace)
    tile.command(Command.TRANSFER, first=2, last=2)
    start, end = tile.first("command", since), tile.first("answered", since)

    def part(lines: Sequence[Line], first: State, last: State) -> str:
        begin = tile.first("state", start, first)
        over = tile.first("state", begin, last)
        return tile.diagram(lines, begin - BEFORE, over + AFTER, begin)

    state, selects = Line("state", values=State), bits("column_select", SPEC.columns)
    latches = [Line("set_write"), *(Line(f"set_{k}", bus=True) for k in ("column", "code"))]
    found = {
        "flip": part(
            [state, Line("journal_valid"), Line("polarity", 2), REQUEST, PHASE, READY],
            State.JOURNAL, State.READ_LOWER,
        ),
        "attempt": part(
            [state, REQUEST, PHASE, *selects, READY, *latches, Line("set_minus")],
            State.ERASE, State.VERIFY,
        ),
        "trim": part(
            [state, REQUEST, PHASE, READY, ROWS[2], *COLUMNS, *bits("column_sign", SPEC.columns)],
            State.TRIM_PULSE, State.TRIM_READ,
        ),
    }  # fmt: skip
    lines, cycle = [f"{'cycle':<8}{'state':<16}{'cycles':<8}requests to the macro\n"], 0
    for value, run in groupby(tile.words("state", start, end)):
        length = len(list(run))
        begin = start + cycle
        requests = tile.words("request", begin - 1, begin + length - 1)
        phases = tile.words("phase", begin, begin + length - 1)
        asked = [
            Phase(phases[k]).name for k in range(length) if requests[k + 1] and not requests[k]
        ]
        shown = ", ".join(
            f"{count} x {name}" if count > 1 else name
            for name, count in ((name, len(list(names))) for name, names in groupby(asked))
        )
        lines.append(f"{cycle:<8}{State(value).name:<16}{length:<8}{shown}".rstrip() + "\n")
        cycle += length
    found["row"] = "".join(lines)
    return found


def _cut_short() -> dict[str, str]:
    """A soft reset and `analog_safe` within a window."""
    found = {}
    for name in ("soft_reset", "analog_safe"):
        tile = Drawn(LONG)
        tile.packet(Destination.ROWS, [31, 20])
        since = len(tile.trace)
        tile.start(Command.FORWARD)
        tile.wait(8)
        if name == "soft_reset":
            tile.put("RESET", SOFT_RESET=1)
        else:
            tile.set(tile.tile.analog_safe, 1)
            tile.set(tile.tile.analog_safe, 0)
        tile.wait(10)
        cut = tile.first(name, since)
        lines = [Line(name), REQUEST, PHASE, READY, ROWS[2], Line("clear"), ANSWER]
        found[name] = tile.diagram(lines, cut - 6, cut + 6, cut)
    return found


def filled(document: str, drawn: dict[str, str]) -> str:
    """The document with these diagrams. Raises KeyError on a name that there is not."""
    document = BLOCK.sub(lambda match: match[1] + drawn[match[2]] + match[4], document)
    pins = "\n".join(macro_table()) + "\n"
    return PINS_TABLE.sub(lambda match: match[1] + pins + match[3], document)


def main() -> None:
    DOCUMENT.write_text(filled(DOCUMENT.read_text("utf-8"), diagrams()), "utf-8")


if __name__ == "__main__":
    main()
