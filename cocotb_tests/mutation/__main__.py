"""`python -m cocotb_tests.mutation [draw|report]`: run what is left of the mutants.

Everything goes to build/mutate, where a run that was ended goes on; at the end there are
result.json and docs/mutation.md. A mutant that was killed there is not run again; one that was not
is, where there are new cases. `WORKERS` simulators run at a time. `draw` draws the mutants anew;
`report` writes what is known so far.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cocotb_tests.mutation import campaign, design, draw, report

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Exit code 0 where the bar is reached."""
    if sys.argv[1:] == ["draw"]:
        drawn = draw.draw(design.verilog(), design.top())
        draw.save(drawn)
        print(f"{draw.FILE.name}: {len(drawn['mutants'])} mutants")
        return 0
    folder = ROOT / "build" / "mutate"
    if sys.argv[1:] not in ([], ["report"]):
        print(__doc__, file=sys.stderr)
        return 2
    if not sys.argv[1:]:
        campaign.Campaign(folder, int(os.environ.get("WORKERS", "2"))).run()
    result = report.write(campaign.read(folder), ROOT)
    print(report.table(result))
    return 0 if result["killed_percent"] >= report.BAR_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
