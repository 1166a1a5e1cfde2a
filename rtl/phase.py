"""What the tile asks of the phase driver."""

from __future__ import annotations

from amaranth.lib import data
from amaranth.utils import ceil_log2

from spec.commands import PairCode, Phase
from spec.tile import TileSpec

PHASE_BITS = max(Phase).bit_length()
PAIR_BITS = max(PairCode).bit_length()


def row_bits(spec: TileSpec) -> int:
    """Bits of a row's number."""
    return max(1, ceil_log2(spec.rows))


def column_bits(spec: TileSpec) -> int:
    """Bits of a column's number."""
    return max(1, ceil_log2(spec.columns))


def request_layout(spec: TileSpec) -> data.StructLayout:
    """One phase: `swap` is the polarity it works for, `row` and `pair` what it selects.

    `hold`: a CONVERT_READ that leaves the integrators as they are. `trim`: an UPDATE of the one
    row, with its line high in every slot. `replay`: an UPDATE of the second polarity, with the
    draws of the first.
    """
    return data.StructLayout(
        {
            "phase": PHASE_BITS,
            "swap": 1,
            "row": row_bits(spec),
            "pair": PAIR_BITS,
            "hold": 1,
            "trim": 1,
            "replay": 1,
        }
    )
