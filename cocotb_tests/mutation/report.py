"""What came of the mutants: result.json, a table, docs/mutation.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cocotb_tests.mutation import draw, long_waits
from cocotb_tests.mutation.design import LAYERS, top

BAR_PERCENT = 95.0
COLUMNS = ("mutants", "loop", "scripts", "waits", "equivalent", "alive")
DOCUMENT = Path("docs") / "mutation.md"


Stages = dict[str, dict[int, dict[str, Any]]]
"""What `campaign.read` gives."""


def result(stages: Stages) -> dict[str, Any]:
    """The content of result.json; a mutant that no stage has ended counts as alive."""
    _, mutants = draw.load()
    rows = []
    for mutant in mutants:
        lines = {stage: found.get(mutant.number) for stage, found in stages.items()}
        ended = {stage: line and line["killed"] for stage, line in lines.items()}
        scripts = ended["scripts"] or ended["seeds"]
        verdicts = {
            "loop": ended["loop"], "scripts": scripts, "waits": ended["waits"],
            "equivalent": ended["proofs"],
        }  # fmt: skip
        verdict, how = next(((v, how) for v, how in verdicts.items() if how), ("alive", None))
        rows.append({
            "number": mutant.number, "block": mutant.block, "place": mutant.place,
            "verdict": verdict, "how": how,
            "finished": verdict != "alive" or all(line is not None for line in lines.values()),
        })  # fmt: skip
    blocks = {
        block: {
            name: sum(row["block"] == block and name in ("mutants", row["verdict"]) for row in rows)
            for name in COLUMNS
        }
        for block in sorted({row["block"] for row in rows})
    }
    total = {name: sum(block[name] for block in blocks.values()) for name in COLUMNS}
    killed = total["loop"] + total["scripts"] + total["waits"]
    unproven = total["mutants"] - total["equivalent"]
    return {
        "mutants": total["mutants"], "killed": killed, "equivalent": total["equivalent"],
        "alive": total["alive"], "killed_percent": 100 * killed / unproven, "blocks": blocks,
        "unfinished": sum(not row["finished"] for row in rows), "total": total,
        "verilog_sha256": draw.load()[0], "each": rows,
    }  # fmt: skip


def table(found: dict[str, Any]) -> str:
    """A line a block, in Markdown."""
    lines = ["| block | " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * len(COLUMNS)]
    for block, counts in [*found["blocks"].items(), ("all", found["total"])]:
        name = block.removeprefix(top()).lstrip("_") or "(ports)"
        lines.append(f"| {name} | " + " | ".join(str(counts[c]) for c in COLUMNS) + " |")
    return "\n".join(lines)


def write(stages: Stages, root: Path) -> dict[str, Any]:
    """Write both files; returns the result."""
    found = result(stages)
    path = root / "build" / "mutate" / "result.json"
    path.with_suffix(".new").write_text(json.dumps(found, indent=2) + "\n")
    (root / DOCUMENT).write_text(document(found))
    path.with_suffix(".new").replace(path)
    return found


def document(found: dict[str, Any]) -> str:
    """docs/mutation.md."""
    alive = [row for row in found["each"] if row["verdict"] == "alive"]
    equivalent = [row for row in found["each"] if row["verdict"] == "equivalent"]
    blank = "\n\n"
    left = LEFT.format(**found) if found["unfinished"] else ""
    return HEAD.format(
        **found, unproven=found["mutants"] - found["equivalent"],
        network="-".join(map(str, LAYERS)), table=table(found), left=left,
        long_cycles=long_waits.LONG_CYCLES,
    ) + blank.join((
        "## Alive", "\n".join(map(_line, alive)) or "None.",
        "## Proven equivalent", "\n".join(map(_line, equivalent)) or "None.",
    )) + "\n"  # fmt: skip


def _line(row: dict[str, Any]) -> str:
    block = row["block"].removeprefix(top()).lstrip("_")
    return f"- {row['number']}, {block}: `{row['place']}`"


LEFT = """ The run was not complete: of those that count as alive, {unfinished} have not been
through every case yet, so the figure is a lower bound."""
HEAD = """\
# Mutation testing

`make mutate` writes this page. The Verilog of a small tile is damaged in {mutants} places, drawn by
a fixed seed from the cells of every block in proportion, before any test was tuned
(`cocotb_tests/mutation/mutants.json`), and anew by the same seed where the Verilog changes. Yosys
puts all of them in one netlist, where an input chooses one. Each is a bit of a cell's port that is
inverted, stuck at 0 or 1, or inverted where another bit of the port is 0 or 1.

- *loop*: a {network} network is trained through two such tiles for a few examples, with
  transfers to both polarities, in lockstep with golden. The meter at the pins is outside of the
  damaged module: it rejects a drive outside its phase, and every event must be golden's, so a
  precharge, SET or RESET that nobody asked for is one too.
- *scripts*: what the loop lets live goes through the scripts and accesses of the equivalence suite
  (`tests/equivalence/tile_cases.py`, `bus_cases.py`, `cocotb_tests/directed`) over AXI with random
  stalls.
- *waits*: what is left, and is not proven equivalent, waits for {long_cycles:,} cycles, in every
  way there is to wait (`cocotb_tests/mutation/long_waits.py`).
- *equivalent*: proven so: in no state and with no input does a pin or the next state differ.
- *alive*: all others.

**{killed_percent:.1f} % of the mutants that are not proven equivalent are killed**: {killed} of
{unproven}.{left}

{table}

"""
