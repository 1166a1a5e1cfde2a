"""Accesses of a host to an idle tile, and what comes of each, by name."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from golden.digital.registers import RegisterBank
from spec.commands import Error
from spec.registers import WORD_BYTES, Access, Field, Register, WindowCode, registers
from spec.tile import TileSpec

OKAY, SLVERR = 0, 2
Accesses = list[tuple[list[Any], list[Any]]]
"""An access as `cocotb_tests.bus` has it, and its response, what was read, BUS_ERROR."""

ROUNDS = 3
OTHERS = ("COMMAND", "RESET", "ERROR", "WINDOW", "WINDOW_INDEX", "WINDOW_DATA")
"""Registers that do something, or have a part of their own."""


def split(spec: TileSpec) -> Accesses:
    """Accesses that no driver makes: several words at a time, or parts of one."""
    table = {register.name: register for register in registers(spec)}
    place = {name: register.offset for name, register in table.items()}
    identity = [table[name].reset.to_bytes(4, "little").hex() for name in ("ID", "VERSION", "SIZE")]
    rows = place["ROWS"]
    assert place["IDLE_CYCLES"] == rows + 4
    scale = table["ROW_SCALE"].reset.to_bytes(4, "little").hex()
    both = "0100020003000000"
    return [
        # Several words at a time, as words.
        (["read", place["ID"], 12], [OKAY, "".join(identity), Error.NONE]),
        (["write", rows, both], [OKAY, "", Error.NONE]),
        (["read", rows, 8], [OKAY, both, Error.NONE]),
        # Some bytes of a word: short strobes, at its address or within.
        *((["write", rows, "77" * count], [SLVERR, "", Error.UNALIGNED]) for count in (1, 2, 3)),
        (["write", rows + 2, "7777"], [SLVERR, "", Error.UNALIGNED]),
        (["write", rows + 1, "77777777"], [SLVERR, "", Error.UNALIGNED]),
        (["read", rows + 3, 1], [SLVERR, "00", Error.UNALIGNED]),
        (["read", rows, 8], [OKAY, both, Error.NONE]),
        (["write", place["SIZE"], "01000100"], [SLVERR, "", Error.READ_ONLY]),
        (["read", place["ID"], 12], [OKAY, "".join(identity), Error.NONE]),
        (["write", 0xFFC, "00000000"], [SLVERR, "", Error.UNMAPPED]),
        (["read", 0xFFC, 4], [SLVERR, "00000000", Error.UNMAPPED]),
        # The second of two words is refused, the first is not.
        (["read", max(place.values()), 8], [SLVERR, "00000000" * 2, Error.UNMAPPED]),
        (["write", place["ROW_SCALE"], "00000000"], [SLVERR, "", Error.BAD_VALUE]),
        (["read", place["ROW_SCALE"], 4], [OKAY, scale, Error.NONE]),
    ]


class Expected:
    """Accesses, with what a bank in plain Python says of each."""

    def __init__(self, spec: TileSpec) -> None:
        """A tile after aresetn, whose state is unknown."""
        self.bank = RegisterBank(spec)
        self.bank.tile("STATUS", {"UNKNOWN": 1})
        self.table = {register.name: register for register in registers(spec)}
        self.accesses: Accesses = []

    def _add(self, access: list[Any], accepted: bool, word: str = "") -> None:
        error = self.bank["ERROR.BUS_ERROR"]
        self.bank.values["ERROR", "BUS_ERROR"] = 0
        self.accesses.append((access, [OKAY if accepted else SLVERR, word, error]))

    def write(self, name: str, word: int) -> None:
        """A word to a register."""
        address, word = self.table[name].offset, word % (1 << 32)
        accepted = self.bank.write(address, word)
        self._add(["write", address, word.to_bytes(WORD_BYTES, "little").hex()], accepted)
        armed, incomplete = self.bank["CONTROL.ARM"], self.bank["JOURNAL.VALID"]
        self.bank.tile("STATUS", {"ARMED": armed, "ROW_INCOMPLETE": incomplete})

    def read(self, name: str) -> None:
        """A register's word."""
        address = self.table[name].offset
        accepted, word = self.bank.read(address)
        answer = word.to_bytes(WORD_BYTES, "little").hex()
        self._add(["read", address, WORD_BYTES], accepted, answer)


def written(spec: TileSpec) -> Accesses:
    """Every register and every window, with legal values, extreme ones, and some that are not."""
    rng, made = random.Random(1), Expected(spec)

    def value(field: Field) -> int:
        return rng.choice((field.lowest, field.highest, rng.randint(field.lowest, field.highest)))

    def word(register: Register) -> int:
        return register.pack(**{
            field.name: 0 if field.name == "VALID" else value(field) for field in register.fields
        })  # fmt: skip

    names = [register.name for register in registers(spec) if register.name not in OTHERS]
    for _ in range(ROUNDS):
        for name in rng.sample(names, len(names)):
            made.write(name, word(made.table[name]))
        for name in (*names, "COMMAND", "RESET", "ERROR", "WINDOW"):
            made.read(name)
        for name in names:
            register = made.table[name]
            limited = [f for f in register.fields if f.limited and f.access is not Access.CONSTANT]
            for field in limited:
                for beyond in (field.lowest - 1, field.highest + 1):
                    if field.format.low <= beyond <= field.format.high:
                        made.write(name, register.pack(**{field.name: beyond}))
        for code in made.bank.windows:
            _window(made, code, rng)
    made.write("WINDOW", max(WindowCode) + 1)
    made.write("JOURNAL", made.table["JOURNAL"].pack(VALID=1, ROW=spec.rows - 1, P_NEW=1))
    for name in ("STATUS", "JOURNAL"):
        made.read(name)
    # The journal keeps the row's polarity, its codes and the draws of its UPDATEs.
    for name in ("JOURNAL", "ROW_LFSR", "COLUMN_LFSR", "DITHER", "RANGE"):
        made.write(name, word(made.table[name]))
        made.read(name)
    for code in made.bank.windows:
        _window(made, code, rng)
    return made.accesses


def _window(made: Expected, code: WindowCode, rng: random.Random) -> None:
    window = made.bank.windows[code]
    low, high = window.element.low, window.element.high
    made.write("WINDOW", code)
    for _ in range(window.length):
        made.write("WINDOW_DATA", rng.choice((low, high, rng.randint(low, high))))
    made.write("WINDOW_DATA", 0)
    made.write("WINDOW_INDEX", 0)
    made.write("WINDOW_DATA", high + 1)
    made.write("WINDOW_DATA", low - 1)
    for _ in range(window.length + 1):
        made.read("WINDOW_DATA")
    made.write("WINDOW_INDEX", window.length)
    made.write("WINDOW_INDEX", window.length - 1)
    made.read("WINDOW_INDEX")
    made.read("WINDOW_DATA")
    if code in (WindowCode.FORWARD_OFFSETS, WindowCode.BACKWARD_OFFSETS):
        made.bank.tile("STATUS", {"CALIBRATED": 1})


CASES: dict[str, Callable[[TileSpec], Accesses]] = {"split": split, "written": written}
