"""The tile: its sizes, number formats, schedules and nominal times. Every width derives from here.

A tile has `rows` (upstream, inputs, the last one the bias) by `columns` (downstream, outputs).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from functools import cache, cached_property

from spec.errors import InputError
from spec.formats import Signed, SignMagnitude, Unsigned
from spec.parameter import check_fields, parameter

SET_RAMP_STEPS = 8
SET_STEP_CODES = 256
STEP_CODE_BITS = (SET_STEP_CODES - 1).bit_length()
COLUMN_SHIFT = Signed(6)
"""log2 of BACKWARD LSBs of one tile in a column code of another: -12..21 within the fields."""
MAX_SLOTS = 128
"""Slots of an UPDATE at most."""


@dataclass(frozen=True)
class CodeSpec:
    """Row and column codes, and the gain of a tile's column codes."""

    pwm_bits: int = parameter(
        8, "row codes and FORWARD window: durations 0..2^n-1", unit="bit", tag="design",
        low=2, high=8,
    )  # fmt: skip
    column_bits: int = parameter(
        7, "magnitude of column codes, beside the sign", unit="bit", tag="design", low=2, high=7
    )


@dataclass(frozen=True)
class NeuronSpec:
    """What makes row codes of FORWARD's codes."""

    segments_log2: int = parameter(
        0,
        "log2 of the segments of the neurons' table, 4 is much; 0: no table, the clipped ReLU "
        "alone. Training keeps the clipped ReLU, which is what the table holds at first",
        tag="design",
        low=0,
        high=6,
    )

    @property
    def segments(self) -> int:
        """Segments of the table; 0: there is none."""
        return 1 << self.segments_log2 if self.segments_log2 else 0


SKEW_ROWS = 8
"""Rows of a group that meet the same thresholds."""


@dataclass(frozen=True)
class UpdateSpec:
    """UPDATE: pulse streams of `slots` slots on rows and columns."""

    slots: int = parameter(32, "pulse slots of an UPDATE", tag="assumed", low=2, high=MAX_SLOTS)
    stream_mode: str = parameter(
        "low_discrepancy",
        "how the slots' thresholds are drawn",
        tag="design",
        choices=("low_discrepancy", "stochastic"),
    )
    row_skew: bool = parameter(
        False,
        "each group of eight rows meets the thresholds a slot after the group before, so that the "
        "roundings of an update cancel in a column",
        tag="design",
    )

    @property
    def slot_bits(self) -> int:
        """k = log2(slots): the bits of a draw that low_discrepancy replaces."""
        return self.slots.bit_length() - 1


@dataclass(frozen=True)
class ConverterSpec:
    """Converters: widths and full scales of FORWARD, BACKWARD and READ, and their sharing."""

    forward_bits: int = parameter(
        9, "FORWARD converter width", unit="bit", tag="assumed", low=4, high=14
    )
    backward_bits: int = parameter(
        9, "BACKWARD converter width", unit="bit", tag="assumed", low=4, high=14
    )
    read_bits: int = parameter(
        12, "READ converter width", unit="bit", tag="assumed", low=6, high=15
    )
    forward_range_log2: int = parameter(
        0,
        "log2 of FORWARD full scale (output layers take output_range_log2)",
        tag="assumed",
        low=-3,
        high=6,
    )
    backward_range_log2: int = parameter(
        -2, "log2 of BACKWARD full scale", tag="assumed", low=-6, high=4
    )
    read_range_log2: int = parameter(
        1, "log2 of READ full scale in weight units", tag="assumed", low=0, high=4
    )
    read_average_log2: int = parameter(
        3,
        "a: a READ averages 2^a conversions; its zero, 2^a without drive",
        tag="assumed",
        low=0,
        high=6,
    )
    calibration_log2: int = parameter(
        6,
        "an auto-zero adds up 2^n zero-drive conversions; offsets are in 2^-n LSB, dithered",
        tag="design",
        low=0,
        high=8,
    )
    lanes: int = parameter(
        8, "converter codes a cycle, channels in order; a power of two", tag="design", low=1,
        high=64,
    )  # fmt: skip

    @property
    def read_lsb_log2(self) -> int:
        """log2 of the weight of one READ code."""
        return self.read_range_log2 - (self.read_bits - 1)


