"""The covergroups of docs/testplan, and what samples them.

A script of tests/equivalence is sampled from golden's run of it, after the simulated tile was
found equal to that run: a hit is a checked one. The closed loop is sampled command by command,
each after its events were found equal. Off, unless CROSSTILE_COVERAGE names a folder, to which
each process adds a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

from spec.commands import Command, Error, PairCode, RangeKind
from spec.tile import TileSpec

FOLDER = "CROSSTILE_COVERAGE"
"""The variable of the environment that turns coverage on."""

LIVE = ("normal", "inverted", "both")
MODES = ("low_discrepancy", "stochastic")
STALLS = ("none", "some")
PACKETS = ("rows", "columns", "weights")
ATTEMPTS = ("none", "first", "later", "given up")
TRAINS = ("none", "some", "given up")
MOMENTS = ("in a drive", "in a conversion", "between")
OPERATIONS = ("FORWARD", "BACKWARD", "UPDATE", "READ", "TRANSFER")
WITH_PACKET = ("FORWARD", "BACKWARD", "UPDATE", "LOAD")
ALL = tuple(command.name for command in Command)

Bins = Sequence[tuple[Any, ...]]


def _errors() -> Bins:
    """Each command with each answer that it can have; docs/theory-of-operation.md, Errors."""
    kept_out = {
        Error.STATE_UNKNOWN: set(ALL) - {"INIT", "IDLE"},
        Error.ROW_INCOMPLETE: set(ALL) - {"RESUME", "ABORT", "IDLE", "READ"},
        Error.BAD_ROWS: {"TRANSFER", "INIT", "READ", "LOAD", "PROGRAM", "PRECHARGE"},
        Error.BAD_VALUE: {"READ", "IDLE", "FORWARD", "BACKWARD", "UPDATE"},
        Error.NOT_BRINGUP: {"PROGRAM", "PRECHARGE"},
        Error.NO_VECTOR: {"UPDATE"},
        Error.UNKNOWN_COMMAND: {"other", "BACKWARD"},
        Error.NOT_ARMED: set(ALL),
        Error.SAFE: set(ALL),
        Error.NONE: set(ALL),
        Error.SHORT_VECTOR: set(WITH_PACKET),
        Error.LONG_VECTOR: set(WITH_PACKET),
        Error.STREAM_TIMEOUT: set(WITH_PACKET),
    }
    return sorted((name, error.name) for error, names in kept_out.items() for name in names)


GROUPS: dict[str, tuple[str, Bins]] = {
    "answers": ("a command and its answer", _errors()),
    "operations": (
        "an operation, the polarities of the tile's rows, the stream mode, stalls of the streams",
        list(product(OPERATIONS, LIVE, MODES, STALLS)),
    ),
    "macro_delay": (
        "an operation, and how long the macro takes to answer at most",
        list(product(OPERATIONS, ("next cycle", "later"))),
    ),
    "vectors": (
        "an UPDATE, and whether each side's vector is new or held",
        list(product(("held", "new"), ("held", "new"))),
    ),
    "reads": (
        "a READ, its pair, the row's polarity",
        list(product([pair.name for pair in PairCode], LIVE[:2])),
    ),
    "formats": (
        "what a result is sent as, and the sign of BACKWARD's shift",
        [("FORWARD", "raw"), ("FORWARD", "row codes"), ("BACKWARD", "raw"),
         ("BACKWARD", "shifted up"), ("BACKWARD", "shifted down")],
    ),
    "derivative": (
        "column codes that enter, and the derivative mask of the FORWARD before",
        [("hidden", "some masked"), ("hidden", "none masked"), ("output", "not applied")],
    ),
    "attempts": (
        "a row committed, its new polarity, and at which attempt its last column was programmed",
        [*product(("TRANSFER", "LOAD"), LIVE[:2], ATTEMPTS), ("INIT", "normal", "none")],
    ),
    "trims": (
        "a row committed, its new polarity, and its trains of trim pulses",
        [*product(("TRANSFER", "LOAD"), LIVE[:2], TRAINS)],
    ),
    "saturation": (
        "a vector, and whether a converter was at a rail",
        list(product(("FORWARD", "BACKWARD"), ("no", "yes"))),
    ),
    "masks": (
        "an operation, and whether some columns are masked",
        list(product((*OPERATIONS, "LOAD", "INIT", "CALIBRATE", "PROGRAM"), ("all", "some"))),
    ),
    "resets": (
        "a command that a soft reset ends, and where",
        [*product(("FORWARD", "BACKWARD", "READ", "TRANSFER", "LOAD"), MOMENTS),
         ("UPDATE", "in a drive"), ("UPDATE", "between"), ("INIT", "between"),
         ("CALIBRATE", "in a conversion"), ("CALIBRATE", "between")],
    ),
    "resumes": (
        "a RESUME or an ABORT while idle, and what it finds: a row of a kind, a range, nothing",
        [*product(("RESUME", "ABORT"), ("row of TRANSFER", "row of LOAD", "row of INIT")),
         *product(("RESUME", "ABORT"), ("rows to go", "nothing"))],
    ),
    "force": ("an INIT while a row is incomplete", [("over the row",), ("beside the row",)]),
    "state": (
        "what makes the state known, or unknown",
        [("known", "INIT of all rows"), ("known", "POLARITY_VALID"),
         ("unknown", "PROGRAM"), ("unknown", "PRECHARGE")],
    ),
    "upsets": (
        "what ends a command from outside",
        [("silent", "MACRO_TIMEOUT"), ("safe", "SAFE"), ("disarmed", "NOT_ARMED"),
         ("another command", "BUSY"), ("abort", "NONE")],
    ),
    "sizes": (
        "the tile: rows, lanes, a synchroniser",
        [("one row",), ("more rows",), ("one lane",), ("more lanes",), ("synchronised",)],
    ),
    "loop": (
        "the closed loop: an operation, the polarities of the tile's rows behind it, the schedule",
        # A burst leaves all rows of a tile alike.
        [*product(("FORWARD", "BACKWARD", "UPDATE", "TRANSFER"), LIVE[:2], ("burst",)),
         *product(("FORWARD", "BACKWARD", "UPDATE", "TRANSFER"), LIVE[1:], ("staggered",)),
         *product(("FORWARD", "BACKWARD", "UPDATE"), LIVE[:1], ("staggered",)),
         ("CALIBRATE", "normal", "burst"), ("CALIBRATE", "normal", "staggered")],
    ),
}  # fmt: skip
"""Name -> what a bin says, and the bins: the combinations that can be, each to be seen once."""


def _sampler(name: str, bins: Bins) -> Callable[[tuple[Any, ...]], None]:
    from cocotb_coverage.coverage import CoverPoint

    @CoverPoint(f"tile.{name}", xf=lambda seen: seen, bins=[" ".join(map(str, b)) for b in bins])
    def sampled(seen: str) -> None:
        del seen

    return lambda seen: sampled(" ".join(map(str, seen)))


@cache
def _samplers() -> dict[str, Callable[[tuple[Any, ...]], None]]:
    return {name: _sampler(name, bins) for name, (_, bins) in GROUPS.items()}


def folder() -> Path | None:
    """Where this process leaves what it sampled; None where coverage is off."""
    named = os.environ.get(FOLDER)
    return Path(named) if named else None


def sample(name: str, *seen: Any) -> None:
    """Count a hit of a group's bin. What is no bin of it counts nowhere."""
    if folder() is not None:
        _samplers()[name](seen)


