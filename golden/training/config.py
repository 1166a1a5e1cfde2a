"""One tree of all parameters of a run, the cells as named settings of it, and `--set`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from golden.analog.parameters import DeviceParameters, max_nominal_step
from golden.analog.pcm import MU_0, MU_G
from spec.errors import InputError
from spec.formats import nearest
from spec.parameter import as_fraction, check_fields, leaves, override, parameter
from spec.tile import TileSpec

BY_LAYER = {"column_gain_log2": "column_gains_log2", "weight_unit_log2": "weight_units_log2"}
"""What a tile has one of -> the list of a run."""

_OFF = {
    "step_spread": "0",
    "up_down_mismatch": "0",
    "slope": "0",
    "reference_mismatch": "0",
    "leak_tau_ns": "0",
    "programming_noise": "0",
    "drift": "false",
    "pcm_read_noise": "0",
    "reset_spread": "0",
    "read_noise": "0",
    "channel_offset": "0",
}

CELLS: dict[str, dict[str, str]] = {
    "pcm-3t1c": {},
    "pcm-only": {
        "direct_update": "true",
        "pcm_model": "set_pulse",
        "polarity_inversion": "false",
        "transfer_interval": "100",
        "trim_limit": "0",
        # A SET pulse moves 0.5 to 1.8 of a device's 20 uS [derived from Nandakumar 2018]: only a
        # small gain makes its step small enough to learn anything.
        "significance_gain": "0.125",
    },
    "3t1c-only": {"transfer_interval": "0", "program_pcm": "false", "trim_limit": "32"},
    "ideal": _OFF,
    "float": {},
}
"""Cell name -> settings. `ideal` is the same cell with every imperfection off."""


@dataclass(frozen=True)
class TrainingParameters:
    """How a network is trained."""

    learning_rate: float = parameter(
        0.01, "rate of the first epoch", tag="assumed", low=1e-9, high=1e3
    )
    learning_rate_decay: float = parameter(
        0.95, "factor on the rate after each epoch", tag="assumed", low=0.01, high=1
    )
    weight_scale: float = parameter(
        1.0, "spread of initial weights times the root of the inputs", tag="assumed", low=0, high=4
    )
    output_range_log2: int = parameter(
        4, "log2 of FORWARD full scale of the output layer", tag="assumed", low=-3, high=8
    )
    column_gains_log2: str = parameter(
        "0,0,1", "log2 gains of column codes from the output layer back; the last repeats",
        tag="assumed",
    )  # fmt: skip
    weight_units_log2: str = parameter(
        "0",
        "log2 of the network's weight that a tile's weight unit stands for, from the output layer "
        "back; the last repeats",
        tag="assumed",
    )
    activation: str = parameter(
        "clipped_relu",
        "hidden neurons of the float cell",
        tag="design",
        choices=("clipped_relu", "relu", "tanh", "sigmoid"),
    )

    def __post_init__(self) -> None:
        """Check every field."""
        check_fields(self)
        for name in BY_LAYER.values():
            self.by_layer(name, 0)

    def by_layer(self, name: str, from_output: int) -> int:
        """A layer's number of a list that goes from the output layer back; the last repeats."""
        text = getattr(self, name)
        try:
            numbers = [int(number) for number in text.split(",")]
        except ValueError:
            raise InputError(f"{name}={text}: give whole numbers like 0,0,1") from None
        return numbers[min(from_output, len(numbers) - 1)]


