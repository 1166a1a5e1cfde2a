"""What docs/theory-of-operation.md draws and counts is so."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from rtl.drive import pins_signature
from rtl.transfer import State
from spec import cycles
from spec.commands import Command, Error, Phase
from spec.ports import macro_table
from spec.presets import PRESETS, preset
from spec.tile import TileSpec
from tests.docs.waveforms import BLOCK, DOCUMENT, PINS_TABLE, diagrams

TEXT = DOCUMENT.read_text("utf-8")


def test_every_diagram_is_as_simulated() -> None:
    shown = {match[2]: match[3] for match in BLOCK.finditer(TEXT)}
    assert shown == diagrams(), "stale: python -m tests.docs.waveforms"


def test_the_pins_are_those_of_the_one_table() -> None:
    shown = [match[2] for match in PINS_TABLE.finditer(TEXT)]
    assert shown == ["\n".join(macro_table()) + "\n"], "stale: python -m tests.docs.waveforms"


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("## The macro's pins", [f"`{name}`" for name in pins_signature(preset("tiny")).members]),
        ("### Phases", [phase.name for phase in Phase]),
        ("### TRANSFER, LOAD and INIT", [state.name for state in State]),
    ],
)
def test_tables_are_complete(heading: str, names: list[str]) -> None:
    begin = TEXT.index(f"{heading}\n")
    section = TEXT[begin : TEXT.index("\n#", begin + 1)]
    missing = [name for name in names if f"\n| {name} |" not in section]
    assert not missing


def test_every_command_and_error_is_there() -> None:
    # These are answers of the bus: docs/registers.md.
    bus = {Error.NONE, Error.READ_ONLY, Error.UNMAPPED, Error.UNALIGNED}
    names = [code.name for code in (*Command, *Error) if code not in bus or code in Command]
    assert not [name for name in names if not re.search(rf"\b{name}\b", TEXT)]


A, T, K = 3, 2, 5


def stated(spec: TileSpec) -> dict[str, cycles.Cycles]:
    """What the rows of the table say, by the functions."""
    return {
        "FORWARD, one polarity live": cycles.forward(spec),
        "FORWARD, both": cycles.forward(spec, 2),
        "BACKWARD": cycles.backward(spec),
        "UPDATE, one polarity live": cycles.update(spec),
        "UPDATE, both": cycles.update(spec, 2),
        "UPDATE, one polarity, NEW_COLUMNS": cycles.update(spec, 1, 1),
        "READ": cycles.read(spec),
        "CALIBRATE": cycles.calibrate(spec),
        "IDLE of k cycles": cycles.idle(K),
        "PRECHARGE": cycles.precharge(),
        "PROGRAM": cycles.program(spec),
        "INIT of a row": cycles.init(spec, 1),
        "INIT of k rows": cycles.init(spec, K),
        "TRANSFER of a row, a > 0": cycles.transfer(spec, [(A, T)]),
        "TRANSFER of a row, a = 0": cycles.transfer(spec, [(0, T)]),
        "LOAD of a row, a > 0": cycles.load(spec, A, T),
    }


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("lanes", [1, 8])
def test_formulas(name: str, lanes: int) -> None:
    """The formulas of the table, read from the document."""
    spec = preset(name)
    spec = replace(spec, converters=replace(spec.converters, lanes=lanes))
    groups = (cycles.groups(spec, lines) for lines in (spec.columns, spec.rows))
    values = dict(zip(("Gc", "Gr"), groups, strict=True))
    values |= {
        "F": spec.row_code.high, "B": spec.column_code.high, "S": spec.update.slots,
        "R": 1 << (spec.codes.pwm_bits - 1), "C": spec.columns, "a": A, "t": T, "k": K,
        "n": 1 << spec.converters.read_average_log2,
        "z": 1 << spec.converters.calibration_log2,
    }  # fmt: skip

    def evaluated(formula: str) -> int:
        return eval(re.sub(r"(?<=[\w)]) (?=[\w(])", "*", formula), {}, values)

    (read,) = re.findall(r"^q = ([^=]*) is a READ", TEXT, re.MULTILINE)
    values["q"] = evaluated(read)
    section = TEXT[TEXT.index("## Cycles") : TEXT.index("A TRANSFER of several rows")]
    rows = dict(re.findall(r"^\| ([A-Z].*?) \| (.*?) \|$", section, re.MULTILINE))
    found = {command: evaluated(formula) for command, formula in rows.items()}
    assert found == {command: counts.total() for command, counts in stated(spec).items()}


def test_figures_of_the_paper() -> None:
    paper = preset("paper")
    network = [
        replace(paper, rows=rows, columns=columns)
        for rows, columns in ((529, 250), (251, 125), (126, 10))
    ]
    one, both = (cycles.example(network, polarities) for polarities in (1, 2))
    text = " ".join(TEXT.split())
    assert f"takes {one} cycles with one polarity live, and {both} with both" in text
    assert f"{100 * cycles.overhead_share(paper):.1f} % of their windows" in text
