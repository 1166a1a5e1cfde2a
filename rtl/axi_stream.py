"""An AXI4-Stream port of the tile: its pins, and a beat as one payload."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from spec.commands import Destination

DESTINATION_BITS = max(Destination).bit_length()


class AxiStream(wiring.PureInterface):
    """The pins, as seen by whoever sends."""

    tdata: Signal
    tkeep: Signal
    tlast: Signal
    tdest: Signal
    tvalid: Signal
    tready: Signal


class AxiStreamSignature(wiring.Signature):
    """`Out` for a port that sends, `In` for one that receives: only `tready` runs the other way."""

    def __init__(self, axis_bytes: int) -> None:
        """A beat has `axis_bytes` bytes, the first one lowest."""
        self.axis_bytes = axis_bytes
        super().__init__(
            {
                "tdata": Out(8 * axis_bytes),
                "tkeep": Out(axis_bytes),
                "tlast": Out(1),
                "tdest": Out(DESTINATION_BITS),
                "tvalid": Out(1),
                "tready": In(1),
            }
        )

    def create(self, *, path: Any = None, src_loc_at: int = 0) -> AxiStream:
        """A port's signals."""
        return AxiStream(self, path=path, src_loc_at=1 + src_loc_at)


def beat_layout(axis_bytes: int) -> data.StructLayout:
    """All that a beat carries: the payload of a stream within the tile."""
    return data.StructLayout(
        {
            "data": 8 * axis_bytes,
            "keep": axis_bytes,
            "last": 1,
            "destination": DESTINATION_BITS,
        }
    )
