"""The schedule of transfers: a burst of all rows at the end of an interval, or spread over it."""

from __future__ import annotations

from spec.tile import TransferSpec


def rows_due(transfer: TransferSpec, rows: int, example: int) -> range:
    """Rows that a tile of `rows` transfers after training example number `example` (from 1)."""
    interval = transfer.transfer_interval
    if interval == 0:
        return range(0)
    m = (example - 1) % interval
    if transfer.transfer_mode == "burst":
        return range(rows) if m == interval - 1 else range(0)
    return range(m * rows // interval, (m + 1) * rows // interval)


def next_due(transfer: TransferSpec, rows: int, example: int) -> int:
    """The first example number after `example` at which any row is due; a far one if none."""
    interval = transfer.transfer_interval
    if interval == 0:
        return 1 << 62
    m = example % interval
    start = example - m
    if transfer.transfer_mode == "burst":
        return start + interval
    # The least m' >= m with floor((m' + 1) R / I) > floor(m' R / I).
    done = m * rows // interval
    return start + -(-(done + 1) * interval // rows)
