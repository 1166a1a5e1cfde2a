"""Texts made from the table of registers: SystemRDL for other people's tools, Markdown to read."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from spec.commands import Command, Error
from spec.ports import port_table
from spec.registers import (
    ADDRESS_BITS,
    WORD_BITS,
    Access,
    Field,
    Register,
    registers,
    windows,
)
from spec.tile import TileSpec

DETAILS = {
    Access.CONSTANT: "read-only; fixed when the tile was built",
    Access.STATUS: "read-only; what the tile says",
    Access.CONFIGURATION: "read and write",
    Access.OWNED: "state of the tile; written only while idle",
    Access.COUNT: "counted by the tile; written only while idle",
    Access.PENDING: "set by the tile; a 1 written clears it",
    Access.ANSWER: "set by the tile at each answer",
    Access.STICKY: "the first error since any write to the register",
    Access.BUS: "the first error since any write to the register",
    Access.COMMAND: "write-only, reads as 0",
    Access.TRIGGER: "write-only, reads as 0; a 1 written acts once",
    Access.WINDOW: "read and write, only while idle",
}

RDL_ACCESS = {
    Access.CONSTANT: ("sw = r", "hw = na"),
    Access.STATUS: ("sw = r", "hw = w"),
    Access.CONFIGURATION: ("sw = rw", "hw = r"),
    Access.OWNED: ("sw = rw", "hw = rw"),
    Access.COUNT: ("sw = rw", "hw = rw"),
    Access.PENDING: ("sw = rw", "hw = w", "onwrite = woclr"),
    Access.ANSWER: ("sw = r", "hw = w"),
    Access.STICKY: ("sw = rw", "hw = w", "onwrite = wclr"),
    Access.BUS: ("sw = rw", "hw = w", "onwrite = wclr"),
    Access.COMMAND: ("sw = w", "hw = r"),
    Access.TRIGGER: ("sw = w", "hw = r"),
    Access.WINDOW: ("sw = rw", "hw = rw"),
}

NO_RESET = (Access.STATUS, Access.WINDOW)
"""These show what lies elsewhere and may be anything."""


def system_rdl(spec: TileSpec, name: str) -> str:
    """The map in SystemRDL 2.0, as an address map called `name`."""
    table = registers(spec)
    kinds = {field.values for register in table for field in register.fields if field.values}
    lines = [f"// Registers of a tile of {spec.rows} rows by {spec.columns} columns."]
    for kind in sorted(kinds, key=lambda kind: kind.__name__):
        lines += ["", f"enum {kind.__name__} {{"]
        lines += [f"    {member.name} = {member.value};" for member in kind]
        lines += ["};"]
    lines += ["", f"addrmap {name} {{", f'    desc = "A tile of {spec.rows} by {spec.columns}.";']
    lines += [f"    default regwidth = {WORD_BITS};", f"    default accesswidth = {WORD_BITS};"]
    lines += ["    addressing = regalign;", "    littleendian;", "    lsb0;"]
    for register in table:
        lines += ["", "    reg {", f"        desc = {_quoted(register.description)};"]
        for field in register.fields:
            lines += [f"        {line}" for line in _rdl_field(field)]
        lines += [f"    }} {register.name} @ {register.offset:#04x};"]
    return "\n".join([*lines, "};", ""])


def _rdl_field(field: Field) -> list[str]:
    description = f"{_sentence(field.description)} {_sentence(_rules(field))}"
    lines = ["field {", f"    desc = {_quoted(description)};"]
    if field.values:
        lines += [f"    encode = {field.values.__name__};"]
    lines += [f"    {line};" for line in RDL_ACCESS[field.access]]
    place = f"[{field.low + field.width - 1}:{field.low}]"
    if field.access in NO_RESET:
        return [*lines, f"}} {field.name}{place};"]
    reset = field.pack(field.reset) >> field.low
    return [*lines, f"}} {field.name}{place} = {reset:#x};"]


def markdown(spec: TileSpec, name: str) -> str:
    """The map as a document; `name` says which tile the reset values and limits are of."""
    table = registers(spec)
    lines = [
        "# Registers and ports",
        "",
        "Made from `spec/registers.py` and `spec/ports.py` by `make docs`; change those, not this. "
        f"Values after reset, limits and lengths are those of the preset `{name}`; the rest holds "
        "for any tile.",
        "",
        f"Words of {WORD_BITS} bits at byte offsets, over AXI4-Lite with {ADDRESS_BITS} address "
        "bits. Bits that are not listed read as 0 and are ignored in a write. An access that fails "
        "is answered with SLVERR, changes nothing, and leaves its code in ERROR.BUS_ERROR:",
        "",
        "| code | when |",
        "|---|---|",
        "| UNALIGNED | the offset is not a multiple of 4, or a write has not all byte strobes |",
        "| UNMAPPED | there is no register |",
        "| READ_ONLY | a write to a register that has only constants or status |",
        "| BUSY | what may only be done while idle, while STATUS.BUSY |",
        "| ROW_INCOMPLETE | a write of polarity, journal or LFSR, while STATUS.ROW_INCOMPLETE |",
        "| BAD_VALUE | a value outside of its limits, or an index beyond its window |",
        "",
        "Where several hold, the first of this list is given. Only `aresetn` clears registers; a "
        "soft reset keeps them all.",
        "",
        "## Map",
        "",
        "| offset | register | reset | |",
        "|---|---|---|---|",
    ]
    for register in table:
        known = not any(register.has(access) for access in NO_RESET)
        reset = f"0x{register.reset:08X}" if known else "-"
        link = f"[{register.name}](#{register.name.lower()})"
        lines += [f"| 0x{register.offset:02X} | {link} | {reset} | {register.description} |"]
    for register in table:
        lines += ["", *_section(register)]
    lines += ["", "## Windows", "", "| WINDOW.SELECT | memory | elements | format | |"]
    lines += ["|---|---|---|---|---|"]
    for window in windows(spec):
        kind = "signed" if window.element.low < 0 else "unsigned"
        text = window.description + ("; kept while the journal is valid" * window.not_incomplete)
        lines += [
            f"| {window.code.value} | {window.code.name} | {window.length} | "
            f"{kind}, {window.element.bits} bit | {text} |"
        ]
    lines += ["", "Signed elements are read and written as 32 bits with their sign."]
    lines += ["", "## Commands", "", *_codes(Command), "", "## Errors", "", *_codes(Error)]
    lines += ["", "## Ports", "", *_ports(spec), ""]
    return "\n".join(lines)


def _ports(spec: TileSpec) -> Iterable[str]:
    yield (
        f"Of the top module, here `crosstile_{spec.rows}x{spec.columns}`. A sentence names other "
        "ports of its group without their prefix. What happens at them, cycle by cycle, is in the "
        "[theory of operation](theory-of-operation.md#the-macros-pins)."
    )
    yield ""
    yield from port_table(spec)


def _section(register: Register) -> Iterable[str]:
    yield f"### {register.name}"
    yield ""
    yield f"Offset 0x{register.offset:02X}. {register.description}"
    if register.not_incomplete:
        yield "Not while the journal is valid (ROW_INCOMPLETE)."
    yield ""
    yield "| bits | field | | access |"
    yield "|---|---|---|---|"
    for field in register.fields:
        top = field.low + field.width - 1
        bits = f"{top}:{field.low}" if field.width > 1 else f"{top}"
        yield f"| {bits} | {field.name} | {_meaning(field)} | {_rules(field)} |"


def _meaning(field: Field) -> str:
    """What it is, with the values that have a name, where they are few."""
    if field.values is None:
        return field.description
    if field.values in (Command, Error):
        return f"{field.description}: see [{field.values.__name__.lower()}s]" + (
            f"(#{field.values.__name__.lower()}s)"
        )
    names = ", ".join(f"{member.value} {member.name}" for member in field.values)
    return f"{field.description}: {names}"


def _rules(field: Field) -> str:
    """Its access, and the limits of a write."""
    text = DETAILS[field.access]
    if field.signed:
        text += "; signed"
    if field.limited:
        text += f"; {field.lowest} to {field.highest}"
    if field.only_idle and field.access is not Access.WINDOW:
        text += "; only while idle"
    return text


def _codes(kind: type[IntEnum]) -> list[str]:
    return ["| code | name |", "|---|---|"] + [f"| {m.value} | {m.name} |" for m in kind]


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
