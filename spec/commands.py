"""Commands, errors and phases of a tile: the words that driver, registers and both twins share."""

from __future__ import annotations

from enum import IntEnum


class Command(IntEnum):
    """Operation codes, as written to the COMMAND register."""

    FORWARD = 1
    BACKWARD = 2
    UPDATE = 3
    TRANSFER = 4
    LOAD = 5
    INIT = 6
    READ = 7
    CALIBRATE = 8
    RESUME = 9
    ABORT = 10
    IDLE = 11
    PROGRAM = 12
    PRECHARGE = 13


class Error(IntEnum):
    """How a command or an access failed, as read from the ERROR register."""

    NONE = 0
    UNKNOWN_COMMAND = 1
    BUSY = 2
    NOT_ARMED = 3
    STATE_UNKNOWN = 4
    ROW_INCOMPLETE = 5
    NO_VECTOR = 6
    BAD_ROWS = 7
    BAD_VALUE = 8
    NOT_BRINGUP = 9
    SHORT_VECTOR = 10
    LONG_VECTOR = 11
    BAD_DESTINATION = 12
    STREAM_TIMEOUT = 13
    MACRO_TIMEOUT = 14
    READ_ONLY = 15
    UNMAPPED = 16
    UNALIGNED = 17
    SAFE = 18


class Phase(IntEnum):
    """What the array macro is asked to do, as on its `phase` pins."""

    IDLE = 0
    FORWARD = 1
    BACKWARD = 2
    UPDATE = 3
    READ = 4
    PRECHARGE = 5
    RESET = 6
    SET = 7
    CONVERT_FORWARD = 8
    CONVERT_BACKWARD = 9
    CONVERT_READ = 10


class PairCode(IntEnum):
    """What a READ selects, as on the `pair` pins."""

    ALL = 0
    HIGHER = 1
    LOWER = 2


class RangeKind(IntEnum):
    """Which command a range of rows is worked for, as in the JOURNAL register."""

    TRANSFER = 0
    LOAD = 1
    INIT = 2


class Destination(IntEnum):
    """What a packet of the input stream is, as in its tdest."""

    ROWS = 0
    COLUMNS = 1
    WEIGHTS = 2


class VectorFormat(IntEnum):
    """What a packet of the output stream holds: see `golden/digital/vector_output.py`."""

    RAW = 0
    ROW_CODES = 1
    COLUMN_CODES = 2


ERROR_BITS = max(Error).bit_length()
KIND_BITS = max(RangeKind).bit_length()
