"""What rtl/tile.py promises by the way it joins its blocks, whatever host, streams and macro do.

It proves of the whole what the harnesses of the blocks assume of their parents, and what stands in
rtl/tile.py alone: how `analog_safe` cuts, and when the integrators are cleared. Every input is
free. Lemmas that the blocks' own harnesses prove are assumed in the cycle in which they hold there;
what those assume of the rest of the tile is among the properties here.
"""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.asserts import AnyConst  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Cat, Fragment, Module, Mux, Signal, Value

import rtl.converter
import rtl.drive
import rtl.phase
import rtl.tile
import rtl.transfer
from rtl.converter import Use
from rtl.transfer_ports import State
from spec.commands import Command, Phase
from spec.registers import WindowCode, registers
from tests.formal.claims import Claim
from tests.formal.inside import Inside
from tests.formal.prove import Harness
from tests.formal.sequencer import REST, one_of, tiny

SPEC = tiny()
WITH_JOURNAL = (State.PRECHARGE, State.FLIP, State.READ_LOWER, State.ERASE, State.SET, State.VERIFY,
                State.TRIM_READ, State.TRIM_PULSE, State.COMMIT)  # fmt: skip
IN_HAND = ("FORWARD_PHASE", "BACKWARD_PHASE", "UPDATE_PHASE", "READ_PHASE", "CONVERSION",
           "LAST_PHASE", "PROGRAM_RESET_PHASE")  # fmt: skip
CONVERSIONS = (Phase.CONVERT_FORWARD, Phase.CONVERT_BACKWARD, Phase.CONVERT_READ)
STROBES = (Phase.PRECHARGE, Phase.RESET, Phase.SET)


def implies(condition: Any, then: Any) -> Value:
    return ~Value.cast(condition).bool() | Value.cast(then).bool()


