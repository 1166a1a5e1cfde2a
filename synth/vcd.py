"""How often each net toggled, from the VCD of a simulation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

VARIABLE = re.compile(r"\$var \w+ (\d+) (\S+) \\?(\S+)(?: \[(\d+)(?::(\d+))?\])? \$end")


@dataclass(frozen=True)
class Toggles:
    """Changes between 0 and 1 of each net by its name, and cycles of the clock meanwhile."""

    cycles: int
    nets: dict[str, int]

    @property
    def per_cycle(self) -> dict[str, float]:
        """The mean activity of each net: 2 is the clock's."""
        return {name: count / self.cycles for name, count in self.nets.items()}


def read(lines: Iterable[str], clock: str) -> Toggles:
    """The toggles in a VCD of one scope. What leaves x, or the first values, is no toggle.

    Raises ValueError where the clock did not run.
    """
    names: dict[str, list[str]] = {}
    lines = iter(lines)
    for line in lines:
        if found := VARIABLE.match(line):
            width, code, name, high, _ = found.groups()
            if int(width) == 1:
                names.setdefault(code, []).append(name if high is None else f"{name}[{high}]")
            else:
                top = int(high)
                names.setdefault(code, []).extend(
                    f"{name}[{top - place}]" for place in range(int(width))
                )
        elif line.startswith("$enddefinitions"):
            break
    single: dict[str, list[int | str]] = {}
    wide: dict[str, tuple[str, list[int]]] = {}
    for line in lines:
        kind = line[0]
        if kind in "01xz":
            code = line[1:].rstrip()
            before = single.get(code)
            if before is None:
                single[code] = [0, kind]
            elif before[1] != kind:
                if kind in "01" and str(before[1]) in "01":
                    before[0] = int(before[0]) + 1
                before[1] = kind
        elif kind == "b":
            bits, code = line[1:].split()
            bits = _whole(bits, len(names[code]))
            old, counts = wide.setdefault(code, (bits, [0] * len(bits)))
            for place, (was, now) in enumerate(zip(old, bits, strict=True)):
                counts[place] += was != now and was in "01" and now in "01"
            wide[code] = bits, counts
    nets = {name: int(single[code][0]) for code in single for name in names[code]}
    for code, (_, counts) in wide.items():
        nets |= zip(names[code], counts, strict=False)
    if nets.get(clock, 0) < 2:
        raise ValueError(f"{clock} did not run")
    return Toggles(nets[clock] // 2, nets)


def _whole(bits: str, width: int) -> str:
    """All bits: a VCD leaves out those on the left that are as the first, or 0 before a 1."""
    return bits.rjust(width, "0" if bits[0] == "1" else bits[0])
