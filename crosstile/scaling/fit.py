"""What growth is in rows and columns: least squares over the sizes from 64 to 512."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstile.scaling.sizes import HELD, Size, in_order

FROM, TO = 64, 512
"""Sides of the tiles that count."""
WITHIN_PERCENT = 10.0
"""What linear growth may be off by."""
BEYOND_PERCENT, OF_TILE_PERCENT = 5.0, 1.0
"""A block is named if it takes so much more than a line leads to, of its own and of the tile's.

Of n log n from 64 to 512 it is 7 %, of n * n 44 %.
"""


def fit(values: Mapping[Size, float]) -> dict[str, Any]:
    """A value's growth: by line, by row and column, and the share of rows x columns in it.

    `line` is over squares alone, where rows and columns cannot cost apart; `plane` and `product`
    over all sizes. Each is None where there are too few sizes to tell. `linear`: line and plane
    are nowhere off by more than WITHIN_PERCENT of the value; None without a line.
    """
    used = {size: value for size, value in values.items() if FROM <= min(size) <= max(size) <= TO}
    squares = {size: value for size, value in used.items() if size.rows == size.columns}
    line = _least_squares(squares, ("per_line",))
    plane = _least_squares(used, ("per_row", "per_column"))
    # Among squares alone, rows and columns cannot be told apart, but their product can.
    apart = ("per_line",) if used.keys() == squares.keys() else ("per_row", "per_column")
    product = _least_squares(used, (*apart, "per_cell"))
    off = [one["off_percent"] for one in (line, plane) if one is not None]
    if product is not None:
        largest = max(used, key=lambda size: size.rows * size.columns)
        cells = product["per_cell"] * largest.rows * largest.columns
        product |= {"largest": list(largest), "share_percent": 100 * cells / used[largest]}
    linear = None if line is None else max(off) <= WITHIN_PERCENT
    return {"line": line, "plane": plane, "product": product, "linear": linear}


def worse_than_linear(
    tile: Mapping[Size, float], blocks: Mapping[str, Mapping[Size, float]]
) -> list[dict[str, Any]]:
    """Blocks that grow worse than linear along rows, columns or both, and weigh in a tile.

    `tile` has the whole tiles' values, `blocks` those of each block. What counts is how much more
    the largest tile takes than a line through the smallest and the last but one leads to.
    """
    found = []
    for name, values in blocks.items():
        worst: dict[str, Any] | None = None
        for along, sizes in _directions(values).items():
            if len(sizes) < 3:
                continue
            first, *_, before, last = sizes
            # A block that shrinks, as a memory that goes from LUTs to a RAM, need not go on.
            slope = max(0.0, (values[before] - values[first]) / (before.lines - first.lines))
            beyond = values[last] - values[first] - slope * (last.lines - first.lines)
            own = 100 * beyond / max(values[last], 1)
            of_tile = 100 * beyond / tile[last]
            named = own > BEYOND_PERCENT and of_tile > OF_TILE_PERCENT
            if named and (worst is None or of_tile > worst["of_tile_percent"]):
                worst = {
                    "block": name, "along": along, "beyond_percent": own,
                    "of_tile_percent": of_tile,
                }  # fmt: skip
        if worst is not None:
            found.append(worst)
    return found


def _directions(sizes: Iterable[Size]) -> dict[str, list[Size]]:
    """The sizes that count, the smallest first, along each way to grow."""
    used = in_order(size for size in sizes if FROM <= min(size) <= max(size) <= TO)
    return {
        "rows": [size for size in used if size.columns == HELD],
        "columns": [size for size in used if size.rows == HELD],
        "rows and columns": [size for size in used if size.rows == size.columns],
    }


_TERMS = {
    "per_line": lambda size: size.lines,
    "per_row": lambda size: size.rows,
    "per_column": lambda size: size.columns,
    "per_cell": lambda size: size.rows * size.columns,
}


def _least_squares(values: Mapping[Size, float], terms: Sequence[str]) -> dict[str, Any] | None:
    """What none of the lines take, what each term does, and where that is furthest from a value."""
    sizes = list(values)
    measured: NDArray[np.float64] = np.array([values[size] for size in sizes], dtype=float)
    # One size more than terms, or the fit would be perfect whatever the values are.
    if len(sizes) < len(terms) + 2 or not (measured > 0).all():
        return None
    columns = [[1.0] * len(sizes), *([_TERMS[term](size) for size in sizes] for term in terms)]
    matrix = np.array(columns, dtype=float).T
    solution, _, rank, _ = np.linalg.lstsq(matrix, measured)
    if rank < matrix.shape[1]:
        return None
    off = 100 * (matrix @ solution / measured - 1)
    furthest = int(np.abs(off).argmax())
    return {
        "base": float(solution[0]),
        **{term: float(found) for term, found in zip(terms, solution[1:], strict=True)},
        "off_percent": float(abs(off[furthest])),
        "furthest": list(sizes[furthest]),
        "sizes": len(sizes),
    }