class Joined(Harness):
    """The whole tile."""

    def describe(self, m: Module) -> None:
        # By the module's name, so that a damaged copy can stand there.
        self.tile = tile = rtl.tile.Tile(SPEC)
        whole = self.whole = Inside(tile)
        m.submodules.tile = whole.fragment
        for _, member, value in tile.signature.flatten(tile):
            if member.flow.name == "In":
                self.free(m, value)
        self.controller = Inside.of(whole, "controller")
        self.sequencer = Inside.of(whole, "transfer")
        self.phase = Inside.of(whole, "drive", "phase")
        self.in_transfer = self.controller.state("TRANSFER")
        # Until it is told.
        self.in_hand = ~self.phase.state("IDLE") | tile.drive.done
        self.reset = whole["soft_reset"]
        self._lemmas(m)
        self._safe(m)
        self._users(m)
        self._host(m)
        self._strobes(m)
        self._codes(m)
        self._witnesses(m)

    def _lemmas(self, m: Module) -> None:
        """What the harnesses of the sequencer, the controller and the bank prove, in its cycle."""
        transfer, journal, asked = self.tile.transfer, self.tile.journal, self.sequencer["asked"]
        taken = transfer.phase.valid & transfer.phase.ready
        writes = Cat(transfer.trim_write, transfer.select_write, transfer.set_write).any()
        self.assume(m, implies(asked | taken, ~writes))
        self.assume(m, implies(asked, self.sequencer["asking"]))
        asks = self.tile.drive.i
        bit = self.tile.polarity.bits.bit_select(asks.payload.row, 1)
        self.raw = one_of(self.controller["operation"], (Command.PROGRAM, Command.PRECHARGE))
        strobes = asks.valid & ~transfer.busy & one_of(asks.payload.phase, STROBES)
        self.assume(m, implies(strobes, self.raw))
        of_a_row = (asks.payload.phase == Phase.READ) | asks.payload.trim
        self.assume(m, implies(asks.valid & of_a_row, asks.payload.swap == bit))
        self.assume(m, implies(one_of(transfer.state, WITH_JOURNAL), journal.valid))
        bank = self.tile.polarity
        before = self.past(m, self.past(m, bank.bits))
        counted = (bank.any_inverted == before.any()) & (bank.any_normal == ~before.all())
        self.assume(m, counted)

    def _safe(self, m: Module) -> None:
        tile, pins, drive = self.tile, self.tile.pins, self.tile.drive
        phase = self.phase
        lines = Cat(pins.request, pins.row_pulse, pins.column_pulse, pins.set_write)
        self.always(m, "analog_safe_cuts_at_once", implies(tile.analog_safe, ~lines.any()))
        named = ("request", "row_pulse", "column_pulse", "set_write")
        same = [
            getattr(pins, n) == getattr(drive.pins, n)
            for n in pins.signature.members
            if n != "clear" and n not in named
        ]
        live = [getattr(pins, n) == getattr(drive.pins, n) for n in named]
        self.always(m, "the_pins_are_the_drives", Cat(*same).all()
                    & implies(~tile.analog_safe, Cat(*live).all()))  # fmt: skip
        fell = self.past(m, drive.pins.request) & ~drive.pins.request
        ends_whole = phase["ends"] & ~phase["fails"] & ~self.reset
        cut = fell & ~self.past(m, ends_whole)
        # By a soft reset, or disarmed.
        stopped = self.past(m, self.reset | ~drive.enable)
        due = self.past(m, cut & ~pins.clear)
        self.always(m, "a_request_cut_short_is_cleared",
                    implies(cut & stopped, pins.clear)
                    & implies(due, pins.clear & ~drive.pins.request))  # fmt: skip
        self.always(m, "nothing_is_cleared_in_a_phase", implies(pins.clear, ~drive.pins.request))
        told_whole = drive.done & ~drive.failed
        due = self.past(m, (ends_whole | told_whole) & drive.enable & ~self.reset)
        kept = implies(due, ~pins.clear)
        self.always(m, "a_whole_phase_is_not_cleared", kept)
        in_window = phase.state("WINDOW") | phase.state("CLOSE")
        asked = drive.pins.request == (phase.state("ANSWER") | in_window)
        known = one_of(phase["fsm_state"], phase.codes.values())
        lines = drive.pins.row_pulse.any() | drive.pins.column_pulse.any()
        self.always(m, "a_line_is_high_in_a_window_only", asked & known & implies(lines, in_window))

    def _users(self, m: Module) -> None:
        """One of the two asks for phases; whoever does not work keeps still."""
        tile, transfer, drive = self.tile, self.tile.transfer, self.tile.drive
        sequencer_codes = self.sequencer.codes
        codes, state = self.controller.codes, self.controller["fsm_state"]
        works = Cat(transfer.busy, transfer.answered, *(
            self.controller[name] for name in ("starts", "resumes")
        ))  # fmt: skip
        self.always(m, "the_sequencer_works_while_the_controller_waits",
                    (self.in_transfer == works.any()) & ((works & (works - 1)) == 0)
                    & implies(transfer.start.valid, transfer.start.ready)
                    & one_of(state, codes.values())
                    & one_of(self.sequencer["fsm_state"], sequencer_codes.values()))  # fmt: skip
        by_controller = one_of(state, [codes[name] for name in IN_HAND])
        asked = self.sequencer["asked"]
        self.always(m, "a_phase_in_hand_is_the_users",
                    (self.in_hand == (by_controller | asked))
                    & implies(drive.done, self.phase.state("IDLE") | self.phase.state("CLOSE"))
                    & implies(self.phase.state("CLOSE"), drive.done & ~drive.failed)
                    & implies(asked, transfer.busy))  # fmt: skip
        writes = Cat(drive.rows_take, drive.columns_take, drive.trim_write, drive.select_write,
                     drive.set_write).any()  # fmt: skip
        self.always(m, "no_driver_is_written_during_a_phase",
                    implies(self.in_hand, ~writes))  # fmt: skip
        told = [
            self.phase[name] == transfer.phase.payload[field]
            for name, field in (("phase", "phase"), ("row_select", "row"), ("trim", "trim"),
                                ("convert_hold", "hold"))
        ]  # fmt: skip
        self.always(m, "a_phase_is_as_the_sequencer_asks", implies(asked, Cat(*told).all()))
        of_a_row = (self.phase["phase"] == Phase.READ) | self.phase["trim"]
        bit = tile.polarity.bits.bit_select(drive.pins.row_select, 1)
        self.always(m, "the_sign_of_a_read_and_a_trim_is_the_rows_bit",
                    implies(self.in_hand & of_a_row, drive.pins.lower_swap == bit))  # fmt: skip
        update = drive.pins.row_pulse.any() & drive.pins.column_pulse.any()
        trims = transfer.state == State.TRIM_PULSE
        pulse = drive.pins.column_pulse.any()
        on_columns = implies(pulse, one_of(self.phase["phase"], (Phase.BACKWARD, Phase.UPDATE)))
        self.always(m, "no_update_pulse_outside_the_trim_of_a_row",
                    on_columns & implies(self.in_transfer & (update | pulse), trims))  # fmt: skip

    def _host(self, m: Module) -> None:
        """A host's hand on what the sequencer works with."""
        tile, journal, bank = self.tile, self.tile.journal, self.tile.polarity
        port, transfer = tile.windows.polarity, tile.transfer
        ports = [getattr(tile.windows, n.code.name.lower()) for n in tile.windows.memories]
        uses = Cat(one.use for one in ports).any()
        windows, registers = Inside.of(self.whole, "windows"), Inside.of(self.whole, "registers")
        cycle, opened = windows["cycle"], registers.state("WINDOW")
        select = tile.bank.window.select
        used = [opened & (select == memory.code) for memory in tile.windows.memories]
        opened = ((cycle != 0) == opened) & (Cat(one.use for one in ports) == Cat(used))
        opened &= implies(Cat(one.write for one in ports).any(), cycle == 1)
        known = one_of(registers["fsm_state"], registers.codes.values())
        names = [register.name for register in tile.bank.table]
        strobes = Cat(registers[f"write_{name}"] for name in names)
        chosen = Cat(registers[f"is_{name}"] for name in names)
        known &= implies(strobes.any(), registers.state("DO"))
        known &= (chosen & (chosen - 1)) == 0
        self.always(m, "a_window_is_used_while_idle",
                    opened & known & implies(uses, ~tile.controller.busy))  # fmt: skip
        restores = tile.bank.journal.write | tile.bank.range.write
        idle = ~tile.controller.busy & ~tile.controller.command
        self.always(m, "a_journal_is_restored_while_idle", implies(restores, idle))
        controller = tile.controller
        what = Cat(controller.word.as_value(), controller.first, controller.last, journal.valid,
                   journal.row)  # fmt: skip
        was = self.past(m, what)
        stood = (what == was) & (what == self.past(m, was))
        self.always(m, "a_command_stands_for_the_two_cycles_before",
                    implies(controller.command & ~controller.busy, stood))  # fmt: skip
        begins = transfer.start.valid | transfer.resume | transfer.abort
        self.always(m, "a_journal_is_discarded_while_idle",
                    implies(journal.discard, ~transfer.busy & ~begins))  # fmt: skip
        written = self.past(m, port.use & port.write & ~journal.valid & ~tile.controller.busy)
        flipped = self.past(m, transfer.flip & journal.valid)
        rules = []
        for row in range(SPEC.rows):
            same = bank.bits[row] == self.past(m, bank.bits[row])
            by_flip = flipped & (self.past(m, journal.row) == row)
            by_flip &= bank.bits[row] == self.past(m, journal.p_new)
            by_host = written & (self.past(m, port.index) == row)
            rules.append(same | by_flip | by_host)
        self.always(m, "a_bit_changes_by_flip_or_by_an_idle_host", Cat(*rules).all())
        held = self.past(m, self.in_hand) & self.in_hand
        self.always(m, "polarity_and_mask_stand_in_a_phase", implies(
            held, (bank.bits == self.past(m, bank.bits))
            & (tile.column_enable.bits == self.past(m, tile.column_enable.bits))))  # fmt: skip

        # Without it a command would run phases of rows that are not there, or leave some out.
        controller = tile.controller
        waits = self.in_transfer | self.controller.state("ANSWER")
        needs = Mux(controller.busy, ~waits, controller.command)
        known = (bank.any_inverted == bank.bits.any()) & (bank.any_normal == ~bank.bits.all())
        self.always(m, "a_command_knows_the_polarities", implies(needs, known))

    def _strobes(self, m: Module) -> None:
        journal, pins = self.tile.journal, self.tile.drive.pins
        strobe = self.in_hand & one_of(pins.phase, STROBES)
        of_row = self.in_transfer & journal.valid & (pins.row_select == journal.row)
        self.always(m, "a_strobe_is_on_the_row_of_the_journal_or_raw",
                    implies(strobe, of_row | (self.raw & ~self.in_transfer)))  # fmt: skip

    def _codes(self, m: Module) -> None:
        """What tests/formal/sequencer.py assumes of the converter."""
        transfer, drive = self.tile.transfer, self.tile.drive
        use, reads = Inside.of(self.whole, "converter")["use"], self.sequencer["reads_state"]
        due, zero, asked = Signal(), Signal(), self.sequencer["asked"]
        with m.If(transfer.read_start):
            m.d.sync += zero.eq(transfer.read_zero)
        of_codes = (self.phase["phase"] == Phase.CONVERT_READ) & ~self.phase["convert_hold"]
        with m.If(asked & drive.done & ~drive.failed & of_codes & ~zero):
            m.d.sync += due.eq(1)
        with m.Elif(transfer.read.valid):
            m.d.sync += due.eq(0)
        with m.If(self.reset):
            m.d.sync += due.eq(0)
        come = implies(transfer.read.valid & transfer.busy, due & (transfer.read.group == 0))
        of_use = use == Mux(zero, Use.READ_ZERO, Use.READ)
        converts = ~self.phase.state("IDLE") & (self.phase["phase"] == Phase.CONVERT_READ)
        one_group = implies(converts,
                            self.phase["group"] == 0)  # fmt: skip
        of_use = implies(transfer.busy & (reads != REST), of_use)
        self.always(m, "a_reads_codes_come_once", come & of_use & one_group)

    def _witnesses(self, m: Module) -> None:
        tile, pins = self.tile, self.tile.pins
        self.reach(m, "a_command", tile.controller.command)
        self.reach(m, "a_request", pins.request)
        self.reach(m, "a_request_cut_by_safe", tile.drive.pins.request & tile.analog_safe)
        self.reach(m, "a_precharge", pins.request & (pins.phase == Phase.PRECHARGE))


