"""Proofs that a mutant is the tile: no input and no state in which a pin or the next state differs.

The tile is flattened and its registers are cut: what they hold is an input, what they take an
output. The undamaged and the damaged tile get the same inputs; where no output can differ, they
never part, whatever they do. States that no cycle leads to are left out by `steps`: the state is
then what the undamaged tile makes of any state in so many cycles, and the first cycles after
aresetn are proven from any state under reset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cocotb_tests.closed_loop.verilog import DAMAGE, DAMAGE_BITS
from cocotb_tests.mutation import netlist, yosys
from cocotb_tests.mutation.draw import Mutant

CUT = "cut"
SECONDS = 120
STEPS = (0, 1, 2)


def cut_registers(design: dict[str, Any], top: str, clock: str) -> dict[str, Any]:
    """A flat module of Yosys's JSON with ports in place of its registers, `q<n>` and `d<n>`."""
    module = design["modules"][top]
    (clock_bit,) = module["ports"].pop(clock)["bits"]
    cells: dict[str, Any] = {}
    number = 0
    for name, cell in module["cells"].items():
        if cell["type"] != "$dff":
            assert "CLK" not in cell["connections"], f"{name}: a {cell['type']}"
            cells[name] = cell
            continue
        pins = cell["connections"]
        assert pins["CLK"] == [clock_bit], f"{name}: another clock"
        module["ports"][f"q{number}"] = {"direction": "input", "bits": pins["Q"]}
        module["ports"][f"d{number}"] = {"direction": "output", "bits": pins["D"]}
        number += 1
    module["cells"] = cells
    return {"creator": "", "modules": {CUT: module}}


class Prover:
    """Proofs about the mutants of one tile, in `folder`."""

    def __init__(
        self,
        verilog: str,
        top: str,
        mutants: Sequence[Mutant],
        folder: Path,
        clock: str = "aclk",
        reset: str = "aresetn",
    ) -> None:
        """Damages of a clock have no proof: a register would not be one of the same clock."""
        self.folder, self.reset = folder, reset
        folder.mkdir(parents=True, exist_ok=True)
        self.clocks = {m.number for m in mutants if " -port clk " in m.options.lower()}
        (folder / "design.v").write_text(verilog)
        prepare = yosys.PREPARE.format(file="design.v", top=top)
        provable = [mutant for mutant in mutants if mutant.number not in self.clocks]
        yosys.run(
            f"{prepare}{netlist.apply(provable)}; flatten; dffunmap; opt_expr; opt_clean; "
            "write_json flat.json",
            folder,
        )
        made = cut_registers(json.loads((folder / "flat.json").read_text()), top, clock)
        (folder / "cut.json").write_text(json.dumps(made))
        # What a register starts with is none of it: its output is an input now.
        yosys.run(
            "read_json cut.json; setattr -unset init w:*; opt_expr; opt_clean; write_rtlil cut.il",
            folder,
        )
        ports = made["modules"][CUT]["ports"]
        self.inputs, self.outputs = (
            {n: len(p["bits"]) for n, p in ports.items() if p["direction"] == direction}
            for direction in ("input", "output")
        )
        del self.inputs[DAMAGE]

    def equivalent(self, mutant: Mutant) -> str | None:
        """How it is proven equivalent; None where it is not, for all that is known here."""
        if mutant.number in self.clocks:
            return None
        for steps in STEPS:
            try:
                if self._proven(mutant, steps, reset=False) and all(
                    self._proven(mutant, later, reset=True) for later in range(1, steps + 1)
                ):
                    after = f", in states that {steps} cycles lead to" if steps else ""
                    return f"no next state and no pin differs{after}"
            except TimeoutError:
                return None
        return None

    def _proven(self, mutant: Mutant, steps: int, reset: bool) -> bool:
        (self.folder / "miter.v").write_text(self.miter(mutant.number, steps, reset))
        said = yosys.run(
            "read_rtlil cut.il; read_verilog miter.v; hierarchy -top miter; flatten; "
            "opt_expr; opt_merge; opt_clean; sat -prove differs 0 -ignore_unknown_cells",
            self.folder,
            SECONDS,
        )
        found = re.search(r"SAT proof finished - (no model found: SUCCESS|model found: FAIL)", said)
        if found is None:
            raise yosys.YosysError(said[-yosys.LOG_TAIL :])
        return found[1].startswith("no")

    def miter(self, number: int, steps: int, reset: bool) -> str:
        """Two tiles in one state, `steps` cycles after any; with `reset`, it was under aresetn."""
        lines, heads = [], []
        state = {name: f"{name}_0" for name in self.inputs if re.fullmatch(r"q\d+", name)}
        for name in state:
            heads.append(f"input [{self.inputs[name] - 1}:0] {name}_0")
        pins = [name for name in self.inputs if name not in state]
        for cycle in range(steps + 1):
            for name in pins:
                heads.append(f"input [{self.inputs[name] - 1}:0] {name}_{cycle}")
            joined = {name: f"{name}_{cycle}" for name in pins} | state
            if reset and cycle == 0:
                joined[self.reset] = "1'b0"
            last = cycle == steps
            for role, damage in (("gold", 0), ("gate", number)) if last else (("gold", 0),):
                made = {name: f"{role}_{name}_{cycle}" for name in self.outputs}
                for name, wire in made.items():
                    lines.append(f"  wire [{self.outputs[name] - 1}:0] {wire};")
                all_pins = joined | made | {DAMAGE: f"{DAMAGE_BITS}'d{damage}"}
                connected = ", ".join(f".{name}({wire})" for name, wire in all_pins.items())
                lines.append(f"  {CUT} {role}_{cycle} ({connected});")
            state = {name: f"gold_d{name[1:]}_{cycle}" for name in state}
        gold, gate = (
            ", ".join(f"{role}_{name}_{steps}" for name in self.outputs)
            for role in ("gold", "gate")
        )
        lines.append(f"  assign differs = {{{gold}}} != {{{gate}}};")
        return (
            f"module miter({', '.join(heads)}, output differs);\n"
            + "\n".join(lines)
            + ("\nendmodule\n")
        )
