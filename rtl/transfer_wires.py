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
    unfinished: Signal
    """A column is still worked, by the last READ that counts them."""
    row: Signal
    attempts: Signal
    """SETs of this row that have been verified, or are to be now."""
    trains: Signal
    """Trains of pulses that this row has had."""

    @classmethod
    def of(cls, spec: TileSpec) -> Wires:
        """As wide as the spec lets them be."""
        return cls(
            asking=Signal(name="asking"),
            over=Signal(name="over"),
            failed=Signal(name="failed"),
            reading=Signal(name="reading"),
            zero=Signal(name="zero"),
            pair=Signal(PairCode, name="pair"),
            read_over=Signal(name="read_over"),
            passing=Signal(name="passing"),
            serial=Signal(name="serial"),
            loaded=Signal(name="loaded"),
            unfinished=Signal(name="some_unfinished"),
            row=Signal(row_bits(spec), name="row"),
            attempts=Signal(range(spec.transfer.prog_limit + 1), name="attempts"),
            trains=Signal(range(spec.transfer.trim_limit + 1), name="trains"),
        )
