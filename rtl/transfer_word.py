"""What the sequencer remembers of a column, and how wide each part of it is."""

from __future__ import annotations

from amaranth.hdl import Shape, signed
from amaranth.lib import data

from spec.tile import TileSpec


class ColumnWord:
    """A column's working state; each width follows from what the spec lets a value be.

    Two words, because the first stage needs the one and the second stage the other.
    """

    def __init__(self, spec: TileSpec) -> None:
        transfer = spec.transfer
        self.code = spec.weight_code.bits
        self.magnitude = max(1, transfer.c_max.bit_length())
        largest = (1 << self.code) - 1
        self.size = self.code
        """The absolute value of a residual: of two codes' difference."""
        self.difference = (largest + transfer.offset).bit_length() + 1
        self.product = max(1, ((largest * transfer.trim_gain) >> transfer.trim_shift).bit_length())
        # A product shifted right by its own width is 0, whatever is shifted on.
        self.most_damping = min(transfer.trim_limit, self.product)
        self.pulses = spec.update.slots.bit_length()

    def first(self) -> data.UnionLayout:
        """What a code is subtracted from, or what pulses are made of: one thing at a time.

        `target` is W_pcm, a negative one as the complement of its magnitude.
        """
        return data.UnionLayout(
            {
                "target": signed(self.magnitude + 1),
                "size": self.size,
                "lower_before": signed(self.code),
            }
        )

    def second(self) -> data.StructLayout:
        """Whether the column is worked; c, or how a trim goes, `positive` its residual's sign."""
        damping = Shape.cast(range(self.most_damping + 1))
        trim = data.StructLayout({"damping": damping, "positive": 1})
        parts = data.UnionLayout({"magnitude": self.magnitude, "trim": trim})
        return data.StructLayout({"of": parts, "on": 1})
