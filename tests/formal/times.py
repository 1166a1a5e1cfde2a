"""How long the proofs took: `make formal` notes it in build/, and `make docs` takes it over.

A proof is known by harness, method, depth and, where it is of some properties alone, their names.
Runs that find a damage are summed, by harness and depth. What was not run keeps its time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.formal.prove import Proof

KEPT = Path(__file__).parent / "times.json"
"""What docs/verification.md is made from: part of the repository, so that the two agree."""
MEASURED = Path(__file__).parents[2] / "build/proof_times.json"

Times = dict[str, list[float]]
"""By key: how many runs, and the seconds of all of them."""


def key(harness: str, method: str, depth: int, only: Sequence[str] = ()) -> str:
    """The name of a proof; of damages, the method is "damage"."""
    return " ".join([harness, method, str(depth), *([] if method == "damage" else sorted(only))])


def entry(proof: Proof, only: Sequence[str]) -> tuple[str, float]:
    """A proof's key and its seconds."""
    method = "damage" if proof.failed else proof.method
    return key(proof.harness, method, proof.depth, only), proof.seconds


def write(path: Path, entries: Iterable[Sequence[Any]]) -> None:
    """Note these in the place of what the file has of the same keys."""
    sums: Times = {}
    for name, seconds in entries:
        count, total = sums.get(name, [0, 0.0])
        sums[name] = [count + 1, total + seconds]
    rounded = {name: [count, max(1, round(total))] for name, (count, total) in sums.items()}
    text = json.dumps(dict(sorted((read(path) | rounded).items())), indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def read(path: Path = KEPT) -> Times:
    """What the file has; nothing without one."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def take_over(known: Iterable[str]) -> None:
    """What was measured since, into what is kept; of proofs that there still are."""
    merged = read() | read(MEASURED)
    names = sorted(set(merged) & set(known))
    lines = [f" {json.dumps(name)}: {json.dumps(merged[name])}" for name in names]
    KEPT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
