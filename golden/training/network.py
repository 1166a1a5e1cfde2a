"""A network of tiles: one controller and one analog array a layer, and the digest of it all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from golden.analog.array import Array
from golden.analog.pcm import set_table
from golden.analog.random import Mechanism, philox
from golden.digital.controller import TileController
from golden.digital.learning_rate import threshold_scales
from golden.digital.softmax import exponential_table
from golden.training.config import Config, layer_specs
from spec.formats import nearest
from spec.lfsr import LFSR_MASK
from spec.parameter import as_fraction
from spec.tile import TileSpec

STATE_VERSION = 2


@dataclass
class Tile:
    """A layer: its specification, its control, its physics."""

    spec: TileSpec
    controller: TileController
    array: Array

    def state(self) -> dict[str, NDArray]:
        """Every array of the state, by name, as views: writing to them restores a state.

        Scalars are listed by `registers`.
        """
        pcm, control = self.array.pcm, self.controller
        journal = control.transfers.journal
        return {
            "g_plus": pcm.g_plus,
            "g_minus": pcm.g_minus,
            "nu_plus": pcm.nu_plus,
            "nu_minus": pcm.nu_minus,
            "pulses_plus": pcm.pulses_plus,
            "pulses_minus": pcm.pulses_minus,
            "higher": pcm.higher,
            "read_spread": pcm.read_spread,
            "set_ns": pcm.set_ns,
            "drift_ns": pcm.drift_ns,
            "program_ordinals": pcm.ordinals,
            "lower": self.array.capacitors.lower,
            "column_ordinals": self.array.columns.noise.ordinals,
            "row_ordinals": self.array.rows.noise.ordinals,
            "polarity": control.polarity.bits,
            "forward_offsets": control.forward_offsets,
            "backward_offsets": control.backward_offsets,
            "journal_codes": journal.codes,
            "set_table": control.set_table,
        }

    def registers(self) -> dict[str, int]:
        """Every scalar of the state, by name; of a chopper only where there is one."""
        control, counters = self.controller, self.controller.counters
        transfers = control.transfers
        chopper = {"chopper_lfsr": transfers.chopper.state} if transfers.chopper is not None else {}
        return {
            "clock_ns": self.array.clock_ns,
            "updates": self.array.updates,
            "row_lfsr": control.row_stream.state,
            "column_lfsr": control.column_stream.state,
            "row_scale": control.row_stream.scale,
            "column_scale": control.column_stream.scale,
            "forward_dither": control.forward_dither.count,
            "backward_dither": control.backward_dither.count,
            "journal_valid": int(transfers.journal.valid),
            "journal_row": transfers.journal.row,
            "journal_p_new": transfers.journal.p_new,
            "journal_kind": transfers.journal.kind.value,
            "next_row": transfers.next_row,
            "last_row": transfers.last_row,
            "rows_done": counters.rows,
            "attempts": counters.attempts,
            "not_programmed": counters.not_programmed,
            "not_trimmed": counters.not_trimmed,
            "saturated": counters.saturated,
            **chopper,
        }

    def restore_registers(self, values: dict[str, int]) -> None:
        """Write back what `registers` listed; a journal is restored with its row complete."""
        control, counters = self.controller, self.controller.counters
        self.array.clock_ns, self.array.updates = values["clock_ns"], values["updates"]
        control.row_stream.state = values["row_lfsr"]
        control.column_stream.state = values["column_lfsr"]
        control.row_stream.scale = values["row_scale"]
        control.column_stream.scale = values["column_scale"]
        control.forward_dither.count = values["forward_dither"]
        control.backward_dither.count = values["backward_dither"]
        transfers = control.transfers
        transfers.journal.valid = bool(values["journal_valid"])
        transfers.journal.row = values["journal_row"]
        transfers.journal.p_new = values["journal_p_new"]
        transfers.journal.kind = type(transfers.journal.kind)(values["journal_kind"])
        transfers.next_row, transfers.last_row = values["next_row"], values["last_row"]
        if transfers.chopper is not None:
            transfers.chopper.state = values["chopper_lfsr"]
        counters.rows, counters.attempts = values["rows_done"], values["attempts"]
        counters.not_programmed = values["not_programmed"]
        counters.not_trimmed, counters.saturated = values["not_trimmed"], values["saturated"]

    def restore(self, arrays: Mapping[str, NDArray], registers: dict[str, int]) -> None:
        """Write back what `state` and `registers` listed, and what is derived from it."""
        for name, array in self.state().items():
            np.copyto(array, arrays[name])
        self.restore_registers(registers)
        # The signs last driven, and the weights.
        self.array.signs[:] = 1 - 2 * self.controller.polarity.bits
        self.array.refresh_weights()


class Network:
    """All tiles of a run, from the input on."""

    def __init__(self, config: Config, layers: list[int], seed: int) -> None:
        """Draw the devices; weights are blank until `initial_weights` are loaded."""
        self.config, self.layers, self.seed = config, layers, seed
        specs = layer_specs(config, layers)
        self.tiles = [self._tile(index, spec) for index, spec in enumerate(specs)]
        output = specs[-1]
        self.softmax = exponential_table(output.forward_code, output.converters.forward_range_log2)
        self.example = 0

    def _tile(self, index: int, spec: TileSpec) -> Tile:
        array = Array(spec, self.config.devices, self.seed, index)
        bits = philox(self.seed, Mechanism.LFSR, index, np.arange(2), 0)
        states = [1 + int(b) % LFSR_MASK for b in bits]
        controller = TileController(
            spec,
            array,
            set_table(spec, self.config.devices),
            (states[0], states[1]),
            hidden=index < len(self.layers) - 2,
        )
        return Tile(spec, controller, array)

    @property
    def synapses(self) -> int:
        """Weights of the network, the bias rows included."""
        return sum(tile.spec.rows * tile.spec.columns for tile in self.tiles)

    def set_epoch(self, epoch: int) -> None:
        """Write the threshold scales of an epoch (from 0)."""
        training = self.config.training
        rate = as_fraction(training.learning_rate)
        rate *= as_fraction(training.learning_rate_decay) ** epoch
        for tile in self.tiles:
            scales = threshold_scales(tile.spec, self.config.step, rate)
            tile.controller.set_rates(*scales)

    def digest(self) -> str:
        """SHA-256 over a versioned little-endian listing of the whole state.

        A journal that is not valid has no codes: they are listed as zeros.
        """
        sha = hashlib.sha256(f"crosstile state {STATE_VERSION}\n".encode())
        sha.update(f"layers {self.layers} example {self.example}\n".encode())
        for index, tile in enumerate(self.tiles):
            for name, value in tile.registers().items():
                sha.update(f"{index} {name} {value}\n".encode())
            arrays, journal = tile.state(), tile.controller.transfers.journal
            if not journal.valid:
                arrays["journal_codes"] = np.zeros_like(journal.codes)
            for name, array in arrays.items():
                little = array.astype(array.dtype.newbyteorder("<"))
                sha.update(f"{index} {name} {little.dtype.str} {array.shape}\n".encode())
                sha.update(little.tobytes())
        sha.update(self.softmax.astype("<i8").tobytes())
        return sha.hexdigest()


def initial_weights(config: Config, layers: list[int], seed: int) -> list[NDArray[np.int64]]:
    """Weight codes (rows, columns) a layer: uniform, spread weight_scale / sqrt(inputs), bias 0."""
    weights = []
    for index, spec in enumerate(layer_specs(config, layers)):
        cells = np.arange((spec.rows - 1) * spec.columns)
        bits = philox(seed, Mechanism.WEIGHT, index, cells, 0)
        uniform = (bits >> np.uint64(40)).astype(np.int64) - (1 << 23)
        lsb = Fraction(2) ** (spec.converters.read_lsb_log2 + spec.weight_unit_log2)
        spread = as_fraction((3.0 / (spec.rows - 1)) ** 0.5)
        limit = nearest(as_fraction(config.training.weight_scale) * spread / lsb)
        limit = min(limit, spec.weight_code.high)
        codes = ((uniform * limit) + (1 << 22)) >> 23
        bias = np.zeros((1, spec.columns), np.int64)
        weights.append(np.concatenate([codes.reshape(spec.rows - 1, spec.columns), bias]))
    return weights
