"""Proofs of rtl/drive.py with rtl/phase.py and rtl/pulse_width.py in it, whatever the macro does.

What its users keep to, and tests/formal/test_tile.py proves of the whole: they write nothing of the
drivers while a phase is in hand, from the cycle after it is taken, and rows are those of the tile.
The time-out and IDLE's cycles may change in any cycle. A soft reset may come in any cycle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import Cat, Const, Fragment, Module, Mux, ResetInserter, Signal, Value

import rtl.drive
import rtl.phase
import rtl.pulse_width
from rtl.phase import groups
from spec.commands import Phase
from spec.tile import CodeSpec, ConverterSpec, HostSpec, TileSpec, UpdateSpec
from tests.formal.claims import Claim
from tests.formal.inside import Inside
from tests.formal.prove import Harness

SPEC = TileSpec(
    rows=3,
    columns=2,
    codes=CodeSpec(pwm_bits=2, column_bits=2),
    update=UpdateSpec(slots=4),
    converters=ConverterSpec(lanes=1, read_average_log2=0, calibration_log2=0),
    host=HostSpec(axis_bytes=2),
)
DRIVES = {
    Phase.FORWARD: SPEC.row_code.high,
    Phase.BACKWARD: SPEC.column_code.high,
    Phase.UPDATE: SPEC.update.slots,
    Phase.READ: 1 << (SPEC.codes.pwm_bits - 1),
}
"""Drive phases, and the cycles of their windows."""
STROBES = (Phase.PRECHARGE, Phase.RESET, Phase.SET)
CONVERSIONS = {
    Phase.CONVERT_FORWARD: groups(SPEC, SPEC.columns),
    Phase.CONVERT_BACKWARD: groups(SPEC, SPEC.rows),
    Phase.CONVERT_READ: groups(SPEC, SPEC.columns),
}
TIMEOUT, IDLE_CYCLES = 3, 3
"""The largest values that the host gives in these runs."""
DRAW_CYCLES = 3
"""From the beginning of the streams until they have given their first thresholds; in these runs."""
BOUND = TIMEOUT + max(
    DRAW_CYCLES - 1 + TIMEOUT + max(DRIVES.values()),
    TIMEOUT * max(CONVERSIONS.values()) + 1,
    IDLE_CYCLES,
)
"""Cycles from taking a phase to its last: the macro answers each in time or the phase fails."""


def among(phase: Value, phases: Any) -> Value:
    return Cat(phase == one for one in phases).any()


def implies(condition: Any, then: Any) -> Value:
    return ~Value.cast(condition).bool() | Value.cast(then).bool()


class Drives(Harness):
    """The drive and a model of what it was told, made from its inputs alone."""

    def describe(self, m: Module) -> None:
        # By the module's name, so that a damaged copy can stand there.
        drive = self.drive = rtl.drive.Drive(SPEC)
        whole = Inside(drive)
        phase = self.phase = Inside.of(whole, "phase")
        self.ends, self.fails = phase["ends"], phase["fails"]
        self.sign = whole["sign"]
        self.drivers = {
            side: Inside.of(whole, f"{side}_drivers")["held"] for side in ("row", "column")
        }
        self.held = [Inside.of(whole, f"{side}_shadow")["held"] for side in ("row", "column")]
        self.reset = reset = Signal()
        self.free(m, reset)
        model = Module()
        self._model(model)
        self._inputs(m)
        # A soft reset clears both.
        m.submodules.drive = ResetInserter(reset)(whole.fragment)
        m.submodules.model = ResetInserter(reset)(model)

        pins, window = drive.pins, self.t
        self.asked = pins.request
        self.rows, self.columns = pins.row_pulse.any(), pins.column_pulse.any()
        self.any_line = self.rows | self.columns
        self.was_reset = self.past(m, reset)
        self._request(m)
        self._lines(m)
        self._devices(m)
        self._pulses(m)
        self._answers(m)
        self._follows(m, phase, window)
        self._witnesses(m)

    # -- what comes in -----------------------------------------------------------------------

    def _inputs(self, m: Module) -> None:
        drive = self.drive
        for _, member, value in drive.signature.flatten(drive):
            if member.flow.name == "In":
                self.free(m, value)
        in_hand, asked = self.in_hand, drive.i.payload
        self.assume(m, drive.timeout <= TIMEOUT)
        self.assume(m, (drive.idle_cycles >= 1) & (drive.idle_cycles <= IDLE_CYCLES))
        self.assume(m, implies(drive.i.valid, among(asked.phase, Phase)))
        self.assume(m, implies(drive.i.valid, asked.row < SPEC.rows))
        self.assume(m, implies(asked.trim, asked.phase == Phase.UPDATE))
        writes = (drive.rows_take, drive.columns_take, drive.trim_write, drive.select_write,
                  drive.set_write)  # fmt: skip
        self.assume(m, implies(in_hand, ~Cat(writes).any()))
        for kept in (drive.polarity, drive.column_enable):
            self.assume(m, implies(in_hand, kept == self.past(m, kept)))
        # A BACKWARD takes its vector; what a trim left is no code of one.
        of_a_vector = [code <= SPEC.column_code.high for code in self.column_codes]
        backward = in_hand & (self.asked_for.phase == Phase.BACKWARD)
        self.assume(m, implies(backward, Cat(of_a_vector).all()))
        # The streams' first thresholds come in time, whatever else they do.
        drawing = self.phase.state("DRAW")
        waited = self.waited = Signal(range(DRAW_CYCLES + TIMEOUT + 2))
        m.d.sync += waited.eq(Mux(drawing & ~self.reset, waited + 1, 0))
        both = drive.row_draws.valid & drive.column_draws.valid
        self.assume(m, implies(drawing & (waited >= DRAW_CYCLES - 1), both))

    def _model(self, m: Module) -> None:
        drive = self.drive
        self.in_hand, self.taken = Signal(), drive.i.valid & drive.i.ready
        asked = self.asked_for = Signal.like(drive.i.payload)
        polarity = self.polarity = Signal(SPEC.rows)
        with m.If(self.ends):
            m.d.sync += self.in_hand.eq(0)
        with m.If(self.taken):
            m.d.sync += [self.in_hand.eq(1), asked.eq(drive.i.payload), polarity.eq(drive.polarity)]
        self.trim = asked.trim
        self.live = polarity ^ ~asked.swap.replicate(SPEC.rows)
        self.row = Const(1, SPEC.rows) << asked.row

        # The window's cycle, from 1 on; 0 outside.
        t = self.t = Signal(range(max(DRIVES.values()) + 2))
        ready = drive.pins.request & drive.ready & among(asked.phase, DRIVES)
        opens = self.in_hand & ready & drive.enable
        with m.If(self.ends):
            m.d.sync += t.eq(0)
        with m.Elif((t != 0) | opens):
            m.d.sync += t.eq(t + 1)
        self.thresholds = (
            Signal.like(drive.row_draws.payload),
            Signal.like(drive.column_draws.payload),
        )
        # Those taken last, which the lines follow a cycle later.
        self.taken_last = []
        for threshold, draws in zip(
            self.thresholds, (drive.row_draws, drive.column_draws), strict=True
        ):
            last = Signal.like(threshold)
            with m.If(draws.valid & draws.ready):
                m.d.sync += last.eq(draws.payload)
            m.d.sync += threshold.eq(last)
            self.taken_last.append(last)
        self.elapsed = Signal(range(BOUND + 4))
        m.d.sync += self.elapsed.eq(Mux(self.taken, 1, self.elapsed + self.in_hand))

        self.row_codes = self._row_codes(m)
        self.column_codes, self.signs = self._column_codes(m)
        lines = (drive.pins.row_pulse, drive.pins.column_pulse)
        self.highs, self.pieces = [], []
        for pins in lines:
            for line in range(len(pins)):
                high = Signal(range(max(DRIVES.values()) + 2), name=f"high_{len(self.highs)}")
                piece = Signal(2, name=f"pieces_{len(self.highs)}")
                before = Signal(name=f"before_{len(self.highs)}")
                now = pins[line]
                m.d.sync += [before.eq(now), high.eq(high + now)]
                m.d.sync += piece.eq(piece + (now & ~before & (piece != 3)))
                with m.If(self.taken):
                    m.d.sync += [high.eq(0), piece.eq(0)]
                # With the present cycle.
                self.highs.append(high + now)
                self.pieces.append((piece + (now & ~before), piece, before, high))

    def _shadow(self, m: Module, port: Any, lines: int, bits: int, name: str) -> list[Signal]:
        held = []
        for line in range(lines):
            group, lane = divmod(line, SPEC.host.axis_bytes)
            code = Signal(bits, name=f"{name}_{line}")
            with m.If(port.write & (port.group == group)):
                m.d.sync += code.eq(port.codes.word_select(lane, bits))
            held.append(code)
        return held

    def _row_codes(self, m: Module) -> list[Signal]:
        bits = SPEC.codes.pwm_bits
        self.row_shadow = self._shadow(m, self.drive.rows, SPEC.rows - 1, bits, "row_shadow")
        codes = [Signal(bits, name=f"row_code_{row}") for row in range(SPEC.rows)]
        with m.If(self.drive.rows_take):
            for code, held in zip(codes, [*self.row_shadow, SPEC.row_code.high], strict=True):
                m.d.sync += code.eq(held)
        return codes

    def _column_codes(self, m: Module) -> tuple[list[Signal], list[Signal]]:
        drive, bits, codes, signs = self.drive, SPEC.codes.column_bits, [], []
        shadow = self._shadow(m, drive.columns, SPEC.columns, bits + 1, "column_shadow")
        self.column_shadow = shadow
        for column in range(SPEC.columns):
            code = Signal(SPEC.column_driver_bits, name=f"column_code_{column}")
            sign = Signal(name=f"column_sign_{column}")
            passes = drive.column_enable[column] & drive.column_mask[column]
            # One lane: a group is a column.
            with m.If(drive.columns_take):
                m.d.sync += code.eq(Mux(passes, shadow[column][:bits], 0))
                m.d.sync += sign.eq(shadow[column][bits])
            with m.Elif(drive.trim_write & (drive.trim_group == column)):
                m.d.sync += [code.eq(drive.trim_counts), sign.eq(drive.trim_charge)]
            codes.append(code)
            signs.append(sign)
        return codes, signs

    # -- what must hold ----------------------------------------------------------------------

    def _request(self, m: Module) -> None:
        drive, pins, asked = self.drive, self.drive.pins, self.asked_for
        was = self.past(m, self.asked)
        names = ("phase", "lower_swap", "row_lower_swap", "row_select", "pair", "column_enable",
                 "column_select", "column_sign", "convert_hold")  # fmt: skip
        selects = Cat(getattr(pins, name) for name in names)
        self.always(
            m, "selects_are_stable", implies(was & self.asked, selects == self.past(m, selects))
        )
        rises = self.asked & ~was
        self.always(
            m,
            "request_rises_while_ready_is_low",
            implies(rises, ~self.past(m, drive.ready, init=1)),
        )
        ended = self.past(m, self.ends)
        failed = self.past(m, self.fails)
        closes = self.phase.state("CLOSE")
        self.always(
            m, "request_stays_until_the_end", implies(was & ~self.asked, ended | self.was_reset)
        )
        self.always(m, "request_falls_with_the_end", implies(ended, ~self.asked))
        # That of a window is foreseen: it is in its last cycle that it is told.
        last = self.past(m, closes & ~self.reset)
        told = (drive.done == (closes | (ended & ~last & ~self.was_reset))) & (
            drive.failed == (failed & ~self.was_reset)
        )
        told &= implies(closes, self.ends & ~self.fails)
        told &= implies(drive.failed, drive.done)
        self.always(m, "done_tells_the_end", told)
        told = Cat(asked.phase, asked.swap, asked.row, asked.pair, asked.hold)
        shown = Cat(pins.phase, pins.lower_swap, pins.row_select, pins.pair, pins.convert_hold)
        self.always(m, "request_is_what_was_asked", implies(self.asked, told == shown))
        off = self.past(m, ~drive.enable) | self.was_reset
        self.always(
            m, "disarm_and_reset_act_within_a_cycle",
            implies(off, ~(self.asked | self.any_line | pins.set_write)),
        )  # fmt: skip

    def _lines(self, m: Module) -> None:
        pins, phase, swap = self.drive.pins, self.drive.pins.phase, self.drive.pins.lower_swap
        was = self.past(m, self.asked)
        drives = self.asked & among(phase, DRIVES)
        self.always(m, "no_line_without_a_drive_phase", implies(self.any_line, drives))
        quiet = self.asked & among(phase, (*STROBES, *CONVERSIONS, Phase.IDLE))
        self.always(m, "no_line_in_a_conversion_or_strobe", implies(quiet, ~self.any_line))
        self.always(
            m, "lines_are_low_as_a_request_rises", implies(self.asked & ~was, ~self.any_line)
        )
        of_a_side = implies(among(phase, (Phase.FORWARD, Phase.READ)), ~self.columns) & implies(
            phase == Phase.BACKWARD, ~self.rows
        )
        self.always(m, "a_phase_drives_its_own_side", of_a_side)
        mixed = (phase == Phase.FORWARD) | ((phase == Phase.UPDATE) & ~self.trim)
        wrong = pins.row_pulse & (pins.row_lower_swap ^ swap.replicate(SPEC.rows))
        self.always(
            m, "rows_driven_have_the_phases_polarity", implies(mixed & self.asked, ~wrong.any())
        )
        one = self.asked & ((phase == Phase.READ) | ((phase == Phase.UPDATE) & self.trim))
        selected = Mux(self.t != 0, Const(1, SPEC.rows) << pins.row_select, 0)
        self.always(m, "read_and_trim_drive_the_one_row", implies(one, pins.row_pulse == selected))
        strobe = self.asked & among(phase, STROBES)
        self.always(
            m, "a_strobe_is_on_its_row", implies(strobe, pins.row_select == self.asked_for.row)
        )
        self.always(m, "nothing_is_latched_during_a_phase", implies(pins.set_write, ~self.asked))

        charge, pulse, update = (
            pins.column_sign,
            pins.column_pulse,
            self.asked & (phase == Phase.UPDATE),
        )
        positive = ~Cat(self.signs)
        right = charge == (positive ^ swap.replicate(SPEC.columns))
        as_told = charge == Cat(self.signs)
        for name, when, rule in (
            ("update_charges_where_d_is_positive_xor_swap", update & ~self.trim,
             lambda c: charge[c] == (positive[c] ^ swap)),
            ("backward_signs_are_the_codes", self.asked & (phase == Phase.BACKWARD),
             lambda c: charge[c] == self.signs[c]),
            ("trim_charges_as_told", update & self.trim, lambda c: charge[c] == self.signs[c]),
        ):  # fmt: skip
            each = [implies(pulse[c], rule(c)) for c in range(SPEC.columns)]
            self.always(m, name, implies(when, Cat(each).all()))
        self.sign_of_phase = Mux((phase == Phase.BACKWARD) | self.trim, as_told, right)

    def _devices(self, m: Module) -> None:
        """What the macro makes of the pins, in each column: who moves one of its devices."""
        pins, asked = self.drive.pins, self.asked
        columns = range(SPEC.columns)
        latched_code = [Signal(len(pins.set_code), name=f"latched_{c}") for c in columns]
        latched_minus = Signal(SPEC.columns)
        rules = []
        for column in range(SPEC.columns):
            with m.If(pins.set_write & (pins.set_column == column)):
                m.d.sync += latched_code[column].eq(pins.set_code)
                m.d.sync += latched_minus[column].eq(pins.set_minus)
            selected = asked & pins.column_select[column]
            sets = selected & (pins.phase == Phase.SET) & (latched_code[column] != 0)
            pulse = asked & (pins.phase == Phase.UPDATE) & self.rows & pins.column_pulse[column]
            charge = pins.column_sign[column]
            now = Cat(
                selected & (pins.phase == Phase.RESET),
                sets & ~latched_minus[column], sets & latched_minus[column],
                pulse & charge, pulse & ~charge,
                asked & (pins.phase == Phase.PRECHARGE),
            )  # fmt: skip
            on = now | self.past(m, now)
            rules.append((on & (on - 1)[: len(on)]) == 0)
        self.always(m, "a_column_is_worked_by_one_at_a_time", Cat(*rules).all())
        strobe = asked & among(pins.phase, STROBES)
        same = pins.row_select == self.past(m, pins.row_select)
        still = strobe & self.past(m, strobe)
        self.always(m, "strobes_are_on_one_row_at_a_time", implies(still, same))
        self.always(m, "each_row_has_its_own_swap", pins.row_lower_swap == self.drive.polarity)

    def _pulses(self, m: Module) -> None:
        pins, t = self.drive.pins, self.t
        phase = self.asked_for.phase

        def lines(pulse: Value, codes: list, when: Callable[[int], Any]) -> Value:
            return Cat(pulse[line] == when(line) for line in range(len(codes))).all()

        inside = t != 0
        rows, columns = pins.row_pulse, pins.column_pulse
        forward, backward = (self.in_hand & (phase == p) for p in (Phase.FORWARD, Phase.BACKWARD))
        update = self.in_hand & (phase == Phase.UPDATE)
        self.always(m, "a_row_is_high_for_its_code_from_the_first_cycle", implies(
            forward,
            lines(rows, self.row_codes, lambda r: inside & self.live[r] & (t <= self.row_codes[r])),
        ))  # fmt: skip
        by_code = lines(columns, self.column_codes, lambda c: inside & (t <= self.column_codes[c]))
        self.always(
            m, "a_column_is_high_for_its_code_from_the_first_cycle", implies(backward, by_code)
        )
        self.always(m, "a_trim_is_a_thermometer", implies(update & self.trim, by_code))
        row_threshold, column_threshold = self.thresholds
        self.always(m, "a_line_of_an_update_is_high_where_the_draw_is_below_its_code", implies(
            update & ~self.trim,
            lines(rows, self.row_codes,
                  lambda r: inside & self.live[r] & (row_threshold < self.row_codes[r]))
            & lines(columns, self.column_codes,
                    lambda c: inside & (column_threshold < self.column_codes[c])),
        ))  # fmt: skip
        ends = self.ends & ~self.fails
        whole = ends & (forward | backward)
        codes = [Mux(forward & self.live[r], self.row_codes[r], 0) for r in range(SPEC.rows)]
        codes += [Mux(backward, code, 0) for code in self.column_codes]
        exact = [
            (high == code) & (piece == (code != 0))
            for high, (piece, *_), code in zip(self.highs, self.pieces, codes, strict=True)
        ]
        self.always(m, "a_whole_pulse_is_one_piece_of_its_code", implies(whole, Cat(exact).all()))
        window = Cat(implies(phase == p, t == cycles) for p, cycles in DRIVES.items()).all()
        self.always(m, "a_window_has_its_cycles", implies(ends & among(phase, DRIVES), window))

    def _answers(self, m: Module) -> None:
        drive = self.drive
        self.always(m, "what_ends_was_taken", implies(self.ends, self.in_hand))
        self.always(m, "one_phase_at_a_time", drive.i.ready == ~self.in_hand)
        self.always(m, "the_end_comes_in_time", implies(self.in_hand, self.elapsed <= BOUND))
        beats = Signal(range(SPEC.rows + 2))
        m.d.sync += beats.eq(Mux(self.taken, 0, beats + drive.beat))
        phase = self.asked_for.phase
        count = Cat(
            implies(phase == p, beats + drive.beat == n) for p, n in CONVERSIONS.items()
        ).all()
        ends = self.ends & ~self.fails & among(phase, CONVERSIONS)
        self.always(m, "a_conversion_gives_all_its_groups", implies(ends, count))
        ended = self.past(m, self.ends)
        soon = ended | self.past(m, ended)
        apart = implies(soon, ~drive.beat) & implies(ended, ~self.in_hand)
        self.always(m, "conversions_are_apart", apart)
        begin = drive.begin
        offered = self.past(m, begin.valid & ~begin.ready & ~self.reset)
        stays = begin.valid | (drive.done & drive.failed)
        self.always(m, "a_begin_stays_until_it_is_taken", implies(offered, stays))
        self.beats = beats

    def _follows(self, m: Module, inner: Inside, t: Signal) -> None:
        """What the induction needs: the model stands where the design does."""
        asked, phase = self.asked_for, self.asked_for.phase
        idle, select, draw, answer, open_, close = (
            inner.state(s) for s in ("IDLE", "SELECT", "DRAW", "ANSWER", "WINDOW", "CLOSE")
        )
        window = open_ | close
        cycle, group, silent = inner["cycle"], inner["group"], inner["silent"]
        late, primed = inner["late"], inner["primed"]
        draws = (phase == Phase.UPDATE) & ~asked.trim
        thresholds = inner["row_threshold"], inner["column_threshold"]
        drives = among(phase, DRIVES)
        length = Const(0)
        for one, cycles in DRIVES.items():
            length = Mux(phase == one, cycles, length)
        last = Mux(
            phase == Phase.CONVERT_BACKWARD, groups(SPEC, SPEC.rows), groups(SPEC, SPEC.columns)
        )
        rows = Mux((phase == Phase.READ) | asked.trim, self.row, self.live)
        state = (idle == ~self.in_hand) & (self.asked == (answer | window))
        state &= idle + select + draw + answer + open_ + close == 1
        told = Cat(phase, asked.swap, asked.row, asked.pair, asked.hold, asked.trim)
        shown = Cat(
            inner[n] for n in ("phase", "lower_swap", "row_select", "pair", "convert_hold", "trim")
        )
        taken = implies(self.in_hand, (told == shown) & ((inner["row_live"] == rows) | select)
                        & (inner["draws"] == draws)
                        & among(phase, Phase) & implies(asked.trim, phase == Phase.UPDATE)
                        & (asked.row < SPEC.rows)
                        & (self.polarity == self.drive.polarity))  # fmt: skip
        times = [
            implies(self.in_hand, (silent >= 1) & implies(silent > TIMEOUT, late)),
            implies(select, (silent == self.elapsed) & (silent <= TIMEOUT + 1)),
            implies(select, (cycle == 0) & (group == 0)),
            implies(draw, draws & (cycle == 0) & (group == 0)),
            implies(draw, (silent <= TIMEOUT + 1) & (self.elapsed >= silent)),
            # Not counted but while the streams owe their first thresholds.
            implies(draw, self.elapsed - silent <= self.waited),
            implies(draw, self.waited < self.elapsed),
            implies(draw, self.elapsed - silent < DRAW_CYCLES),
            implies(draw & ~primed, self.elapsed - silent == self.waited),
            implies(answer, (cycle == 0) & implies(group != 0, among(phase, CONVERSIONS))),
            implies(answer & (phase != Phase.IDLE), silent <= TIMEOUT + 1),
            implies(answer & (phase == Phase.IDLE), silent <= IDLE_CYCLES),
            implies(
                answer,
                self.elapsed
                <= TIMEOUT + Mux(draws, DRAW_CYCLES - 1, 0) + group * TIMEOUT + silent,
            ),
            implies((answer | window) & draws, primed),
            implies(self.in_hand & draws & primed, Cat(thresholds) == Cat(self.taken_last)),
            implies(
                self.in_hand & drives & ~draws & (answer | window),
                Cat(thresholds) == Cat(cycle[: len(thresholds[0])], cycle[: len(thresholds[1])]),
            ),
            implies(window, (cycle == t) & drives & (t >= 1) & ((t == length) == close)),
            implies(window, t <= length),
            implies(
                window,
                self.elapsed <= 2 * TIMEOUT + Mux(draws, DRAW_CYCLES - 1, 0) + t,
            ),
            (t != 0) == window,
            implies(answer & among(phase, CONVERSIONS), (group < last) & (self.beats == group)),
            implies(select & among(phase, CONVERSIONS), self.beats == 0),
        ]  # fmt: skip
        codes = [a == b for a, b in zip(self.row_codes, self._code("row"), strict=True)]
        codes += [a == b for a, b in zip(self.column_codes, self._code("column"), strict=True)]
        codes += [self.sign == Cat(self.signs), self.held[0] == Cat(self.row_shadow)]
        codes += [self.held[1] == Cat(self.column_shadow)]
        lines = [implies(~window, ~self.any_line), implies(self.asked, self.sign_of_phase.all())]
        lines.append(implies(idle, ~self.drive.pins.set_write) | ~self.asked)
        # Pulses so far, in a FORWARD or a BACKWARD; before the window all is low.
        forward, backward = phase == Phase.FORWARD, phase == Phase.BACKWARD
        due = [Mux(forward & self.live[r], self.row_codes[r], 0) for r in range(SPEC.rows)]
        due += [Mux(backward, code, 0) for code in self.column_codes]
        counted = []
        for code, (_, piece, before, high) in zip(due, self.pieces, strict=True):
            past = Mux(t == 0, 0, t - 1)[: len(t)]
            so_far = Mux(past < code, past, code)
            counted.append(
                (high == so_far)
                & (piece == (so_far != 0))
                & (before == ((past != 0) & (past <= code)))
            )
        in_progress = self.in_hand & (forward | backward)
        lines.append(implies(in_progress, Cat(counted).all()))
        was_line = Cat(before for *_, before, _ in self.pieces).any()
        lines.append(implies(select | draw | answer, ~was_line))
        lines.append(implies(self.in_hand & ~window & ~self.trim_or_update(), ~was_line))
        small = Cat(code <= SPEC.column_code.high for code in self.column_codes).all()
        lines.append(implies(self.in_hand & backward, small))
        parts = [state, taken, *times, *codes, *lines]
        self.always(m, "the_model_follows", Cat(parts).all())

    def trim_or_update(self) -> Value:
        return self.asked_for.phase == Phase.UPDATE

    def _code(self, side: str) -> list[Value]:
        held, lines = self.drivers[side], len(getattr(self.drive.pins, f"{side}_pulse"))
        return [held.word_select(line, len(held) // lines) for line in range(lines)]

    def _witnesses(self, m: Module) -> None:
        drive, phase, pins = self.drive, self.asked_for.phase, self.drive.pins
        quiet = ~self.reset & drive.enable
        ends = self.ends & ~self.fails & quiet

        def seen(name: str, condition: Any) -> Signal:
            happened = Signal(name=f"seen_{name}")
            with m.If(condition):
                m.d.sync += happened.eq(1)
            with m.If(self.reset | ~drive.enable):
                m.d.sync += happened.eq(0)
            return happened | condition

        long = Cat(high == SPEC.row_code.high for high in self.highs[: SPEC.rows]).any()
        inverted = self.asked_for.swap
        forward = [
            seen(f"forward_{s}", ends & (phase == Phase.FORWARD) & (inverted == s) & long)
            for s in (0, 1)
        ]
        self.reach(m, "a_forward_in_both_polarities", forward[0] & forward[1])
        replay = seen("replay", drive.begin.valid & drive.begin.payload.replay)
        pulse = seen("coincidence", self.rows & self.columns & pins.lower_swap)
        update = [
            seen(f"update_{s}", ends & (phase == Phase.UPDATE) & (inverted == s) & ~self.trim)
            for s in (0, 1)
        ]
        self.reach(m, "an_update_in_both_polarities", update[0] & update[1] & replay & pulse)
        signs = seen("signs", (pins.column_pulse == 3) & (pins.column_sign == 2))
        self.reach(m, "a_backward_with_both_signs", ends & (phase == Phase.BACKWARD) & signs)
        self.reach(
            m, "a_read_of_the_last_row", ends & (phase == Phase.READ) & (pins.row_select == 2)
        )
        trim = seen("trim", (pins.column_pulse == 3) & self.trim)
        self.reach(m, "a_trim", ends & (phase == Phase.UPDATE) & trim)
        latched = seen("latched", pins.set_write)
        for strobe in STROBES:
            self.reach(m, f"a_{strobe.name.lower()}", ends & (phase == strobe) & latched)
        for kind in CONVERSIONS:
            self.reach(m, f"a_{kind.name.lower()}", ends & (phase == kind))
        late = self.ends & self.fails & quiet
        self.reach(m, "a_macro_that_does_not_answer", late & (phase == Phase.SET))
        cut = self.past(m, self.any_line) & ~self.past(m, drive.enable)
        self.reach(m, "a_pulse_cut_by_disarming", cut)
        self.reach(m, "a_pulse_cut_by_a_reset", self.past(m, self.any_line) & self.was_reset)
        self.reach(m, "the_bound", self.in_hand & (self.elapsed == BOUND))


PHASE, DRIVE, LINES = rtl.phase, rtl.drive, rtl.pulse_width
CLAIMS = [
    Claim("selects_are_stable",
          "phase, swaps, selects, enables and column signs stay while request is high",
          DRIVE, "(phase.phase == Phase.BACKWARD) | phase.trim",
          "(phase.phase == Phase.BACKWARD) | phase.trim | phase.row_drive"),
    Claim("request_rises_while_ready_is_low", "as it says",
          PHASE, "with m.Elif(~self.ready):", "with m.Elif(1):"),
    Claim("request_stays_until_the_end", "request falls with the phase's end or a reset only",
          PHASE, "with m.Else():\n                    drive()",
          "with m.Else():\n                    drive()\n"
          "                    m.d.sync += self.request.eq(cycle != last_cycle)"),
    Claim("request_falls_with_the_end", "in the cycle after a phase's last request is low",
          PHASE, "self.request.eq(0)]", "self.request.eq(self.phase == Phase.SET)]"),
    Claim("done_tells_the_end",
          "a whole window's in its last cycle, any other a cycle later; with whether it failed, "
          "which is told with no other",
          PHASE, "self.failed.eq(failed)", "self.failed.eq(failed & ~self.trim)"),
    Claim("request_is_what_was_asked",
          "phase, lower_swap, row_select, pair and convert_hold are those asked for",
          PHASE, "self.pair.eq(asked.pair)", "self.pair.eq(asked.row)"),
    Claim("disarm_and_reset_act_within_a_cycle",
          "a cycle after enable falls or a reset, request, lines and set_write are low",
          DRIVE, "pins.set_write.eq(self.set_write & self.enable)",
          "pins.set_write.eq(self.set_write)"),
    Claim("no_line_without_a_drive_phase", "a line is high only in a requested drive phase",
          LINES, "high & self.drive.replicate(self.count)", "high"),
    Claim("no_line_in_a_conversion_or_strobe", "nor while such a phase, or IDLE, is requested",
          PHASE, "m.d.comb += self.beat.eq(self.convert_valid)",
          "m.d.comb += [self.beat.eq(self.convert_valid), self.row_drive.eq(1)]"),
    Claim("lines_are_low_as_a_request_rises",
          "so that between two drive phases all are low for at least two cycles",
          PHASE, "m.d.sync += self.request.eq(1)",
          "m.d.sync += self.request.eq(1); m.d.comb += self.row_drive.eq(1)"),
    Claim("a_phase_drives_its_own_side",
          "no column in FORWARD and READ, no row in BACKWARD",
          PHASE, 'columns = (self.phase == Phase.BACKWARD) | kind["updates"]',
          'columns = kind["drives"]'),
    Claim("rows_driven_have_the_phases_polarity",
          "in FORWARD and UPDATE the bit of a row that is high is lower_swap",
          PHASE, "self.polarity ^ ~self.lower_swap", "self.polarity ^ self.lower_swap"),
    Claim("read_and_trim_drive_the_one_row",
          "throughout the window the selected row is high, and no other",
          PHASE, "(self.phase == Phase.READ) | self.trim", "self.phase == Phase.READ"),
    Claim("a_strobe_is_on_its_row", "PRECHARGE, RESET and SET select the row asked for",
          PHASE, "self.row_select.eq(asked.row)",
          "self.row_select.eq(Mux(asked.phase == Phase.SET, 0, asked.row))"),
    Claim("nothing_is_latched_during_a_phase", "set_write and request are never high together",
          DRIVE, "pins.set_write.eq(self.set_write & self.enable)",
          "pins.set_write.eq((self.set_write | pins.set_write) & self.enable)"),
    Claim("update_charges_where_d_is_positive_xor_swap",
          "the sign rule, on every column that is high",
          DRIVE, "charge = ~sign", "charge = sign"),
    Claim("backward_signs_are_the_codes", "on every column that is high",
          DRIVE, "(phase.phase == Phase.BACKWARD) | phase.trim", "phase.trim"),
    Claim("trim_charges_as_told", "on every column that is high",
          DRIVE, "(phase.phase == Phase.BACKWARD) | phase.trim", "phase.phase == Phase.BACKWARD"),
    Claim("a_column_is_worked_by_one_at_a_time",
          "of RESET, SET of the plus device, SET of the minus one, charge, discharge and precharge "
          "one is on in a column, and none the cycle after another",
          PHASE, "self.request.eq(0)]",
          "self.request.eq(self.phase == Phase.RESET),\n"
          "                         self.phase.eq(self.phase + (self.phase == Phase.RESET))]"),
    Claim("strobes_are_on_one_row_at_a_time", "the row stays while one is on",
          PHASE, "m.d.comb += slides.eq(self.ready)",
          "m.d.comb += slides.eq(self.ready); m.d.sync += self.row_select.eq(asked.row)"),
    Claim("each_row_has_its_own_swap", "row_lower_swap is the rows' bits",
          DRIVE, "pins.row_lower_swap.eq(self.polarity)",
          "pins.row_lower_swap.eq(self.polarity ^ phase.lower_swap.replicate(spec.rows))"),
    Claim("a_row_is_high_for_its_code_from_the_first_cycle",
          "FORWARD: high in the window's cycle t if and only if its polarity is the phase's and "
          "t <= code",
          LINES, "            < held.word_select", "            <= held.word_select"),
    Claim("a_column_is_high_for_its_code_from_the_first_cycle", "BACKWARD: the same of columns",
          PHASE, "self.column_threshold.eq(counted)", "self.column_threshold.eq(counted + 1)"),
    Claim("a_trim_is_a_thermometer", "a column is high for as many slots as it was given",
          PHASE, "(asked.phase == Phase.UPDATE) & ~asked.trim", "asked.phase == Phase.UPDATE"),
    Claim("a_line_of_an_update_is_high_where_the_draw_is_below_its_code",
          "rows, of the phase's polarity, and columns",
          PHASE, "self.row_threshold.eq(self.row_draws.payload)",
          "self.row_threshold.eq(self.column_draws.payload)"),
    Claim("a_whole_pulse_is_one_piece_of_its_code",
          "what a line was high, in one piece, counted over a FORWARD or BACKWARD that was not cut",
          PHASE, "last_cycle.eq(spec.row_code.high - 1)", "last_cycle.eq(spec.row_code.high - 2)"),
    Claim("a_window_has_its_cycles", "of each drive phase",
          PHASE, "last_cycle.eq((1 << (spec.row_code.bits - 1)) - 1)",
          "last_cycle.eq((1 << (spec.row_code.bits - 1)) - 2)"),
    Claim("what_ends_was_taken", "once: no end, so no done, without a phase in hand",
          PHASE, "m.d.comb += self.i.ready.eq(1)",
          "m.d.comb += [self.i.ready.eq(1), ends.eq(self.ready)]"),
    Claim("one_phase_at_a_time", "ready to take one if and only if none is in hand",
          PHASE, "count_silence()\n                live =",
          "count_silence(); m.d.comb += self.i.ready.eq(late)\n                live ="),
    Claim("the_end_comes_in_time",
          "within timeout + max(draw - 1 + timeout + window, groups x timeout + 1, idle_cycles), "
          "whatever the macro does and the host makes of these registers meanwhile",
          PHASE, "late.eq(silent >= self.timeout)", "late.eq(silent == self.timeout)"),
    Claim("a_conversion_gives_all_its_groups", "before its done, one a beat",
          PHASE, "groups(spec, spec.rows) - 1", "groups(spec, spec.columns) - 1"),
    Claim("conversions_are_apart",
          "a group comes at least three cycles after the last one of the conversion before, as "
          "rtl/converter.py needs it", PHASE, 'm.next = "SELECT"', 'm.next = "ANSWER"'),
    Claim("a_begin_stays_until_it_is_taken", "or the phase is told to have failed",
          PHASE, 'self.begin.valid.eq(kind["draws"])',
          'self.begin.valid.eq(kind["draws"] & ~self.ready)'),
    Claim("the_model_follows",
          "the invariant: a model made from the inputs alone has the registers' values",
          LINES, "with m.If(self.take):", "with m.If(self.take & ~self.full):"),
]  # fmt: skip
INDUCTION, DAMAGED, WITNESSES = 2, BOUND + 7, 44
"""Depths in cycles."""
USERS = (rtl.drive,)


def test_every_property_has_a_damage() -> None:
    harness = Drives()
    Fragment.get(harness, None)
    assert harness.names == [claim.name for claim in CLAIMS]


def test_properties(prove) -> None:
    assert prove(Drives(), method="induction", depth=INDUCTION).passed


@pytest.mark.formal
def test_every_phase_can_happen(prove) -> None:
    assert prove(Drives(), method="cover", depth=WITNESSES).passed


@pytest.mark.formal
@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])
def test_damage_is_found(prove, claim: Claim) -> None:
    with claim.breaks(*USERS):
        proof = prove(Drives(), method="bmc", depth=DAMAGED, only=[claim.name])
    assert proof.failed == {claim.name}
