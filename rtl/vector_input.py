"""Packets of the input stream: row codes, column codes and weights, checked.

One beat a cycle, and two cycles more a packet. Codes of rows and columns are written as they come,
two cycles after their beat, the first three; the vector is waiting, or its error given, three
cycles after the last one, four of a packet of up to two beats.
A packet whose place is taken is held back, and with it all that follow it: up to two of its beats
are taken into the buffer at the port. Weights leave one a cycle, as fast as they are taken.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.axi_stream import DESTINATION_BITS, AxiStream, AxiStreamSignature, beat_layout
from rtl.formats import saturate
from rtl.phase import column_bits, index_bits
from rtl.register_slice import SkidBuffer
from spec.commands import ERROR_BITS, Destination, Error
from spec.tile import TileSpec

WEIGHT_BYTES = 2


class VectorInput(wiring.Component):
    """Packets to codes.

    `row_write` puts `row_codes` (axis_bytes of them) into group `row_group` of the rows' shadow;
    a whole good packet raises `rows_waiting` until `rows_take`. Columns alike: sign above
    magnitude. A packet of weights begins while `weights_open`; it comes out as `weights`, each with
    its column, and `weights_done` ends it, good or bad. `error.code` is not NONE in the one cycle
    in which a bad packet ends.

    `give_up` discards the packet in hand to its end; `drop` does, and forgets what waits. `silent`:
    nothing moves.
    """

    i: AxiStream
    drop: Signal
    give_up: Signal
    silent: Signal
    error: Any
    row_write: Signal
    row_group: Signal
    row_codes: Signal
    rows_waiting: Signal
    rows_take: Signal
    column_write: Signal
    column_group: Signal
    column_codes: Signal
    columns_waiting: Signal
    columns_take: Signal
    weights: stream.Interface
    weights_open: Signal
    weights_done: Signal

    def __init__(self, spec: TileSpec) -> None:
        """With one row there are no row codes: such a packet is of BAD_DESTINATION."""
        self.spec, self.axis_bytes = spec, spec.host.axis_bytes
        self.row_bits, self.column_bits = spec.row_code.bits, 1 + spec.column_code.bits
        self.lengths = {
            Destination.ROWS: spec.rows - 1,
            Destination.COLUMNS: spec.columns,
            Destination.WEIGHTS: WEIGHT_BYTES * spec.columns,
        }
        self.beats = {to: -(-length // self.axis_bytes) for to, length in self.lengths.items()}
        error = data.StructLayout({"code": ERROR_BITS, "destination": DESTINATION_BITS})
        weight = data.StructLayout(
            {"column": column_bits(spec), "code": signed(spec.weight_code.bits)}
        )
        super().__init__(
            {
                "i": In(AxiStreamSignature(self.axis_bytes)),
                "drop": In(1),
                "give_up": In(1),
                "silent": Out(1),
                "error": Out(error),
                "row_write": Out(1),
                "row_group": Out(index_bits(max(1, self.beats[Destination.ROWS]))),
                "row_codes": Out(self.axis_bytes * self.row_bits),
                "rows_waiting": Out(1),
                "rows_take": In(1),
                "column_write": Out(1),
                "column_group": Out(index_bits(self.beats[Destination.COLUMNS])),
                "column_codes": Out(self.axis_bytes * self.column_bits),
                "columns_waiting": Out(1),
                "columns_take": In(1),
                "weights": Out(stream.Signature(weight)),
                "weights_open": In(1),
                "weights_done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """What a drop clears, and around it the knowledge of where in a packet the port is."""
        m = Module()
        buffer = SkidBuffer(beat_layout(self.axis_bytes))
        rows_come, columns_come, discard = Signal(), Signal(), Signal()
        cleared = self._reader(buffer.o, rows_come, columns_come)
        cleared.submodules.buffer = buffer
        m.submodules.reader = ResetInserter(discard)(cleared)
        m.d.comb += discard.eq(self.drop | self.give_up)
        for waiting, come, take in (
            (self.rows_waiting, rows_come, self.rows_take),
            (self.columns_waiting, columns_come, self.columns_take),
        ):
            with m.If(self.drop | take):
                m.d.sync += waiting.eq(0)
            with m.Elif(come & ~discard):
                m.d.sync += waiting.eq(1)

        port = self.i
        inside, still_inside, discarding = Signal(), Signal(), Signal()
        taken = Signal()
        m.d.comb += [
            taken.eq(port.tvalid & port.tready),
            still_inside.eq(Mux(taken, ~port.tlast, inside)),
            port.tready.eq(buffer.i.ready | discarding),
            buffer.i.valid.eq(port.tvalid & ~discarding),
            buffer.i.payload.data.eq(port.tdata),
            buffer.i.payload.keep.eq(port.tkeep),
            buffer.i.payload.last.eq(port.tlast),
            buffer.i.payload.destination.eq(port.tdest),
            self.silent.eq(~taken & ~(self.weights.valid & self.weights.ready)),
        ]
        m.d.sync += inside.eq(still_inside)
        with m.If(discard):
            m.d.sync += discarding.eq(still_inside)
        with m.Elif(taken & port.tlast):
            m.d.sync += discarding.eq(0)
        return m

    def _reader(self, beats: stream.Interface, rows_come: Signal, columns_come: Signal) -> Module:
        """Takes a packet's beats, then judges it: a good vector comes."""
        m = Module()
        beat = beats.payload
        # One more than a good packet can have, an empty beat at its end included: too long.
        most_beats = max(self.beats.values()) + 1
        place = Signal(range(most_beats + 1))
        first, begun_as, to = Signal(init=1), Signal(DESTINATION_BITS), Signal(DESTINATION_BITS)
        last_keep = Signal(self.axis_bytes)
        strayed, gap, bad_code = Signal(), Signal(), Signal()
        taken, judge = Signal(), Signal()
        m.d.comb += [
            to.eq(Mux(first, beat.destination, begun_as)),
            taken.eq(beats.valid & beats.ready),
        ]
        row_bad = self._rows(m, taken & (to == Destination.ROWS), place, beat)
        column_bad = self._columns(m, taken & (to == Destination.COLUMNS), place, beat)
        unpacked = self._weights(m, taken & (to == Destination.WEIGHTS), judge, beat)
        verdict = self._verdict(m, begun_as, place, last_keep, strayed, gap, bad_code)

        # A packet's first beat waits a cycle: whether it may come is found too late for it.
        held_back, opened = Signal(), Signal()
        with m.Switch(to):
            with m.Case(Destination.ROWS):
                m.d.comb += held_back.eq(self.rows_waiting)
            with m.Case(Destination.COLUMNS):
                m.d.comb += held_back.eq(self.columns_waiting)
            with m.Case(Destination.WEIGHTS):
                # Whoever closes at `weights_done` does so a cycle later.
                m.d.comb += held_back.eq(~self.weights_open | self.weights_done)

        m.d.sync += [self.error.code.eq(Error.NONE), self.weights_done.eq(0)]
        with m.FSM():
            with m.State("TAKE"):
                m.d.comb += beats.ready.eq(unpacked & (~first | opened))
                m.d.sync += opened.eq(beats.valid & first & ~held_back)
                with m.If(taken):
                    m.d.sync += [
                        opened.eq(0),
                        first.eq(0),
                        begun_as.eq(to),
                        last_keep.eq(beat.keep),
                        strayed.eq(strayed | (beat.destination != to)),
                        bad_code.eq(bad_code | row_bad | column_bad),
                    ]
                    with m.If(beat.last):
                        # A byte is kept behind one that is not.
                        m.d.sync += gap.eq(gap | (beat.keep[1:] & ~beat.keep[:-1]).any())
                        m.next = "JUDGE"
                    with m.Else():
                        m.d.sync += gap.eq(gap | ~beat.keep.all())
                        with m.If(place != most_beats):
                            m.d.sync += place.eq(place + 1)
            with m.State("JUDGE"):
                # The last weights leave first.
                m.d.comb += judge.eq(~self.weights.valid)
                with m.If(judge):
                    good = verdict == Error.NONE
                    m.d.sync += [
                        self.error.code.eq(verdict),
                        self.error.destination.eq(begun_as),
                        self.weights_done.eq(begun_as == Destination.WEIGHTS),
                        first.eq(1),
                        Cat(place, strayed, gap, bad_code).eq(0),
                    ]
                    m.d.comb += [
                        rows_come.eq(good & (begun_as == Destination.ROWS)),
                        columns_come.eq(good & (begun_as == Destination.COLUMNS)),
                    ]
                    m.next = "TAKE"
        return m

    def _rows(self, m: Module, taken: Value, place: Signal, beat: Any) -> Value:
        """Writes row codes; whether one of them is bad."""
        codes, bad = [], []
        for byte in self._bytes(beat):
            codes.append(byte[: self.row_bits])
            bad.append(byte[self.row_bits :].any())
        m.d.sync += [
            self.row_write.eq(taken & (place < self.beats[Destination.ROWS])),
            self.row_group.eq(place),
            self.row_codes.eq(Cat(*codes)),
        ]
        return taken & Cat(*bad).any()

    def _columns(self, m: Module, taken: Value, place: Signal, beat: Any) -> Value:
        """Writes column codes, zero without a sign; whether one of them is bad."""
        bits = self.spec.column_code.bits
        codes, bad = [], []
        for byte in self._bytes(beat):
            magnitude, between, negative = byte[:bits], byte[bits:-1], byte[-1]
            codes += [magnitude, negative & magnitude.any()]
            bad.append(between.any())
        m.d.sync += [
            self.column_write.eq(taken & (place < self.beats[Destination.COLUMNS])),
            self.column_group.eq(place),
            self.column_codes.eq(Cat(*codes)),
        ]
        return taken & Cat(*bad).any()

    def _bytes(self, beat: Any) -> list[Value]:
        """The bytes of a beat; those not kept are 0."""
        return [Mux(beat.keep[k], beat.data.word_select(k, 8), 0) for k in range(self.axis_bytes)]

    def _weights(self, m: Module, taken: Value, judge: Value, beat: Any) -> Value:
        """Gives a beat's weights one by one; whether there is room for another beat."""
        bits = 8 * WEIGHT_BYTES
        held = Signal(8 * self.axis_bytes)
        left = Signal(self.axis_bytes // WEIGHT_BYTES)
        column = Signal(range(self.spec.columns + 1))
        # What is beyond the last column is not given.
        beyond = Signal()
        weight = Signal(signed(bits))
        given = Signal()
        room = Signal()
        m.d.comb += [
            weight.eq(held[:bits]),
            self.weights.valid.eq(left[0] & ~beyond),
            self.weights.payload.column.eq(column),
            self.weights.payload.code.eq(saturate(weight, self.spec.weight_code)),
            given.eq(self.weights.valid & self.weights.ready),
            room.eq(~self.weights.valid | (given & ~left[1:].any())),
        ]
        # What is not taken may be held: nothing is left of it.
        with m.If(room):
            m.d.sync += held.eq(beat.data)
        with m.Elif(given):
            m.d.sync += held.eq(held >> bits)
        with m.If(taken):
            m.d.sync += left.eq(beat.keep[WEIGHT_BYTES - 1 :: WEIGHT_BYTES])
        with m.Elif(given):
            m.d.sync += left.eq(left >> 1)
        with m.If(judge):
            m.d.sync += [left.eq(0), column.eq(0), beyond.eq(0)]
        with m.Elif(given):
            m.d.sync += [column.eq(column + 1), beyond.eq(column == self.spec.columns - 1)]
        return room

    def _verdict(
        self,
        m: Module,
        to: Signal,
        place: Signal,
        last_keep: Signal,
        strayed: Signal,
        gap: Signal,
        bad_code: Signal,
    ) -> Signal:
        """The error of a packet whose last beat was at `place` and kept `last_keep`."""
        verdict, short, long = Signal(ERROR_BITS), Signal(), Signal()
        with m.If(strayed):
            m.d.comb += verdict.eq(Error.BAD_DESTINATION)
        with m.Elif(gap):
            m.d.comb += verdict.eq(Error.BAD_VALUE)
        with m.Elif(short):
            m.d.comb += verdict.eq(Error.SHORT_VECTOR)
        with m.Elif(long):
            m.d.comb += verdict.eq(Error.LONG_VECTOR)
        with m.Elif(bad_code):
            m.d.comb += verdict.eq(Error.BAD_VALUE)

        with m.Switch(to):
            for destination, length in self.lengths.items():
                if length == 0:
                    continue
                final = self.beats[destination] - 1
                kept = length - final * self.axis_bytes
                at_final = place == final
                too_long = place > final
                if kept < self.axis_bytes:
                    too_long = too_long | (at_final & last_keep[kept])
                else:
                    # An empty beat may end a packet whose bytes fill their beats.
                    too_long = too_long & ~((place == final + 1) & ~last_keep[0])
                with m.Case(destination):
                    m.d.comb += [
                        short.eq((place < final) | (at_final & ~last_keep[kept - 1])),
                        long.eq(too_long),
                    ]
            with m.Default():
                m.d.comb += verdict.eq(Error.BAD_DESTINATION)
        return verdict
