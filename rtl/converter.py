"""Raw codes to codes, a group a cycle: offsets with dither, READ's average, auto-zero.

A set of conversions begins with `start` and its `use`. Groups come as the macro gives them, without
back-pressure; two cycles later `o` gives a group of codes: of every conversion of a FORWARD or a
BACKWARD, of the last one of a READ, of none of a zero or an auto-zero.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl import neuron
from rtl.formats import round_half_even, saturate
from rtl.phase import groups, index_bits
from rtl.window import GroupMemory, window_signature
from spec.formats import Signed
from spec.tile import TileSpec

CODE_BITS = 16
"""Codes leave sign-extended to what a host reads."""


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


class Corrector(wiring.Component):
    """One raw code to sat(raw - offset), the offset in 2^-fraction_bits LSB; a rail stays a rail.

    No register. `at_rail` says that the raw code stands at a rail.
    """

    raw: Signal
    offset: Signal
    dither: Signal
    code: Signal
    at_rail: Signal

    def __init__(self, format: Signed, fraction_bits: int) -> None:
        """Offsets are signed, of format.bits + fraction_bits bits."""
        self.format, self.fraction_bits = format, fraction_bits
        super().__init__(
            {
                "raw": In(signed(format.bits)),
                "offset": In(signed(format.bits + fraction_bits)),
                "dither": In(max(1, fraction_bits)),
                "code": Out(signed(format.bits)),
                "at_rail": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Two adders and the saturation."""
        m = Module()
        shift = Signal(signed(self.format.bits + 2))
        exact = Signal(signed(self.format.bits + 3))
        m.d.comb += [
            shift.eq((self.dither - self.offset) >> self.fraction_bits),
            exact.eq(self.raw + shift),
            self.at_rail.eq((self.raw == self.format.low) | (self.raw == self.format.high)),
            self.code.eq(Mux(self.at_rail, self.raw, saturate(exact, self.format))),
        ]
        return m


def raw_bits(spec: TileSpec) -> int:
    """Width of a raw code at the pins: the widest converter's."""
    return max(spec.forward_code.bits, spec.backward_code.bits, spec.weight_code.bits)


