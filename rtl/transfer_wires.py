"""What the parts of the transfer sequencer say to one another."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Signal

from rtl.phase import row_bits
from spec.commands import PairCode
from spec.tile import TileSpec


@dataclass
class Wires:
    """One wire or register each; of those that a state drives, all are 0 in the others."""

    asking: Signal
    """The state wants its phase, of the sequencer's `phase.payload`."""
    over: Signal
    failed: Signal
    reading: Signal
    """The state wants a READ of `pair`, or with `zero` the READs' zero."""
    zero: Signal
    pair: Signal
    read_over: Signal
    passing: Signal
    """The state wants a pass over the groups, or with `serial` over the columns."""
    serial: Signal
    loaded: Signal
    """That pass is over, and what it wrote stands in the drivers."""
    row: Signal
    attempt: Signal
    trains: Signal

    @classmethod
    def of(cls, spec: TileSpec) -> Wires:
        """As wide as the spec lets them be."""
        return cls(
            asking=Signal(),
            over=Signal(),
            failed=Signal(),
            reading=Signal(),
            zero=Signal(),
            pair=Signal(PairCode),
            read_over=Signal(),
            passing=Signal(),
            serial=Signal(),
            loaded=Signal(),
            row=Signal(row_bits(spec)),
            attempt=Signal(range(spec.transfer.prog_limit + 1)),
            trains=Signal(range(spec.transfer.trim_limit + 1)),
        )
