"""The columns of the row in hand: groups of them go through three stages, one a cycle.

The memories answer; then differences and products; then what is kept, counted or driven. Groups
come from a READ, or from a pass that writes the drivers.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.utils import ceil_log2

from rtl.formats import round_half_even, saturate
from rtl.transfer_ports import State, TransferPorts
from rtl.transfer_program import Program
from rtl.transfer_trim import Trim
from rtl.transfer_wires import Wires
from rtl.transfer_word import ColumnWord
from spec.tile import TileSpec

COMPENSATION_BITS = 8


class Columns:
    """`arrived` rises when the last group of a READ has gone through."""

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
        self.spec, self.ports, self.wires, self.arrived = spec, ports, wires, arrived
        self.word, self.program, self.trim = word, program, trim
        self.lanes, self.groups = ports.lanes, ports.groups

    def build(self, m: Module) -> None:
        """The way of the groups, and what the last stage writes."""
        spec, ports, wires = self.spec, self.ports, self.wires
        lanes, journal, arrived = self.lanes, ports.journal, self.arrived
        group_bits, lane_bits = len(ports.read.group), ceil_log2(lanes)
        mark = data.StructLayout(
            {"valid": 1, "last": 1, "group": group_bits, "lane": max(1, lane_bits)}
        )  # fmt: skip
        marks: list[Any] = [Signal(mark, name=f"mark_{stage}") for stage in range(4)]
        for before, after in pairwise(marks):
            m.d.sync += after.eq(before)

        # Where the groups come from: a READ, or a pass.
        group, lane, gone = Signal(group_bits), Signal(max(1, lane_bits)), Signal()
        last_group = group == self.groups - 1
        last_lane = lane == Mux(last_group, (spec.columns - 1) % lanes, lanes - 1)
        with m.If(wires.reading):
            m.d.comb += [
                marks[0].valid.eq(ports.read.valid),
                marks[0].group.eq(ports.read.group),
                marks[0].last.eq(ports.read.group == self.groups - 1),
            ]
        with m.Elif(wires.passing):
            next_group = last_lane | ~wires.serial
            m.d.comb += [
                marks[0].valid.eq(~gone),
                marks[0].group.eq(group),
                marks[0].lane.eq(lane),
                marks[0].last.eq(last_group & next_group),
            ]
            m.d.sync += [
                lane.eq(Mux(next_group, 0, lane + 1)),
                group.eq(group + next_group),
                gone.eq(gone | marks[0].last),
            ]
        with m.If(~wires.passing):
            m.d.sync += [group.eq(0), lane.eq(0), gone.eq(0)]
        through = marks[3].valid & marks[3].last
        with m.If(wires.reading & through):
            m.d.sync += arrived.eq(1)
        with m.If(wires.passing & through):
            m.d.sync += wires.loaded.eq(1)
        with m.Elif(wires.over | wires.failed | journal.open):
            m.d.sync += wires.loaded.eq(0)

        # Stage 1: what came, and what the memories know of its columns.
        word = self.word.layout()
        words = data.ArrayLayout(word, lanes)
        m.submodules.words = memory = Memory(shape=words, depth=self.groups, init=[])
        read: ReadPort = memory.read_port()
        write: WritePort = memory.write_port()
        codes_1, active_1 = Signal(len(ports.read.codes)), Signal(lanes)
        enabled = Array(
            Const(0, lanes) | ports.column_enable[place * lanes : (place + 1) * lanes]
            for place in range(self.groups)
        )
        m.d.comb += [read.addr.eq(marks[0].group), journal.read_group.eq(marks[0].group)]
        m.d.sync += [codes_1.eq(ports.read.codes), active_1.eq(enabled[marks[0].group])]
        words_2, active_2 = Signal(words), Signal(lanes)
        m.d.sync += [words_2.eq(read.data), active_2.eq(active_1)]

        # Stage 2 ends in the memories and at the drivers, stage 3 in the count.
        news, journal_codes, unfinished = [], [], Signal(lanes)
        masks, counts, charges = [], [], []
        for k in range(lanes):
            code_1 = codes_1.word_select(k, self.word.code).as_signed()
            kept_1 = journal.codes.word_select(k, self.word.code).as_signed()
            old: Any = read.data[k]
            was: Any = words_2[k]
            found = self._first_stage(m, f"lane_{k}", old, code_1, kept_1)
            new, on, code_2 = self._second_stage(m, f"lane_{k}", was, active_2[k], found)
            news.append(new.as_value())
            m.d.sync += unfinished[k].eq(on)
            journal_codes.append(code_2)
            pulses = self.trim.pulses(m, f"lane_{k}", was, found["product"])
            first_attempt = (ports.state == State.ERASE) & (wires.attempts == 0)
            masks.append(Mux(first_attempt, active_2[k], was.program.on))
            counts.append(Mux(was.trim.on, pulses, Const(0, self.word.pulses)))
            charges.append((was.trim.residual > 0) ^ ports.polarity_bit)

        remembers, counting = Signal(), Signal()
        with m.Switch(ports.state):
            with m.Case(State.READ_LOWER, State.VERIFY, State.TRIM_READ):
                m.d.comb += [remembers.eq(1), counting.eq(1)]
            with m.Case(State.READ_LOWER_BEFORE):
                m.d.comb += remembers.eq(1)
            with m.Case(State.READ_ALL, State.JOURNAL):
                m.d.comb += journal.write.eq(marks[2].valid)
        m.d.comb += [
            write.addr.eq(marks[2].group),
            write.data.eq(Cat(*news)),
            write.en.eq(marks[2].valid & remembers),
            journal.write_group.eq(marks[2].group),
            journal.write_codes.eq(Cat(*journal_codes)),
        ]
        with m.If(marks[3].valid & counting):
            ones = sum((unfinished[k] for k in range(lanes)), start=Const(0, 1))
            m.d.sync += ports.unfinished.eq(ports.unfinished + ones)

        erases, sets = ports.state == State.ERASE, ports.state == State.SET
        m.d.sync += [
            ports.select_write.eq(marks[2].valid & (erases | (sets & (marks[2].lane == 0)))),
            ports.select_group.eq(marks[2].group),
            ports.select_mask.eq(Cat(*masks)),
            ports.trim_write.eq(marks[2].valid & (ports.state == State.TRIM_PULSE)),
            ports.trim_group.eq(marks[2].group),
            ports.trim_counts.eq(Cat(*counts)),
            ports.trim_charge.eq(Cat(*charges)),
        ]
        if self.program.does:
            chosen_1: Any = Array(read.data[k].as_value() for k in range(lanes))[marks[1].lane]
            chosen_2: Any = Array(words_2[k].as_value() for k in range(lanes))[marks[2].lane]
            one_1, one_2 = Signal(word), Signal(word)
            shift = spec.transfer.set_shift
            m.d.comb += [
                one_1.eq(chosen_1),
                one_2.eq(chosen_2),
                ports.step_index.eq(Mux(one_1.program.on, one_1.program.magnitude >> shift, 0)),
            ]
            column = Cat(marks[2].lane[:lane_bits], marks[2].group)
            m.d.sync += [
                ports.set_write.eq(marks[2].valid & sets),
                ports.set_column.eq(column),
                ports.set_code.eq(Mux(one_2.program.on, ports.step_code, 0)),
                ports.set_minus.eq(one_2.program.on & (one_2.program.target < 0)),
            ]

    def _first_stage(
        self, m: Module, lane: str, old: Any, code: Value, kept: Value
    ) -> dict[str, Signal]:
        """Registers of a lane: the code, its difference to what it should be, a trim's product."""
        ports, transfer, word = self.ports, self.spec.transfer, self.word
        wanted = Signal(signed(word.difference), name=f"{lane}_wanted")
        with m.Switch(ports.state):
            with m.Case(State.READ_LOWER):
                p_offset = Mux(ports.journal.p_new, -transfer.offset, transfer.offset)
                m.d.comb += wanted.eq(kept - p_offset)
            with m.Case(State.VERIFY):
                m.d.comb += wanted.eq(old.program.target)
            with m.Default():
                m.d.comb += wanted.eq(kept)
        found = {
            "code": Signal(signed(word.code), name=f"{lane}_code"),
            "difference": Signal(signed(word.difference), name=f"{lane}_difference"),
            "product": Signal(word.product, name=f"{lane}_product"),
        }
        m.d.sync += [
            found["code"].eq(code),
            found["difference"].eq(wanted - code),
            found["product"].eq(self.trim.product(old.trim.residual)),
        ]
        if transfer.leak_compensation:
            share = Signal(
                signed(word.code + transfer.leak_compensation.bit_length()), name=f"{lane}_share"
            )
            m.d.comb += share.eq(old.lower_before * transfer.leak_compensation)
            leaked = round_half_even(m, share, COMPENSATION_BITS, f"{lane}_leaked")
            found["leaked"] = Signal.like(leaked, name=f"{lane}_added")
            m.d.sync += found["leaked"].eq(leaked)
        return found

    def _second_stage(
        self,
        m: Module,
        lane: str,
        was: Any,
        active: Value,
        found: dict[str, Signal],
    ) -> tuple[Any, Signal, Signal]:
        """What is remembered of a column, if it is still worked, and its code for the journal."""
        ports, transfer, word = self.ports, self.spec.transfer, self.word
        difference = found["difference"]
        new: Any = Signal(word.layout(), name=f"{lane}_new")
        on = Signal(name=f"{lane}_on")
        with m.Switch(ports.state):
            with m.Case(State.READ_LOWER_BEFORE):
                m.d.comb += new.lower_before.eq(found["code"])
            with m.Case(State.READ_LOWER):
                self.program.begin(m, lane, difference, active, new, on)
            with m.Case(State.VERIFY):
                self.program.verify(m, lane, difference, was, new, on)
            with m.Case(State.TRIM_READ):
                first = self.wires.trains == 0
                self.trim.judge(m, first, difference, active, was, new, on)
        code = Signal(signed(word.code), name=f"{lane}_journal_code")
        with m.If(ports.state == State.READ_ALL):
            if transfer.leak_compensation:
                added = Signal(signed(word.code + 2), name=f"{lane}_compensated")
                m.d.comb += [
                    added.eq(found["code"] + found["leaked"]),
                    code.eq(saturate(added, self.spec.weight_code)),
                ]
            else:
                m.d.comb += code.eq(found["code"])
        return new, on, code
