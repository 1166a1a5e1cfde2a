"""A register slice: one register between two streams."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream


def register_slice(m: Module, i: stream.Interface, o: stream.Interface, payload: Any) -> None:
    """`o` offers, a cycle later, the `payload` made of what `i` offers.

    It takes a new one in the cycle in which its old one leaves: a full rate, and no drop.
    """
    m.d.comb += i.ready.eq(o.ready | ~o.valid)
    with m.If(i.ready):
        m.d.sync += [o.valid.eq(i.valid), o.payload.eq(payload)]
