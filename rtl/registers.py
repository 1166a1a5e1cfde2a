"""The register bank, made from the table of spec/registers.py.

An access is decoded in the cycle of its strobe, checked in the next, allowed or refused in the one
after it, and then done, which is when it is answered; one to WINDOW_DATA is answered in the cycle
in which the memory is `ready`. The bus waits for that, so nothing here is ever held back otherwise.
An access that fails changes nothing but BUS_ERROR.

The bank is cleared by its domain's reset alone, which must not be a soft reset.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.axi_lite import BusSignature
from spec.commands import ERROR_BITS, Command, Error
from spec.formats import Signed, Unsigned
from spec.registers import (
    HALF,
    WORD_BITS,
    WORD_BYTES,
    Access,
    Field,
    Register,
    registers,
    windows,
)
from spec.tile import TileSpec

OFFSET_BITS = WORD_BYTES.bit_length() - 1


def shape(field: Field) -> Shape:
    """The shape of a field's value."""
    return Shape(field.width, field.signed)


def layout(register: Register) -> data.StructLayout:
    """A register's fields, by name in small letters, without the bits between them."""
    return data.StructLayout({field.name.lower(): shape(field) for field in register.fields})


def members(register: Register) -> dict[str, wiring.Member]:
    """A register's signals in the bank's signature.

    By access: CONFIGURATION gives out the value. STATUS and OWNED take the present value. OWNED and
    COMMAND give out `write`, high for one cycle, and with it `data`, the word's fields. TRIGGER
    gives out a bit, high for one cycle. COUNT takes what is added in each cycle. PENDING takes a
    bit that sets it. STICKY takes a code that is kept where it is not 0; ANSWER a code that is kept
    where `answered`.
    """
    found: dict[str, wiring.Member] = {}
    for field in register.fields:
        name = field.name.lower()
        if field.access is Access.CONFIGURATION:
            # The stubs know the older word for it only.
            value = Out(shape(field), init=field.reset)  # pyright: ignore[reportCallIssue]
            found[name] = value
        elif field.access is Access.TRIGGER:
            found[name] = Out(1)
        elif field.access is Access.COUNT:
            found[name] = In(field.step.bit_length())
        elif field.access in (Access.STATUS, Access.OWNED, Access.PENDING, Access.STICKY):
            found[name] = In(shape(field))
        elif field.access is Access.ANSWER:
            found |= {name: In(shape(field)), "answered": In(1)}
        if field.access in (Access.OWNED, Access.COMMAND):
            found |= {"write": Out(1), "data": Out(layout(register))}
    return found


class WindowSignature(wiring.Signature):
    """A memory port, as the bank sees it.

    `write` or `read` is high for one cycle; `select`, `index` and `data` are stable from then until
    `ready`, which comes in any later cycle, with `value` after a read. The bits of `data` and
    `value` above the memory's element are ignored.
    """

    def __init__(self, spec: TileSpec) -> None:
        """Widths hold the widest element and the longest memory."""
        memories = windows(spec)
        bits = max(memory.element.bits for memory in memories)
        super().__init__(
            {
                "select": Out(range(len(memories))),
                "index": Out(range(max(memory.length for memory in memories) + 1)),
                "data": Out(bits),
                "write": Out(1),
                "read": Out(1),
                "ready": In(1),
                "value": In(bits),
            }
        )


