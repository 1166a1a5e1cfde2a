"""A directed bench, as cocotb runs it.

CROSSTILE_JOB names a JSON file: {"spec": a name of tile_cases.SPECS, "bench": one of BENCHES,
"seed"}.
"""

from __future__ import annotations

from typing import Any

import cocotb

from cocotb_tests.directed import bench, failures, packets, waits
from cocotb_tests.tile import around, begin

BENCHES = {"failures": failures.failures, "waits": waits.waits, "packets": packets.packets}


@cocotb.test()
async def directed(dut: Any) -> None:
    job, spec = begin(dut)
    host, pins = around(dut, spec)
    await bench.run(bench.Bench(host, pins, spec, job["seed"]), BENCHES[job["bench"]])
