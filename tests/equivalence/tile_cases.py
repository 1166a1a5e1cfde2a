"""Tiles, and scripts for them, by name: what every simulator of the tile runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from cocotb_tests.coverage import functional
from golden.analog.array import Array
from golden.analog.parameters import DeviceParameters
from golden.analog.pcm import set_table
from golden.digital.command import PACKET_CODES
from golden.digital.transfer import Kind
from golden.digital.update_stream import UpdateStream
from spec.commands import Command, Destination, PairCode, RangeKind
from spec.lfsr import COLUMN_LAG, DRAW_BITS, LFSR_MASK, ROW_LAG, draw
from spec.presets import preset
from spec.registers import HALF
from spec.segments import SLOPE, Segments
from spec.tile import NeuronSpec, TileSpec
from tests.equivalence.macro import Cut
from tests.equivalence.tile_script import KEPT, Found, Moment, Script, golden_tile

DEVICES = DeviceParameters()
EDGES = 64
"""UPDATEs of the script of that name."""
LOADED_ROWS = 6
"""Rows that a script loads at most: a row takes thousands of cycles."""


def arrays(spec: TileSpec, seed: int) -> tuple[Array, Array]:
    """Two arrays of the same devices."""
    return Array(spec, DEVICES, seed, 0), Array(spec, DEVICES, seed, 0)


def script(
    spec: TileSpec, seed: int, steps: list[tuple[Any, ...]], masked: bool = False, **control: int
) -> Script:
    """A script on an armed tile of random LFSRs; `masked`: some columns are not used."""
    rng = np.random.default_rng(seed)
    scales = (1 << spec.row_code.bits) + 5, (1 << spec.column_code.bits) + 3
    settings = {
        "ARM": 1, "BRINGUP": 0, "HIDDEN": 1, "RAW_FORWARD": 1, "RAW_BACKWARD": 1,
        "BACKWARD_SHIFT": 1,
    }  # fmt: skip
    states = int(rng.integers(1, 1 << 31)), int(rng.integers(1, 1 << 31))
    enabled = rng.random(spec.columns) < 0.7 if masked else np.ones(spec.columns, np.bool_)
    return Script(
        spec, set_table(spec, DEVICES), states, scales, enabled, settings | control, steps
    )


def vector(
    spec: TileSpec, rng: np.random.Generator, destination: Destination, least: int = 0
) -> list[int]:
    """Random codes of a side; rows' are `least` or more."""
    high = spec.column_code.high
    if destination is Destination.ROWS:
        return rng.integers(least, spec.row_code.high + 1, spec.rows - 1).tolist()
    return rng.integers(-high, high + 1, spec.columns).tolist()


def blanked(spec: TileSpec) -> list[tuple[Any, ...]]:
    """A tile whose state becomes known."""
    return [
        ("command", Command.FORWARD, {}),
        ("command", Command.INIT, {"first": 0, "last": spec.rows - 1}),
        ("command", Command.CALIBRATE, {}),
    ]


