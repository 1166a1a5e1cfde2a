"""Lines and toggles of the Verilog, as Verilator counts them.

The text is the one that `crosstile verilog` writes: one module a block, with the branches of
Amaranth's If and Switch. The netlist that benches run otherwise is flattened by Yosys into
assignments, of which every line runs always. A *line* is covered where a block of statements that
it is of ran; a *toggle* is one bit of one signal in one direction.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cocotb_tests.coverage import constant

KINDS = ("line", "toggle")
_RECORD = re.compile(r"^C '(.*)' (\d+)$", re.MULTILINE)
_KEY = re.compile("\x01([^\x02]+)\x02([^\x01]*)")
_PREFIX = re.compile(r"^crosstile_\d+x\d+(?:_tile)?_?")


@dataclass(frozen=True)
class Point:
    """What is counted: a line of a module, or a direction of a signal's bit."""

    kind: str
    block: str
    line: int
    what: str
    """The text of the line, or `signal[bit]:0->1`."""


@dataclass(frozen=True)
class Exclusion:
    """Points that need not be covered, and why: patterns of block and `what`, both whole."""

    kind: str
    block: str
    what: str
    reason: str

    def holds(self, point: Point) -> bool:
        """Whether the point is one of these."""
        return (
            point.kind == self.kind
            and re.fullmatch(self.block, point.block) is not None
            and re.fullmatch(self.what, point.what) is not None
        )


def exclusions(path: Path) -> list[Exclusion]:
    """Those of a file. Raises TypeError where one has not just these fields."""
    found = tomllib.loads(path.read_text("utf-8"))["exclusion"]
    return [Exclusion(**fields) for fields in found]


def block(module: str) -> str:
    """The block of rtl/ that a module is of, without the tile's size; "top" for the top module."""
    return _PREFIX.sub("", module) or ("tile" if module.endswith("_tile") else "top")


def counts(data: str, text: str) -> Counter[Point]:
    """The points of a file that Verilator wrote, with their counts; `text` is the Verilog."""
    lines = text.splitlines()
    found: Counter[Point] = Counter()
    for record, count in _RECORD.findall(data):
        keys = dict(_KEY.findall(record))
        kind, _, module = keys["page"].partition("/")
        if not module.startswith("crosstile_"):
            continue  # a bench's
        if kind == "v_toggle":
            point = Point("toggle", block(module), int(keys["l"]), keys["o"])
            found[point] += int(count)
            continue
        for number in _numbers(keys.get("S", keys["l"])):
            point = Point("line", block(module), number, lines[number - 1].strip())
            found[point] += int(count)
    return found


def _numbers(ranges: str) -> Iterable[int]:
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


@dataclass
class Figures:
    """Points of one kind in one design: those hit, those excluded by each rule, the rest."""

    hit: int = 0
    missed: list[Point] = field(default_factory=list)
    excluded: Counter[Exclusion] = field(default_factory=Counter)

    @property
    def counted(self) -> int:
        """Points that are not excluded."""
        return self.hit + len(self.missed)

    @property
    def percent(self) -> float:
        """Covered, of those not excluded."""
        return 100 * self.hit / self.counted if self.counted else 100.0


CONSTANT = Exclusion(
    "toggle", ".*", "a constant bit",
    "the design makes it constant, through its whole hierarchy: Yosys proves it of each",
)  # fmt: skip


def figures(
    found: Counter[Point], rules: list[Exclusion], fixed: Collection[tuple[str, str]] = ()
) -> dict[str, dict[str, Figures]]:
    """By kind and block. A point that was hit is never excluded; `fixed` as of `constants`."""
    result: dict[str, dict[str, Figures]] = {kind: {} for kind in KINDS}
    for point, count in found.items():
        one = result[point.kind].setdefault(point.block, Figures())
        if count:
            one.hit += 1
        elif point.kind == "toggle" and (point.block, point.what.rpartition(":")[0]) in fixed:
            one.excluded[CONSTANT] += 1
        elif (rule := next((r for r in rules if r.holds(point)), None)) is not None:
            one.excluded[rule] += 1
        else:
            one.missed.append(point)
    return result


def total(blocks: dict[str, Figures]) -> Figures:
    """All blocks as one."""
    whole = Figures()
    for one in blocks.values():
        whole.hit += one.hit
        whole.missed += one.missed
        whole.excluded += one.excluded
    return whole


def constants(text: Path) -> set[tuple[str, str]]:
    """Bits of a design that never move, as (block, signal[bit]), signals as Verilator spells them.

    The file is named by its top module, a hyphen and a key. Raises BuildError.
    """
    top = text.stem.rpartition("-")[0]
    return {
        (block("_".join(filter(None, (top, path)))), signal.replace("__", "___05F"))
        for path, signal in constant.bits(text.read_text(), top)
    }


def load(folder: Path) -> dict[str, Counter[Point]]:
    """Each design of which `folder` has counts, by its name there, over all its runs."""
    designs: dict[str, Counter[Point]] = {}
    for text in sorted(folder.glob("*.v")):
        found: Counter[Point] = Counter()
        verilog = text.read_text()
        for data in sorted(folder.glob(f"{text.stem}-*.dat")):
            found.update(counts(data.read_text(), verilog))
        if found:
            designs[text.stem] = found
    return designs
