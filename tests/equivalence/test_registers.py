"""rtl/registers.py behind rtl/axi_lite.py, against golden/digital/registers.py."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.digital import registers as registers_twin
from rtl.axi_lite import SLVERR, AxiLite
from rtl.registers import RegisterBank
from spec.commands import Command, Error
from spec.presets import PRESETS
from spec.registers import Access, Field, Register, WindowCode, registers, windows
from spec.tile import NeuronSpec, TileSpec
from tests.equivalence.bench import STALLING, Bench, simulate

few = settings(max_examples=15, deadline=None)

OFFSET = {register.name: register.offset for register in registers(TileSpec())}

Step = tuple[Any, ...]
"""("write", address, data, lanes), ("read", address), or ("tile", register, {field: value})."""


def golden_bank(spec: TileSpec, steps: list[Step]):
    bank, found = registers_twin.RegisterBank(spec), []
    for kind, *what in steps:
        if kind == "tile":
            bank.tile(*what)
            found.append(bank.irq)
        else:
            done = bank.write(*what) if kind == "write" else bank.read(*what)
            found.append((done, bank.irq))
    given_out = {
        f"{register}.{field}".lower(): value
        for (register, field), value in bank.values.items()
        if bank.table[OFFSET[register]].field(field).access is Access.CONFIGURATION
        and not register.startswith("WINDOW")
    }
    return found, bank.strobes, given_out


class Tile(wiring.Component):
    """The bank behind its slave."""

    def __init__(self, spec: TileSpec) -> None:
        self.slave, self.bank = AxiLite(), RegisterBank(spec)
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.slave, m.submodules.bank = self.slave, self.bank
        wiring.connect(m, self.slave.bus, self.bank.bus)
        return m


class Host:
    """One access at a time over AXI4-Lite, with pauses."""

    def __init__(self, slave: AxiLite, seed: int) -> None:
        self.slave, self.stalls = slave, random.Random(seed)

    async def write(self, ctx: Any, address: int, word: int, lanes: int = 15) -> bool:
        s = self.slave
        ctx.set(s.awaddr, address)
        ctx.set(s.wdata, word)
        ctx.set(s.wstrb, lanes)
        channels = [(s.awvalid, s.awready), (s.wvalid, s.wready)]
        if self.stalls.random() < 0.5:
            channels.reverse()
        if self.stalls.random() < 0.5:
            for valid, ready in channels:
                await self._offer(ctx, valid, ready)
        else:
            ctx.set(s.awvalid, 1)
            ctx.set(s.wvalid, 1)
            await ctx.tick().until(s.awready & s.wready)
            ctx.set(s.awvalid, 0)
            ctx.set(s.wvalid, 0)
        (code,) = await self._take(ctx, s.bvalid, s.bready, s.bresp)
        return code != SLVERR

    async def read(self, ctx: Any, address: int) -> tuple[bool, int]:
        s = self.slave
        ctx.set(s.araddr, address)
        await self._offer(ctx, s.arvalid, s.arready)
        code, word = await self._take(ctx, s.rvalid, s.rready, s.rresp, s.rdata)
        return code != SLVERR, word

    async def _offer(self, ctx: Any, valid: Any, ready: Any) -> None:
        while self.stalls.random() < STALLING:
            await ctx.tick()
        ctx.set(valid, 1)
        await ctx.tick().until(ready)
        ctx.set(valid, 0)

    async def _take(self, ctx: Any, valid: Any, ready: Any, *values: Any) -> tuple[int, ...]:
        while self.stalls.random() < STALLING:
            await ctx.tick()
        ctx.set(ready, 1)
        found = await ctx.tick().sample(*values).until(valid)
        ctx.set(ready, 0)
        return tuple(found)


def fields_with(spec: TileSpec, *accesses: Access) -> list[tuple[Register, Field]]:
    table = registers(spec)
    return [(r, f) for r in table for f in r.fields if f.access in accesses]


def memory(spec: TileSpec, bank: RegisterBank, strobes: list[Any], seed: int) -> Bench:
    """A background bench: the memories behind the windows, which answer when they like."""
    port, delays = bank.window, random.Random(seed)
    contents = {window.code: [0] * window.length for window in windows(spec)}

    async def bench(ctx: Any) -> None:
        while True:
            seen = port.write, port.read, port.select, port.index, port.data
            _, _, write, read, select, index, word = await ctx.tick().sample(*seen)
            if not (write or read):
                continue
            strobes.append(("window write" if write else "window read", select, index))
            if write:
                contents[WindowCode(select)][index] = word
            for _ in range(delays.choice([0, 0, 1, 3])):
                _, _, *now = await ctx.tick().sample(*seen)
                assert now == [0, 0, select, index, word]
            ctx.set(port.value, contents[WindowCode(select)][index])
            ctx.set(port.ready, 1)
            await ctx.tick()
            ctx.set(port.ready, 0)
            ctx.set(port.value, delays.getrandbits(4))

    return bench


def owners(spec: TileSpec, bank: RegisterBank, strobes: list[Any]) -> Bench:
    """A background bench: blocks that take what the bank gives them, and show it."""
    owned = [r for r in registers(spec) if r.has(Access.OWNED) or r.has(Access.COMMAND)]
    ports = [(register, getattr(bank, register.name.lower())) for register in owned]
    resets = "soft_reset", "polarity_valid"

    async def bench(ctx: Any) -> None:
        for register, field in fields_with(spec, Access.OWNED):
            ctx.set(getattr(getattr(bank, register.name.lower()), field.name.lower()), field.reset)
        while True:
            watched = [signal for _, port in ports for signal in (port.write, port.data)]
            triggers = [getattr(bank.reset, name) for name in resets]
            _, _, *seen = await ctx.tick().sample(*watched, *triggers)
            for (register, port), write, data in zip(
                ports, seen[0:-2:2], seen[1:-2:2], strict=True
            ):
                values = (
                    {f.name: int(data[f.name.lower()]) for f in register.fields} if write else {}
                )
                if write:
                    strobes.append((register.name.lower(), values))
                if write and register.has(Access.OWNED):
                    for name, value in values.items():
                        ctx.set(getattr(port, name.lower()), value)
            strobes.extend((n,) for n, high in zip(resets, seen[-2:], strict=True) if high)

    return bench


def rtl_bank(spec: TileSpec, steps: list[Step], seed: int):
    tile, found, strobes = Tile(spec), [], []
    bank, host = tile.bank, Host(tile.slave, seed)
    given_out: dict[str, int] = {}

    async def say(ctx: Any, name: str, values: dict[str, int]) -> None:
        port, register = getattr(bank, name.lower()), None
        register = next(r for r in bank.table if r.name == name)
        for field_name, value in values.items():
            ctx.set(getattr(port, field_name.lower()), value)
        if register.has(Access.ANSWER):
            ctx.set(port.answered, "COMMAND_ERROR" in values)
        await ctx.tick()
        for field_name in values:
            if register.field(field_name).access not in (Access.STATUS, Access.OWNED):
                ctx.set(getattr(port, field_name.lower()), 0)
        if register.has(Access.ANSWER):
            ctx.set(port.answered, 0)

    async def bench(ctx: Any) -> None:
        for kind, *what in steps:
            if kind == "tile":
                await say(ctx, *what)
                found.append(ctx.get(bank.irq))
            else:
                done = await (host.write if kind == "write" else host.read)(ctx, *what)
                found.append((done, ctx.get(bank.irq)))
        for register, field in fields_with(spec, Access.CONFIGURATION):
            if not register.name.startswith("WINDOW"):
                name = f"{register.name}.{field.name}".lower()
                port = getattr(bank, register.name.lower())
                given_out[name] = ctx.get(getattr(port, field.name.lower()))

    background = [memory(spec, bank, strobes, seed), owners(spec, bank, strobes)]
    simulate(tile, bench, background=background)
    return found, strobes, given_out


def word_for(data: Any, spec: TileSpec, address: int) -> int:
    """Often legal for the register, sometimes at an edge, sometimes anything."""
    register = next((r for r in registers(spec) if r.offset == address), None)
    if register is None or data.draw(st.integers(0, 4)) == 0:
        return data.draw(st.integers(0, (1 << 32) - 1))
    if register.name == "WINDOW_DATA":
        return data.draw(st.sampled_from([0, 1, 2, -1, 5, -300, 200, 255, 256])) % (1 << 32)
    if register.name == "WINDOW_INDEX":
        return data.draw(st.integers(0, 6))
    word = 0
    for field in register.fields:
        edges = {field.lowest, field.highest, field.highest + 1, field.lowest - 1}
        legal = sorted(e for e in edges if field.format.low <= e <= field.format.high)
        inside = st.integers(field.lowest, field.highest)
        word |= field.pack(data.draw(st.one_of(inside, inside, st.sampled_from(legal))))
    return word


def draw_steps(data: Any, spec: TileSpec, count: int) -> list[Step]:
    offsets = [register.offset for register in registers(spec)]
    window = [OFFSET[n] for n in ("WINDOW", "WINDOW_INDEX", "WINDOW_DATA", "WINDOW_DATA")]
    odd = [1, 2, 0x7E, 0x80, 0x100, 0xFFC, 0x87]
    address = st.one_of(st.sampled_from(offsets), st.sampled_from(window), st.sampled_from(odd))
    told = {}
    for register, field in fields_with(
        spec, Access.STATUS, Access.COUNT, Access.PENDING, Access.STICKY, Access.ANSWER
    ):
        told.setdefault(register.name, []).append(field)
    steps: list[Step] = []
    for _ in range(count):
        kind = data.draw(st.sampled_from(["write", "write", "write", "read", "read", "tile"]))
        if kind == "tile":
            name = data.draw(st.sampled_from(sorted(told)))
            values = {
                field.name: data.draw(st.integers(0, min(field.format.high, field.step or 1)))
                for field in told[name]
            }
            if name == "STATUS":
                # Mostly idle, or nothing but BUSY would be found.
                values["BUSY"] &= data.draw(st.integers(0, 1))
            if name == "ERROR":
                values = {n: data.draw(st.integers(0, max(Error))) for n in values}
            steps.append(("tile", name, values))
            continue
        where = data.draw(address)
        if kind == "read":
            steps.append(("read", where))
        else:
            lanes = data.draw(st.sampled_from([15] * 9 + [7]))
            steps.append(("write", where, word_for(data, spec, where), lanes))
    return steps


@few
@given(st.data(), st.sampled_from(["tiny", "paper"]), st.sampled_from([0, 4]), st.integers(0, 999))
def test_any_accesses_among_what_the_tile_does(data, name: str, log2: int, seed: int) -> None:
    spec = replace(PRESETS[name], neurons=NeuronSpec(log2))
    steps = draw_steps(data, spec, 40)
    steps += [("read", offset) for offset in OFFSET.values()]
    assert rtl_bank(spec, steps, seed) == golden_bank(spec, steps)


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_after_reset_all_words_are_those_of_the_table(name: str) -> None:
    spec = PRESETS[name]
    steps: list[Step] = [
        ("read", register.offset) for register in registers(spec) if register.name != "WINDOW_DATA"
    ]
    found, _, given_out = rtl_bank(spec, steps, 1)
    assert found == golden_bank(spec, steps)[0]
    expected = [((True, r.reset), 0) for r in registers(spec) if r.name != "WINDOW_DATA"]
    assert found == expected
    assert given_out["row_scale.scale"] == 1 << spec.codes.pwm_bits


def test_a_window_is_written_and_read_from_end_to_end() -> None:
    spec = PRESETS["tiny"]
    for window in windows(spec):
        edges = [window.element.low, window.element.high, 0, window.element.low, 1]
        values = [edges[i % 5] for i in range(window.length)]
        data, index = OFFSET["WINDOW_DATA"], OFFSET["WINDOW_INDEX"]
        steps: list[Step] = [("write", OFFSET["WINDOW"], int(window.code), 15)]
        steps += [("write", data, value % (1 << 32), 15) for value in values]
        steps += [("write", data, 0, 15), ("read", index), ("write", index, 0, 15)]
        steps += [("write", data, w % (1 << 32), 15) for w in
                  (window.element.low - 1, window.element.high + 1)]  # fmt: skip
        steps += [("read", data)] * (window.length + 1)
        found = rtl_bank(spec, steps, 2)
        assert found == golden_bank(spec, steps)
        read = [word for (done, word), _ in found[0][-window.length - 1 :] if done]
        assert read == [value % (1 << 32) for value in values]


def written_while(register: str, word: int, **signals: int) -> int:
    """What a register reads after a write in whose very cycle the tile gives these signals."""
    spec = PRESETS["tiny"]
    bank, found = RegisterBank(spec), []
    bus, port = bank.bus, getattr(bank, register.lower())

    async def access(ctx: Any, strobe: Any) -> None:
        ctx.set(strobe, 1)
        await ctx.tick()
        ctx.set(strobe, 0)
        # The bank checks first: what it writes, it writes in the cycle in which it answers.
        while not ctx.get(bus.answered):
            await ctx.tick()
        for name, value in signals.items():
            ctx.set(getattr(port, name), value)
        found.append(ctx.get(bus.answer))
        await ctx.tick()
        for name in signals:
            ctx.set(getattr(port, name), 0)
        signals.clear()

    async def bench(ctx: Any) -> None:
        ctx.set(bus.lanes, 15)
        ctx.set(bus.address, OFFSET[register])
        ctx.set(bus.data, word)
        await access(ctx, bus.write)
        await access(ctx, bus.read)

    simulate(bank, bench)
    return found[1]


def test_what_the_tile_says_in_the_cycle_of_a_write() -> None:
    assert written_while("IRQ_PENDING", 7, done=1) == 1, "an event is not lost"
    short = Error.SHORT_VECTOR
    assert written_while("ERROR", 0, vector_error=short) == short << 16, "nor an error"
    assert written_while("FORWARDS", 5, count=1) == 5, "a count begins with what was written"


def test_each_refusal_has_its_code_and_the_first_one_stays() -> None:
    spec, at = PRESETS["tiny"], OFFSET
    idle = {"BUSY": 0, "ROW_INCOMPLETE": 0}
    cases: list[tuple[dict[str, int], Step, Error]] = [
        (idle, ("write", 0x01, 0, 15), Error.UNALIGNED),
        (idle, ("write", at["CONTROL"], 0, 14), Error.UNALIGNED),
        (idle, ("read", 0x80), Error.UNMAPPED),
        (idle, ("write", at["SIZE"], 0, 15), Error.READ_ONLY),
        (idle, ("write", at["ROW_LFSR"], 0, 15), Error.BAD_VALUE),
        (idle, ("write", at["ROW_SCALE"], 15, 15), Error.BAD_VALUE),
        (idle, ("write", at["WINDOW"], 6, 15), Error.BAD_VALUE),
        (idle, ("write", at["WINDOW_INDEX"], spec.rows, 15), Error.BAD_VALUE),
        (idle | {"BUSY": 1}, ("write", at["COMMAND"], Command.READ, 15), Error.BUSY),
        (idle | {"BUSY": 1}, ("write", at["COMMAND"], Command.ABORT, 15), Error.NONE),
        (idle | {"BUSY": 1}, ("write", at["RESET"], 1, 15), Error.NONE),
        (idle | {"BUSY": 1}, ("write", at["RESET"], 2, 15), Error.BUSY),
        (idle | {"BUSY": 1}, ("write", at["ATTEMPTS"], 2, 15), Error.BUSY),
        (idle | {"BUSY": 1}, ("read", at["WINDOW_DATA"]), Error.BUSY),
        (idle | {"ROW_INCOMPLETE": 1}, ("write", at["JOURNAL"], 0, 15), Error.ROW_INCOMPLETE),
        (idle | {"ROW_INCOMPLETE": 1}, ("write", at["WINDOW_DATA"], 0, 15), Error.ROW_INCOMPLETE),
        (idle | {"ROW_INCOMPLETE": 1}, ("read", at["WINDOW_DATA"]), Error.NONE),
        (idle | {"ROW_INCOMPLETE": 1}, ("write", at["RANGE"], 0, 15), Error.NONE),
    ]
    steps: list[Step] = []
    for status, step, _ in cases:
        clear: Step = ("write", at["ERROR"], 0, 15)
        steps += [clear, ("tile", "STATUS", status), step, ("read", 0x81), ("read", at["ERROR"])]
    found, *_ = rtl_bank(spec, steps, 4)
    for place, (_, step, error) in enumerate(cases):
        _, _, (done, _), _, (word, _) = found[5 * place : 5 * place + 5]
        accepted = done if step[0] == "write" else done[0]
        # The unaligned read after it is kept only where nothing failed before.
        assert (accepted, word) == (error is Error.NONE, (True, (error or Error.UNALIGNED) << 8))
    assert found == golden_bank(spec, steps)[0]
