"""The file of a recorded run: what each tile was asked, what it did at its pins, what it answered.

`docs/trace.md` has the format byte by byte. A writer puts whole orders in blocks, at least one a
second, so that a run that is killed leaves all but its last second; a reader checks every block.
"""

from __future__ import annotations

import hashlib
import json
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocotb_tests.closed_loop.pins import PAIRS, Event
from golden.training.config import configure, layer_specs
from golden.words import parts_of, pulsing
from rtl.top import module_name
from spec.commands import PairCode, Phase
from spec.errors import InputError
from spec.parameter import to_dict
from spec.tile import TileSpec

MAGIC = b"\x89crosstile trace\n"
VERSION = 1
HEAD, DATA, END = b"HEAD", b"DATA", b"END "
BLOCK = struct.Struct("<4sII")
"""Tag, bytes of what follows, CRC-32 of tag, length and what follows."""
BLOCK_BYTES, BLOCK_SECONDS = 1 << 20, 1.0
"""A block ends when it has so many bytes, or is so old."""
LARGEST_BLOCK = 1 << 28
NAMES = {
    Phase.IDLE: "wait",
    Phase.FORWARD: "integrate_columns",
    Phase.BACKWARD: "integrate_rows",
    Phase.UPDATE: "update",
    Phase.READ: "integrate_read",
    Phase.PRECHARGE: "precharge",
    Phase.RESET: "reset",
    Phase.SET: "set",
    Phase.CONVERT_FORWARD: "convert_forward",
    Phase.CONVERT_BACKWARD: "convert_backward",
    Phase.CONVERT_READ: "convert_read",
}
"""The event of each phase."""
KINDS = {name: phase for phase, name in NAMES.items()}
PAIR_CODES = {pair: code for code, pair in PAIRS.items()}
WAITS, EXPECTS, PACKET, ANSWERED = 1, 2, 4, 8
"""Flags of an order."""


@dataclass
class Order:
    """What a tile's host did once: writes, a packet, a wait, reads, and a packet that came."""

    tile: int
    operation: str
    writes: Sequence[tuple[int, int]] = ()
    """Addresses and words."""
    reads: Sequence[int] = ()
    packet: tuple[int, bytes] | None = None
    """Destination and content of what is sent."""
    waits: bool = False
    """For the command's interrupt."""
    expects: bool = False
    """A packet of results."""
    limit: int = 0
    """Cycles after which the host gives up."""
    events: list[Event] = field(default_factory=list)
    values: Sequence[int] = ()
    """What the reads gave."""
    result: bytes = b""
    answered: bool = False
    """`values` and `result` are what is right; not so where a run ended within an order."""
    cycle: int = 0
    """Cycles of the tile's clock up to the order's end."""

    @property
    def right_values(self) -> Sequence[int] | None:
        """What the reads must give, as far as that is known; a command's are of its errors."""
        if self.answered:
            return self.values
        return [0] * len(self.reads) if self.waits else None

    @property
    def right_result(self) -> bytes | None:
        """What the packet must be, where one is expected and that is known."""
        return self.result if self.answered and self.expects else None


# -- bytes of an order -------------------------------------------------------------------------


def pack(order: Order, spec: TileSpec) -> bytes:
    """An order as the format has it."""
    flags = order.waits * WAITS | order.expects * EXPECTS | order.answered * ANSWERED
    flags |= PACKET if order.packet is not None else 0
    operation = order.operation.encode()
    parts = [
        struct.pack(
            "<HBBBBIQI", order.tile, flags, len(operation), len(order.writes), len(order.reads),
            order.limit, order.cycle, len(order.events),
        ),
        operation,
        *(struct.pack("<HI", address, word) for address, word in order.writes),
        *(struct.pack("<H", address) for address in order.reads),
    ]  # fmt: skip
    if order.packet is not None:
        destination, content = order.packet
        parts += [struct.pack("<BH", destination, len(content)), content]
    if order.answered:
        parts += [struct.pack(f"<{len(order.values)}I", *order.values)]
        if order.expects:
            parts += [struct.pack("<H", len(order.result)), order.result]
    parts += [_pack_event(event, spec) for event in order.events]
    return b"".join(parts)


