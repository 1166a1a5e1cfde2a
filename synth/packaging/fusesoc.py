"""The tile as a FuseSoC core (CAPI2), with targets lint, sim, sim_verilator and synth."""

from __future__ import annotations

from rtl.macro_stub import stub_name
from rtl.top import module_name
from spec.tile import TileSpec
from synth import lint
from synth.packaging import LIBRARY, VENDOR, VERSION, test_bench


def core_name(spec: TileSpec) -> str:
    """What FuseSoC calls it."""
    return f"{VENDOR}:{LIBRARY}:{module_name(spec)}:{VERSION}"


def text(spec: TileSpec) -> str:
    """The core file; it lies beside the files that it names."""
    top, stub, bench = module_name(spec), stub_name(spec), test_bench.name(spec)
    return f"""\
CAPI=2:

name: {core_name(spec)}
description: Controller of an analog training tile of {spec.rows} rows by {spec.columns} columns

filesets:
  rtl:
    files: [{top}.v]
    file_type: verilogSource-2005
  waivers:
    files: [{lint.WAIVER_FILE}: {{file_type: vlt}}]
  bench:
    files: [{stub}.v, {bench}.v]
    file_type: verilogSource-2005

targets:
  default:
    filesets: [rtl]

  lint:
    description: Verilator with all warnings on; what is waived is in {lint.WAIVER_FILE}
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]
    filesets: [rtl, waivers]
    toplevel: {top}

  sim: &sim
    description: The tile and the stub of its array in Icarus Verilog; the bench checks itself
    flow: sim
    flow_options:
      tool: icarus
      iverilog_options: [-g2005]
    filesets: [rtl, bench]
    toplevel: {bench}

  sim_verilator:
    <<: *sim
    description: The same in Verilator, 5.006 or newer; for large tiles
    flow_options:
      tool: verilator
      mode: binary
      verilator_options: [--timing, -Wno-fatal, -Wno-lint, -Wno-style]

  synth:
    description: Yosys's netlist for ECP5, as JSON
    flow: generic
    flow_options:
      tool: yosys
      arch: ecp5
      output_format: json
    filesets: [rtl]
    toplevel: {top}
"""
