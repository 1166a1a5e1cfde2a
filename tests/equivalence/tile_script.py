"""What a host does to a tile, as a script that golden and Verilog both go through.

A script is a list of steps; what comes back is a list of outcomes, one a step, and the state at the
end: registers, windows, and what the array macro was asked to do. `Host` is the host's side of a
simulated tile, whatever simulates it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from golden.analog.array import Array
from golden.digital import vector_input, vector_output
from golden.digital.command import CommandPort
from golden.digital.controller import TileController
from golden.words import numbers_of, pulsing, thermometer
from spec.boundary import Pair, SoftReset
from spec.commands import Command, Destination, Error, VectorFormat
from spec.registers import Register, WindowCode, registers
from spec.segments import Segments
from spec.tile import TileSpec
from tests.equivalence.macro import Cut

if TYPE_CHECKING:
    from cocotb_tests.coverage.functional import Watch

STREAM_TIMEOUT_CYCLES = 60
KEPT = ("ROWS_DONE", "ATTEMPTS", "NOT_PROGRAMMED", "NOT_TRIMMED", "SATURATED", "FORWARDS")
STATUS = (
    "UNKNOWN", "ROW_INCOMPLETE", "ROWS_HELD", "COLUMNS_HELD", "ROWS_WAITING", "COLUMNS_WAITING",
)  # fmt: skip
WRITTEN = (*KEPT, "DITHER", "RANGE")
"""Registers whose writing a script can ask for."""
COUNTERS = ("rows", "attempts", "not_programmed", "not_trimmed", "saturated")
"""Golden's, as `KEPT` has them."""


@dataclass
class Script:
    """A tile's configuration after aresetn, and the steps.

    Steps: ("command", Command, fields), ("packet", destination, codes), ("late packet", ...), which
    comes while the next command waits for it, ("queue", destination, codes): a packet that goes in
    when there is room, those behind it later, ("repeated", Command, fields): a command that is
    written until it has been taken twice, of which the second answer counts, ("polarity", bits),
    ("soft reset",), ("results", takes): whether the host takes them from then on, ("known",):
    POLARITY_VALID, ("write", register of `WRITTEN`, fields), ("offsets", of FORWARD, of BACKWARD),
    ("journal", row, p_new, Kind, codes), ("control", fields): some of CONTROL's change, ("arm",
    bit), ("safe", bit): the pin analog_safe, ("streams", states, scales): as at first, ("abort",
    Command, fields, cycles): ABORT comes so many cycles after its start, ("status",): its bits of
    `STATUS` are an answer, and, once, ("cut", Command, fields, cycles): a command that a soft reset
    ends some cycles after its start.
    """

    spec: TileSpec
    set_table: np.ndarray
    states: tuple[int, int]
    scales: tuple[int, int]
    enabled: np.ndarray
    control: dict[str, int]
    steps: list[tuple[Any, ...]]
    segments: Segments | None = None
    """What the host writes to the neurons' table; None: nothing."""


@dataclass
class Found:
    """What a tile made of a script."""

    answers: list[Any] = field(default_factory=list)
    packets: list[tuple[int, bytes]] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[Any, ...]] = field(default_factory=list)
    cut: Cut | None = None
    cycles: list[int] = field(default_factory=list)
    """Of each command, where they were counted; golden has none."""
    aborted: list[int] = field(default_factory=list)
    """The rows that were in hand when an ABORT came."""
    stalls: dict[str, float] = field(default_factory=dict)
    """The bench's: the share of cycles of "streams", the largest delay of the "macro"."""

    def __eq__(self, other: object) -> bool:
        """Equal in all that a host or the array can see; else the first difference is raised."""
        assert isinstance(other, Found)
        for name in ("answers", "events", "packets"):
            mine, others = getattr(self, name), getattr(other, name)
            for place, (one, two) in enumerate(zip(mine, others, strict=False)):
                assert one == two, f"{name} {place}: {one} against {two}"
            assert len(mine) == len(others), f"{name}: {len(mine)} against {len(others)}"
        for name, value in self.state.items():
            assert value == other.state[name], f"{name}: {value} against {other.state[name]}"
        return self.state.keys() == other.state.keys()


