"""The journal: what a row needs to be finished after a soft reset, and the range that it is of.

Its parent never clears it by a soft reset. A write takes effect in the next cycle; the codes of a
group are there a cycle after their number. Nothing here can stall.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.phase import column_bits, groups, index_bits, row_bits
from rtl.window import GroupMemory, window_signature
from spec.commands import KIND_BITS
from spec.tile import TileSpec


def state_members(spec: TileSpec) -> dict[str, Any]:
    """The journal's registers and their shapes.

    The range has rows to go while next_row <= last_row, which is -1 where there was none.
    """
    return {
        "valid": 1,
        "row": row_bits(spec),
        "p_new": 1,
        "kind": KIND_BITS,
        "next_row": index_bits(spec.rows + 1),
        "last_row": signed(row_bits(spec) + 1),
    }


def journal_signature(spec: TileSpec) -> wiring.Signature:
    """The journal as the sequencer has it.

    `start` writes kind and range. `open` makes `next_row` the row, with `open_p_new`, and `valid`.
    `commit` clears `valid` and advances `next_row`. `end` leaves no row to go after the one in
    hand. `put` writes one code, `write` a group.
    """
    code_bits = spec.weight_code.bits
    group_bits = index_bits(groups(spec, spec.columns))
    word_bits = spec.converters.lanes * code_bits
    return wiring.Signature(
        {
            "start": Out(1),
            "start_kind": Out(KIND_BITS),
            "start_first": Out(row_bits(spec)),
            "start_last": Out(row_bits(spec)),
            "open": Out(1),
            "open_p_new": Out(1),
            "commit": Out(1),
            "end": Out(1),
            "put": Out(1),
            "put_column": Out(column_bits(spec)),
            "put_code": Out(code_bits),
            "write": Out(1),
            "write_group": Out(group_bits),
            "write_codes": Out(word_bits),
            "read_group": Out(group_bits),
            "codes": In(word_bits),
            **{name: In(shape) for name, shape in state_members(spec).items()},
        }
    )


class Journal(wiring.Component):
    """The registers, and the codes in groups of `lanes`.

    The host's side is used while the sequencer is idle: `restore_row` writes valid, row, p_new and
    kind, `restore_range` next_row and last_row, from `restored`; `discard` clears `valid`.
    """

    sequencer: Any
    window: Any
    restore_row: Signal
    restore_range: Signal
    restored: Any
    discard: Signal
    valid: Signal
    row: Signal
    p_new: Signal
    kind: Signal
    next_row: Signal
    last_row: Signal

    def __init__(self, spec: TileSpec) -> None:
        """Not valid, and no row to go."""
        self.spec = spec
        self.members = state_members(spec)
        restored = wiring.Signature({name: Out(shape) for name, shape in self.members.items()})
        super().__init__(
            {
                "sequencer": In(journal_signature(spec)),
                "window": In(window_signature(spec.columns, spec.weight_code.bits)),
                "restore_row": In(1),
                "restore_range": In(1),
                "restored": In(restored),
                "discard": In(1),
                **{name: Out(shape) for name, shape in self.members.items()},
                "last_row": Out(  # The stubs do not know `init`.
                    self.members["last_row"],
                    init=-1,  # pyright: ignore[reportCallIssue]
                ),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One register each, and the memory behind two users of its window."""
        m = Module()
        link, restored = self.sequencer, self.restored
        for name in self.members:
            m.d.comb += getattr(link, name).eq(getattr(self, name))

        with m.If(link.start):
            m.d.sync += [
                self.kind.eq(link.start_kind),
                self.next_row.eq(link.start_first),
                self.last_row.eq(link.start_last),
            ]
        with m.If(link.open):
            m.d.sync += [
                self.valid.eq(1),
                self.row.eq(self.next_row),
                self.p_new.eq(link.open_p_new),
            ]
        with m.If(link.commit):
            m.d.sync += [self.valid.eq(0), self.next_row.eq(self.row + 1)]
        with m.If(link.end):
            m.d.sync += self.last_row.eq(Mux(self.valid, self.row, self.next_row - 1))
        for strobe, names in (
            (self.restore_row, ("valid", "row", "p_new", "kind")),
            (self.restore_range, ("next_row", "last_row")),
        ):
            with m.If(strobe):
                m.d.sync += [getattr(self, name).eq(getattr(restored, name)) for name in names]
        with m.If(self.discard):
            m.d.sync += self.valid.eq(0)

        m.submodules.codes = codes = GroupMemory(
            self.spec.columns, self.spec.weight_code.bits, self.spec.converters.lanes
        )
        m.d.comb += [
            codes.read_group.eq(link.read_group),
            codes.write.eq(link.write),
            codes.write_group.eq(link.write_group),
            codes.data.eq(link.write_codes),
            link.codes.eq(codes.value),
            # The weights of a LOAD come one by one, as a host's codes do.
            codes.window.use.eq(link.put | self.window.use),
            codes.window.index.eq(Mux(link.put, link.put_column, self.window.index)),
            codes.window.write.eq(link.put | self.window.write),
            codes.window.data.eq(Mux(link.put, link.put_code, self.window.data)),
            self.window.value.eq(codes.window.value),
        ]
        return m
