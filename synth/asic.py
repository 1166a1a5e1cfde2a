"""A tile in standard cells: OSU's library for 0.18 um, by Yosys, abc and OpenSTA.

No floorplan, no wires, no clock tree: what is counted is cells, and what is timed is cells with the
pins that they drive as their load.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spec.errors import InputError
from synth import asic_report, equivalence, liberty, opensta, power, yosys
from synth.asic_report import BLOCKS
from synth.netlist import Netlist
from synth.process import Took
from synth.yosys import YOSYS

GENERIC, NETLIST = "generic.il", "netlist.v"
GRAPH, STAT = "netlist.json", "cells.json"
LOG, BLOCKS_LOG, SCRIPT, CONSTRAINTS = "yosys.log", "blocks-yosys.log", "map.abc", "abc.constr"
LIBRARY_PACKAGE = "qflow-tech-osu018"
LIBRARY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
CELLS = LIBRARY.with_suffix(".v")
"""Where that package puts them."""
MAX_FANOUT = 16
"""Pins of a net [chosen]: what keeps a net of this library below 0.4 pF, as `fanout` tells."""
ABC_NS = 1.0
"""[chosen] What of a period abc leaves to the flip-flops and to what it does not see."""

# The two rounds of `if -g` rebalance the logic for depth: without them the paths are half as long
# again, for 5 % less area. abc sees the flip-flops' outputs as inputs, so -p buffers them too.
MAP = """\
strash
&get -n
&fraig -x
&put
scorr
dc2
if -g -K 6 -C 8
strash
dch
if -g -K 6
strash
dch -f
map -B 0.9 -D {target_ps}
topo
buffer -c -p -N {fanout}
topo
upsize -D {target_ps}
dnsize -D {target_ps}
stime -p
"""
# abc reads no flip-flops: an inverter stands for what drives its inputs.
CONSTR = f"set_driving_cell INVX1\nset_load {opensta.PORT_LOAD_pF} [all_outputs]\n"

FLAT = """\
read_liberty -lib {library}
read_verilog {top}.v
synth -nofsm -noabc -flatten -top {top}
opt_clean -purge
rename -enumerate -pattern unnamed_% t:$_*DFF* %co1:+[Q] w:* %i
write_rtlil {generic}
dfflibmap -liberty {library}
abc -liberty {library} -constr {constr} -script {script}
setundef -zero
opt_clean -purge
splitnets
opt_clean -purge
rename -enumerate -pattern _%_
tee -q -o {stat} stat -liberty {library} -json
write_verilog -noattr -noexpr -simple-lhs {netlist}
write_json {graph}
"""
"""Single nets, as OpenSTA reads no concatenation on the left, and names that all files share.

