"""An array macro behind the pins of a simulated tile, a cycle at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

ANSWERS = ("ready", "convert_valid", "convert_codes")
"""The tile's inputs from its macro."""

Cycle = Callable[[dict[str, int]], Sequence[int]]


class Pins:
    """What the pins `names` of a tile's macro show: `seen`, by name.

    A pin is read when it changes only, because a read is what costs time. Make it once, in reset.
    """

    def __init__(self, dut: Any, names: Sequence[str]) -> None:
        """`dut` has the pins under the names of its ports, macro_request and so on."""
        self.dut = dut
        self.seen: dict[str, int] = {}
        for name in names:
            pin = getattr(dut, f"macro_{name}")
            self.seen[name] = int(pin.value)
            cocotb.start_soon(self._follow(name, pin))

    async def _follow(self, name: str, pin: Any) -> None:
        changes = pin.value_change
        while True:
            await changes
            self.seen[name] = int(pin.value)

    async def answer(self, cycle: Cycle) -> None:
        """Each clock, give what the pins show to `cycle`, and its `ANSWERS` to the tile."""
        edge = RisingEdge(self.dut.aclk)
        inputs = [getattr(self.dut, f"macro_{name}") for name in ANSWERS]
        shown: Sequence[int | None] = [None] * len(inputs)
        while True:
            await edge
            answers = cycle(self.seen)
            for pin, before, value in zip(inputs, shown, answers, strict=True):
                if value != before:
                    pin.value = value
            shown = answers
