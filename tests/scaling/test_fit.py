"""The fits of a scaling study find what made the values, and see what is not linear in it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from crosstile.scaling.fit import fit, worse_than_linear
from crosstile.scaling.sizes import SIDES, Size, usual

SQUARES = [Size(side, side) for side in SIDES]


def values(of: Callable[[int, int], float], sizes: list[Size]) -> dict[Size, float]:
    return {size: of(size.rows, size.columns) for size in sizes}


def test_rows_and_columns_are_told_apart() -> None:
    found = fit(values(lambda rows, columns: 8000 + 10 * rows + 34 * columns, usual()))
    assert found["line"] == {
        "base": pytest.approx(8000), "per_line": pytest.approx(22),
        "off_percent": pytest.approx(0, abs=1e-9), "furthest": found["line"]["furthest"],
        "sizes": 4,
    }  # fmt: skip
    assert found["plane"]["per_row"] == pytest.approx(10)
    assert found["plane"]["per_column"] == pytest.approx(34)
    assert found["plane"]["sizes"] == 10
    assert found["product"]["share_percent"] == pytest.approx(0, abs=1e-9)
    assert found["product"]["largest"] == [512, 512]
    assert found["linear"] is True


@pytest.mark.parametrize("sizes", [usual(), SQUARES])
def test_a_product_of_rows_and_columns_is_seen(sizes: list[Size]) -> None:
    found = fit(values(lambda rows, columns: 1000 + 20 * (rows + columns) + rows * columns, sizes))
    whole = 1000 + 20 * 1024 + 512 * 512
    assert found["product"]["per_cell"] == pytest.approx(1)
    assert found["product"]["share_percent"] == pytest.approx(100 * 512 * 512 / whole)
    assert found["line"]["off_percent"] > 10
    assert found["linear"] is False


def test_how_far_off_is_in_percent_of_the_value() -> None:
    flat = values(lambda rows, columns: 1000, SQUARES)
    # A quarter of the four values is off by 8: the line takes a part of it.
    off = fit(flat | {Size(64, 64): 1008.0})["line"]
    assert 0.2 < off["off_percent"] < 0.8
    assert fit(flat)["line"]["off_percent"] == pytest.approx(0, abs=1e-9)


def test_other_shapes_than_squares_count_for_linear_too() -> None:
    def bent(rows: int, columns: int) -> float:
        return 1000 + 20 * (rows + columns) + (0 if rows == columns else 3000)

    found = fit(values(bent, usual()))
    assert found["line"]["off_percent"] < 1e-6
    assert found["linear"] is False


def test_small_tiles_do_not_count() -> None:
    of = values(lambda rows, columns: 1000 + rows + columns, SQUARES)
    assert fit(of | {Size(8, 8): 9e9, Size(1024, 1024): 9e9})["linear"] is True


@pytest.mark.parametrize("sizes", [[], SQUARES[:5], [Size(64, 64), Size(64, 128), Size(64, 256)]])
def test_too_few_sizes_make_no_fit(sizes: list[Size]) -> None:
    found = fit(values(lambda rows, columns: rows + columns, sizes))
    assert found == {"line": None, "plane": None, "product": None, "linear": None}


def test_a_block_is_named_if_it_grows_worse_and_weighs() -> None:
    def of(function: Callable[[int, int], float]) -> dict[Size, float]:
        return values(function, usual())

    blocks = {
        "drivers": of(lambda rows, columns: 15 * columns),
        "mesh": of(lambda rows, columns: 500 + rows * columns / 50),
        "light": of(lambda rows, columns: 1 + rows * columns / 2000),
        "sorter": of(lambda rows, columns: 3 * columns * math.log2(columns)),
        "table": of(lambda rows, columns: rows * rows / 50),
        "shrinking": of(lambda rows, columns: 9000 - rows * columns / 50),
        "into a RAM": of(lambda rows, columns: 9000 if rows + columns < 256 else 4000),
        "stairs": of(lambda rows, columns: 4000 if rows > 128 else 0),
        "absent in small ones": {Size(512, 512): 4000.0},
    }
    tile = of(lambda rows, columns: 30000)
    found = {one["block"]: one for one in worse_than_linear(tile, blocks)}
    assert {name: one["along"] for name, one in found.items()} == {
        "mesh": "rows and columns", "sorter": "columns", "table": "rows",
    }  # fmt: skip
    assert found["sorter"]["beyond_percent"] == pytest.approx(7.4, abs=0.1)
    # 64 and 256 lead to 56 % of what n * n takes at 512.
    assert found["table"]["beyond_percent"] == pytest.approx(43.75)
    assert found["table"]["of_tile_percent"] == pytest.approx(43.75 * 512 * 512 / 50 / 30000)