GENERIC is gates of no library, with a name for each flip-flop's output: the netlist is mapped from
it, and compared with it. States keep the encoding that the Verilog has.
"""

KEPT = """\
read_liberty -lib {library}
read_verilog {top}.v
synth -nofsm -top {top}
dfflibmap -liberty {library}
abc -liberty {library}
opt_clean -purge
tee -q -o {blocks} stat -liberty {library} -json -top {top}
"""


@dataclass(frozen=True)
class Target:
    """A library of cells and a clock."""

    library: Path
    cells: Path
    """The vendor's models for a simulator."""
    package: str
    """Debian's package of the library."""
    mark_mhz: int
    packages: tuple[str, ...] = (YOSYS,)

    @property
    def period_ns(self) -> float:
        """Of the clock asked for."""
        return 1000 / self.mark_mhz

    @property
    def measures(self) -> dict[str, str]:
        """What `area` counts: key -> name. The area itself comes first."""
        return {"area": "um^2", "cells": "cells", "ffs": "flip-flops"}

    def check_tools(self) -> None:
        """Raise InputError if a tool or the library is not installed."""
        yosys.check_wheel(YOSYS)
        if shutil.which(opensta.PROGRAM) is None:
            raise InputError(
                f"synth: OpenSTA is not installed; run apt-get install {opensta.PACKAGE}"
            )
        if not self.library.exists():
            raise InputError(
                f"synth: {self.library.name} is not installed; run apt-get install {self.package}"
            )

    def area(
        self, top: str, folder: Path, step: Callable[[str], AbstractContextManager[Any]]
    ) -> dict[str, Any]:
        """From TOP.v to NETLIST, and what it is made of. Raises InputError."""
        with step("synthesis"):
            synthesis = self.synthesize(top, folder)
        with step("area of the blocks"):
            again = yosys.run(self._script(KEPT, top), folder, BLOCKS_LOG)
        library = liberty.read(self.library)
        netlist = Netlist.read(folder / GRAPH, top, library)
        flat = json.loads((folder / STAT).read_text())["design"]
        kept = json.loads((folder / BLOCKS).read_text())
        return {
            "cells": len(netlist.cells),
            "luts": None,
            "ffs": sum(library.cells[cell.kind].sequential for cell in netlist.cells.values()),
            "area": round(flat["area"], 1),
            "area_unit": "um2",
            "too_few": None,
            "fanout": asic_report.heaviest(netlist, library),
            "netlist": NETLIST,
            "blocks": asic_report.blocks(kept, top),
            "took": {
                "synthesis": dataclasses.asdict(synthesis),
                "blocks": dataclasses.asdict(again.took),
            },
        }

    def timing(
        self, top: str, folder: Path, step: Callable[[str], AbstractContextManager[Any]]
    ) -> dict[str, Any]:
        """From NETLIST to its timing. Raises InputError."""
        with step("timing"):
            timing, took = opensta.timing(folder, top, NETLIST, self.library, self.period_ns)
        netlist = Netlist.read(folder / GRAPH, top, liberty.read(self.library))
        return {
            "fmax_mhz": round(1000 / (self.period_ns - timing.slack_ns), 2),
            "slack_ns": timing.slack_ns,
            "critical_path": asic_report.critical_path(timing, netlist),
            "constraints": opensta.constraints(self.period_ns),
            "took": {"timing": dataclasses.asdict(took)},
        }

    measures_power = True

    def power(self, top: str, folder: Path, activity: dict[str, float]) -> dict[str, Any]:
        """In mW at the clock asked for, from toggles a cycle of each net of NETLIST."""
        netlist = Netlist.read(folder / GRAPH, top, liberty.read(self.library))
        slews = power.read_slews(folder / opensta.SLEWS)
        return power.power(netlist, slews, activity, self.mark_mhz)

    proves = True

    def prove(self, top: str, folder: Path) -> dict[str, Any]:
        """Whether NETLIST is GENERIC, TOP.v before mapping. Raises InputError as `compare` does."""
        return equivalence.compare(GENERIC, NETLIST, top, self.library, folder).json()

    def synthesize(self, top: str, folder: Path) -> Took:
        """From TOP.v to GENERIC, NETLIST, flattened, GRAPH and STAT. Raises InputError."""
        target_ps = round(1000 * (self.period_ns - ABC_NS))
        (folder / SCRIPT).write_text(MAP.format(target_ps=target_ps, fanout=MAX_FANOUT))
        (folder / CONSTRAINTS).write_text(CONSTR)
        # Yosys in its sandbox sees files below the working folder only.
        shutil.copyfile(self.library, folder / self.library.name)
        return yosys.run(self._script(FLAT, top), folder, LOG).took

    def _script(self, text: str, top: str) -> str:
        names = {
            "top": top, "library": self.library.name, "constr": CONSTRAINTS, "script": SCRIPT,
            "generic": GENERIC, "stat": STAT, "blocks": BLOCKS, "netlist": NETLIST, "graph": GRAPH,
        }  # fmt: skip
        return "; ".join(text.format(**names).splitlines())

    def versions(self) -> dict[str, str]:
        """Of tools that are no Python packages."""
        return {
            opensta.PACKAGE: opensta.version(),
            f"{self.library.name} sha256": liberty.digest(self.library),
        }

    def row(self, found: dict[str, Any]) -> dict[str, str]:
        """The figures in a line, by the names of their columns."""
        return {
            "cells": f"{found['cells']:,}",
            "flip-flops": f"{found['ffs']:,}",
            "um^2": f"{found['area']:,.0f}",
            "slack": f"{found['slack_ns']:.2f} ns",
        }

    def block_row(self, block: dict[str, Any]) -> dict[str, str]:
        """Those of a block, in the same columns."""
        return {"flip-flops": f"{block['ffs']:,}", "um^2": f"{block['area']:,.0f}"}

    def page(self, found: dict[str, Any]) -> str:
        """The page, in Markdown."""
        return asic_report.page(found)


TARGETS = {"osu018": Target(LIBRARY, CELLS, LIBRARY_PACKAGE, 200)}
