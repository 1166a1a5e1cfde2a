"""One side's update stream: the thresholds of an UPDATE's slots, one a cycle.

An UPDATE draws once for the scramble and once a slot. `begin` is accepted while idle; the first
threshold is offered two cycles later, then one a cycle as it is taken. A second phase begins with
`replay` and gets the same thresholds again, because the draws are the UPDATE's, not the phase's.
`commit` ends the UPDATE; `stop`, before that, takes its draws back: an UPDATE cut short by a soft
reset leaves the register as it found it.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spec.lfsr import COLUMN_LAG, DRAW_BITS, LFSR_BITS, ROW_LAG, STEPS_A_DRAW
from spec.tile import TileSpec

BEGIN = data.StructLayout({"replay": 1})
"""What begins a phase of an UPDATE: `replay` for the second one."""


class UpdateStream(wiring.Component):
    """`side` is "row" or "column". `scale` is the rate register, `state` the LFSR's present state.

    While idle, `write_state` loads `new_state`, which must not be 0.
    """

    begin: stream.Interface
    o: stream.Interface
    commit: Signal
    stop: Signal
    scale: Signal
    write_state: Signal
    new_state: Signal
    state: Signal

    def __init__(self, spec: TileSpec, side: str) -> None:
        """Raises ValueError on an unknown side."""
        if side not in ("row", "column"):
            raise ValueError(f"side {side!r}: row or column")
        self.side, self.slots, self.slot_bits = side, spec.update.slots, spec.update.slot_bits
        self.low_discrepancy = spec.update.stream_mode == "low_discrepancy"
        self.bits = (spec.row_code if side == "row" else spec.column_code).bits
        super().__init__(
            {
                "begin": In(stream.Signature(BEGIN)),
                "o": Out(stream.Signature(self.bits)),
                "commit": In(1),
                "stop": In(1),
                "scale": In(DRAW_BITS),
                "write_state": In(1),
                "new_state": In(LFSR_BITS),
                "state": Out(LFSR_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A register, 16 XORs, a multiplier, and a counter of slots."""
        m = Module()
        # State 0 would stay 0 for ever.
        state, first = Signal(LFSR_BITS, init=1), Signal(LFSR_BITS, init=1)
        open_ = Signal()
        m.d.comb += self.state.eq(state)
        scramble = Signal(self.slot_bits)
        slot = Signal(self.slot_bits)
        drawn = self._drawn(state)
        threshold = self._threshold(drawn[:DRAW_BITS], slot, scramble)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.begin.ready.eq(1)
                with m.If(self.begin.valid & ~self.stop):
                    m.d.sync += first.eq(Mux(self.begin.payload.replay, first, state))
                    with m.If(self.begin.payload.replay):
                        m.d.sync += state.eq(first)
                    m.d.sync += open_.eq(1)
                    m.next = "SCRAMBLE"
                with m.Elif(self.write_state):
                    m.d.sync += state.eq(self.new_state)
            with m.State("SCRAMBLE"):
                m.d.sync += [
                    state.eq(drawn),
                    scramble.eq(drawn[DRAW_BITS - self.slot_bits : DRAW_BITS]),
                    slot.eq(0),
                ]
                m.next = "SLOTS"
                with m.If(self.stop):
                    m.next = "IDLE"
            with m.State("SLOTS"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(threshold)]
                with m.If(self.o.ready):
                    m.d.sync += [state.eq(drawn), slot.eq(slot + 1)]
                    with m.If(slot == self.slots - 1):
                        m.next = "IDLE"
                with m.If(self.stop):
                    m.next = "IDLE"
        with m.If(self.stop):
            with m.If(open_):
                m.d.sync += state.eq(first)
        with m.If(self.stop | self.commit):
            m.d.sync += open_.eq(0)
        return m

    def _drawn(self, state: Signal):
        """The state 16 steps on: both lags are at least 16, so that it is one layer of XORs."""
        lag = ROW_LAG if self.side == "row" else COLUMN_LAG
        new = state[LFSR_BITS - STEPS_A_DRAW :] ^ state[lag - STEPS_A_DRAW : lag]
        return Cat(new[:STEPS_A_DRAW], state[: LFSR_BITS - STEPS_A_DRAW])

    def _threshold(self, draw, slot: Signal, scramble: Signal):
        if self.low_discrepancy:
            order = slot if self.side == "row" else slot[::-1]
            draw = Cat(draw[: DRAW_BITS - self.slot_bits], order ^ scramble)
        full = (draw * self.scale)[DRAW_BITS:]
        # No code is above the largest, so that a threshold beyond it may as well be that one.
        largest = (1 << self.bits) - 1
        return Mux(full > largest, largest, full[: self.bits])
