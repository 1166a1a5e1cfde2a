"""The registers of a tile: the one table that bank, driver and documents are made from.

Words of 32 bits at byte addresses. The map is the same for every tile: sizes and widths differ
only in what ID to FEATURES say, in reset values and in the limits of what is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from spec.commands import Command, Error, PairCode, RangeKind
from spec.formats import Signed, Unsigned
from spec.lfsr import DRAW_BITS, LFSR_BITS
from spec.segments import SLOPE, SLOPE_FRACTION
from spec.tile import SET_STEP_CODES, TileSpec

IDENTITY = 0x4C495443
"""What ID reads: "CTIL" in the order of its bytes."""

VERSION = (0, 2, 0)
"""Of this map: major, minor, patch. A change that a driver can see raises major or minor."""

WORD_BITS = 32
WORD_BYTES = WORD_BITS // 8
ADDRESS_BITS = 12
"""Bits of a byte address: a page of 4 KiB, the least that a system decodes."""

HALF = 16
"""Rows are 1..2049, columns 1..2048; they fill half a word each."""


class Access(Enum):
    """Who may change a field, and when."""

    CONSTANT = "constant"
    """Nobody."""
    STATUS = "status"
    """The tile; the host reads it."""
    CONFIGURATION = "configuration"
    """The host; it lies in the bank."""
    OWNED = "owned"
    """The tile, and the host while the tile is idle; it lies in the block that works with it."""
    COUNT = "count"
    """The tile adds to it; the host may write it while the tile is idle."""
    PENDING = "pending"
    """The tile sets it; the host clears it by writing a 1."""
    ANSWER = "answer"
    """The tile sets it at each answer."""
    STICKY = "sticky"
    """The tile sets it where it is 0; the host clears it by writing anything to the register."""
    BUS = "bus"
    """Sticky, and set by the bank itself."""
    COMMAND = "command"
    """A part of a word that the host gives to the tile; reads as 0."""
    TRIGGER = "trigger"
    """Writing a 1 does something once; reads as 0."""
    WINDOW = "window"
    """An element of a memory of the tile."""

    @property
    def writable(self) -> bool:
        """Whether a write is answered with anything but READ_ONLY."""
        return self not in (Access.CONSTANT, Access.STATUS)

    @property
    def readable(self) -> bool:
        """Whether a read gives more than 0."""
        return self not in (Access.COMMAND, Access.TRIGGER)


class WindowCode(IntEnum):
    """Which memory WINDOW_DATA reaches, as in the WINDOW register."""

    POLARITY = 0
    COLUMN_ENABLE = 1
    FORWARD_OFFSETS = 2
    BACKWARD_OFFSETS = 3
    SET_TABLE = 4
    JOURNAL_CODES = 5
    SEGMENT_BASES = 6
    SEGMENT_SLOPES = 7
    SEGMENT_PASSES = 8


class StreamMode(IntEnum):
    """How the thresholds of an UPDATE are drawn, as in the WIDTHS register."""

    STOCHASTIC = 0
    LOW_DISCREPANCY = 1


@dataclass(frozen=True)
class Field:
    """Some bits of a register. A write with a value outside `minimum..maximum` is BAD_VALUE."""

    name: str
    low: int
    width: int
    access: Access
    description: str
    reset: int = 0
    signed: bool = False
    minimum: int | None = None
    maximum: int | None = None
    values: type[IntEnum] | None = None
    step: int = 1
    """COUNT: the most that is added at a time."""
    only_idle: bool = False
    """Refused with BUSY while the tile works; a TRIGGER only where it is written as 1."""

    def __post_init__(self) -> None:
        """Raises ValueError on a field that can't be."""
        if not self.name.isidentifier() or self.name != self.name.upper():
            raise ValueError(f"field {self.name!r}: a name in capitals")
        if self.low < 0 or self.width < 1 or self.low + self.width > WORD_BITS:
            raise ValueError(f"field {self.name}: bits outside of the word")
        if not self.format.low <= self.lowest <= self.highest <= self.format.high:
            raise ValueError(f"field {self.name}: limits that its {self.width} bits don't hold")
        if not self.lowest <= self.reset <= self.highest and self.access is not Access.OWNED:
            raise ValueError(f"field {self.name}: reset {self.reset} is not a legal value")

    @property
    def format(self) -> Signed | Unsigned:
        """How its bits are read."""
        return Signed(self.width) if self.signed else Unsigned(self.width)

    @property
    def lowest(self) -> int:
        """The smallest value that a write may have."""
        return self.format.low if self.minimum is None else self.minimum

    @property
    def highest(self) -> int:
        """The largest value that a write may have."""
        return self.format.high if self.maximum is None else self.maximum

    @property
    def limited(self) -> bool:
        """Whether some values of its bits are refused."""
        return (self.lowest, self.highest) != (self.format.low, self.format.high)

    def pack(self, value: int) -> int:
        """A value in its place in the word. Raises ValueError where it does not fit."""
        if not self.format.low <= value <= self.format.high:
            raise ValueError(f"{self.name}={value}: {self.format.low} to {self.format.high}")
        return (value & ((1 << self.width) - 1)) << self.low

    def unpack(self, word: int) -> int:
        """Its value in a word."""
        bits = (word >> self.low) & ((1 << self.width) - 1)
        return bits - (1 << self.width) if self.signed and bits > self.format.high else bits


