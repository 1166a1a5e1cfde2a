"""Converter codes, polarity phases, neurons, softmax, learning rate: exact integers."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.digital import converter, neuron
from golden.digital.learning_rate import SCALE_BITS, threshold_scales
from golden.digital.polarity import PolarityBank
from golden.digital.softmax import exponential_table, output_error
from golden.words import numbers_of, words_of
from spec.boundary import Polarity
from spec.errors import InputError
from spec.formats import Signed, SignMagnitude, Unsigned
from spec.parameter import override
from spec.tile import TileSpec

fixed = settings(derandomize=True, deadline=None, max_examples=150)
CODE = Signed(9)


# -- converter ---------------------------------------------------------------------------------


def test_saturate_stops_at_the_rails() -> None:
    values = np.array([-1000, -256, 0, 255, 256])
    assert converter.saturate(values, CODE).tolist() == [-256, -256, 0, 255, 255]


def test_without_fraction_bits_a_code_is_the_raw_code_minus_the_offset() -> None:
    raw, offsets = np.array([-255, -250, 0, 250, 254]), np.array([3, 10, -4, 1, -3])
    assert converter.corrected(raw, offsets, 0, 0, CODE).tolist() == [-256, -256, 4, 249, 255]


def test_a_raw_code_at_a_rail_stays_there_whatever_its_offset() -> None:
    raw, offsets = np.array([-256, -256, 255, 255]), np.array([-300, 300, 300, -300])
    assert converter.corrected(raw, offsets, 6, 5, CODE).tolist() == raw.tolist()


@fixed
@given(st.integers(-200, 200), st.integers(-500, 500), st.integers(0, 6))
def test_over_all_dithers_a_channel_has_no_offset_left(raw: int, offset: int, bits: int) -> None:
    dithers = range(1 << bits)
    codes = [
        converter.corrected(np.array([raw]), np.array([offset]), bits, d, Signed(16))
        for d in dithers
    ]
    mean = Fraction(sum(int(code[0]) for code in codes), 1 << bits)
    assert mean == raw - Fraction(offset, 1 << bits)


@pytest.mark.parametrize("bits", [0, 1, 4, 6])
def test_the_dither_takes_every_value_once_a_round_far_apart(bits: int) -> None:
    dither = converter.Dither(bits)
    values = [dither.next() for _ in range(2 << bits)]
    assert values[: 1 << bits] == values[1 << bits :]
    assert sorted(values[: 1 << bits]) == list(range(1 << bits))
    if bits > 1:
        assert values[:4] == [k << (bits - 2) for k in (0, 2, 1, 3)]


def test_a_raw_code_at_either_rail_counts_as_saturated() -> None:
    assert converter.at_rail(np.array([-256, -255, 0, 254, 255, 255]), CODE) == 3


def test_auto_zero_adds_up_so_that_offsets_keep_their_fraction() -> None:
    raw = np.array([[1, -2, 3], [2, -2, 3], [2, -3, 3], [2, -2, 4]])
    assert converter.auto_zero(raw).tolist() == [7, -9, 13]


@fixed
@given(
    driven=st.lists(st.integers(-2048, 2047), min_size=4, max_size=4),
    undriven=st.lists(st.integers(-2048, 2047), min_size=4, max_size=4),
)
def test_a_read_is_the_mean_minus_that_without_drive_saturated_last(
    driven: list[int], undriven: list[int]
) -> None:
    code = Signed(12)
    expected = min(max(round(Fraction(sum(driven) - sum(undriven), 4)), code.low), code.high)
    found = converter.read_code(np.array(driven)[:, None], np.array([sum(undriven)]), 2, code)
    assert found.tolist() == [expected]


# -- polarity ----------------------------------------------------------------------------------


def test_a_bit_is_lower_swap() -> None:
    assert (int(Polarity.NORMAL), int(Polarity.INVERTED)) == (0, 1)


@fixed
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 255)), min_size=1, max_size=12))
def test_phases_drive_each_row_once_under_its_own_bit(lines: list[tuple[int, int]]) -> None:
    bank = PolarityBank(len(lines))
    for row, (bit, _) in enumerate(lines):
        bank.flip_to(row, bit)
    driven = words_of([value for _, value in lines], 32)
    phases = bank.phases(driven)
    live = sorted({bit for bit, _ in lines})
    assert [int(polarity) for polarity, _ in phases] == live
    for polarity, words in phases:
        assert words.dtype == np.uint32
        assert numbers_of(words) == [value if bit == polarity else 0 for bit, value in lines]


def test_a_flip_may_be_repeated() -> None:
    bank = PolarityBank(3)
    bank.flip_to(1, 1)
    bank.flip_to(1, 1)
    assert bank.bits.tolist() == [0, 1, 0]


# -- neuron ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("forward_bits", "pwm_bits"), [(9, 8), (10, 8), (8, 8), (5, 4), (12, 6)])
def test_activate_is_the_clipped_relu_of_every_code(forward_bits: int, pwm_bits: int) -> None:
    code, row = Signed(forward_bits), Unsigned(pwm_bits)
    codes = np.arange(code.low, code.high + 1)
    scale = Fraction(2) ** (pwm_bits - (forward_bits - 1))
    expected = [min(round(max(int(c), 0) * scale), row.high) for c in codes]
    assert neuron.activate(codes, code, row).tolist() == expected
    mask = [0 < c < code.high for c in codes]
    assert neuron.derivative(codes, code).tolist() == mask


@pytest.mark.parametrize("gain", [-4, -1, 0, 1, 4])
def test_column_codes_are_the_errors_scaled_rounded_once_and_limited(gain: int) -> None:
    spec = override(TileSpec(), {"column_gain_log2": str(gain)})
    downstream = override(TileSpec(), {"backward_range_log2": "0"})
    errors = np.arange(-256, 256)
    scale = Fraction(2) ** (gain + 7 - 8)
    expected = [min(max(round(int(e) * scale), -127), 127) for e in errors]
    assert neuron.column_codes(errors, spec, downstream).tolist() == expected


@pytest.mark.parametrize(("range_log2", "bits"), [(-6, 9), (0, 4), (4, 14)])
def test_column_codes_know_the_range_of_the_codes_they_come_from(
    range_log2: int, bits: int
) -> None:
    names = {"backward_range_log2": str(range_log2), "backward_bits": str(bits)}
    downstream = override(TileSpec(), names)
    code = downstream.backward_code
    errors = np.arange(code.low, code.high + 1)
    scale = Fraction(2) ** (range_log2 - (bits - 1) + 7)
    expected = [min(max(round(int(e) * scale), -127), 127) for e in errors]
    assert neuron.column_codes(errors, TileSpec(), downstream).tolist() == expected


# -- softmax -----------------------------------------------------------------------------------


@pytest.mark.parametrize("range_log2", [-3, 0, 4])
def test_the_exponential_table(range_log2: int) -> None:
    table = exponential_table(CODE, range_log2)
    expected = [65536 * math.exp(-k * 2.0 ** (range_log2 - 8)) for k in range(512)]
    assert len(table) == 512
    assert table[0] == 65536
    assert np.abs(table - expected).max() < 0.5 + 1e-6


@fixed
@given(
    codes=st.lists(st.integers(CODE.low, CODE.high), min_size=2, max_size=100),
    data=st.data(),
    range_log2=st.integers(-3, 4),
)
def test_the_output_error_sums_to_zero_and_is_the_float_softmax(
    codes: list[int], data: st.DataObject, range_log2: int
) -> None:
    label = data.draw(st.integers(0, len(codes) - 1))
    table = exponential_table(CODE, range_log2)
    error = output_error(np.array(codes), label, table, SignMagnitude(7))
    assert error.sum() == 0
    assert error[label] >= 0
    assert np.delete(error, label).max() <= 0
    assert np.abs(error).max() <= 127
    z = np.array(codes) * 2.0 ** (range_log2 - 8)
    softmax = np.exp(z - z.max())
    wanted = 127 * (np.eye(len(codes))[label] - softmax / softmax.sum())
    away = np.abs(error - wanted)
    others = [k for k in range(len(codes)) if k != label]
    # The target's code carries the roundings of all others; where those would exceed full scale,
    # the largest of the others gives way.
    slack = 1 + 0.5 * len(others)
    largest = others[int(np.argmin(wanted[others]))]
    rest = [k for k in others if k != largest]
    assert away[label] <= slack
    if error[label] < 127:
        assert max(away[k] for k in others) <= 1, (codes, label)
    else:
        assert max((away[k] for k in rest), default=0) <= slack


def test_a_certain_and_right_output_has_no_error_and_a_wrong_one_the_largest() -> None:
    table = exponential_table(CODE, 4)
    codes = np.array([255, -256, -256])
    assert output_error(codes, 0, table, SignMagnitude(7)).tolist() == [0, 0, 0]
    assert output_error(codes, 1, table, SignMagnitude(7)).tolist() == [-127, 127, 0]


# -- learning rate -----------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [-2, 0, 1])
@pytest.mark.parametrize("rate", ["0.03", "0.01", "0.001", "0.0001"])
@pytest.mark.parametrize("slots", [8, 32])
@pytest.mark.parametrize("unit", [-2, 0])
def test_the_product_of_the_scales_gives_the_rate_asked(
    gain: int, rate: str, slots: int, unit: int
) -> None:
    names = {"column_gain_log2": gain, "slots": slots, "weight_unit_log2": unit}
    spec = override(TileSpec(), {name: str(value) for name, value in names.items()})
    step, asked = Fraction(1, 1000), Fraction(rate)
    most = slots * step * Fraction(2) ** (gain + unit)
    if asked > most:
        with pytest.raises(InputError, match=r"or weight_units_log2$"):
            threshold_scales(spec, step, asked)
        return
    row, column = threshold_scales(spec, step, asked)
    assert row >= 256
    assert column >= 128
    given = most * (1 << 15) / (row * column)
    # Each scale is within half of its root.
    assert abs(given / asked - 1) <= Fraction(1, 2 * row) + Fraction(1, 2 * column) + Fraction(
        1, 4 * row * column
    )


@pytest.mark.parametrize("rate", ["0.03", "0.002", "0.0001", "0.00001"])
def test_skewed_rows_take_all_of_the_rate_that_their_register_holds(rate: str) -> None:
    spec = override(TileSpec(), {"row_skew": "true"})
    step = Fraction(1, 1000)
    row, column = threshold_scales(spec, step, Fraction(rate))
    full = (1 << SCALE_BITS) - 1
    assert row == full or column in (128, 129)
    given = 32 * step * (1 << 15) / (row * column)
    assert abs(given / Fraction(rate) - 1) <= Fraction(1, 2 * column)


def test_the_largest_rate_is_unit_scale_exactly() -> None:
    assert threshold_scales(TileSpec(), Fraction(1, 1000), Fraction(32, 1000)) == (256, 128)


def test_rates_that_no_register_holds_are_refused_in_one_line() -> None:
    step = Fraction(1, 1000)
    with pytest.raises(InputError, match=r"^learning_rate: give a value above 0$"):
        threshold_scales(TileSpec(), step, Fraction(0))
    with pytest.raises(
        InputError, match=r"^learning_rate=0\.033: slots x step allow at most 0\.032; lower it"
    ):
        threshold_scales(TileSpec(), step, Fraction("0.033"))
    with pytest.raises(InputError, match=rf"too small for {SCALE_BITS}-bit scales$"):
        threshold_scales(TileSpec(), step, Fraction(1, 10**9))


def test_every_legal_width_pair_splits_the_rate_in_the_ratio_of_the_unit_scales() -> None:
    for pwm, column in product((4, 6, 8), (3, 5, 7)):
        spec = override(TileSpec(), {"pwm_bits": str(pwm), "column_bits": str(column)})
        scales = threshold_scales(spec, Fraction(1, 100), Fraction(32, 400))
        assert scales == (2 << pwm, 2 << column)
