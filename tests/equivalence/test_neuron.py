"""rtl/neuron.py against golden/digital/neuron.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.digital import neuron
from rtl.neuron import Activation, ColumnGain
from spec.formats import Signed, Unsigned
from spec.tile import CodeSpec, ConverterSpec, TileSpec
from tests.equivalence.bench import through

few = settings(max_examples=15, deadline=None)


def rtl_activation(codes: list[int], code: Signed, row_code: Unsigned, seed: int):
    found = through(Activation(code, row_code), codes, seed)
    return [(int(f.code), bool(f.slope)) for f in found]


def golden_activation(codes: list[int], code: Signed, row_code: Unsigned):
    values = np.array(codes)
    rows, slopes = neuron.activate(values, code, row_code), neuron.derivative(values, code)
    return [(int(r), bool(s)) for r, s in zip(rows, slopes, strict=True)]


def codes_of(bits: int):
    return st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


@few
@given(st.data(), st.integers(4, 14), st.integers(2, 8), st.integers(0, 99))
def test_activation(data, bits: int, row_bits: int, seed: int) -> None:
    edges = [-(1 << (bits - 1)), -1, 0, 1, (1 << (bits - 1)) - 2, (1 << (bits - 1)) - 1]
    codes = edges + data.draw(st.lists(codes_of(bits), max_size=30))
    case = codes, Signed(bits), Unsigned(row_bits)
    assert rtl_activation(*case, seed) == golden_activation(*case)


def tiles(backward_bits: int, range_log2: int, column_bits: int, gain: int):
    converters = replace(
        ConverterSpec(), backward_bits=backward_bits, backward_range_log2=range_log2
    )
    downstream = TileSpec(rows=3, columns=2, converters=converters)
    codes = replace(CodeSpec(), column_bits=column_bits)
    return TileSpec(rows=3, columns=2, codes=codes, column_gain_log2=gain), downstream


def rtl_column_codes(errors: list[int], slopes: list[int], spec: TileSpec, downstream: TileSpec):
    shift = neuron.column_shift(spec, downstream)
    block = ColumnGain(downstream.backward_code, shift, spec.column_code)
    items = [{"code": e, "slope": s} for e, s in zip(errors, slopes, strict=True)]
    found = through(block, items, 7)
    assert not any(f.negative and not f.magnitude for f in found), "zero has one code"
    return [int(-f.magnitude if f.negative else f.magnitude) for f in found]


def golden_column_codes(errors: list[int], slopes: list[int], spec: TileSpec, downstream: TileSpec):
    codes = neuron.column_codes(np.array(errors), spec, downstream)
    return np.where(slopes, codes, 0).tolist()


@few
@given(
    st.data(), st.integers(4, 14), st.integers(-6, 4), st.integers(2, 7), st.integers(-4, 4)
)  # fmt: skip
def test_column_gain(data, bits: int, range_log2: int, column_bits: int, gain: int) -> None:
    edges = [-(1 << (bits - 1)), -4, -3, -2, -1, 0, 1, 2, 3, 4, (1 << (bits - 1)) - 1]
    errors = edges + data.draw(st.lists(codes_of(bits), max_size=30))
    slopes = data.draw(st.lists(st.integers(0, 1), min_size=len(errors), max_size=len(errors)))
    case = errors, slopes, *tiles(bits, range_log2, column_bits, gain)
    assert rtl_column_codes(*case) == golden_column_codes(*case)
