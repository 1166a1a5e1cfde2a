"""Waits that take millions of cycles: too long for a bench in Python, not for Verilator's own loop.

A wait is recorded up to where it has begun, once of a length that `cocotb_tests.directed.waits` has
measured, once of the long one; what the host and the array say then stays as it is until the
interrupt. The one must take as many cycles more than the other as its register says.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from cocotb_tests import build
from cocotb_tests.directed import waits
from cocotb_tests.mutation import replay
from spec.tile import TileSpec

MEASURED_CYCLES, LONG_CYCLES = max(waits.WAITS_CYCLES), 0xAAAAA
"""The long one goes through all values of bits 0 to 18; every other bit of it is set."""
SPARE_CYCLES = 1000
WAITS = (*waits.COMMANDS, waits.SILENT, waits.IDLE)
CASES = {
    f"{of}, {cycles} cycles": {"of": of, "cycles": cycles}
    for of in WAITS
    for cycles in (MEASURED_CYCLES, LONG_CYCLES)
}
PROGRAM = "wait"


class LongWaits:
    """All of `WAITS` at a tile of damages, whose recorded beginnings are in `traces`."""

    def __init__(self, model: build.Model, spec: TileSpec, traces: dict[str, Path]) -> None:
        """`traces` has the files of `CASES`. Raises SimulationError where the tile itself fails."""
        self.program = replay.make(model, spec, PROGRAM, SOURCE)
        self.spec, self.traces = spec, traces
        self.expected: dict[str, int] = {}
        for of in WAITS:
            (measured,) = self._over(of, MEASURED_CYCLES, [0])
            (found,) = self._over(of, LONG_CYCLES, [0])
            self.expected[of] = measured + LONG_CYCLES - MEASURED_CYCLES
            if found != self.expected[of]:
                raise build.SimulationError(
                    f"the undamaged tile: {of}: over in cycle {found}, not {self.expected[of]}"
                )

    def difference(self, number: int) -> str | None:
        """What a mutant does else than it must; None for nothing."""
        for of, expected in self.expected.items():
            (found,) = self._over(of, LONG_CYCLES, [number])
            if found != expected:
                when = f"over in cycle {found}" if found >= 0 else "not over"
                return f"{of}, {LONG_CYCLES:,} cycles: {when}, not in cycle {expected}"
        return None

    def _over(self, of: str, cycles: int, numbers: Sequence[int]) -> list[int]:
        """The cycle of the interrupt, from the trace's first one on; -1 where there is none."""
        trace = self.traces[f"{of}, {cycles} cycles"]
        recorded = trace.stat().st_size // (4 * len(replay.inputs(self.spec)))
        arguments = [trace, recorded, recorded + cycles + SPARE_CYCLES, *numbers]
        done = subprocess.run(
            [str(self.program), *map(str, arguments)], capture_output=True, text=True, check=True
        )
        return [int(line) for line in done.stdout.splitlines()]


SOURCE = """\
#include "Vtop.h"
#include "verilated.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>
int main(int argc, char** argv) {
  std::FILE* file = std::fopen(argv[1], "rb");
  const long cycles = std::atol(argv[2]), limit = std::atol(argv[3]);
  std::vector<uint32_t> trace(cycles * @INPUTS@);
  if (!file || std::fread(trace.data(), 4, trace.size(), file) != trace.size()) return 2;
  for (int place = 4; place < argc; ++place) {
    VerilatedContext context;
    context.randSeed(1);
    context.randReset(2);
    const std::unique_ptr<Vtop> owned{new Vtop{&context}};
    Vtop& tile = *owned;
    tile.@DAMAGE@ = std::atoi(argv[place]);
    long over = -1;
    for (long cycle = 0; cycle < limit && over < 0; ++cycle) {
      if (cycle < cycles) {
        const uint32_t* v = &trace[cycle * @INPUTS@];
        @GIVE@
      }
      tile.aclk = 0;
      tile.eval();
      if (cycle >= cycles && tile.irq) over = cycle;
      tile.aclk = 1;
      tile.eval();
    }
    std::printf("%ld\\n", over);
  }
  return 0;
}
"""
