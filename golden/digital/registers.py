"""The register bank: what a host reads, what a write does, and why an access is refused.

An access that fails changes nothing but ERROR.BUS_ERROR, which keeps the first one. The reasons, of
which the first that holds is given: UNALIGNED, UNMAPPED, READ_ONLY, BUSY, ROW_INCOMPLETE, BAD_VALUE
(see docs/registers.md). The blocks behind the bank keep what they are given.
"""

from __future__ import annotations

from typing import Any

from spec.commands import Command, Error
from spec.registers import (
    WORD_BITS,
    WORD_BYTES,
    Access,
    Field,
    Register,
    WindowCode,
    registers,
    windows,
)
from spec.tile import TileSpec

ALL_LANES = (1 << WORD_BYTES) - 1
"""Byte strobes of a whole word."""
WORDS = 1 << WORD_BITS
KEPT_BY_JOURNAL = {"JOURNAL", "ROW_LFSR", "COLUMN_LFSR"}


class RegisterBank:
    """The registers of a tile, for a host that makes one access after another.

    `bank["STATUS.BUSY"]` is a field's value. `memories` are what the windows reach, by their code.
    `strobes` lists what the bank has told the tile: ("command", fields) for a register that the
    tile takes a word of, ("soft_reset",) for a trigger, ("window write", code, index).
    """

    def __init__(self, spec: TileSpec) -> None:
        """As after aresetn, with memories that are all 0."""
        self.table = {register.offset: register for register in registers(spec)}
        self.values = {
            (register.name, field.name): field.reset
            for register in self.table.values()
            for field in register.fields
        }
        self.windows = {window.code: window for window in windows(spec)}
        self.memories = {code: [0] * window.length for code, window in self.windows.items()}
        self.strobes: list[Any] = []

    def __getitem__(self, name: str) -> int:
        """The value of REGISTER.FIELD."""
        register, field = name.split(".")
        return self.values[register, field]

    def write(self, address: int, word: int, lanes: int = ALL_LANES) -> bool:
        """A host's write of a word, `lanes` its byte strobes: whether it was accepted."""
        return self._accepted(self._write(address, word, lanes))

    def read(self, address: int) -> tuple[bool, int]:
        """A host's read: whether it was accepted, and the word (0 where it was not)."""
        error, word = self._read(address)
        return self._accepted(error), word

    def tile(self, name: str, values: dict[str, int]) -> None:
        """What the tile itself says to a register, by field, for a cycle."""
        register = next(r for r in self.table.values() if r.name == name)
        for field_name, value in values.items():
            field, place = register.field(field_name), (name, field_name)
            if field.access is Access.COUNT:
                self.values[place] = (self.values[place] + value) % WORDS
            elif field.access is Access.PENDING:
                self.values[place] |= value
            elif field.access is Access.STICKY:
                self.values[place] = self.values[place] or value
            else:
                self.values[place] = value

    @property
    def irq(self) -> int:
        """The interrupt: a pending bit that is enabled."""
        names = ("DONE", "ERROR", "RESULT")
        return int(any(self[f"IRQ_ENABLE.{n}"] and self[f"IRQ_PENDING.{n}"] for n in names))

    def _accepted(self, error: Error) -> bool:
        place = "ERROR", "BUS_ERROR"
        self.values[place] = self.values[place] or int(error)
        return error is Error.NONE

    def _read(self, address: int) -> tuple[Error, int]:
        if address % WORD_BYTES:
            return Error.UNALIGNED, 0
        if address not in self.table:
            return Error.UNMAPPED, 0
        register = self.table[address]
        if register.name == "WINDOW_DATA":
            return self._read_window()
        shown = [field for field in register.fields if field.access.readable]
        return Error.NONE, register.pack(
            **{f.name: self.values[register.name, f.name] for f in shown}
        )

    def _read_window(self) -> tuple[Error, int]:
        code, index = WindowCode(self["WINDOW.SELECT"]), self["WINDOW_INDEX.INDEX"]
        if self["STATUS.BUSY"]:
            return Error.BUSY, 0
        if index >= self.windows[code].length:
            return Error.BAD_VALUE, 0
        self.strobes.append(("window read", int(code), index))
        self.values["WINDOW_INDEX", "INDEX"] += 1
        return Error.NONE, self.memories[code][index] % WORDS

    def _write(self, address: int, word: int, lanes: int) -> Error:
        if address % WORD_BYTES or lanes != ALL_LANES:
            return Error.UNALIGNED
        if address not in self.table:
            return Error.UNMAPPED
        register = self.table[address]
        name, values = register.name, register.unpack(word)
        if register.fields[0].access in (Access.CONSTANT, Access.STATUS):
            return Error.READ_ONLY
        if self["STATUS.BUSY"] and self._is_state(register, values):
            return Error.BUSY
        if self["STATUS.ROW_INCOMPLETE"] and self._is_kept(name):
            return Error.ROW_INCOMPLETE
        if name == "WINDOW_DATA":
            return self._write_window(word)
        if name == "WINDOW_INDEX":
            if values["INDEX"] >= self.windows[WindowCode(self["WINDOW.SELECT"])].length:
                return Error.BAD_VALUE
        elif not all(f.lowest <= values[f.name] <= f.highest for f in register.fields):
            return Error.BAD_VALUE
        for field in register.fields:
            self._put(register, field, values[field.name])
        if register.fields[0].access in (Access.OWNED, Access.COMMAND):
            self.strobes.append((name.lower(), values))
        if name == "WINDOW":
            self.values["WINDOW_INDEX", "INDEX"] = 0
        return Error.NONE

    def _write_window(self, word: int) -> Error:
        code, index = WindowCode(self["WINDOW.SELECT"]), self["WINDOW_INDEX.INDEX"]
        window = self.windows[code]
        value = word - WORDS if word >> 31 and window.element.low < 0 else word
        if index >= window.length or not window.element.low <= value <= window.element.high:
            return Error.BAD_VALUE
        self.memories[code][index] = value
        self.strobes.append(("window write", int(code), index))
        self.values["WINDOW_INDEX", "INDEX"] += 1
        return Error.NONE

    def _is_state(self, register: Register, values: dict[str, int]) -> bool:
        if register.name == "COMMAND":
            return values["OPCODE"] != Command.ABORT
        if register.name == "RESET":
            return bool(values["POLARITY_VALID"])
        first = register.fields[0].access
        names = ("ROW_SCALE", "COLUMN_SCALE", "WINDOW_DATA")
        return first in (Access.OWNED, Access.COUNT) or register.name in names

    def _is_kept(self, name: str) -> bool:
        if name == "WINDOW_DATA":
            return self["WINDOW.SELECT"] in (WindowCode.POLARITY, WindowCode.JOURNAL_CODES)
        return name in KEPT_BY_JOURNAL

    def _put(self, register: Register, field: Field, value: int) -> None:
        place = register.name, field.name
        if field.access in (Access.CONFIGURATION, Access.OWNED, Access.COUNT):
            self.values[place] = value
        elif field.access is Access.PENDING:
            self.values[place] &= ~value
        elif field.access in (Access.STICKY, Access.BUS):
            self.values[place] = 0
        elif field.access is Access.TRIGGER and value:
            self.strobes.append((field.name.lower(),))
