"""What was found: as tables of 80 columns, as JSON and as Markdown."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.peers import AIHWKIT, AIHWKIT_TILE, BY_HAND, COMPILED, NUMPY, Peer
from benchmarks.worker import Cold, Sample

WIDTH = 80
PACKAGES = ("crosstile", "numpy", "numba", "llvmlite", "torch", "aihwkit")
RATIO_MARKS = {AIHWKIT: 30, AIHWKIT_TILE: 12, BY_HAND: 2}
RATE_MARKS = {COMPILED: 25_000, NUMPY: 2000}
MEMORY_MARK_BYTES = 1 << 30
METHOD = (
    "528-250-125-10 on MNIST, one example at a time, one thread. Examples per second of the "
    "process's CPU time. Each run of a program follows one of the compiled engine; their ratio is "
    "the compiled engine's figure over the program's, and its median is given. One run of each "
    "comes first and is not counted: it compiles and warms up. All start from the same weights "
    "and see the same examples; what a run trains begins at the first."
)


@dataclass
class Row:
    """A program's timed runs. `ratios`: the compiled engine's rate over its own, run by run.

    `absent` says why there are none.
    """

    peer: Peer
    count: int
    samples: list[Sample] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    absent: str = ""

    @property
    def rates(self) -> list[float]:
        """Examples per CPU-second, in the order measured."""
        return [sample.rate for sample in self.samples]

    def to_json(self) -> dict[str, Any]:
        facts = {"name": self.peer.key, "title": self.peer.title, "examples_a_run": self.count}
        if not self.samples:
            return facts | {"absent": self.absent, "earlier_measurement": self.peer.before}
        wall = sum(sample.wall_seconds for sample in self.samples)
        return facts | {
            "examples_per_cpu_second": _summary(self.rates),
            "compiled_over_this": _summary(self.ratios or [1.0]),
            "cpu_share_of_wall_time": sum(s.cpu_seconds for s in self.samples) / wall,
            "rates": self.rates,
            "ratios": self.ratios,
        }


@dataclass(frozen=True)
class Mark:
    """A mark of the design, and what was found. `met` is None where it was not measured."""

    what: str
    mark: str
    found: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """One or two words."""
        return {True: "met", False: "missed", None: "not measured"}[self.met]


@dataclass(frozen=True)
class Report:
    """All rows, the first start, and whether the engines agree after `digest_count` examples."""

    rows: list[Row]
    cold: Cold
    digest_count: int
    digests: dict[str, str]
    rounds: int

    @property
    def digests_equal(self) -> bool:
        """Both engines left the same state."""
        return len(set(self.digests.values())) == 1

    def marks(self) -> list[Mark]:
        """Every mark for training throughput and memory."""
        rows = {row.peer.key: row for row in self.rows}
        marks = []
        for key, mark in RATIO_MARKS.items():
            row = rows[key]
            found = statistics.median(row.ratios) if row.ratios else None
            marks.append(
                Mark(
                    f"times {row.peer.title}",
                    f"{mark} x",
                    row.absent if found is None else f"{found:.1f} x",
                    None if found is None else found >= mark,
                )
            )
        for key, mark in RATE_MARKS.items():
            rate = statistics.median(rows[key].rates)
            title = f"{rows[key].peer.title}, examples/s"
            marks.append(Mark(title, f"{mark:,}", f"{rate:,.0f}", rate >= mark))
        equal = self.digests_equal
        marks.append(
            Mark(
                f"both engines' digest, {self.digest_count:,} examples",
                "the same",
                "the same" if equal else "differ",
                equal,
            )
        )
        peak = self.cold.peak_bytes
        marks.append(
            Mark(
                "peak memory, compiler included",
                f"{MEMORY_MARK_BYTES >> 20:,} MiB",
                f"{peak / (1 << 20):,.0f} MiB",
                peak < MEMORY_MARK_BYTES,
            )
        )
        return marks

    def notes(self) -> list[str]:
        """What a reader of the table has to know."""
        load = sum(s.cpu_seconds for row in self.rows for s in row.samples) / sum(
            s.wall_seconds for row in self.rows for s in row.samples
        )
        counts = ", ".join(f"{row.peer.title} {row.count:,}" for row in self.rows if row.samples)
        before = [f"{row.peer.title} {row.peer.before}" for row in self.rows if row.absent]
        earlier = [f"Not measured here; an earlier measurement: {', '.join(before)}."]
        return [
            *(earlier if before else []),
            f"{self.rounds} rounds. Examples a run: {counts}.",
            f"First start of the compiled engine, compiler included: "
            f"{self.cold.start_cpu_seconds:.0f} s of CPU time, in no figure above.",
            f"The processes had {100 * load:.0f} % of a core while they were timed; less than "
            "all of it means that the machine was shared, and figures spread.",
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "method": METHOD,
            "rounds": self.rounds,
            "rows": [row.to_json() for row in self.rows],
            "marks": [vars(mark) for mark in self.marks()],
            "digest_examples": self.digest_count,
            "digests": self.digests,
            "first_start": vars(self.cold),
            "machine": machine(),
            "versions": versions(),
        }

    def print(self, console: Console) -> None:
        for headings, cells in (self._throughput(), self._marks()):
            table = Table(width=WIDTH, pad_edge=False, box=None)
            for number, heading in enumerate(headings):
                table.add_column(heading, justify="right" if number else "left", no_wrap=True)
            for row in cells:
                table.add_row(*row)
            console.print(table)
            console.print()
        for note in self.notes():
            console.print(note, highlight=False)

    def markdown(self) -> str:
        """The same as `print`, with method, machine and versions."""
        parts = ["# Training throughput", METHOD]
        for headings, cells in (self._throughput(), self._marks()):
            rule = ["---", *["---:"] * (len(headings) - 1)]
            lines = ["| " + " | ".join(line) + " |" for line in (headings, rule, *cells)]
            parts.append("\n".join(lines))
        parts += self.notes()
        parts.append("Machine: " + ", ".join(f"{k} {v}" for k, v in machine().items()) + ".")
        parts.append("Versions: " + ", ".join(f"{k} {v}" for k, v in versions().items()) + ".")
        return "\n\n".join(parts) + "\n"

    def _throughput(self) -> tuple[list[str], list[list[str]]]:
        cells = []
        for row in self.rows:
            if not row.samples:
                cells.append([row.peer.title, row.absent, "", "", ""])
                continue
            found = _summary(row.rates)
            ratio = statistics.median(row.ratios) if row.ratios else 1.0
            cells.append(
                [
                    row.peer.title,
                    *(f"{found[name]:,.0f}" for name in ("median", "min", "max")),
                    f"{ratio:.{1 if ratio >= 10 else 2}f}",
                ]
            )
        return ["examples per CPU-second", "median", "min", "max", "ratio to it"], cells

    def _marks(self) -> tuple[list[str], list[list[str]]]:
        cells = [[mark.what, mark.mark, mark.found, mark.verdict] for mark in self.marks()]
        return ["compiled engine against its marks", "mark", "found", ""], cells


def machine() -> dict[str, str]:
    """Processor, its cores and the system; no names of the machine."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # not Linux
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Python, and the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _summary(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
