"""The ports of a tile's top module: names, widths, directions, and a sentence each.

The one place that documents take them from; a test holds it against rtl/top.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spec.commands import PairCode, Phase
from spec.registers import ADDRESS_BITS, WORD_BITS, WORD_BYTES
from spec.tile import STEP_CODE_BITS, TileSpec

MACRO = "macro_"
"""Prefix of the array macro's pins."""


@dataclass(frozen=True)
class Port:
    """`width` is a number of bits, or a word for it and the function that gives it."""

    name: str
    width: int | tuple[str, Callable[[TileSpec], int]]
    output: bool
    text: str

    @property
    def width_text(self) -> str:
        """The width as a document has it, for any tile."""
        return str(self.width) if isinstance(self.width, int) else self.width[0]

    def bits(self, spec: TileSpec) -> int:
        """The width of a tile's port."""
        return self.width if isinstance(self.width, int) else self.width[1](spec)


def _index_bits(lines: int) -> int:
    return max(1, (lines - 1).bit_length())


ROWS = "rows", lambda spec: spec.rows
COLUMNS = "columns", lambda spec: spec.columns
ROW = "log2 rows", lambda spec: _index_bits(spec.rows)
COLUMN = "log2 columns", lambda spec: _index_bits(spec.columns)
BEAT = "8 x axis_bytes", lambda spec: 8 * spec.host.axis_bytes
BYTES = "axis_bytes", lambda spec: spec.host.axis_bytes
RAW_CODES = (
    "lanes x widest converter",
    lambda spec: (
        spec.converters.lanes
        * max(spec.forward_code.bits, spec.backward_code.bits, spec.weight_code.bits)
    ),
)

_CLOCK = (
    Port("aclk", 1, False, "the one clock; all else is sampled at its rising edge"),
    Port("aresetn", 1, False, "reset, active low, sampled by the clock"),
)
_REGISTERS = tuple(
    Port(f"s_axil_{name}", width, output, text)
    for name, width, output, text in (
        ("awaddr", ADDRESS_BITS, False, "byte offset of a write"),
        ("awprot", 3, False, "ignored"),
        ("awvalid", 1, False, "`awaddr` holds"),
        ("awready", 1, True, "`awaddr` is taken"),
        ("wdata", WORD_BITS, False, "the word to write"),
        ("wstrb", WORD_BYTES, False, "its byte strobes: all, or the write is UNALIGNED"),
        ("wvalid", 1, False, "`wdata` and `wstrb` hold"),
        ("wready", 1, True, "they are taken"),
        ("bresp", 2, True, "0 OKAY, 2 SLVERR: see ERROR.BUS_ERROR"),
        ("bvalid", 1, True, "`bresp` holds"),
        ("bready", 1, False, "`bresp` is taken"),
        ("araddr", ADDRESS_BITS, False, "byte offset of a read"),
        ("arprot", 3, False, "ignored"),
        ("arvalid", 1, False, "`araddr` holds"),
        ("arready", 1, True, "`araddr` is taken"),
        ("rdata", WORD_BITS, True, "the word read; 0 where the read failed"),
        ("rresp", 2, True, "as `bresp`"),
        ("rvalid", 1, True, "`rdata` and `rresp` hold"),
        ("rready", 1, False, "they are taken"),
    )
)


def _stream(prefix: str, sends: bool, what: str, destination: str) -> tuple[Port, ...]:
    return (
        Port(f"{prefix}_tdata", BEAT, sends, f"{what}, the first byte lowest"),
        Port(f"{prefix}_tkeep", BYTES, sends, "bytes of the beat that count; no gaps"),
        Port(f"{prefix}_tlast", 1, sends, "the last beat of a packet"),
        Port(f"{prefix}_tdest", 2, sends, destination),
        Port(f"{prefix}_tvalid", 1, sends, "a beat is on offer"),
        Port(f"{prefix}_tready", 1, not sends, "it is taken"),
    )


