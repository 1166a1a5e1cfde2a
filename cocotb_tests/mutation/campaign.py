"""Every mutant through the short closed loop, then the scripts; proofs for those that survive.

Each stage leaves a line a mutant in a file of its own, as soon as it is known: {"number",
"killed", "passed"}, where `killed` says how, and is null for a survivor; `passed` are the cases
that it has survived. A case that is new goes to the survivors alone: other changes show
after `make clean`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

from cocotb_tests import build, launch
from cocotb_tests.closed_loop import session
from cocotb_tests.directed.run import BENCHES
from cocotb_tests.mutation import design, draw, equivalent, long_waits, netlist, replay
from cocotb_tests.mutation.draw import Mutant
from golden.training.checkpoint import write_atomically
from tests.equivalence import bus_cases, tile_cases

ROOT = Path(__file__).parents[2]
BATCH = 5
SPARE_CYCLES = 3000
LIMIT_CYCLES = 200_000
"""Of a case at the undamaged tile."""
TIMES = 3
"""A case may take so many times the undamaged tile's cycles, and SPARE_CYCLES more."""
BENCH = "cocotb_tests.mutation.scripts"
EARLY = (
    *bus_cases.CASES, "far rows", "interruptions", "wrong use", "restored", *BENCHES, "formats",
    "codes and raw access",
)  # fmt: skip
"""What finds much in few cycles."""
SCRIPTS = [name for name in tile_cases.SCRIPTS if tile_cases.fits(name, design.specs()[0])]
CASES = [(name, 1) for name in (*EARLY, *(name for name in SCRIPTS if name not in EARLY))]
SEEDS = [(name, seed) for seed in (2, 3) for name in SCRIPTS]
STAGES = ("loop", "scripts", "proofs", "seeds", "waits")