@dataclass(frozen=True)
class Register:
    """A word of the map. Bits without a field read as 0, and what is written to them is ignored."""

    name: str
    offset: int
    description: str
    fields: tuple[Field, ...]
    not_incomplete: bool = False
    """Refused with ROW_INCOMPLETE while the journal is valid."""

    def __post_init__(self) -> None:
        """Raises ValueError on a register that can't be."""
        if not self.name.isidentifier() or self.name != self.name.upper():
            raise ValueError(f"register {self.name!r}: a name in capitals")
        if self.offset % WORD_BYTES or not 0 <= self.offset < 1 << ADDRESS_BITS:
            raise ValueError(f"register {self.name}: offset {self.offset:#x} is no word's")
        if not self.fields:
            raise ValueError(f"register {self.name}: no field")
        if len({field.name for field in self.fields}) < len(self.fields):
            raise ValueError(f"register {self.name}: two fields of one name")
        if len({field.access.writable for field in self.fields}) > 1:
            raise ValueError(f"register {self.name}: partly read-only")
        taken = 0
        for field in self.fields:
            bits = ((1 << field.width) - 1) << field.low
            if taken & bits:
                raise ValueError(f"register {self.name}: field {field.name} overlaps another")
            taken |= bits

    @property
    def writable(self) -> bool:
        """Whether a write is answered with anything but READ_ONLY."""
        return self.fields[0].access.writable

    def has(self, access: Access) -> bool:
        """Whether a field has this access."""
        return any(field.access is access for field in self.fields)

    def field(self, name: str) -> Field:
        """The field of that name. Raises KeyError."""
        return {field.name: field for field in self.fields}[name]

    @property
    def reset(self) -> int:
        """The word after aresetn."""
        return self.pack(**{field.name: field.reset for field in self.fields})

    def pack(self, **values: int) -> int:
        """The word of these values by field name; fields not named are 0."""
        word = 0
        for name, value in values.items():
            word |= self.field(name).pack(value)
        return word

    def unpack(self, word: int) -> dict[str, int]:
        """The values of a word by field name."""
        return {field.name: field.unpack(word) for field in self.fields}


@dataclass(frozen=True)
class Window:
    """A memory of the tile that WINDOW_DATA reaches: `length` elements of a format."""

    code: WindowCode
    length: int
    element: Signed | Unsigned
    description: str
    not_incomplete: bool = False
    """Writes are refused with ROW_INCOMPLETE while the journal is valid."""