@dataclass(frozen=True)
class EvaluationParameters:
    """When and how the trained network is evaluated last; see `golden.training.retention`."""

    age_s: float = parameter(
        0, "the last evaluation is of a copy, so long after a last transfer; 0: of the network",
        unit="s", tag="design", low=0, high=1e10,
    )  # fmt: skip
    rescale: bool = parameter(
        False, "multiply an aged tile's outputs by what its weights have lost in sum", tag="found",
        source="global drift compensation, Joshi et al. 2020",
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check every field."""
        check_fields(self)


@dataclass(frozen=True)
class Config:
    """Every parameter that `--set` reaches. `tile` is the template of all layers' tiles."""

    tile: TileSpec = field(default_factory=TileSpec)
    devices: DeviceParameters = field(default_factory=DeviceParameters)
    training: TrainingParameters = field(default_factory=TrainingParameters)
    evaluation: EvaluationParameters = field(default_factory=EvaluationParameters)

    def __post_init__(self) -> None:
        """Check what the tile and its devices ask of each other."""
        step, slots = self.devices.capacitor.step, self.tile.update.slots
        most = max_nominal_step(slots)
        if step > most:
            raise InputError(
                f"step={step:g}: with {slots} slots give at most {most:g}, or lower slots"
            )

    @property
    def step(self) -> Fraction:
        """Nominal weight of one coincidence: what the learning rate is reckoned in."""
        pcm = self.devices.pcm
        if pcm.direct_update:
            # A SET pulse at 5 uS, the middle of the useful range [assumed].
            pulse_uS = MU_0 + 5 * MU_G
            return as_fraction(pcm.significance_gain) * pulse_uS / as_fraction(pcm.pcm_range_uS)
        return as_fraction(self.devices.capacitor.step)

    def warnings(self) -> list[str]:
        """What is legal but harms accuracy, a line each that says what to change."""
        capacitor, transfer, timing = self.devices.capacitor, self.tile.transfer, self.tile.timing
        found = []
        # In a burst or staggered, a row is an interval old when its turn comes.
        age_ns = transfer.transfer_interval * timing.example_ns
        if 0 < as_fraction(capacitor.leak_tau_ns) < age_ns and not self.devices.pcm.direct_update:
            found.append(
                f"leak_tau_ns={capacitor.leak_tau_ns:g}: a row leaks for {age_ns} ns before its "
                f"transfer; lower transfer_interval or set leak_compensation"
            )
        lsb = Fraction(2) ** self.tile.converters.read_lsb_log2
        if lsb > 2 * as_fraction(capacitor.bound) / 100:
            found.append(
                f"read_bits={self.tile.converters.read_bits}: READ's LSB of {float(lsb):g} is over "
                "1 % of the lower pair's range; raise read_bits or lower read_range_log2"
            )
        return found

    def resolved(self) -> Config:
        """The same with derived values filled in (c_max, trim_gain), and checked again."""
        transfer, converters = self.tile.transfer, self.tile.converters
        lsb = Fraction(2) ** converters.read_lsb_log2
        changes = {}
        if not transfer.c_max:
            reach = int(as_fraction(self.devices.pcm.significance_gain) / lsb)
            changes["c_max"] = max(1, min(reach, self.tile.weight_code.high))
        if not transfer.trim_gain:
            step = as_fraction(self.devices.capacitor.step)
            gain = nearest(Fraction(3, 4) * lsb / step * (1 << transfer.trim_shift))
            changes["trim_gain"] = max(1, min(gain, (1 << 16) - 1))
        tile = dataclasses.replace(self.tile, transfer=dataclasses.replace(transfer, **changes))
        return dataclasses.replace(self, tile=tile)


def configure(cell: str, settings: dict[str, str], base: Config | None = None) -> Config:
    """The resolved configuration of a cell with `settings` (name -> text) on top.

    Raises InputError: unknown cell, unknown or ambiguous name, value out of range.
    """
    if cell not in CELLS:
        raise InputError(f"--cell {cell}: choose one of {', '.join(CELLS)}")
    known = leaves(Config())
    config = base or Config()
    for name in settings:
        if name in ("rows", "columns", "tile.rows", "tile.columns"):
            raise InputError(f"--set {name}: sizes follow from --hidden and the data set")
        last = name.rsplit(".", 1)[-1]
        if last in BY_LAYER:
            raise InputError(f"--set {name}: give {BY_LAYER[last]}, a number a layer")
    preset = {key: text for key, text in CELLS[cell].items() if key not in settings}
    assert all(any(p == k or p.endswith("." + k) for p in known) for k in preset)
    return override(config, preset | settings).resolved()


def layer_specs(config: Config, layers: list[int]) -> list[TileSpec]:
    """One tile a layer: n inputs are n + 1 rows. Raises InputError on illegal sizes."""
    if len(layers) < 2 or min(layers) < 1:
        raise InputError(f"layers {layers}: give at least an input and an output, all above 0")
    specs = []
    for index, (inputs, outputs) in enumerate(pairwise(layers)):
        from_output = len(layers) - 2 - index
        converters = config.tile.converters
        if from_output == 0:
            converters = dataclasses.replace(
                converters, forward_range_log2=config.training.output_range_log2
            )
        spec = dataclasses.replace(
            config.tile,
            rows=inputs + 1,
            columns=outputs,
            column_gain_log2=config.training.by_layer("column_gains_log2", from_output),
            weight_unit_log2=config.training.by_layer("weight_units_log2", from_output),
            converters=converters,
        )
        specs.append(spec)
    return specs
