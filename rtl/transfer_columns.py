"""The columns of the row in hand: groups of them go through three stages, one a cycle.

A difference, or pulses; what it means for the column; what is kept or driven. Before each of the
first two stages a memory answers; behind the last the columns still worked are counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.utils import ceil_log2

from rtl.transfer_groups import Groups
from rtl.transfer_leak import compensated
from rtl.transfer_ports import State, TransferPorts
from rtl.transfer_program import Program
from rtl.transfer_trim import Trim
from rtl.transfer_wires import Wires
from rtl.transfer_word import ColumnWord
from spec.tile import TileSpec


def register(shape: Any, name: str) -> Signal:
    """Of a value that a mark beside it says to be there: no reset need reach it."""
    return Signal(shape, name=name, reset_less=True)


@dataclass
class Lane:
    """What a lane's second stage hands to its third."""

    moved: Signal
    """The absolute difference; in VERIFY c, moved by it."""
    negative: Signal
    """The difference is."""
    on: Signal
    """The column is still worked, if the difference does not end it."""
    damping: Signal
    damped: Signal
    positive: Signal
    """The residual of the trim at hand."""


class Columns:
    """Those of all lanes; `arrived` as in `Groups`."""

    def __init__(
        self,
        spec: TileSpec,
        ports: TransferPorts,
        wires: Wires,
        arrived: Signal,
        word: ColumnWord,
        program: Program,
        trim: Trim,
    ) -> None:
        self.spec, self.ports, self.wires = spec, ports, wires
        self.groups = Groups(spec, ports, wires, arrived)
        self.word, self.program, self.trim = word, program, trim
        self.lanes = ports.lanes

    def build(self, m: Module) -> None:
        """The way of the groups, and what the last stage writes."""
        spec, ports, lanes = self.spec, self.ports, self.lanes
        marks = self.groups.build(m)
        self._states(m)
        first, first_write = self._memory(m, "first", self.word.first(), marks[0], marks[3])
        second, second_write = self._memory(m, "second", self.word.second(), marks[1], marks[4])
        enabled = Array(
            Const(0, lanes) | ports.column_enable[place * lanes : (place + 1) * lanes]
            for place in range(ports.groups)
        )
        active = register(lanes, "active")
        m.d.comb += ports.journal.read_group.eq(marks[0].group)
        m.d.sync += active.eq(enabled[marks[1].group])

        firsts, seconds, journal_codes, unfinished = [], [], [], []
        masks, counts, charges, minus = [], [], [], []
        for k in range(lanes):
            name = f"lane_{k}"
            code = self._entry(m, name, ports.read.codes.word_select(k, self.word.code))
            kept = ports.journal.codes.word_select(k, self.word.code).as_signed()
            difference, minus_2, product = self._first_stage(m, name, first[k], code, kept)
            minus.append(minus_2)
            lane = self._second_stage(m, name, second[k], active[k], difference, minus_2, product)
            new_first, new_second = self._third_stage(m, name, lane)
            if spec.transfer.leak_compensation:
                code_3, journal_code = compensated(
                    m, spec, name, code, first[k].lower_before, self.adds
                )
                new_first = Mux(self.remembers, code_3, new_first)[: len(new_first)]
            else:
                journal_code = code
            firsts.append(new_first)
            seconds.append(new_second.as_value())
            unfinished.append(new_second.on)
            journal_codes.append(journal_code[: self.word.code])
            masks.append(lane.on)
            counts.append(Mux(lane.on, self.trim.pulses(lane.damped), 0)[: self.word.pulses])
            charges.append(lane.positive ^ ports.polarity_bit)
        m.d.comb += [
            first_write.data.eq(Cat(*firsts)),
            second_write.data.eq(Cat(*seconds)),
            first_write.en.eq(marks[3].valid & (self.begins | self.judges | self.remembers)),
            second_write.en.eq(marks[4].valid & self.counts),
        ]
        written = marks[4 if spec.transfer.leak_compensation else 1]
        m.d.comb += [
            ports.journal.write.eq(written.valid & self.journals),
            ports.journal.write_group.eq(written.group),
            ports.journal.write_codes.eq(Cat(*journal_codes)),
        ]
        self._count(m, marks, Cat(*unfinished))
        m.d.sync += [
            ports.select_write.eq(
                marks[3].valid & (self.erases | self.sets & (marks[3].lane == 0))
            ),
            ports.select_group.eq(marks[3].group),
            ports.select_mask.eq(Cat(*masks)),
            ports.trim_write.eq(marks[3].valid & self.pulses),
            ports.trim_group.eq(marks[3].group),
            ports.trim_counts.eq(Cat(*counts)),
            ports.trim_charge.eq(Cat(*charges)),
        ]
        if self.program.does:
            self._set(m, marks, second, minus)

    def _states(self, m: Module) -> None:
        """The state, a cycle late: no group is at a stage that asks so soon."""
        state, wires = self.ports.state, self.wires

        def within(name: str, condition: Value) -> Signal:
            known = Signal(name=name)
            m.d.sync += known.eq(condition)
            return known

        lower, verify = state == State.READ_LOWER, state == State.VERIFY
        trim, erase = state == State.TRIM_READ, state == State.ERASE
        read_all, journal = state == State.READ_ALL, state == State.JOURNAL
        begins_anew = lower | (trim & (wires.trains == 0)) | (erase & (wires.attempts == 0))
        self.anew = within("anew", begins_anew)
        self.begins, self.verifies = within("begins", lower), within("verifies", verify)
        self.judges, self.counts = within("judges", trim), within("counts", lower | verify | trim)
        self.journals = within("journals", read_all | journal)
        self.erases, self.sets = within("erases", erase), within("sets", state == State.SET)
        self.pulses = within("pulses", state == State.TRIM_PULSE)
        self.remembers: Value = Const(0)
        if self.spec.transfer.leak_compensation:
            self.remembers = within("remembers", state == State.READ_LOWER_BEFORE)
            self.adds = within("adds", read_all)

    def _memory(
        self, m: Module, name: str, word: Any, asked: Any, written: Any
    ) -> tuple[Any, WritePort]:
        """What is remembered of the columns, a word a lane."""
        words = data.ArrayLayout(word, self.lanes)
        m.submodules[name] = memory = Memory(shape=words, depth=self.ports.groups, init=[])
        read: ReadPort = memory.read_port()
        write: WritePort = memory.write_port()
        m.d.comb += [read.addr.eq(asked.group), write.addr.eq(written.group)]
        return read.data, write

    def _entry(self, m: Module, lane: str, code: Value) -> Signal:
        """The code, in READ_LOWER with the offset that its target has; 0 in a pass."""
        offset, bits = self.spec.transfer.offset, self.word.code
        come: Value = Mux(self.ports.read.valid, code, 0).as_signed()
        if offset:
            p_offset = Mux(self.ports.journal.p_new, -offset, offset)
            come = come + Mux(self.begins, p_offset, 0)
            bits = self.word.difference
        entered = register(signed(bits), f"{lane}_code")
        m.d.sync += entered.eq(come)
        return entered

    def _first_stage(
        self, m: Module, lane: str, known: Any, code: Value, kept: Value
    ) -> tuple[Signal, Signal, Signal]:
        """The difference to what the code should be, a target's sign, a trim's product."""
        difference = register(signed(self.word.difference), f"{lane}_difference")
        minus = register(1, f"{lane}_minus")
        product = register(self.word.product, f"{lane}_product")
        m.d.sync += [
            difference.eq(Mux(self.verifies, known.target, kept) - code),
            minus.eq(known.target < 0),
            product.eq(self.trim.product(known.size)),
        ]
        return difference, minus, product

    def _second_stage(
        self,
        m: Module,
        lane: str,
        was: Any,
        active: Value,
        difference: Signal,
        minus: Signal,
        product: Signal,
    ) -> Lane:
        """The absolute difference, or the moved c; how a trim goes on."""
        word, verifies = self.word, self.verifies
        trim = was.of.trim
        found = Lane(
            moved=register(signed(word.difference + 1), f"{lane}_moved"),
            negative=register(1, f"{lane}_negative"),
            on=register(1, f"{lane}_on"),
            damping=register(len(trim.damping), f"{lane}_damping"),
            damped=register(word.product, f"{lane}_damped"),
            positive=register(1, f"{lane}_positive"),
        )
        negative = difference[-1]
        turned = Signal(signed(word.difference), name=f"{lane}_turned")
        carry = Signal(name=f"{lane}_carry")
        # The complement of a difference to a complement is its exact negative; else one is added.
        m.d.comb += [
            turned.eq(difference ^ Mux(verifies, minus, negative).replicate(word.difference)),
            carry.eq(negative & ~verifies),
        ]
        base = Cat(carry, Mux(verifies, was.of.magnitude, 0), Const(0, 1))
        goes_on = Mux(self.anew, active, was.on)
        m.d.sync += [
            # With the carry below both, it is one addition.
            found.moved.eq((base.as_signed() + Cat(carry, turned).as_signed()) >> 1),
            found.negative.eq(negative),
            found.on.eq(goes_on & ~(verifies & self.program.is_close(difference, minus))),
            found.damping.eq(self.trim.damping(self.anew, negative, trim)),
            found.damped.eq(product >> trim.damping),
            found.positive.eq(trim.positive),
        ]
        return found

    def _third_stage(self, m: Module, lane: str, found: Lane) -> tuple[Value, Any]:
        """What is remembered of a column: the first word, and, a cycle later, the second."""
        word, judges = self.word, self.judges
        nothing, size = found.moved == 0, found.moved[: word.difference - 1]
        ended = Mux(
            judges,
            self.trim.is_done(size),
            self.begins & self.program.is_small(size, found.negative, nothing),
        )
        target, magnitude = self.program.limited(found.moved, found.negative, nothing)
        first = Signal(word.first().size, name=f"{lane}_first")
        second: Any = register(word.second(), f"{lane}_second")
        trim = Cat(found.damping, ~found.negative & ~nothing)
        m.d.comb += first.eq(Mux(judges, found.moved[: word.size], target))
        m.d.sync += [
            second.of.as_value().eq(Mux(judges, trim, magnitude)),
            second.on.eq(found.on & ~ended),
        ]
        return first, second

    def _count(self, m: Module, marks: list[Any], unfinished: Value) -> None:
        """Columns still worked, in two cycles; whether there are any, in one."""
        ports, wires = self.ports, self.wires
        ones = register(range(self.lanes + 1), "ones")
        m.d.sync += ones.eq(sum((unfinished[k] for k in range(self.lanes)), start=Const(0, 1)))
        with m.If(marks[4].valid & self.counts & unfinished.any()):
            m.d.sync += wires.unfinished.eq(1)
        with m.If(marks[5].valid & self.counts):
            m.d.sync += ports.unfinished.eq(ports.unfinished + ones)

    def _set(self, m: Module, marks: list[Any], second: Any, minus: list[Signal]) -> None:
        """The step code of one column, from the table."""
        spec, ports = self.spec, self.ports
        index = [second[k].of.magnitude[spec.transfer.set_shift :] for k in range(self.lanes)]
        chosen = Array(
            Cat(second[k].on, minus[k], index[k]) for k in range(self.lanes)
        )[marks[2].lane]  # fmt: skip
        step_3 = register(2 + len(ports.step_index), "step_3")
        # The table answers in this cycle.
        step_4 = register(2, "step_4")
        lane_bits = ceil_log2(self.lanes)
        m.d.comb += ports.step_index.eq(step_3[2:])
        m.d.sync += [
            step_3.eq(chosen),
            step_4.eq(step_3[:2]),
            ports.set_write.eq(marks[4].valid & self.sets),
            ports.set_column.eq(Cat(marks[4].lane[:lane_bits], marks[4].group)),
            ports.set_code.eq(Mux(step_4[0], ports.step_code, 0)),
            ports.set_minus.eq(step_4.all()),
        ]