class Campaign:
    """All of it, in `folder`, with so many simulators at a time."""

    def __init__(self, folder: Path, workers: int) -> None:
        """Raises ValueError where the mutants are of another Verilog."""
        self.folder, self.workers, self.lock = folder, workers, Lock()
        digest, self.mutants = draw.load()
        if draw.digest(design.verilog()) != digest:
            raise ValueError(
                "the tile's Verilog is not what the mutants were drawn from; draw them anew: "
                "python -m cocotb_tests.mutation draw"
            )
        key = hashlib.sha256(draw.FILE.read_bytes()).hexdigest()
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / "mutants.sha256"
        if not kept.exists() or kept.read_text() != key:
            for name in STAGES:
                _file(folder, name).unlink(missing_ok=True)
            (folder / "damaged.v").unlink(missing_ok=True)
            shutil.rmtree(folder / "traces", ignore_errors=True)
            kept.write_text(key)
        self.cache = ROOT / "build" / "verilator"
        made = folder / "damaged.v"
        if not made.exists():
            text = netlist.damaged(design.verilog(), design.top(), self.mutants)
            write_atomically(made, text.encode())
        self.text = made.read_text()
        self.passed: dict[int, list[str]] = {}
        """Cases that a mutant has survived, where others are to come."""
        self.verdicts = read(folder)

    def run(self) -> None:
        """All stages."""
        self._loop()
        self._scripts("scripts", CASES)
        self._proofs()
        self._scripts("seeds", SEEDS)
        self._long_waits()

    # -- verdicts --------------------------------------------------------------------------------

    def _note(
        self, stage: str, number: int, killed: str | None, passed: Sequence[str] = ()
    ) -> None:
        with self.lock:
            before = self.verdicts[stage].get(number, {"passed": []})["passed"]
            line = {"number": number, "killed": killed, "passed": [*before, *passed]}
            self.verdicts[stage][number] = line
            with _file(self.folder, stage).open("a") as lines:
                lines.write(json.dumps(line) + "\n")

    def _left(self, stage: str) -> list[Mutant]:
        """Those that the stages before let live, and that this one has not seen."""
        before = [self.verdicts[name] for name in STAGES[: STAGES.index(stage)]]
        ended = {n for lines in self.verdicts.values() for n, v in lines.items() if v["killed"]}
        return [
            mutant
            for mutant in self.mutants
            if mutant.number not in ended
            and mutant.number not in self.verdicts[stage]
            and all(mutant.number in lines for lines in before)
        ]

    def _say(self, stage: str) -> None:
        lines = self.verdicts[stage].values()
        ended = sum(bool(line["killed"]) for line in lines)
        left = len(self._left(stage))
        print(f"{stage:8}{ended:4} ended, {len(lines) - ended:4} not, {left:4} to go", flush=True)

    # -- simulations -----------------------------------------------------------------------------

    def _loop(self) -> None:
        left = [mutant.number for mutant in self._left("loop")]
        if not left:
            return
        specs, run = list(design.specs()), design.short_run(self.folder / "examples")
        model = session.model(self.text, specs, self.cache, damaged=True)

        def batch(numbers: list[int], folder: Path) -> None:
            try:
                session.simulate(model, specs, run, folder, lambda _: None, numbers)
            finally:
                for line in _lines(folder / "found.jsonl"):
                    self._note("loop", line["damage"], _what(line))

        (folder := self.folder / "loop").mkdir(exist_ok=True)
        (unharmed,) = session.simulate(model, specs, run, folder, lambda _: None)
        if _what(unharmed) is not None:
            raise build.SimulationError(f"the undamaged tile: {_what(unharmed)}")
        self._batches("loop", left, batch)

    def _scripts(self, stage: str, cases: Sequence[tuple[str, int]]) -> None:
        for number in [n for n, v in self.verdicts[stage].items() if not v["killed"]]:
            passed = self.verdicts[stage][number]["passed"]
            if any(_case(case) not in passed for case in cases):
                self.passed[number] = self.verdicts[stage].pop(number)["passed"]
        left = [mutant.number for mutant in self._left(stage)]
        if not left:
            return
        model = build.build(self.text, design.top(), self.cache)
        limits = self._record(model, cases)
        asked = self._differing(model, cases, left)

        def batch(numbers: list[int], folder: Path) -> None:
            try:
                _simulate(
                    model, [(n, asked[n]) for n in numbers if asked[n]], cases, limits, folder
                )
            finally:
                killed = {
                    line["number"]: line["killed"]
                    for line in _lines(folder / "found.jsonl")
                    if "number" in line
                } | {n: None for n in numbers if not asked[n]}
                for number, how in killed.items():
                    self._note(stage, number, how, [] if how else [_case(c) for c in cases])

        self._batches(stage, left, batch)

    def _record(self, model: build.Model, cases: Sequence[tuple[str, int]]) -> list[int]:
        """Have a trace of each case at the undamaged tile; the cycles that a mutant may take."""
        (folder := self.folder / "traces").mkdir(exist_ok=True)

        def record(case: tuple[str, int]) -> None:
            if (folder / _case(case)).exists():
                return
            work = self.folder / f"recorded {_case(case)}"
            _simulate(model, [(0, [0])], [case], [LIMIT_CYCLES], work, traces=True)
            unharmed = _lines(work / "found.jsonl")[-1]
            if unharmed["killed"] is not None:
                raise build.SimulationError(f"the undamaged tile: {unharmed['killed']}")
            (work / "0").rename(folder / _case(case))
            shutil.rmtree(work)
            print(f"recorded {_case(case)}: {unharmed['cycles'][0]:,} cycles", flush=True)

        with ThreadPoolExecutor(self.workers) as pool:
            list(pool.map(record, cases))
        words = 4 * len(replay.inputs(design.specs()[0]))
        sizes = [(folder / _case(case)).stat().st_size // words for case in cases]
        return [TIMES * cycles + SPARE_CYCLES for cycles in sizes]

    def _differing(
        self, model: build.Model, cases: Sequence[tuple[str, int]], numbers: list[int]
    ) -> dict[int, list[int]]:
        """The places of the cases in which each mutant's pins show something else."""
        spec, program = design.specs()[0], replay.make(model, design.specs()[0])
        asked: dict[int, list[int]] = {number: [] for number in numbers}
        for place, case in enumerate(cases):
            new = [n for n in numbers if _case(case) not in self.passed.get(n, [])]
            trace = self.folder / "traces" / _case(case)
            for number in replay.differing(program, trace, spec, new):
                asked[number].append(place)
        alike = sum(not places for places in asked.values())
        print(f"{alike} of {len(numbers)} show at their pins what the undamaged one does")
        return asked

    def _batches(
        self, stage: str, numbers: list[int], batch: Callable[[list[int], Path], None]
    ) -> None:
        """Work batches; one that ends early is gone on with, and what ended it is killed."""

        def work(part: list[int], folder: Path) -> None:
            while part:
                try:
                    batch(part, folder)
                except build.SimulationError as error:
                    left = [number for number in part if number not in self.verdicts[stage]]
                    if len(part) == 1 and left:
                        words = str(error).splitlines()[-1:]
                        self._note(stage, left[0], f"the simulator ended: {' '.join(words)}")
                    elif left:
                        # Once more alone: something else may have ended it.
                        work(left[:1], folder)
                part = [number for number in part if number not in self.verdicts[stage]]

        def whole(part: list[int], folder: Path) -> None:
            work(part, folder)
            self._say(stage)

        with ThreadPoolExecutor(self.workers) as pool:
            parts = [numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH)]
            jobs = [
                pool.submit(whole, part, self.folder / stage / str(place))
                for place, part in enumerate(parts)
            ]
            for job in jobs:
                job.result()
        shutil.rmtree(self.folder / stage, ignore_errors=True)

    def _long_waits(self) -> None:
        left = self._left("waits")
        if not left:
            return
        model = build.build(self.text, design.top(), self.cache)
        cases = [(name, 1) for name in long_waits.CASES]
        self._record(model, cases)
        traces = {case[0]: self.folder / "traces" / _case(case) for case in cases}
        waits = long_waits.LongWaits(model, design.specs()[0], traces)

        def work(mutant: Mutant) -> None:
            self._note("waits", mutant.number, waits.difference(mutant.number))
            self._say("waits")

        with ThreadPoolExecutor(self.workers) as pool:
            list(pool.map(work, left))

    # -- proofs ----------------------------------------------------------------------------------

    def _proofs(self) -> None:
        left = self._left("proofs")
        if not left:
            return
        prover = equivalent.Prover(
            design.verilog(), design.top(), self.mutants, self.folder / "proofs"
        )
        for mutant in left:
            self._note("proofs", mutant.number, prover.equivalent(mutant))
            self._say("proofs")


