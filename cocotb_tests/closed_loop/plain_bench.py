"""A recorded run as a test bench in plain Verilog, for a simulator without Python.

A folder gets the bench with its sources, and a file of orders for each tile; `docs/trace.md` has
that file's format. The tiles' own Verilog is not copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np

from cocotb_tests.closed_loop import verilog
from cocotb_tests.closed_loop.pins import Event, codes_word, word
from cocotb_tests.closed_loop.trace import KINDS, PAIR_CODES, Order, Reader
from golden.words import PART_SLOTS, Words, pulsing
from rtl.converter import raw_bits
from spec.commands import Phase
from spec.registers import ADDRESS_BITS
from spec.tile import STEP_CODE_BITS, TileSpec

TEST_BENCH, BENCH = "replay_tb.v", "closed_loop.v"
SOURCES = (*verilog.SOURCES, Path(verilog.__file__).parent.parent / "verilog" / "player.v")
ORDERS = 20_000
"""Most orders of a recording that are written out: as text they take much room."""
PERIOD_NS, RESET_CYCLES = 10, 8


def write(trace: Reader, folder: Path, orders: int = ORDERS) -> int:
    """Fill a folder with the bench of a trace's first `orders` orders; how many there are.

    Raises InputError where the trace is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in SOURCES:
        (folder / source.name).write_text(source.read_text())
    (folder / BENCH).write_text("`timescale 1ns / 1ps\n" + verilog.bench(trace.specs, ported=True))
    files = [(folder / f"t{n}.hex").open("w") for n in range(len(trace.specs))]
    count = 0
    try:
        for order in trace.orders():
            if count == orders:
                break
            _write_order(files[order.tile], count, order, trace.specs[order.tile])
            count += 1
        for file in files:
            file.write("end\n")
    finally:
        for file in files:
            file.close()
    (folder / TEST_BENCH).write_text("\n".join(_test_bench(trace.specs, count)))
    return count


# -- the orders --------------------------------------------------------------------------------


def _write_order(file: TextIO, number: int, order: Order, spec: TileSpec) -> None:
    destination, content = order.packet or (0, b"")
    values, result = order.right_values, order.right_result
    fields = (
        order.limit, order.waits, order.expects,
        len(order.writes), sum((a << 32 | w) << 44 * n for n, (a, w) in enumerate(order.writes)),
        len(content), destination, int.from_bytes(content, "little"),
        len(order.reads), sum(a << ADDRESS_BITS * n for n, a in enumerate(order.reads)),
        values is not None, sum(v << 32 * n for n, v in enumerate(values or ())),
        result is not None, len(result or b""), int.from_bytes(result or b"", "little"),
    )  # fmt: skip
    name = order.operation.replace(" ", "_")
    file.write(f"{number} {name} {' '.join(f'{f:x}' for f in fields)} {len(order.events)}\n")
    for event in order.events:
        file.write(" ".join(f"{field:x}" for field in _event(event, spec)) + "\n")


def _planes(values: np.ndarray, bits: int) -> int:
    """Bit k of every line, then bit k + 1, as the meter counts."""
    planes = (values.astype(np.int64)[None, :] >> np.arange(bits)[:, None]) & 1
    return word(planes.reshape(-1), 1)


def _slots(words: Words, slots: int) -> int:
    """Every line in slot 0, then in slot 1, as the meter has them."""
    parts, places = np.divmod(np.arange(slots), PART_SLOTS)
    return word((words[parts] >> places[:, None].astype(np.uint32) & 1).reshape(-1), 1)


