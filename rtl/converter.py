"""Raw codes to codes, a group a cycle: offsets with dither, READ's average, auto-zero.

A set of conversions begins with `start` and its `use`. Groups come as the macro gives them, without
back-pressure; LATENCY cycles later `o` gives a group of codes: of every conversion of a FORWARD or
a BACKWARD, of the last one of a READ, of none of a zero or an auto-zero. A group comes again, in
the next conversion, at least CONVERSION_CYCLES after: what it adds to has been written then.
"""

from __future__ import annotations

from enum import IntEnum
from itertools import pairwise
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.channel_memory import ChannelMemory, Kept
from rtl.converter_lane import KIND, ConverterLane, raw_bits
from rtl.phase import groups, index_bits
from spec.tile import TileSpec

CODE_BITS = 16
"""Codes leave sign-extended to what a host reads."""
LATENCY = 4
"""From raw codes to codes: the memory, its second register, the sum, the code."""
CONVERSION_CYCLES = 3
"""From a group to the same one of the next conversion at least: rtl/phase.py's ASK."""


class Use(IntEnum):
    """What a set of conversions is for."""

    FORWARD = 0
    BACKWARD = 1
    READ = 2
    READ_ZERO = 3
    AUTO_ZERO_COLUMNS = 4
    AUTO_ZERO_ROWS = 5


USE_BITS = max(Use).bit_length()


