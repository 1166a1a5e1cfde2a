"""A study as its TOML file says it: a run, axes of points that change it, seeds, what is compared.

title = "What inversion buys"
about = "A sentence or two for the page."
seeds = 5
reference = { cell = "software" }   # what points are compared with, seed by seed
margin = 0.2                        # points of accuracy that count as equal

[run]                               # fields of a run, as the options of `crosstile train`
dataset = "mnist"
epochs = 20
[run.set]                           # what --set takes
slots = 16

[[axis]]
name = "cell"
points = [
    { label = "software", cell = "float", alone = true },   # other axes do not change it
    { label = "golden", set = { drift = false } },
]

[[axis]]
name = "mismatch"
set = "up_down_mismatch"            # or values of one parameter, each a point
values = [0, 0.1, 0.2]

[plot]
x = "mismatch"                      # the axis along the plot; numbers where it has a `set`
"""

from __future__ import annotations

import dataclasses
import itertools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from golden.training.config import configure
from golden.training.loop import Run
from spec.errors import InputError

SEEDS, MOST_SEEDS = 5, 1000
MOST_RUNS = 100_000
RUN_FIELDS = (
    "dataset", "cell", "hidden", "epochs", "examples", "engine", "hold_out", "evaluate_every",
)  # fmt: skip
"""Of a run; its settings are `set`, its seed and its folder of data are the command's."""
TOP = ("title", "about", "seeds", "reference", "margin", "run", "axis", "plot")


@dataclass(frozen=True, eq=False)
class Point:
    """A value of an axis: its label, what it changes, and its number where it is one.

    `alone`: points of other axes change nothing where this one is, so that those rows are one.
    """

    label: str
    fields: Mapping[str, Any]
    settings: Mapping[str, str]
    number: float | None = None
    alone: bool = False


ANY = Point("any", {}, {})
"""Of an axis that changes nothing in a row, because a point of another one is alone."""


@dataclass(frozen=True)
class Axis:
    """A question's dimension."""

    name: str
    points: tuple[Point, ...]

    @property
    def numeric(self) -> bool:
        """Whether all points are numbers."""
        return all(point.number is not None for point in self.points)


@dataclass(frozen=True)
class Study:
    """See the head of the file. `reference` is axis -> label; `x` the axis along the plot."""

    name: str
    title: str
    about: str
    seeds: int
    fields: Mapping[str, Any]
    settings: Mapping[str, str]
    axes: tuple[Axis, ...]
    reference: Mapping[str, str]
    margin: float | None
    x: str

    @cached_property
    def rows(self) -> list[tuple[Point, ...]]:
        """All combinations of points, one an axis; those of a point that is alone once."""
        every = itertools.product(*(axis.points for axis in self.axes))
        return list(dict.fromkeys(_alone(row) for row in every))

    def run(self, row: Iterable[Point], seed: int) -> Run:
        """The run of a combination. Raises InputError."""
        fields, settings = dict(self.fields), dict(self.settings)
        for point in row:
            fields |= point.fields
            settings |= point.settings
        return Run(**fields, settings=settings, seed=seed)

    def check(self) -> None:
        """Raises InputError where a run or its settings are not good."""
        for row in self.rows:
            run = self.run(row, 0)
            configure(run.cell, run.settings)

    def reference_of(self, row: tuple[Point, ...]) -> tuple[Point, ...] | None:
        """What a combination is compared with; None for the reference itself, and without one."""
        if not self.reference:
            return None
        found = _alone(
            tuple(
                next((p for p in axis.points if p.label == self.reference.get(axis.name)), point)
                for axis, point in zip(self.axes, row, strict=True)
            )
        )
        return None if found == row else found


def _alone(row: tuple[Point, ...]) -> tuple[Point, ...]:
    if not any(point.alone for point in row):
        return row
    return tuple(point if point.alone else ANY for point in row)


def names() -> list[str]:
    """The studies of the package."""
    folder = resources.files("crosstile") / "studies"
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir())