class Converter(wiring.Component):
    """All conversions of a tile; see the head of the file.

    `beat` announces `group` of raw codes, sign-extended; `last`, that it is the side's last group;
    `conversion_last`, that the conversion is the last of its set. `o_slopes` says where errors pass
    the neurons (`segment_passes` is their table, where the tile has one), `o_rails` how many raw
    codes of a FORWARD or BACKWARD stand at a rail. The windows are used while idle.
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
    o_codes: Signal
    o_slopes: Signal
    o_rails: Signal
    forward_window: Any
    backward_window: Any

    def __init__(self, spec: TileSpec) -> None:
        """Offsets, sums and zeros lie in memories of a group a word."""
        self.spec = spec
        self.lanes = spec.converters.lanes
        self.row_groups, self.column_groups = groups(spec, spec.rows), groups(spec, spec.columns)
        fraction_bits, segments = spec.converters.calibration_log2, spec.neurons.segments
        group_bits = index_bits(max(self.row_groups, self.column_groups))
        forward_bits = spec.forward_code.bits + fraction_bits
        backward_bits = spec.backward_code.bits + fraction_bits
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
                "o_codes": Out(self.lanes * CODE_BITS),
                "o_slopes": Out(self.lanes),
                "o_rails": Out(range(self.lanes + 1)),
                "forward_window": In(window_signature(spec.columns, forward_bits)),
                "backward_window": In(window_signature(spec.rows, backward_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A register of raw codes, then sums or corrections, then a register of codes."""
        m = Module()
        spec, lanes = self.spec, self.lanes
        converters = spec.converters
        fraction_bits, average = converters.calibration_log2, converters.read_average_log2
        forward_bits = spec.forward_code.bits + fraction_bits
        backward_bits = spec.backward_code.bits + fraction_bits
        sum_bits = spec.weight_code.bits + average

        m.submodules.forward_offsets = forward = GroupMemory(spec.columns, forward_bits, lanes)
        m.submodules.backward_offsets = backward = GroupMemory(spec.rows, backward_bits, lanes)
        m.submodules.sums = sums = GroupMemory(spec.columns, sum_bits, lanes)
        m.submodules.zeros = zeros = GroupMemory(spec.columns, sum_bits, lanes)
        connect(m, flipped(self.forward_window), forward.window)
        connect(m, flipped(self.backward_window), backward.window)
        memories = (forward, backward, sums, zeros)

        # The first stage holds the raw codes while the memories are read.
        use = Signal(USE_BITS)
        first = Signal()
        raw, mask = Signal.like(self.raw), Signal(lanes)
        valid, last, set_last = Signal(), Signal(), Signal()
        group = Signal.like(self.group)
        with m.If(self.start):
            m.d.sync += [use.eq(self.use), first.eq(1)]
        with m.Elif(valid & last):
            m.d.sync += first.eq(0)
        enabled = Array(
            Const(0, lanes) | self.column_enable[place * lanes : (place + 1) * lanes]
            for place in range(self.column_groups)
        )
        rows_side = (use == Use.BACKWARD) | (use == Use.AUTO_ZERO_ROWS)
        m.d.sync += [
            valid.eq(self.beat),
            raw.eq(self.raw),
            group.eq(self.group),
            last.eq(self.last),
            set_last.eq(self.conversion_last),
            mask.eq(Mux(rows_side, ~Const(0, lanes), enabled[self.group])),
        ]
        for memory in memories:
            m.d.comb += [memory.read_group.eq(self.group), memory.write_group.eq(group)]
        m.d.comb += [
            forward.write.eq(valid & (use == Use.AUTO_ZERO_COLUMNS)),
            backward.write.eq(valid & (use == Use.AUTO_ZERO_ROWS)),
            sums.write.eq(valid & (use == Use.READ)),
            zeros.write.eq(valid & (use == Use.READ_ZERO)),
        ]

        codes, slopes, rails = [], [], []
        for lane in range(lanes):
            name = f"lane_{lane}"
            code = Signal(signed(CODE_BITS), name=f"{name}_code")
            slope, at_rail = Signal(name=f"{name}_slope"), Signal(name=f"{name}_at_rail")
            values = {}
            for what, memory in zip(("forward", "backward", "sum", "zero"), memories, strict=True):
                value = Signal(signed(memory.bits), name=f"{name}_{what}")
                m.d.comb += value.eq(memory.value.word_select(lane, memory.bits))
                values[what] = value
            lane_raw = Signal(signed(raw_bits(spec)), name=f"{name}_raw")
            m.d.comb += lane_raw.eq(Mux(mask[lane], raw.word_select(lane, raw_bits(spec)), 0))
            for memory, what in zip(memories, values, strict=True):
                added = Signal(signed(memory.bits), name=f"{name}_{what}_added")
                m.d.comb += added.eq(Mux(first, 0, values[what]) + lane_raw)
                m.d.comb += memory.data.word_select(lane, memory.bits).eq(added)
                if what == "sum":
                    summed = added
            total = Signal(signed(sum_bits + 1), name=f"{name}_total")
            m.d.comb += total.eq(summed - values["zero"])
            mean = round_half_even(m, total, average, f"{name}_mean")
            corrected = {}
            for what, format in (("forward", spec.forward_code), ("backward", spec.backward_code)):
                corrector = Corrector(format, fraction_bits)
                m.submodules[f"{name}_{what}_corrector"] = corrector
                m.d.comb += [
                    corrector.raw.eq(lane_raw),
                    corrector.offset.eq(values[what]),
                    corrector.dither.eq(getattr(self, f"{what}_dither")),
                ]
                corrected[what] = corrector
            with m.Switch(use):
                with m.Case(Use.FORWARD):
                    value = corrected["forward"].code
                    m.d.comb += [
                        code.eq(Mux(mask[lane], value, 0)),
                        at_rail.eq(corrected["forward"].at_rail),
                    ]
                with m.Case(Use.BACKWARD):
                    m.d.comb += [
                        code.eq(corrected["backward"].code),
                        at_rail.eq(corrected["backward"].at_rail),
                    ]
                with m.Default():
                    m.d.comb += code.eq(saturate(mean, spec.weight_code))
            if spec.neurons.segments:
                passes = neuron.segment_slope(code, spec.forward_code, self.segment_passes)
            else:
                passes = neuron.slope(code, spec.forward_code)
            m.d.comb += slope.eq(passes)
            codes.append(code)
            slopes.append(slope)
            rails.append(at_rail)

        # Lanes beyond the last row are no codes.
        rows_left = spec.rows % lanes
        beyond = Signal(lanes)
        if rows_left:
            m.d.comb += beyond.eq(Mux(last & rows_side, ~Const((1 << rows_left) - 1, lanes), 0))
        gives = (use == Use.FORWARD) | (use == Use.BACKWARD) | ((use == Use.READ) & set_last)
        m.d.sync += [
            self.o_valid.eq(valid & gives),
            self.o_use.eq(use),
            self.o_group.eq(group),
            self.o_last.eq(last),
            self.o_codes.eq(Cat(*codes)),
            self.o_slopes.eq(Cat(*slopes)),
            self.o_rails.eq(sum((Cat(*rails) & ~beyond)[lane] for lane in range(lanes))),
        ]
        return m
