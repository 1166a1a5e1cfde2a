"""docs/verification.md from the harnesses themselves: `python -m tests.formal.verification`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from amaranth.hdl import Fragment

from tests.formal import (
    promises,
    test_chopper,
    test_controller,
    test_drive,
    test_known,
    test_polarity,
    test_program,
    test_registers,
    test_skew,
    test_tile,
    test_transfer,
    test_transfer_time,
    test_update_stream,
    test_vector_input,
    test_vector_output,
    times,
)
from tests.formal.claims import Claim, code, table

DOCUMENT = Path(__file__).parents[2] / "docs/verification.md"

HEAD = """# Verification

Made from `tests/formal` by `make docs`; change that, not this.

Two kinds of evidence stand beside one another. Each block equals its twin in `golden/digital` over
random cases (`tests/equivalence`). And what must hold in *every* run is proven here, on tiles so
small that a solver can go through all of them: every value of every input in every cycle, but for
the assumptions that the head of each test states.

- *Induction k*: proven for runs of any length. *BMC n*: for all runs of n cycles from reset, long
  enough for a whole operation. Beside each stands a *cover*: runs in which the operations do
  happen, so that no proof is vacuous.
- A property that can't fail proves nothing. With the damage beside it in the design a
  counterexample of that very property is found, by BMC of the depth given; each is tried alone.
- Seconds are of the last `make formal`, on two cores that did other work too: of all properties of
  the harness together, of all covers, and of all damages one after the other. They compare with
  one another, not with another machine's.

`make test` runs the short inductions, `make formal` everything, with a line a property; `make docs`
after it takes its times over.
"""


ASKED = """## What is asked, and what says it

