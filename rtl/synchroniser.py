"""An input of another clock, or of none, seen through flip-flops that have time to settle."""

from __future__ import annotations

from amaranth.hdl import Elaboratable, Module, Signal

ATTRIBUTES = {"ASYNC_REG": "TRUE"}
"""Vivado then places the flip-flops side by side, and makes no shift register of them."""


class Synchroniser(Elaboratable):
    """`inner` is what `pin` was so many cycles ago; 0 after a reset."""

    def __init__(self, pin: Signal, inner: Signal, flops: int) -> None:
        """A bit each. `flops` >= 2, as one alone may go on undecided."""
        self.pin, self.inner, self.flops = pin, inner, flops

    def elaborate(self, platform: object) -> Module:
        """A row of flip-flops."""
        m = Module()
        at = self.pin
        for number in range(self.flops):
            stage = Signal(name=f"stage{number}", attrs=ATTRIBUTES)
            m.d.sync += stage.eq(at)
            at = stage
        m.d.comb += self.inner.eq(at)
        return m
