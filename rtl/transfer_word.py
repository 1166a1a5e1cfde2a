"""What the sequencer remembers of a column, and how wide each part of it is."""

from __future__ import annotations

from amaranth.hdl import Shape, signed
from amaranth.lib import data

from spec.tile import TileSpec


class ColumnWord:
    """A column's working state; each width follows from what the spec lets a value be."""

    def __init__(self, spec: TileSpec) -> None:
        transfer = spec.transfer
        self.code = spec.weight_code.bits
        self.magnitude = max(1, transfer.c_max.bit_length())
        self.residual = self.code + 1
        largest = 1 << self.code
        self.difference = (largest + transfer.offset).bit_length() + 1
        self.product = max(1, ((largest * transfer.trim_gain) >> transfer.trim_shift).bit_length())
        # A product shifted right by its own width is 0, whatever is shifted on.
        self.most_damping = min(transfer.trim_limit, self.product)
        self.pulses = spec.update.slots.bit_length()

    def layout(self) -> data.UnionLayout:
        """What is remembered of a column: one thing at a time."""
        program = {"target": signed(self.magnitude + 1), "magnitude": self.magnitude, "on": 1}
        trim = {
            "residual": signed(self.residual),
            "damping": Shape.cast(range(self.most_damping + 1)),
            "on": 1,
        }
        return data.UnionLayout(
            {
                "program": data.StructLayout(program),
                "trim": data.StructLayout(trim),
                "lower_before": signed(self.code),
            }
        )
