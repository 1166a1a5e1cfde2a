"""Tiles that misbehave at their pins: a shell around a tile's Verilog, with a damage to choose.

Each damage is one of a controller that is wrong, and what the bench must say of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from cocotb_tests.closed_loop.pins import RULES, Rule
from cocotb_tests.closed_loop.verilog import DAMAGE, DAMAGE_BITS
from rtl.top import module_name, top_ports
from spec.commands import Phase
from spec.tile import TileSpec


@dataclass(frozen=True)
class Damage:
    """`pin` shows `becomes` instead, an expression of the tile's own pins, `<pin>_was` included.

    `<pin>_was` is what the pin showed a cycle before, `age` the cycles since the request rose.
    """

    name: str
    pin: str
    becomes: str
    says: str
    """Part of what the bench says."""


def _in(phase: Phase) -> str:
    return f"(own_macro_phase == {phase.value})"


DAMAGES = (
    # what golden would have done otherwise
    Damage("swap", "macro_lower_swap", "~own_macro_lower_swap", "lower_swap of integrate"),
    Damage(
        "row swap", "macro_row_lower_swap", "own_macro_row_lower_swap ^ 2", "row_lower_swap of"
    ),
    Damage(
        "a pulse skipped", "macro_row_pulse",
        f"{_in(Phase.FORWARD)} ? own_macro_row_pulse & ~2 : own_macro_row_pulse",
        "durations of integrate_columns",
    ),
    Damage(
        "pulses a cycle short", "macro_row_pulse",
        f"{_in(Phase.FORWARD)} ? own_macro_row_pulse & {{ROWS{{age != 3}}}} & "
        "{ROWS{age < 4}} : own_macro_row_pulse",
        "durations of integrate_columns",
    ),
    Damage(
        "pulses a cycle long", "macro_column_pulse",
        f"{_in(Phase.BACKWARD)} ? own_macro_column_pulse | macro_column_pulse_was : "
        "own_macro_column_pulse",
        "durations of integrate_rows",
    ),
    Damage(
        "an UPDATE's slot lost", "macro_column_pulse",
        f"{_in(Phase.UPDATE)} && age == 5 ? 0 : own_macro_column_pulse", "column_words of update",
    ),
    Damage(
        "the wrong direction", "macro_column_sign",
        f"{_in(Phase.UPDATE)} ? ~own_macro_column_sign : own_macro_column_sign", "charge of update",
    ),
    Damage(
        "another pair", "macro_pair", "own_macro_pair == 2 ? 0 : own_macro_pair",
        "pair of integrate",
    ),
    Damage(
        "another row", "macro_row_select",
        f"{_in(Phase.PRECHARGE)} ? own_macro_row_select ^ 1 : own_macro_row_select",
        "row of precharge",
    ),
    Damage("another step", "macro_set_code", "own_macro_set_code ^ 1", "step_codes of set"),
    Damage("the other device", "macro_set_minus", "~own_macro_set_minus", "minus of set"),
    Damage(
        "a SET nobody asked for", "macro_phase",
        f"{_in(Phase.PRECHARGE)} ? {Phase.SET.value} : own_macro_phase", "event",
    ),
    Damage(
        "a column not worked", "macro_column_select", "own_macro_column_select & ~1", "active of"
    ),
    Damage("a code", "m_axis_tdata", "own_m_axis_tdata ^ 1", "code"),
    Damage("no interrupt", "irq", "1'b0", "no answer in time"),
    Damage("an error", "s_axil_rdata", "own_s_axil_rdata | 14", "COMMAND_ERROR"),
    # rules of the pins
    Damage(
        "a line at rest", "macro_row_pulse",
        "own_macro_row_pulse | (!own_macro_request && rested == 3)",
        RULES[Rule.DRIVEN_AT_REST],
    ),
    Damage(
        "a line before ready", "macro_row_pulse",
        f"own_macro_row_pulse | (own_macro_request && {_in(Phase.READ)} && age == 0)",
        RULES[Rule.DRIVEN_EARLY],
    ),
    Damage(
        "a line in a strobe", "macro_row_pulse",
        f"own_macro_row_pulse | (own_macro_request && {_in(Phase.RESET)} && age == 1)",
        RULES[Rule.DRIVEN_LATE],
    ),
    Damage(
        "a select that moves", "macro_row_select",
        f"own_macro_request && {_in(Phase.READ)} && age == 4 ? own_macro_row_select ^ 1 : "
        "own_macro_row_select",
        RULES[Rule.MOVED],
    ),
    Damage(
        "a pulse in two pieces", "macro_row_pulse",
        f"{_in(Phase.READ)} && age == 5 ? 0 : own_macro_row_pulse", RULES[Rule.NOT_ONE_PIECE],
    ),
    Damage(
        "a window cut", "macro_request",
        f"own_macro_request && !({_in(Phase.READ)} && age == 5)", RULES[Rule.CUT],
    ),
    Damage(
        "a step latched within a phase", "macro_set_write",
        f"own_macro_set_write || (own_macro_request && {_in(Phase.RESET)} && age == 1)",
        RULES[Rule.LATCHED],
    ),
    Damage(
        "integrators cleared", "macro_clear",
        f"own_macro_clear || (own_macro_request && {_in(Phase.READ)} && age == 4)",
        RULES[Rule.CLEARED],
    ),
    Damage(
        "the other side's line", "macro_column_pulse",
        f"own_macro_column_pulse | ({_in(Phase.READ)} && own_macro_row_pulse != 0)",
        RULES[Rule.WRONG_SIDE],
    ),
    Damage("no such phase", "macro_phase", "own_macro_phase == 4 ? 12 : own_macro_phase",
           RULES[Rule.NO_PHASE]),
    Damage(
        "a sign that moves", "macro_column_sign",
        f"own_macro_column_sign ^ (own_macro_request && {_in(Phase.UPDATE)} && age == 5)",
        RULES[Rule.SIGN_MOVED],
    ),
    Damage("no hold", "macro_convert_hold", "1'b0", RULES[Rule.REPEATED]),
    Damage(
        "a second row in a READ", "macro_row_pulse",
        f"own_macro_row_pulse | ({_in(Phase.READ)} && own_macro_row_pulse[1])", "READ selects row",
    ),
    Damage(
        "an event too many", "macro_phase",
        f"{_in(Phase.RESET)} ? {Phase.PRECHARGE.value} : own_macro_phase", "event",
    ),
)  # fmt: skip
"""Number n of the shell's input is the n-th of these, from 1."""


