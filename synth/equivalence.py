"""Whether a netlist of cells does what the Verilog says: every flip-flop and output, by induction.

Both sides start in any state in which the flip-flops of one name agree; each then has to get the
same next value from the same inputs. A proof over all inputs and states, with no test in it.

The Verilog is taken as Yosys has it before mapping: flip-flops that are always equal are one there,
as in the netlist. Between them a proof would need that they are equal, which no name says.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spec.errors import InputError
from synth import yosys

LOG = "equivalence.log"
SIMPLE_CYCLES, INDUCTION_CYCLES = 2, 4
"""Of history that a proof may lean on. Most points need one; merged or moved flip-flops more."""

GENERIC = """\
synth -nofsm -noabc -flatten -top {top}
opt_clean -purge
rename -enumerate -pattern unnamed_% t:$_*DFF* %co1:+[Q] w:* %i"""
"""From Verilog to gates of no library, one name a net, and one for each flip-flop's output.

The netlist is mapped from it, and compared with it: names are what the two have in common, and
equiv_make takes no notice of a net that has a second name.
"""

# Hidden: names that mapping made, which a buffer, being a wire, would put in place of the design's.
# The netlist has single bits of everything; the cells' models come from the library that timed it.
SCRIPT = """\
read_verilog {verilog}
{generic}
splitnets -ports
opt_clean -purge
rename {top} gold
design -stash gold
read_liberty -ignore_miss_func {library}
read_verilog {netlist}
rename -hide {top}/c:* {top}/w:_*_
prep -flatten -top {top}
splitnets -ports
opt_clean -purge
rename {top} gate
design -stash gate
design -copy-from gold gold
design -copy-from gate gate
equiv_make gold gate equiv
hierarchy -top equiv
equiv_struct
equiv_simple -seq {simple}
equiv_induct -seq {induction}
equiv_status
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


def compare(verilog: str, netlist: str, top: str, library: Path, folder: Path) -> Verdict:
    """Of two files in a folder, which gets LOG. Raises InputError if they cannot be compared."""
    if not (folder / library.name).exists():
        shutil.copyfile(library, folder / library.name)
    script = SCRIPT.format(
        generic=GENERIC.format(top=top), verilog=verilog, netlist=netlist, top=top,
        library=library.name, simple=SIMPLE_CYCLES, induction=INDUCTION_CYCLES,
    )  # fmt: skip
    return parse(yosys.run("; ".join(script.splitlines()), folder, LOG).log)


def parse(log: str) -> Verdict:
    """What equiv_status says last. Raises InputError if it says nothing."""
    found = re.findall(r"^Found (\d+) \$equiv cells in equiv:", log, re.MULTILINE)
    if not found:
        raise InputError(f"synth: {yosys.YOSYS} compared nothing; see {LOG}")
    status = log[log.rindex(f"Found {found[-1]} $equiv cells") :]
    unproven = re.findall(r"^ *Unproven \$equiv \S+: (\S+) ", status, re.MULTILINE)
    return Verdict(
        int(found[-1]), tuple(name.removeprefix("\\").removesuffix("_gold") for name in unproven)
    )
