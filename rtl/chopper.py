"""The chopper: draws a row's new polarity at random, where it is not just the other one.

`bit` is there in every cycle; after a `step` it is that of the next row. Its parent never clears it
by a soft reset. Why one step a row is enough is in its twin.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spec.lfsr import CHOPPER_LAG, CHOPPER_RESET, LFSR_BITS


def chopper_signature() -> wiring.Signature:
    """The chopper as the sequencer has it."""
    return wiring.Signature({"step": Out(1), "bit": In(1)})


class Chopper(wiring.Component):
    """A register whose `state` is never 0, and one XOR."""

    step: Signal
    bit: Signal
    state: Signal

    def __init__(self) -> None:
        """Starts as it does after aresetn."""
        super().__init__(
            {
                "step": In(1),
                "bit": Out(1),
                "state": Out(
                    LFSR_BITS,
                    init=CHOPPER_RESET,  # pyright: ignore[reportCallIssue]
                ),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The newest bit is the lowest."""
        m = Module()
        new = self.state[LFSR_BITS - 1] ^ self.state[CHOPPER_LAG - 1]
        m.d.comb += self.bit.eq(self.state[0])
        with m.If(self.step):
            m.d.sync += self.state.eq(Cat(new, self.state[:-1]))
        return m
