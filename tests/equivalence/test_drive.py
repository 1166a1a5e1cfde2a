"""rtl/drive.py, rtl/phase.py: what the macro sees of each phase, against golden's events."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib.wiring import connect
from hypothesis import Phase as Stage
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.analog.array import Array
from golden.analog.parameters import DeviceParameters
from golden.digital.controller import TileController
from golden.words import numbers_of, pulsing, thermometer
from rtl.drive import Drive
from rtl.update_stream import UpdateStream
from spec.boundary import Pair
from spec.commands import PairCode, Phase
from spec.presets import preset
from spec.tile import CodeSpec, TileSpec, UpdateSpec
from tests.equivalence.bench import simulate
from tests.equivalence.macro import NAMES, PinMacro, Pins

# A case shows enough as it is: to shrink it takes minutes.
few = settings(max_examples=8, deadline=None, phases=[Stage.explicit, Stage.generate])
PAIR_CODES = {Pair.ALL: PairCode.ALL, Pair.HIGHER: PairCode.HIGHER, Pair.LOWER: PairCode.LOWER}


@dataclass
class Case:
    """Phases in turn, on rows of these polarities; `states` of both LFSRs."""

    spec: TileSpec
    polarity: np.ndarray
    states: tuple[int, int]
    steps: list[tuple[Any, ...]]
    delay: int
    seed: int


class Bench(Elaboratable):
    """Drive with its update streams."""

    def __init__(self, spec: TileSpec) -> None:
        self.drive = Drive(spec)
        self.streams = [UpdateStream(spec, "row"), UpdateStream(spec, "column")]

    def elaborate(self, platform) -> Module:
        m = Module()
        drive, (row, column) = self.drive, self.streams
        m.submodules.drive, m.submodules.row, m.submodules.column = drive, row, column
        connect(m, row.o, drive.row_draws)
        connect(m, column.o, drive.column_draws)
        for stream in self.streams:
            m.d.comb += [
                stream.begin.valid.eq(drive.begin.valid),
                stream.begin.payload.eq(drive.begin.payload),
            ]
        m.d.comb += drive.begin.ready.eq(row.begin.ready & column.begin.ready)
        return m


def pack(values, bits: int) -> int:
    return sum(int(value) << (bits * place) for place, value in enumerate(values))


def rtl_events(case: Case) -> list[tuple]:
    spec, top = case.spec, Bench(case.spec)
    drive, done = top.drive, []
    macro = PinMacro(spec, Array(spec, DeviceParameters(), 0, 0), case.seed, case.delay)
    stalls = random.Random(case.seed)

    async def pins(ctx) -> None:
        while not done:
            seen = Pins(*(ctx.get(getattr(drive.pins, name)) for name in NAMES))
            answer = macro.cycle(seen)
            await ctx.tick()
            ctx.set(drive.ready, answer.ready)
            ctx.set(drive.convert_valid, answer.convert_valid)

    async def write(ctx, port, codes, bits: int) -> None:
        lanes = spec.host.axis_bytes
        for group in range(-(-len(codes) // lanes)):
            ctx.set(port.group, group)
            ctx.set(port.codes, pack(codes[group * lanes : (group + 1) * lanes], bits))
            ctx.set(port.write, 1)
            await ctx.tick()
            ctx.set(port.write, 0)

    async def phase(ctx, kind: Phase, **fields) -> None:
        ctx.set(drive.i.payload, {"phase": kind, **fields})
        ctx.set(drive.i.valid, 1)
        await ctx.tick().until(drive.i.ready)
        ctx.set(drive.i.valid, 0)
        while True:
            _, _, finished, failed = await ctx.tick().sample(drive.done, drive.failed)
            if finished:
                assert not failed
                return

    async def strobe(ctx, signal) -> None:
        ctx.set(signal, 1)
        await ctx.tick()
        ctx.set(signal, 0)

    async def live(ctx, kind: Phase) -> None:
        bits = set(case.polarity.tolist())
        for swap in sorted(bits):
            await phase(ctx, kind, swap=swap, replay=swap and len(bits) == 2)

    async def host(ctx) -> None:
        for stream, state in zip(top.streams, case.states, strict=True):
            ctx.set(stream.new_state, state)
            ctx.set(stream.write_state, 1)
            ctx.set(stream.scale, 1 << stream.bits)
        await ctx.tick()
        for stream in top.streams:
            ctx.set(stream.write_state, 0)
        ctx.set(drive.enable, 1)
        ctx.set(drive.timeout, 1000)
        ctx.set(drive.polarity, pack(case.polarity, 1))
        ctx.set(drive.column_enable, (1 << spec.columns) - 1)
        ctx.set(drive.column_mask, (1 << spec.columns) - 1)
        for kind, *arguments in case.steps:
            await ctx.tick().repeat(stalls.randint(1, 4))
            if kind == "forward":
                await write(ctx, drive.rows, arguments[0], spec.row_code.bits)
                await strobe(ctx, drive.rows_take)
                await live(ctx, Phase.FORWARD)
                await phase(ctx, Phase.CONVERT_FORWARD)
            elif kind == "backward":
                bits = spec.column_code.bits
                codes = [abs(c) | (c < 0) << bits for c in arguments[0]]
                await write(ctx, drive.columns, codes, bits + 1)
                await strobe(ctx, drive.columns_take)
                await phase(ctx, Phase.BACKWARD)
                await phase(ctx, Phase.CONVERT_BACKWARD)
            elif kind == "update":
                await live(ctx, Phase.UPDATE)
                for stream in top.streams:
                    ctx.set(stream.commit, 1)
                await ctx.tick()
                for stream in top.streams:
                    ctx.set(stream.commit, 0)
            elif kind == "read":
                row, pair = arguments
                swap = int(case.polarity[row])
                await phase(ctx, Phase.READ, row=row, pair=PAIR_CODES[pair], swap=swap)
                await phase(ctx, Phase.CONVERT_READ, hold=1)
                await phase(ctx, Phase.CONVERT_READ)
            elif kind == "trim":
                row, counts, charge = arguments
                lanes = spec.converters.lanes
                for group in range(-(-spec.columns // lanes)):
                    part = slice(group * lanes, (group + 1) * lanes)
                    ctx.set(drive.trim_group, group)
                    ctx.set(drive.trim_counts, pack(counts[part], drive.count_bits))
                    ctx.set(drive.trim_charge, pack(charge[part], 1))
                    await strobe(ctx, drive.trim_write)
                swap = int(case.polarity[row])
                await phase(ctx, Phase.UPDATE, row=row, trim=1, swap=swap)
            elif kind == "program":
                row, selected, codes, minus = arguments
                lanes = spec.converters.lanes
                for group in range(-(-spec.columns // lanes)):
                    part = selected[group * lanes : (group + 1) * lanes]
                    ctx.set(drive.select_group, group)
                    ctx.set(drive.select_mask, pack(part, 1))
                    await strobe(ctx, drive.select_write)
                for column in range(spec.columns):
                    ctx.set(drive.set_column, column)
                    ctx.set(drive.set_code, codes[column])
                    ctx.set(drive.set_minus, minus[column])
                    await strobe(ctx, drive.set_write)
                await phase(ctx, Phase.RESET, row=row)
                await phase(ctx, Phase.SET, row=row)
            elif kind == "idle":
                ctx.set(drive.idle_cycles, arguments[0])
                await phase(ctx, Phase.IDLE)
            else:
                await phase(ctx, Phase.PRECHARGE, row=arguments[0])
        await ctx.tick().repeat(3)
        done.append(True)

    simulate(top, host, pins)
    return macro.events


class Recorder:
    """An array that only lists its boundary events, as PinMacro does."""

    def __init__(self, spec: TileSpec) -> None:
        self.spec, self.events = spec, []

    def integrate_columns(self, durations, lower_swap) -> None:
        self.events.append(("integrate_columns", durations.tolist(), int(lower_swap)))

    def integrate_rows(self, durations, row_lower_swap) -> None:
        self.events.append(("integrate_rows", durations.tolist(), row_lower_swap.tolist()))

    def integrate_read(self, row, pair, lower_swap) -> None:
        self.events.append(("integrate_read", row, pair, lower_swap))

    def convert_forward(self, active):
        self.events.append(("convert_forward",))
        return np.zeros(self.spec.columns, np.int64)

    def convert_backward(self):
        self.events.append(("convert_backward",))
        return np.zeros(self.spec.rows, np.int64)

    def convert_read(self, active, repeats):
        self.events += [("convert_read",)] * repeats
        return np.zeros((repeats, self.spec.columns), np.int64)

    def update(self, row_words, column_words, charge) -> None:
        pulsed = pulsing(column_words) & charge
        words = numbers_of(row_words), numbers_of(column_words)
        self.events.append(("update", *words, pulsed.tolist()))

    def precharge(self, row) -> None:
        self.events.append(("precharge", row))

    def reset(self, row, active) -> None:
        self.events.append(("reset", row, active.tolist()))

    def set(self, row, active, minus, step_codes) -> None:
        self.events.append(("set", row, active.tolist(), minus.tolist(), step_codes.tolist()))

    def wait(self, duration_ns: int) -> None:
        self.events.append(("wait", duration_ns))


def golden_events(case: Case) -> list[tuple]:
    spec, array = case.spec, Recorder(case.spec)
    table = np.zeros(spec.set_table_entries, np.int64)
    control = TileController(spec, array, table, case.states, hidden=False)
    control.polarity.bits[:] = case.polarity
    for kind, *arguments in case.steps:
        if kind == "forward":
            control.forward(np.array(arguments[0], np.int64))
        elif kind == "backward":
            control.backward(np.array(arguments[0]))
        elif kind == "update":
            control.update()
        elif kind == "read":
            row, pair = arguments
            array.integrate_read(row, pair, int(case.polarity[row]))
            array.convert_read(None, 2)
        elif kind == "trim":
            row, counts, charge = arguments
            slots = spec.update.slots
            words = thermometer(slots * (np.arange(spec.rows) == row), slots)
            array.update(words, thermometer(np.array(counts), slots), np.array(charge) > 0)
        elif kind == "program":
            row, selected, codes, minus = arguments
            chosen = np.array(selected) > 0
            array.reset(row, chosen)
            array.set(row, chosen, chosen & (np.array(minus) > 0), np.where(chosen, codes, 0))
        elif kind == "idle":
            array.wait(arguments[0])
        else:
            array.precharge(arguments[0])
    return array.events


@st.composite
def cases(draw, mode: str) -> Case:
    converters = replace(preset("tiny").converters, lanes=draw(st.sampled_from([1, 2, 4])))
    spec = TileSpec(
        rows=draw(st.integers(2, 9)),
        columns=draw(st.integers(1, 9)),
        codes=CodeSpec(pwm_bits=draw(st.integers(2, 5)), column_bits=draw(st.integers(2, 5))),
        update=UpdateSpec(slots=draw(st.sampled_from([2, 8, 32, 128])), stream_mode=mode),
        converters=converters,
    )
    spec = replace(spec, host=replace(spec.host, axis_bytes=draw(st.sampled_from([2, 8]))))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, columns, limit = spec.rows, spec.columns, spec.column_code.high

    def step(kind: str) -> tuple[Any, ...]:
        row = int(rng.integers(rows))
        if kind == "forward":
            return kind, rng.integers(0, spec.row_code.high + 1, rows - 1).tolist()
        if kind == "backward":
            return kind, rng.integers(-limit, limit + 1, columns).tolist()
        if kind == "read":
            return kind, row, list(Pair)[int(rng.integers(3))]
        if kind == "trim":
            counts = rng.integers(0, spec.update.slots + 1, columns)
            return kind, row, counts.tolist(), ((counts > 0) & (rng.random(columns) < 0.5)).tolist()
        if kind == "program":
            bits = rng.integers(0, 2, (2, columns)).tolist()
            return kind, row, bits[0], rng.integers(0, 256, columns).tolist(), bits[1]
        return (kind, int(rng.integers(1, 9))) if kind == "idle" else (kind, row)

    kinds = ["forward", "backward", "update", "read", "trim", "program", "precharge", "idle"]
    order = draw(st.lists(st.sampled_from(kinds), max_size=5))
    # A trim takes the column drivers: a BACKWARD comes before the next UPDATE.
    steps = [step(kind) for kind in order if kind != "update"]
    steps += [step(kind) for kind in ("forward", "backward", "update", "update", "read", "trim")]
    polarity = rng.choice([0, 1], rows) if draw(st.booleans()) else np.full(rows, rng.integers(2))
    states = int(rng.integers(1, 1 << 31)), int(rng.integers(1, 1 << 31))
    return Case(
        spec, polarity, states, steps, draw(st.sampled_from([0, 3])), draw(st.integers(0, 99))
    )


@pytest.mark.parametrize("mode", ["low_discrepancy", "stochastic"])
def test_every_phase(mode: str) -> None:
    @few
    @given(cases(mode))
    def check(case: Case) -> None:
        assert rtl_events(case) == golden_events(case)

    check()
