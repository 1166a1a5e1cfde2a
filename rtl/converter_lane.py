"""One channel's arithmetic in rtl/converter.py: one adder for offsets, sums and corrections.

Three steps, a register between any two, without back-pressure: `raw` becomes an operand, it is
added to what the memory has (`value`), and the sum becomes a code, which has no register here.

The adder only adds. What is to be taken away goes in with all bits turned, and so does the sum come
out: ~(offset + ~raw) is raw - offset. A READ's sum is kept turned, from its zero on.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl import neuron
from rtl.formats import fits, saturate
from spec.formats import Signed
from spec.tile import TileSpec

KIND = data.StructLayout({"scaled": 1, "turned": 1, "backward": 1, "zero": 1})
"""Of a conversion. `scaled`: of FORWARD or, with `backward`, of BACKWARD, in the offsets' unit;
`turned`: of these or of a READ; `zero`: the first of a READ's zero."""


def raw_bits(spec: TileSpec) -> int:
    """Width of a raw code at the pins: the widest converter's."""
    return max(spec.forward_code.bits, spec.backward_code.bits, spec.weight_code.bits)


def at_rail(raw: Value, code: Signed) -> Value:
    """Whether a raw code is its format's lowest or highest."""
    magnitude, negative = raw[: code.bits - 1], raw[code.bits - 1]
    return Mux(negative, ~magnitude.any(), magnitude.all())


def zero_begin(spec: TileSpec) -> int:
    """What the sum of a READ's zero begins at.

    Each of the READ's n turned codes takes one too many away, and half a code of the mean, n / 2,
    is added so that it is rounded by cutting.
    """
    repeats = 1 << spec.converters.read_average_log2
    return repeats - 1 - repeats // 2


class ConverterLane(wiring.Component):
    """`of_raw`, `of_sum` and `of_code` say of what kind is what stands at each step.

    `data` is the sum for the memory, `code` and `slope` follow a cycle later. `rail`: the raw code
    stands at a rail, and so shall its code: then `value` must be 0.
    """

    raw: Signal
    dither: Signal
    value: Signal
    of_raw: Any
    of_sum: Any
    of_code: Any
    segment_passes: Signal
    rail: Signal
    data: Signal
    code: Signal
    slope: Signal

    def __init__(self, spec: TileSpec, bits: int) -> None:
        """`bits` of a word of the memory."""
        self.spec, self.fraction_bits = spec, spec.converters.calibration_log2
        self.average = spec.converters.read_average_log2
        self.formats = spec.forward_code, spec.backward_code
        self.most_bits = max(*(code.bits for code in self.formats), spec.weight_code.bits)
        segments = spec.neurons.segments
        super().__init__(
            {
                "raw": In(signed(raw_bits(spec))),
                "dither": In(max(1, self.fraction_bits)),
                "value": In(signed(bits)),
                "of_raw": In(KIND),
                "of_sum": In(KIND),
                "of_code": In(KIND),
                **({"segment_passes": In(segments)} if segments else {}),
                "rail": Out(1),
                "data": Out(signed(bits)),
                "code": Out(signed(self.most_bits)),
                "slope": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A multiplexer, an adder, a multiplexer, a saturation."""
        m = Module()
        forward, backward = self.formats
        of_raw, of_sum, of_code = self.of_raw, self.of_sum, self.of_code
        fraction_bits, average = self.fraction_bits, self.average
        # A raw code less an offset needs a bit more than either.
        bits = max(len(self.value), forward.bits + fraction_bits + 1,
                   backward.bits + fraction_bits + 1)  # fmt: skip

        operand = Signal(signed(bits))
        scaled = Cat(self.dither[:fraction_bits], self.raw).as_signed()
        chosen = Mux(of_raw.scaled, scaled, self.raw)
        rails = Mux(of_raw.backward, at_rail(self.raw, backward), at_rail(self.raw, forward))
        m.d.comb += self.rail.eq(rails & of_raw.scaled)
        m.d.sync += operand.eq(chosen ^ of_raw.turned.replicate(bits))

        total, turned, exact = Signal(signed(bits)), Signal(signed(bits)), Signal(
            signed(self.most_bits + 1)
        )  # fmt: skip
        base, mean = Signal.like(self.value), Signal.like(exact)
        m.d.comb += [
            base.eq(self.value | Mux(of_sum.zero, zero_begin(self.spec), 0)),
            total.eq(base + operand),
            self.data.eq(total),
            turned.eq(~total),
            mean.eq(turned >> average),
        ]
        if average:
            # Half a code was added: what is a tie then has nothing left behind the point.
            with m.If(~turned[:average].any()):
                m.d.comb += mean[0].eq(0)
        m.d.sync += exact.eq(Mux(of_sum.scaled, turned >> fraction_bits, mean))

        with m.If(~of_code.scaled):
            m.d.comb += self.code.eq(saturate(exact, self.spec.weight_code))
        with m.Elif(of_code.backward if backward != forward else 0):
            m.d.comb += self.code.eq(saturate(exact, backward))
        with m.Else():
            m.d.comb += self.code.eq(saturate(exact, forward))
        narrow = exact[: forward.bits]
        if self.spec.neurons.segments:
            passes = neuron.segment_slope(narrow, forward, self.segment_passes)
        else:
            passes = neuron.slope(narrow, forward)
        # A code that was limited is a rail, which has no slope.
        m.d.comb += self.slope.eq(passes & fits(exact, forward))
        return m
