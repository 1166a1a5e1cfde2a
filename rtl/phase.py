"""One phase of the array macro: handshake, window, slots, conversions, time-outs.

A request is taken while idle; `done` answers it, with `failed` where the macro did not answer in
time or the tile was disarmed. Between taking and the first cycle of the window lie one cycle for
the selects, in an UPDATE the wait for its first thresholds, and the macro's answer; `done` comes
with the last cycle in which a line can be high, or a cycle after a conversion's last group, a
strobe's answer or a failure. One request at a time.
"""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, ValueLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from rtl.update_stream import BEGIN
from spec.commands import PairCode, Phase
from spec.tile import TileSpec, groups

PHASE_BITS = max(Phase).bit_length()
PAIR_BITS = max(PairCode).bit_length()
TIMEOUT_BITS = 32


def index_bits(count: int) -> int:
    """Bits of a number below `count`."""
    return max(1, ceil_log2(count))


def row_bits(spec: TileSpec) -> int:
    """Bits of a row's number."""
    return index_bits(spec.rows)


def column_bits(spec: TileSpec) -> int:
    """Bits of a column's number."""
    return index_bits(spec.columns)


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


class PhaseDriver(wiring.Component):
    """Owns the macro's handshake and the line drivers' thresholds.

    `polarity` is a bit a row. `begin` starts both update streams; `row_draws` and `column_draws`
    give a threshold a slot, those of the rows one a tap. A conversion's groups are announced by
    `beat` with their number. The phase IDLE drives nothing for `idle_cycles` (at least 1), and
    waits for no answer.
    """

    i: stream.Interface
    done: Signal
    failed: Signal
    enable: Signal
    timeout: Signal
    idle_cycles: Signal
    polarity: Signal
    begin: stream.Interface
    row_draws: stream.Interface
    column_draws: stream.Interface
    row_drive: Signal
    row_full: Signal
    row_live: Signal
    row_threshold: Signal
    column_drive: Signal
    column_threshold: Signal
    request: Signal
    phase: Signal
    lower_swap: Signal
    row_select: Signal
    pair: Signal
    convert_hold: Signal
    trim: Signal
    ready: Signal
    convert_valid: Signal
    beat: Signal
    beat_group: Signal
    beat_last: Signal

    def __init__(self, spec: TileSpec) -> None:
        """The thresholds have the widths of the line drivers."""
        self.spec = spec
        most_groups = max(groups(spec, spec.rows), groups(spec, spec.columns))
        super().__init__(
            {
                "i": In(stream.Signature(request_layout(spec))),
                "done": Out(1),
                "failed": Out(1),
                "enable": In(1),
                "timeout": In(TIMEOUT_BITS),
                "idle_cycles": In(TIMEOUT_BITS),
                "polarity": In(spec.rows),
                "begin": Out(stream.Signature(BEGIN)),
                "row_draws": In(stream.Signature(spec.row_taps * spec.row_code.bits)),
                "column_draws": In(stream.Signature(spec.column_code.bits)),
                "row_drive": Out(1),
                "row_full": Out(1),
                "row_live": Out(spec.rows),
                "row_threshold": Out(spec.row_taps * spec.row_code.bits),
                "column_drive": Out(1),
                "column_threshold": Out(spec.column_driver_bits),
                "request": Out(1),
                "phase": Out(PHASE_BITS),
                "lower_swap": Out(1),
                "row_select": Out(row_bits(spec)),
                "pair": Out(PAIR_BITS),
                "convert_hold": Out(1),
                "trim": Out(1),
                "ready": In(1),
                "convert_valid": In(1),
                "beat": Out(1),
                "beat_group": Out(index_bits(most_groups)),
                "beat_last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Idle, select, wait for the macro, window, close."""
        m = Module()
        spec, asked = self.spec, self.i.payload
        cycle = Signal(max(spec.row_code.bits, spec.column_driver_bits, spec.update.slot_bits))
        last_cycle = Signal.like(cycle)
        group = Signal.like(self.beat_group)
        # Cycles without an answer, this one included, and whether those before it were too many.
        silent = Signal(TIMEOUT_BITS, init=1)
        late = Signal()
        # One a line: the proofs find them by name.
        ends = Signal()
        fails = Signal()
        primed = Signal()
        kind = self._kind(m)

        with m.Switch(self.phase):
            with m.Case(Phase.FORWARD):
                m.d.comb += last_cycle.eq(spec.row_code.high - 1)
            with m.Case(Phase.BACKWARD):
                m.d.comb += last_cycle.eq(spec.column_code.high - 1)
            with m.Case(Phase.READ):
                m.d.comb += last_cycle.eq((1 << (spec.row_code.bits - 1)) - 1)
            with m.Default():
                m.d.comb += last_cycle.eq(spec.update.slots - 1)

        def begin_silence() -> None:
            m.d.sync += [silent.eq(1), late.eq(0)]

        def count_silence() -> None:
            # Not equal to: the host may lower a time-out while it runs.
            m.d.sync += [silent.eq(silent + 1), late.eq(silent >= self.timeout)]

        def select() -> None:
            m.d.sync += [
                self.phase.eq(asked.phase),
                self.lower_swap.eq(asked.swap),
                self.row_select.eq(asked.row),
                self.pair.eq(asked.pair),
                self.convert_hold.eq(asked.hold),
                self.trim.eq(asked.trim),
                kind["draws"].eq((asked.phase == Phase.UPDATE) & ~asked.trim),
                cycle.eq(0),
                primed.eq(0),
                group.eq(0),
            ]
            begin_silence()

        def drive() -> None:
            rows = (self.phase != Phase.BACKWARD) & kind["drives"]
            columns = (self.phase == Phase.BACKWARD) | kind["updates"]
            m.d.comb += [self.row_drive.eq(rows), self.column_drive.eq(columns), moves.eq(1)]
            m.d.sync += cycle.eq(following)
            m.next = "WINDOW"
            # The last cycle is known before: nothing can fail any more, and it is told in it.
            with m.If(cycle == last_cycle):
                m.d.sync += self.done.eq(1)
                m.next = "CLOSE"

        def finish(failed: ValueLike) -> None:
            m.d.comb += [ends.eq(1), fails.eq(failed)]
            m.d.sync += [self.done.eq(1), self.failed.eq(failed), self.request.eq(0)]
            m.next = "IDLE"

        def ask() -> None:
            m.d.sync += self.request.eq(1)
            begin_silence()
            m.next = "ANSWER"

        # A slot's thresholds stand in registers before it, as they go to every line. In a cycle in
        # which the phase fails they move as well: its draws are taken back.
        moves = Signal()
        slides = Signal()
        following = (cycle + 1)[: len(cycle)]
        takes = Signal()
        m.d.comb += [
            takes.eq((slides | ~primed) & self.row_draws.valid & self.column_draws.valid),
            self.row_draws.ready.eq(kind["draws"] & takes),
            self.column_draws.ready.eq(kind["draws"] & takes),
        ]
        with m.If(~kind["draws"]):
            counted = Mux(slides, following, cycle)
            m.d.sync += [
                self.row_threshold.eq(counted[: spec.row_code.bits].replicate(spec.row_taps)),
                self.column_threshold.eq(counted),
            ]
        with m.Elif(takes):
            m.d.sync += [
                self.row_threshold.eq(self.row_draws.payload),
                self.column_threshold.eq(self.column_draws.payload),
                primed.eq(1),
            ]

        m.d.sync += [self.done.eq(0), self.failed.eq(0)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    select()
                    m.next = "SELECT"
            with m.State("SELECT"):
                count_silence()
                live = self.polarity ^ ~self.lower_swap.replicate(spec.rows)
                one_row = Const(1) << self.row_select
                m.d.sync += self.row_live.eq(Mux(self.row_full, one_row, live))
                # Whatever comes of it: one that fails takes its draws back.
                m.d.comb += self.begin.valid.eq(kind["draws"])
                m.d.comb += self.begin.payload.replay.eq(replay := Signal())
                with m.If(~self.enable | late):
                    finish(failed=True)
                with m.Elif(kind["draws"]):
                    with m.If(self.begin.ready):
                        m.next = "DRAW"
                with m.Elif(~self.ready):
                    ask()
            # The macro is asked when the first thresholds are there: its window opens at once.
            with m.State("DRAW"):
                with m.If(~self.enable | late):
                    finish(failed=True)
                with m.Elif(primed | takes):
                    count_silence()
                    with m.If(~self.ready):
                        ask()
            with m.State("ANSWER"):
                count_silence()
                m.d.comb += slides.eq(self.ready)
                with m.If(self.phase == Phase.IDLE):
                    with m.If((silent >= self.idle_cycles) | ~self.enable):
                        finish(failed=~self.enable)
                with m.Elif(~self.enable | late):
                    finish(failed=True)
                with m.Elif(kind["converts"]):
                    m.d.comb += self.beat.eq(self.convert_valid)
                    with m.If(self.convert_valid):
                        m.d.sync += group.eq(group + 1)
                        begin_silence()
                        with m.If(self.beat_last):
                            finish(failed=False)
                with m.Elif(self.ready & kind["strobes"]):
                    finish(failed=False)
                with m.Elif(self.ready):
                    # The lines are a register behind: they carry the window from the next cycle.
                    drive()
            with m.State("WINDOW"):
                m.d.comb += slides.eq(1)
                with m.If(~self.enable):
                    finish(failed=True)
                with m.Else():
                    drive()
            with m.State("CLOSE"):
                m.d.comb += ends.eq(1)
                m.d.sync += self.request.eq(0)
                m.next = "IDLE"
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += replay.eq(asked.replay)

        last_group = Mux(
            self.phase == Phase.CONVERT_BACKWARD,
            groups(spec, spec.rows) - 1,
            groups(spec, spec.columns) - 1,
        )
        m.d.comb += [
            self.beat_group.eq(group),
            self.beat_last.eq(group == last_group),
            self.row_full.eq((self.phase == Phase.READ) | self.trim),
        ]
        return m

    def _kind(self, m: Module) -> dict[str, Signal]:
        """What sort of phase the present one is, one wire each."""
        phase = self.phase
        kind = {name: Signal(name=name) for name in ("updates", "drives", "strobes")}
        kind["converts"] = Signal(name="converts")
        # A register: the streams begin by it.
        kind["draws"] = Signal(name="draws")
        with m.Switch(phase):
            with m.Case(Phase.UPDATE):
                m.d.comb += [kind["updates"].eq(1), kind["drives"].eq(1)]
            with m.Case(Phase.FORWARD, Phase.BACKWARD, Phase.READ):
                m.d.comb += kind["drives"].eq(1)
            with m.Case(Phase.PRECHARGE, Phase.RESET, Phase.SET):
                m.d.comb += kind["strobes"].eq(1)
            with m.Case(Phase.CONVERT_FORWARD, Phase.CONVERT_BACKWARD, Phase.CONVERT_READ):
                m.d.comb += kind["converts"].eq(1)
        return kind