class WholeTransfer(Joined):
    """The same under a host that brings the tile up and has a row of this bit transferred.

    The host's writes are given, one after the other, and the array answers in the next cycle, the
    same code in the same state, so that a run of a whole transfer is not too long to be found.
    """

    def __init__(self, bit: int) -> None:
        super().__init__()
        self.bit = bit

    def describe(self, m: Module) -> None:
        super().describe(m)
        tile, table = self.tile, {register.name: register for register in registers(SPEC)}
        opposite = ("WINDOW", {"SELECT": WindowCode.POLARITY}), ("WINDOW_DATA", 1)
        writes: list[tuple[str, Any]] = [
            ("CONTROL", {"ARM": 1}),
            *(opposite if self.bit else ()),
            ("RESET", {"POLARITY_VALID": 1}),
            ("COMMAND", {"OPCODE": Command.TRANSFER}),
        ]
        axil, step = tile.axil, Signal(range(len(writes) + 1))
        for place, (name, content) in enumerate(writes):
            word = table[name].pack(**content) if isinstance(content, dict) else content
            now = implies(step == place, (axil.awaddr == table[name].offset) & (axil.wdata == word))
            self.assume(m, now)
        sent = Signal(2)  # the address and the word of this write
        with m.If(axil.bvalid & axil.bready):
            m.d.sync += [step.eq(step + 1), sent.eq(0)]
        with m.Else():
            taken = Cat(axil.awvalid & axil.awready, axil.wvalid & axil.wready)
            m.d.sync += sent.eq(sent | taken)
        more = step != len(writes)
        valid = Cat(axil.awvalid, axil.wvalid) == Mux(more, ~sent, 0)
        self.assume(m, valid & axil.bready & axil.wstrb.all() & ~axil.arvalid)
        self.assume(m, ~tile.s_axis.tvalid & ~tile.analog_safe)
        asked = self.past(m, tile.pins.request)
        converts = one_of(tile.pins.phase, CONVERSIONS)
        self.assume(m, tile.ready == (asked & ~converts))
        self.assume(m, tile.convert_valid == (asked & converts))
        for state in State:
            code = Signal(tile.convert_codes.shape(), name=f"code_{state.name.lower()}")
            m.d.comb += code.eq(AnyConst(code.shape()))
            self.assume(m, implies(tile.transfer.state == state, tile.convert_codes == code))

    def _witnesses(self, m: Module) -> None:
        state, bank = self.tile.transfer.state, self.tile.polarity
        begun, done = Signal(), []
        with m.If(state == State.PRECHARGE):
            m.d.sync += begun.eq(bank.bits[0] == self.bit)
        for step in WITH_JOURNAL:
            if step is not State.TRIM_PULSE:
                done.append(Signal(name=f"did_{step.name.lower()}"))
                with m.If(state == step):
                    m.d.sync += done[-1].eq(1)
        whole = begun & Cat(*done).all() & (bank.bits[0] != self.bit)
        self.reach(m, "a_whole_transfer", whole & self.tile.transfer.answered)
        # A row that is trimmed too takes half as long again.
        self.reach(m, "a_trim", begun & (state == State.TRIM_PULSE))


