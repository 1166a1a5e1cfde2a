"""The learning rate as threshold scales: integers, split over rows and columns."""

from __future__ import annotations

import math
from fractions import Fraction

from spec.errors import InputError
from spec.tile import TileSpec

SCALE_BITS = 16


def threshold_scales(spec: TileSpec, step: Fraction, rate: Fraction) -> tuple[int, int]:
    """(M_row, M_column) so that a mean update is rate * x * d in the network's weights.

    `step` is the nominal change of one coincidence, in weight units. A line of code c pulses in
    c/M of the slots, so slots * step * 2^(unit + row bits + column bits + gain) / (M_row M_column)
    must equal the rate. Both sides take the same share; with row skew the rows take all that their
    register holds, because the roundings of theirs cancel in a column and a column's own do not.

    Raises InputError where the rate is above what all slots can give, or too small for the
    registers.
    """
    gain = Fraction(2) ** (spec.column_gain_log2 + spec.weight_unit_log2)
    if rate <= 0:
        raise InputError("learning_rate: give a value above 0")
    attenuation = spec.update.slots * step * gain / rate
    if attenuation < 1:
        most = float(spec.update.slots * step * gain)
        raise InputError(
            f"learning_rate={float(rate):g}: slots x step allow at most {most:g}; "
            "lower it or raise slots, step or weight_units_log2"
        )
    scales = []
    row, column = spec.codes.pwm_bits, spec.codes.column_bits
    if spec.update.row_skew:
        scales.append(min(math.floor(attenuation * (1 << row)), (1 << SCALE_BITS) - 1))
        rest = attenuation * (1 << (row + column)) / scales[0]
        scales.append(max(1 << column, math.floor(rest + Fraction(1, 2))))
    else:
        for bits in (row, column):
            square = attenuation * (1 << (2 * bits))
            scales.append((math.isqrt(math.floor(4 * square)) + 1) // 2)
    if max(scales) >= 1 << SCALE_BITS:
        raise InputError(f"learning_rate={float(rate):g}: too small for {SCALE_BITS}-bit scales")
    return scales[0], scales[1]
