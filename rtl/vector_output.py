"""Holds one vector of results, makes row or column codes of it, sends it as a packet.

The first beat is offered four cycles after `finish`; then one a cycle, as fast as they are taken.
`free` is low from `finish` until the last beat has been taken: nothing may be written meanwhile.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from rtl.axi_stream import DESTINATION_BITS, AxiStream, AxiStreamSignature
from rtl.converter import CODE_BITS
from rtl.neuron import Activation, ColumnGain, Segments
from rtl.phase import index_bits
from spec.commands import VectorFormat
from spec.segments import SLOPE
from spec.tile import COLUMN_SHIFT, TileSpec

FORMAT_BITS = max(VectorFormat).bit_length()
CODE_BYTES = CODE_BITS // 8


class VectorOutput(wiring.Component):
    """Codes to packets.

    `write` puts `codes` (`lanes` of them) into `group`. `finish`, with the last write or later,
    sends what `packet` says: `count` codes, of which none may be missing; no packet for 0.
    `backward_shift` must hold while a vector is sent.

    `drop` forgets the vector. A beat on offer stays until it is taken, and a packet begun is ended
    by a beat without bytes, so that whoever receives it sees it short. `stalled`: a beat is on
    offer, and nobody takes it. `segment_bases` and `segment_slopes` are the neurons' table, where
    the tile has one.
    """

    write: Signal
    group: Signal
    codes: Signal
    finish: Signal
    packet: Any
    free: Signal
    stalled: Signal
    backward_shift: Signal
    drop: Signal
    segment_bases: Signal
    segment_slopes: Signal
    o: AxiStream

    def __init__(self, spec: TileSpec) -> None:
        """Holds a code a row or a column, whichever are more."""
        self.spec, self.axis_bytes = spec, spec.host.axis_bytes
        self.lanes = spec.converters.lanes
        self.most_codes = max(spec.rows, spec.columns)
        packet = data.StructLayout(
            {
                "count": self.most_codes.bit_length(),
                "format": FORMAT_BITS,
                "destination": DESTINATION_BITS,
            }
        )
        super().__init__(
            {
                "write": In(1),
                "group": In(index_bits(-(-self.most_codes // self.lanes))),
                "codes": In(self.lanes * CODE_BITS),
                "finish": In(1),
                "packet": In(packet),
                "free": Out(1),
                "stalled": Out(1),
                "backward_shift": In(signed(COLUMN_SHIFT.bits)),
                "drop": In(1),
                **self._table(),
                "o": Out(AxiStreamSignature(self.axis_bytes)),
            }
        )

    def _table(self) -> dict[str, wiring.Member]:
        spec = self.spec
        bits = {"segment_bases": spec.row_code.bits, "segment_slopes": SLOPE.bits}
        segments = spec.neurons.segments
        return {name: In(segments * width) for name, width in bits.items() if segments}

    def elaborate(self, platform: object) -> Module:
        """What a drop clears, and the register at the pins, which it must not."""
        m = Module()
        cleared = Module()
        m.submodules.reader = ResetInserter(self.drop)(cleared)
        valid, ready, last, keep = Signal(), Signal(), Signal(), Signal(self.axis_bytes)
        held: Any = Signal(self.packet.shape())
        sending = Signal()
        codes = self._reader(cleared, held, sending, valid, ready, last, keep)

        port = self.o
        begun, ending = Signal(), Signal()
        room = Signal()
        m.d.comb += [
            room.eq(port.tready | ~port.tvalid),
            ready.eq(room & ~ending),
            self.free.eq(~sending & ~port.tvalid & ~ending),
            self.stalled.eq(~room),
        ]
        with m.If(room):
            m.d.sync += port.tvalid.eq(0)
            with m.If(ending):
                m.d.sync += [port.tvalid.eq(1), port.tkeep.eq(0), port.tlast.eq(1)]
                m.d.sync += [begun.eq(0), ending.eq(0)]
            with m.Elif(valid & ~self.drop):
                m.d.sync += [
                    port.tvalid.eq(1),
                    port.tdata.eq(self._bytes(m, codes, held.format)),
                    port.tkeep.eq(keep),
                    port.tlast.eq(last),
                    port.tdest.eq(held.destination),
                    begun.eq(~last),
                ]
        with m.If(self.drop & begun & ~ending):
            m.d.sync += ending.eq(1)
        return m

    def _reader(
        self,
        m: Module,
        held: Any,
        sending: Signal,
        valid: Signal,
        ready: Signal,
        last: Signal,
        keep: Signal,
    ) -> Signal:
        """The vector, read a beat at a time: the codes of a beat, RAW ones in the lower half.

        The memory has words of as many codes as are written, or sent, at once. A place is half
        of the codes of a beat of bytes: all those of a RAW beat.
        """
        word_codes = max(self.lanes, self.axis_bytes)
        m.submodules.memory = memory = Memory(
            shape=word_codes * CODE_BITS, depth=-(-self.most_codes // word_codes), init=[]
        )
        write: WritePort = memory.write_port(granularity=self.lanes * CODE_BITS)
        read: ReadPort = memory.read_port()
        part_bits = exact_log2(word_codes // self.lanes)
        m.d.comb += [
            write.addr.eq(self.group >> part_bits),
            write.data.eq(self.codes.replicate(1 << part_bits)),
            write.en.eq(self.write << (self.group[:part_bits] if part_bits else Const(0))),
        ]

        raw, reading = Signal(), Signal()
        beat = Signal(range(-(-self.most_codes * CODE_BYTES // self.axis_bytes) + 1))
        last_byte = Signal(range(self.most_codes * CODE_BYTES))
        beat_bits = exact_log2(self.axis_bytes)
        m.d.comb += raw.eq(held.format == VectorFormat.RAW)
        with m.If(self.finish & (self.packet.count != 0)):
            asked = self.packet
            length = Mux(asked.format == VectorFormat.RAW, asked.count << 1, asked.count)
            m.d.sync += [
                held.eq(asked),
                last_byte.eq(length - 1),
                beat.eq(0),
                sending.eq(1),
                reading.eq(1),
            ]

        # The memory's own register, then one of the beat's codes.
        place_bits = exact_log2(2 * word_codes // self.axis_bytes)
        place = Signal(len(beat) + 1)
        read_valid, read_ready, read_last = Signal(), Signal(), Signal()
        read_place = Signal(place_bits)
        m.d.comb += [
            place.eq(Mux(raw, beat, beat << 1)),
            read.addr.eq(place >> place_bits),
            read.en.eq(read_ready),
            read_ready.eq(ready | ~valid | ~read_valid),
        ]
        last_beat = beat == last_byte >> beat_bits
        with m.If(read_ready):
            m.d.sync += [
                read_valid.eq(reading),
                read_last.eq(last_beat),
                read_place.eq(place),
            ]
            with m.If(reading):
                m.d.sync += [beat.eq(beat + 1), reading.eq(~last_beat)]

        codes = Signal(self.axis_bytes * CODE_BITS)
        with m.If(ready | ~valid):
            beat_codes: Value = read.data
            if place_bits > 1:
                beat_codes = beat_codes.word_select(read_place[1:], len(codes))
            half = len(codes) // 2
            lower = Mux(read_place[0], beat_codes[half:], beat_codes[:half])
            m.d.sync += [
                valid.eq(read_valid),
                last.eq(read_last),
                codes.eq(Cat(lower, beat_codes[half:])),
            ]
        tail = last_byte[:beat_bits]
        m.d.comb += keep.eq(Cat(~last | (place <= tail) for place in range(self.axis_bytes)))
        with m.If(valid & ready & last):
            m.d.sync += sending.eq(0)
        return codes

    def _bytes(self, m: Module, codes: Signal, vector_format: Value) -> Signal:
        """The bytes of a beat's codes."""
        spec, lanes = self.spec, self.axis_bytes
        code, row_code = spec.forward_code, spec.row_code
        if segments_log2 := spec.neurons.segments_log2:
            neurons = Segments(code, row_code, segments_log2, lanes)
            m.d.comb += neurons.bases.eq(self.segment_bases)
            m.d.comb += neurons.slopes.eq(self.segment_slopes)
        else:
            neurons = Activation(code, row_code, lanes)
        m.submodules.activation = neurons
        m.submodules.gain = gain = ColumnGain(spec.backward_code, spec.column_code, lanes)
        m.d.comb += gain.shift.eq(self.backward_shift)
        given = Signal(8 * self.axis_bytes)
        row_bytes, column_bytes = Signal.like(given), Signal.like(given)
        for lane in range(lanes):
            code = codes.word_select(lane, CODE_BITS)
            column = gain.column_codes[lane]
            sign_gap = Const(0, 7 - spec.column_code.bits)
            m.d.comb += [
                neurons.codes[lane].eq(code[: spec.forward_code.bits]),
                gain.codes[lane].eq(code[: spec.backward_code.bits]),
                row_bytes.word_select(lane, 8).eq(neurons.row_codes[lane]),
                column_bytes.word_select(lane, 8).eq(
                    Cat(column.magnitude, sign_gap, column.negative)
                ),
            ]
        with m.Switch(vector_format):
            with m.Case(VectorFormat.ROW_CODES):
                m.d.comb += given.eq(row_bytes)
            with m.Case(VectorFormat.COLUMN_CODES):
                m.d.comb += given.eq(column_bytes)
            with m.Default():
                m.d.comb += given.eq(codes)
        return given