def windows(spec: TileSpec) -> tuple[Window, ...]:
    """The windows of a tile, in the order of their codes."""
    fraction, segments = spec.converters.calibration_log2, spec.neurons.segments
    table = (
        Window(
            WindowCode.SEGMENT_BASES, segments, spec.row_code,
            "row code at the first FORWARD code of each segment, segment 0 the most negative",
        ),
        Window(
            WindowCode.SEGMENT_SLOPES, segments, SLOPE,
            f"slope of each segment, in 2^-{SLOPE_FRACTION} of full scale to full scale",
        ),
        Window(
            WindowCode.SEGMENT_PASSES, segments, Unsigned(1),
            "segments that errors pass: where a HIDDEN tile keeps its column codes",
        ),
    )  # fmt: skip
    return (
        Window(
            WindowCode.POLARITY, spec.rows, Unsigned(1),
            "swap of each row: 0 is p = +1, 1 is p = -1", True,
        ),
        Window(
            WindowCode.COLUMN_ENABLE, spec.columns, Unsigned(1),
            "columns that are used: a masked one (0) is not converted and gives 0",
        ),
        Window(
            WindowCode.FORWARD_OFFSETS, spec.columns,
            Signed(spec.converters.forward_bits + fraction),
            f"offset of each column in FORWARD, in 2^-{fraction} LSB",
        ),
        Window(
            WindowCode.BACKWARD_OFFSETS, spec.rows,
            Signed(spec.converters.backward_bits + fraction),
            f"offset of each row in BACKWARD, in 2^-{fraction} LSB",
        ),
        Window(
            WindowCode.SET_TABLE, spec.set_table_entries,
            Unsigned((SET_STEP_CODES - 1).bit_length()),
            "step code of a SET, by the programming code >> set_shift",
        ),
        Window(
            WindowCode.JOURNAL_CODES, spec.columns, spec.weight_code,
            "codes of the row in the journal", True,
        ),
        *(table if segments else ()),
    )  # fmt: skip


def registers(spec: TileSpec) -> tuple[Register, ...]:
    """The registers of a tile, by rising offset."""
    table = (*_identity(spec), *_control(spec), *_state(spec), *_counters(spec), *_window(spec))
    check(table)
    return table


def check(table: tuple[Register, ...]) -> None:
    """Raises ValueError where two registers share an offset or a name, or are out of order."""
    offsets = [register.offset for register in table]
    if offsets != sorted(set(offsets)):
        raise ValueError("registers: offsets that do not rise")
    if len({register.name for register in table}) < len(table):
        raise ValueError("registers: two of one name")


