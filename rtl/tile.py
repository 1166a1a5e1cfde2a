"""A tile's controller: joins the blocks. Host on one side, the array macro on the other.

A soft reset clears the blocks that work; what survives it (registers, journal, polarity, LFSRs,
dithers, offsets, tables, what is known) is in blocks of its own. aresetn clears everything.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.axi_lite import AxiLite
from rtl.axi_stream import AxiStreamSignature
from rtl.chopper import Chopper
from rtl.controller import Controller
from rtl.converter import Converter, Dither, Use, raw_bits
from rtl.drive import Drive, pins_signature
from rtl.journal import Journal
from rtl.known import Known
from rtl.polarity import PolarityBank
from rtl.register_slice import SkidBuffer
from rtl.registers import RegisterBank
from rtl.skew import RowSkew
from rtl.synchroniser import Synchroniser
from rtl.transfer import TransferSequencer, set_table
from rtl.update_stream import UpdateStream
from rtl.vector_input import VectorInput
from rtl.vector_output import VectorOutput
from rtl.windows import LineBits, Windows, Words
from spec.commands import Destination, Error, RangeKind, VectorFormat
from spec.segments import SLOPE, clipped_relu
from spec.tile import TileSpec


class Tile(wiring.Component):
    """The tile without the names of its ports outside; see `rtl/top.py` for those.

    `pins` go to the macro, `ready`, `convert_valid` and `convert_codes` come from it.
    """

    axil: Any
    s_axis: Any
    m_axis: Any
    irq: Signal
    pins: Any
    ready: Signal
    convert_valid: Signal
    convert_codes: Signal
    analog_safe: Signal

    def __init__(self, spec: TileSpec) -> None:
        """One tile of this spec."""
        self.spec = spec
        self.axi_lite = AxiLite()
        channels = {
            name: member
            for name, member in self.axi_lite.signature.members.items()
            if name != "bus"
        }
        super().__init__(
            {
                "axil": Out(wiring.Signature(channels)),
                "s_axis": In(AxiStreamSignature(spec.host.axis_bytes)),
                "m_axis": Out(AxiStreamSignature(spec.host.axis_bytes)),
                "irq": Out(1),
                "pins": Out(pins_signature(spec)),
                "ready": In(1),
                "convert_valid": In(1),
                "convert_codes": In(spec.converters.lanes * raw_bits(spec)),
                "analog_safe": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Each part joins some blocks; all wires between two blocks are in one place."""
        m = Module()
        spec = self.spec
        soft_reset = Signal()
        clear = ResetInserter(soft_reset)
        fraction = spec.converters.calibration_log2
        # What a soft reset keeps.
        m.submodules.axi_lite = self.axi_lite
        m.submodules.registers = self.bank = RegisterBank(spec)
        m.submodules.windows = self.windows = Windows(spec)
        m.submodules.polarity = self.polarity = PolarityBank(spec.rows)
        m.submodules.journal = self.journal = Journal(spec)
        m.submodules.set_table = self.set_table = set_table(spec)
        m.submodules.column_enable = self.column_enable = LineBits(spec.columns)
        self._segments(m)
        m.submodules.known = self.known = Known(spec)
        m.submodules.row_stream = self.row_stream = UpdateStream(spec, "row")
        m.submodules.column_stream = self.column_stream = UpdateStream(spec, "column")
        m.submodules.forward_dither = self.forward_dither = Dither(fraction)
        m.submodules.backward_dither = self.backward_dither = Dither(fraction)
        # What ends its packets by its own rules.
        m.submodules.vector_input = self.input = VectorInput(spec)
        m.submodules.vector_output = self.output = VectorOutput(spec)
        # What a soft reset clears.
        self.controller, self.transfer = Controller(spec), TransferSequencer(spec)
        self.drive, self.converter = Drive(spec), Converter(spec)
        m.submodules.controller = clear(self.controller)
        m.submodules.transfer = clear(self.transfer)
        m.submodules.drive = clear(self.drive)
        m.submodules.converter = clear(self.converter)

        # A register: it goes to every block, and what writes it is late in its cycle.
        m.d.sync += soft_reset.eq(self.bank.reset.soft_reset)
        self.macro_ready, self.safe = Signal(), Signal()
        for name, pin, inner in (
            ("ready", self.ready, self.macro_ready),
            ("safe", self.analog_safe, self.safe),
        ):
            flops = spec.host.synchroniser_flops
            if flops:
                m.submodules[f"{name}_synchroniser"] = Synchroniser(pin, inner, flops)
            else:
                m.d.comb += inner.eq(pin)
        self._host(m)
        self._commands(m, soft_reset)
        self._vectors(m, soft_reset)
        self._phases(m, soft_reset)
        self._conversions(m, soft_reset)
        connect(m, self.transfer.journal, self.journal.sequencer)
        if spec.transfer.draws_polarity:
            # A soft reset keeps it, as all LFSRs.
            m.submodules.chopper = chopper = Chopper()
            m.d.comb += [
                chopper.step.eq(self.transfer.chopper.step),
                self.transfer.chopper.bit.eq(chopper.bit),
            ]
        return m

    def _segments(self, m: Module) -> None:
        """The neurons' table, if the spec has one."""
        spec = self.spec
        self.segments: dict[str, Words] = {}
        if spec.neurons.segments == 0:
            return
        first = clipped_relu(spec.forward_code, spec.row_code, spec.neurons.segments)
        for name, words, bits in (
            ("segment_bases", first.bases, spec.row_code.bits),
            ("segment_slopes", first.slopes, SLOPE.bits),
            ("segment_passes", first.passes, 1),
        ):
            m.submodules[name] = self.segments[name] = table = Words(words, bits)
            connect(m, getattr(self.windows, name), table.window)

    def _host(self, m: Module) -> None:
        """AXI4-Lite, registers, windows."""
        bank, windows, axi_lite = self.bank, self.windows, self.axi_lite
        for name in self.axil.signature.members:
            inner, outer = getattr(axi_lite, name), getattr(self.axil, name)
            inward = axi_lite.signature.members[name].flow is In
            m.d.comb += inner.eq(outer) if inward else outer.eq(inner)
        connect(m, axi_lite.bus, bank.bus)
        connect(m, bank.window, windows.bank)
        connect(m, windows.forward_offsets, self.converter.forward_window)
        connect(m, windows.backward_offsets, self.converter.backward_window)
        connect(m, windows.set_table, self.set_table.window)
        connect(m, windows.column_enable, self.column_enable.window)
        connect(m, windows.journal_codes, self.journal.window)
        m.d.comb += self.irq.eq(bank.irq)

        host, polarity, transfer = windows.polarity, self.polarity, self.transfer
        m.d.comb += [
            polarity.write.eq(transfer.flip | (host.use & host.write)),
            polarity.row.eq(Mux(host.use, host.index, transfer.flip_row)),
            polarity.polarity.eq(Mux(host.use, host.data, transfer.flip_to)),
            polarity.read_row.eq(
                Mux(
                    host.use,
                    host.index,
                    Mux(transfer.busy, transfer.polarity_row, self.controller.polarity_row),
                )
            ),
            transfer.polarity_bit.eq(polarity.read_bit),
            self.controller.polarity_bit.eq(polarity.read_bit),
        ]
        m.d.comb += host.value.eq(polarity.read_bit)

        journal, restored = self.journal, self.journal.restored
        m.d.comb += [
            journal.restore_row.eq(bank.journal.write),
            journal.restore_range.eq(bank.range.write),
            restored.valid.eq(bank.journal.data.valid),
            restored.row.eq(bank.journal.data.row),
            restored.p_new.eq(bank.journal.data.p_new),
            restored.kind.eq(bank.journal.data.kind),
            restored.next_row.eq(bank.range.data.next_row),
            restored.last_row.eq(bank.range.data.last_row),
            bank.journal.valid.eq(journal.valid),
            bank.journal.row.eq(journal.row),
            bank.journal.p_new.eq(journal.p_new),
            bank.journal.kind.eq(journal.kind),
            bank.range.next_row.eq(journal.next_row),
            bank.range.last_row.eq(journal.last_row),
        ]
        for stream, scale, register in (
            (self.row_stream, bank.row_scale, bank.row_lfsr),
            (self.column_stream, bank.column_scale, bank.column_lfsr),
        ):
            m.d.comb += [
                stream.scale.eq(scale.scale),
                stream.write_state.eq(register.write),
                stream.new_state.eq(register.data.state),
                register.state.eq(stream.state),
            ]
        for dither, name in ((self.forward_dither, "forward"), (self.backward_dither, "backward")):
            m.d.comb += [
                dither.write.eq(bank.dither.write),
                dither.new_count.eq(getattr(bank.dither.data, name)),
                getattr(bank.dither, name).eq(dither.count),
            ]

    def _commands(self, m: Module, soft_reset: Signal) -> None:
        """Controller and bank."""
        bank, controller, transfer = self.bank, self.controller, self.transfer
        # Registers, as they go to every line; the pins need not wait for them.
        enable, safe = Signal(), Signal()
        m.d.sync += [enable.eq(bank.control.arm & ~self.safe), safe.eq(self.safe)]
        for name in ("opcode", "new_rows", "new_columns", "force", "pair", "minus", "step_code"):
            m.d.comb += getattr(controller.word, name).eq(getattr(bank.command.data, name))
        failed = controller.answered & (controller.error != Error.NONE)
        bad_packet = self.input.error.code != Error.NONE
        m.d.comb += [
            controller.command.eq(bank.command.write),
            controller.first.eq(bank.rows.first),
            controller.last.eq(bank.rows.last),
            controller.idle_cycles.eq(bank.idle_cycles.cycles),
            controller.enable.eq(enable),
            controller.safe.eq(safe),
            controller.bringup.eq(bank.control.bringup),
            controller.unknown.eq(self.known.unknown),
            controller.journal_valid.eq(self.journal.valid),
            controller.journal_row.eq(self.journal.row),
            controller.stream_timeout.eq(bank.stream_timeout.cycles),
            controller.any_normal.eq(self.polarity.any_normal),
            controller.any_inverted.eq(self.polarity.any_inverted),
            controller.column_enable.eq(self.column_enable.bits),
            self.drive.enable.eq(enable),
            self.drive.timeout.eq(bank.macro_timeout.cycles),
            self.drive.idle_cycles.eq(bank.idle_cycles.cycles),
            bank.status.busy.eq(controller.busy),
            bank.status.armed.eq(bank.control.arm),
            bank.status.unknown.eq(self.known.unknown),
            bank.status.row_incomplete.eq(self.journal.valid),
            bank.status.rows_held.eq(controller.rows_held),
            bank.status.columns_held.eq(controller.columns_held),
            bank.status.rows_waiting.eq(self.input.rows_waiting),
            bank.status.columns_waiting.eq(self.input.columns_waiting),
            bank.status.result_waiting.eq(~self.output.free),
            bank.status.safe.eq(self.safe),
            bank.status.calibrated.eq(self.known.calibrated),
            bank.error.answered.eq(controller.answered),
            bank.error.command_error.eq(controller.error),
            bank.error.vector_error.eq(self.input.error.code),
            bank.irq_pending.done.eq(controller.answered & ~failed),
            bank.irq_pending.error.eq(failed | bad_packet),
            bank.irq_pending.result.eq(controller.finish),
            self.known.valid.eq(bank.reset.polarity_valid),
            self.known.lost.eq(controller.raw_access),
            self.known.row.eq(self.journal.row),
            self.known.calibrates.eq(controller.calibrates),
            self.known.offsets.eq(controller.calibrated | self._offset_written()),
            self.known.blanked.eq(transfer.row_committed & (self.journal.kind == RangeKind.INIT)),
        ]
        # A cycle later: an adder behind what decides would be slow.
        m.d.sync += [
            bank.forwards.count.eq(controller.forwarded),
            bank.rows_done.count.eq(transfer.row_committed),
            bank.attempts.count.eq(transfer.attempt),
            bank.not_programmed.count.eq(Mux(transfer.not_programmed, transfer.unfinished, 0)),
            bank.not_trimmed.count.eq(Mux(transfer.not_trimmed, transfer.unfinished, 0)),
        ]
        connect(m, controller.start, transfer.start)
        m.d.comb += [
            controller.transfer_working.eq(transfer.busy & transfer.phase.valid),
            transfer.resume.eq(controller.resume),
            transfer.abort.eq(controller.abort),
            controller.transfer_answered.eq(transfer.answered),
            controller.transfer_error.eq(transfer.error),
            controller.weights_open.eq(transfer.weights_open),
            self.journal.discard.eq(controller.discard_journal),
        ]

    def _offset_written(self) -> Value:
        """The host writes an offset."""
        windows = self.windows.forward_offsets, self.windows.backward_offsets
        return Cat(window.use & window.write for window in windows).any()

    def _vectors(self, m: Module, soft_reset: Signal) -> None:
        """Packets in and out."""
        spec, bank, controller = self.spec, self.bank, self.controller
        vectors, drive, transfer, output = self.input, self.drive, self.transfer, self.output
        connect(m, flipped(self.s_axis), vectors.i)
        connect(m, output.o, flipped(self.m_axis))
        # A register, as it goes far. A packet that ends in that cycle is whole, and waits.
        m.d.sync += vectors.give_up.eq(controller.drop)
        # As these do, to every line: the codes are there when the selects of a phase are.
        m.d.sync += [
            drive.rows_take.eq(controller.rows_take),
            drive.columns_take.eq(controller.columns_take),
        ]
        m.d.comb += [
            transfer.weights.valid.eq(vectors.weights.valid),
            transfer.weights.payload.code.eq(vectors.weights.payload.code),
            vectors.weights.ready.eq(transfer.weights.ready),
            vectors.drop.eq(soft_reset),
            controller.vector_error.eq(vectors.error.code != Error.NONE),
            controller.vector_error_code.eq(vectors.error.code),
            controller.vector_error_destination.eq(vectors.error.destination),
            controller.rows_waiting.eq(vectors.rows_waiting),
            controller.columns_waiting.eq(vectors.columns_waiting),
            vectors.rows_take.eq(controller.rows_take),
            vectors.columns_take.eq(controller.columns_take),
            vectors.weights_open.eq(transfer.weights_open),
            transfer.weights_done.eq(vectors.weights_done | controller.weights_timeout),
            transfer.weights_error.eq(
                Mux(controller.weights_timeout, Error.STREAM_TIMEOUT, vectors.error.code)
            ),
            drive.rows.write.eq(vectors.row_write),
            drive.rows.group.eq(vectors.row_group),
            drive.rows.codes.eq(vectors.row_codes),
            drive.columns.write.eq(vectors.column_write),
            drive.columns.group.eq(vectors.column_group),
            drive.columns.codes.eq(vectors.column_codes),
        ]
        packet, converter = output.packet, self.converter
        working = transfer.busy
        m.d.comb += [
            output.write.eq(converter.o_valid & ~working),
            output.group.eq(converter.o_group),
            output.codes.eq(converter.o_codes),
            output.finish.eq(controller.finish),
            output.drop.eq(soft_reset),
            output.backward_shift.eq(bank.control.backward_shift),
            controller.output_free.eq(output.free),
        ]
        # A cycle later: a count that is a cycle behind is as long.
        m.d.sync += [
            controller.silent.eq(vectors.silent),
            controller.output_stalled.eq(output.stalled),
        ]
        for name, table in self.segments.items():
            user = converter if name == "segment_passes" else output
            m.d.comb += getattr(user, name).eq(table.words)
        # What is sent is known long before it is.
        with m.Switch(controller.convert_use):
            with m.Case(Use.FORWARD):
                raw = bank.control.raw_forward
                m.d.sync += [
                    packet.count.eq(spec.columns),
                    packet.format.eq(Mux(raw, VectorFormat.RAW, VectorFormat.ROW_CODES)),
                    packet.destination.eq(Destination.ROWS),
                ]
            with m.Case(Use.BACKWARD):
                raw = bank.control.raw_backward
                m.d.sync += [
                    packet.count.eq(spec.rows - 1),
                    packet.format.eq(Mux(raw, VectorFormat.RAW, VectorFormat.COLUMN_CODES)),
                    packet.destination.eq(Destination.COLUMNS),
                ]
            with m.Default():
                m.d.sync += [
                    packet.count.eq(spec.columns),
                    packet.format.eq(VectorFormat.RAW),
                    packet.destination.eq(Destination.WEIGHTS),
                ]

    def _phases(self, m: Module, soft_reset: Signal) -> None:
        """Who asks for phases: the sequencer while it works, else the controller."""
        controller, transfer, drive = self.controller, self.transfer, self.drive
        working = transfer.busy
        asked = Mux(working, transfer.phase.payload.as_value(), controller.phase.payload.as_value())
        m.d.comb += [
            drive.i.valid.eq(Mux(working, transfer.phase.valid, controller.phase.valid)),
            drive.i.payload.as_value().eq(asked),
            transfer.phase.ready.eq(drive.i.ready & working),
            controller.phase.ready.eq(drive.i.ready & ~working),
            drive.polarity.eq(self.polarity.bits),
            drive.column_enable.eq(self.column_enable.bits),
            transfer.column_enable.eq(self.column_enable.bits),
            transfer.step_code.eq(self.set_table.value),
            self.set_table.read_group.eq(transfer.step_index),
        ]
        for user in (controller, transfer):
            m.d.comb += [user.phase_done.eq(drive.done), user.phase_failed.eq(drive.failed)]
        # A cycle later, as they go to every column: no phase is asked for before a pass is counted.
        writes = Module()
        m.submodules.writes = ResetInserter(soft_reset)(writes)
        for name in ("trim_write", "trim_group", "trim_counts", "trim_charge"):
            writes.d.sync += getattr(drive, name).eq(getattr(transfer, name))
        for name in ("select_group", "select_mask", "set_column", "set_code", "set_minus"):
            chosen = Mux(working, getattr(transfer, name), getattr(controller, name))
            writes.d.sync += getattr(drive, name).eq(chosen)
        writes.d.sync += [
            drive.select_write.eq(transfer.select_write | controller.select_write),
            drive.set_write.eq(transfer.set_write | controller.set_write),
        ]
        cut = soft_reset | (drive.done & drive.failed)
        row_draws = drive.row_draws
        if self.spec.row_taps > 1:
            m.submodules.row_skew = row_skew = RowSkew(self.spec)
            connect(m, row_skew.o, drive.row_draws)
            m.d.comb += row_skew.stop.eq(cut)
            row_draws = row_skew.i
        streams = (
            ("row", self.row_stream, row_draws),
            ("column", self.column_stream, drive.column_draws),
        )
        for side, stream, draws in streams:
            # The streams work in steps that move together: whether they move comes from a register.
            slice_ = SkidBuffer(stream.o.signature.members["payload"].shape)
            m.submodules[f"{side}_draws"] = ResetInserter(cut)(slice_)
            connect(m, stream.o, slice_.i)
            connect(m, slice_.o, draws)
            m.d.comb += [
                stream.begin.valid.eq(drive.begin.valid),
                stream.begin.payload.eq(drive.begin.payload),
                stream.commit.eq(controller.commit),
                # An UPDATE cut short, by a soft reset or a failure, takes its draws back.
                stream.stop.eq(cut),
            ]
        both = self.row_stream.begin.ready & self.column_stream.begin.ready
        m.d.comb += drive.begin.ready.eq(both)
        for name in self.pins.signature.members:
            pin, inner = getattr(self.pins, name), getattr(drive.pins, name)
            if name == "clear":
                # What was integrated for a phase that came to nothing must not be read later.
                m.d.sync += pin.eq(soft_reset | (drive.done & drive.failed) | ~drive.enable)
                continue
            live = name in ("request", "row_pulse", "column_pulse", "set_write")
            # Behind the registers, so that it acts at once.
            m.d.comb += pin.eq(Mux(self.analog_safe, 0, inner) if live else inner)

    def _conversions(self, m: Module, soft_reset: Signal) -> None:
        """Raw codes, and the derivative mask that a FORWARD leaves."""
        spec, controller, transfer = self.spec, self.controller, self.transfer
        drive, converter, lanes = self.drive, self.converter, self.spec.converters.lanes
        working = transfer.busy
        read_use = Mux(transfer.read_zero, Use.READ_ZERO, Use.READ)
        m.d.comb += [
            drive.ready.eq(self.macro_ready),
            drive.convert_valid.eq(self.convert_valid),
            converter.start.eq(transfer.read_start | controller.convert_start),
            converter.use.eq(Mux(working, read_use, controller.convert_use)),
            converter.beat.eq(drive.beat),
            converter.group.eq(drive.beat_group),
            converter.last.eq(drive.beat_last),
            converter.conversion_last.eq(~drive.pins.convert_hold),
            converter.raw.eq(self.convert_codes),
            converter.column_enable.eq(self.column_enable.bits),
            converter.forward_dither.eq(self.forward_dither.value),
            converter.backward_dither.eq(self.backward_dither.value),
            # What a vector counts is counted when it is complete, not group by group: a soft reset
            # before leaves no trace of it.
            self.forward_dither.next.eq(controller.finish & (converter.o_use == Use.FORWARD)),
            self.backward_dither.next.eq(controller.finish & (converter.o_use == Use.BACKWARD)),
            # The result is finished with its last codes.
            controller.convert_out.eq(converter.o_ends & ~working),
            transfer.read.valid.eq(converter.o_valid & working),
            transfer.read.group.eq(converter.o_group),
        ]
        m.d.sync += self.bank.saturated.count.eq(Mux(controller.finish, converter.o_rails, 0))
        for lane in range(lanes):
            code = converter.o_codes.word_select(lane, 16)
            bits = spec.weight_code.bits
            m.d.comb += transfer.read.codes.word_select(lane, bits).eq(code[:bits])

        # A register a column: all pass until a FORWARD says otherwise.
        slopes = Signal(spec.columns, init=(1 << spec.columns) - 1)
        forward = converter.o_valid & (converter.o_use == Use.FORWARD)
        for column in range(spec.columns):
            group, lane = divmod(column, lanes)
            with m.If(forward & (converter.o_group == group)):
                m.d.sync += slopes[column].eq(converter.o_slopes[lane])
        with m.If(soft_reset):
            m.d.sync += slopes.eq((1 << spec.columns) - 1)
        hidden = self.bank.control.hidden.replicate(spec.columns)
        m.d.comb += drive.column_mask.eq(slopes | ~hidden)
