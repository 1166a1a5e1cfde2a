"""The sequencer with its kept parts, and the array macro that answers it cycle by cycle."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from amaranth.hdl import Elaboratable, Module, Mux, ResetInserter, Signal
from amaranth.lib.wiring import connect

from golden.analog.array import Array
from golden.digital.converter import read_code
from golden.words import thermometer
from rtl.chopper import Chopper
from rtl.journal import Journal
from rtl.phase import row_bits
from rtl.polarity import PolarityBank
from rtl.transfer import State, TransferSequencer, set_table
from spec.boundary import Pair
from spec.commands import Error, PairCode, Phase
from spec.tile import TileSpec

SLOWEST_CYCLES = 4
PATIENCE_CYCLES = 60_000


class TransferTile(Elaboratable):
    """A soft reset clears the sequencer alone."""

    def __init__(self, spec: TileSpec) -> None:
        self.spec = spec
        self.soft_reset = Signal()
        self.sequencer = TransferSequencer(spec)
        self.journal = Journal(spec)
        self.set_table = set_table(spec)
        self.polarity = PolarityBank(spec.rows)
        self.write_bit, self.bit = Signal(), Signal()
        self.bit_row = Signal(row_bits(spec))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sequencer, table, polarity = self.sequencer, self.set_table, self.polarity
        m.submodules.sequencer = ResetInserter(self.soft_reset)(sequencer)
        m.submodules.journal = self.journal
        m.submodules.set_table = table
        m.submodules.polarity = polarity
        connect(m, sequencer.journal, self.journal.sequencer)
        if self.spec.transfer.draws_polarity:
            m.submodules.chopper = chopper = Chopper()
            m.d.comb += [
                chopper.step.eq(sequencer.chopper.step),
                sequencer.chopper.bit.eq(chopper.bit),
            ]
        m.d.comb += [
            table.read_group.eq(sequencer.step_index),
            sequencer.step_code.eq(table.value),
            polarity.write.eq(sequencer.flip | self.write_bit),
            polarity.row.eq(Mux(sequencer.flip, sequencer.flip_row, self.bit_row)),
            polarity.polarity.eq(Mux(sequencer.flip, sequencer.flip_to, self.bit)),
            polarity.read_row.eq(sequencer.polarity_row),
            sequencer.polarity_bit.eq(polarity.read_bit),
        ]
        return m


class Pins:
    """Inputs that keep their values; setting one to what it is costs the simulator time."""

    def __init__(self) -> None:
        self._values: dict[int, Any] = {}

    def set(self, ctx: Any, pin: Any, value: Any) -> None:
        if self._values.get(id(pin)) != value:
            self._values[id(pin)] = value
            ctx.set(pin, value)


class Recorder:
    """An array that notes every boundary event, with its arguments as plain values."""

    def __init__(self, array: Array) -> None:
        self.array, self.spec = array, array.spec
        self.events: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.array, name)

        def event(*arguments: Any) -> Any:
            plain = (a.tolist() if isinstance(a, np.ndarray) else a for a in arguments)
            self.events.append((name, tuple(plain)))
            return method(*arguments)

        return event


@dataclass
class Kept:
    """What a soft reset keeps, and the counters.

    Codes count while the journal is valid, and after a command that ended with a row.
    """

    valid: bool
    row: int
    p_new: int
    kind: int
    next_row: int
    last_row: int
    bits: list[int]
    counters: dict[str, int]
    codes: list[int] | None


@dataclass
class Cut:
    """How far an interruption let a command come.

    `begun` boundary events; of the last one `returned` conversions, if it is one. `rows` were
    committed when an ABORT came; `idle` says that it found nobody busy.
    """

    kept: Kept | None = None
    interrupted: bool = False
    begun: int = 0
    returned: int | None = None
    rows: int = 0
    idle: bool = False


@dataclass
class Interruption:
    """`what` ("reset", "abort" or "fail") comes `delay` cycles or requests after `state`.

    None: after the command began. A "fail" is the next request answered with a time-out.
    """

    what: str
    state: State | None = None
    delay: int = 0


@dataclass
class Operation:
    """A command of the sequencer, with what interrupts it."""

    name: str
    payload: dict[str, int] = field(default_factory=dict)
    weights: list[int] = field(default_factory=list)
    weights_error: Error = Error.NONE
    interruption: Interruption | None = None


OUTPUTS = (
    *("answered", "error", "read_start", "read_zero"),
    *("trim_write", "trim_group", "trim_counts", "trim_charge"),
    *("select_write", "select_group", "select_mask"),
    *("set_write", "set_column", "set_code", "set_minus"),
    *("row_committed", "attempt", "not_programmed", "not_trimmed", "unfinished"),
)


class Macro:
    """Phase driver, column drivers, converter and array of a tile, one `cycle` at a time."""

    def __init__(self, tile: TransferTile, array: Recorder, active: np.ndarray, seed: int) -> None:
        self.tile, self.array, self.active = tile, array, active
        self.spec, self.pins = tile.spec, Pins()
        sequencer = tile.sequencer
        self.ready, self.phase_done = sequencer.phase.ready, sequencer.phase_done
        self.phase_failed, self.read_valid = sequencer.phase_failed, sequencer.read.valid
        self.read_group, self.read_codes = sequencer.read.group, sequencer.read.codes
        self.chance = random.Random(seed)
        self.lanes = self.spec.converters.lanes
        self.repeats = 1 << self.spec.converters.read_average_log2
        self.undriven = np.zeros(self.spec.columns, np.int64)
        self.counters = {"rows": 0, "attempts": 0, "not_programmed": 0, "not_trimmed": 0}
        self.begun = 0
        self.fails = False
        self.poison()
        self.forget()

    def poison(self) -> None:
        """Whatever is not written before a phase is wrong in it."""
        columns = self.spec.columns
        self.counts, self.charge = [-1] * columns, [True] * columns
        self.select = [True] * columns
        self.steps, self.minus = [-1] * columns, [True] * columns

    def forget(self) -> None:
        """A soft reset: a phase is over for the driver, whatever the macro still does."""
        self.request: Any = None
        self.groups: list[int] = []
        self.done_in = 0
        self.zero: bool | None = None
        self.converting, self.returned = False, 0

    def interrupted(self) -> int | None:
        """What a soft reset leaves of the event in hand: the conversions returned."""
        returned = self.returned if self.converting else None
        if returned is not None:
            if returned:
                self.array.convert_read(self.active, returned)
            self.array.wait(self.spec.timing.conversion_ns)
        self.array.clear_integrators()
        self.forget()
        return returned

    def inputs(self, ctx: Any) -> None:
        """What the sequencer sees in this cycle."""
        chance, pins = self.chance, self.pins
        pins.set(ctx, self.ready, int(self.request is None and chance.random() < 0.7))
        self.gives = bool(self.groups) and chance.random() < 0.6
        pins.set(ctx, self.read_valid, int(self.gives))
        if self.gives:
            if self.converting:
                self._convert()
            group, bits = self.groups[0], self.spec.weight_code.bits
            codes = self.codes[group * self.lanes : (group + 1) * self.lanes]
            word = sum((int(c) % (1 << bits)) << (bits * k) for k, c in enumerate(codes))
            pins.set(ctx, self.read_group, group)
            pins.set(ctx, self.read_codes, word)
        self.ends = self.request is not None and self.done_in <= 0
        pins.set(ctx, self.phase_done, int(self.ends))
        pins.set(ctx, self.phase_failed, int(self.ends and self.fails))

    def quiet(self, ctx: Any) -> None:
        """Nothing is ready, nothing comes."""
        for pin in (self.ready, self.phase_done, self.phase_failed, self.read_valid):
            self.pins.set(ctx, pin, 0)

    def answer(self, seen: dict[str, Any], taken: Any) -> None:
        """What came of the cycle. `taken` is the request it took, or None."""
        self._count(seen)
        self._load(seen)
        if seen["read_start"]:
            assert not self.converting, "a READ began within another"
            self.zero, self.returned = bool(seen["read_zero"]), 0
        if self.gives:
            self.groups.pop(0)
        if self.ends:
            self._end()
        elif self.request is not None:
            self.done_in -= 1
        if taken is not None:
            self._begin(taken)

    def _count(self, seen: dict[str, Any]) -> None:
        self.counters["rows"] += seen["row_committed"]
        self.counters["attempts"] += seen["attempt"]
        for name in ("not_programmed", "not_trimmed"):
            if seen[name]:
                self.counters[name] += seen["unfinished"]

    def _load(self, seen: dict[str, Any]) -> None:
        """The drivers' registers."""
        pulse_bits = self.spec.update.slots.bit_length()
        for lane in range(self.lanes):
            for name in ("trim", "select"):
                column = seen[f"{name}_group"] * self.lanes + lane
                if not seen[f"{name}_write"]:
                    continue
                if name == "select":
                    on = bool((seen["select_mask"] >> lane) & 1)
                    assert column < self.spec.columns or not on, "a column that there is not"
                    self.select[column : column + 1] = [on] * (column < self.spec.columns)
                    continue
                count = (seen["trim_counts"] >> (lane * pulse_bits)) & ((1 << pulse_bits) - 1)
                assert column < self.spec.columns or not count, "a column that there is not"
                if column < self.spec.columns:
                    self.counts[column] = count
                    self.charge[column] = bool((seen["trim_charge"] >> lane) & 1)
        if seen["set_write"]:
            self.steps[seen["set_column"]] = seen["set_code"]
            self.minus[seen["set_column"]] = bool(seen["set_minus"])

    def _begin(self, request: Any) -> None:
        """Everything but a conversion happens as it is begun, and completes."""
        array, row, phase = self.array, request.row, Phase(request.phase)
        self.request, self.done_in = request, self.chance.randrange(SLOWEST_CYCLES)
        assert bool(request.trim) == (phase is Phase.UPDATE)
        if phase is not Phase.CONVERT_READ:
            self.begun += 1
        if phase is Phase.READ:
            array.integrate_read(row, Pair[PairCode(request.pair).name], int(request.swap))
        elif phase is Phase.CONVERT_READ:
            self._begin_conversion(request)
        elif phase is Phase.PRECHARGE:
            array.precharge(row)
        elif phase is Phase.RESET:
            array.reset(row, np.array(self.select))
            self.poison()
        elif phase is Phase.SET:
            steps, minus = np.array(self.steps), np.array(self.minus)
            array.set(row, np.array(self.select), minus, steps)
            self.poison()
        elif phase is Phase.UPDATE:
            slots = self.spec.update.slots
            words = thermometer(slots * (np.arange(self.spec.rows) == row), slots)
            array.update(words, thermometer(np.array(self.counts), slots), np.array(self.charge))
            self.poison()
        else:
            raise AssertionError(f"{phase} is not of a transfer")

    def _begin_conversion(self, request: Any) -> None:
        assert self.zero is not None, "a conversion that no read_start announced"
        if not self.converting:
            self.begun += 1
            self.converting, self.returned = True, 0
        last = self.returned == self.repeats - 1
        assert bool(request.hold) == (not last)
        if last and not self.zero:
            self.groups = list(range(-(-self.spec.columns // self.lanes)))

    def _convert(self) -> None:
        """All conversions of a READ have come back: now they happen, as one event."""
        raw = self.array.convert_read(self.active, self.repeats)
        if self.zero:
            self.undriven = raw.sum(axis=0, dtype=np.int64)
        else:
            average = self.spec.converters.read_average_log2
            codes = read_code(raw, self.undriven, average, self.spec.weight_code)
            self.codes = np.where(self.active, codes, 0).tolist()
        self.converting = False

    def _end(self) -> None:
        if self.request.phase == Phase.CONVERT_READ and self.converting and not self.fails:
            self.returned += 1
            if self.returned == self.repeats:
                self._convert()
        self.request = None


class Run:
    """Operations on the sequencer, one after the other."""

    def __init__(self, tile: TransferTile, macro: Macro, table: list[int], bits: list[int]) -> None:
        self.tile, self.macro = tile, macro
        self.table, self.bits = table, bits
        self.answers: list[str | None] = []
        self.cuts: list[Cut] = []
        self.visited: set[State] = set()
        sequencer, self.pins = tile.sequencer, macro.pins
        self.start, self.start_valid = sequencer.start, sequencer.start.valid
        self.resume, self.abort, self.state = sequencer.resume, sequencer.abort, sequencer.state
        self.soft_reset, weights = tile.soft_reset, sequencer.weights
        self.weights_valid, self.weights_code = weights.valid, weights.payload.code
        self.weights_done = sequencer.weights_done
        self.weights_error = sequencer.weights_error
        self.sampled = (
            sequencer.phase.valid & sequencer.phase.ready,
            sequencer.phase.payload,
            weights.valid & weights.ready,
            sequencer.start.ready,
            sequencer.state,
            *(getattr(sequencer, name) for name in OUTPUTS),
        )

    async def bench(self, ctx: Any, operations: list[Operation]) -> None:
        """The testbench."""
        tile = self.tile
        active = sum(int(on) << column for column, on in enumerate(self.macro.active))
        ctx.set(tile.sequencer.column_enable, active)
        window = tile.set_table.window
        ctx.set(window.use, 1)
        for index, code in enumerate(self.table):
            ctx.set(window.index, index)
            ctx.set(window.data, code)
            ctx.set(window.write, 1)
            await ctx.tick()
        ctx.set(window.use, 0)
        ctx.set(window.write, 0)
        for row, bit in enumerate(self.bits):
            ctx.set(tile.bit_row, row)
            ctx.set(tile.bit, bit)
            ctx.set(tile.write_bit, 1)
            await ctx.tick()
        ctx.set(tile.write_bit, 0)
        for operation in operations:
            if operation.name == "discard":
                await self.discard(ctx)
            else:
                await self.operate(ctx, operation)

    async def discard(self, ctx: Any) -> None:
        """The host drops the row begun."""
        ctx.set(self.tile.journal.discard, 1)
        await ctx.tick()
        ctx.set(self.tile.journal.discard, 0)
        self.answers.append(None)
        self.cuts.append(Cut(kept=await self.kept(ctx, ended=False)))

    async def operate(self, ctx: Any, operation: Operation) -> None:
        """One command to its answer, or to the interruption that leaves it without one."""
        macro, cut, how = self.macro, Cut(), operation.interruption
        macro.begun, macro.fails = 0, False
        rows_before, waited = macro.counters["rows"], None
        asked, answer, answered, self.sent, self.offered = False, None, False, 0, False
        state = State.IDLE
        for _ in range(PATIENCE_CYCLES):
            # The interruption, when its time has come.
            if how and waited is None and asked and how.state in (None, state):
                waited = how.delay
            what = how.what if how and waited == 0 else ""
            waited = None if waited is None else waited - 1
            aborts = what == "abort" or (operation.name == "abort" and not asked)
            resets = what == "reset"
            macro.fails = macro.fails or what == "fail"
            if what == "abort":
                cut.idle = state is State.IDLE
                cut.rows = macro.counters["rows"] - rows_before
            # The command, until it is taken.
            self._command(ctx, operation, asked, aborts, resets)
            self._weights(ctx, operation, state is State.TAKE_WEIGHTS)
            macro.inputs(ctx)
            sampled = await ctx.tick().sample(*self.sampled)
            valid, request, weight_taken, ready_to_start, state, *values = sampled[2:]
            self.visited.add(State(state))
            seen = dict(zip(OUTPUTS, values, strict=True))
            macro.answer(seen, request if valid else None)
            if weight_taken:
                self.sent, self.offered = self.sent + 1, False
            asked = asked or operation.name != "start" or bool(ready_to_start)
            state = State(ctx.get(self.state))
            answered = bool(seen["answered"])
            if resets or answered:
                answer = None if resets else Error(seen["error"]).name
                break
        assert resets or answered, f"{operation} is not answered; {state.name}"
        self._command(ctx, operation, asked=True, aborts=False, resets=False)
        self.pins.set(ctx, self.weights_valid, 0)
        self.pins.set(ctx, self.weights_done, 0)
        macro.quiet(ctx)
        assert state is State.IDLE
        if answer is None or answer == Error.MACRO_TIMEOUT.name:
            cut.interrupted = True
            cut.begun, cut.returned = macro.begun, macro.interrupted()
        ended = answer == Error.NONE.name and macro.counters["rows"] > rows_before
        cut.kept = await self.kept(ctx, ended)
        self.answers.append(answer)
        self.cuts.append(cut)

    def _command(
        self, ctx: Any, operation: Operation, asked: bool, aborts: bool, resets: bool
    ) -> None:
        starts = operation.name == "start" and not asked
        if starts:
            ctx.set(self.start.payload, operation.payload)
        self.pins.set(ctx, self.start_valid, int(starts))
        self.pins.set(ctx, self.resume, int(operation.name == "resume" and not asked))
        self.pins.set(ctx, self.abort, int(aborts))
        self.pins.set(ctx, self.soft_reset, int(resets))

    def _weights(self, ctx: Any, operation: Operation, open: bool) -> None:
        """Weights with pauses; then how their packet ended."""
        chance = self.macro.chance
        left = self.sent < len(operation.weights)
        # What is offered once stays.
        self.offered = self.offered or (left and chance.random() < 0.7)
        self.pins.set(ctx, self.weights_valid, int(self.offered))
        if self.offered:
            self.pins.set(ctx, self.weights_code, operation.weights[self.sent])
        self.pins.set(ctx, self.weights_done, int(open and not left and chance.random() < 0.5))
        self.pins.set(ctx, self.weights_error, int(operation.weights_error))

    async def kept(self, ctx: Any, ended: bool) -> Kept:
        """Journal, range, bits and counters, as a host reads them."""
        journal = self.tile.journal
        valid = bool(ctx.get(journal.valid))
        codes = None
        if valid or ended:
            codes = []
            ctx.set(journal.window.use, 1)
            for column in range(self.tile.spec.columns):
                ctx.set(journal.window.index, column)
                await ctx.tick().repeat(2)
                bits = self.tile.spec.weight_code.bits
                code = ctx.get(journal.window.value)
                codes.append(code - ((code >> (bits - 1)) << bits))
            ctx.set(journal.window.use, 0)
        names = ("row", "p_new", "kind", "next_row", "last_row")
        values = {name: ctx.get(getattr(journal, name)) for name in names}
        packed = ctx.get(self.tile.polarity.bits)
        bits = [(packed >> row) & 1 for row in range(self.tile.spec.rows)]
        return Kept(valid, **values, bits=bits, counters=dict(self.macro.counters), codes=codes)