@dataclass(frozen=True)
class TransferSpec:
    """When and how rows move into PCM: schedule, program-and-verify, trim."""

    transfer_interval: int = parameter(
        8000,
        "training examples between transfers of a row; 0: never",
        unit="example",
        tag="found",
        source="Ambrogio 2018",
        low=0,
        high=1 << 30,
    )
    transfer_mode: str = parameter(
        "burst",
        "all rows at once, or spread over the interval",
        tag="design",
        choices=("burst", "staggered"),
    )
    polarity_inversion: bool = parameter(
        True,
        "swap the roles of g and g_ref at each transfer of a row",
        tag="found",
        source="Ambrogio 2018; US11074499",
    )
    chopper: str = parameter(
        "alternate",
        "what polarity_inversion makes of a row's polarity at a transfer: the other one, or one of "
        "the two at random, as choppers that switch with a probability of 1/2",
        tag="assumed",
        source="aihwkit, ChoppedTransferCompound: in_chop_random, in_chop_prob",
        choices=("alternate", "random"),
    )
    program_pcm: bool = parameter(
        True, "use the higher-significance pair; false leaves all weight on g", tag="design"
    )
    offset: int = parameter(
        0,
        "subtracted (with polarity) from a PCM target; the paper's 2 uS is 51 codes of 12 bits",
        unit="READ code",
        tag="assumed",
        low=0,
        high=1 << 12,
    )
    prog_tol: int = parameter(
        64, "a programmed pair is done within this", unit="READ code", tag="assumed", low=0,
        high=1 << 12,
    )  # fmt: skip
    prog_limit: int = parameter(4, "attempts of program-and-verify", tag="assumed", low=1, high=64)
    set_shift: int = parameter(
        3, "the SET table is indexed by abs(code) >> set_shift", tag="design", low=0, high=10
    )
    c_max: int = parameter(
        0,
        "limit of a programming code; 0: the pair's range, F x one weight unit",
        unit="READ code",
        tag="derived",
        source="significance_gain x pcm_range_uS",
        low=0,
        high=1 << 14,
    )
    trim_tol: int = parameter(
        0, "a trimmed weight is done within this", unit="READ code", tag="assumed", low=0, high=255
    )
    trim_limit: int = parameter(
        # At most 48, so that trim_shift plus one a sign change stays a shift of under 64 bits.
        8, "pulse trains of a trim; 0: no trim", tag="assumed", low=0, high=48
    )  # fmt: skip
    trim_gain: int = parameter(
        0,
        "first pulses a READ code, x 2^trim_shift; 0: three quarters of LSB over step",
        tag="design",
        low=0,
        high=(1 << 16) - 1,
    )
    trim_shift: int = parameter(6, "see trim_gain", tag="design", low=0, high=15)
    leak_compensation: int = parameter(
        0,
        "share of the lower pair, as n/256, that a transfer adds to what it read",
        unit="1/256",
        tag="assumed",
        low=0,
        high=511,
    )

    @property
    def draws_polarity(self) -> bool:
        """Whether a transfer draws the row's polarity; the tile has a chopper only then."""
        return self.chopper == "random"