def training(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """A few examples, with transfers between: rows of both polarities are live at once."""
    rng = np.random.default_rng(seed)
    rows, columns, high = spec.rows, spec.columns, spec.column_code.high
    weight = spec.weight_code.high // 8
    steps = blanked(spec)
    for row in range(0, rows, -(-rows // LOADED_ROWS)):
        codes = rng.integers(-weight, weight + 1, columns).tolist()
        steps += [
            ("late packet", Destination.WEIGHTS, codes),
            ("command", Command.LOAD, {"first": row}),
        ]
    for _ in range(3):
        if rows > 1:
            codes = rng.integers(0, spec.row_code.high + 1, rows - 1).tolist()
            steps.append(("packet", Destination.ROWS, codes))
        steps.append(("command", Command.FORWARD, {}))
        errors = rng.integers(-high, high + 1, columns).tolist()
        steps.append(("packet", Destination.COLUMNS, errors))
        if rows > 1:
            steps += [("command", Command.BACKWARD, {}), ("command", Command.UPDATE, {})]
        else:
            steps.append(("command", Command.UPDATE, {"new_columns": True}))
        first = int(rng.integers(rows))
        steps.append(
            ("command", Command.TRANSFER, {"first": first, "last": min(first + 1, rows - 1)})
        )
    for row, pair in ((0, PairCode.ALL), (rows - 1, PairCode.LOWER), (0, PairCode.HIGHER)):
        steps.append(("command", Command.READ, {"first": row, "pair": pair}))
    return steps


def interruptions(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """Soft resets between commands, and a host that restores the polarity, for any size."""
    rng = np.random.default_rng(seed)
    rows, columns, high = spec.rows, spec.columns, spec.column_code.high
    errors = ("packet", Destination.COLUMNS, rng.integers(-high, high + 1, columns).tolist())
    forward: list[tuple[Any, ...]] = [("command", Command.FORWARD, {})]
    if rows > 1:
        codes = rng.integers(0, spec.row_code.high + 1, rows - 1).tolist()
        forward.insert(0, ("packet", Destination.ROWS, codes))
    last = {"first": rows - 1}
    return [
        ("polarity", rng.integers(0, 2, rows).tolist()),
        ("known",),
        ("command", Command.READ, last),
        # Held and waiting vectors are lost, the rest is not.
        *forward,
        errors,
        ("soft reset",),
        ("command", Command.UPDATE, {}),
        ("command", Command.UPDATE, {"new_columns": True}),
        *forward,
        ("command", Command.UPDATE, {"new_columns": True}),
        errors,
        ("command", Command.UPDATE, {"new_columns": True}),
        ("soft reset",),
        ("command", Command.RESUME, {}),
        ("command", Command.TRANSFER, {"first": max(0, rows - 2), "last": rows - 1}),
        ("soft reset",),
        ("command", Command.RESUME, {}),
        ("command", Command.ABORT, {}),
        ("polarity", rng.integers(0, 2, rows).tolist()),
        *forward,
        errors,
        ("command", Command.BACKWARD, {}),
        ("command", Command.READ, {**last, "pair": PairCode.ALL}),
    ]


def raw_access(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """Training with PROGRAM and PRECHARGE between, which need BRINGUP."""
    rng = np.random.default_rng(seed)
    row = {"first": spec.rows // 2}
    return [
        *training(spec, seed),
        ("command", Command.PROGRAM, {**row, "step_code": 200, "minus": True}),
        ("command", Command.READ, row),
        ("known",),
        ("command", Command.READ, {**row, "pair": PairCode.HIGHER}),
        ("command", Command.PRECHARGE, {"first": spec.rows - 1}),
        ("polarity", rng.integers(0, 2, spec.rows).tolist()),
        ("known",),
        *training(spec, seed + 1)[-20:],
    ]


def wrong_use(spec: TileSpec) -> list[tuple[Any, ...]]:
    """Commands and packets that are refused; the tile goes on. For tiles of three rows or more."""
    rows, columns, high = spec.rows, spec.columns, spec.column_code.high
    row_codes, errors = [3] * (rows - 1), [high] * columns
    bad_packets: list[tuple[Command, dict[str, Any], Destination, list[int]]] = [
        (Command.FORWARD, {}, Destination.ROWS, row_codes[:-1]),
        (Command.FORWARD, {}, Destination.ROWS, [*row_codes, 1]),
        (Command.BACKWARD, {}, Destination.COLUMNS, errors[:-1]),
        (Command.LOAD, {"first": 1}, Destination.WEIGHTS, [5] * (columns - 1)),
        (Command.LOAD, {"first": 1}, Destination.WEIGHTS, [5] * (columns + 1)),
        (Command.UPDATE, {"new_columns": True}, Destination.COLUMNS, [*errors, 0]),
    ]
    # Codes that a byte holds and a driver does not.
    if spec.row_code.high < PACKET_CODES[Destination.ROWS][1]:
        codes = [spec.row_code.high + 1] * (rows - 1)
        bad_packets.append((Command.FORWARD, {}, Destination.ROWS, codes))
    if high < PACKET_CODES[Destination.COLUMNS][1]:
        codes = [high + 1] * columns
        bad_packets.append((Command.BACKWARD, {}, Destination.COLUMNS, codes))
    return [
        ("command", Command.READ, {"first": 0}),
        ("known",),
        *(("command", opcode, {}) for opcode in (0, 14, 15)),
        ("command", Command.TRANSFER, {"first": 2, "last": 1}),
        ("command", Command.TRANSFER, {"first": 0, "last": rows}),
        ("command", Command.LOAD, {"first": rows}),
        ("command", Command.READ, {"first": 2, "pair": 3}),
        ("command", Command.PROGRAM, {"first": 0, "step_code": 9}),
        ("command", Command.PRECHARGE, {"first": 0}),
        ("command", Command.IDLE, {"cycles": 0}),
        ("command", Command.UPDATE, {}),
        ("packet", Destination.COLUMNS, errors),
        ("command", Command.FORWARD, {}),  # nobody sends its packet; the other one waits on
        ("command", Command.BACKWARD, {}),
        ("command", Command.LOAD, {"first": 0}),
        ("packet", Destination.ROWS, row_codes),
        ("command", Command.FORWARD, {}),
        *(
            step
            for command, fields, destination, codes in bad_packets
            for step in (("late packet", destination, codes), ("command", command, fields))
        ),
        ("packet", Destination.COLUMNS, errors),
        ("command", Command.BACKWARD, {}),
        ("command", Command.UPDATE, {}),
        ("command", Command.IDLE, {"cycles": 7}),
        ("command", Command.TRANSFER, {"first": 0, "last": 1}),
        ("command", Command.RESUME, {}),
        ("command", Command.ABORT, {}),
    ]


def any_codes(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """Packets of anything that their bytes can say, some of them too long; most are refused.

    For tiles of three rows or more.
    """
    rng = np.random.default_rng(seed)
    steps: list[tuple[Any, ...]] = [("polarity", rng.integers(0, 2, spec.rows).tolist())]
    steps.append(("known",))
    sizes = {
        Destination.ROWS: spec.rows - 1,
        Destination.COLUMNS: spec.columns,
        Destination.WEIGHTS: spec.columns,
    }
    commands = {
        Destination.ROWS: ("command", Command.FORWARD, {}),
        Destination.COLUMNS: ("command", Command.BACKWARD, {}),
        Destination.WEIGHTS: ("command", Command.LOAD, {"first": 1}),
    }
    for turn in range(8):
        for destination, size in sizes.items():
            low, high = PACKET_CODES[destination]
            codes = rng.integers(low, high + 1, size if turn < 4 else size + turn)
            codes[turn % size] = (low, high)[turn % 2]
            steps += [("late packet", destination, codes.tolist()), commands[destination]]
    return steps


def results_stay(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """A host that does not take results for a while, for any size.

    Commands that give one are ended by the time-out and have done nothing, others go on; a packet
    that came waits on.
    """
    rng = np.random.default_rng(seed)
    rows, columns, high = spec.rows, spec.columns, spec.column_code.high
    errors = ("packet", Destination.COLUMNS, rng.integers(-high, high + 1, columns).tolist())
    forward: list[tuple[Any, ...]] = [("command", Command.FORWARD, {})]
    packet: list[tuple[Any, ...]] = []
    if rows > 1:
        codes = rng.integers(0, spec.row_code.high + 1, rows - 1).tolist()
        packet.append(("packet", Destination.ROWS, codes))
    read = ("command", Command.READ, {"first": rows - 1})
    return [
        ("polarity", rng.integers(0, 2, rows).tolist()),
        ("known",),
        ("results", False),
        *packet,
        *forward,
        # A bad packet is told first.
        *([("late packet", Destination.ROWS, [0] * rows), *forward] if rows > 1 else []),
        *forward,
        *packet,
        *forward,
        read,
        errors,
        ("command", Command.UPDATE, {"new_columns": True}),
        errors,
        ("command", Command.BACKWARD, {}),
        ("command", Command.TRANSFER, {"first": 0, "last": 0}),
        ("results", True),
        *forward,
        ("command", Command.BACKWARD, {}),
        ("results", False),
        # A soft reset ends the packet, but its beat on offer stays in the way.
        read,
        ("soft reset",),
        read,
        ("results", True),
        read,
        *packet,
        *forward,
    ]


def restored(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """What a host writes back after aresetn: counters, dithers, offsets, a row begun, a range.

    For tiles of three rows or more.
    """
    rng = np.random.default_rng(seed)
    rows, columns = spec.rows, spec.columns
    one = 1 << spec.converters.calibration_log2

    def packet(destination: Destination) -> tuple[Any, ...]:
        return "packet", destination, vector(spec, rng, destination)

    def journal(row: int, kind: Kind) -> tuple[Any, ...]:
        codes = rng.integers(-spec.weight_code.high // 8, spec.weight_code.high // 8, columns)
        return "journal", row, int(rng.integers(2)), kind, codes.tolist()

    refused: list[tuple[Any, ...]] = [
        ("command", command, fields)
        for command, fields in (
            (Command.FORWARD, {}), (Command.BACKWARD, {}), (Command.UPDATE, {"new_columns": True}),
            (Command.TRANSFER, {"first": 0, "last": 1}), (Command.LOAD, {"first": 0}),
            (Command.CALIBRATE, {}), (Command.INIT, {"first": 0, "last": rows - 1}),
            (Command.INIT, {"first": 0, "last": 0, "force": True}),
            (Command.INIT, {"first": 2, "last": 2, "force": True}),
        )
    ]  # fmt: skip
    forward, backward = ("command", Command.FORWARD, {}), ("command", Command.BACKWARD, {})
    return [
        ("polarity", rng.integers(0, 2, rows).tolist()),
        ("known",),
        *(("write", name, {"COUNT": (1 << 32) - 1 - int(rng.integers(2))}) for name in KEPT),
        ("write", "DITHER", {"FORWARD": one // 2, "BACKWARD": one - 1}),
        (
            "offsets",
            rng.integers(-2 * one, 2 * one, columns).tolist(),
            rng.integers(-2 * one, 2 * one, rows).tolist(),
        ),
        packet(Destination.ROWS), forward, packet(Destination.ROWS), forward,
        packet(Destination.COLUMNS), backward, packet(Destination.COLUMNS), backward,
        # Both sides new, and neither.
        packet(Destination.ROWS), packet(Destination.COLUMNS),
        ("command", Command.UPDATE, {"new_rows": True, "new_columns": True}),
        ("command", Command.UPDATE, {}),
        # A range in whose second row a supply failed, say.
        journal(1, Kind.TRANSFER),
        ("write", "RANGE", {"NEXT_ROW": 1, "LAST_ROW": 2}),
        *refused,
        ("polarity", [0]),
        ("command", Command.READ, {"first": 1}),
        ("command", Command.IDLE, {"cycles": 300}),
        ("command", Command.RESUME, {}),
        journal(0, Kind.LOAD),
        ("write", "RANGE", {"NEXT_ROW": 0, "LAST_ROW": 1}),
        ("command", Command.RESUME, {}),
        journal(1, Kind.TRANSFER),
        ("write", "RANGE", {"NEXT_ROW": 1, "LAST_ROW": 2}),
        ("command", Command.ABORT, {}),
        ("command", Command.RESUME, {}),
        journal(1, Kind.INIT),
        ("command", Command.INIT, {"first": 0, "last": 1, "force": True}),
        ("command", Command.READ, {"first": 0}),
    ]  # fmt: skip


def half_held(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """UPDATEs where one side alone has a vector; for tiles of three rows or more."""
    rng = np.random.default_rng(seed)
    rows, columns, high = spec.rows, spec.columns, spec.column_code.high
    vectors = {
        Command.FORWARD: (
            Destination.ROWS, rng.integers(0, spec.row_code.high + 1, rows - 1).tolist(),
        ),
        Command.BACKWARD: (
            Destination.COLUMNS, rng.integers(-high, high + 1, columns).tolist(),
        ),
    }  # fmt: skip
    steps: list[tuple[Any, ...]] = [
        ("polarity", rng.integers(0, 2, rows).tolist()),
        ("known",),
    ]
    for command, vector in vectors.items():
        held = "new_rows" if command is Command.FORWARD else "new_columns"
        steps += [("soft reset",), ("packet", *vector), ("command", command, {})]
        # That the side held is asked for anew too leaves the other missing.
        steps += [("command", Command.UPDATE, {}), ("command", Command.UPDATE, {held: True})]
    return steps


def missed_rows(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """Forced INITs whose range misses the row begun; for tiles of three rows or more."""
    rng = np.random.default_rng(seed)
    rows, columns = spec.rows, spec.columns
    steps: list[tuple[Any, ...]] = [("polarity", rng.integers(0, 2, rows).tolist()), ("known",)]
    for row in range(rows):
        codes = rng.integers(-9, 10, columns).tolist()
        steps += [("soft reset",), ("journal", row, 1, Kind.TRANSFER, codes)]
        steps.append(("write", "RANGE", {"NEXT_ROW": row, "LAST_ROW": row}))
        steps += [
            ("command", Command.INIT, {"first": first, "last": last, "force": True})
            for first in range(rows)
            for last in range(first, rows)
            if not first <= row <= last
        ]
        steps += [("command", Command.ABORT, {}), ("command", Command.RESUME, {})]
    return steps


def raw_rows(spec: TileSpec) -> list[tuple[Any, ...]]:
    """PROGRAM with many step codes, and what makes a state known that raw access has lost.

    With BRINGUP, for tiles of three rows or more.
    """
    last, forward = spec.rows - 1, ("command", Command.FORWARD, {})
    steps: list[tuple[Any, ...]] = [("known",)]
    for place, code in enumerate((1, 2, 0x0F, 0x55, 0xAA, 0xF1, 0xFF)):
        row = {"first": place % spec.rows}
        minus = place % 3 == 0
        steps.append(("command", Command.PROGRAM, {**row, "step_code": code, "minus": minus}))
    for ranges in ([(0, last - 1), (last, last)], [(1, last), (0, 0), (1, last)]):
        steps.append(("command", Command.PRECHARGE, {"first": 0}))
        for first, to in ranges:
            # Not known before the last of them.
            steps += [forward, ("command", Command.INIT, {"first": first, "last": to})]
        steps += [("packet", Destination.ROWS, [spec.row_code.high] * last), forward]
    return steps


def queued(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """Packets that wait behind others; for tiles of three rows or more."""
    rng = np.random.default_rng(seed)
    rows = spec.rows

    def queue(destination: Destination) -> tuple[Any, ...]:
        return "queue", destination, vector(spec, rng, destination, least=1)

    forward, backward = ("command", Command.FORWARD, {}), ("command", Command.BACKWARD, {})
    update = ("command", Command.UPDATE, {"new_rows": True, "new_columns": True})
    steps: list[tuple[Any, ...]] = [("polarity", rng.integers(0, 2, rows).tolist()), ("known",)]
    for _ in range(2):
        steps += [*(queue(Destination.ROWS) for _ in range(3)), forward, forward, forward]
        steps += [*(queue(Destination.COLUMNS) for _ in range(3)), backward, backward, backward]
        # Columns come first, and another vector of rows while they wait.
        steps += [queue(Destination.COLUMNS), queue(Destination.ROWS), queue(Destination.ROWS)]
        steps += [update, backward, forward]
    return steps


CLOSE_COMMANDS = 32


def close_commands() -> list[tuple[Any, ...]]:
    """READs close upon READs whose results are on their way, and stay; for tiles of any size.

    In few of them the second is taken before the first one's result shows at the port.
    """
    read = ("repeated", Command.READ, {"first": 0})
    return [("known",), *CLOSE_COMMANDS * (("results", False), read, ("results", True))]


def far_rows(spec: TileSpec) -> list[tuple[Any, ...]]:
    """Rows beyond the tile, by each bit of their registers."""
    steps: list[tuple[Any, ...]] = [("known",)]
    for row in (1 << bit for bit in range(HALF)):
        if row >= spec.rows:
            steps.append(("command", Command.READ, {"first": row}))
            steps.append(("command", Command.TRANSFER, {"first": 0, "last": row}))
    return steps


def formats(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """Results in every format, and what the tile says of its vectors on the way."""
    rng = np.random.default_rng(seed)
    rows, columns, high = spec.rows, spec.columns, spec.column_code.high
    status = ("status",)
    steps: list[tuple[Any, ...]] = [("polarity", rng.integers(0, 2, rows).tolist()), status]
    steps += [("known",), ("command", Command.LOAD, {"first": 0}), status]
    for row in range(rows if rows <= LOADED_ROWS else 2):
        codes = rng.integers(-spec.weight_code.high, spec.weight_code.high + 1, columns).tolist()
        steps.append(("late packet", Destination.WEIGHTS, codes))
        steps.append(("command", Command.LOAD, {"first": row}))
    for shift in (-12, -4, -2, -1, 0, 1, 2, 3, 21):
        raw = int(shift == 1)
        control = {"BACKWARD_SHIFT": shift, "RAW_FORWARD": raw, "RAW_BACKWARD": raw}
        steps.append(("control", control | {"HIDDEN": int(shift % 2 == 0)}))
        if rows > 1:
            codes = rng.integers(0, spec.row_code.high + 1, rows - 1)
            # The largest sums, and small ones.
            codes = codes if shift % 2 else np.full(rows - 1, spec.row_code.high)
            steps += [("packet", Destination.ROWS, codes.tolist()), status]
        steps += [("command", Command.FORWARD, {}), status]
        errors = rng.integers(-high, high + 1, columns)
        errors = errors if shift % 2 else np.where(errors < 0, -high, high)
        steps += [("packet", Destination.COLUMNS, errors.tolist()), status]
        if rows > 1:
            steps.append(("command", Command.BACKWARD, {}))
        else:
            steps.append(("command", Command.UPDATE, {"new_columns": True}))
        steps.append(status)
    return [*steps, ("soft reset",), status, ("command", Command.UPDATE, {})]


CUT_COMMANDS: dict[str, tuple[Command, dict[str, Any], int]] = {
    "transfer": (Command.TRANSFER, {"first": 1, "last": 2}, 900),
    "init": (Command.INIT, {"first": 0, "last": 1}, 120),
    "forward": (Command.FORWARD, {}, 60),
    "backward": (Command.BACKWARD, {}, 50),
    "update": (Command.UPDATE, {}, 60),
    "calibrate": (Command.CALIBRATE, {}, 200),
    "read": (Command.READ, {"first": 2, "pair": PairCode.ALL}, 90),
    "idle": (Command.IDLE, {"cycles": 60}, 60),
    "load": (Command.LOAD, {"first": 1}, 900),
}
"""A command, and about how many cycles it takes in a tiny tile. For tiles of three rows or more."""


def cut(spec: TileSpec, seed: int, name: str) -> list[tuple[Any, ...]]:
    """A soft reset anywhere in a command of `CUT_COMMANDS`, and what comes after."""
    command, fields, longest = CUT_COMMANDS[name]
    rng = np.random.default_rng([seed, longest])
    rows, columns, high = spec.rows, spec.columns, spec.column_code.high
    forward = [
        ("packet", Destination.ROWS, rng.integers(0, spec.row_code.high + 1, rows - 1).tolist()),
        ("command", Command.FORWARD, {}),
    ]
    errors = ("packet", Destination.COLUMNS, rng.integers(-high, high + 1, columns).tolist())
    before: list[tuple[Any, ...]] = [
        ("polarity", rng.integers(0, 2, rows).tolist()),
        ("known",),
        ("command", Command.TRANSFER, {"first": 0, "last": 2}),
    ]
    if name == "forward":
        before.append(forward[0])
    if name == "load":
        before.append(("late packet", Destination.WEIGHTS, rng.integers(-99, 99, columns).tolist()))
    if name in ("backward", "update"):
        before += [*forward, errors]
    if name == "update":
        before.append(("command", Command.BACKWARD, {}))
    after: list[tuple[Any, ...]] = [
        ("command", Command.RESUME, {}),
        ("command", Command.UPDATE, {}),
        # Of a CALIBRATE cut short no offset is good.
        *([("command", command, fields)] if name == "calibrate" else []),
        *forward,
        errors,
        ("command", Command.BACKWARD, {}),
        ("command", Command.UPDATE, {}),
        ("command", Command.READ, {"first": 1, "pair": PairCode.ALL}),
    ]
    tiny = SPECS["tiny"]
    windows = spec.row_code.high // tiny.row_code.high
    if name == "update":
        windows = max(windows, spec.update.slots // tiny.update.slots)
    # A LOAD has its packet by then: golden's starts with it.
    cycles = int(rng.integers(60 if name == "load" else 0, longest * windows))
    return [*before, ("cut", command, fields, cycles), *after]


def through_segments(spec: TileSpec, seed: int) -> Script:
    """Training through neurons of a random table; no two segments are alike, nor is one flat."""
    rng = np.random.default_rng([seed, 1])
    count = spec.neurons.segments
    slopes = rng.choice([k for k in range(SLOPE.low, SLOPE.high + 1) if k], count, replace=False)
    table = Segments(
        tuple(rng.integers(0, spec.row_code.high + 1, count).tolist()),
        tuple(slopes.tolist()),
        tuple((np.arange(count) % 3 > 0).astype(int).tolist()),
    )
    made = script(spec, seed, training(spec, seed), RAW_FORWARD=0)
    return replace(made, segments=table)


PAUSE_CYCLES = 200
"""In which a result of the largest tile leaves."""


def example(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """FORWARD, BACKWARD and UPDATE, of one polarity and of both, with IDLE between."""
    rng = np.random.default_rng(seed)
    rows, columns, high = spec.rows, spec.columns, spec.column_code.high
    bits = np.arange(rows) % 2
    idle = ("command", Command.IDLE, {"cycles": PAUSE_CYCLES})
    steps: list[tuple[Any, ...]] = []
    for polarity in (np.zeros(rows, int), bits):
        codes = rng.integers(0, spec.row_code.high + 1, rows - 1).tolist()
        errors = rng.integers(-high, high + 1, columns).tolist()
        steps += [
            ("polarity", polarity.tolist()),
            ("known",),
            ("packet", Destination.ROWS, codes),
            ("packet", Destination.COLUMNS, errors),
            ("command", Command.FORWARD, {}),
            idle,
            ("command", Command.BACKWARD, {}),
            idle,
            ("command", Command.UPDATE, {}),
        ]
    return steps


def edges(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """UPDATEs whose thresholds hang by the last bits of a product, and codes on both sides of them.

    Of many states of an LFSR those are taken that have a draw whose product with the rate is next
    to a carry into its threshold: any wrong bit of a multiplier moves one of those.
    """
    rng = np.random.default_rng(seed)
    steps: list[tuple[Any, ...]] = [("polarity", [0] * spec.rows), ("known",)]
    for _ in range(EDGES):
        states, scales, codes = [], [], []
        for side, lines in (("row", spec.rows - 1), ("column", spec.columns)):
            code = spec.row_code if side == "row" else spec.column_code
            scale, high = int(2 ** rng.uniform(code.bits, DRAW_BITS)), code.high
            state, thresholds = _on_edge(spec, side, scale, high, rng)
            both = np.repeat(thresholds[: (lines + 1) // 2], 2) + np.tile([0, 1], (lines + 1) // 2)
            states.append(state)
            scales.append(scale)
            codes.append(np.minimum(both[:lines], high).tolist())
        steps += [
            ("streams", tuple(states), tuple(scales)),
            ("packet", Destination.ROWS, codes[0]),
            ("packet", Destination.COLUMNS, codes[1]),
            ("command", Command.UPDATE, {"new_rows": True, "new_columns": True}),
        ]
    return steps


def _on_edge(
    spec: TileSpec, side: str, scale: int, high: int, rng: np.random.Generator
) -> tuple[int, np.ndarray]:
    """A state, and its thresholds, those first whose products are nearest to a carry.

    A threshold beyond the largest code tells little.
    """
    states = rng.integers(1, LFSR_MASK, 20_000)
    products = _draws(spec, side, states) * scale
    low = products & (1 << DRAW_BITS) - 1
    off = np.minimum(low, (1 << DRAW_BITS) - 1 - low)
    off += (products >> DRAW_BITS > high) << DRAW_BITS
    best = int(off.min(axis=1).argmin())
    order = off[best].argsort()
    thresholds = products[best][order] >> DRAW_BITS
    return int(states[best]), np.resize(thresholds, spec.rows + spec.columns)


def _draws(spec: TileSpec, side: str, states: np.ndarray) -> np.ndarray:
    """The draws (states, slots) of one UPDATE from each state, as golden/digital has them."""
    lag, order = (ROW_LAG if side == "row" else COLUMN_LAG), UpdateStream(spec, side, 1).order
    states, low_bits = draw(states, lag), DRAW_BITS - spec.update.slot_bits
    scramble, draws = states >> low_bits & (1 << spec.update.slot_bits) - 1, []
    for slot in order:
        states = draw(states, lag)
        drawn = states & (1 << DRAW_BITS) - 1
        if spec.update.stream_mode == "low_discrepancy":
            drawn = (slot ^ scramble) << low_bits | drawn & (1 << low_bits) - 1
        draws.append(drawn)
    return np.stack(draws, axis=1)


def every_command() -> list[tuple[Any, ...]]:
    """Each command, with fields that are good in a tile of any size."""
    both, row = {"new_rows": True, "new_columns": True}, {"first": 0}
    fields: dict[Command, dict[str, Any]] = {
        Command.UPDATE: both, Command.TRANSFER: row, Command.INIT: row, Command.LOAD: row,
        Command.READ: row, Command.PROGRAM: row, Command.PRECHARGE: row,
        Command.IDLE: {"cycles": 3},
    }  # fmt: skip
    return [("command", command, fields.get(command, {})) for command in Command]


def polarities(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """Each operation with the rows of one polarity, of the other, and of both; three rows or more.

    UPDATEs take each of their vectors new, or as held.
    """
    rng = np.random.default_rng(seed)
    rows = spec.rows

    def packet(destination: Destination) -> tuple[Any, ...]:
        return "packet", destination, vector(spec, rng, destination)

    steps: list[tuple[Any, ...]] = []
    for bits in ([0] * rows, [1] * rows, [row % 2 for row in range(rows)]):
        steps += [
            ("polarity", bits),
            ("known",),
            packet(Destination.ROWS),
            ("command", Command.FORWARD, {}),
            packet(Destination.COLUMNS),
            ("command", Command.BACKWARD, {}),
            ("command", Command.UPDATE, {}),
            packet(Destination.COLUMNS),
            ("command", Command.UPDATE, {"new_columns": True}),
            packet(Destination.ROWS),
            ("command", Command.UPDATE, {"new_rows": True}),
            packet(Destination.ROWS),
            packet(Destination.COLUMNS),
            ("command", Command.UPDATE, {"new_rows": True, "new_columns": True}),
            *(("command", Command.READ, {"first": 1, "pair": pair}) for pair in PairCode),
            ("command", Command.TRANSFER, {"first": 2, "last": 2}),
        ]
    return steps


def refusals(spec: TileSpec) -> list[tuple[Any, ...]]:
    """Each command in each state that refuses it, and with each packet that is wrong.

    For tiles of three rows or more, without BRINGUP.
    """
    rows, columns, high = spec.rows, spec.columns, spec.column_code.high
    row_codes, errors, weights = [3] * (rows - 1), [high] * columns, [20] * columns
    every, row = every_command(), {"first": rows}
    to_columns = (Destination.COLUMNS, errors)
    takes = {
        Command.FORWARD: ({}, Destination.ROWS, row_codes),
        Command.BACKWARD: ({}, *to_columns),
        Command.UPDATE: ({"new_columns": True}, *to_columns),
        Command.LOAD: ({"first": 0}, Destination.WEIGHTS, weights),
    }
    wrong: list[tuple[Any, ...]] = []
    for command, (fields, destination, codes) in takes.items():
        packets = [codes[:-1], [*codes, 1]]
        top = {Destination.ROWS: spec.row_code.high, Destination.COLUMNS: high}.get(destination)
        if top is not None and top < PACKET_CODES[destination][1]:
            packets.append([top + 1, *codes[1:]])
        for packet in packets:
            wrong += [("late packet", destination, packet), ("command", command, fields)]
        wrong.append(("command", command, fields))  # nobody sends its packet
    return [
        *every,
        ("arm", 0),
        *every,
        ("arm", 1),
        ("safe", 1),
        *every,
        ("safe", 0),
        ("known",),
        ("command", 0, {}),
        *(("command", c, row) for c in (Command.READ, Command.LOAD, Command.PROGRAM)),
        ("command", Command.PRECHARGE, row),
        ("command", Command.TRANSFER, {**row, "last": rows}),
        ("command", Command.INIT, {**row, "last": rows}),
        ("command", Command.READ, {"first": 0, "pair": 3}),
        ("command", Command.IDLE, {"cycles": 0}),
        ("command", Command.PROGRAM, {"first": 0}),
        ("command", Command.PRECHARGE, {"first": 0}),
        ("command", Command.UPDATE, {}),
        ("packet", Destination.ROWS, row_codes),
        ("command", Command.FORWARD, {}),
        *wrong,
    ]


def restored_kinds(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """A host restores a row's journal of each kind, and ends it in each way; three rows or more."""
    rng = np.random.default_rng(seed)
    rows, columns = spec.rows, spec.columns

    def journal(kind: RangeKind, row: int, last: int) -> list[tuple[Any, ...]]:
        p_new = 0 if kind is RangeKind.INIT else int(rng.integers(2))
        codes = [0] * columns if kind is RangeKind.INIT else rng.integers(-99, 99, columns).tolist()
        return [left(row, last), ("journal", row, p_new, Kind(kind.value), codes)]

    def left(row: int, last: int) -> tuple[Any, ...]:
        return "write", "RANGE", {"NEXT_ROW": row, "LAST_ROW": last}

    beside, over = {"first": 1, "last": 1}, {"first": 0, "last": 1}
    steps: list[tuple[Any, ...]] = [("known",), *journal(RangeKind.TRANSFER, 0, 1)]
    steps += [step for step in every_command() if step[1] not in (Command.RESUME, Command.ABORT)]
    steps += [
        ("polarity", [1]),
        ("command", Command.INIT, {**beside, "force": True}),
        ("command", Command.INIT, {**over, "force": True}),
        ("command", Command.RESUME, {}),
    ]
    for end in (Command.RESUME, Command.ABORT):
        for kind in RangeKind:
            steps += [*journal(kind, rows - 2, rows - 1), ("command", end, {})]
        steps += [
            ("command", Command.TRANSFER, {"first": 0, "last": 0}),
            left(rows - 2, rows - 1),
            ("command", end, {}),
            ("command", end, {}),
        ]
    return [*steps, ("command", Command.READ, {"first": rows - 1})]


def aborted(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """Ranges that ABORT ends; three rows or more."""
    rng, every = np.random.default_rng(seed), {"first": 0, "last": spec.rows - 1}
    return [
        ("known",),
        ("abort", Command.INIT, every, int(rng.integers(20, 40))),
        ("command", Command.RESUME, {}),
        ("abort", Command.TRANSFER, every, int(rng.integers(20, 900))),
        ("command", Command.RESUME, {}),
        ("command", Command.READ, {"first": 1}),
    ]


def weights(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """A row loaded and transferred with weights of all sizes, in both polarities; for any size."""
    rng = np.random.default_rng(seed)
    high, steps = spec.weight_code.high, list[tuple[Any, ...]]()
    for bit in (0, 1):
        for size in (0, 60, 150, high // 4, high):
            codes = [0] * spec.columns if not size else rng.integers(-size, size, spec.columns)
            steps += [
                ("polarity", [bit]),
                ("known",),
                ("late packet", Destination.WEIGHTS, np.array(codes).tolist()),
                ("command", Command.LOAD, {"first": 0}),
                ("command", Command.TRANSFER, {"first": 0, "last": 0}),
            ]
    return steps


def rails(spec: TileSpec, seed: int) -> list[tuple[Any, ...]]:
    """Vectors that take the converters to their rails; three rows or more."""
    rows, columns, high = spec.rows, spec.columns, spec.column_code.high
    sign, steps = 1 - 2 * (seed % 2), [*blanked(spec)]
    for row in range(rows):
        codes = [sign * spec.weight_code.high // 2] * columns
        steps += [
            ("late packet", Destination.WEIGHTS, codes),
            ("command", Command.LOAD, {"first": row}),
        ]
    return [
        *steps,
        ("packet", Destination.ROWS, [spec.row_code.high] * (rows - 1)),
        ("command", Command.FORWARD, {}),
        ("packet", Destination.COLUMNS, [high] * columns),
        ("command", Command.BACKWARD, {}),
    ]


# A short SET table, because the host writes it word by word.
TINY = replace(preset("tiny"), transfer=replace(preset("tiny").transfer, set_shift=8))
SPECS = {
    "tiny": TINY,
    "one": replace(TINY, rows=1, columns=1),
    "synchronised": replace(TINY, rows=2, host=replace(TINY.host, synchroniser_flops=2)),
    "lanes": replace(
        TINY,
        rows=6,
        columns=7,
        converters=replace(TINY.converters, lanes=4, read_average_log2=2),
        update=replace(TINY.update, stream_mode="stochastic"),
    ),
    # Neither size is a power of two or a multiple of the lanes; a beat has several codes.
    "wide": replace(
        preset("small"),
        rows=37,
        columns=19,
        transfer=replace(preset("small").transfer, set_shift=8),
        update=replace(preset("small").update, stream_mode="stochastic", row_skew=True),
        neurons=NeuronSpec(segments_log2=4),
    ),
    "skewed": replace(TINY, rows=10, columns=2, update=replace(TINY.update, row_skew=True)),
    "chopped": replace(TINY, rows=6, transfer=replace(TINY.transfer, chopper="random")),
    "128 slots": replace(TINY, rows=10, columns=2, update=replace(TINY.update, slots=128)),
    "64 slots, skewed": replace(
        TINY,
        rows=10,
        columns=2,
        update=replace(TINY.update, slots=64, stream_mode="stochastic", row_skew=True),
    ),
    "paper": preset("paper"),
    "segments": replace(TINY, neurons=NeuronSpec(segments_log2=3)),
}

SCRIPTS: dict[str, Callable[[TileSpec, int], Script]] = {
    "training": lambda spec, seed: script(spec, seed, training(spec, seed)),
    "codes and raw access": lambda spec, seed: script(
        spec,
        seed,
        raw_access(spec, seed),
        masked=True,
        RAW_FORWARD=0,
        RAW_BACKWARD=0,
        BACKWARD_SHIFT=-1,
        BRINGUP=1,
    ),
    "formats": lambda spec, seed: script(spec, seed, formats(spec, seed)),
    "raw rows": lambda spec, seed: script(spec, seed, raw_rows(spec), BRINGUP=1),
    "queued": lambda spec, seed: script(spec, seed, queued(spec, seed), HIDDEN=0),
    "close commands": lambda spec, seed: script(spec, seed, close_commands()),
    "far rows": lambda spec, seed: script(spec, seed, far_rows(spec)),
    "half held": lambda spec, seed: script(spec, seed, half_held(spec, seed)),
    "missed rows": lambda spec, seed: script(spec, seed, missed_rows(spec, seed)),
    "any codes": lambda spec, seed: script(spec, seed, any_codes(spec, seed)),
    "wrong use": lambda spec, seed: script(spec, seed, wrong_use(spec)),
    "segments": through_segments,
    "example": lambda spec, seed: script(spec, seed, example(spec, seed)),
    "edges": lambda spec, seed: script(spec, seed, edges(spec, seed)),
    "results stay": lambda spec, seed: script(spec, seed, results_stay(spec, seed)),
    "interruptions": lambda spec, seed: script(spec, seed, interruptions(spec, seed)),
    "restored": lambda spec, seed: script(spec, seed, restored(spec, seed), BRINGUP=1),
    "polarities": lambda spec, seed: script(spec, seed, polarities(spec, seed)),
    "refusals": lambda spec, seed: script(spec, seed, refusals(spec)),
    "restored kinds": lambda spec, seed: script(
        spec, seed, restored_kinds(spec, seed), masked=seed % 2 == 0
    ),
    "aborted": lambda spec, seed: script(spec, seed, aborted(spec, seed)),
    "weights": lambda spec, seed: script(spec, seed, weights(spec, seed)),
    "weights, no column": lambda spec, seed: replace(
        script(spec, seed, weights(spec, seed)), enabled=np.zeros(spec.columns, np.bool_)
    ),
    "rails": lambda spec, seed: script(
        spec, seed, rails(spec, seed), HIDDEN=0, RAW_FORWARD=0, RAW_BACKWARD=0, BACKWARD_SHIFT=2
    ),
    **{
        f"cut {name}": lambda spec, seed, name=name: script(spec, seed, cut(spec, seed, name))
        for name in CUT_COMMANDS
    },
}

FOR_ANY_SIZE = (
    "training", "codes and raw access", "results stay", "interruptions", "formats", "far rows",
    "weights", "weights, no column", "close commands",
)  # fmt: skip
"""The others need three rows."""


def fits(name: str, spec: TileSpec) -> bool:
    """Whether a script is for a tile."""
    if name == "segments":
        return spec.neurons.segments > 0
    return spec.rows >= 3 or name in FOR_ANY_SIZE


MOMENTS = [
    Moment(),
    Moment(after=True),
    Moment(at_once=True),
    *(Moment(steps) for steps in range(6)),
]


def plain(found: Found) -> Found:
    """The same as JSON has it, for what crosses to another process: no tuples, bytes or words."""

    def other(value: Any) -> Any:
        return value.hex() if isinstance(value, bytes) else value.value

    return unpacked(json.loads(json.dumps(asdict(found), default=other)))


def unpacked(fields: dict[str, Any]) -> Found:
    """What a tile made of a script, from JSON."""
    found = Found(**fields)
    if fields["cut"] is not None:
        found.cut = Cut(**fields["cut"])
    return found


def check(found: Found, case: Script, seed: int) -> None:
    """What a simulated tile made of a script is what golden makes of it, in all that can be seen.

    Where a soft reset ends a command, golden's falls at a moment that fits what the pins saw.
    """
    differences = []
    cuts = any(kind == "cut" for kind, *_ in case.steps)
    for moment in MOMENTS if cuts else MOMENTS[:1]:
        try:
            watch = functional.Watch(case.spec, case.control, found.stalls)
            golden = golden_tile(
                case, arrays(case.spec, seed)[0], found.cut, moment, watch, found.aborted
            )
            assert plain(found) == plain(golden)
        except AssertionError as difference:
            differences.append(f"{moment}: {str(difference).splitlines()[0]}")
        else:
            watch.keep()
            return
    raise AssertionError(f"{found.cut}\n" + "\n".join(differences))
