"""Every mutant through the short closed loop, then the scripts; proofs for those that survive.

Each stage leaves a line a mutant in a file of its own, as soon as it is known: {"number",
"killed", "passed"}, where `killed` says how, and is null for a survivor; `passed` are the cases
that it has survived. A case that is new goes to the survivors alone: what has changed otherwise shows
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
from cocotb_tests.mutation import design, draw, equivalent, netlist
from cocotb_tests.mutation.draw import Mutant
from cocotb_tests.mutation.scripts import FAILURES
from golden.training.checkpoint import write_atomically
from tests.equivalence import bus_cases, tile_cases

ROOT = Path(__file__).parents[2]
BATCH = 5
SPARE_CYCLES = 3000
TIMES = 3
"""A case may take so many times the undamaged tile's cycles, and SPARE_CYCLES more."""
BENCH = "cocotb_tests.mutation.scripts"
QUICK = [(name, 1) for name in (*bus_cases.CASES, "interruptions", "restored")]
"""Cases that find much in few cycles."""
EARLY = (FAILURES, "wrong use", "codes and raw access")
SCRIPTS = [
    (name, 1)
    for name in (*EARLY, *(name for name in tile_cases.SCRIPTS if name not in EARLY))
    if (name, 1) not in QUICK
]
SEEDS = [(name, seed) for seed in (2, 3) for name in tile_cases.SCRIPTS]
STAGES = ("loop", "quick", "proofs", "scripts", "seeds")


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
                self._file(name).unlink(missing_ok=True)
            (folder / "damaged.v").unlink(missing_ok=True)
            kept.write_text(key)
        self.cache = ROOT / "build" / "verilator"
        made = folder / "damaged.v"
        if not made.exists():
            text = netlist.damaged(design.verilog(), design.top(), self.mutants)
            write_atomically(made, text.encode())
        self.text = made.read_text()
        self.passed: dict[int, list[str]] = {}
        """Cases that a mutant has survived, where others are to come."""
        self.verdicts: dict[str, dict[int, dict[str, Any]]] = {
            name: self._read(name) for name in STAGES
        }

    def run(self) -> dict[str, dict[int, str | None]]:
        """What each stage said of each mutant that came to it: how it ended, None for alive."""
        self._loop()
        self._scripts("quick", QUICK)
        self._proofs()
        self._scripts("scripts", SCRIPTS)
        self._scripts("seeds", SEEDS)
        return {
            name: {number: line["killed"] for number, line in lines.items()}
            for name, lines in self.verdicts.items()
        }

    # -- verdicts --------------------------------------------------------------------------------

    def _file(self, stage: str) -> Path:
        return self.folder / f"{stage}.jsonl"

    def _read(self, stage: str) -> dict[int, dict[str, Any]]:
        """The last line of each mutant."""
        return {line["number"]: line for line in _lines(self._file(stage))}

    def _note(
        self, stage: str, number: int, killed: str | None, passed: Sequence[str] = ()
    ) -> None:
        with self.lock:
            before = self.verdicts[stage].get(number, {"passed": []})["passed"]
            line = {"number": number, "killed": killed, "passed": [*before, *passed]}
            self.verdicts[stage][number] = line
            with self._file(stage).open("a") as lines:
                lines.write(json.dumps(line) + "\n")

    def _left(self, stage: str) -> list[Mutant]:
        """Those that the stages before let live, and that this one has not seen."""
        before = [self.verdicts[name] for name in STAGES[: STAGES.index(stage)]]
        seen, ended = self.verdicts[stage], {"killed": True}
        return [
            mutant
            for mutant in self.mutants
            if mutant.number not in seen
            and not any(lines.get(mutant.number, ended)["killed"] for lines in before)
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

        def simulate(
            numbers: list[int], asked: Sequence[tuple[str, int]], limits: Any, folder: Path
        ) -> None:
            folder.mkdir(parents=True, exist_ok=True)
            job, found = folder / "job.json", folder / "found.jsonl"
            found.unlink(missing_ok=True)
            job.write_text(json.dumps({
                "mutants": numbers, "cases": asked, "limits": limits, "found": str(found),
            }))  # fmt: skip
            launch.run(model, BENCH, folder, {"CROSSTILE_JOB": str(job)}, lambda: None)

        def batch(numbers: list[int], folder: Path) -> None:
            # All of a batch have passed the same cases.
            passed = self.passed.get(numbers[0], [])
            asked = [case for case in cases if _case(case) not in passed]
            try:
                simulate(numbers, asked, [limits[_case(case)] for case in asked], folder)
            finally:
                for line in _lines(folder / "found.jsonl"):
                    if "number" in line:
                        new = [] if line["killed"] else [_case(case) for case in asked]
                        self._note(stage, line["number"], line["killed"], [*passed, *new])

        folder, kept = self.folder / stage, self.folder / "cycles.json"
        cycles = json.loads(kept.read_text()) if kept.exists() else {}
        unknown = [case for case in cases if _case(case) not in cycles]
        if unknown:
            simulate([0], unknown, None, folder)
            unharmed = _lines(folder / "found.jsonl")[-1]
            if unharmed["killed"] is not None:
                raise build.SimulationError(f"the undamaged tile: {unharmed['killed']}")
            cycles |= dict(zip(map(_case, unknown), unharmed["cycles"], strict=True))
            write_atomically(kept, json.dumps(cycles).encode())
        limits = {name: TIMES * count + SPARE_CYCLES for name, count in cycles.items()}
        same: dict[tuple[str, ...], list[int]] = {}
        for number in left:
            same.setdefault(tuple(self.passed.get(number, ())), []).append(number)
        for numbers in same.values():
            self._batches(stage, numbers, batch)

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
