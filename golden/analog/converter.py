"""Converters: integrated charge to raw codes, with channel offset, noise, one rounding, rails.

The charge is exact: an integer of (fine unit x cycle). Full scales are powers of two, so that a
conversion is a shift.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from golden.analog.parameters import GRID_BITS, DeviceParameters
from golden.analog.random import (
    BELL_SHIFT,
    Form,
    Mechanism,
    NoiseLines,
    bell,
    bell_scale,
    philox,
    scaled,
)
from spec.formats import Signed
from spec.parameter import as_fraction
from spec.tile import TileSpec

IntArray = NDArray[np.int64]
OFFSET_BITS = 8
_BELL = np.array(2.0**-BELL_SHIFT)


class Range:
    """One range of a side's converters: format, shift of the LSB, noise scale."""

    def __init__(self, code: Signed, shift: int, devices: DeviceParameters) -> None:
        """`shift`: log2 of the LSB in charge units."""
        self.code, self.shift = code, shift
        # Arrays without dimensions: the form of a constant that costs NumPy least a call.
        self.per_charge = np.array(2.0**-shift)
        self.low, self.high = np.array(float(code.low)), np.array(float(code.high))
        self.noise_scale = bell_scale(as_fraction(devices.converter.read_noise) * (1 << shift))


def ranges(spec: TileSpec, devices: DeviceParameters) -> tuple[Range, Range, Range]:
    """(FORWARD, BACKWARD, READ)."""
    c = spec.converters

    def lsb(full_scale_log2: int, bits: int, drive_bits: int) -> int:
        return GRID_BITS + drive_bits + full_scale_log2 - (bits - 1)

    # FORWARD's and BACKWARD's ranges are the network's; READ's is the array's.
    unit = spec.weight_unit_log2
    forward = lsb(c.forward_range_log2 - unit, c.forward_bits, spec.codes.pwm_bits)
    backward = lsb(c.backward_range_log2 - unit, c.backward_bits, spec.codes.column_bits)
    read = lsb(c.read_range_log2, c.read_bits, 0)
    return (
        Range(spec.forward_code, forward, devices),
        Range(spec.backward_code, backward, devices),
        Range(spec.weight_code, read, devices),
    )


class Converters:
    """One side's channels: offsets (channels,) in 2^-8 LSB, fixed; noise ordinals, state."""

    def __init__(self, devices: DeviceParameters, side: str, channels: int, seed: int, tile: int):
        """`side` is "row" or "column"; offsets are drawn from the seed."""
        column = side == "column"
        offset = Mechanism.COLUMN_OFFSET if column else Mechanism.ROW_OFFSET
        draws = bell(philox(seed, offset, tile, np.arange(channels), 0))
        sigma = as_fraction(devices.converter.channel_offset) * (1 << OFFSET_BITS)
        self.offsets = scaled(draws, bell_scale(sigma))
        self._half_charges: dict[Range, NDArray[np.float64]] = {}
        self._levels: dict[Range, Form] = {}
        noise = Mechanism.COLUMN_NOISE if column else Mechanism.ROW_NOISE
        self.noise = NoiseLines(seed, noise, tile, channels)

    def convert(
        self,
        charge: NDArray,
        to: Range,
        active: NDArray[np.bool_] | None = None,
        spread: IntArray | None = None,
        repeats: int = 1,
    ) -> NDArray[np.signedinteger]:
        """Raw codes (repeats, channels) of charges (channels,); inactive channels give 0.

        `spread` (channels,): bell scale of converter and driven cells together (`joint_spread`),
        in place of the converter's own: noise is drawn once per result.
        """
        if active is not None and np.count_nonzero(active) == len(active):
            active = None
        # In float64, where every step is exact (integers below 2^53 and powers of two) and rint
        # is the one rounding, ties to even. A spread stays below 2^31 and a READ's charge below
        # 2^36, so that the sum with a bell of 18 bits, in 2^-16, is exact too; the converter's own
        # noise may not be and is scaled in integers.
        if to not in self._levels:
            self._prepare(to)
        if spread is None:
            total = self.noise.draw(active, repeats, self._levels[to]) + charge * to.per_charge
        else:
            # floor(noise + 1/2) + charge, in one: the charge is whole.
            total = self.noise.draw(active, repeats) * (spread * _BELL)
            total += charge + self._half_charges[to]
            np.floor(total, out=total)
            total *= to.per_charge
        np.rint(total, out=total)
        np.maximum(total, to.low, out=total)
        np.minimum(total, to.high, out=total)
        # Many at once are summed up next: half the bytes. A single vector is used as it is.
        raw = total.astype(np.int64 if repeats == 1 else np.int32)
        if active is not None:
            raw *= active
        return raw

    def _prepare(self, to: Range) -> None:
        """Find the offsets as charges, and what noise and offsets make together, in LSB."""
        offsets = offset_charge(self.offsets, to.shift)
        self._half_charges[to] = offsets.astype(np.float64) + 0.5

        def level(bells: IntArray) -> NDArray[np.float64]:
            charges = scaled(bells, to.noise_scale)
            charges += offsets
            return np.multiply(charges, to.per_charge)

        self._levels[to] = level


def offset_charge(offsets: IntArray, shift: int) -> IntArray:
    """Channel offsets (channels,) of 2^-8 LSB in charge units."""
    return (offsets << shift) >> OFFSET_BITS


def joint_spread(converter: int, cells: IntArray) -> IntArray:
    """Scale of two independent noises as one draw: root of the sum of squares, rounded down.

    The same on every platform: the sum stays below 2^63, and IEEE prescribes how it is rounded to
    a float and how its root is (so above 2^53 "down" is to within one).
    """
    return np.sqrt((cells * cells + converter * converter).astype(np.float64)).astype(np.int64)