@dataclass(frozen=True)
class TimingSpec:
    """Nominal durations, in ns, by which boundary events advance a tile's analog clock."""

    example_ns: int = parameter(
        240, "time of a training example", unit="ns", tag="assumed", low=1, high=10**9
    )
    forward_phase_ns: int = parameter(
        40, "a phase of FORWARD", unit="ns", tag="assumed", low=0, high=10**6
    )
    backward_phase_ns: int = parameter(
        40, "the phase of BACKWARD", unit="ns", tag="assumed", low=0, high=10**6
    )
    update_phase_ns: int = parameter(
        40, "a phase of UPDATE, and a trim train", unit="ns", tag="assumed", low=0, high=10**6
    )
    read_phase_ns: int = parameter(
        20, "the drive phase of a READ", unit="ns", tag="assumed", low=0, high=10**6
    )
    conversion_ns: int = parameter(
        20, "one conversion of a side", unit="ns", tag="assumed", low=0, high=10**6
    )
    precharge_ns: int = parameter(
        50, "precharge of a row", unit="ns", tag="assumed", low=0, high=10**6
    )
    reset_ns: int = parameter(
        50, "RESET strobe of a row", unit="ns", tag="assumed", low=0, high=10**6
    )
    set_step_min_ns: float = parameter(
        1.7, "SET ramp step at code 0", unit="ns", tag="found", source="Ambrogio 2018",
        low=0.1, high=10**5,
    )  # fmt: skip
    set_step_max_ns: float = parameter(
        550.0, "SET ramp step at the last code", unit="ns", tag="found", source="Ambrogio 2018",
        low=0.1, high=10**5,
    )  # fmt: skip
    cycle_ns: int = parameter(
        10, "what a cycle of IDLE stands for", unit="ns", tag="assumed", low=1, high=10**6
    )
    leak_tick_ns: int = parameter(
        24_000, "capacitors relax at every tick of the tile's clock", unit="ns", tag="design",
        low=1, high=10**9,
    )  # fmt: skip

    @property
    def set_ramp_ns(self) -> tuple[int, ...]:
        """Nominal duration of a SET ramp (8 steps) per step code; log-spaced [assumed]."""
        return _set_ramp_ns(self.set_step_min_ns, self.set_step_max_ns)


@dataclass(frozen=True)
class HostSpec:
    """The host's side of a tile."""

    axis_bytes: int = parameter(
        8, "bytes of a beat of the vector streams; a power of two", unit="byte", tag="design",
        low=2, high=64,
    )  # fmt: skip
    synchroniser_flops: int = parameter(
        0,
        "flip-flops before the macro's `ready` and `analog_safe`, 2 to 4; 0: they are synchronous",
        tag="design",
        low=0,
        high=4,
    )


@cache
def _set_ramp_ns(first_ns: float, last_ns: float) -> tuple[int, ...]:
    with localcontext() as context:
        context.prec = 30
        first, last = Decimal(str(first_ns)), Decimal(str(last_ns))
        ratio = (last / first).ln() / (SET_STEP_CODES - 1)
        return tuple(
            int((SET_RAMP_STEPS * first * (ratio * code).exp()).to_integral_value())
            for code in range(SET_STEP_CODES)
        )


