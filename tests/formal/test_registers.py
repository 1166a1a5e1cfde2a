"""Proofs of rtl/axi_lite.py with rtl/registers.py behind it, whatever host and tile do.

The host may even break its own rules: no property needs them. The memories behind the windows
answer within `WINDOW_CYCLES`.
"""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Array, Cat, Fragment, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

import rtl.axi_lite
import rtl.registers
from rtl.windows import ACCESS_CYCLES
from spec.commands import Command
from spec.presets import PRESETS
from spec.registers import Access, WindowCode
from tests.formal.prove import Harness, damaged

SPEC = PRESETS["tiny"]
WINDOW_CYCLES = ACCESS_CYCLES
BOUND_CYCLES = 2 * (WINDOW_CYCLES + 5)
"""An access of the other kind, and this one.

Each is taken, decoded, checked, allowed and done: five cycles, and those in which a memory works.
"""
STROBE_CYCLES = 5
"""A strobe is given as the access before it is answered; the slave then takes another one."""
INDUCTION, DAMAGED, WITNESSES = 6, 24, 24


def free_inputs(harness: Harness, m: Module, interface: Any, leave: tuple[str, ...] = ()) -> None:
    """Let every input of a component run free, but the members to `leave`."""
    for path, member, value in interface.signature.flatten(interface):
        if member.flow is In and path[0] not in leave:
            harness.free(m, value)


