"""A stand-in for the array macro, to be synthesized: it answers every phase, with known codes.

So that a board without an array can run the programmer's guide. `ready` comes the cycle after a
request, a group of codes every cycle from the second one on; a READ's first code, one cycle later.
It holds a few registers a line, and nothing of the size rows x columns.

With `loopback` high, what it gives is made of what the pins did, measured, not assumed:

- CONVERT_FORWARD, column c: the cycles for which row c mod rows was high since the last conversion.
- CONVERT_BACKWARD, row r: the cycles for which column r mod columns was high, negative where its
  sign was.
- CONVERT_READ, all columns alike: the weight of the row at column 0, the only column there is. A
  conversion without a READ before it gives 0.

Each is shifted right until its longest pulse stays below the converter's rail: by `forward_shift`
and `backward_shift`. The weight at column 0 is higher + lower, or the one that `pair` asks for:

- higher: RESET makes it 0; SET adds step code << set_shift, or subtracts it with the minus device.
- lower: PRECHARGE makes it 0; a slot of an UPDATE in which row and column 0 are both high adds 1
  for a charge, or subtracts 1 for a discharge, modulo four times a weight code's range; it is read
  with its sign turned by `lower_swap`, and limited.

So, with a SET table of table[n] = n, rows whose columns all hold the same weight can be loaded,
programmed, trimmed, transferred and read. With `loopback` low all codes are 0.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.lib.wiring import In, Out

from rtl.converter import raw_bits
from rtl.drive import pins_signature
from rtl.formats import saturate
from rtl.phase import groups, index_bits
from rtl.top import FROM_MACRO, Shell, flat, module_name
from spec.commands import PairCode, Phase
from spec.tile import STEP_CODE_BITS, TileSpec


def forward_shift(spec: TileSpec) -> int:
    """By how much a row's cycles are shifted right in a FORWARD code."""
    return max(0, spec.row_code.bits - spec.forward_code.bits + 2)


def backward_shift(spec: TileSpec) -> int:
    """By how much a column's cycles are shifted right in a BACKWARD code."""
    return max(0, spec.column_code.bits - spec.backward_code.bits + 2)


def stub_name(spec: TileSpec) -> str:
    """The top module of a tile's stub."""
    return f"{module_name(spec)}_macro_stub"


