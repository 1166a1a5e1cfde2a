"""rtl/journal.py against the journal of golden/digital/transfer.py, write by write."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.digital.transfer import Journal as GoldenJournal
from golden.digital.transfer import Kind
from rtl.journal import Journal
from spec.presets import preset
from spec.tile import TileSpec
from tests.equivalence.bench import simulate

few = settings(max_examples=12, deadline=None)
NAMES = ("valid", "row", "p_new", "kind", "next_row", "last_row")
Write = tuple[str, dict[str, Any]]


def tile(rows: int, columns: int, lanes: int) -> TileSpec:
    tiny = preset("tiny")
    converters = dataclasses.replace(tiny.converters, lanes=lanes)
    return dataclasses.replace(tiny, rows=rows, columns=columns, converters=converters)


def rtl_journal(spec: TileSpec, writes: list[Write]):
    """After each write the registers; at the end the codes, by the window and by the groups."""
    block, found, codes = Journal(spec), [], []
    link, window = block.sequencer, block.window
    bits, lanes = spec.weight_code.bits, spec.converters.lanes

    def signed(code: int) -> int:
        return code - ((code >> (bits - 1)) << bits)

    async def bench(ctx: Any) -> None:
        strobes = {
            **{name: getattr(link, name) for name in ("start", "open", "commit", "end", "put")},
            **{name: getattr(block, name) for name in ("restore_row", "restore_range", "discard")},
            "write": link.write,
            "window": window.write,
        }
        for name, values in writes:
            ctx.set(window.use, int(name == "window"))
            for field, value in values.items():
                where: Any = block.restored if name.startswith("restore") else link
                where = window if name == "window" else where
                ctx.set(getattr(where, field), value)
            ctx.set(strobes[name], 1)
            if name == "commit" and values:
                ctx.set(link.end, 1)
            await ctx.tick()
            ctx.set(strobes[name], 0)
            ctx.set(link.end, 0)
            found.append({name: ctx.get(getattr(block, name)) for name in NAMES})
        ctx.set(window.use, 1)
        for column in range(spec.columns):
            ctx.set(window.index, column)
            await ctx.tick().repeat(2)
            codes.append(signed(ctx.get(window.value)))
        ctx.set(window.use, 0)
        for column in range(spec.columns):
            ctx.set(link.read_group, column // lanes)
            await ctx.tick()
            word = ctx.get(link.codes) >> (column % lanes * bits)
            codes.append(signed(word & ((1 << bits) - 1)))

    simulate(block, bench)
    return found, codes


def golden_journal(spec: TileSpec, writes: list[Write]):
    journal = GoldenJournal(np.zeros(spec.columns, np.int64))
    next_row, last_row, found, lanes = 0, -1, [], spec.converters.lanes
    bits = spec.weight_code.bits
    for name, values in writes:
        if name == "start":
            journal.kind = Kind(values["start_kind"])
            next_row, last_row = values["start_first"], values["start_last"]
        elif name == "open":
            journal.valid, journal.row, journal.p_new = True, next_row, values["open_p_new"]
        elif name == "commit":
            last_row = journal.row if values else last_row
            journal.valid, next_row = False, journal.row + 1
        elif name == "end":
            last_row = journal.row if journal.valid else next_row - 1
        elif name == "restore_row":
            journal.valid, journal.row = bool(values["valid"]), values["row"]
            journal.p_new, journal.kind = values["p_new"], Kind(values["kind"])
        elif name == "restore_range":
            next_row, last_row = values["next_row"], values["last_row"]
        elif name == "discard":
            journal.valid = False
        elif name == "write":
            for lane in range(lanes):
                column = values["write_group"] * lanes + lane
                code = (values["write_codes"] >> (lane * bits)) & ((1 << bits) - 1)
                if column < spec.columns:
                    journal.codes[column] = code - ((code >> (bits - 1)) << bits)
        else:
            column = values["put_column" if name == "put" else "index"]
            code = values["put_code" if name == "put" else "data"]
            journal.codes[column] = code - ((code >> (bits - 1)) << bits)
        registers = (int(journal.valid), journal.row, journal.p_new, journal.kind.value)
        found.append(dict(zip(NAMES, (*registers, next_row, last_row), strict=True)))
    return found, journal.codes.tolist() * 2


@st.composite
def writes_of(draw: Any, spec: TileSpec) -> list[Write]:
    """A commit comes only to a valid row, as the sequencer's does."""
    row = st.integers(0, spec.rows - 1)
    kind, bit, column = st.integers(0, 2), st.integers(0, 1), st.integers(0, spec.columns - 1)
    code = st.integers(0, (1 << spec.weight_code.bits) - 1)
    lanes = spec.converters.lanes
    word = st.integers(0, (1 << (lanes * spec.weight_code.bits)) - 1)
    group = st.integers(0, -(-spec.columns // lanes) - 1)
    fields: dict[str, dict[str, Any]] = {
        "start": {"start_kind": kind, "start_first": row, "start_last": row},
        "open": {"open_p_new": bit},
        "end": {},
        "restore_row": {"valid": bit, "row": row, "p_new": bit, "kind": kind},
        "restore_range": {
            "next_row": st.integers(0, spec.rows),
            "last_row": st.integers(-1, spec.rows - 1),
        },
        "discard": {},
        "put": {"put_column": column, "put_code": code},
        "write": {"write_group": group, "write_codes": word},
        "window": {"index": column, "data": code},
    }
    names = [*fields, "open and commit", "open, commit and end", "write", "put", "window"]
    writes: list[Write] = []
    for name in draw(st.lists(st.sampled_from(names), min_size=10, max_size=40)):
        if "commit" in name:
            writes.append(("open", {"open_p_new": draw(bit)}))
            writes.append(("commit", {"end": 1} if "end" in name else {}))
        elif name != "open" or not writes or writes[-1][0] == "start":
            values = {field: draw(value) for field, value in fields[name].items()}
            writes.append((name, values))
    return writes


@pytest.mark.parametrize("size", [(5, 3, 1), (1, 1, 4), (8, 5, 2), (16, 9, 4)])
@few
@given(st.data())
def test_registers_and_codes(size: tuple[int, int, int], data: Any) -> None:
    spec = tile(*size)
    writes = data.draw(writes_of(spec))
    # No row is opened beyond the last: the sequencer never does, with next_row past the range.
    opened, next_row = [], 0
    for name, values in writes:
        if name == "start":
            next_row = values["start_first"]
        if name == "restore_range":
            next_row = values["next_row"]
        if name == "commit":
            next_row += 1
        if name == "open" and next_row >= spec.rows:
            opened.append(("restore_range", {"next_row": 0, "last_row": 0}))
            next_row = 0
        opened.append((name, values))
    assert rtl_journal(spec, opened) == golden_journal(spec, opened)
