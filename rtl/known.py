"""What is known of the tile: the polarity of its rows, the offsets of its channels.

Neither is after aresetn. Raw access loses the polarity. It is known when the host says so, or when
INIT has committed every row: `covered` counts them from row 0 up, and a row out of turn counts for
nothing. Takes effect in the next cycle.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.phase import index_bits, row_bits
from spec.tile import TileSpec


class Known(wiring.Component):
    """`blanked`: an INIT committed `row`. `valid`: the host vouches. `lost`: raw access began.

    `calibrates`: an auto-zero begins, and the offsets are none until `offsets`: it is complete, or
    the host has written one.
    """

    blanked: Signal
    row: Signal
    valid: Signal
    lost: Signal
    calibrates: Signal
    offsets: Signal
    unknown: Signal
    calibrated: Signal

    def __init__(self, spec: TileSpec) -> None:
        """Unknown at first."""
        self.spec = spec
        super().__init__(
            {
                "blanked": In(1),
                "row": In(row_bits(spec)),
                "valid": In(1),
                "lost": In(1),
                "calibrates": In(1),
                "offsets": In(1),
                "unknown": Out(1, init=1),  # pyright: ignore[reportCallIssue]
                "calibrated": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A counter."""
        m = Module()
        with m.If(self.calibrates | self.offsets):
            m.d.sync += self.calibrated.eq(self.offsets)
        covered = Signal(index_bits(self.spec.rows))
        with m.If(self.lost):
            m.d.sync += [self.unknown.eq(1), covered.eq(0)]
        with m.Elif(self.valid):
            m.d.sync += [self.unknown.eq(0), covered.eq(0)]
        with m.Elif(self.unknown & self.blanked & (self.row == covered)):
            m.d.sync += covered.eq(covered + 1)
            with m.If(covered == self.spec.rows - 1):
                m.d.sync += [self.unknown.eq(0), covered.eq(0)]
        return m