CONVERTER = rtl.converter
TILE, DRIVE, PHASE = rtl.tile, rtl.drive, rtl.phase
CLAIMS = [
    Claim("analog_safe_cuts_at_once",
          "in its own cycle request, row_pulse, column_pulse and set_write are low at the pins",
          TILE, '("request", "row_pulse", "column_pulse", "set_write")',
          '("request", "row_pulse", "column_pulse")'),
    Claim("the_pins_are_the_drives", "without it they, and all others always, are the registers",
          TILE, "Mux(self.analog_safe, 0, inner) if live else inner",
          "Mux(self.analog_safe, 0, inner)"),
    Claim("a_request_cut_short_is_cleared",
          "a request that falls without its phase done whole: `clear` in the cycle it is low where "
          "it was disarmed or reset, in the next one, still low, where the macro was late",
          TILE, "soft_reset | (drive.done & drive.failed) | ~drive.enable",
          "(drive.done & drive.failed) | ~drive.enable"),
    Claim("nothing_is_cleared_in_a_phase", "`clear` and request are never high together",
          TILE, "soft_reset | (drive.done & drive.failed) | ~drive.enable",
          "soft_reset | (drive.done & drive.failed) | ~drive.ready"),
    Claim("a_whole_phase_is_not_cleared",
          "in the two cycles after a phase's last that was whole `clear` is low, unless it is "
          "disarmed or reset meanwhile",
          TILE, "soft_reset | (drive.done & drive.failed) | ~drive.enable",
          "soft_reset | drive.done | ~drive.enable"),
    Claim("a_line_is_high_in_a_window_only", "in that state of a phase that is requested",
          DRIVE, "rows.drive.eq(phase.row_drive & self.enable)", "rows.drive.eq(self.enable)"),
    Claim("the_sequencer_works_while_the_controller_waits",
          "from the cycle after a range's command, in which it takes it, until its answer, and at "
          "no other time",
          rtl.transfer, "abort = self.abort & ~self.answered", "abort = self.abort"),
    Claim("a_phase_in_hand_is_the_users",
          "of the controller in a state that waits for it, or of the working sequencer; else none",
          TILE, "user.phase_done.eq(drive.done)", "user.phase_done.eq(drive.done | drive.beat)"),
    Claim("no_driver_is_written_during_a_phase",
          "vectors, trims, selects and step codes, by whomever, from the cycle after taking it to "
          "done",
          TILE, "drive.rows_take.eq(controller.rows_take)",
          "drive.rows_take.eq(vectors.row_write)"),
    Claim("a_phase_is_as_the_sequencer_asks",
          "phase, row, hold and trim are those of the state in which it waits",
          TILE, "Mux(working, transfer.phase.payload.as_value(), "
          "controller.phase.payload.as_value())", "controller.phase.payload.as_value()"),
    Claim("the_sign_of_a_read_and_a_trim_is_the_rows_bit",
          "lower_swap is the bit of the row selected, from taking to done",
          PHASE, "self.lower_swap.eq(asked.swap)", "self.lower_swap.eq(~asked.swap)"),
    Claim("no_update_pulse_outside_the_trim_of_a_row",
          "while the sequencer works no column line is high but in TRIM_PULSE",
          DRIVE, "columns.drive.eq(phase.column_drive & self.enable)",
          "columns.full.eq(phase.row_full), columns.drive.eq(phase.row_drive & self.enable)"),
    Claim("a_window_is_used_while_idle", "a host reaches no memory of the tile while it works",
          TILE, "bank.status.busy.eq(controller.busy)",
          "bank.status.busy.eq(controller.busy & ~transfer.busy)"),
    Claim("a_journal_is_restored_while_idle", "nor writes the journal or its range meanwhile",
          TILE, "bank.status.busy.eq(controller.busy)", "bank.status.busy.eq(transfer.busy)"),
    Claim("a_command_stands_for_the_two_cycles_before",
          "its word and rows, and the journal, as they were when it was looked at",
          TILE, "getattr(controller.word, name).eq(getattr(bank.command.data, name))",
          "getattr(controller.word, name).eq(\n                Mux(bank.command.write, "
          "getattr(bank.command.data, name), 0))"),
    Claim("a_journal_is_discarded_while_idle", "before the command's range begins",
          TILE, "self.journal.discard.eq(controller.discard_journal)",
          "self.journal.discard.eq(controller.raw_access | controller.start.valid)"),
    Claim("a_bit_changes_by_flip_or_by_an_idle_host",
          "by a flip to the journal's p_new, of its row, or by a host's write of that row while "
          "idle without `valid`",
          TILE, "polarity.polarity.eq(Mux(host.use, host.data, transfer.flip_to))",
          "polarity.polarity.eq(host.data)"),
    Claim("polarity_and_mask_stand_in_a_phase", "bits and column_enable, from taking to done",
          TILE, "bank.status.busy.eq(controller.busy)", "bank.status.busy.eq(0)"),
    Claim("a_command_knows_the_polarities",
          "whether a row is normal, or inverted, from its strobe until it gives to the sequencer",
          TILE, "bank.status.busy.eq(controller.busy)", "bank.status.busy.eq(0)"),
    Claim("a_strobe_is_on_the_row_of_the_journal_or_raw",
          "PRECHARGE, RESET and SET: the journal is valid, its row is selected and the sequencer "
          "works, or the command is PROGRAM or PRECHARGE, which need BRINGUP",
          PHASE, "self.row_select.eq(asked.row)", "self.row_select.eq(~asked.row)"),
    Claim("a_reads_codes_come_once",
          "to the sequencer, after the last conversion of a READ, none of a zero or a failed one",
          CONVERTER, "vector | (use == Use.READ) & self.conversion_last",
          "vector | (use == Use.READ) | (use == Use.READ_ZERO)"),
]  # fmt: skip
INDUCTION, DAMAGED, WITNESSES, TRANSFER = 6, 52, 56, 205
USERS = (rtl.tile, rtl.drive)


def test_every_property_has_a_damage() -> None:
    harness = Joined()
    Fragment.get(harness, None)
    assert harness.names == [claim.name for claim in CLAIMS]


@pytest.mark.formal
def test_properties(prove) -> None:
    assert prove(Joined(), method="induction", depth=INDUCTION).passed


@pytest.mark.formal
def test_phases_and_cuts_can_happen(prove) -> None:
    assert prove(Joined(), method="cover", depth=WITNESSES).passed


@pytest.mark.formal
@pytest.mark.parametrize("bit", [0, 1])
def test_a_whole_transfer_can_happen(prove, bit: int) -> None:
    assert prove(WholeTransfer(bit), method="cover", depth=TRANSFER).passed


@pytest.mark.formal
@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])
def test_damage_is_found(prove, claim: Claim) -> None:
    with claim.breaks(*USERS):
        proof = prove(Joined(), method="bmc", depth=DAMAGED, only=[claim.name])
    assert proof.failed == {claim.name}
