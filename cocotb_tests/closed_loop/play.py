"""A recorded run played at simulated tiles: orders from its file, events held against it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from cocotb_tests.closed_loop.lockstep import Mismatch
from cocotb_tests.closed_loop.simulated import SimulatedTile
from cocotb_tests.closed_loop.trace import Order, Reader
from spec.tile import TileSpec


class RecordedArray:
    """In place of an array: each event gives what it gave when it was recorded."""

    def __init__(self) -> None:
        """Nothing is to come."""
        self.results: deque[Any] = deque()

    def __getattr__(self, event: str) -> Callable[..., Any]:
        return lambda **_: self.results.popleft()


class PlayedTile(SimulatedTile):
    """A tile that is asked what a file says."""

    def __init__(self, dut: Any, index: int, spec: TileSpec) -> None:
        """Tile number `index` of the bench."""
        self.recorded = RecordedArray()
        super().__init__(dut, index, spec, self.recorded)  # type: ignore[arg-type]

    async def play(self, order: Order) -> None:
        """Work one order. Raises Mismatch where anything is not as recorded."""
        self._operation = order.operation
        self.operations += order.waits
        self.recorded.results = deque(event.result for event in order.events)
        words, result = await self._work(
            order.writes, order.reads, order.packet, order.waits, order.expects, order.events,
            order.limit,
        )  # fmt: skip
        if self._missing:
            raise self._mismatch("event", expected=self._missing, got=None)
        for address, right, word in zip(order.reads, order.right_values or (), words, strict=False):
            if word != right:
                raise self._mismatch(f"a read of {self._named(address)}", expected=right, got=word)
        right = order.right_result
        if right is not None and result != right:
            raise self._mismatch(**_difference(right, result))

    def _named(self, address: int) -> str:
        names = [name for name, register in self._table.items() if register.offset == address]
        return names[0] if names else f"address {address:#x}"


def _difference(right: bytes, got: bytes) -> dict[str, Any]:
    if len(right) != len(got):
        return {"what": "the length of the result", "expected": len(right), "got": len(got)}
    place = next(n for n, (a, b) in enumerate(zip(right, got, strict=True)) if a != b)
    return {"what": f"byte {place} of the result", "expected": right[place], "got": got[place]}


async def play(
    dut: Any,
    trace: Reader,
    report: Callable[[Callable[[], dict[str, Any]]], None],
    on_order: Callable[[Order], None],
) -> dict[str, Any]:
    """Play a whole trace; what came of it.

    `on_order` is called before each order, `report` after it, with what tells how far it is.
    """
    tiles = [PlayedTile(dut, index, spec) for index, spec in enumerate(trace.specs)]
    found: dict[str, Any] = {"mismatch": None, "orders": 0, "events": 0}

    def facts() -> dict[str, Any]:
        operations = sum(tile.operations for tile in tiles)
        return found | {"operations": operations, "cycles": sum(tile.cycle for tile in tiles)}

    try:
        for order in trace.orders():
            on_order(order)
            await tiles[order.tile].play(order)
            found["orders"] += 1
            found["events"] += len(order.events)
            report(facts)
    except Mismatch as mismatch:
        found["mismatch"] = mismatch.difference.plain() | {"order": found["orders"]}
    return facts()