def _identity(spec: TileSpec) -> tuple[Register, ...]:
    converters, update, transfer = spec.converters, spec.update, spec.transfer

    def constant(name: str, low: int, width: int, value: int, description: str) -> Field:
        return Field(name, low, width, Access.CONSTANT, description, reset=value)

    major, minor, patch = VERSION
    return (
        Register("ID", 0x00, "Says that this is a tile.", (
            constant("ID", 0, 32, IDENTITY, "`CTIL` in the order of its bytes"),
        )),
        Register("VERSION", 0x04, "Version of this map.", (
            constant("PATCH", 0, 8, patch, "a repair"),
            constant("MINOR", 8, 8, minor, "an addition"),
            constant("MAJOR", 16, 8, major, "a change that an old driver would trip over"),
        )),
        Register("SIZE", 0x08, "Size of the tile.", (
            constant("ROWS", 0, HALF, spec.rows, "rows, the bias row included"),
            constant("COLUMNS", HALF, HALF, spec.columns, "columns"),
        )),
        Register("WIDTHS", 0x0C, "Number formats.", (
            constant("PWM_BITS", 0, 4, spec.codes.pwm_bits, "bits of a row code"),
            constant("COLUMN_BITS", 4, 4, spec.codes.column_bits,
                     "bits of a column code's magnitude"),
            constant("FORWARD_BITS", 8, 4, converters.forward_bits, "bits of a FORWARD code"),
            constant("BACKWARD_BITS", 12, 4, converters.backward_bits, "bits of a BACKWARD code"),
            constant("READ_BITS", 16, 4, converters.read_bits, "bits of a weight code"),
            constant("SLOTS_LOG2", 20, 4, update.slot_bits, "log2 of the slots of an UPDATE"),
            Field("STREAM_MODE", 24, 1, Access.CONSTANT, "how thresholds are drawn",
                  reset=StreamMode[update.stream_mode.upper()], values=StreamMode),
        )),
        Register("FEATURES", 0x10, "What the tile was built with.", (
            constant("CALIBRATION_LOG2", 0, 4, converters.calibration_log2,
                     "log2 of an auto-zero's conversions; bits of an offset's fraction"),
            constant("READ_AVERAGE_LOG2", 4, 4, converters.read_average_log2,
                     "log2 of a READ's conversions"),
            constant("LANES_LOG2", 8, 4, converters.lanes.bit_length() - 1,
                     "log2 of the converter codes a cycle"),
            constant("AXIS_BYTES_LOG2", 12, 4, spec.host.axis_bytes.bit_length() - 1,
                     "log2 of the bytes of a stream's beat"),
            constant("SET_TABLE_ENTRIES", 16, 9, spec.set_table_entries,
                     "entries of the SET table"),
            constant("SEGMENTS_LOG2", 25, 4, spec.neurons.segments_log2,
                     "log2 of the segments of the neurons' table; 0: none, and no window to it"),
            constant("POLARITY_INVERSION", 30, 1, int(transfer.polarity_inversion),
                     "a transfer draws its row's polarity at random" if transfer.draws_polarity
                     else "a transfer inverts its row's polarity"),
            constant("PROGRAM_PCM", 31, 1, int(transfer.program_pcm),
                     "a transfer programs the higher pair"),
        )),
    )  # fmt: skip


