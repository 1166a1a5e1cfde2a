"""Program-and-verify: what is to be programmed, in a column and by the row.

c starts at W_pcm and gives the step code; after the verifying READ a column is done if its
difference is within prog_tol, else c moves by it, with W_pcm's sign and 1 <= abs(c) <= c_max.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Value

from rtl.formats import exceeds
from rtl.transfer_ports import State, TransferPorts
from rtl.transfer_steps import Steps
from rtl.transfer_word import ColumnWord
from spec.commands import PairCode, Phase, RangeKind
from spec.tile import TileSpec


class Program:
    """Its states of the sequencer, and its part of a column's stages."""

    def __init__(self, spec: TileSpec, word: ColumnWord, ports: TransferPorts) -> None:
        self.transfer, self.word, self.ports = spec.transfer, word, ports
        # Without it there is nothing to SET: all of a weight stays with the capacitors.
        self.does = spec.transfer.program_pcm and spec.transfer.c_max > 0

    def states(self, m: Module, steps: Steps) -> None:
        """ERASE, and SET and VERIFY until no column is on or the attempts are used up."""
        ports, wires = self.ports, steps.wires
        with steps.state(State.ERASE):

            def after_erase() -> None:
                with m.If(ports.journal.kind == RangeKind.INIT):
                    m.next = State.COMMIT.name
                if self.does:
                    with m.Elif(wires.unfinished):
                        m.next = State.SET.name
                with m.Else():
                    m.next = State.TRIM_READ.name

            steps.load_and_ask(Phase.RESET, after_erase)

        if not self.does:
            return
        with steps.state(State.SET):
            m.d.comb += wires.serial.eq(1)

            def after_set() -> None:
                m.d.comb += ports.attempt.eq(1)
                m.d.sync += wires.attempts.eq(wires.attempts + 1)
                m.next = State.VERIFY.name

            steps.load_and_ask(Phase.SET, after_set)

        with steps.state(State.VERIFY):

            def after_verify() -> None:
                at_limit = wires.attempts == self.transfer.prog_limit
                with m.If(~wires.unfinished | at_limit):
                    m.d.comb += ports.not_programmed.eq(wires.unfinished)
                    m.next = State.TRIM_READ.name
                with m.Else():
                    m.next = State.ERASE.name

            steps.read(PairCode.HIGHER, after_verify)

    def is_close(self, difference: Value, minus: Value) -> Value:
        """The READ that verifies found the target, within prog_tol; of a complement if `minus`."""
        tolerance, negative = self.transfer.prog_tol, difference[-1]
        # The complement of what is negative is one less than its absolute value; and a complement
        # that it was taken to was one less than the target.
        size = difference[:-1] ^ negative.replicate(len(difference) - 1)
        one_more = negative ^ minus
        return ~Mux(one_more, exceeds(size, tolerance - 1), exceeds(size, tolerance))

    def is_small(self, size: Value, negative: Value, nothing: Value) -> Value:
        """W_pcm is left to the trim: it is 0, or of p_new's sign and smaller than the offset."""
        offset = self.transfer.offset
        # What is limited to less than the offset is smaller, whatever it was.
        below = ~exceeds(size, offset - 1) if offset <= self.transfer.c_max else Const(1, 1)
        return nothing | ((negative == self.ports.journal.p_new) & below) | int(not self.does)

    def limited(self, moved: Value, negative: Value, nothing: Value) -> tuple[Value, Value]:
        """W_pcm of a difference; c, of which the device keeps at least one code."""
        c_max, bits = self.transfer.c_max, self.word.magnitude
        beyond = ~moved[-1] & exceeds(moved[:-1], c_max)
        magnitude = Mux(beyond, c_max, moved)[:bits]
        target = Cat(magnitude ^ negative.replicate(bits), negative)
        return target, Mux(moved[-1] | nothing, 1, magnitude)
