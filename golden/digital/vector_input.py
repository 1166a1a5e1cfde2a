"""Packets of the input stream: row codes, column codes and weights, checked.

ROWS: rows - 1 row codes, a byte each. COLUMNS: `columns` column codes, a byte each: bit 7 is the
sign, the low column_bits the magnitude, the bits between are 0. WEIGHTS: `columns` weights, two
bytes each, signed, little-endian.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from golden.digital import converter
from golden.digital.axi_stream import Beat, packet_bytes
from spec.commands import Destination, Error
from spec.tile import TileSpec

IntArray = NDArray[np.int64]

SIGN = 0x80
"""The sign's bit in the byte of a column code."""

WORD = np.dtype("<i2")
"""Weights, and raw codes, on the streams."""


def packet_length(spec: TileSpec, destination: int) -> int | None:
    """Bytes of a packet of that destination; None where this tile takes none."""
    lengths: dict[int, int | None] = {
        Destination.ROWS: spec.rows - 1 or None,
        Destination.COLUMNS: spec.columns,
        Destination.WEIGHTS: WORD.itemsize * spec.columns,
    }
    return lengths.get(destination)


def encoded(destination: Destination, codes: NDArray[np.integer]) -> bytes:
    """The packet of row codes, signed column codes or weights, as a host sends it."""
    if destination is Destination.WEIGHTS:
        return codes.astype(WORD).tobytes()
    if destination is Destination.COLUMNS:
        codes = np.where(codes < 0, SIGN | -codes, codes)
    return codes.astype(np.uint8).tobytes()


def signed(values: IntArray) -> IntArray:
    """Bytes of column codes as signed codes; a zero with a sign is zero."""
    return np.where(values & SIGN, -(values ^ SIGN), values)


def decoded(spec: TileSpec, destination: int, packet: bytes | None) -> tuple[Error, IntArray]:
    """The codes of a packet, or the error and no codes. None is a packet with bytes left out.

    Weights are limited to spec.weight_code.
    """
    error, codes = Error.NONE, np.zeros(0, np.int64)
    length = packet_length(spec, destination)
    if length is None:
        error = Error.BAD_DESTINATION
    elif packet is None:
        error = Error.BAD_VALUE
    elif len(packet) != length:
        error = Error.SHORT_VECTOR if len(packet) < length else Error.LONG_VECTOR
    elif destination == Destination.WEIGHTS:
        weights = np.frombuffer(packet, WORD).astype(np.int64)
        codes = converter.saturate(weights, spec.weight_code)
    else:
        values = np.frombuffer(packet, np.uint8).astype(np.int64)
        rows = destination == Destination.ROWS
        codes = values if rows else signed(values)
        if np.abs(codes).max() > (spec.row_code if rows else spec.column_code).high:
            error, codes = Error.BAD_VALUE, codes[:0]
    return error, codes


def received(spec: TileSpec, beats: Sequence[Beat]) -> tuple[Error, IntArray]:
    """`decoded` of a packet of beats, whose destination is its first beat's.

    A packet that changes it on the way is of BAD_DESTINATION.
    """
    destination = beats[0].destination
    if any(beat.destination != destination for beat in beats):
        return Error.BAD_DESTINATION, np.zeros(0, np.int64)
    return decoded(spec, destination, packet_bytes(beats))
