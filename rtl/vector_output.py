"""Holds one vector of results, makes row or column codes of it, sends it as a packet.

The first beat is offered FIRST_BEAT cycles after `finish`, one more where the neurons are a table
of segments; then one a cycle, as fast as they are taken: all steps move at once, or none.
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
FIRST_BEAT = 5
"""A memory, its beat's codes, their bytes, the pins."""


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
        held: Any = Signal(self.packet.shape())
        sending, move = Signal(), Signal()
        codes, valid, last = self._reader(cleared, held, sending, move)
        for _ in range(2 if self.spec.neurons.segments else 1):
            earlier, valid, last = (valid, last), Signal(), Signal()
            with cleared.If(move):
                cleared.d.sync += [valid.eq(earlier[0]), last.eq(earlier[1])]
        with cleared.If(valid & last & move):
            cleared.d.sync += sending.eq(0)
        tail = self._last_byte[: exact_log2(self.axis_bytes)]
        keep = Cat(~last | (place <= tail) for place in range(self.axis_bytes))

        port = self.o
        begun, ending = Signal(), Signal()
        room = Signal()
        m.d.comb += [
            room.eq(port.tready | ~port.tvalid),
            move.eq(room & ~ending),
            self.free.eq(~sending & ~port.tvalid & ~ending),
            self.stalled.eq(~room),
        ]
        made = self._bytes(m, codes, held.format, move)
        with m.If(room):
            m.d.sync += port.tvalid.eq(0)
            with m.If(ending):
                m.d.sync += [port.tvalid.eq(1), port.tkeep.eq(0), port.tlast.eq(1)]
                m.d.sync += [begun.eq(0), ending.eq(0)]
            with m.Elif(valid & ~self.drop):
                m.d.sync += [
                    port.tvalid.eq(1),
                    port.tdata.eq(made),
                    port.tkeep.eq(keep),
                    port.tlast.eq(last),
                    port.tdest.eq(held.destination),
                    begun.eq(~last),
                ]
        with m.If(self.drop & begun & ~ending):
            m.d.sync += ending.eq(1)
        return m

    def _reader(
        self, m: Module, held: Any, sending: Signal, move: Signal
    ) -> tuple[Signal, Signal, Signal]:
        """The vector, read a beat at a time: the codes of a beat, whether there are any, the last.

        RAW codes are in the lower half. The memory has words of as many codes as are written, or
        sent, at once. A place is half of the codes of a beat of bytes: all those of a RAW beat.
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
        self._last_byte = last_byte = Signal(range(self.most_codes * CODE_BYTES))
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
        read_valid, read_last = Signal(), Signal()
        read_place = Signal(place_bits)
        m.d.comb += [
            place.eq(Mux(raw, beat, beat << 1)),
            read.addr.eq(place >> place_bits),
            read.en.eq(move),
        ]
        last_beat = beat == last_byte >> beat_bits
        codes, valid, last = Signal(self.axis_bytes * CODE_BITS), Signal(), Signal()
        beat_codes: Value = read.data
        if place_bits > 1:
            beat_codes = beat_codes.word_select(read_place[1:], len(codes))
        half = len(codes) // 2
        lower = Mux(read_place[0], beat_codes[half:], beat_codes[:half])
        with m.If(move):
            m.d.sync += [
                read_valid.eq(reading),
                read_last.eq(last_beat),
                read_place.eq(place),
                valid.eq(read_valid),
                last.eq(read_last),
                codes.eq(Cat(lower, beat_codes[half:])),
            ]
            with m.If(reading):
                m.d.sync += [beat.eq(beat + 1), reading.eq(~last_beat)]
        return codes, valid, last

    def _bytes(self, m: Module, codes: Signal, vector_format: Value, move: Value) -> Value:
        """The bytes of a beat's codes, as many steps later as are behind the reader."""
        spec, lanes = self.spec, self.axis_bytes
        forward, backward, segments_log2 = (
            spec.forward_code, spec.backward_code, spec.neurons.segments_log2,
        )  # fmt: skip
        m.submodules.gain = gain = ColumnGain(backward, spec.column_code, lanes)
        m.d.comb += [
            gain.move.eq(move),
            gain.shift.eq(self.backward_shift),
            gain.scales.eq(vector_format == VectorFormat.COLUMN_CODES),
        ]
        if segments_log2:
            neurons = Segments(forward, spec.row_code, segments_log2, lanes)
            m.d.comb += [
                neurons.move.eq(move),
                neurons.bases.eq(self.segment_bases),
                neurons.slopes.eq(self.segment_slopes),
            ]
            later = Signal.like(codes)
            with m.If(move):
                m.d.sync += later.eq(codes)
        else:
            neurons = Activation(forward, spec.row_code, lanes)
            later = codes
        m.submodules.neurons = neurons
        rows = vector_format == VectorFormat.ROW_CODES
        made = Signal(8 * lanes)
        for lane in range(lanes):
            code, row_code = later.word_select(lane, CODE_BITS), neurons.row_codes[lane]
            m.d.comb += neurons.codes[lane].eq(codes.word_select(lane, CODE_BITS))
            other, byte = later.word_select(lane, 8), gain.bytes[lane]
            if segments_log2:
                byte = Mux(rows, row_code, byte)
            else:
                other = Mux(rows, row_code, other)
            m.d.comb += [
                gain.codes[lane].eq(code[: backward.bits]),
                gain.others[lane].eq(other),
                made.word_select(lane, 8).eq(byte),
            ]
        return made
