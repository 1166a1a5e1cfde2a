"""The registers as a host sees them, in plain Python from the table of `spec`."""

from __future__ import annotations

from typing import Any

from spec.commands import Command, Error
from spec.registers import Access, Field, Register, WindowCode, registers, windows
from spec.tile import TileSpec

OFFSET = {register.name: register.offset for register in registers(TileSpec())}
KEPT_BY_JOURNAL = {"JOURNAL", "ROW_LFSR", "COLUMN_LFSR"}


class GoldenBank:
    """The host's view of a tile. The blocks behind it keep what they are given."""

    def __init__(self, spec: TileSpec) -> None:
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
        register, field = name.split(".")
        return self.values[register, field]

    def write(self, address: int, word: int, lanes: int = 15) -> bool:
        """Whether it was accepted."""
        return self._accepted(self._write(address, word, lanes))

    def read(self, address: int) -> tuple[bool, int]:
        """Whether it was accepted, and the word."""
        error, word = self._read(address)
        return self._accepted(error), word

    def tile(self, name: str, values: dict[str, int]) -> None:
        """What the tile itself says, for a cycle."""
        register = self.table[OFFSET[name]]
        for field_name, value in values.items():
            field, place = register.field(field_name), (name, field_name)
            if field.access is Access.COUNT:
                self.values[place] = (self.values[place] + value) % (1 << 32)
            elif field.access is Access.PENDING:
                self.values[place] |= value
            elif field.access is Access.STICKY:
                self.values[place] = self.values[place] or value
            else:
                self.values[place] = value

    @property
    def irq(self) -> int:
        names = ("DONE", "ERROR", "RESULT")
        return int(any(self[f"IRQ_ENABLE.{n}"] and self[f"IRQ_PENDING.{n}"] for n in names))

    def _accepted(self, error: Error) -> bool:
        place = "ERROR", "BUS_ERROR"
        self.values[place] = self.values[place] or int(error)
        return error is Error.NONE

    def _read(self, address: int) -> tuple[Error, int]:
        if address % 4:
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
        return Error.NONE, self.memories[code][index] % (1 << 32)

    def _write(self, address: int, word: int, lanes: int) -> Error:
        if address % 4 or lanes != 15:
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
        value = word - (1 << 32) if word >> 31 and window.element.low < 0 else word
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
