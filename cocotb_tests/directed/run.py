"""A directed bench, as cocotb runs it.

CROSSTILE_JOB names a JSON file: {"spec": a name of tile_cases.SPECS, "bench": one of BENCHES,
"seed"}.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock

from cocotb_tests.axi_host import AxiHost
from cocotb_tests.directed import bench, failures, packets, waits
from cocotb_tests.pins import Pins
from cocotb_tests.tile import PERIOD_NS
from tests.equivalence import macro, tile_cases

BENCHES = {"failures": failures.failures, "waits": waits.waits, "packets": packets.packets}


@cocotb.test()
async def directed(dut: Any) -> None:
    job = json.loads(Path(os.environ["CROSSTILE_JOB"]).read_text())
    spec = tile_cases.SPECS[job["spec"]]
    Clock(dut.aclk, PERIOD_NS, "ns").start()
    dut.aresetn.value = dut.analog_safe.value = 0
    host, pins = AxiHost(dut, settle_cycles=40 + 3 * spec.rows), Pins(dut, macro.NAMES)
    await bench.run(bench.Bench(host, pins, spec, job["seed"]), BENCHES[job["bench"]])