Harnesses by their classes: """

PRODUCT = {"induction": "Induction", "bmc": "BMC"}


@dataclass(frozen=True)
class Section:
    """One harness: `proofs` are (method, depth, of which properties alone, if not of all)."""

    title: str
    module: Any
    harness: type
    proofs: Sequence[tuple[str, int, Sequence[str]]]
    witnesses: int
    damaged: int
    rows: str
    count: int = field(default=0)
    transfers: Sequence[tuple[str, int]] = ()
    """Harnesses, and their depths, of covers of whole transfers, where it has none of its own."""

    def keys(self) -> list[str]:
        """What tests/formal/times.py knows its runs by."""
        return [*self.proof_keys, *self.cover_keys, self.damage_key]

    @property
    def proof_keys(self) -> list[str]:
        name = self.harness.__name__
        return [times.key(name, method, depth, only) for method, depth, only in self.proofs]

    @property
    def covers(self) -> list[tuple[str, int]]:
        """Harnesses and depths."""
        return [(self.harness.__name__, self.witnesses), *self.transfers]

    @property
    def cover_keys(self) -> list[str]:
        return [times.key(name, "cover", depth) for name, depth in self.covers]

    @property
    def damage_key(self) -> str:
        return times.key(self.harness.__name__, "damage", self.damaged)

    def cells(self, took: times.Times) -> list[str]:
        """How it is proven, covered and damaged, each with its seconds."""
        proofs, covers = [], []
        for (method, depth, only), name in zip(self.proofs, self.proof_keys, strict=True):
            of = f" of {', '.join(f'`{one}`' for one in only)}" if only else ""
            proofs.append(f"{PRODUCT[method]} {depth}{of}, {seconds(took, name)}")
        for place, ((_, depth), name) in enumerate(zip(self.covers, self.cover_keys, strict=True)):
            of = "whole transfers within " if place else ""
            covers.append(f"{of}{depth} cycles, {seconds(took, name)}")
        tried = took.get(self.damage_key, [0, 0])[0]
        return [
            "; ".join(proofs),
            "; ".join(covers),
            f"{tried} by BMC {self.damaged}, {seconds(took, self.damage_key)}",
        ]

    def text(self, took: times.Times) -> str:
        """Its part of the document."""
        test = f"tests/formal/{self.module.__name__.rpartition('.')[2]}.py"
        proof, cover, damage = self.cells(took)
        method = f"{proof}. Cover: {cover}. Damage found: {damage}."
        return f"## {self.title}\n\n`{test}`. {method}\n\n{self.rows}\n"


def seconds(took: times.Times, name: str) -> str:
    """The time of a run, if it was measured."""
    return f"{took[name][1]} s" if name in took else "not measured"


def claimed(
    title: str, module: Any, harness: type, claims: Sequence[Claim] | None = None
) -> Section:
    """A harness whose module has its CLAIMS and its depths."""
    claims = module.CLAIMS if claims is None else claims
    assert claims is not None
    proofs = [("induction", module.INDUCTION, ())]
    return Section(
        title, module, harness, proofs, module.WITNESSES, module.DAMAGED, table(claims),
        len(module.CLAIMS),
    )  # fmt: skip


def named(harness: Any, damages: dict[str, str]) -> str:
    """A harness whose properties say what they are by their names."""
    Fragment.get(harness, None)
    rows = [f"| `{name}` | {damages[name]} |" for name in harness.names]
    return "\n".join(["| property | damage that it finds |", "|---|---|", *rows])


def sections() -> list[Section]:
    """Every harness, in the order of the document."""
    bank = {
        name: f"{module.__name__}: {code(old)} becomes {code(new)}"
        for name, module, old, new in test_registers.DAMAGES
    }
    packets, results, bound = test_vector_input, test_vector_output, test_registers.BOUND_CYCLES
    streams = test_update_stream
    return [
        replace(
            claimed("The whole tile", test_tile, test_tile.Joined),
            transfers=[(test_tile.WholeTransfer.__name__, test_tile.TRANSFER)],
        ),
        claimed("Transfer, journal and bank together", test_transfer, test_transfer.Transfers),
        claimed("The sequencer's time", test_transfer_time, test_transfer_time.Bounded),
        Section(
            "Program-and-verify", test_program, test_program.Programs,
            [("bmc", test_program.BOUNDED, ())], test_program.WITNESSES, test_program.DAMAGED,
            table(test_program.CLAIMS), len(test_program.CLAIMS),
        ),
        claimed("Drive: phases, line drivers, selects", test_drive, test_drive.Drives),
        claimed("Update streams: low_discrepancy", streams, streams.Streams),
        claimed(
            "Update streams: stochastic", streams,
            streams.StochasticStreams, streams.STOCHASTIC_CLAIMS,
        ),
        claimed("Row skew", test_skew, test_skew.Ring),
        claimed("Chopper", test_chopper, test_chopper.Draws),
        claimed("Polarity bank", test_polarity, test_polarity.Bank),
        claimed("Unknown state", test_known, test_known.State),
        claimed("Controller", test_controller, test_controller.Commands),
        Section(
            "Registers behind AXI4-Lite", test_registers, test_registers.Registers,
            [("induction", test_registers.INDUCTION, ()), ("induction", bound + 2, ())],
            test_registers.WITNESSES, test_registers.DAMAGED,
            named(test_registers.Registers(), bank), len(bank),
        ),
        Section(
            "Vector input: good packets", packets, packets.GoodRows,
            [("bmc", packets.GOOD_ROWS_DEPTH, ())], packets.GOOD_ROWS_WITNESSES,
            packets.GOOD_ROWS_DEPTH, table(packets.GOOD_ROWS), len(packets.GOOD_ROWS),
        ),
        Section(
            "Vector input: any packets", packets, packets.AnyPackets,
            [("bmc", packets.ANY_PACKETS_DEPTH, ())], packets.ANY_PACKETS_WITNESSES,
            packets.ANY_PACKETS_DEPTH, table(packets.ANY_PACKETS), len(packets.ANY_PACKETS),
        ),
        Section(
            "Vector output: rules", results, results.Rules,
            [("bmc", results.RULES_DEPTH, ()),
             ("induction", results.STAYS_INDUCTION, results.STAYS)],
            results.RULES_WITNESSES, results.RULES_DEPTH, table(results.RULES), len(results.RULES),
        ),
        Section(
            "Vector output: codes", results, results.Codes,
            [("bmc", results.CODES_DEPTH, ())], results.CODES_WITNESSES, results.CODES_DEPTH,
            table(results.CODES), len(results.CODES),
        ),
    ]  # fmt: skip


def overview(found: Sequence[Section], took: times.Times) -> str:
    """A line a harness."""
    lines = [
        "| harness | properties | proof | cover | damages found |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for one in found:
        title = one.title.partition(" (")[0]
        lines.append(f"| {title} | {one.count} | {' | '.join(one.cells(took))} |")
    return "\n".join(lines) + "\n"


def document() -> str:
    """The whole text, with the times that are kept."""
    found, took = sections(), times.read()
    names = {one.title.partition(" (")[0]: one.harness.__name__ for one in found}
    known = ", ".join(f"`{name}` {title}" for title, name in names.items())
    head = [HEAD, overview(found, took), f"{ASKED}{known}.\n", promises.table()]
    return "\n".join([*head, *(one.text(took) for one in found)])


if __name__ == "__main__":
    times.take_over(name for one in sections() for name in one.keys())
    DOCUMENT.write_text(document(), encoding="utf-8")
