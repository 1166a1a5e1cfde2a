"""The mutants: drawn once, by a fixed seed, from the cells of every block in proportion.

`mutants.json` beside this file is what was drawn, with the digest of the Verilog that it is of.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cocotb_tests.mutation import yosys

COUNT, SEED = 320, 1
FILE = Path(__file__).parent / "mutants.json"


@dataclass(frozen=True)
class Mutant:
    """One damage: a bit of a port of a cell is inverted, stuck, or inverted by another bit.

    `number`, from 1, is what the select input chooses it by; `options` are those of `mutate`.
    """

    number: int
    block: str
    options: str

    @property
    def place(self) -> str:
        """What is damaged, and how, in a few words."""
        words = self.options.split()
        named = dict(zip(words[::2], words[1::2], strict=True))
        wire = named.get("-wire", "?").lstrip("\\") + f"[{named.get('-wirebit', '?')}]"
        other = f" by bit {named['-ctrlbit']}" if "-ctrlbit" in named else ""
        port = f"{named['-port'].lstrip(chr(92))}[{named['-portbit']}]"
        return f"{named['-mode']}{other} at {port} of {named['-cell']}, wire {wire}"


def shares(cells: dict[str, int], count: int) -> dict[str, int]:
    """`count` shared in proportion, the largest remainders getting one more."""
    total = sum(cells.values())
    exact = {name: count * number / total for name, number in cells.items()}
    found = {name: int(share) for name, share in exact.items()}
    by_rest = sorted(cells, key=lambda name: (found[name] - exact[name], name))
    for name in by_rest[: count - sum(found.values())]:
        found[name] += 1
    return found


def draw(verilog: str, top: str, count: int = COUNT, seed: int = SEED) -> dict[str, Any]:
    """What `mutants.json` holds."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "design.v").write_text(verilog)
        prepare = yosys.PREPARE.format(file="design.v", top=top)
        yosys.run(prepare + "tee -q -o stat.json stat -json", folder)
        modules = json.loads((folder / "stat.json").read_text())["modules"]
        cells = {name.lstrip("\\"): module["num_cells"] for name, module in modules.items()}
        numbers = {name: number for name, number in shares(cells, count).items() if number}
        lists = "; ".join(
            f"mutate -list {number} -seed {seed} -module {name} -o {place}.txt"
            for place, (name, number) in enumerate(sorted(numbers.items()))
        )
        yosys.run(prepare + lists, folder)
        mutants = []
        for place, (name, number) in enumerate(sorted(numbers.items())):
            lines = (folder / f"{place}.txt").read_text().splitlines()
            assert len(lines) == number, f"{name}: {len(lines)} mutants of {number}"
            for line in lines:
                options = re.sub(r" -src \S+", "", line.removeprefix("mutate ")).strip()
                mutants.append(asdict(Mutant(len(mutants) + 1, name, options)))
    return {
        "verilog_sha256": digest(verilog), "seed": seed, "cells": dict(sorted(cells.items())),
        "mutants": mutants,
    }  # fmt: skip


def digest(verilog: str) -> str:
    """Of the text that a draw is of."""
    return hashlib.sha256(verilog.encode()).hexdigest()


def load() -> tuple[str, list[Mutant]]:
    """The digest and the mutants of `FILE`."""
    found = json.loads(FILE.read_text())
    return found["verilog_sha256"], [Mutant(**fields) for fields in found["mutants"]]


def save(drawn: dict[str, Any]) -> None:
    """Write `FILE`, a mutant a line."""
    lines = ",\n".join("  " + json.dumps(mutant) for mutant in drawn["mutants"])
    head = json.dumps({key: value for key, value in drawn.items() if key != "mutants"}, indent=1)
    FILE.write_text(head.removesuffix("\n}") + f',\n "mutants": [\n{lines}\n ]\n}}\n')
