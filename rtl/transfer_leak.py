"""Leak compensation: a share of the lower pair is added to what a row's weights read as."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, signed

from rtl.formats import round_half_even, saturate, times
from spec.tile import TileSpec

COMPENSATION_BITS = 8


def compensated(
    m: Module, spec: TileSpec, lane: str, code: Signal, lower_before: Value, adds: Value
) -> tuple[Signal, Value]:
    """`code` two cycles later; three cycles later its sum with the share, if `adds`, else itself.

    A cycle for the share, one for its rounding, one for the sum.
    """
    share_of, bits = spec.transfer.leak_compensation, spec.weight_code.bits
    share = Signal(signed(bits + share_of.bit_length()), name=f"{lane}_share")
    code_2 = Signal(signed(bits), name=f"{lane}_code_2")
    code_3 = Signal(signed(bits), name=f"{lane}_code_3")
    leaked = round_half_even(m, share, COMPENSATION_BITS, f"{lane}_leaked")
    rounded = Signal.like(leaked, name=f"{lane}_rounded")
    added = Signal(signed(bits + 2), name=f"{lane}_compensated")
    m.d.sync += [
        share.eq(times(lower_before, share_of)),
        rounded.eq(Mux(adds, leaked, 0)),
        code_2.eq(code),
        code_3.eq(code_2),
        added.eq(code_3 + rounded),
    ]
    return code_3, saturate(added, spec.weight_code)