class MacroStub(wiring.Component):
    """The pins of the macro, the other way round."""

    pins: Any
    ready: Signal
    convert_valid: Signal
    convert_codes: Signal
    loopback: Signal

    def __init__(self, spec: TileSpec) -> None:
        """One stand-in for the array of this tile."""
        self.spec, self.lanes = spec, spec.converters.lanes
        super().__init__(
            {
                "pins": In(pins_signature(spec)),
                "ready": Out(1),
                "convert_valid": Out(1),
                "convert_codes": Out(self.lanes * raw_bits(spec)),
                "loopback": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The handshake, the lines' counters, the row that is read, the codes."""
        m = Module()
        pins = self.pins
        # The cycle before: whether a phase was asked for, and which.
        m.d.sync += [
            (working := Signal()).eq(pins.request),
            (phase := Signal.like(pins.phase, name="phase_before")).eq(pins.phase),
            (held := Signal()).eq(pins.convert_hold),
        ]
        converts = Signal()
        with m.Switch(pins.phase):
            with m.Case(Phase.CONVERT_FORWARD, Phase.CONVERT_BACKWARD, Phase.CONVERT_READ):
                m.d.comb += converts.eq(1)
        m.d.sync += self.ready.eq(pins.request & ~converts)

        group = Signal(
            index_bits(max(self._groups(self.spec.rows), self._groups(self.spec.columns)))
        )
        given = Signal()  # all groups of the side
        last_group = Mux(
            pins.phase == Phase.CONVERT_BACKWARD,
            self._groups(self.spec.rows) - 1,
            self._groups(self.spec.columns) - 1,
        )
        # `clear` comes after a phase that failed: what it integrated is not to be seen.
        ended = working & ~pins.request & ~held
        weight = self._weight(m, working, pins.clear | (ended & (phase == Phase.CONVERT_READ)))
        giving = Signal()
        m.d.comb += giving.eq(working & pins.request & converts & ~given)
        m.d.sync += self.convert_valid.eq(giving)
        with m.If(~pins.request):
            m.d.sync += [group.eq(0), given.eq(0)]
        with m.Elif(giving):
            m.d.sync += [group.eq(group + 1), given.eq(group == last_group)]

        forward = self._forward(m, pins.clear | (ended & (phase == Phase.CONVERT_FORWARD)))
        backward = self._backward(m, pins.clear | (ended & (phase == Phase.CONVERT_BACKWARD)))
        width = raw_bits(self.spec)
        codes = Signal(self.lanes * width)
        with m.Switch(pins.phase):
            with m.Case(Phase.CONVERT_FORWARD):
                m.d.comb += codes.eq(self._group(forward, group))
            with m.Case(Phase.CONVERT_BACKWARD):
                m.d.comb += codes.eq(self._group(backward, group))
            with m.Case(Phase.CONVERT_READ):
                m.d.comb += codes.eq(Cat(_extended(weight, width) for _ in range(self.lanes)))
        m.d.sync += self.convert_codes.eq(Mux(self.loopback, codes, 0))
        return m

    def _groups(self, lines: int) -> int:
        return groups(self.spec, lines)

    def _group(self, codes: list[Value], group: Signal) -> Value:
        """The codes of a group, lane 0 lowest; 0 beyond the last."""
        width = raw_bits(self.spec)
        words = [_extended(code, width) for code in codes]
        words += [Const(0, width)] * (-len(words) % self.lanes)
        chunks = [words[start : start + self.lanes] for start in range(0, len(words), self.lanes)]
        return Array(Cat(*chunk) for chunk in chunks)[group]

    def _forward(self, m: Module, converted: Value) -> list[Value]:
        """Cycles of each row in FORWARD phases; a code a column."""
        spec, pins = self.spec, self.pins
        counts = pins.request & (pins.phase == Phase.FORWARD)
        cycles = self._cycles(m, "row", pins.row_pulse, counts, converted, spec.row_code.bits)
        codes = [count[forward_shift(spec) :] for count in cycles]
        return [codes[column % spec.rows] for column in range(spec.columns)]

    def _backward(self, m: Module, converted: Value) -> list[Value]:
        """Cycles of each column in BACKWARD phases, and its sign; a code a row."""
        spec, pins = self.spec, self.pins
        counts = pins.request & (pins.phase == Phase.BACKWARD)
        cycles = self._cycles(
            m, "column", pins.column_pulse, counts, converted, spec.column_code.bits
        )
        negative = Signal(spec.columns)
        with m.If(counts):
            m.d.sync += negative.eq(pins.column_sign)
        magnitudes = [count[backward_shift(spec) :] for count in cycles]
        codes = [
            Mux(negative[column], -magnitude, magnitude)
            for column, magnitude in enumerate(magnitudes)
        ]
        return [codes[row % spec.columns] for row in range(spec.rows)]

    def _cycles(
        self, m: Module, side: str, lines: Value, counts: Value, clear: Value, bits: int
    ) -> list[Signal]:
        """A counter a line, with a bit more than the longest pulse has: none passes its end."""
        cycles = [Signal(bits + 1, name=f"{side}_{line}_cycles") for line in range(len(lines))]
        high = Signal(len(lines))
        m.d.comb += high.eq(lines & counts.replicate(len(lines)))
        with m.If(clear):
            m.d.sync += [count.eq(0) for count in cycles]
        with m.Else():
            m.d.sync += [count.eq(count + high[line]) for line, count in enumerate(cycles)]
        return cycles

    def _weight(self, m: Module, working: Signal, converted: Value) -> Value:
        """The weight of the row that was driven by the last READ."""
        spec, pins = self.spec, self.pins
        code = spec.weight_code
        lower_bits = code.bits + 2
        lowers = [Signal(signed(lower_bits), name=f"row_{row}_lower") for row in range(spec.rows)]
        m.submodules.highers = highers = Memory(
            shape=signed(code.bits), depth=max(2, spec.rows), init=[]
        )
        write: WritePort = highers.write_port()
        read: ReadPort = highers.read_port()
        higher = Signal(signed(code.bits))
        driven, strobed = Signal(), Signal()

        step, minus = Signal(STEP_CODE_BITS), Signal()
        with m.If(pins.set_write & (pins.set_column == 0)):
            m.d.sync += [step.eq(pins.set_code), minus.eq(pins.set_minus)]

        # A strobe acts in its second cycle, once: its row has been read by then.
        m.d.sync += strobed.eq(working & pins.request)
        acts = working & pins.request & ~strobed
        selected = pins.column_select[0]
        height = step << spec.transfer.set_shift
        raised = Signal(signed(max(code.bits, len(height) + 1) + 1))
        m.d.comb += [
            higher.eq(read.data),
            read.addr.eq(pins.row_select),
            write.addr.eq(pins.row_select),
            raised.eq(Mux(minus, higher - height, higher + height)),
        ]
        with m.Switch(pins.phase):
            with m.Case(Phase.RESET):
                m.d.comb += write.en.eq(acts & selected)
            with m.Case(Phase.SET):
                m.d.comb += [write.en.eq(acts & selected), write.data.eq(saturate(raised, code))]

        # A row that moves, and one that is precharged, are never in one phase.
        updates = pins.request & (pins.phase == Phase.UPDATE) & pins.column_pulse[0]
        precharges = acts & (pins.phase == Phase.PRECHARGE)
        moved, emptied = Signal(spec.rows), Signal(spec.rows)
        change = Signal(signed(2))
        m.d.comb += [
            moved.eq(pins.row_pulse & updates.replicate(spec.rows)),
            emptied.eq(precharges << pins.row_select),
            change.eq(Mux(pins.column_sign[0], 1, -1)),
        ]
        for row, lower in enumerate(lowers):
            m.d.sync += lower.eq(Mux(emptied[row], 0, lower + Mux(moved[row], change, 0)))

        # The row is sought a cycle after its READ is asked for, long before it is converted.
        lower = Signal(signed(lower_bits))
        swapped = Signal(signed(lower_bits + 1))
        total = Signal(signed(lower_bits + 2))
        m.d.sync += lower.eq(Array(lowers)[pins.row_select])
        m.d.comb += swapped.eq(Mux(pins.lower_swap, -lower, lower))
        with m.Switch(pins.pair):
            with m.Case(PairCode.HIGHER):
                m.d.comb += total.eq(higher)
            with m.Case(PairCode.LOWER):
                m.d.comb += total.eq(swapped)
            with m.Default():
                m.d.comb += total.eq(higher + swapped)
        weight = Signal(signed(code.bits))
        reads = pins.request & (pins.phase == Phase.READ) & pins.row_pulse.any()
        with m.If(converted):
            m.d.sync += driven.eq(0)
        with m.Elif(reads):
            m.d.sync += [driven.eq(1), weight.eq(saturate(total, code))]
        return Mux(driven, weight, 0)


class MacroStubTop(Shell):
    """The stub with a tile's names for the pins between the two."""

    def __init__(self, spec: TileSpec) -> None:
        """Its own port is `loopback`."""
        stub = MacroStub(spec)
        names = flat("macro", stub, "pins") | {f"macro_{name}": (name,) for name in FROM_MACRO}
        super().__init__("stub", stub, names | {"loopback": ("loopback",)})


def _extended(value: Value, bits: int) -> Value:
    """Extended, by its sign if it has one, to `bits` or more."""
    return (value | Const(0, Shape(bits, value.shape().signed)))[:bits]