def _control(spec: TileSpec) -> tuple[Register, ...]:
    def setting(name: str, low: int, width: int, description: str) -> Field:
        return Field(name, low, width, Access.CONFIGURATION, description)

    def command(
        name: str, low: int, width: int, description: str, values: type[IntEnum] | None = None
    ) -> Field:
        return Field(name, low, width, Access.COMMAND, description, values=values)

    def error(name: str, low: int, access: Access, description: str) -> Field:
        return Field(name, low, 8, access, description, values=Error)

    status = (
        ("BUSY", "a command is being worked on"),
        ("ARMED", "outputs to the array are live"),
        ("UNKNOWN", "polarity is not known: INIT all rows, or restore it"),
        ("ROW_INCOMPLETE", "the journal is valid: RESUME, or INIT with FORCE over its row"),
        ("ROWS_HELD", "there is an active row vector"),
        ("COLUMNS_HELD", "there is an active column vector"),
        ("ROWS_WAITING", "a packet of row codes waits for its command"),
        ("COLUMNS_WAITING", "a packet of column codes waits for its command"),
        ("RESULT_WAITING", "a vector of results waits to be taken"),
        ("SAFE", "`analog_safe` holds the outputs inactive"),
        ("CALIBRATED", "offsets were auto-zeroed or written since aresetn"),
    )
    events = (
        ("DONE", "a command was answered without error"),
        ("ERROR", "a command or a packet failed"),
        ("RESULT", "a vector of results is ready to be taken"),
    )
    return (
        Register("CONTROL", 0x14, "Modes. Change other bits than ARM only while idle.", (
            setting("ARM", 0, 1, "let the outputs to the array be live"),
            setting("BRINGUP", 1, 1, "allow PROGRAM and PRECHARGE"),
            setting("HIDDEN", 2, 1,
                    "apply the neurons' derivative to column codes as they enter"),
            setting("RAW_FORWARD", 3, 1,
                    "FORWARD gives converter codes of two bytes, not row codes"),
            setting("RAW_BACKWARD", 4, 1,
                    "BACKWARD gives converter codes of two bytes, not column codes"),
            Field("BACKWARD_SHIFT", 8, 6, Access.CONFIGURATION,
                  "log2 of the BACKWARD LSBs in a column code that is sent on", signed=True),
        )),
        Register("COMMAND", 0x18, "Starts a command. While BUSY, all but ABORT are refused with "
                 "BUSY.", (
            command("OPCODE", 0, 4, "what to do", Command),
            command("NEW_ROWS", 4, 1, "UPDATE: take the waiting row vector first"),
            command("NEW_COLUMNS", 5, 1, "UPDATE: take the waiting column vector first"),
            command("FORCE", 6, 1, "INIT: over the row of the journal too, which discards it"),
            command("PAIR", 8, 2, "READ: which devices", PairCode),
            command("MINUS", 10, 1, "PROGRAM: the minus device"),
            command("STEP_CODE", 16, 8, "PROGRAM: the step code"),
        )),
        Register("STATUS", 0x1C, "What the tile does and has.", tuple(
            Field(name, bit, 1, Access.STATUS, text) for bit, (name, text) in enumerate(status)
        )),
        Register("ERROR", 0x20, "Any write clears BUS_ERROR and VECTOR_ERROR.", (
            error("COMMAND_ERROR", 0, Access.ANSWER, "how the last command ended"),
            error("BUS_ERROR", 8, Access.BUS, "the first access that failed since it was cleared"),
            error("VECTOR_ERROR", 16, Access.STICKY,
                  "the first packet that failed since it was cleared"),
        )),
        Register("RESET", 0x24, "Starts the tile anew, or declares it restored.", (
            Field("SOFT_RESET", 0, 1, Access.TRIGGER,
                  "end what is in hand and drop all vectors; registers and windows stay"),
            Field("POLARITY_VALID", 1, 1, Access.TRIGGER,
                  "polarity has been restored: UNKNOWN ends", only_idle=True),
        )),
        Register("ROWS", 0x28, "The rows that a command works on, taken as it starts.", (
            setting("FIRST", 0, HALF, "the first row, or the only one"),
            setting("LAST", HALF, HALF, "the last row of a range"),
        )),
        Register("IDLE_CYCLES", 0x2C, "For IDLE.", (
            setting("CYCLES", 0, 32, "cycles to wait"),
        )),
        Register("RANGE", 0x30, "What is left of a range of rows: RESUME goes on with it.", (
            Field("NEXT_ROW", 0, 12, Access.OWNED, "the next row to work", maximum=spec.rows),
            Field("LAST_ROW", HALF, 12, Access.OWNED, "the last row", maximum=spec.rows - 1),
        )),
        Register("JOURNAL", 0x34, "The row in hand; its codes are in a window.", (
            Field("VALID", 0, 1, Access.OWNED, "the row is not complete"),
            Field("P_NEW", 1, 1, Access.OWNED, "its polarity bit once it is"),
            Field("KIND", 2, 2, Access.OWNED, "what it is worked for", values=RangeKind,
                  maximum=max(RangeKind)),
            Field("ROW", HALF, HALF, Access.OWNED, "its number", maximum=spec.rows - 1),
        ), not_incomplete=True),
        Register("IRQ_ENABLE", 0x38, "Which pending bits raise the interrupt.", tuple(
            setting(name, bit, 1, text) for bit, (name, text) in enumerate(events)
        )),
        Register("IRQ_PENDING", 0x3C, "What happened; write ones to clear.", tuple(
            Field(name, bit, 1, Access.PENDING, text) for bit, (name, text) in enumerate(events)
        )),
    )  # fmt: skip