_STREAMS = (
    *_stream("s_axis", False, "a beat of codes", "0 row codes, 1 column codes, 2 weights"),
    *_stream(
        "m_axis", True, "a beat of results",
        "what they are at the neighbour: 0 of FORWARD, 1 of BACKWARD, 2 of READ",
    ),
    Port("irq", 1, True, "an enabled bit of IRQ_PENDING is set"),
)  # fmt: skip
_MACRO = tuple(
    Port(f"{MACRO}{name}", width, output, text)
    for name, width, output, text in (
        ("clear", 1, True,
         "discharge the integrators: for a cycle after a soft reset or a phase that failed, and "
         "while not armed"),
        ("request", 1, True,
         "a phase is asked for; `phase` and all selects are stable while it is high"),
        ("phase", max(Phase).bit_length(), True,
         "what is asked for, a code of `spec.commands.Phase`; see "
         "[Phases](theory-of-operation.md#phases)"),
        ("row_pulse", ROWS, True,
         "row lines: FORWARD, UPDATE, and the one row of a READ or a trim"),
        ("column_pulse", COLUMNS, True, "column lines: BACKWARD, UPDATE"),
        ("column_sign", COLUMNS, True,
         "BACKWARD: 1 is a negative code. UPDATE: 1 charges, 0 discharges the capacitor of g"),
        ("lower_swap", 1, True,
         "FORWARD, UPDATE, READ: the polarity of the rows of this phase; 1 exchanges g and g_ref"),
        ("row_lower_swap", ROWS, True, "BACKWARD: the polarity of each row"),
        ("row_select", ROW, True, "READ, PRECHARGE, RESET, SET, trim: the row"),
        ("pair", max(PairCode).bit_length(), True,
         "READ: 0 all devices, 1 the higher pair, 2 the lower pair"),
        ("column_enable", COLUMNS, True, "columns not masked: only these are converted"),
        ("column_select", COLUMNS, True, "RESET, SET: the columns worked"),
        ("set_write", 1, True,
         "latch `set_code` and `set_minus` for the column `set_column`; only while `request` is "
         "low"),
        ("set_column", COLUMN, True, "the column whose step is latched"),
        ("set_code", STEP_CODE_BITS, True,
         "its step code: how fast the SET ramp falls; 0 for a column that is not set"),
        ("set_minus", 1, True, "its device: 1 is the minus one"),
        ("convert_hold", 1, True, "CONVERT_READ: keep the integrators for another conversion"),
        ("ready", 1, False, "answer to `request`"),
        ("convert_valid", 1, False, "`convert_codes` holds the next group"),
        ("convert_codes", RAW_CODES, False, "a group of raw codes, in order, sign-extended"),
    )
)  # fmt: skip
_SAFE = (
    Port("analog_safe", 1, False,
         "from whoever watches the array's supplies: holds the outputs to the macro inactive at "
         "once"),
)  # fmt: skip

PORTS = (*_CLOCK, *_REGISTERS, *_STREAMS, *_MACRO, *_SAFE)
"""All ports, in the order of the module."""


def port_table(spec: TileSpec) -> list[str]:
    """Every port as rows of Markdown; numbers are of this tile."""
    lines = ["| port | width | of this tile | direction | |", "|---|---|---|---|---|"]
    for port in PORTS:
        way = "out" if port.output else "in"
        width = f"{port.width_text} | {port.bits(spec)}"
        lines.append(f"| `{port.name}` | {width} | {way} | {port.text} |")
    return lines


def macro_table() -> list[str]:
    """The macro's pins as rows of Markdown, without their prefix, for any tile."""
    lines = ["| pin | width | meaning |", "|---|---|---|"]
    for port in PORTS:
        if port.name.startswith(MACRO):
            way = "" if port.output else " (in)"
            name = port.name.removeprefix(MACRO)
            # The table stands in the document that it names.
            text = port.text.replace("theory-of-operation.md#", "#")
            lines.append(f"| `{name}`{way} | {port.width_text} | {text} |")
    return lines