class RegisterBank(wiring.Component):
    """The registers of a tile. For each one with signals there is a member of its name.

    For example `control.arm`, `status.busy`, `journal.valid`, `journal.write`, `journal.data.row`,
    `command.write`, `forwards.count`, `irq_pending.done`, `error.answered`: see `members`.
    `status.busy` must be high from two cycles after a `command.write` that starts a command.
    """

    bus: Any
    window: Any
    irq: Signal
    control: Any
    command: Any
    status: Any
    error: Any
    reset: Any
    rows: Any
    idle_cycles: Any
    range: Any
    journal: Any
    irq_enable: Any
    irq_pending: Any
    row_scale: Any
    column_scale: Any
    row_lfsr: Any
    column_lfsr: Any
    dither: Any
    stream_timeout: Any
    macro_timeout: Any
    forwards: Any
    rows_done: Any
    attempts: Any
    not_programmed: Any
    not_trimmed: Any
    saturated: Any

    def __init__(self, spec: TileSpec) -> None:
        """`table` has the registers, `memories` the windows."""
        self.table, self.memories = registers(spec), windows(spec)
        ports: dict[str, wiring.Member] = {
            "bus": In(BusSignature()),
            "window": Out(WindowSignature(spec)),
            "irq": Out(1),
        }
        for register in self.table:
            # The window's registers are behind the port of that name.
            if not register.name.startswith("WINDOW") and (signals := members(register)):
                ports[register.name.lower()] = Out(wiring.Signature(signals))
        super().__init__(ports)
        # Whether no access is there, one is looked at, or one is to be answered, and whether it is
        # a write; the proofs look at it.
        self.idle, self.checking, self.allowing, self.waiting = (Signal() for _ in range(4))
        self.writes = Signal()

    def elaborate(self, platform: object) -> Module:
        """A decoder, what was decided, the fields, and a multiplexer of words."""
        m = Module()
        bus, window = self.bus, self.window
        chosen = {register.name: Signal(name=f"is_{register.name}") for register in self.table}
        number = bus.address[OFFSET_BITS:]
        problems = self._problems(chosen)
        # Of the problems, those that the access has: the first is told a cycle later.
        found = Signal(len(problems))
        refused = Signal(ERROR_BITS)

        writes, does, moves = self.writes, Signal(), Signal()
        allowed = ~found.any()
        # Strobes to the fields: registers, as they go far.
        strobes = {name: Signal(name=f"write_{name}") for name in chosen}
        m.d.sync += [strobe.eq(0) for strobe in strobes.values()]
        m.d.sync += moves.eq(0)
        with m.FSM():
            with m.State("DECODE"):
                m.d.comb += self.idle.eq(1)
                with m.If(bus.write | bus.read):
                    m.d.sync += writes.eq(bus.write)
                    m.d.sync += [
                        chosen[register.name].eq(number == register.offset // WORD_BYTES)
                        for register in self.table
                    ]
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += self.checking.eq(1)
                m.d.sync += found.eq(Cat(problem for _, problem in problems))
                m.next = "ALLOW"
            with m.State("ALLOW"):
                m.d.comb += self.allowing.eq(1)
                m.d.sync += [
                    strobe.eq(writes & allowed & chosen[name]) for name, strobe in strobes.items()
                ]
                m.d.sync += moves.eq(allowed & chosen["WINDOW_DATA"])
                first: Value = Const(Error.NONE, ERROR_BITS)
                for place, (error, _) in reversed(list(enumerate(problems))):
                    first = Mux(found[place], error.value, first)
                m.d.sync += refused.eq(first)
                m.next = "DO"
            with m.State("DO"):
                m.d.comb += [
                    self.waiting.eq(1),
                    does.eq(1),
                    window.write.eq(moves & writes),
                    window.read.eq(moves & ~writes),
                    bus.answered.eq(~moves),
                ]
                m.next = "DECODE"
                with m.If(moves):
                    m.next = "WINDOW"
            with m.State("WINDOW"):
                m.d.comb += [self.waiting.eq(1), bus.answered.eq(window.ready)]
                with m.If(window.ready):
                    m.next = "DECODE"
        m.d.comb += [bus.error.eq(refused != Error.NONE), window.data.eq(bus.data)]

        words = {}
        for register in self.table:
            write = strobes[register.name]
            words[register.name] = word = Signal(WORD_BITS, name=f"word_{register.name}")
            port = self._port(register)
            if register.has(Access.OWNED) or register.has(Access.COMMAND):
                m.d.comb += port.write.eq(write)
            for field in register.fields:
                bits = bus.data[field.low : field.low + field.width]
                value = self._field(m, field, port, write, bits, refused)
                m.d.comb += word[field.low : field.low + field.width].eq(value)
            # The index of one memory means nothing in another.
            if register.name == "WINDOW":
                with m.If(write):
                    m.d.sync += window.index.eq(0)
        with m.If(self.waiting & ~does & window.ready):
            m.d.sync += window.index.eq(window.index + 1)

        # No more than one is chosen.
        given = [word & chosen[name].replicate(WORD_BITS) for name, word in words.items()]
        m.d.comb += bus.answer.eq(Mux(bus.error, 0, functools.reduce(operator.or_, given)))
        enabled, pending = words["IRQ_ENABLE"], words["IRQ_PENDING"]
        m.d.comb += self.irq.eq((enabled & pending).any())
        return m

    def _port(self, register: Register) -> Any:
        """The signals of a register: its own member, or the window's under the fields' names."""
        if register.name in ("WINDOW", "WINDOW_INDEX", "WINDOW_DATA"):
            return self.window
        return getattr(self, register.name.lower(), None)

    def _field(
        self, m: Module, field: Field, port: Any, write: Signal, bits: Value, refused: Value
    ) -> Value:
        """What a field reads; with it, what a write of `bits` and the tile do to it."""
        name = field.name.lower()
        value = Signal(shape(field), name=f"{name}_value", init=field.reset)
        if field.access is Access.CONSTANT:
            return Const(field.reset, field.width)
        if field.access in (Access.STATUS, Access.OWNED):
            value = getattr(port, name)
        if field.access in (Access.OWNED, Access.COMMAND):
            m.d.comb += getattr(port.data, name).eq(bits)
        if field.access is Access.TRIGGER:
            m.d.comb += getattr(port, name).eq(write & bits)
        if field.access in (Access.COMMAND, Access.TRIGGER):
            return Const(0, field.width)
        if field.access is Access.CONFIGURATION:
            value = getattr(port, name)
            with m.If(write):
                m.d.sync += value.eq(bits)
        elif field.access is Access.COUNT:
            m.d.sync += value.eq(Mux(write, bits, value + getattr(port, name)))
        elif field.access is Access.PENDING:
            m.d.sync += value.eq(value & ~Mux(write, bits, 0) | getattr(port, name))
        elif field.access is Access.ANSWER:
            with m.If(port.answered):
                m.d.sync += value.eq(getattr(port, name))
        elif field.access in (Access.STICKY, Access.BUS):
            # What was refused stands until the next access, so that clearing it is one.
            source = refused if field.access is Access.BUS else getattr(port, name)
            with m.If(write | (value == 0)):
                m.d.sync += value.eq(source)
        elif field.access is Access.WINDOW:
            return self._element()
        return value

    def _element(self) -> Value:
        """The element that the window gives, as a word."""
        window, words = self.window, []
        for memory in self.memories:
            element = window.value[: memory.element.bits]
            signed = isinstance(memory.element, Signed)
            words.append(element.as_signed() if signed else element)
        return Array(words)[window.select]

    def _problems(self, chosen: dict[str, Signal]) -> list[tuple[Error, Value]]:
        """Why the access on the bus must fail, the first reason first."""
        bus, window, busy = self.bus, self.window, self.status.busy
        is_window = chosen["WINDOW_DATA"]
        length = Array([Const(memory.length) for memory in self.memories])[window.select]
        kept = Array([Const(memory.not_incomplete) for memory in self.memories])[window.select]
        fits = Array([self._fits(memory.element) for memory in self.memories])[window.select]

        def written(registers: Iterable[Register]) -> Value:
            return self.writes & Cat(chosen[register.name] for register in registers).any()

        beyond = is_window & (window.index >= length)
        beyond |= self.writes & chosen["WINDOW_INDEX"] & (bus.data[:HALF] >= length)
        bad = [beyond, self.writes & is_window & ~fits]
        working = [is_window]
        for register in self.table:
            write = self.writes & chosen[register.name]
            bad += [write & self._outside(field) for field in register.fields if field.limited]
            working += [write & self._needs_idle(field) for field in register.fields]
        partial = self.writes & ~bus.lanes.all()
        return [
            (Error.UNALIGNED, (bus.address[:OFFSET_BITS] != 0) | partial),
            (Error.UNMAPPED, ~Cat(chosen.values()).any()),
            (Error.READ_ONLY, written(r for r in self.table if not r.writable)),
            (Error.BUSY, busy & Cat(working).any()),
            (
                Error.ROW_INCOMPLETE,
                self.status.row_incomplete
                & (
                    written(r for r in self.table if r.not_incomplete)
                    | self.writes & is_window & kept
                ),
            ),
            (Error.BAD_VALUE, Cat(bad).any()),
        ]

    def _fits(self, element: Signed | Unsigned) -> Value:
        """Whether the word written is a value of an element's format."""
        if isinstance(element, Signed):
            above = self.bus.data[element.bits - 1 :]
            return above.all() | ~above.any()
        return ~self.bus.data[element.bits :].any()

    def _outside(self, field: Field) -> Value:
        """Whether the word written has a value of the field that is refused."""
        bits = self.bus.data[field.low : field.low + field.width]
        value = bits.as_signed() if field.signed else bits
        return (value < field.lowest) | (value > field.highest)

    def _needs_idle(self, field: Field) -> Value:
        """Whether the word written changes what a working tile needs."""
        bits = self.bus.data[field.low : field.low + field.width]
        if field.access is Access.COMMAND:
            return bits != Command.ABORT if field.name == "OPCODE" else Const(0)
        if field.access is Access.TRIGGER:
            return bits & field.only_idle
        return Const(field.only_idle or field.access in (Access.OWNED, Access.COUNT))