def _state(spec: TileSpec) -> tuple[Register, ...]:
    def scale(name: str, offset: int, side: str, bits: int) -> Register:
        unit = 1 << bits
        text = f"{unit} is unit scale; twice that halves the learning rate"
        return Register(name, offset, f"Learning rate, on the {side}s' side.", (
            Field("SCALE", 0, DRAW_BITS, Access.CONFIGURATION, text, reset=unit, minimum=unit,
                  only_idle=True),
        ))  # fmt: skip

    def lfsr(name: str, offset: int, side: str) -> Register:
        return Register(name, offset, f"The register that draws the {side}s' thresholds.", (
            Field("STATE", 0, LFSR_BITS, Access.OWNED, "its state, never 0", reset=1, minimum=1),
        ), not_incomplete=True)  # fmt: skip

    def timeout(name: str, offset: int, cycles: int, of: str) -> Register:
        return Register(name, offset, f"Longest silence of {of}.", (
            Field("CYCLES", 0, 32, Access.CONFIGURATION, "cycles before a command fails",
                  reset=cycles, minimum=1),
        ))  # fmt: skip

    dither = max(1, spec.converters.calibration_log2)
    return (
        scale("ROW_SCALE", 0x40, "row", spec.codes.pwm_bits),
        scale("COLUMN_SCALE", 0x44, "column", spec.codes.column_bits),
        lfsr("ROW_LFSR", 0x48, "row"),
        lfsr("COLUMN_LFSR", 0x4C, "column"),
        Register("DITHER", 0x50, "Counters of the dither of offsets.", (
            Field("FORWARD", 0, dither, Access.OWNED, "of FORWARD"),
            Field("BACKWARD", HALF, dither, Access.OWNED, "of BACKWARD"),
        )),
        timeout("STREAM_TIMEOUT", 0x54, 1 << 20,
                "a stream of the host, in or out, that a command waits for"),
        timeout("MACRO_TIMEOUT", 0x58, 1 << 16, "the array macro"),
    )  # fmt: skip


def _counters(spec: TileSpec) -> tuple[Register, ...]:
    def counter(name: str, offset: int, step: int, description: str) -> Register:
        count = Field("COUNT", 0, 32, Access.COUNT, "modulo 2^32", step=step)
        return Register(name, offset, description, (count,))

    columns, lines = spec.columns, max(spec.rows, spec.columns)
    return (
        counter("FORWARDS", 0x5C, 1, "FORWARDs done."),
        counter("ROWS_DONE", 0x60, 1, "Rows committed."),
        counter("ATTEMPTS", 0x64, 1, "Attempts of program-and-verify."),
        counter("NOT_PROGRAMMED", 0x68, columns, "Cells left outside of prog_tol."),
        counter("NOT_TRIMMED", 0x6C, columns, "Cells left outside of trim_tol."),
        counter("SATURATED", 0x70, lines, "Conversions at a rail."),
    )


def _window(spec: TileSpec) -> tuple[Register, ...]:
    memories = windows(spec)
    longest = max(window.length for window in memories)
    return (
        Register("WINDOW", 0x74, "Which memory WINDOW_DATA reaches; a write sets WINDOW_INDEX to "
                 "0.", (
            Field("SELECT", 0, 4, Access.CONFIGURATION, "the memory", values=WindowCode,
                  maximum=memories[-1].code),
        )),
        Register("WINDOW_INDEX", 0x78, "The element that WINDOW_DATA reaches next; a write must be "
                 "below the length of the memory.", (
            Field("INDEX", 0, HALF, Access.CONFIGURATION, "the element", maximum=longest),
        )),
        Register("WINDOW_DATA", 0x7C, "The element at WINDOW_INDEX, which then rises by 1; beyond "
                 "the last it is BAD_VALUE. Only while idle.", (
            Field("DATA", 0, 32, Access.WINDOW, "the element, signed where the memory is",
                  only_idle=True),
        )),
    )  # fmt: skip