def _event(event: Event, spec: TileSpec) -> tuple[int, ...]:
    """Kind, row, pair, swap, cycles, rows, columns, bits, minus, swaps, codes; 0 if not of it."""
    kind, of, codes = KINDS[event.name], event.arguments, spec.codes
    rows = columns = bits = minus = swaps = cycles = 0
    if kind is Phase.IDLE:
        cycles = of["duration_ns"] // spec.timing.cycle_ns
    elif kind is Phase.FORWARD:
        rows = _planes(of["durations"], codes.pwm_bits)
    elif kind is Phase.BACKWARD:
        columns = _planes(abs(of["durations"]), codes.column_bits)
        bits, swaps = word(of["durations"] < 0, 1), word(of["row_lower_swap"], 1)
    elif kind is Phase.UPDATE:
        rows = _slots(of["row_words"], spec.update.slots)
        columns = _slots(of["column_words"], spec.update.slots)
        bits = word(of["charge"] & pulsing(of["column_words"]), 1)
    elif kind is Phase.READ:
        # The row's line is high throughout a window of a power of two.
        rows = 1 << (codes.pwm_bits - 1) * spec.rows + of["row"]
    elif "active" in of:
        bits = word(of["active"], 1)
    if kind is Phase.SET:
        minus, columns = word(of["minus"], 1), word(of["step_codes"], STEP_CODE_BITS)
    pair = PAIR_CODES[of["pair"]] if "pair" in of else 0
    given = 0 if event.result is None else codes_word(spec, event.result)
    swap = of.get("lower_swap", 0)
    return kind, of.get("row", 0), pair, swap, cycles, rows, columns, bits, minus, swaps, given


# -- the test bench ----------------------------------------------------------------------------


def _test_bench(specs: list[TileSpec], orders: int) -> Iterator[str]:
    tiles = range(len(specs))
    sources = " ".join([TEST_BENCH, BENCH, *(source.name for source in SOURCES)])
    yield f"// Plays {orders} recorded orders at the tiles of design.v, all tiles at once:"
    yield f"//     iverilog -g2005 -o replay {sources} ../design.v && vvp replay"
    yield "// The last line is PASS or FAIL; under Icarus the exit code is 0 or 1."
    yield "`timescale 1ns / 1ps"
    yield "module replay_tb;"
    yield "    reg aclk, aresetn;"
    for index, spec in enumerate(specs):
        yield f"    wire t{index}_over, t{index}_failed;"
        for port in verilog.ports(spec):
            yield f"    wire [{port.width - 1}:0] t{index}_{port.name};"
    names = [f"t{n}_{port.name}" for n in tiles for port in verilog.ports(specs[n])]
    joined = ",\n        ".join(f".{name}({name})" for name in ["aclk", "aresetn", *names])
    yield f"    {verilog.TOP} bench(\n        {joined});"
    for index, spec in enumerate(specs):
        yield _player(index, spec)
    yield "    initial aclk = 0;"
    yield f"    always #{PERIOD_NS // 2} aclk = ~aclk;"
    yield "    initial begin"
    yield "        aresetn = 0;"
    yield f"        repeat ({RESET_CYCLES}) @(posedge aclk);"
    yield "        #1 aresetn = 1;"
    yield "    end"
    over = " && ".join(f"t{n}_over" for n in tiles)
    failed = " || ".join(f"t{n}_failed" for n in tiles)
    yield f"    wire failed = {failed};"
    yield f"    wire over = failed || ({over});"
    yield "    always @(posedge over) begin"
    yield "        #1;"
    yield f'        if (failed) $display("FAIL"); else $display("PASS {orders} orders");'
    yield "`ifdef __ICARUS__"
    yield "        $finish_and_return(failed ? 1 : 0);"
    yield "`else"
    yield "        $finish;"
    yield "`endif"
    yield "    end"
    yield "endmodule"
    yield ""


def _player(index: int, spec: TileSpec) -> str:
    parameters = {
        "FILE": f'"t{index}.hex"', "TILE": index, "ROWS": spec.rows, "COLUMNS": spec.columns,
        "PWM_BITS": spec.codes.pwm_bits, "COLUMN_BITS": spec.codes.column_bits,
        "SLOTS": spec.update.slots, "STEP_BITS": STEP_CODE_BITS,
        "CODE_BITS": verilog.code_count(spec) * raw_bits(spec),
        "SEND_BITS": 8 * verilog.send_bytes(spec), "RESULT_BITS": 8 * verilog.result_bytes(spec),
        "WRITES": verilog.WRITES, "READS": verilog.READS,
    }  # fmt: skip
    at, pins = f"t{index}_", [port.name for port in verilog.ports(spec) if port.name != "status"]
    joined = [f".{name}({at}{name})" for name in [*pins, "over", "failed"]]
    low = 0
    for name, width in verilog.STATUS:
        joined.append(f".{name}({at}status[{low + width - 1}:{low}])")
        low += width
    values = ", ".join(f".{name}({value})" for name, value in parameters.items())
    lines = ",\n        ".join([".begins(aresetn)", *joined])
    return f"    crosstile_player #({values}) {at}player(\n        {lines});"