class Dither(wiring.Component):
    """A counter of n bits read bit-reversed: successive values are far apart.

    `next` counts, from the cycle after on. While idle, `write` loads `new_count`.
    """

    next: Signal
    write: Signal
    new_count: Signal
    count: Signal
    value: Signal

    def __init__(self, bits: int) -> None:
        """0 bits give always 0."""
        self.bits = bits
        width = max(1, bits)
        super().__init__(
            {
                "next": In(1),
                "write": In(1),
                "new_count": In(width),
                "count": Out(width),
                "value": Out(width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One counter."""
        m = Module()
        with m.If(self.write):
            m.d.sync += self.count.eq(self.new_count)
        with m.Elif(self.next):
            m.d.sync += self.count.eq(self.count + int(self.bits > 0))
        if self.bits:
            m.d.comb += self.value.eq(self.count[::-1])
        return m


def ones(bits: Value) -> Value:
    """How many bits are 1, as a tree."""
    counts: list[Value] = list(bits)
    while len(counts) > 1:
        counts.append(counts.pop(0) + counts.pop(0))
    return counts[0]


class Converter(wiring.Component):
    """All conversions of a tile; see the head of the file.

    `beat` announces `group` of raw codes, sign-extended; `last`, that it is the side's last group;
    `conversion_last`, that the conversion is the last of its set. `o_ends` comes a cycle before the
    last group of codes. `o_slopes` says where errors pass the neurons (`segment_passes` is their
    table, where the tile has one), `o_rails` how many raw codes of a FORWARD or BACKWARD stood at a
    rail since its start, those of the present group among them. The windows are used while idle.
    """

    start: Signal
    use: Signal
    beat: Signal
    group: Signal
    last: Signal
    conversion_last: Signal
    raw: Signal
    column_enable: Signal
    forward_dither: Signal
    backward_dither: Signal
    segment_passes: Signal
    o_valid: Signal
    o_use: Signal
    o_group: Signal
    o_last: Signal
    o_ends: Signal
    o_codes: Signal
    o_slopes: Signal
    o_rails: Signal
    forward_window: Any
    backward_window: Any

    def __init__(self, spec: TileSpec) -> None:
        """Offsets, sums and zeros lie in one memory of a group a word."""
        self.spec = spec
        self.lanes = spec.converters.lanes
        self.memory = ChannelMemory(spec)
        fraction_bits, segments = spec.converters.calibration_log2, spec.neurons.segments
        group_bits = index_bits(max(groups(spec, spec.rows), groups(spec, spec.columns)))
        windows = self.memory.signature.members
        super().__init__(
            {
                "start": In(1),
                "use": In(USE_BITS),
                "beat": In(1),
                "group": In(group_bits),
                "last": In(1),
                "conversion_last": In(1),
                "raw": In(self.lanes * raw_bits(spec)),
                "column_enable": In(spec.columns),
                "forward_dither": In(max(1, fraction_bits)),
                "backward_dither": In(max(1, fraction_bits)),
                **({"segment_passes": In(segments)} if segments else {}),
                "o_valid": Out(1),
                "o_use": Out(USE_BITS),
                "o_group": Out(group_bits),
                "o_last": Out(1),
                "o_ends": Out(1),
                "o_codes": Out(self.lanes * CODE_BITS),
                "o_slopes": Out(self.lanes),
                "o_rails": Out(range(max(spec.rows, spec.columns) + 1)),
                "forward_window": windows["forward_window"],
                "backward_window": windows["backward_window"],
            }
        )

    def elaborate(self, platform: object) -> Module:
        """What comes along with a group, a register a step; the memory; a lane a channel."""
        m = Module()
        m.submodules.memory = memory = self.memory
        connect(m, flipped(self.forward_window), memory.forward_window)
        connect(m, flipped(self.backward_window), memory.backward_window)
        beat = data.StructLayout(
            {
                "valid": 1,
                "use": USE_BITS,
                "kind": KIND,
                "group": len(self.group),
                "last": 1,
                "gives": 1,
            }
        )
        # Steps by what stands there: a word asked for, found; an operand beside it; a sum.
        names = ("asked", "found", "taken", "summed")
        steps: list[Any] = [Signal(beat, name=name) for name in names]
        asked, found, taken, summed = steps
        for before, after in pairwise(steps):
            m.d.sync += after.eq(before)

        # On a line of its own: the proofs find it by name.
        use = Signal(USE_BITS)
        first = Signal()
        with m.If(self.start):
            m.d.sync += [use.eq(self.use), first.eq(1)]
        with m.Elif(self.beat & self.last):
            m.d.sync += first.eq(0)
        vector = (use == Use.FORWARD) | (use == Use.BACKWARD)
        m.d.comb += [
            asked.valid.eq(self.beat),
            asked.use.eq(use),
            asked.kind.scaled.eq(vector),
            asked.kind.turned.eq(vector | (use == Use.READ)),
            asked.kind.backward.eq(use == Use.BACKWARD),
            asked.kind.zero.eq(first & (use == Use.READ_ZERO)),
            asked.group.eq(self.group),
            asked.last.eq(self.last),
            asked.gives.eq(self.beat & (vector | (use == Use.READ) & self.conversion_last)),
        ]
        blank = Signal(self.lanes)
        self._places(m, asked, found, first)
        mask = self._mask(m, use)
        begins = Signal()
        accumulates = ~vector & (use != Use.READ)
        m.d.sync += begins.eq(self.beat & first & accumulates)

        codes, slopes, rails = [], [], []
        for number in range(self.lanes):
            name = f"lane_{number}"
            m.submodules[name] = lane = ConverterLane(self.spec, memory.bits)
            raw = self.raw.word_select(number, raw_bits(self.spec)).as_signed()
            live = Signal(name=f"{name}_live")
            code = Signal(CODE_BITS, name=f"{name}_code")
            m.d.sync += [live.eq(mask[number]), lane.raw.eq(Mux(mask[number], raw, 0))]
            m.d.comb += [
                lane.dither.eq(Mux(found.kind.backward, self.backward_dither, self.forward_dither)),
                lane.value.eq(memory.value.word_select(number, memory.bits)),
                lane.of_raw.eq(found.kind),
                lane.of_sum.eq(taken.kind),
                lane.of_code.eq(summed.kind),
                # A rail stays one; of a masked channel all codes are 0; a sum begins.
                blank[number].eq(found.valid & (lane.rail | ~live | begins)),
                memory.data.word_select(number, memory.bits).eq(lane.data),
                code.eq(lane.code),
            ]
            if self.spec.neurons.segments:
                m.d.comb += lane.segment_passes.eq(self.segment_passes)
            codes.append(code)
            slopes.append(lane.slope)
            rails.append(lane.rail)
        m.d.comb += [
            memory.blank.eq(blank),
            memory.write.eq(taken.valid & ~taken.kind.scaled),
        ]
        m.d.comb += self.o_ends.eq(summed.gives & summed.last)
        m.d.sync += [
            self.o_valid.eq(summed.gives),
            self.o_use.eq(summed.use),
            self.o_group.eq(summed.group),
            self.o_last.eq(summed.last),
            self.o_codes.eq(Cat(*codes)),
            self.o_slopes.eq(Cat(*slopes)),
        ]
        self._count(m, Cat(*rails) & found.valid.replicate(self.lanes))
        return m

    def _places(self, m: Module, asked: Any, found: Any, first: Signal) -> None:
        """Where a group is read, and where it is written two cycles later."""
        memory, place = self.memory, self.memory.first
        reads, writes = Signal.like(memory.read), Signal.like(memory.read)
        with m.Switch(asked.use):
            with m.Case(Use.BACKWARD, Use.AUTO_ZERO_ROWS):
                m.d.comb += reads.eq(place[Kept.BACKWARD_OFFSETS])
            with m.Case(Use.FORWARD, Use.AUTO_ZERO_COLUMNS):
                m.d.comb += reads.eq(place[Kept.FORWARD_OFFSETS])
            with m.Case(Use.READ_ZERO):
                m.d.comb += reads.eq(place[Kept.ZEROS])
            with m.Default():
                # The sum goes on from the zero.
                m.d.comb += reads.eq(Mux(first, place[Kept.ZEROS], place[Kept.SUMS]))
        with m.Switch(found.use):
            with m.Case(Use.AUTO_ZERO_ROWS):
                m.d.comb += writes.eq(place[Kept.BACKWARD_OFFSETS])
            with m.Case(Use.AUTO_ZERO_COLUMNS):
                m.d.comb += writes.eq(place[Kept.FORWARD_OFFSETS])
            with m.Case(Use.READ_ZERO):
                m.d.comb += writes.eq(place[Kept.ZEROS])
            with m.Default():
                m.d.comb += writes.eq(place[Kept.SUMS])
        m.d.comb += memory.read.eq(reads + asked.group)
        m.d.sync += memory.write_place.eq(writes + found.group)

    def _mask(self, m: Module, use: Signal) -> Signal:
        """Which lanes of the group that comes are channels, and enabled."""
        spec, lanes = self.spec, self.lanes
        mask = Signal(lanes)
        enabled = Signal(lanes << len(self.group))
        m.d.comb += enabled.eq(self.column_enable)
        with m.If((use == Use.BACKWARD) | (use == Use.AUTO_ZERO_ROWS)):
            m.d.comb += mask.eq(~Const(0, lanes))
            if rows_left := spec.rows % lanes:
                with m.If(self.last):
                    m.d.comb += mask.eq((1 << rows_left) - 1)
        with m.Else():
            m.d.comb += mask.eq(enabled.word_select(self.group, lanes))
        return mask

    def _count(self, m: Module, rails: Value) -> None:
        """Rails of a vector: a group's with its codes."""
        held, parts = Signal(self.lanes), range(0, self.lanes, 8)
        counts = [Signal(range(9), name=f"rails_{part}") for part in parts]
        m.d.sync += held.eq(rails)
        for first, count in zip(parts, counts, strict=True):
            m.d.sync += count.eq(ones(held[first : first + 8]))
        total = counts[0]
        for count in counts[1:]:
            total = total + count
        with m.If(self.start):
            m.d.sync += self.o_rails.eq(0)
        with m.Else():
            m.d.sync += self.o_rails.eq(self.o_rails + total)
