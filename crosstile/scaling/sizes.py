"""The sizes of a scaling study: squares, and rows or columns alone with the other side held."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from spec.errors import InputError

SIDES = (8, 16, 32, 64, 128, 256, 512)
HELD = 64


class Size(NamedTuple):
    """Of a tile. Its lines are what its drivers and converters are for: rows + columns."""

    rows: int
    columns: int

    @property
    def lines(self) -> int:
        """Rows and columns together."""
        return self.rows + self.columns

    def __str__(self) -> str:
        return f"{self.rows} x {self.columns}"


def usual() -> list[Size]:
    """All of the study, the smallest first."""
    squares = {Size(side, side) for side in SIDES}
    others = {size for side in SIDES for size in (Size(side, HELD), Size(HELD, side))}
    return in_order(squares | others)


def in_order(sizes: Iterable[Size]) -> list[Size]:
    """Each once, the smallest first."""
    return sorted(set(sizes), key=lambda size: (size.lines, size))


def parse(text: str) -> Size:
    """The size that an option says, as 64x512. Raises InputError."""
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if found is None:
        raise InputError(f"--size {text}: give rows and columns, as 64x512")
    return Size(int(found[1]), int(found[2]))
