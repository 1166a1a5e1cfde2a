"""The bench around the tiles as Verilog: for each a host and a meter, which is its array's face.

All signals that the bench's Python reaches are in the top module, with the prefix `t<n>_` of their
tile. They are no ports, which Verilator copies at every edge, thousands of words of them. A tile's
clock runs while `t<n>_run` is high: tiles that rest cost nothing. Its reset is a register of that
clock: logic behind it is worked once a cycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rtl.converter import raw_bits
from rtl.phase import column_bits, row_bits
from rtl.top import module_name, top_ports
from spec.registers import ADDRESS_BITS, registers
from spec.tile import STEP_CODE_BITS, TileSpec, groups

TOP = "closed_loop"
DAMAGE, DAMAGE_BITS = "damage", 16
WRITTEN, READ = "/*verilator public_flat_rw*/", "/*verilator public_flat_rd*/"
WAVES = "waves"
WRITES = READS = 8
WORD_BITS = 32
SOURCES = tuple(Path(__file__).parent.parent / "verilog" / name for name in ("meter.v", "host.v"))


@dataclass(frozen=True)
class Port:
    """A port of the bench for one tile: `to` is "meter", "host" or "" (the bench's own)."""

    name: str
    width: int
    given: bool
    """Python writes it; else Python reads it."""
    to: str


def ports(spec: TileSpec) -> tuple[Port, ...]:
    """What Python sees of a tile's bench, without the tile's prefix."""
    rows, columns, host = spec.rows, spec.columns, "host"

    def given(name: str, width: int, to: str) -> Port:
        return Port(name, width, True, to)

    def seen(name: str, width: int, to: str) -> Port:
        return Port(name, width, False, to)

    return (
        given("run", 1, ""),
        given("order", WORD_BITS, host),
        given("limit", WORD_BITS, host),
        given("write_count", 8, host),
        given("writes", WRITES * (ADDRESS_BITS + WORD_BITS), host),
        given("send_bytes", 16, host),
        given("send_destination", 2, host),
        given("send_data", 8 * send_bytes(spec), host),
        given("waits", 1, host),
        given("expects", 1, host),
        given("read_count", 8, host),
        given("read_addresses", READS * ADDRESS_BITS, host),
        given("answered", WORD_BITS, "meter"),
        given("codes", code_count(spec) * raw_bits(spec), "meter"),
        # `status`, in this order from its low end; `wake` counts events and orders done.
        seen("wake", WORD_BITS, ""),
        seen("status", sum(width for _, width in STATUS), ""),
        seen("values", READS * WORD_BITS, host),
        seen("result", 8 * result_bytes(spec), host),
        seen("result_bytes", 16, host),
        seen("clocks", 64, host),
        seen("cycles", WORD_BITS, "meter"),
        seen("row_counts", spec.codes.pwm_bits * rows, "meter"),
        seen("column_counts", spec.codes.column_bits * columns, "meter"),
        seen("row_words", spec.update.slots * rows, "meter"),
        seen("column_words", spec.update.slots * columns, "meter"),
        seen("signs", columns, "meter"),
        seen("swaps", rows, "meter"),
        seen("selected", columns, "meter"),
        seen("enabled", columns, "meter"),
        seen("set_codes", STEP_CODE_BITS * columns, "meter"),
        seen("set_minuses", columns, "meter"),
    )


STATUS = (
    ("done", WORD_BITS), ("hung", 1), ("refused", 1),
    ("events", WORD_BITS), ("kind", 4), ("fault", 4), ("event_swap", 1), ("event_pair", 2),
    ("event_row", 16),
)  # fmt: skip
"""Fields of `status`; those from `events` on are the meter's."""


TIED = ("aclk", "aresetn", "analog_safe")
"""Ports of a tile that the bench does not join to its host or meter."""


@cache
def tile_ports(spec: TileSpec) -> dict[str, int]:
    """The widths of a tile's ports, without `TIED`, by name."""
    return {name: width for name, (_, width) in top_ports(spec).items() if name not in TIED}


def code_count(spec: TileSpec) -> int:
    """Codes that an event takes at most, channels in whole groups: of the rows, or of a READ."""
    read = groups(spec, spec.columns) << spec.converters.read_average_log2
    return max(groups(spec, spec.rows), read) * spec.converters.lanes


def send_bytes(spec: TileSpec) -> int:
    """Of the longest packet in, in whole beats."""
    return _whole_beats(spec, max(spec.rows - 1, 2 * spec.columns))


def result_bytes(spec: TileSpec) -> int:
    """Of the longest packet out, in whole beats."""
    return _whole_beats(spec, 2 * max(spec.rows - 1, spec.columns))


def _whole_beats(spec: TileSpec, length: int) -> int:
    beat = spec.host.axis_bytes
    return -(-length // beat) * beat


def inputs(specs: list[TileSpec]) -> list[str]:
    """The names of what Python writes, with their prefixes."""
    return [f"t{n}_{p.name}" for n, spec in enumerate(specs) for p in ports(spec) if p.given]


def bench(
    specs: list[TileSpec], *, damaged: bool = False, waves: str = "", ported: bool = False
) -> str:
    """The top module around tiles of these specs; the tiles' own modules are not in it.

    Of `damaged` tiles each has an input `DAMAGE` more, by which its damage is chosen; 0 is none.
    With `waves`, the name of a file, all signals go there from when the input `WAVES` rises. Where
    it is `ported`, for a test bench in Verilog, what Python would reach are its ports.
    """
    if ported:
        names = [f"t{n}_{port.name}" for n, spec in enumerate(specs) for port in ports(spec)]
        names = ["aclk", "aresetn", *names]
        lines = [f"module {TOP}(", "    " + ",\n    ".join(names), ");"]
        lines += ["    input wire aclk, aresetn;"]
    else:
        lines = [f"module {TOP}(aclk);", "    input wire aclk;", f"    reg aresetn {WRITTEN};"]
    if damaged:
        lines += [f"    reg {_range(DAMAGE_BITS)}{DAMAGE} {WRITTEN};"]
    if waves:
        lines += [f"    reg {WAVES} {WRITTEN};", f"    always @(posedge {WAVES}) begin"]
        lines += [f'        $dumpfile("{waves}");', "        $dumpvars;", "    end"]
    for index, spec in enumerate(specs):
        lines += _tile(spec, f"t{index}_", damaged, ported)
    return "\n".join([*lines, "endmodule", ""])


def _tile(spec: TileSpec, at: str, damaged: bool, ported: bool) -> list[str]:
    lines = [f"    // {module_name(spec)}"]
    for port in ports(spec):
        kind, seen = ("reg", WRITTEN) if port.given else ("wire", READ)
        if ported:
            kind, seen = "input wire" if port.given else "output wire", ""
        lines.append(f"    {kind} {_range(port.width)}{at}{port.name} {seen};")
    # The clock stops and starts while it is low.
    lines += [
        f"    reg {at}on, {at}reset_n;",
        f"    always @(negedge aclk) {at}on <= {at}run | ~aresetn;",
        f"    wire {at}clk = aclk & {at}on;",
        f"    always @(posedge {at}clk) {at}reset_n <= aresetn;",
        f"    assign {at}wake = {at}done + {at}events;",
        f"    assign {at}status = {{{', '.join(at + name for name, _ in reversed(STATUS))}}};",
    ]
    known = {port.name for port in ports(spec)}
    own_widths = dict(STATUS) | {"event_row": row_bits(spec)}
    lines += [
        f"    wire {_range(width)}{at}{name};"
        for name, width in own_widths.items()
        if name not in known
    ]
    outside = tile_ports(spec)
    lines += [f"    wire {_range(width)}{at}{name};" for name, width in outside.items()]
    joined = "".join(f", .{name}({at}{name})" for name in outside)
    clocked = f".aclk({at}clk), .aresetn({at}reset_n), .analog_safe(1'b0)"
    if damaged:
        lines += [f"    reg {_range(DAMAGE_BITS)}{at}{DAMAGE};"]
        lines += [f"    always @(posedge {at}clk) {at}{DAMAGE} <= {DAMAGE};"]
        clocked += f", .{DAMAGE}({at}{DAMAGE})"
    lines.append(f"    {module_name(spec)} {at}tile({clocked}{joined});")
    macro = {name: name.removeprefix("macro_") for name in outside if name.startswith("macro_")}
    host = [name for name in outside if not name.startswith("macro_")]
    pending = next(r.offset for r in registers(spec) if r.name == "IRQ_PENDING")
    lines.append(_instance(
        "crosstile_host", f"{at}host", at,
        {
            "AXIS_BYTES": spec.host.axis_bytes, "SEND_BYTES": send_bytes(spec),
            "RESULT_BYTES": result_bytes(spec), "WRITES": WRITES, "READS": READS,
            "PENDING_ADDRESS": pending,
        },
        {name: name for name in host}
        | {port.name: port.name for port in ports(spec) if port.to == "host"}
        | {name: name for name in ("done", "hung", "refused")},
    ))  # fmt: skip
    lines.append(_instance(
        "crosstile_meter", f"{at}meter", at,
        {
            "ROWS": spec.rows, "COLUMNS": spec.columns, "LANES": spec.converters.lanes,
            "RAW_BITS": raw_bits(spec), "PWM_BITS": spec.codes.pwm_bits,
            "COLUMN_BITS": spec.codes.column_bits, "SLOTS": spec.update.slots,
            "STEP_BITS": STEP_CODE_BITS, "ROW_SELECT_BITS": row_bits(spec),
            "COLUMN_SELECT_BITS": column_bits(spec),
            "SYNCHRONISER_FLOPS": spec.host.synchroniser_flops,
            "REPEATS": 1 << spec.converters.read_average_log2, "CODES": code_count(spec),
        },
        {inner: outer for outer, inner in macro.items()}
        | {port.name: port.name for port in ports(spec) if port.to == "meter"}
        | {name: name for name, _ in STATUS[3:]},
    ))  # fmt: skip
    return lines


def _instance(
    module: str, name: str, at: str, parameters: dict[str, int], pins: dict[str, str]
) -> str:
    values = ", ".join(f".{key}({value})" for key, value in parameters.items())
    joined = ",\n        ".join(f".{inner}({at}{outer})" for inner, outer in pins.items())
    return (
        f"    {module} #({values}) {name}(\n        .clk({at}clk), .aresetn({at}reset_n),\n"
        f"        {joined});"
    )


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""
