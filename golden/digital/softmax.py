"""The output error, target - softmax, in integers over a table. Runs on the host; has no twin."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

from spec.formats import Signed, SignMagnitude

TABLE_BITS = 16


def exponential_table(code: Signed, range_log2: int) -> NDArray[np.int64]:
    """2^16 exp(-k LSB) for k = 0..2^bits-1, where LSB is that of the FORWARD code."""
    with localcontext() as context:
        context.prec = 30
        lsb = Decimal(2) ** (range_log2 - (code.bits - 1))
        ratio, value, scale = (-lsb).exp(), Decimal(1), Decimal(1 << TABLE_BITS)
        entries = []
        for _ in range(1 << code.bits):
            entries.append(int((value * scale).to_integral_value()))
            value *= ratio
    return np.array(entries, np.int64)


def output_error(
    codes: NDArray[np.int64], label: int, table: NDArray[np.int64], column_code: SignMagnitude
) -> NDArray[np.int64]:
    """Column codes d = target - output of signed FORWARD codes (classes,).

    Codes sum to zero exactly: the target's is minus the sum of the others. Left to rounding, a
    common drift drives the outputs into saturation.
    """
    # In Python's own integers: classes are few, and NumPy would spend its time on calls.
    weights: list[int] = table[np.maximum.reduce(codes) - codes].tolist()
    total, full = sum(weights), column_code.high
    error = [-((2 * full * weight + total) // (2 * total)) for weight in weights]
    error[label] = 0
    excess = -sum(error) - full
    if excess > 0:
        # Rounding up several outputs asked for more than full scale: the largest gives way.
        error[error.index(min(error))] += excess
    error[label] = -sum(error)
    return np.array(error, np.int64)
