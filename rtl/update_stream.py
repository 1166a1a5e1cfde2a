"""One side's update stream: the thresholds of an UPDATE's slots, one a cycle.

An UPDATE draws once for the scramble and once a slot. `begin` is accepted while idle, an UPDATE's
second one a cycle after it is offered; the first threshold comes three cycles later, then one a
cycle as it is taken. A second phase (`replay`) gets the same thresholds again, because the draws
are the UPDATE's, not the phase's. `commit` ends the UPDATE: only then does the register move. With
`stop`, before that, the draws count for nothing: an UPDATE cut short by a soft reset leaves the
register as it found it.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spec.lfsr import COLUMN_LAG, DRAW_BITS, LFSR_BITS, ROW_LAG, STEPS_A_DRAW
from spec.tile import TileSpec

DIGIT_BITS = DRAW_BITS // 4
"""A multiplication in three steps: by each quarter of the scale, sums of two, their sum."""
BEGIN = data.StructLayout({"replay": 1})
"""What begins a phase of an UPDATE: `replay` for the second one."""


class UpdateStream(wiring.Component):
    """`side` is "row" or "column". `scale` is the rate register, `state` the LFSR's present state.

    While idle, and not in the cycle before `begin`, `write_state` loads `new_state`, which must not
    be 0.
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
        """The register, a copy that runs ahead of it, a multiplier in three steps, a slot count.

        While no UPDATE is open the copy has the first slot's draw already; the multiplier takes it
        in the cycle of `begin`.
        """
        m = Module()
        # State 0 would stay 0 for ever.
        state = Signal(LFSR_BITS, init=1)
        ahead = Signal(LFSR_BITS, init=1)
        scramble = Signal(self.slot_bits)
        slot = Signal(self.slot_bits)
        # What replaces a draw's top bits: of the slot to come, for the multiplier's sake.
        ordered = Signal(self.slot_bits)
        later = Signal.like(slot)
        ready = Signal()
        open_ = Signal()
        drawing = Signal()
        busy = Signal()
        begins, draws, moves = Signal(), Signal(), Signal()
        # The register of the rate is far.
        scale = Signal(DRAW_BITS)
        m.d.sync += scale.eq(self.scale)
        parts = [Signal(DRAW_BITS + DIGIT_BITS, name=f"part_{place}") for place in range(4)]
        halves = [Signal(DRAW_BITS + 2 * DIGIT_BITS, name=f"half_{half}") for half in range(2)]
        # One a line: the proofs find them by name.
        drawn = Signal()
        multiplied = Signal()
        m.d.comb += [
            self.state.eq(state),
            self.begin.ready.eq(ready),
            begins.eq(self.begin.valid & ready & ~self.stop),
            busy.eq(drawing | drawn | multiplied | self.o.valid),
            moves.eq(self.o.ready | ~self.o.valid),
            draws.eq(begins | drawing & moves),
        ]

        with m.If(begins):
            m.d.sync += [ready.eq(0), open_.eq(1), drawing.eq(1)]
        # What runs ahead is the register's next state until `commit`.
        with m.Elif(~ready & ~busy & (~open_ | self.begin.valid)):
            scrambled = self._drawn(state)
            m.d.sync += [
                ahead.eq(self._drawn(scrambled)),
                scramble.eq(new_scramble := scrambled[DRAW_BITS - self.slot_bits : DRAW_BITS]),
                ordered.eq(new_scramble),
                ready.eq(1),
            ]
        draw = ahead[:DRAW_BITS]
        if self.low_discrepancy:
            draw = Cat(ahead[: DRAW_BITS - self.slot_bits], ordered)
        with m.If(moves):
            m.d.sync += [
                self.o.valid.eq(multiplied),
                self.o.payload.eq(self._threshold(halves)),
                multiplied.eq(drawn),
                drawn.eq(0),
            ]
            # Of what is no draw as well.
            m.d.sync += [
                part.eq(self._times(draw, scale.word_select(place, DIGIT_BITS)))
                for place, part in enumerate(parts)
            ]
            m.d.sync += [
                half.eq(low + (high << DIGIT_BITS))
                for half, low, high in zip(halves, parts[::2], parts[1::2], strict=True)
            ]
        with m.If(draws):
            m.d.comb += later.eq(slot + 1)
            order = later if self.side == "row" else later[::-1]
            m.d.sync += [drawn.eq(1), slot.eq(later), ordered.eq(order ^ scramble)]
            with m.If(slot == self.slots - 1):
                m.d.sync += drawing.eq(0)
            with m.Else():
                m.d.sync += ahead.eq(self._drawn(ahead))

        with m.If(self.commit & open_ & ~self.stop):
            m.d.sync += state.eq(ahead)
        with m.Elif(self.write_state & ~busy & ~begins):
            m.d.sync += state.eq(self.new_state)
        with m.If(self.stop | self.commit | self.write_state & ~busy & ~begins):
            m.d.sync += [ready.eq(0), open_.eq(0)]
        with m.If(self.stop):
            m.d.sync += Cat(drawing, drawn, multiplied, self.o.valid, slot).eq(0)
        return m

    def _drawn(self, state: Value) -> Value:
        """The state 16 steps on: both lags are at least 16, so that it is one layer of XORs."""
        lag = ROW_LAG if self.side == "row" else COLUMN_LAG
        new = state[LFSR_BITS - STEPS_A_DRAW :] ^ state[lag - STEPS_A_DRAW : lag]
        return Cat(new[:STEPS_A_DRAW], state[: LFSR_BITS - STEPS_A_DRAW])

    def _times(self, draw: Value, digit: Value) -> Value:
        """Their product, by adders: a device's multipliers are few, and far from all else."""
        terms = [Mux(digit[place], draw << place, 0) for place in range(DIGIT_BITS)]
        return (terms[0] + terms[1]) + (terms[2] + terms[3])

    def _threshold(self, halves: list[Signal]) -> Value:
        """The upper half of the product of draw and scale, limited."""
        low, high = halves
        full = (low + (high << 2 * DIGIT_BITS))[DRAW_BITS:]
        # No code is above the largest, so that a threshold beyond it may as well be that one.
        return full[: self.bits] | full[self.bits :].any().replicate(self.bits)