def shell(spec: TileSpec, verilog: str) -> str:
    """A tile's Verilog within a module of its name, with `DAMAGE` as an input more."""
    name = module_name(spec)
    ports = top_ports(spec)
    by_pin: dict[str, list[tuple[int, Damage]]] = {}
    for number, damage in enumerate(DAMAGES, 1):
        by_pin.setdefault(damage.pin, []).append((number, damage))
    lines = [f"module {name}({', '.join([*ports, DAMAGE])});"]
    lines += [f"  localparam ROWS = {spec.rows}; reg [31:0] age, rested;"]
    lines += [f"  input wire [{DAMAGE_BITS - 1}:0] {DAMAGE};"]
    joined = []
    for pin, (direction, width) in ports.items():
        wide = f"[{width - 1}:0] "
        if direction == "input":
            lines.append(f"  input wire {wide}{pin};")
            joined.append(f".{pin}({pin})")
            continue
        lines.append(f"  output wire {wide}{pin}; wire {wide}own_{pin}; reg {wide}{pin}_was;")
        lines.append(f"  always @(posedge aclk) {pin}_was <= own_{pin};")
        joined.append(f".{pin}(own_{pin})")
        chosen = f"own_{pin}"
        for number, damage in by_pin.get(pin, []):
            chosen = f"{DAMAGE} == {number} ? ({damage.becomes}) : ({chosen})"
        lines.append(f"  assign {pin} = {chosen};")
    lines += [
        "  always @(posedge aclk) age <= own_macro_request ? age + 1 : 0;",
        "  always @(posedge aclk) rested <= own_macro_request ? 0 : rested + 1;",
        f"  {name}_within tile({', '.join(joined)});",
        "endmodule",
    ]
    return verilog.replace(f"module {name}(", f"module {name}_within(") + "\n".join(lines) + "\n"