class Registers(Harness):
    """The slave and the bank; `axi_lite` and `registers` are their modules, or damaged copies.

    `bounded`: also that each answer comes in time, which takes a longer induction.
    """

    def __init__(
        self, axi_lite: Any = rtl.axi_lite, registers: Any = rtl.registers, bounded: bool = True
    ) -> None:
        self.slave, self.bank = axi_lite.AxiLite(), registers.RegisterBank(SPEC)
        self.bounded = bounded

    def describe(self, m: Module) -> None:
        slave, bank = self.slave, self.bank
        m.submodules.slave, m.submodules.bank = slave, bank
        wiring.connect(m, slave.bus, bank.bus)
        free_inputs(self, m, slave, leave=("bus",))
        free_inputs(self, m, bank, leave=("bus",))
        self._responses(m)
        self._answers(m)
        self._bank(m)
        self._covers_of_accesses(m)

    def _stays(self, m: Module, name: str, valid: Signal, ready: Signal, *payload: Signal) -> None:
        waits = self.past(m, valid & ~ready)
        self.always(m, f"{name}_valid_stays", ~waits | valid)
        same = [signal == self.past(m, signal) for signal in payload]
        self.always(m, f"{name}_payload_stays", ~waits | Cat(same).all())

    def _outstanding(self, m: Module, taken: Any, answered: Any) -> Signal:
        """Requests accepted and not answered."""
        count = Signal(4)
        m.d.sync += count.eq(count + taken - answered)
        return count

    def _responses(self, m: Module) -> None:
        s = self.slave
        self._stays(m, "b", s.bvalid, s.bready, s.bresp)
        self._stays(m, "r", s.rvalid, s.rready, s.rresp, s.rdata)
        self.always(m, "b_is_okay_or_slverr", (s.bresp == 0) | (s.bresp == 2))
        self.always(m, "r_is_okay_or_slverr", (s.rresp == 0) | (s.rresp == 2))

        aw = self._outstanding(m, s.awvalid & s.awready, s.bvalid & s.bready)
        w = self._outstanding(m, s.wvalid & s.wready, s.bvalid & s.bready)
        ar = self._outstanding(m, s.arvalid & s.arready, s.rvalid & s.rready)
        # Of what was accepted, all but one request a channel has its response: none is lost, none
        # is answered twice.
        self.always(
            m, "each_write_one_b", (aw == s.aw_held + s.bvalid) & (w == s.w_held + s.bvalid)
        )
        self.always(m, "each_read_one_r", ar == s.ar_held + s.rvalid)
        self.always(m, "no_b_without_a_write", ~s.bvalid | ((aw != 0) & (w != 0)))
        self.always(m, "no_r_without_a_read", ~s.rvalid | (ar != 0))

        window_cycles = Signal(range(WINDOW_CYCLES + 2))
        in_window = self.bank.waiting & ~s.bus.answered
        m.d.sync += window_cycles.eq(Mux(in_window, window_cycles + 1, 0))
        self.assume(m, window_cycles <= WINDOW_CYCLES)
        for name, waits in (
            ("b_comes", (aw != 0) & (w != 0) & ~s.bvalid),
            ("r_comes", (ar != 0) & ~s.rvalid),
        ):
            cycles = Signal(range(BOUND_CYCLES + 2), name=f"{name}_cycles")
            m.d.sync += cycles.eq(Mux(waits, cycles + 1, 0))
            if self.bounded:
                self.always(m, name, cycles <= BOUND_CYCLES)

    def _answers(self, m: Module) -> None:
        s, bank, bus = self.slave, self.bank, self.slave.bus
        begins = bus.write | bus.read
        # The states that there are; without this an induction would begin in others.
        self.always(m, "slave_is_in_a_state", s.idle + s.writing + s.reading == 1)
        self.always(
            m, "bank_is_in_a_state",
            bank.idle + bank.checking + bank.allowing + bank.waiting == 1,
        )  # fmt: skip
        self.always(
            m, "bank_waits_with_the_slave",
            ((begins | ~bank.idle) == (s.writing | s.reading))
            & (~bus.write | s.writing) & (~bus.read | s.reading),
        )  # fmt: skip
        self.always(m, "bank_knows_a_write", bank.idle | (bank.writes == s.writing))
        self.always(
            m, "a_request_is_held_until_answered",
            (~s.writing | (s.aw_held & s.w_held & ~s.bvalid))
            & (~s.reading | (s.ar_held & ~s.rvalid)),
        )  # fmt: skip
        self.always(m, "one_access_at_a_time", ~begins | (bank.idle & ~(bus.write & bus.read)))
        self.always(m, "no_answer_without_an_access", ~bus.answered | bank.waiting)
        asked = self.past(m, begins | (~bank.idle & ~bus.answered))
        same = {name: getattr(bus, name) == self.past(m, getattr(bus, name))
                for name in ("address", "data", "lanes")}  # fmt: skip
        self.always(m, "address_stays", ~asked | same["address"])
        self.always(m, "data_stays", ~asked | ~s.writing | (same["data"] & same["lanes"]))

    def _bank(self, m: Module) -> None:
        bank, bus = self.bank, self.slave.bus
        window, status = bank.window, bank.status
        owned = [r for r in bank.table if r.has(Access.OWNED)]
        ports = {r.name: getattr(bank, r.name.lower()) for r in owned}
        # Checked two cycles before anything is done.
        busy, incomplete = (
            self.past(m, self.past(m, now)) for now in (status.busy, status.row_incomplete)
        )
        writes = Cat(port.write for port in ports.values()).any()
        other_command = bank.command.write & (bank.command.data.opcode != Command.ABORT)
        moves = window.write | window.read
        touched = writes | other_command | moves | bank.reset.polarity_valid
        self.always(m, "no_state_written_while_busy", ~busy | ~touched)
        kept = Cat(ports[r.name].write for r in owned if r.not_incomplete).any()
        in_kept = (window.select == WindowCode.POLARITY) | (
            window.select == WindowCode.JOURNAL_CODES
        )
        kept |= window.write & in_kept
        self.always(m, "no_polarity_journal_lfsr_written_while_incomplete", ~incomplete | ~kept)
        for name in ("ROW_LFSR", "COLUMN_LFSR"):
            port = ports[name]
            self.always(m, f"{name.lower()}_is_not_zero", ~port.write | (port.data.state != 0))
        self.always(m, "scale_is_at_least_one_unit", bank.row_scale.scale >= SPEC.row_code.high + 1)
        lengths = Array([memory.length for memory in bank.memories])
        self.always(m, "window_index_is_inside", ~moves | (window.index < lengths[window.select]))
        self.always(m, "window_is_one_of_them", window.select < len(bank.memories))

        strobes = Cat(writes, bank.command.write, bank.reset.soft_reset, moves)
        before, last_ones = strobes.any(), []
        for _ in range(STROBE_CYCLES - 1):
            before = self.past(m, before)
            last_ones.append(before)
        # So that it lasts a cycle, and that its command is checked before the next one comes.
        self.always(m, "strobes_are_five_cycles_apart", ~strobes.any() | ~Cat(last_ones).any())
        self.always(
            m, "a_failed_access_gives_no_strobe", ~(bus.answered & bus.error) | ~strobes.any()
        )
        settings = [
            getattr(getattr(bank, r.name.lower()), f.name.lower())
            for r in bank.table
            for f in r.fields
            if f.access is Access.CONFIGURATION and not r.name.startswith("WINDOW")
        ]
        changed = Cat(settings) != self.past(m, Cat(settings), init=self._initial(bank))
        accepted = self.past(m, bus.answered & ~bus.error & self.slave.writing)
        self.always(m, "settings_change_by_an_accepted_write_only", ~changed | accepted)

    def _initial(self, bank: Any) -> int:
        word, low = 0, 0
        for register in bank.table:
            for field in register.fields:
                if field.access is Access.CONFIGURATION and not register.name.startswith("WINDOW"):
                    word |= (field.pack(field.reset) >> field.low) << low
                    low += field.width
        return word

    def _covers_of_accesses(self, m: Module) -> None:
        s, bank = self.slave, self.bank
        busy = self.past(m, self.past(m, bank.status.busy))
        self.reach(m, "a_write_accepted", s.bvalid & s.bready & (s.bresp == 0))
        self.reach(m, "a_write_refused", s.bvalid & s.bready & (s.bresp == 2))
        self.reach(m, "a_read_accepted", s.rvalid & s.rready & (s.rresp == 0))
        self.reach(m, "both_wait", s.bvalid & s.rvalid & s.aw_held & s.w_held & s.ar_held)
        self.reach(m, "a_command_while_busy", bank.command.write & busy)
        self.reach(m, "a_window_read", bank.window.ready & s.reading & (bank.window.index == 2))
        self.reach(m, "a_journal_write", bank.journal.write & bank.journal.data.valid)


