"""docs/verification.md from the harnesses themselves: `python -m tests.formal.verification`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.hdl import Fragment

from tests.formal import (
    test_controller,
    test_drive,
    test_known,
    test_polarity,
    test_registers,
    test_transfer,
    test_update_stream,
    test_vector_input,
    test_vector_output,
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
  counterexample of that very property is found, by BMC of the depth given. Where none stands
  beside it, none has been tried for it alone.
- Seconds are of one run of all properties of the harness on one core of a small machine; they
  vary.

`make test` runs the short inductions, `make formal` everything, with a line a property.
"""


@dataclass(frozen=True)
class Section:
    """One harness. `method` says how, to which depth, in how many seconds."""

    title: str
    module: Any
    method: str
    rows: str

    def __str__(self) -> str:
        test = f"tests/formal/{self.module.__name__.rpartition('.')[2]}.py"
        return f"## {self.title}\n\n`{test}`. {self.method}\n\n{self.rows}\n"


def claimed(title: str, module: Any, proof_s: int, cover_s: int) -> Section:
    """A harness whose module has its CLAIMS and its depths."""
    method = (
        f"Induction {module.INDUCTION} ({proof_s} s); cover of {module.WITNESSES} cycles "
        f"({cover_s} s); damage by BMC of {module.DAMAGED} cycles."
    )
    claims: Sequence[Claim] = module.CLAIMS
    return Section(title, module, method, table(claims))


def named(harness: Any, damages: dict[str, str]) -> str:
    """A harness whose properties say what they are by their names; some have a damage."""
    Fragment.get(harness, None)
    rows = [f"| `{name}` | {damages.get(name, '')} |" for name in harness.names]
    return "\n".join(["| property | damage that it finds |", "|---|---|", *rows])


def sections() -> list[Section]:
    """Every harness, in the order of the document."""
    bank = {
        name: f"{module.__name__}: {code(old)} becomes {code(new)}"
        for name, module, old, new in test_registers.DAMAGES
    }
    transfer = {
        "next_row_is_expected": "a soft reset clears the journal",
        "bit_1_changes_by_flip_or_host": "a flip to another row's bit",
        "the_sign_of_read_and_trim_is_the_bit": "a bit read too late",
    }
    return [
        claimed("Drive: phases, line drivers, selects", test_drive, 4, 15),
        claimed("Update streams", test_update_stream, 30, 9),
        claimed("Polarity bank", test_polarity, 2, 2),
        claimed("Unknown state", test_known, 2, 2),
        claimed("Controller", test_controller, 4, 45),
        Section(
            "Transfer, journal and bank together", test_transfer,
            "Induction 6; cover of 48 cycles; damage by BMC of 16 cycles.",
            named(test_transfer.Transfers(), transfer),
        ),
        Section(
            "Registers behind AXI4-Lite", test_registers,
            f"Induction 2, and {test_registers.BOUND_CYCLES + 2} for what comes in time; cover of "
            "24 cycles; damage by BMC of 24 cycles.",
            named(test_registers.Registers(), bank),
        ),
        Section(
            "Vector input: good packets", test_vector_input,
            "BMC 14; cover of 18 cycles.",
            named(test_vector_input.GoodRows(),
                  {"its_codes": "a buffer takes a beat that it has no room for"}),
        ),
        Section(
            "Vector input: any packets", test_vector_input, "BMC 13; cover of 16 cycles.",
            named(test_vector_input.AnyPackets(), {}),
        ),
        Section(
            "Vector output: rules", test_vector_output, "BMC 12; cover of 16 cycles.",
            named(test_vector_output.Rules(), {}),
        ),
        Section(
            "Vector output: codes", test_vector_output, "BMC 11; cover of 16 cycles.",
            named(test_vector_output.Codes(), {}),
        ),
    ]  # fmt: skip


def document() -> str:
    """The whole text."""
    return "\n".join([HEAD, *map(str, sections())])


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
