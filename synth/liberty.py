"""What a library of cells says in Liberty's format: pins, what they load a net with, energies.

Read are only the parts that area, load and power need. Timing is OpenSTA's.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

TOKEN = re.compile(r'/\*.*?\*/|"[^"]*"|[A-Za-z_0-9.+-]+|[(){}:;,]', re.DOTALL)


@dataclass
class Group:
    """`kind (arguments) { name : value; name (values); kind (...) { ... } }`."""

    kind: str
    arguments: list[str]
    values: dict[str, list[str]] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    def of(self, kind: str) -> list[Group]:
        """The groups of a kind in it."""
        return [group for group in self.groups if group.kind == kind]

    def word(self, name: str, default: str = "") -> str:
        """A value that is one word."""
        return self.values.get(name, [default])[0]

    def numbers(self, name: str) -> list[float]:
        """All numbers of a value, row after row."""
        return [float(n) for text in self.values.get(name, []) for n in text.split(",")]


@dataclass(frozen=True)
class Table:
    """Energies over one or two indices; beyond its ends it goes on straight, as STA does."""

    first: tuple[float, ...]
    second: tuple[float, ...]
    """Empty where there is one index."""
    values: tuple[float, ...]

    def at(self, first: float, second: float = 0.0) -> float:
        """The value there, by linear interpolation."""
        width = max(len(self.second), 1)
        row, share = _place(self.first, first)
        low, high = (
            _along(self.second, self.values[n * width : (n + 1) * width], second)
            for n in (row, min(row + 1, len(self.first) - 1))
        )
        return low + share * (high - low)


@dataclass(frozen=True)
class Energy:
    """pJ of an edge at a pin. Over load in pF and slew in ns if `related`, else over slew."""

    related: str
    rise: Table
    fall: Table


@dataclass(frozen=True)
class Pin:
    """A pin of a cell."""

    output: bool
    clock: bool
    capacitance_pF: float
    energies: tuple[Energy, ...]


@dataclass(frozen=True)
class Cell:
    """A cell: area in the library's unit, um^2 here."""

    area: float
    leakage_nW: float
    sequential: bool
    pins: dict[str, Pin]

    @property
    def inputs(self) -> list[str]:
        """The names of its inputs."""
        return [name for name, pin in self.pins.items() if not pin.output]

    @property
    def outputs(self) -> list[str]:
        """The names of its outputs."""
        return [name for name, pin in self.pins.items() if pin.output]


@dataclass(frozen=True)
class Library:
    """Cells by name, and the voltage that they were characterized at."""

    voltage_V: float
    cells: dict[str, Cell]


def read(path: Path) -> Library:
    """A library. Units have to be ns, pF, V and nW, as they are in OSU's."""
    tokens = [t for t in TOKEN.findall(path.read_text()) if not t.startswith("/*")]
    file = Group("", [])
    _fill(file, tokens, 0)
    (library,) = file.of("library")
    units = [library.word(name) for name in ("time_unit", "voltage_unit", "leakage_power_unit")]
    if units != ["1ns", "1V", "1nW"] or library.values["capacitive_load_unit"] != ["1", "pf"]:
        raise ValueError(f"{path}: units other than 1 ns, 1 V, 1 nW, 1 pF")
    return Library(
        float(library.word("nom_voltage")),
        {group.arguments[0]: _cell(group) for group in library.of("cell")},
    )


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _fill(group: Group, tokens: list[str], at: int) -> int:
    """Put what stands from a token on into a group, to its end; the token after it."""
    while at < len(tokens) and tokens[at] != "}":
        name = tokens[at]
        if name == ";":
            at += 1
            continue
        if tokens[at + 1] == ":":
            group.values[name] = [tokens[at + 2].strip('"')]
            at += 3
            continue
        end = tokens.index(")", at)
        words = [token.strip('"') for token in tokens[at + 2 : end] if token != ","]
        at = end + 1
        if tokens[at] == "{":
            inside = Group(name, words)
            at = _fill(inside, tokens, at + 1)
            group.groups.append(inside)
        else:
            group.values[name] = words
    return at + 1


def _cell(group: Group) -> Cell:
    sequential = bool(group.of("ff") or group.of("latch"))
    return Cell(
        float(group.word("area")),
        float(group.word("cell_leakage_power", "0")),
        sequential,
        {pin.arguments[0]: _pin(pin) for pin in group.of("pin")},
    )


def _pin(group: Group) -> Pin:
    return Pin(
        group.word("direction") == "output",
        group.word("clock") == "true",
        float(group.word("capacitance", "0")),
        tuple(_energy(power) for power in group.of("internal_power")),
    )


def _energy(group: Group) -> Energy:
    (rise,), (fall,) = (group.of(f"{edge}_power") or group.of("power") for edge in ("rise", "fall"))
    return Energy(group.word("related_pin"), _table(rise), _table(fall))


def _table(group: Group) -> Table:
    return Table(
        tuple(group.numbers("index_1")),
        tuple(group.numbers("index_2")),
        tuple(group.numbers("values")),
    )


def _place(index: tuple[float, ...], value: float) -> tuple[int, float]:
    """The entry below a value, and how far on to the next it is."""
    if len(index) == 1:
        return 0, 0.0
    at = min(max(bisect_right(index, value) - 1, 0), len(index) - 2)
    return at, (value - index[at]) / (index[at + 1] - index[at])


def _along(index: tuple[float, ...], values: tuple[float, ...], value: float) -> float:
    if not index:
        return values[0]
    at, share = _place(index, value)
    return values[at] + share * (values[min(at + 1, len(values) - 1)] - values[at])