def read(folder: Path) -> dict[str, dict[int, dict[str, Any]]]:
    """The last line of each mutant in each stage's file."""
    return {
        stage: {line["number"]: line for line in _lines(_file(folder, stage))} for stage in STAGES
    }


def _file(folder: Path, stage: str) -> Path:
    return folder / f"{stage}.jsonl"


def _simulate(
    model: build.Model,
    mutants: Sequence[tuple[int, list[int]]],
    cases: Sequence[tuple[str, int]],
    limits: list[int],
    folder: Path,
    traces: bool = False,
) -> None:
    """See `scripts`. Raises SimulationError."""
    folder.mkdir(parents=True, exist_ok=True)
    job, found = folder / "job.json", folder / "found.jsonl"
    found.unlink(missing_ok=True)
    if not mutants:
        return
    job.write_text(json.dumps({
        "mutants": mutants, "cases": cases, "limits": limits, "found": str(found),
        "traces": str(folder) if traces else None,
    }))  # fmt: skip
    launch.run(model, BENCH, folder, {"CROSSTILE_JOB": str(job)}, lambda: None)


def _case(case: tuple[str, int]) -> str:
    return f"{case[0]}, seed {case[1]}"


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _whole(path)]


def _whole(path: Path) -> Iterator[str]:
    """Lines that were written to their end."""
    for line in path.read_text().splitlines(keepends=True) if path.exists() else []:
        if line.endswith("\n"):
            yield line


def _what(found: dict[str, Any]) -> str | None:
    """What a closed loop found; None where it ended as golden did."""
    first = found["mismatch"]
    if first is not None:
        operation = f"{first['operation']}: " if first.get("operation") else ""
        return f"{operation}{first['what']}"
    return None if found["rtl_digest"] == found["golden_digest"] else "the digests differ"
