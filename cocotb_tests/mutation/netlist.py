"""All mutants in one netlist, chosen by an input; 0 is none of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from cocotb_tests.closed_loop.verilog import DAMAGE, DAMAGE_BITS
from cocotb_tests.mutation import yosys
from cocotb_tests.mutation.draw import Mutant


def apply(mutants: Sequence[Mutant]) -> str:
    """The commands that put them in; Yosys pulls the input up through the hierarchy."""
    return "; ".join(
        f"mutate {mutant.options} -ctrl {DAMAGE} {DAMAGE_BITS} {mutant.number}"
        for mutant in mutants
    )


def damaged(verilog: str, top: str, mutants: Sequence[Mutant]) -> str:
    """The Verilog of the tile with the input `DAMAGE`, its hierarchy as it was."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "design.v").write_text(verilog)
        prepare = yosys.PREPARE.format(file="design.v", top=top)
        yosys.run(f"{prepare}{apply(mutants)}; opt_clean; write_verilog -noattr damaged.v", folder)
        return (folder / "damaged.v").read_text()
