"""What reaches the pins of the undamaged tile in a case, given again to every mutant.

A mutant whose pins show in each cycle what the undamaged tile's did goes through the case as that
did, for what a host and an array do next depends on pins alone: it has passed. The others have to
be run. Verilator's own loop does this a thousand times faster than a bench in Python.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cocotb_tests import build
from cocotb_tests.closed_loop.verilog import DAMAGE
from rtl.top import top_ports
from spec.tile import TileSpec

OPTIONS = (
    "-cc", "--exe", "--prefix", "Vtop", "--no-timing", "--noassert", "--x-assign", "fast",
    "--x-initial", "unique", "-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-UNOPTFLAT",
)  # fmt: skip
PROGRAM = "replay"


def inputs(spec: TileSpec) -> list[str]:
    """What is recorded of a cycle, in order."""
    ports = top_ports(spec)
    return [name for name, (way, _) in ports.items() if way == "input" and name != "aclk"]


def program(spec: TileSpec, source: str) -> str:
    """The C++ of `source` for a tile."""
    given = inputs(spec)
    shown = [name for name, (way, _) in top_ports(spec).items() if way == "output"]
    lines = {
        "GIVE": " ".join(f"tile.{name} = v[{place}];" for place, name in enumerate(given)),
        "TAKE": " ".join(f"o[{place}] = tile.{name};" for place, name in enumerate(shown)),
        "INPUTS": str(len(given)), "OUTPUTS": str(len(shown)), "DAMAGE": DAMAGE,
    }  # fmt: skip
    text = source
    for name, value in lines.items():
        text = text.replace(f"@{name}@", value)
    return text


def make(model: build.Model, spec: TileSpec, name: str = PROGRAM, source: str = "") -> Path:
    """The program of `source`, in the folder of the model of the tile, from whose netlist it is.

    Else that of this file: trace, its cycles, and mutants; a line each with the cycle that differs.
    """
    folder = model.folder / name
    if not (folder / name).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "main.cpp").write_text(program(spec, source or SOURCE))
        shutil.copy(model.folder / "netlist.v", folder)
        made = folder / "made"
        build.run_tool(
            [
                str(build.verilator() / "bin" / "verilator_bin"), *OPTIONS, "-Mdir", ".",
                "--top-module", model.top, "-o", made.name, "netlist.v", "main.cpp",
            ],
            folder,
        )  # fmt: skip
        build.run_tool(["make", "-s", f"-j{build.JOBS}", "-f", "Vtop.mk", *build.MAKE], folder)
        made.rename(folder / name)
    return folder / name


def differing(program: Path, trace: Path, spec: TileSpec, numbers: Sequence[int]) -> set[int]:
    """The mutants that show anything else than the undamaged tile in a case."""
    cycles = trace.stat().st_size // (4 * len(inputs(spec)))
    arguments = [str(trace), str(cycles), *map(str, numbers)]
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=True)
    places: dict[int, int] = {}
    for line in done.stdout.splitlines():
        number, place = line.split()
        places[int(number)] = int(place)
    assert sorted(places) == sorted(numbers), "the program did not come to its end"
    return {number for number, place in places.items() if place >= 0}


SOURCE = """\
#include "Vtop.h"
#include "verilated.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>
int main(int argc, char** argv) {
  std::FILE* file = std::fopen(argv[1], "rb");
  const long cycles = std::atol(argv[2]);
  std::vector<uint32_t> trace(cycles * @INPUTS@), shown(cycles * @OUTPUTS@);
  if (!file || std::fread(trace.data(), 4, trace.size(), file) != trace.size()) return 2;
  for (int place = 2; place < argc; ++place) {
    // The first is the undamaged tile, which the others are held against.
    const int number = place == 2 ? 0 : std::atoi(argv[place]);
    VerilatedContext context;
    context.randSeed(1);
    context.randReset(2);
    const std::unique_ptr<Vtop> owned{new Vtop{&context}};
    Vtop& tile = *owned;
    tile.@DAMAGE@ = number;
    long differs = -1;
    for (long cycle = 0; cycle < cycles && differs < 0; ++cycle) {
      const uint32_t* v = &trace[cycle * @INPUTS@];
      uint32_t* expected = &shown[cycle * @OUTPUTS@];
      uint32_t o[@OUTPUTS@];
      tile.aclk = 0;
      @GIVE@
      tile.eval();
      @TAKE@
      if (place == 2) std::memcpy(expected, o, sizeof o);
      else if (std::memcmp(expected, o, sizeof o)) differs = cycle;
      tile.aclk = 1;
      tile.eval();
    }
    if (place > 2) std::printf("%d %ld\\n", number, differs);
  }
  return 0;
}
"""
