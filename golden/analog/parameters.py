"""What the devices are like. Every value with unit, tag and source; every mechanism has an off.

One weight unit is the range of the capacitor; `pcm_range_uS` of one device is one unit before the
significance gain.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from spec.errors import InputError
from spec.parameter import as_fraction, check_fields, parameter

GRID_BITS = 20
GRID = 1 << GRID_BITS
"""Fine units in a weight unit: every analog state is an integer of them."""

USUAL_SLOTS = 32
"""Slots of an UPDATE up to which neither a step's limit nor an UPDATE's draws depend on them."""

NOMINAL_STEP = 0.0156
"""Weight units: the largest mean step of a coincidence, with up to USUAL_SLOTS."""


def max_nominal_step(slots: int) -> float:
    """Weight units of the mean step at most."""
    return NOMINAL_STEP * USUAL_SLOTS / max(USUAL_SLOTS, slots)


def max_step(slots: int) -> int:
    """Fine units of any step at most: slots x step x slope factor (2069 of 2^10) is below 2^31."""
    return 32_000 * USUAL_SLOTS // max(USUAL_SLOTS, slots)


@dataclass(frozen=True)
class PcmParameters:
    """The higher-significance pair."""

    pcm_model: str = parameter(
        "programmed_state",
        "statistics of a programming event",
        tag="found",
        source="programmed_state: ICECS 2019; set_pulse: Nandakumar 2018",
        choices=("programmed_state", "set_pulse"),
    )
    significance_gain: float = parameter(
        1.0, "F in W = F(G+ - G-) + p(g - g_ref)", tag="assumed", low=0.125, high=64
    )
    pcm_range_uS: float = parameter(
        20.0,
        "conductance range used of a device; one weight unit",
        unit="uS",
        tag="found",
        source="physics: below 20 uS",
        low=1,
        high=100,
    )
    programming_noise: float = parameter(
        1.0, "scale on the model's programming spread; 0: off", tag="design", low=0, high=10
    )
    drift: bool = parameter(
        True, "drift: g (1 + age/t0)^-nu, age since programming", tag="found", source="ICECS 2019"
    )
    drift_t0_s: float = parameter(
        20.0, "start of the drift clock", unit="s", tag="found", source="ICECS 2019",
        low=1e-9, high=1e6,
    )  # fmt: skip
    pcm_read_noise: float = parameter(
        1.0, "scale on the model's read noise in a READ; 0: off", tag="design", low=0, high=10
    )
    reset_uS: float = parameter(
        0.1, "conductance after RESET", unit="uS", tag="found", source="Nandakumar 2018",
        low=0, high=5,
    )  # fmt: skip
    reset_spread: float = parameter(
        0.1, "relative spread of RESET", tag="found", source="Nandakumar 2018", low=0, high=0.28
    )
    stuck_fraction: float = parameter(
        0.0, "share of PCM devices that do not switch", tag="assumed", low=0, high=1
    )
    stuck_on_share: float = parameter(
        0.5, "share of these that are on, at the end of their range; the others are dead, at 0",
        tag="assumed", low=0, high=1,
    )  # fmt: skip
    read_time_ns: float = parameter(
        1000.0, "age at which programmed_state's read noise is taken", unit="ns", tag="assumed",
        low=300, high=1e18,
    )  # fmt: skip
    direct_update: bool = parameter(
        False, "UPDATE pulses SET the pair itself (the pcm-only cell)", tag="design"
    )
    refresh_level: float = parameter(
        0.4,
        "pcm-only: a row is refreshed that has a pair with a device above this share of the range, "
        "the other above a quarter of it",
        tag="assumed",
        low=0.05,
        high=1,
    )


@dataclass(frozen=True)
class CapacitorParameters:
    """The lower-significance conductance and its reference."""

    step: float = parameter(
        0.001, "mean change of one coincidence; slots x step is at most 0.4992",
        unit="weight", tag="assumed", low=1e-5, high=NOMINAL_STEP,
    )  # fmt: skip
    step_spread: float = parameter(
        0.10, "relative device-to-device spread of the step", tag="assumed", low=0, high=0.6
    )
    up_down_mismatch: float = parameter(
        0.10,
        "spread of beta: a step is step (1 + beta) up, step (1 - beta) down",
        tag="assumed",
        source="defined as up_down_dtod in aihwkit",
        low=0,
        high=0.5,
    )
    slope: float = parameter(
        0.05, "relative loss of step from the centre to a bound", tag="found",
        source="aihwkit CapacitorPreset, after Li et al. VLSI 2018", low=0, high=1,
    )  # fmt: skip
    bound: float = parameter(
        1.0, "range of g around its start", unit="weight", tag="assumed", low=0.05, high=1.0
    )
    cycle_to_cycle: float = parameter(
        0.0, "relative spread of each single step; 0: off", tag="assumed", low=0, high=1
    )
    leak_tau_ns: float = parameter(
        5e7, "time constant of the capacitor's leak; 0: no leak", unit="ns", tag="assumed", low=0,
        high=1e18,
    )  # fmt: skip
    reference: str = parameter(
        "tracking",
        "g_ref leaks with its row, or is fixed",
        tag="assumed",
        choices=("tracking", "fixed"),
    )
    reference_mismatch: float = parameter(
        0.02, "spread of (g - g_ref) at V0: read-FET thresholds", unit="weight", tag="assumed",
        low=0, high=0.2,
    )  # fmt: skip
    start_V: float = parameter(
        0.5, "precharge voltage V0", unit="V", tag="found", source="Ambrogio 2018", low=0, high=2
    )
    leak_target_V: float = parameter(
        0.8, "voltage a capacitor leaks towards", unit="V", tag="found", source="Ambrogio 2018",
        low=0, high=2,
    )  # fmt: skip
    volt_per_weight: float = parameter(
        0.3, "gate voltage for one weight unit of g", unit="V", tag="assumed", low=0.01, high=10
    )


@dataclass(frozen=True)
class ConverterParameters:
    """Converter imperfections, in LSB of whichever range converts."""

    read_noise: float = parameter(
        0.5, "noise of each conversion", unit="LSB", tag="assumed", low=0, high=16
    )
    channel_offset: float = parameter(
        2.0, "spread of the channels' offsets, auto-zeroed", unit="LSB", tag="assumed", low=0,
        high=16,
    )  # fmt: skip


@dataclass(frozen=True)
class DeviceParameters:
    """Everything about the devices of a tile."""

    pcm: PcmParameters = field(default_factory=PcmParameters)
    capacitor: CapacitorParameters = field(default_factory=CapacitorParameters)
    converter: ConverterParameters = field(default_factory=ConverterParameters)

    def __post_init__(self) -> None:
        """Check every field and the grid's headroom."""
        for part in (self.pcm, self.capacitor, self.converter):
            check_fields(part)
        if self.pcm.pcm_model == "set_pulse" and self.pcm.reset_uS <= 0:
            raise InputError("reset_uS: the set_pulse model starts above 0")
        if self.pcm.direct_update and self.pcm.pcm_model != "set_pulse":
            raise InputError("direct_update: needs pcm_model=set_pulse")

    @property
    def fine_per_uS(self) -> Fraction:
        """Fine units in a microsiemens."""
        return GRID / as_fraction(self.pcm.pcm_range_uS)