def read(name: str) -> Study:
    """The study of a file, or the package's of that name. Raises InputError."""
    path = Path(name)
    if name in names():
        text = (resources.files("crosstile") / "studies" / f"{name}.toml").read_text()
    elif path.suffix == ".toml":
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise InputError(f"{name}: cannot be read ({reason})") from None
    else:
        raise InputError(f"study {name}: give a .toml file, or one of {', '.join(names())}")
    try:
        return parse(path.stem, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name}: not TOML: {error}") from None
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def parse(name: str, given: dict[str, Any]) -> Study:
    """The study that a TOML file says. Raises InputError without the file's name."""
    _known(given, TOP, "")
    fields, settings = _changes(_table(given, "run"), "run")
    axes = tuple(_axis(axis, place) for place, axis in enumerate(_list(given, "axis"), 1))
    if not axes:
        raise InputError("no [[axis]]; give one with its points")
    by_name = {axis.name: axis for axis in axes}
    if len(by_name) < len(axes):
        raise InputError("two axes of one name; name them apart")
    reference = _table(given, "reference")
    for axis, label in reference.items():
        labels = [point.label for point in by_name[axis].points] if axis in by_name else []
        if label not in labels:
            raise InputError(f"reference {axis} = {label!r}: no such axis and label")
    plot = _table(given, "plot")
    _known(plot, ("x",), "plot.")
    x = plot.get("x", axes[-1].name)
    if x not in by_name:
        raise InputError(f"plot.x = {x!r}: no such axis; give one of {', '.join(by_name)}")
    seeds = given.get("seeds", SEEDS)
    if not isinstance(seeds, int) or not 1 <= seeds <= MOST_SEEDS:
        raise InputError(f"seeds = {seeds!r}: give a whole number from 1 to {MOST_SEEDS}")
    margin = given.get("margin")
    if margin is not None and not (isinstance(margin, int | float) and margin > 0):
        raise InputError(f"margin = {margin!r}: give a number above 0, in points of accuracy")
    made = Study(
        name, str(given.get("title", name)), str(given.get("about", "")), seeds, fields, settings,
        axes, reference, margin, x,
    )  # fmt: skip
    count = len(made.rows) * seeds
    if count > MOST_RUNS:
        raise InputError(f"{count} runs; give at most {MOST_RUNS}")
    made.check()
    return made


def changed(study: Study, fields: dict[str, Any], settings: dict[str, str]) -> Study:
    """The study with other assumptions, which an axis may change again. Raises InputError."""
    made = dataclasses.replace(
        study, fields=dict(study.fields) | fields, settings=dict(study.settings) | settings
    )
    made.check()
    return made


def _axis(given: Any, place: int) -> Axis:
    where = f"axis {place}"
    if not isinstance(given, dict):
        raise InputError(f"{where}: give [[axis]] tables")
    _known(given, ("name", "points", "set", "values"), f"{where}: ")
    name = given.get("name", given.get("set"))
    if not isinstance(name, str) or not name:
        raise InputError(f"{where}: give it a name")
    where = f"axis {name}"
    if ("points" in given) == ("values" in given) or ("set" in given) != ("values" in given):
        raise InputError(f"{where}: give points, or set and values")
    if "points" in given:
        points = tuple(_point(point, where) for point in _list(given, "points"))
    else:
        points = tuple(
            Point(str(value), {}, {str(given["set"]): _text(value)}, _number(value))
            for value in _list(given, "values")
        )
    labels = [point.label for point in points]
    if not labels or len(set(labels)) < len(labels):
        raise InputError(f"{where}: give points, no two of one label")
    return Axis(name, points)


def _point(given: Any, where: str) -> Point:
    if not isinstance(given, dict) or not isinstance(given.get("label"), str):
        raise InputError(f"{where}: each point needs a label")
    own = "label", "number", "alone"
    rest = {name: value for name, value in given.items() if name not in own}
    fields, settings = _changes(rest, f"{where}, {given['label']}")
    alone = given.get("alone", False)
    if not isinstance(alone, bool):
        raise InputError(f"{where}, {given['label']}: alone = {alone!r}: give true or false")
    return Point(given["label"], fields, settings, _number(given.get("number")), alone)


def _changes(given: dict[str, Any], where: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Fields of a run, and settings."""
    _known(given, (*RUN_FIELDS, "set"), f"{where}: ")
    fields = {name: value for name, value in given.items() if name != "set"}
    for name, value in fields.items():
        wanted = {"hidden": list, "dataset": str, "cell": str, "engine": str}.get(name, int)
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise InputError(f"{where}: {name} = {value!r}: give a {wanted.__name__}")
    if "hidden" in fields:
        if not all(isinstance(width, int) for width in fields["hidden"]):
            raise InputError(f"{where}: hidden: give whole numbers")
        fields["hidden"] = tuple(fields["hidden"])
    return fields, {name: _text(value) for name, value in _table(given, "set").items()}


def _known(given: Mapping[str, Any], names: Iterable[str], where: str) -> None:
    for name in given:
        if name not in names:
            raise InputError(f"{where}{name}: no such key; give one of {', '.join(names)}")


def _table(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = given.get(name, {})
    if not isinstance(found, dict):
        raise InputError(f"{name}: give a table")
    return found


def _list(given: Mapping[str, Any], name: str) -> list[Any]:
    found = given.get(name, [])
    if not isinstance(found, list):
        raise InputError(f"{name}: give a list")
    return found


def _text(value: Any) -> str:
    """As --set takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: Any) -> float | None:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain else None