def _array(kind: str, values: Any) -> bytes:
    return np.asarray(values).astype(kind).tobytes()


def _bits(values: Any) -> bytes:
    return np.packbits(np.asarray(values).astype(np.uint8), bitorder="little").tobytes()


def _pack_event(event: Event, spec: TileSpec) -> bytes:
    kind, of = KINDS[event.name], event.arguments
    head = struct.pack("<B", kind)
    if kind is Phase.IDLE:
        return head + struct.pack("<I", of["duration_ns"] // spec.timing.cycle_ns)
    if kind is Phase.FORWARD:
        return head + struct.pack("<B", of["lower_swap"]) + _array("<u2", of["durations"])
    if kind is Phase.BACKWARD:
        return head + _array("<i2", of["durations"]) + _bits(of["row_lower_swap"])
    if kind is Phase.UPDATE:
        words = _array("<u4", of["row_words"]) + _array("<u4", of["column_words"])
        return head + words + _bits(of["charge"] & pulsing(of["column_words"]))
    if kind is Phase.READ:
        pair = PAIR_CODES[of["pair"]]
        return head + struct.pack("<HBB", of["row"], pair, of["lower_swap"])
    if kind in (Phase.PRECHARGE, Phase.RESET, Phase.SET):
        head += struct.pack("<H", of["row"])
    if kind in (Phase.RESET, Phase.SET, Phase.CONVERT_FORWARD, Phase.CONVERT_READ):
        head += _bits(of["active"])
    if kind is Phase.SET:
        head += _bits(of["minus"]) + _array("u1", of["step_codes"])
    if event.result is not None:
        head += _array("<i2", event.result)
    return head


class _Bytes:
    """A block's content, taken from its front."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def take(self, count: int) -> bytes:
        taken = self.content[self.at : self.at + count]
        if len(taken) < count:
            raise ValueError("it ends within an order")
        self.at += count
        return taken

    def fields(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def array(self, kind: str, count: int) -> NDArray[Any]:
        return np.frombuffer(self.take(count * np.dtype(kind).itemsize), kind)

    def integers(self, kind: str, count: int) -> NDArray[np.int64]:
        return self.array(kind, count).astype(np.int64)

    def bits(self, count: int) -> NDArray[np.bool_]:
        packed = self.array("u1", -(-count // 8))
        return np.unpackbits(packed, count=count, bitorder="little") > 0


def unpack(content: _Bytes, specs: Sequence[TileSpec]) -> Order:
    """The order that begins here. Raises ValueError, IndexError or KeyError where it is none."""
    tile, flags, letters, writes, reads, limit, cycle, events = content.fields("HBBBBIQI")
    spec = specs[tile]
    order = Order(
        tile, content.take(letters).decode(), limit=limit, cycle=cycle,
        waits=bool(flags & WAITS), expects=bool(flags & EXPECTS), answered=bool(flags & ANSWERED),
    )  # fmt: skip
    order.writes = [content.fields("HI") for _ in range(writes)]  # type: ignore[misc]
    order.reads = list(content.fields(f"{reads}H"))
    if flags & PACKET:
        destination, length = content.fields("BH")
        order.packet = destination, content.take(length)
    if order.answered:
        order.values = list(content.fields(f"{reads}I"))
        if order.expects:
            (length,) = content.fields("H")
            order.result = content.take(length)
    order.events = [_unpack_event(content, spec) for _ in range(events)]
    return order


def _unpack_event(content: _Bytes, spec: TileSpec) -> Event:
    kind = Phase(content.fields("B")[0])
    rows, columns = spec.rows, spec.columns
    of: dict[str, Any] = {}
    result = None
    if kind is Phase.IDLE:
        of["duration_ns"] = content.fields("I")[0] * spec.timing.cycle_ns
    elif kind is Phase.FORWARD:
        (of["lower_swap"],) = content.fields("B")
        of["durations"] = content.integers("<u2", rows)
    elif kind is Phase.BACKWARD:
        of["durations"] = content.integers("<i2", columns)
        of["row_lower_swap"] = content.bits(rows).astype(np.int64)
    elif kind is Phase.UPDATE:
        parts = parts_of(spec.update.slots)
        of["row_words"] = content.array("<u4", parts * rows).reshape(parts, rows)
        of["column_words"] = content.array("<u4", parts * columns).reshape(parts, columns)
        of["charge"] = content.bits(columns)
    elif kind is Phase.READ:
        of["row"], pair, of["lower_swap"] = content.fields("HBB")
        of["pair"] = PAIRS[PairCode(pair)]
    elif kind in (Phase.PRECHARGE, Phase.RESET, Phase.SET):
        (of["row"],) = content.fields("H")
    if kind in (Phase.RESET, Phase.SET, Phase.CONVERT_FORWARD, Phase.CONVERT_READ):
        of["active"] = content.bits(columns)
    if kind is Phase.SET:
        of["minus"] = content.bits(columns)
        of["step_codes"] = content.integers("u1", columns)
    elif kind is Phase.CONVERT_FORWARD:
        result = content.integers("<i2", columns)
    elif kind is Phase.CONVERT_BACKWARD:
        result = content.integers("<i2", rows)
    elif kind is Phase.CONVERT_READ:
        repeats = of["repeats"] = 1 << spec.converters.read_average_log2
        result = content.integers("<i2", repeats * columns).reshape(repeats, columns)
    return Event(NAMES[kind], of, result)


# -- the file ----------------------------------------------------------------------------------


def describe(cell: str, settings: dict[str, str], layers: list[int]) -> dict[str, Any]:
    """What a reader needs to know of the tiles: the arguments that make them, and their digests."""
    specs = layer_specs(configure(cell, settings), layers)
    tiles = [
        {"module": module_name(spec), "rows": spec.rows, "columns": spec.columns,
         "spec_sha256": _digest(spec), "spec": to_dict(spec)}
        for spec in specs
    ]  # fmt: skip
    return {"cell": cell, "settings": settings, "layers": layers, "tiles": tiles}


def _digest(spec: TileSpec) -> str:
    return hashlib.sha256(json.dumps(to_dict(spec), sort_keys=True).encode()).hexdigest()


def _specs(description: dict[str, Any]) -> list[TileSpec]:
    """Raises ValueError where this program makes other tiles of the same arguments."""
    config = configure(description["cell"], description["settings"])
    specs = layer_specs(config, description["layers"])
    if [_digest(spec) for spec in specs] != [tile["spec_sha256"] for tile in description["tiles"]]:
        raise ValueError("this program makes other tiles of its settings than it was recorded with")
    return specs


class Writer:
    """Writes a trace as orders come; use as a context, and `end` it."""

    def __init__(self, path: Path, description: dict[str, Any]) -> None:
        """`description` goes to the head, which is written at once; see `describe`."""
        self.specs, self.orders, self.events = _specs(description), 0, 0
        self._file = path.open("wb")
        self._block, self._size, self._begun = list[bytes](), 0, time.monotonic()
        self._last: Order | None = None
        self._file.write(MAGIC + struct.pack("<I", VERSION))
        self._write(HEAD, json.dumps(description).encode())

    def _write(self, tag: bytes, content: bytes) -> None:
        checked = tag + struct.pack("<I", len(content)) + content
        self._file.write(BLOCK.pack(tag, len(content), zlib.crc32(checked)) + content)
        self._file.flush()

    def add(self, order: Order) -> None:
        """The next order. It is written when another follows: until then it may be corrected."""
        self._flush_last()
        self._last = order
        if self._size > BLOCK_BYTES or time.monotonic() - self._begun > BLOCK_SECONDS:
            self._end_block()

    def _flush_last(self) -> None:
        if self._last is None:
            return
        packed = pack(self._last, self.specs[self._last.tile])
        self._block.append(packed)
        self._size += len(packed)
        self.orders += 1
        self.events += len(self._last.events)
        self._last = None

    def _end_block(self) -> None:
        if self._block:
            self._write(DATA, zlib.compress(b"".join(self._block), 6))
        self._block, self._size, self._begun = [], 0, time.monotonic()

    def end(self, mismatch: dict[str, Any] | None) -> None:
        """No more orders come. `mismatch` ended the recorded run, if one did."""
        if self._last is not None and mismatch is not None:
            if mismatch["what"] == "code":
                self._last.result = _corrected(self._last.result, mismatch)
            else:
                self._last.answered = False
        self._flush_last()
        self._end_block()
        content = {"orders": self.orders, "events": self.events, "mismatch": mismatch}
        self._write(END, json.dumps(content).encode())
        self._file.close()


def _corrected(result: bytes, mismatch: dict[str, Any]) -> bytes:
    """The packet as golden has it, as far as the mismatch tells: a trace holds what is right."""
    lines = [mismatch[side] for side in ("row", "column") if mismatch[side] is not None]
    codes = np.frombuffer(result[: len(result) & ~1], "<i2").copy()
    if len(lines) == 1 and lines[0] < len(codes):
        codes[lines[0]] = mismatch["expected"]
    return codes.tobytes()


class Reader:
    """A trace that was checked, block by block: not foreign, not altered, and whole or not."""

    def __init__(self, path: Path) -> None:
        """Raises InputError, one line."""
        self.path = path
        self.description: dict[str, Any] = {}
        self.complete = False
        """It has its end mark; else it was cut, or its recording was stopped."""
        self.mismatch: dict[str, Any] | None = None
        """What ended the recorded run."""
        self.counts: dict[str, int] = {}
        """Its orders and events, where it is complete."""
        try:
            for tag, content in self._blocks():
                if tag == HEAD:
                    self.description = json.loads(content)
                elif tag == END:
                    end = json.loads(content)
                    self.mismatch = end.pop("mismatch")
                    self.counts = end
                    self.complete = True
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
        if not self.description:
            raise InputError(f"{path}: ends before its head does; record it again")
        try:
            self.specs = _specs(self.description)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: {error}; record it again") from None

    def _blocks(self) -> Iterator[tuple[bytes, bytes]]:
        """Whole blocks, in order; the rest of a file that was cut is left out."""
        with self.path.open("rb") as file:
            start = file.read(len(MAGIC) + 4)
            if start[: len(MAGIC)] != MAGIC or len(start) < len(MAGIC) + 4:
                raise InputError(
                    f"{self.path}: is no trace; give the trace.bin of crosstile cosim --record"
                )
            (version,) = struct.unpack("<I", start[-4:])
            if version != VERSION:
                raise InputError(
                    f"{self.path}: is a trace of version {version}, this program reads version "
                    f"{VERSION}; record it again"
                )
            expected = {HEAD}
            while head := file.read(BLOCK.size):
                if len(head) < BLOCK.size and expected:
                    return
                at = file.tell() - len(head)
                head = head.ljust(BLOCK.size)
                tag, length, check = BLOCK.unpack(head)
                damaged = InputError(
                    f"{self.path}: is damaged in its block at byte {at}; record it again"
                )
                if tag not in expected or length > LARGEST_BLOCK:
                    raise damaged
                content = file.read(length)
                if len(content) < length:
                    return
                if zlib.crc32(tag + struct.pack("<I", length) + content) != check:
                    raise damaged
                yield tag, content
                expected = {DATA, END} if tag != END else set()

    def orders(self) -> Iterator[Order]:
        """Every order, one block in memory at a time. Raises InputError."""
        number = 0
        for tag, content in self._blocks():
            if tag != DATA:
                continue
            try:
                block = _Bytes(zlib.decompress(content))
                while block.at < len(block.content):
                    yield unpack(block, self.specs)
                    number += 1
            except (ValueError, IndexError, KeyError, struct.error, zlib.error) as error:
                raise InputError(
                    f"{self.path}: order {number} is none of these tiles ({error}); record it again"
                ) from None
