"""A tile on the simulator that plain code drives: orders to its host, events from its meter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cocotb.task import resume

from cocotb_tests.closed_loop.lockstep import Difference, Mismatch, event_difference
from cocotb_tests.closed_loop.pins import BrokenRule, Event, Reader, codes_word
from cocotb_tests.closed_loop.trace import Order
from cocotb_tests.closed_loop.verilog import READS, STATUS, WRITES
from golden.analog.array import Array
from spec import cycles
from spec.commands import Command, Error
from spec.registers import ADDRESS_BITS, Register, WindowCode, registers
from spec.tile import TileSpec

WORD = (1 << 32) - 1
SPARE_CYCLES = 20_000
"""What any order may take beside its command."""
ACCESS_CYCLES = 40
OWN_TIMEOUTS = {"STREAM_TIMEOUT": 10_000, "MACRO_TIMEOUT": 10_000}
"""Cycles after which the tile itself gives up; the host and the array here answer at once."""


class Hung(Exception):
    """The tile did not answer in time; one line."""


class SimulatedTile:
    """See the head of the file. Implements `lockstep.Simulated`."""

    def __init__(self, dut: Any, index: int, spec: TileSpec, array: Array) -> None:
        """Tile number `index` of the bench; `array` is what its pins drive."""
        self.index, self.spec, self.array = index, spec, array
        self._at, self._dut = f"t{index}_", dut
        self._handles: dict[str, Any] = {}
        self._written: dict[str, int] = {}
        self._table: dict[str, Register] = {r.name: r for r in registers(spec)}
        self._reader = Reader(spec, lambda name: str(self._signal(name).value))
        self._orders = 0
        self._events = 0
        self._operation = ""
        self._missing: str | None = None
        self.operations = 0
        self.on_command: Callable[[Command], None] = lambda _: None
        """Called after each command that was worked, with it."""
        self.on_order: Callable[[Order], None] | None = None
        """Called with each order before it is worked; its answers are put into it later."""
        self._order = resume(self._work)

    # -- the simulator's signals ---------------------------------------------------------------

    def _signal(self, name: str) -> Any:
        if name not in self._handles:
            self._handles[name] = getattr(self._dut, self._at + name)
        return self._handles[name]

    def _give(self, name: str, value: int) -> None:
        if self._written.get(name) != value:
            self._written[name] = value
            self._signal(name).value = value

    def _status(self) -> dict[str, int]:
        word, status = int(str(self._signal("status").value), 2), {}
        for name, width in STATUS:
            status[name] = word & ((1 << width) - 1)
            word >>= width
        return status

    @property
    def cycle(self) -> int:
        """Cycles of the tile's clock since its reset."""
        return int(str(self._signal("clocks").value), 2)

    # -- orders ----------------------------------------------------------------------------------

    async def _work(
        self,
        writes: Sequence[tuple[int, int]] = (),
        reads: Sequence[int] = (),
        packet: tuple[int, bytes] | None = None,
        waits: bool = False,
        result: bool = False,
        expected: Sequence[Event] = (),
        limit: int = SPARE_CYCLES,
    ) -> tuple[list[int], bytes]:
        """One order: the words read, and the packet that came."""
        limit += ACCESS_CYCLES * (len(writes) + len(reads) + 2)
        order = Order(
            self.index, self._operation, writes, reads, packet, waits, result, limit, [*expected]
        )
        if self.on_order is not None:
            self.on_order(order)
        self._orders += 1
        give = self._give
        give("write_count", len(writes))
        if writes:
            give("writes", sum((a << 32 | w) << 44 * n for n, (a, w) in enumerate(writes)))
        destination, content = packet or (0, b"")
        give("send_bytes", len(content))
        if content:
            give("send_destination", destination)
            give("send_data", int.from_bytes(content, "little"))
        give("waits", int(waits))
        give("expects", int(result))
        give("read_count", len(reads))
        if reads:
            give("read_addresses", sum(a << ADDRESS_BITS * n for n, a in enumerate(reads)))
        give("limit", limit)
        give("order", self._orders & WORD)
        give("run", 1)
        wake, place = self._signal("wake"), 0
        while True:
            await wake.value_change
            status = self._status()
            if status["events"] != self._events:
                self._events = status["events"]
                self._serve(status, expected[place] if place < len(expected) else None)
                place += 1
            if status["done"] == self._orders & WORD:
                break
        give("run", 0)
        if status["hung"]:
            missing = expected[place].name if place < len(expected) else "its answer"
            raise self._mismatch("no answer in time", expected=missing, got=None)
        values = int(str(self._signal("values").value), 2) if reads else 0
        words = [(values >> 32 * n) & WORD for n in range(len(reads))]
        if status["refused"]:
            raise self._mismatch("an access was refused", expected="OKAY", got="SLVERR")
        self._missing = expected[place].name if place < len(expected) else None
        came = b""
        if result:
            length = int(str(self._signal("result_bytes").value), 2)
            found = int(str(self._signal("result").value), 2)
            came = found.to_bytes(max(length, (found.bit_length() + 7) // 8), "little")[:length]
        if self.on_order is not None:
            order.values, order.result, order.answered, order.cycle = words, came, True, self.cycle
        return words, came

    def _mismatch(self, what: str, **fields: Any) -> Mismatch:
        return Mismatch(Difference(self.index, self._operation, what, cycle=self.cycle, **fields))

    def _serve(self, status: dict[str, int], expected: Event | None) -> None:
        """Do at the array what the pins did, if it is what golden's did."""
        try:
            event = self._reader.event(status)
        except BrokenRule as broken:
            name = None if expected is None else expected.name
            raise self._mismatch(str(broken), expected=name, got="a rule broken") from None
        difference = event_difference(expected, event)
        if difference is not None:
            raise self._mismatch(**difference)
        assert expected is not None
        codes = getattr(self.array, event.name)(**event.arguments)
        if codes is None:
            return
        if (codes != expected.result).any():
            raise self._mismatch(f"raw codes of {event.name}", expected="equal arrays", got="not")
        self._give("codes", codes_word(self.spec, codes))
        self._give("answered", self._events)

    # -- what the loop asks for ------------------------------------------------------------------

    def command(
        self,
        command: Command,
        expected: Sequence[Event],
        packet: tuple[int, bytes] | None = None,
        result: bool = False,
        **fields: int,
    ) -> bytes | None:
        """Work one command; see `lockstep.Simulated`. Raises Mismatch."""
        table = self._table
        self._operation = command.name
        self.operations += 1
        writes = []
        first, last = fields.pop("first", None), fields.pop("last", None)
        if first is not None:
            self._operation += f" of row {first}" if first == last else f" of rows {first}..{last}"
            writes.append((table["ROWS"].offset, table["ROWS"].pack(FIRST=first, LAST=last or 0)))
        named = {name.upper(): value for name, value in fields.items()}
        writes.append((table["COMMAND"].offset, table["COMMAND"].pack(OPCODE=command, **named)))
        words, answer = self._order(
            writes=writes, reads=[table["ERROR"].offset], packet=packet, waits=True, result=result,
            expected=expected, limit=self._limit(expected),
        )  # fmt: skip
        errors = table["ERROR"].unpack(words[0])
        for name, code in errors.items():
            if code != Error.NONE:
                raise self._mismatch(name, expected="NONE", got=Error(code).name)
        if self._missing:
            raise self._mismatch("event", expected=self._missing, got=None)
        self.on_command(command)
        return answer if result else None

    def _limit(self, expected: Sequence[Event]) -> int:
        """Cycles within which a command with these events is done; about twice what it takes."""
        spec = self.spec
        longest = max(cycles.forward(spec).total(), cycles.backward(spec).total())
        return SPARE_CYCLES + 2 * (longest + spec.columns) * (1 + len(expected))

    def write(self, name: str, **values: int) -> None:
        """Write a register; fields not named are 0."""
        register = self._table[name]
        self._operation = f"a write to {name}"
        self._order(writes=[(register.offset, register.pack(**values))])

    def set_rates(self, row_scale: int, column_scale: int) -> None:
        """Write the threshold scales."""
        self.write("ROW_SCALE", SCALE=row_scale)
        self.write("COLUMN_SCALE", SCALE=column_scale)

    def registers(self, names: Sequence[str]) -> dict[str, dict[str, int]]:
        """The fields of registers by name."""
        self._operation = "reads of registers"
        offsets = [self._table[name].offset for name in names]
        words: list[int] = []
        for start in range(0, len(offsets), READS):
            words += self._order(reads=offsets[start : start + READS])[0]
        return {n: self._table[n].unpack(w) for n, w in zip(names, words, strict=True)}

    def write_window(self, code: WindowCode, values: Sequence[int]) -> None:
        """Write a whole memory."""
        self._operation = f"writes to window {code.name}"
        data = self._table["WINDOW_DATA"].offset
        writes = [(self._table["WINDOW"].offset, self._table["WINDOW"].pack(SELECT=code))]
        writes += [(data, value & WORD) for value in values]
        for start in range(0, len(writes), WRITES):
            self._order(writes=writes[start : start + WRITES])

    def window(self, code: WindowCode, count: int) -> list[int]:
        """The first elements of a memory, signed."""
        self.write("WINDOW", SELECT=code)
        self._operation = f"reads of window {code.name}"
        data, words = self._table["WINDOW_DATA"].offset, list[int]()
        while len(words) < count:
            words += self._order(reads=[data] * min(READS, count - len(words)))[0]
        return [word - (1 << 32) if word >> 31 else word for word in words]

    def bring_up(self, set_table: Sequence[int], states: tuple[int, int], hidden: bool) -> None:
        """After aresetn: what golden's controller is given, and a polarity that is known."""
        for name, cycles_ in OWN_TIMEOUTS.items():
            self.write(name, CYCLES=cycles_)
        self.write("ROW_LFSR", STATE=states[0])
        self.write("COLUMN_LFSR", STATE=states[1])
        self.write_window(WindowCode.SET_TABLE, set_table)
        self.write("IRQ_ENABLE", DONE=1, ERROR=1)
        self.write("CONTROL", ARM=1, HIDDEN=int(hidden), RAW_FORWARD=1, RAW_BACKWARD=1)
        # aresetn has made every bit NORMAL, and the array is blank: that is a known state.
        self.write("RESET", POLARITY_VALID=1)
