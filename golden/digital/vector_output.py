"""Packets of the output stream: a vector of results, raw, as row codes or as column codes.

RAW: two bytes a code, signed, little-endian. ROW_CODES: FORWARD's codes through the neuron, a byte
each. COLUMN_CODES: BACKWARD's codes with the gain of the tile above, a byte each, as VectorInput
takes them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from golden.digital import neuron, vector_input
from spec.commands import Destination, VectorFormat
from spec.segments import Segments
from spec.tile import TileSpec

IntArray = NDArray[np.int64]


def encoded(
    spec: TileSpec,
    codes: IntArray,
    vector_format: VectorFormat,
    backward_shift: int,
    segments: Segments | None = None,
) -> bytes:
    """The packet of a vector of codes. `backward_shift` as of `neuron.column_shift`.

    `segments` is what the neurons' table holds, if it is not what it holds at first.
    """
    if vector_format is VectorFormat.ROW_CODES:
        if segments is None:
            rows = neuron.activate(codes, spec.forward_code, spec.row_code)
        else:
            rows = neuron.activate_segments(codes, spec.forward_code, spec.row_code, segments)
        return vector_input.encoded(Destination.ROWS, rows)
    if vector_format is VectorFormat.COLUMN_CODES:
        columns = neuron.saturated_shift(codes, backward_shift, spec.column_code.high)
        return vector_input.encoded(Destination.COLUMNS, columns)
    return codes.astype(vector_input.WORD).tobytes()


def decoded(packet: bytes, vector_format: VectorFormat) -> IntArray:
    """What a host reads: signed codes, row codes, or signed column codes."""
    if vector_format is VectorFormat.RAW:
        return np.frombuffer(packet, vector_input.WORD).astype(np.int64)
    values = np.frombuffer(packet, np.uint8).astype(np.int64)
    if vector_format is VectorFormat.ROW_CODES:
        return values
    return vector_input.signed(values)
