"""`crosstile study`: all runs of a study that are not there yet, then its table, plot and page."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from crosstile.folder import (
    RESULT,
    host,
    make_writable,
    read_kept,
    refuse_other,
    versions,
    write_json,
)
from crosstile.study import execute, page, report, table
from crosstile.study.definition import Study
from crosstile.study.work import data_of, key
from golden.training.checkpoint import write_atomically
from golden.training.loop import Run
from spec.errors import InputError

RUNS, TABLE, PLOT, PAGE = "runs", "table.md", "plot.png", "index.html"
PACKAGES = ("crosstile", "numpy", "numba", "llvmlite", "distributed")


def study(
    of: Study,
    folder: Path,
    console: Console,
    *,
    seeds: int | None = None,
    data_dirs: dict[str, str] | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    command: str = "",
    document: Path | None = None,
) -> dict[str, Any]:
    """Do a study; the content of its result.json.

    Finished runs lie in DIR/runs under the digest of what they rest on, and are not done again,
    whichever study wants them. `data_dirs` is data set -> folder, `command` what was asked for, and
    `document` gets it with the table. Raises InputError.
    """
    chosen = range(seeds or of.seeds)
    refuse_other(folder, of.name)
    if document is not None:
        # Before hours of work, not after.
        report.refuse_unfit(document)
    make_writable(folder / RUNS)
    with console.status("reading the data"):
        planned, absent = plan(of, chosen, data_dirs or {})
    if not planned:
        raise InputError(f"study {of.name}: {next(iter(absent.values()))}")
    # Rows may share runs.
    runs = {one.key: one.run for one in planned}
    missing = {name: run for name, run in runs.items() if not _file(folder, name).exists()}
    with _reporter(console, len(runs), len(runs) - len(missing)) as tell:
        for outcome in execute.outcomes(list(missing.values()), scheduler, workers):
            if outcome["key"] not in missing:
                raise InputError("a worker has other data than this command; give all the same")
            write_json(_file(folder, outcome["key"]), outcome)
            tell(outcome)
    outcomes = {(one.place, one.seed): read_kept(_file(folder, one.key)) for one in planned}
    rows = table.rows(of, chosen, outcomes, absent)
    lines = table.cells(of, chosen, rows)
    png = page.plot(of, rows)
    if png is not None:
        write_atomically(folder / PLOT, png)
    as_text = table.markdown(lines, len(of.axes))
    write_atomically(folder / TABLE, as_text.encode())
    write_atomically(folder / PAGE, page.page(of, command, lines, rows, png).encode())
    found = {
        "study": of.name, "title": of.title, "command": command, "seeds": list(chosen),
        "runs": len(runs), "run_now": len(missing), "rows": rows,
        "versions": host() | versions(PACKAGES),
    }  # fmt: skip
    write_json(folder / RESULT, found)
    if document is not None:
        parts = (f"### {of.title}", of.about, f"    {command}", as_text)
        report.insert(document, of.name, "\n\n".join(parts))
    return found


def last_words(found: dict[str, Any], folder: Path) -> str:
    """What was done, and where it is."""
    left_out = [row for row in found["rows"] if "absent" in row]
    lines = [(folder / TABLE).read_text().rstrip()]
    lines += [f"left out: {', '.join(r['points'].values())}: {r['absent']}" for r in left_out]
    lines.append(f"{found['runs']} runs, {found['run_now']} of them done now; {folder / PAGE}")
    return "\n".join(lines)


@dataclass(frozen=True)
class Planned:
    """A run of the table: its row, its seed, and the key under which it is kept."""

    place: int
    seed: int
    run: Run
    key: str


def plan(
    of: Study, seeds: range, data_dirs: dict[str, str]
) -> tuple[list[Planned], dict[int, str]]:
    """All runs of a study, and the rows whose data are not there, with the reason."""
    digests: dict[tuple[Any, ...], str] = {}
    absent: dict[int, str] = {}
    planned = []
    for place, row in enumerate(of.rows):
        for seed in seeds:
            described = of.run(row, seed).to_json()
            where = data_dirs.get(described["dataset"])
            described["data_dir"] = where and str(Path(where).absolute())
            run = Run.from_json(described)
            data = run.dataset, run.data_dir, run.hold_out
            try:
                if data not in digests:
                    digests[data] = data_of(run)[1]
            except InputError as error:
                absent[place] = str(error)
                break
            planned.append(Planned(place, seed, run, key(run, digests[data])))
    return planned, absent


def _file(folder: Path, name: str) -> Path:
    return folder / RUNS / f"{name}.json"


@contextlib.contextmanager
def _reporter(
    console: Console, total: int, there: int
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Tells of each run that is finished."""
    done = there

    def words(outcome: dict[str, Any]) -> str:
        run = outcome["run"]
        accuracy = f"{outcome['final_test_accuracy']:.2f} %"
        return f"{run['dataset']} {run['cell']} seed {run['seed']}: {accuracy}"

    if console.is_terminal:
        columns = (
            BarColumn(bar_width=14), MofNCompleteColumn(), TextColumn("{task.fields[last]}"),
            TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("", total=total, completed=there, last="")

            def draw(outcome: dict[str, Any]) -> None:
                bar.update(task, advance=1, last=words(outcome))

            yield draw
        return

    def write(outcome: dict[str, Any]) -> None:
        nonlocal done
        done += 1
        console.print(f"{done}/{total}  {words(outcome)}", highlight=False)

    yield write