DAMAGES: list[tuple[str, Any, str, str]] = [
    ("b_valid_stays", rtl.axi_lite, "with m.If(self.bready):", "with m.If(1):"),
    ("r_valid_stays", rtl.axi_lite, "with m.If(self.rready):", "with m.If(1):"),
    ("b_payload_stays", rtl.axi_lite, "self.w_held & ~self.bvalid", "self.w_held"),
    ("r_payload_stays", rtl.axi_lite, "self.ar_held & ~self.rvalid", "self.ar_held"),
    ("b_is_okay_or_slverr", rtl.axi_lite, "self.bresp.eq(response)", "self.bresp.eq(bus.error)"),
    ("r_is_okay_or_slverr", rtl.axi_lite, "self.rresp.eq(response)", "self.rresp.eq(bus.error)"),
    ("each_write_one_b", rtl.axi_lite, "self.aw_held.eq(0), self.w_held.eq(0)",
     "self.aw_held.eq(0)"),
    ("each_read_one_r", rtl.axi_lite, "self.ar_held.eq(0)", "self.ar_held.eq(bus.error)"),
    ("no_b_without_a_write", rtl.axi_lite, "self.aw_held & self.w_held &", "self.aw_held &"),
    ("no_r_without_a_read", rtl.axi_lite, "may_read.eq(self.ar_held &", "may_read.eq("),
    ("b_comes", rtl.axi_lite, "self.bvalid.eq(1)", "self.bvalid.eq(~bus.error)"),
    ("r_comes", rtl.axi_lite, "self.rvalid.eq(1)", "self.rvalid.eq(~bus.error)"),
    ("slave_is_in_a_state", rtl.axi_lite, "self.writing.eq(1)", "self.writing.eq(bus.error)"),
    ("bank_is_in_a_state", rtl.registers, "self.idle.eq(1)", "self.idle.eq(~bus.write)"),
    (
        "bank_waits_with_the_slave", rtl.registers,
        'with m.If(window.ready):\n                    m.next = "DECODE"', 'm.next = "DECODE"',
    ),
    ("bank_knows_a_write", rtl.registers, "writes.eq(bus.write)",
     "writes.eq(bus.write & bus.lanes.any())"),
    (
        "a_request_is_held_until_answered", rtl.axi_lite,
        'm.next = "WRITE"', 'm.next = "WRITE"; m.d.sync += self.aw_held.eq(0)',
    ),
    ("one_access_at_a_time", rtl.axi_lite, "with m.Elif(may_write):", "with m.If(may_write):"),
    (
        "no_answer_without_an_access", rtl.registers,
        "writes, does, moves = self.writes, Signal(), Signal()",
        "writes, does, moves = self.writes, Signal(), Signal(); "
        "m.d.comb += bus.answered.eq(window.ready)",
    ),
    ("address_stays", rtl.axi_lite, "m.d.comb += self.writing.eq(1)",
     "m.d.comb += self.writing.eq(1); m.d.sync += bus.address.eq(read_address)"),
    ("data_stays", rtl.axi_lite, "self.wready.eq(~self.w_held)", "self.wready.eq(1)"),
    ("no_state_written_while_busy", rtl.registers, "busy & Cat(working).any()", "Const(0)"),
    ("no_polarity_journal_lfsr_written_while_incomplete", rtl.registers,
     "| self.writes & is_window & kept", ""),
    ("row_lfsr_is_not_zero", rtl.registers, "if field.limited",
     'if field.limited and register.name != "ROW_LFSR"'),
    ("column_lfsr_is_not_zero", rtl.registers, "if field.limited",
     'if field.limited and register.name != "COLUMN_LFSR"'),
    ("scale_is_at_least_one_unit", rtl.registers, "value < field.lowest", "value < 1"),
    ("window_index_is_inside", rtl.registers, "window.index >= length", "window.index > length"),
    ("window_is_one_of_them", rtl.registers, "| (value > field.highest)", ""),
    ("strobes_are_five_cycles_apart", rtl.registers, "strobe.eq(0)",
     "strobe.eq(strobe & window.ready)"),
    ("a_failed_access_gives_no_strobe", rtl.registers, "writes & allowed &", "writes &"),
    (
        "settings_change_by_an_accepted_write_only", rtl.registers,
        "with m.If(write):\n                m.d.sync += value.eq(bits)",
        "with m.If(write | self.window.ready):\n                m.d.sync += value.eq(bits)",
    ),
]  # fmt: skip
"""A property, and a damage that it must find: a module, its text, what stands there instead."""


def test_every_property_has_a_damage() -> None:
    harness = Registers()
    Fragment.get(harness, None)
    assert sorted(harness.names) == sorted(name for name, *_ in DAMAGES)


def test_properties(prove) -> None:
    assert prove(Registers(bounded=False), method="induction", depth=INDUCTION).passed


@pytest.mark.formal
def test_every_response_comes_in_time(prove) -> None:
    assert prove(Registers(), method="induction", depth=BOUND_CYCLES + 2).passed


@pytest.mark.formal
def test_every_access_can_happen(prove) -> None:
    assert prove(Registers(), method="cover", depth=WITNESSES).passed


@pytest.mark.formal
@pytest.mark.parametrize(("name", "module", "old", "new"), DAMAGES, ids=[d[0] for d in DAMAGES])
def test_damage_is_found(prove, name: str, module: Any, old: str, new: str) -> None:
    copies = {module.__name__.split(".")[1]: damaged(module, old, new)}
    assert prove(Registers(**copies), method="bmc", depth=DAMAGED, only=[name]).failed == {name}
