"""A range of rows, as the controller gives it to the sequencer."""

from __future__ import annotations

from amaranth.lib import data

from rtl.phase import row_bits
from spec.commands import KIND_BITS
from spec.tile import TileSpec


def start_layout(spec: TileSpec) -> data.StructLayout:
    """A range of rows, and the command that it is worked for."""
    return data.StructLayout(
        {"kind": KIND_BITS, "first": row_bits(spec), "last": row_bits(spec)}
    )  # fmt: skip