@dataclass(frozen=True)
class TileSpec:
    """One tile. Raises InputError, one line that says what to change, on an illegal set."""

    rows: int = parameter(529, "inputs, the bias row included", tag="design", low=1, high=2049)
    columns: int = parameter(250, "outputs", tag="design", low=1, high=2048)
    column_gain_log2: int = parameter(
        0, "log2 of the gain on errors that become this tile's column codes", tag="assumed",
        low=-4, high=4,
    )  # fmt: skip
    weight_unit_log2: int = parameter(
        0,
        "log2 of the network's weight that a weight unit of the array stands for: what FORWARD and "
        "BACKWARD multiply by",
        tag="assumed",
        low=-6,
        high=2,
    )
    codes: CodeSpec = field(default_factory=CodeSpec)
    neurons: NeuronSpec = field(default_factory=NeuronSpec)
    update: UpdateSpec = field(default_factory=UpdateSpec)
    converters: ConverterSpec = field(default_factory=ConverterSpec)
    transfer: TransferSpec = field(default_factory=TransferSpec)
    timing: TimingSpec = field(default_factory=TimingSpec)
    host: HostSpec = field(default_factory=HostSpec)

    def __post_init__(self) -> None:
        """Check every field and the relations between them."""
        for part in (
            self, self.codes, self.neurons, self.update, self.converters, self.transfer,
            self.timing, self.host,
        ):  # fmt: skip
            check_fields(part)
        slots, transfer, timing = self.update.slots, self.transfer, self.timing
        if slots & (slots - 1):
            raise InputError(f"slots={slots}: give a power of two (2, 4, 8, 16, 32, 64 or 128)")
        for name, value in (("lanes", self.converters.lanes), ("axis_bytes", self.host.axis_bytes)):
            if value & (value - 1):
                raise InputError(f"{name}={value}: give a power of two")
        if self.host.synchroniser_flops == 1:
            raise InputError("synchroniser_flops=1: one flip-flop is too few; give 0, 2, 3 or 4")
        # A segment has a code of the converter or more, and begins at a whole row code.
        most = min(self.converters.forward_bits - 1, self.codes.pwm_bits + 1)
        if self.neurons.segments_log2 > most:
            raise InputError(
                f"segments_log2={self.neurons.segments_log2}: give at most {most}, or raise "
                "forward_bits and pwm_bits"
            )
        if transfer.draws_polarity and not transfer.polarity_inversion:
            raise InputError(
                "chopper=random: needs polarity_inversion; set it true, or chopper=alternate"
            )
        if timing.set_step_max_ns < timing.set_step_min_ns:
            raise InputError("set_step_max_ns: give a value of at least set_step_min_ns")
        weight_limit = Signed(self.converters.read_bits).high
        if transfer.c_max > weight_limit:
            raise InputError(
                f"c_max={transfer.c_max}: READ holds codes up to {weight_limit}; "
                "lower c_max or raise read_bits"
            )
        if transfer.c_max >> transfer.set_shift >= SET_STEP_CODES:
            raise InputError(
                f"set_shift={transfer.set_shift}: c_max={transfer.c_max} needs more than "
                f"{SET_STEP_CODES} table entries; raise set_shift"
            )
        needed = 2 * transfer.offset + transfer.prog_tol
        trims = transfer.program_pcm and transfer.trim_gain and transfer.trim_limit
        if trims and self.trim_reach < needed:
            raise InputError(
                f"trim_limit={transfer.trim_limit}: the trim reaches {self.trim_reach} READ codes, "
                f"2 offset + prog_tol is {needed}; raise trim_limit or slots"
            )

    @cached_property
    def row_code(self) -> Unsigned:
        """Format of row codes."""
        return Unsigned(self.codes.pwm_bits)

    @cached_property
    def column_code(self) -> SignMagnitude:
        """Format of column codes."""
        return SignMagnitude(self.codes.column_bits)

    @cached_property
    def column_driver_bits(self) -> int:
        """Width of a column driver's code: column codes, and a trim's number of pulses."""
        return max(self.codes.column_bits, self.update.slots.bit_length())

    @cached_property
    def forward_code(self) -> Signed:
        """Format of FORWARD's codes."""
        return Signed(self.converters.forward_bits)

    @cached_property
    def backward_code(self) -> Signed:
        """Format of BACKWARD's codes."""
        return Signed(self.converters.backward_bits)

    @cached_property
    def weight_code(self) -> Signed:
        """Format of READ's codes: the digital side's only idea of a weight."""
        return Signed(self.converters.read_bits)

    @cached_property
    def row_taps(self) -> int:
        """Different thresholds that the rows meet in a slot: with row_skew one a group, else 1."""
        skewed = self.update.row_skew
        return min(self.update.slots, -(-self.rows // SKEW_ROWS)) if skewed else 1

    @cached_property
    def set_table_entries(self) -> int:
        """Entries of the SET table: one a programming code >> set_shift."""
        return (self.transfer.c_max >> self.transfer.set_shift) + 1

    @cached_property
    def trim_reach(self) -> int:
        """READ codes that a whole trim can move a nominal cell (trim_gain resolved)."""
        transfer = self.transfer
        return (
            transfer.trim_limit * self.update.slots * 3 * (1 << transfer.trim_shift)
        ) // (4 * max(1, transfer.trim_gain))  # fmt: skip


def groups(spec: TileSpec, lines: int) -> int:
    """Groups of `lanes` that hold `lines` lines."""
    return -(-lines // spec.converters.lanes)
