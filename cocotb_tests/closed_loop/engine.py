"""The engine whose tiles are simulated Verilog, and the state read back from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocotb_tests.closed_loop.lockstep import ArrayPair, Difference, Lockstep, Mismatch, compare
from cocotb_tests.closed_loop.simulated import SimulatedTile
from golden.analog.array import Array
from golden.engines.numpy_engine import NumpyEngine
from golden.training.network import Network, Tile
from spec.registers import WindowCode
from spec.tile import TileSpec

SCALARS = {
    "row_lfsr": ("ROW_LFSR", "STATE"),
    "column_lfsr": ("COLUMN_LFSR", "STATE"),
    "row_scale": ("ROW_SCALE", "SCALE"),
    "column_scale": ("COLUMN_SCALE", "SCALE"),
    "forward_dither": ("DITHER", "FORWARD"),
    "backward_dither": ("DITHER", "BACKWARD"),
    "journal_valid": ("JOURNAL", "VALID"),
    "journal_row": ("JOURNAL", "ROW"),
    "journal_p_new": ("JOURNAL", "P_NEW"),
    "journal_kind": ("JOURNAL", "KIND"),
    "next_row": ("RANGE", "NEXT_ROW"),
    "last_row": ("RANGE", "LAST_ROW"),
    "rows_done": ("ROWS_DONE", "COUNT"),
    "attempts": ("ATTEMPTS", "COUNT"),
    "not_programmed": ("NOT_PROGRAMMED", "COUNT"),
    "not_trimmed": ("NOT_TRIMMED", "COUNT"),
    "saturated": ("SATURATED", "COUNT"),
}
"""`Tile.registers` -> the register and the field that has it."""
MEMORIES = {
    "polarity": WindowCode.POLARITY,
    "forward_offsets": WindowCode.FORWARD_OFFSETS,
    "backward_offsets": WindowCode.BACKWARD_OFFSETS,
    "set_table": WindowCode.SET_TABLE,
}
"""`Tile.state` -> the window that has it."""


class ClosedLoopEngine(NumpyEngine):
    """Trains `network`, whose arrays the Verilog drives, beside a golden network in lockstep.

    The control of the network's own tiles only holds what was last read from the Verilog:
    `synchronise` reads it, so that the network's digest is the Verilog's.
    """

    name = "verilog"

    def __init__(
        self, network: Network, simulated: Callable[[int, TileSpec, Array], SimulatedTile]
    ) -> None:
        """`simulated` makes a tile of the bench for an array of `network`."""
        super().__init__(network)
        self.golden = Network(network.config, network.layers, network.seed)
        self.simulated = [
            simulated(index, tile.spec, tile.array) for index, tile in enumerate(network.tiles)
        ]
        self.tiles = [self._driven(index) for index in range(len(network.tiles))]
        self._interval = network.config.tile.transfer.transfer_interval

    def _driven(self, index: int) -> Tile:
        held, beside, tile = (
            self.network.tiles[index], self.golden.tiles[index], self.simulated[index],
        )  # fmt: skip
        control = beside.controller
        states = control.row_stream.state, control.column_stream.state
        tile.bring_up(control.set_table.tolist(), states, control.hidden)
        lockstep = Lockstep(index, control, beside.array, tile)
        arrays = ArrayPair(beside.array, held.array)
        return Tile(held.spec, lockstep, arrays)  # type: ignore[arg-type]

    def train(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        """Train on examples in order; at the end of each interval both states are compared."""
        for tile, held in zip(self.tiles, self.network.tiles, strict=True):
            streams = held.controller.row_stream, held.controller.column_stream
            tile.controller.set_rates(streams[0].scale, streams[1].scale)
        super().train(images, labels)

    def align_clocks(self) -> None:
        """After a burst every tile waits for the slowest; both states are compared."""
        super().align_clocks()
        self.synchronise()

    def synchronise(self) -> None:
        """Read the Verilog's state into the network. Raises Mismatch where it is not golden's."""
        self.golden.example = self.network.example
        for index, (held, beside) in enumerate(
            zip(self.network.tiles, self.golden.tiles, strict=True)
        ):
            self._read(index, held)
            found = self._difference(held, beside)
            if found is not None:
                operation = f"the state after example {self.network.example}"
                cycle = self.simulated[index].cycle
                raise Mismatch(Difference(index, operation, cycle=cycle, **found))

    def _read(self, index: int, held: Tile) -> None:
        tile, state = self.simulated[index], held.state()
        names = sorted({register for register, _ in SCALARS.values()})
        words = tile.registers(names)
        values = {name: words[register][field] for name, (register, field) in SCALARS.items()}
        values |= {"clock_ns": held.array.clock_ns, "updates": held.array.updates}
        chopper = self.golden.tiles[index].controller.transfers.chopper
        if chopper is not None:
            # No register shows it: what it drew, the polarities, is what is compared.
            values["chopper_lfsr"] = chopper.state
        held.restore_registers(values)
        for name, code in MEMORIES.items():
            state[name][:] = tile.window(code, len(state[name]))
        if values["journal_valid"]:
            codes = tile.window(WindowCode.JOURNAL_CODES, held.spec.columns)
            state["journal_codes"][:] = codes

    @staticmethod
    def _difference(held: Tile, beside: Tile) -> dict[str, Any] | None:
        registers = held.registers()
        for name, value in beside.registers().items():
            if found := compare(value, registers[name], name):
                return {"what": name, **found}
        state = held.state()
        for name, array in beside.state().items():
            if name == "journal_codes" and not registers["journal_valid"]:
                continue
            if (array != state[name]).any():
                place = np.argwhere(array != state[name])[0]
                lines = dict(zip(("row", "column")[: len(place)], map(int, place), strict=True))
                values = array[tuple(place)].item(), state[name][tuple(place)].item()
                return {"what": name, **lines, "expected": values[0], "got": values[1]}
        return None

    @property
    def operations(self) -> int:
        """Commands worked by all tiles."""
        return sum(tile.operations for tile in self.simulated)

    @property
    def cycles(self) -> int:
        """Cycles of all tiles' clocks."""
        return sum(tile.cycle for tile in self.simulated)