class Recorded:
    """An array macro that lists its boundary events, as the pins show them, on their way.

    `cut` lets a soft reset fall where the pins saw one: within an event, or before the next one.
    """

    def __init__(self, array: Array) -> None:
        self.array, self.spec = array, array.spec
        self.events: list[tuple[Any, ...]] = []
        self.cut: Cut | None = None
        self.at_once = False

    @property
    def at_cut(self) -> bool:
        """As many events have been as before the soft reset."""
        return self.cut is not None and len(self.events) == self.cut.events

    def _enter(self, *event: Any) -> bool:
        """List an event that begins; whether the soft reset falls within it."""
        falls = self.at_cut
        if falls:
            assert self.cut is not None
            if not self.cut.inside:
                self.end()
            event = ("cut", event[0], self.cut.slots)
        self.events.append(event)
        return falls

    def _leave(self) -> None:
        """An event is over."""
        if self.at_once and self.at_cut:
            self.end()

    def end(self) -> None:
        self.cut, self.at_once = None, False
        self.array.clear_integrators()
        raise SoftReset

    def integrate_columns(self, durations: Any, lower_swap: int) -> None:
        falls = self._enter("integrate_columns", durations.tolist(), int(lower_swap))
        self.array.integrate_columns(durations, lower_swap)
        if falls:
            self.end()
        self._leave()

    def integrate_rows(self, durations: Any, row_lower_swap: Any) -> None:
        falls = self._enter("integrate_rows", durations.tolist(), row_lower_swap.tolist())
        self.array.integrate_rows(durations, row_lower_swap)
        if falls:
            self.end()
        self._leave()

    def integrate_read(self, row: int, pair: Pair, lower_swap: int) -> None:
        falls = self._enter("integrate_read", row, pair, lower_swap)
        self.array.integrate_read(row, pair, lower_swap)
        if falls:
            self.end()
        self._leave()

    def _convert(self, name: str, convert: Callable[[], Any]) -> Any:
        if self._enter(name):
            # What is not returned has drawn no noise, but has taken its time.
            self.events.pop()
            self.array.wait(self.spec.timing.conversion_ns)
            self.end()
        raw = convert()
        self._leave()
        return raw

    def convert_forward(self, active: Any) -> Any:
        return self._convert("convert_forward", lambda: self.array.convert_forward(active))

    def convert_backward(self) -> Any:
        return self._convert("convert_backward", self.array.convert_backward)

    def convert_read(self, active: Any, repeats: int) -> Any:
        def convert(hold: bool) -> Any:
            return self.array.convert_read(active, 1, hold=hold)

        each = [
            self._convert("convert_read", lambda place=place: convert(place < repeats - 1))
            for place in range(repeats)
        ]
        return np.concatenate(each)

    def update(self, row_words: Any, column_words: Any, charge: Any) -> None:
        pulsed = pulsing(column_words) & charge
        words = numbers_of(row_words), numbers_of(column_words), pulsed.tolist()
        if self._enter("update", *words):
            assert self.cut is not None
            delivered = thermometer(self.cut.slots, self.array.spec.update.slots)
            self.array.update(row_words & delivered, column_words & delivered, charge)
            self.end()
        self.array.update(row_words, column_words, charge)
        self._leave()

    def precharge(self, row: int) -> None:
        self._enter("precharge", row)
        self.array.precharge(row)
        self._leave()

    def reset(self, row: int, active: Any) -> None:
        self._enter("reset", row, active.tolist())
        self.array.reset(row, active)
        self._leave()

    def set(self, row: int, active: Any, minus: Any, step_codes: Any) -> None:
        self._enter("set", row, active.tolist(), minus.tolist(), step_codes.tolist())
        self.array.set(row, active, minus, step_codes)
        self._leave()

    def wait(self, duration_ns: int) -> None:
        cycle_ns = self.spec.timing.cycle_ns
        if self._enter("wait", duration_ns // cycle_ns):
            assert self.cut is not None
            self.array.wait(min(duration_ns, self.cut.slots * cycle_ns))
            self.end()
        self.array.wait(duration_ns)
        self._leave()


@dataclass
class Moment:
    """When, after the last whole event before a soft reset, the golden sequencer ends.

    The pins do not show its steps: it may be `at_once`, before step number `steps`, before the next
    event, or (`after`) when the command is over.
    """

    steps: int | None = None
    after: bool = False
    at_once: bool = False


def cut_short(
    port: CommandPort, macro: Recorded, cut: Cut, moment: Moment, command: Command, fields: Any
) -> None:
    """Run a command into a soft reset."""
    steps = 0

    def on_step() -> None:
        nonlocal steps
        if macro.at_cut and moment.steps is not None:
            if steps == moment.steps:
                macro.end()
            steps += 1

    macro.cut, macro.at_once = cut, moment.at_once
    port.on_step = None if cut.inside else on_step
    answer = port.execute(command, **fields)
    assert (answer is None) != moment.after, "no such moment"
    macro.cut = port.on_step = None
    macro.at_once = False
    port.soft_reset()


def aborted_in_row(port: CommandPort, row: int, command: Command, fields: Any) -> Error | None:
    """Run a command over a range of rows, with an ABORT while a row is worked."""

    def on_step() -> None:
        if port.control.transfers.next_row == row:
            assert port.execute(Command.ABORT) is Error.NONE

    port.on_step = on_step
    answer = port.execute(command, **fields)
    port.on_step = None
    return answer


def array_state(array: Array) -> dict[str, Any]:
    """All that makes two arrays equal."""
    return {
        "lower": array.capacitors.lower.tolist(),
        "g_plus": array.pcm.g_plus.tolist(),
        "g_minus": array.pcm.g_minus.tolist(),
        "column_ordinals": array.columns.noise.ordinals.tolist(),
        "row_ordinals": array.rows.noise.ordinals.tolist(),
        "clock_ns": array.clock_ns,
        "updates": array.updates,
    }


def golden_tile(
    script: Script,
    array: Array,
    cut: Cut | None = None,
    moment: Moment | None = None,
    watch: Watch | None = None,
    aborted: Sequence[int] = (),
) -> Found:
    """The script at the golden command port; a "cut" step ends as the pins saw it end.

    `watch` sees each command before and after, for coverage; `aborted` are the rows in which an
    ABORT came.
    """
    spec, macro = script.spec, Recorded(array)
    queue: list[tuple[Destination, np.ndarray]] = []
    control = TileController(
        spec, macro, script.set_table, script.states, hidden=bool(script.control["HIDDEN"])
    )
    control.set_rates(*script.scales)
    control.active[:] = script.enabled
    if script.segments is not None:
        control.set_segments(script.segments)
    port = CommandPort(control)
    port.calibrated = True  # the host has written the offsets
    port.armed, port.bringup = bool(script.control["ARM"]), bool(script.control["BRINGUP"])
    modes = script.control
    found, sent = Found(), 0
    send = {
        Destination.ROWS: port.send_rows,
        Destination.COLUMNS: port.send_columns,
        Destination.WEIGHTS: port.send_weights,
    }

    def enter() -> None:
        while queue and send[queue[0][0]](queue[0][1]):
            queue.pop(0)

    for kind, *arguments in script.steps:
        if kind in ("command", "repeated"):
            command, fields = arguments
            for _ in range(1 if kind == "command" else 2):
                if watch is not None:
                    watch.before(port, macro, command, fields)
                answer = port.execute(command, **fields)
                if watch is not None:
                    watch.after(answer)
                enter()
            if kind == "repeated":
                port.clear_errors()
            found.answers.append(answer)
            for destination, codes in port.results[sent:]:
                found.packets.append((destination, _packet(script, modes, destination, codes)))
            sent = len(port.results)
        elif kind in ("packet", "late packet"):
            send[arguments[0]](np.array(arguments[1], np.int64))
        elif kind == "queue":
            queue.append((arguments[0], np.array(arguments[1], np.int64)))
            enter()
        elif kind == "polarity":
            for row, bit in enumerate(arguments[0]):
                found.answers.append(port.write_polarity(row, bit))
                port.clear_errors()
        elif kind == "abort":
            found.aborted.append(aborted[len(found.aborted)])
            answer = aborted_in_row(port, found.aborted[-1], *arguments[:2])
            found.answers.append(answer)
            if watch is not None:
                watch.aborted()
        elif kind == "cut":
            assert cut is not None
            cut_short(port, macro, cut, moment or Moment(), arguments[0], arguments[1])
            # It may have been over by then.
            if watch is not None and not (moment and moment.after):
                watch.cut(arguments[0], macro.events, cut)
            # What was on its way out is dropped, or was out before.
            found.packets.clear()
            sent = len(port.results)
        elif kind == "soft reset":
            if port.result_waits:
                # Its first beat is on offer already, and nothing else of it comes.
                destination, packet = found.packets[-1]
                found.packets[-1] = destination, packet[: spec.host.axis_bytes]
            port.soft_reset()
        elif kind == "results":
            port.take_results(arguments[0])
        elif kind == "write":
            _write(port, *arguments)
        elif kind == "control":
            modes = modes | arguments[0]
            control.hidden = bool(modes["HIDDEN"])
        elif kind == "status":
            found.answers.append(_status(port))
        elif kind == "offsets":
            control.forward_offsets[:], control.backward_offsets[:] = arguments
        elif kind == "journal":
            row, p_new, of, codes = arguments
            found.answers.append(port.write_journal(row, p_new, of, np.array(codes)))
        elif kind == "streams":
            (control.row_stream.state, control.column_stream.state), scales = arguments
            control.set_rates(*scales)
        elif kind == "arm":
            port.armed = bool(arguments[0])
        elif kind == "safe":
            port.safe = bool(arguments[0])
        else:
            if watch is not None:
                watch.known(port)
            port.polarity_valid()
    transfers, counters = control.transfers, control.counters
    journal, dithers = transfers.journal, (control.forward_dither, control.backward_dither)
    found.state = {
        "polarity": control.polarity.bits.tolist(),
        "journal": {
            "VALID": int(journal.valid),
            "P_NEW": journal.p_new,
            "KIND": journal.kind.value,
            "ROW": journal.row,
        },
        "range": {"NEXT_ROW": transfers.next_row, "LAST_ROW": transfers.last_row & 0xFFF},
        "lfsrs": (control.row_stream.state, control.column_stream.state),
        "dither": {"FORWARD": dithers[0].count, "BACKWARD": dithers[1].count},
        "offsets": port.calibrated
        and (control.forward_offsets.tolist(), control.backward_offsets.tolist()),
        "counters": [
            count % (1 << 32)
            for count in (*(getattr(counters, name) for name in COUNTERS), port.forwards)
        ],
        "unknown": int(port.unknown),
        "vector_error": int(port.vector_error),
        **array_state(array),
    }  # fmt: skip
    found.events = macro.events
    return found


def _write(port: CommandPort, name: str, fields: dict[str, int]) -> None:
    """A host's write to a register of `WRITTEN`."""
    control, transfers = port.control, port.control.transfers
    if name == "DITHER":
        control.forward_dither.count = fields["FORWARD"]
        control.backward_dither.count = fields["BACKWARD"]
    elif name == "RANGE":
        transfers.next_row, transfers.last_row = fields["NEXT_ROW"], fields["LAST_ROW"]
    elif name == "FORWARDS":
        port.forwards = fields["COUNT"]
    else:
        setattr(control.counters, COUNTERS[KEPT.index(name)], fields["COUNT"])


def _status(port: CommandPort) -> dict[str, int]:
    """The bits of `STATUS`."""
    control = port.control
    bits = (
        port.unknown, control.transfers.journal.valid, control.holds_rows, control.holds_columns,
        port.waits(Destination.ROWS), port.waits(Destination.COLUMNS),
    )  # fmt: skip
    return dict(zip(STATUS, map(int, bits), strict=True))


def _packet(
    script: Script, control: dict[str, int], destination: Destination, codes: np.ndarray
) -> bytes:
    formats = {
        Destination.ROWS: (control["RAW_FORWARD"], VectorFormat.ROW_CODES),
        Destination.COLUMNS: (control["RAW_BACKWARD"], VectorFormat.COLUMN_CODES),
        Destination.WEIGHTS: (1, VectorFormat.RAW),
    }
    raw, otherwise = formats[destination]
    chosen = VectorFormat.RAW if raw else otherwise
    shift = control["BACKWARD_SHIFT"]
    return vector_output.encoded(script.spec, codes, chosen, shift, script.segments)


class Host(Protocol):
    """The host's side of a simulated tile."""

    async def write(self, address: int, word: int) -> int:
        """An AXI4-Lite write; its response."""
        ...

    async def read(self, address: int) -> tuple[int, int]:
        """An AXI4-Lite read: the word, and its response."""
        ...

    async def send(self, destination: int, packet: bytes) -> None:
        """Offer a packet; returns at once."""
        ...

    async def sent(self) -> None:
        """Wait until all packets offered have been taken."""
        ...

    async def interrupt(self) -> None:
        """Wait until irq is high."""
        ...

    def received(self) -> list[tuple[int, bytes]]:
        """All packets that came out, with their destinations."""
        ...

    def take(self, takes: bool) -> None:
        """Whether results are taken from now on."""
        ...

    async def wait(self, cycles: int) -> None:
        """Let cycles pass."""
        ...

    async def settle(self) -> None:
        """Wait until nothing is on its way out."""
        ...

    async def safe(self, bit: int) -> None:
        """Drive the pin analog_safe."""
        ...


class Driver:
    """The registers of a tile by name."""

    def __init__(self, spec: TileSpec, host: Host) -> None:
        """One tile's registers."""
        self.host = host
        self.table: dict[str, Register] = {r.name: r for r in registers(spec)}

    async def write(self, name: str, **fields: int) -> int:
        """Write a register; fields not named are 0."""
        register = self.table[name]
        return await self.host.write(register.offset, register.pack(**fields))

    async def read(self, name: str) -> dict[str, int]:
        """A register's fields."""
        register = self.table[name]
        word, response = await self.host.read(register.offset)
        assert response == 0, f"{name}: response {response}"
        return register.unpack(word)

    async def window(self, code: WindowCode, values: list[int]) -> None:
        """Write a whole memory."""
        await self.write("WINDOW", SELECT=code)
        for value in values:
            assert await self.host.write(self.table["WINDOW_DATA"].offset, value & 0xFFFFFFFF) == 0

    async def window_values(self, code: WindowCode, count: int) -> list[int]:
        """Read a memory from its first element on."""
        await self.write("WINDOW", SELECT=code)
        words = [(await self.host.read(self.table["WINDOW_DATA"].offset))[0] for _ in range(count)]
        return [word - (1 << 32) if word >> 31 else word for word in words]

    async def start(self, command: int, **fields: int) -> int:
        """Write what a command needs, then the command; the response."""
        if "first" in fields or "last" in fields:
            await self.write("ROWS", FIRST=fields.get("first", 0), LAST=fields.get("last", 0))
        if "cycles" in fields:
            await self.write("IDLE_CYCLES", CYCLES=fields["cycles"])
        names = ("new_rows", "new_columns", "force", "pair", "minus", "step_code")
        options = {name.upper(): int(fields[name]) for name in names if name in fields}
        return await self.write("COMMAND", OPCODE=command, **options)

    async def answer(self) -> Error:
        """Wait for the interrupt of a command; its error."""
        await self.host.interrupt()
        await self.write("IRQ_PENDING", DONE=1, ERROR=1)
        return Error((await self.read("ERROR"))["COMMAND_ERROR"])


async def set_streams(driver: Driver, states: Sequence[int], scales: Sequence[int]) -> None:
    """Write the LFSRs and the rates, the rows' first."""
    for side, state, scale in zip(("ROW", "COLUMN"), states, scales, strict=True):
        await driver.write(f"{side}_SCALE", SCALE=scale)
        await driver.write(f"{side}_LFSR", STATE=state)


async def bring_up(script: Script, host: Host) -> Driver:
    """Write a script's configuration."""
    driver = Driver(script.spec, host)
    await driver.write("CONTROL", **script.control)
    await set_streams(driver, script.states, script.scales)
    await driver.write("STREAM_TIMEOUT", CYCLES=STREAM_TIMEOUT_CYCLES)
    await driver.write("MACRO_TIMEOUT", CYCLES=2000)
    await driver.write("IRQ_ENABLE", DONE=1, ERROR=1)
    await driver.window(WindowCode.SET_TABLE, script.set_table.tolist())
    if not script.enabled.all():
        await driver.window(WindowCode.COLUMN_ENABLE, [int(e) for e in script.enabled])
    if script.segments is not None:
        await driver.window(WindowCode.SEGMENT_BASES, list(script.segments.bases))
        await driver.window(WindowCode.SEGMENT_SLOPES, list(script.segments.slopes))
        await driver.window(WindowCode.SEGMENT_PASSES, list(script.segments.passes))
    # A memory is all zero at first; that the host has written one offset makes them known.
    await driver.window(WindowCode.FORWARD_OFFSETS, [0])
    return driver


async def run(script: Script, host: Host) -> Found:
    """The script at a simulated tile; `events` and the array's state are for the caller to add."""
    spec, driver, found = script.spec, await bring_up(script, host), Found()
    late: list[tuple[Destination, Any]] = []
    control = script.control
    for kind, *arguments in script.steps:
        if kind == "command":
            command, fields = arguments
            assert await driver.start(command, **fields) == 0
            for destination, codes in late:
                await host.send(destination, vector_input.encoded(destination, np.array(codes)))
            late.clear()
            found.answers.append(await driver.answer())
        elif kind == "packet":
            packet = vector_input.encoded(arguments[0], np.array(arguments[1], np.int64))
            await host.send(arguments[0], packet)
            if arguments[0] is not Destination.WEIGHTS:
                await host.sent()
        elif kind == "queue":
            packet = vector_input.encoded(arguments[0], np.array(arguments[1], np.int64))
            await host.send(arguments[0], packet)
        elif kind == "repeated":
            command, fields = arguments
            assert await driver.start(command, **fields) == 0
            # Refused with BUSY until the first one is over.
            while await driver.write("COMMAND", OPCODE=command):
                pass
            while (await driver.read("STATUS"))["BUSY"]:
                pass
            await driver.write("IRQ_PENDING", DONE=1, ERROR=1)
            found.answers.append(Error((await driver.read("ERROR"))["COMMAND_ERROR"]))
            await driver.write("ERROR")
        elif kind == "late packet":
            late.append((arguments[0], arguments[1]))
        elif kind == "polarity":
            await driver.write("WINDOW", SELECT=WindowCode.POLARITY)
            for bit in arguments[0]:
                response = await host.write(driver.table["WINDOW_DATA"].offset, bit)
                error = (await driver.read("ERROR"))["BUS_ERROR"]
                found.answers.append(Error(error))
                assert (response == 0) == (error == 0)
                await driver.write("ERROR")
        elif kind == "abort":
            command, fields, cycles = arguments
            assert await driver.start(command, **fields) == 0
            await host.wait(cycles)
            assert await driver.write("COMMAND", OPCODE=Command.ABORT) == 0
            found.answers.append(await driver.answer())
            found.aborted.append((await driver.read("RANGE"))["NEXT_ROW"] - 1)
        elif kind == "cut":
            command, fields, cycles = arguments
            assert await driver.start(command, **fields) == 0
            for destination, codes in late:
                await host.send(destination, vector_input.encoded(destination, np.array(codes)))
            late.clear()
            await host.wait(cycles)
            await driver.write("RESET", SOFT_RESET=1)
            await driver.write("IRQ_PENDING", DONE=1, ERROR=1)
            await host.settle()
            host.received().clear()
        elif kind == "soft reset":
            await driver.write("RESET", SOFT_RESET=1)
        elif kind == "results":
            # What came before is taken whole.
            if not arguments[0]:
                await host.settle()
            host.take(arguments[0])
            if arguments[0]:
                await host.settle()
        elif kind == "write":
            await driver.write(arguments[0], **arguments[1])
        elif kind == "control":
            control = control | arguments[0]
            await driver.write("CONTROL", **control)
        elif kind == "status":
            status = await driver.read("STATUS")
            found.answers.append({name: status[name] for name in STATUS})
        elif kind == "offsets":
            await driver.window(WindowCode.FORWARD_OFFSETS, arguments[0])
            await driver.window(WindowCode.BACKWARD_OFFSETS, arguments[1])
        elif kind == "journal":
            row, p_new, of, codes = arguments
            await driver.window(WindowCode.JOURNAL_CODES, codes)
            await driver.write("JOURNAL", VALID=1, P_NEW=p_new, KIND=of.value, ROW=row)
            error = (await driver.read("ERROR"))["BUS_ERROR"]
            found.answers.append(Error(error))
        elif kind == "streams":
            await set_streams(driver, *arguments)
        elif kind == "arm":
            await driver.write("CONTROL", **script.control | {"ARM": arguments[0]})
        elif kind == "safe":
            await host.safe(arguments[0])
        else:
            await driver.write("RESET", POLARITY_VALID=1)
    await host.settle()
    found.packets = host.received()
    status = await driver.read("STATUS")
    counters = [(await driver.read(name))["COUNT"] for name in KEPT]
    found.state = {
        "polarity": await driver.window_values(WindowCode.POLARITY, spec.rows),
        "journal": await driver.read("JOURNAL"),
        "range": await driver.read("RANGE"),
        "lfsrs": (
            (await driver.read("ROW_LFSR"))["STATE"],
            (await driver.read("COLUMN_LFSR"))["STATE"],
        ),
        "dither": await driver.read("DITHER"),
        "offsets": bool(status["CALIBRATED"])
        and (
            await driver.window_values(WindowCode.FORWARD_OFFSETS, spec.columns),
            await driver.window_values(WindowCode.BACKWARD_OFFSETS, spec.rows),
        ),
        "counters": counters,
        "unknown": status["UNKNOWN"],
        "vector_error": (await driver.read("ERROR"))["VECTOR_ERROR"],
    }
    return found
