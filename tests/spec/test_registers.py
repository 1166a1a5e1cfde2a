"""The table of registers: what it refuses, and that it fits every tile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spec.presets import PRESETS
from spec.registers import Access, Field, Register, WindowCode, check, registers, windows
from spec.tile import ConverterSpec, HostSpec, NeuronSpec, TileSpec

READ_WRITE = Access.CONFIGURATION


def field(name: str = "A", low: int = 0, width: int = 4, **more) -> Field:
    return Field(name, low, width, more.pop("access", READ_WRITE), "a field", **more)


def register(*fields: Field, name: str = "WORD", offset: int = 0) -> Register:
    return Register(name, offset, "A word.", fields or (field(),))


EXTREMES = [
    TileSpec(rows=1, columns=1),
    TileSpec(rows=2048, columns=2048, host=HostSpec(axis_bytes=64)),
    TileSpec(
        converters=replace(
            ConverterSpec(), forward_bits=14, backward_bits=14, read_bits=15, calibration_log2=8
        )
    ),
    TileSpec(converters=replace(ConverterSpec(), calibration_log2=0, lanes=64)),
    TileSpec(neurons=NeuronSpec(segments_log2=4)),
]


@pytest.mark.parametrize("spec", [*PRESETS.values(), *EXTREMES])
def test_every_tile_has_the_same_map(spec: TileSpec) -> None:
    default = registers(TileSpec())
    found = registers(spec)
    assert [(r.name, r.offset) for r in found] == [(r.name, r.offset) for r in default]
    for one, other in zip(found, default, strict=True):
        assert [(f.name, f.low, f.access) for f in one.fields] == [
            (f.name, f.low, f.access) for f in other.fields
        ]
    codes = [window.code for window in windows(spec)]
    assert codes == list(WindowCode)[: len(codes)]
    without = WindowCode.SEGMENT_BASES
    assert len(codes) == (len(WindowCode) if spec.neurons.segments_log2 else without)
    table = {register.name: register for register in found}
    assert table["WINDOW"].field("SELECT").highest == codes[-1]
    assert table["FEATURES"].field("SEGMENTS_LOG2").reset == spec.neurons.segments_log2


def test_the_table_says_what_the_tile_is() -> None:
    spec = replace(PRESETS["paper"], rows=7, columns=2048)
    words = {r.name: r.unpack(r.reset) for r in registers(spec)}
    assert words["SIZE"] == {"ROWS": 7, "COLUMNS": 2048}
    assert words["WIDTHS"] == {
        "PWM_BITS": 8, "COLUMN_BITS": 7, "FORWARD_BITS": 9, "BACKWARD_BITS": 9, "READ_BITS": 12,
        "SLOTS_LOG2": 5, "STREAM_MODE": 1,
    }  # fmt: skip
    assert words["FEATURES"] == {
        "CALIBRATION_LOG2": 6, "READ_AVERAGE_LOG2": 3, "LANES_LOG2": 3, "AXIS_BYTES_LOG2": 3,
        "SET_TABLE_ENTRIES": 129, "SEGMENTS_LOG2": 0, "POLARITY_INVERSION": 1, "PROGRAM_PCM": 1,
    }  # fmt: skip
    lengths = [window.length for window in windows(spec)]
    assert lengths == [7, 2048, 2048, 7, 129, 2048]


def test_a_word_is_packed_and_unpacked() -> None:
    word = register(field("A", 0, 4), field("B", 8, 6, signed=True), field("C", 31, 1))
    values = {"A": 15, "B": -32, "C": 1}
    assert word.pack(**values) == 0x8000_200F
    assert word.unpack(0x8000_200F) == values
    assert word.unpack(0x0000_1FF0) == {"A": 0, "B": 31, "C": 0}
    for bad in ({"A": 16}, {"A": -1}, {"B": 32}, {"B": -33}):
        with pytest.raises(ValueError, match="to"):
            word.pack(**bad)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: field("a"), "capitals"),
        (lambda: field(low=29), "outside of the word"),
        (lambda: field(width=0), "outside of the word"),
        (lambda: field(minimum=-1), "don't hold"),
        (lambda: field(maximum=16), "don't hold"),
        (lambda: field(reset=3, minimum=4), "not a legal value"),
        (lambda: register(name="word"), "capitals"),
        (lambda: register(offset=2), "no word's"),
        (lambda: register(offset=1 << 12), "no word's"),
        (lambda: Register("WORD", 0, "A word.", ()), "no field"),
        (lambda: register(field("A", 0, 4), field("B", 3, 1)), "overlaps"),
        (lambda: register(field("A", 0, 4), field("A", 8, 4)), "two fields"),
        (lambda: register(field(), field("B", 8, access=Access.STATUS)), "partly"),
        (lambda: check((register(), register(name="OTHER"))), "rise"),
        (lambda: check((register(offset=4), register(name="OTHER"))), "rise"),
        (lambda: check((register(), register(offset=4))), "one name"),
    ],
)
def test_a_table_that_can_not_be_is_refused(make, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
