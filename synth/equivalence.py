"""Whether a netlist of cells does what Yosys had before mapping: each flip-flop and each output.

Both sides start in any state in which flip-flops of one name agree; each then has to get the same
next value from the same inputs. A proof over all inputs and states, with no test in it.

A flip-flop becomes an input, its value, and two outputs, its next value and its clock. What is left
has no state: abc sweeps both sides as one circuit from its inputs on, merging what it proves equal,
and a point is proven if its comparison has become constant. A flip-flop that one side alone has may
have any value.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spec.errors import InputError
from synth import yosys

LOG, SWEPT = "equivalence.log", "equivalence.json"
SIDES = ("gold.", "gate.")

# Hidden: names that mapping made. Of a flip-flop's names the netlist has one; the other side keeps
# all, as it cannot tell which. The cells' models come from the library that timed them.
# What is undefined before mapping is taken as 0, a choice that mapping has; what nothing drives in
# the netlist may be anything. Flip-flops with asynchronous resets are refused: `expose` takes every
# reset value for 0.
SCRIPT = """\
read_rtlil {generic}
splitnets -ports
setundef -zero -undriven
dffunmap
simplemap
rename {top} gold
design -stash gold
read_liberty -ignore_miss_func {library}
read_verilog {netlist}
hierarchy -top {top}
rename -hide {top}/c:* {top}/w:_*_
flatten
splitnets -ports
opt_clean -purge
setundef -anyseq -undriven
rename {top} gate
design -copy-from gold gold
select -assert-none gold/t:$_DFF_???_ gate/t:$_DFF_???_
expose -shared -dff -evert-dff -sep | gold gate
miter -equiv -flatten -make_outcmp gold gate miter
hierarchy -top miter
simplemap
abc -script +strash;&get,-n;&fraig,-x;&put
opt_clean -purge
write_json {swept}
"""


@dataclass(frozen=True)
class Verdict:
    """Points at which both were compared, and those of them that are not proven equal."""

    points: int
    unproven: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether all are proven, and there are any."""
        return bool(self.points) and not self.unproven

    def json(self) -> dict[str, Any]:
        """For result.json."""
        return {"equal": self.equal, "points": self.points, "unproven": list(self.unproven)}


def compare(generic: str, netlist: str, top: str, library: Path, folder: Path) -> Verdict:
    """Of RTLIL and a netlist in a folder, which gets LOG.

    Raises InputError if they cannot be compared, as with other ports.
    """
    if not (folder / library.name).exists():
        shutil.copyfile(library, folder / library.name)
    swept = folder / SWEPT
    swept.unlink(missing_ok=True)
    script = SCRIPT.format(
        generic=generic, netlist=netlist, top=top, library=library.name, swept=SWEPT
    )
    yosys.run("; ".join(script.splitlines()), folder, LOG)
    if not swept.exists():
        raise InputError(f"synth: {yosys.YOSYS} compared nothing; see {LOG}")
    return judge(json.loads(swept.read_text())["modules"]["miter"])


def judge(miter: dict[str, Any]) -> Verdict:
    """Of the comparisons as the sweep left them, in Yosys's JSON."""
    proven: dict[str, bool] = {}
    for port, of in miter["ports"].items():
        if port.startswith("cmp_"):
            point = port.removeprefix("cmp_").partition("|")[0]
            proven[point] = proven.get(point, True) and of["bits"] == ["1"]
    unproven = [point for point, equal in proven.items() if not equal]
    return Verdict(len(proven), (*unproven, *_unpaired(miter)))


def _unpaired(miter: dict[str, Any]) -> list[str]:
    """Flip-flops of one side alone that unproven points depend on: `gold.NAME` or `gate.NAME`."""
    held = {bit for cell in miter["cells"].values() for bit in cell["connections"].get("Q", ())}
    return [
        name
        for name, net in miter["netnames"].items()
        if name.startswith(SIDES) and held.intersection(net["bits"])
    ]