def save() -> None:
    """Leave what was sampled since the last time in the folder."""
    where = folder()
    if where is None or not any(hits for group in _details() for hits in group.values()):
        return
    from cocotb_coverage.coverage import coverage_db

    where.mkdir(parents=True, exist_ok=True)
    unfinished = where / f"unfinished-{uuid4().hex}"
    coverage_db.export_to_yaml(str(unfinished))
    unfinished.rename(where / f"functional-{uuid4().hex}.yml")
    for group in _details():
        group.update(dict.fromkeys(group, 0))


def _details() -> list[dict[str, int]]:
    """Each group's hits by bin."""
    from cocotb_coverage.coverage import coverage_db

    _samplers()
    return [coverage_db[f"tile.{name}"].detailed_coverage for name in GROUPS]


def live(bits: Any) -> str:
    """The polarities of a tile's rows, as a bin says it."""
    inverted = sum(map(bool, bits))
    return LIVE[0] if not inverted else LIVE[1] if inverted == len(bits) else LIVE[2]


class Watch:
    """What golden's run of a script shows, to be sampled once the tile was found equal to it.

    `stalls`: the bench's, {"streams": share of cycles, "macro": largest delay in cycles}.
    """

    def __init__(self, spec: TileSpec, control: dict[str, int], stalls: dict[str, float]) -> None:
        """Nothing was seen yet but the tile."""
        self.spec, self.control = spec, control
        self.stalled = STALLS[stalls.get("streams", 0) > 0]
        self.delay = ("next cycle", "later")[stalls.get("macro", 0) > 0]
        self.seen: list[tuple[Any, ...]] = []
        lanes, synchronised = spec.converters.lanes, spec.host.synchroniser_flops
        self._see("sizes", "one row" if spec.rows == 1 else "more rows")
        self._see("sizes", "one lane" if lanes == 1 else "more lanes")
        if synchronised:
            self._see("sizes", "synchronised")

    def _see(self, name: str, *what: Any) -> None:
        self.seen.append((name, *what))

    def before(self, port: Any, macro: Any, command: int, fields: dict[str, Any]) -> None:
        """A command is about to be worked at golden's command port."""
        self.port, self.macro, self.fields = port, macro, fields
        self.name = Command(command).name if command in list(Command) else "other"
        control = port.control
        transfers, journal = control.transfers, control.transfers.journal
        self.live = live(control.polarity.bits)
        self.unknown, self.saturated = port.unknown, control.counters.saturated
        self.mask = control.derivative_mask.copy()
        self.journal = RangeKind(journal.kind.value).name if journal.valid else ""
        ranges = transfers.next_row <= transfers.last_row and journal.kind.name != "LOAD"
        self.found = f"row of {self.journal}" if journal.valid else "rows to go"
        if not journal.valid and not ranges:
            self.found = "nothing"
        row = fields.get("first", 0)
        self.bit = int(control.polarity.bits[row]) if row < self.spec.rows else 0
        inside = fields.get("first", 0) <= journal.row <= fields.get("last", 0)
        self.beside = "over the row" if fields.get("force") and inside else "beside the row"
        self._counted = control.counters.not_programmed, control.counters.not_trimmed
        port.on_step = self._step

    def _step(self) -> None:
        transfers = self.port.control.transfers
        if transfers.state.name != "COMMIT":
            return
        counters, journal = self.port.control.counters, transfers.journal
        names = [event[0] for event in self.macro.events]
        since = names[len(names) - names[::-1].index("precharge") :]
        failed = counters.not_programmed > self._counted[0]
        untrimmed = counters.not_trimmed > self._counted[1]
        self._counted = counters.not_programmed, counters.not_trimmed
        attempts, trains = since.count("set"), since.count("update")
        kind, bit = RangeKind(journal.kind.value).name, LIVE[journal.p_new]
        tried = ATTEMPTS[3] if failed else ATTEMPTS[min(attempts, 2)]
        self._see("attempts", kind, bit, tried)
        if kind != "INIT":
            self._see("trims", kind, bit, TRAINS[2] if untrimmed else TRAINS[min(trains, 1)])

    def after(self, answer: Error | None) -> None:
        """The command was answered."""
        port, name = self.port, self.name
        port.on_step = None
        if answer is None:
            return
        self._see("answers", name, answer.name)
        if name == "INIT" and self.journal:
            self._see("force", self.beside)
        if answer is not Error.NONE:
            return
        self._see("operations", name, self.live, self.spec.update.stream_mode, self.stalled)
        self._see("macro_delay", name, self.delay)
        self._see("masks", name, "all" if port.control.active.all() else "some")
        if name == "UPDATE":
            new = [("held", "new")[bool(self.fields.get(f"new_{s}"))] for s in ("rows", "columns")]
            self._see("vectors", *new)
        if name == "READ":
            self._see("reads", PairCode(self.fields.get("pair", 0)).name, LIVE[self.bit])
        if name in ("FORWARD", "BACKWARD"):
            self._see("formats", name, self._format())
            railed = port.control.counters.saturated > self.saturated
            self._see("saturation", name, ("no", "yes")[railed])
        if name == "BACKWARD" or (name == "UPDATE" and self.fields.get("new_columns")):
            masked = ("some masked", "none masked")[bool(self.mask.all())]
            hidden = port.control.hidden
            self._see("derivative", *(("hidden", masked) if hidden else ("output", "not applied")))
        if name in ("RESUME", "ABORT"):
            self._see("resumes", name, self.found)
        if port.unknown and name in ("PROGRAM", "PRECHARGE"):
            self._see("state", "unknown", name)
        if self.unknown and not port.unknown:
            self._see("state", "known", "INIT of all rows")

    def _format(self) -> str:
        control = self.control
        if control["RAW_FORWARD" if self.name == "FORWARD" else "RAW_BACKWARD"]:
            return "raw"
        if self.name == "FORWARD":
            return "row codes"
        return "shifted up" if control["BACKWARD_SHIFT"] < 0 else "shifted down"

    def known(self, port: Any) -> None:
        """The host writes POLARITY_VALID."""
        if port.unknown:
            self._see("state", "known", "POLARITY_VALID")

    def aborted(self) -> None:
        """An ABORT ended a range."""
        self._see("upsets", "abort", "NONE")

    def cut(self, command: Command, events: list[tuple[Any, ...]], cut: Any) -> None:
        """A soft reset ended a command where the pins saw it."""
        where = MOMENTS[2]
        if cut.inside:
            drives = cut.events < len(events) and events[cut.events][0] == "cut"
            where = MOMENTS[0] if drives else MOMENTS[1]
        self._see("resets", command.name, where)

    def keep(self) -> None:
        """The tile was found equal: sample all that was seen."""
        for name, *what in self.seen:
            sample(name, *what)
        save()
