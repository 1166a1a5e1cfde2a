"""The command port: what it refuses, what its packets do, and what interrupts a command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from golden.analog.interrupted import InterruptedArray
from golden.digital.command import CommandPort
from golden.digital.controller import TileController
from golden.digital.transfer import Kind, State
from golden.training.network import Tile
from golden.words import thermometer
from spec.boundary import ArrayMacro, Controller, Pair, SoftReset
from spec.commands import Command, Destination, Error, PairCode
from spec.lfsr import CHOPPER_RESET

EXACT = {"trim_tol": 0, "trim_limit": 24}
WEIGHTS = np.array([300, -300, 40, -700, 0])


@dataclass
class Rig:
    """A bench whose tile is driven through a command port, armed and in a known state."""

    b: Any
    port: CommandPort
    macro: InterruptedArray

    @property
    def control(self) -> TileController:
        return self.b.control

    @property
    def transfers(self) -> Any:
        return self.b.control.transfers

    def state(self) -> dict[str, Any]:
        """Everything that a digest lists, and what the port and the controller hold besides."""
        tile = Tile(self.b.spec, self.b.control, self.b.array)
        held = [self.control._rows, self.control._columns, self.control._mask]
        return (
            {name: array.tolist() for name, array in tile.state().items()}
            | tile.registers()
            | {"held": [None if v is None else v.tolist() for v in held]}
            | {"unknown": self.port.unknown, "covered": self.port.covered}
            | {"enables": (self.port.armed, self.port.bringup), "forwards": self.port.forwards}
        )

    def forward(self) -> Error | None:
        assert self.port.send_rows(np.arange(1, self.b.spec.rows) * 40)
        return self.port.execute(Command.FORWARD)

    def hold_vectors(self) -> None:
        assert self.forward() is Error.NONE
        assert self.port.send_columns(np.array([50, -60, 70, -80, 90]))
        assert self.port.execute(Command.BACKWARD) is Error.NONE

    def make_journal(self, row: int = 2) -> None:
        """Leave a valid journal: a TRANSFER of this row alone, cut at its precharge."""
        self.transfers.start(Kind.TRANSFER, row, row)
        while self.transfers.state is not State.PRECHARGE:
            self.transfers.step()
        self.port.soft_reset()
        self.b.macro.events.clear()


@pytest.fixture
def rig(bench: Callable[..., Any]) -> Callable[..., Rig]:
    """rig(seed=..., **bench arguments): a Rig with random weights, or blank if seed is None."""

    def make(*arguments: Any, weights: int | None = 30, **settings: Any) -> Rig:
        b = bench(*arguments, **settings)
        if weights is not None:
            b.randomise(weights)
        macro = InterruptedArray(b.array)
        b.macro.array = macro
        port = CommandPort(b.control)
        port.armed = True
        port.polarity_valid()
        return Rig(b, port, macro)

    return make


def difference(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [name for name in before if before[name] != after[name]]


def first_away(found: np.ndarray, expected: np.ndarray, limit: float) -> str:
    away = np.argwhere(np.abs(found - expected) > limit)
    if not len(away):
        return ""
    place = tuple(int(k) for k in away[0])
    return f"cell {place}: expected {expected[place]} +- {limit}, got {found[place]}"


def bar(b: Any) -> int:
    """Half an LSB each for the READ before and the READ after, and a trim step."""
    capacitors = b.array.capacitors
    step = max(capacitors.step_up.max(), capacitors.step_down.max()) * 1.06
    return (1 << b.array.read_range.shift) + int(step)


def test_the_twins_are_what_the_boundary_names() -> None:
    controller: type[Controller] = TileController
    macro: type[ArrayMacro] = InterruptedArray
    for protocol, kind in ((Controller, controller), (ArrayMacro, macro)):
        names = [name for name in vars(protocol) if not name.startswith("_")]
        assert names
        assert [name for name in names if not hasattr(kind, name)] == []


# -- refusals ------------------------------------------------------------------------------------


def unarmed(r: Rig) -> None:
    r.port.armed = False


def unknown(r: Rig) -> None:
    r.port.unknown = True


def incomplete(r: Rig) -> None:
    r.make_journal(2)


def nothing(r: Rig) -> None:
    r.port.bringup = True


def no_bringup(r: Rig) -> None:
    r.port.bringup = False


def unsafe(r: Rig) -> None:
    r.port.safe = True


KNOWN_ONLY = [c for c in Command if c not in (Command.INIT, Command.IDLE)]
COMPLETE_ONLY = [
    c for c in KNOWN_ONLY if c not in (Command.RESUME, Command.ABORT, Command.READ)
]  # fmt: skip
REFUSED = [
    *((nothing, code, {}, Error.UNKNOWN_COMMAND) for code in (0, 14, 255)),
    *((unarmed, command, {}, Error.NOT_ARMED) for command in Command),
    *((unsafe, command, {}, Error.SAFE) for command in Command),
    (nothing, Command.IDLE, {"cycles": 0}, Error.BAD_VALUE),
    *((unknown, command, {}, Error.STATE_UNKNOWN) for command in KNOWN_ONLY),
    *((incomplete, command, {"first": 2}, Error.ROW_INCOMPLETE) for command in COMPLETE_ONLY),
    (incomplete, Command.INIT, {"first": 0, "last": 5}, Error.ROW_INCOMPLETE),
    (incomplete, Command.INIT, {"first": 0, "last": 1, "force": True}, Error.ROW_INCOMPLETE),
    (incomplete, Command.INIT, {"first": 3, "last": 5, "force": True}, Error.ROW_INCOMPLETE),
    (incomplete, Command.INIT, {"first": 3, "last": 1, "force": True}, Error.ROW_INCOMPLETE),
    (incomplete, Command.INIT, {"first": 0, "last": 6, "force": True}, Error.BAD_ROWS),
    (incomplete, Command.TRANSFER, {"last": 5, "force": True}, Error.ROW_INCOMPLETE),
    (incomplete, Command.READ, {"first": 6}, Error.BAD_ROWS),
    *(
        (nothing, command, {"first": first, "last": last}, Error.BAD_ROWS)
        for command in (Command.TRANSFER, Command.INIT)
        for first, last in ((0, 6), (3, 2), (6, 6))
    ),
    *(
        (nothing, command, {"first": first}, Error.BAD_ROWS)
        for command in (Command.READ, Command.LOAD, Command.PROGRAM, Command.PRECHARGE)
        for first in (6, 2047)
    ),
    (nothing, Command.READ, {"pair": 3}, Error.BAD_VALUE),
    (no_bringup, Command.PROGRAM, {}, Error.NOT_BRINGUP),
    (no_bringup, Command.PRECHARGE, {}, Error.NOT_BRINGUP),
    (nothing, Command.UPDATE, {}, Error.NO_VECTOR),
    (nothing, Command.UPDATE, {"new_rows": True}, Error.NO_VECTOR),
    (nothing, Command.UPDATE, {"new_columns": True}, Error.NO_VECTOR),
]


@pytest.mark.parametrize(
    ("prepare", "command", "fields", "error"),
    REFUSED,
    ids=[f"{e.name}-{getattr(c, 'name', c)}-{k}" for k, (_, c, _, e) in enumerate(REFUSED)],
)
def test_a_refused_command_has_an_error_and_does_nothing(
    rig: Any, prepare: Any, command: int, fields: dict[str, Any], error: Error
) -> None:
    r = rig()
    nothing(r)
    prepare(r)
    assert r.port.send_rows(np.full(5, 9))
    assert r.port.send_columns(np.full(5, 9))
    assert r.port.send_weights(np.full(5, 9))
    before = r.state()
    assert r.port.execute(command, **fields) is error
    assert difference(before, r.state()) == []
    assert r.b.macro.events == []
    assert r.port.results == []
    assert not r.port.send_rows(np.full(5, 9)), "a refused command took a packet"
    assert not r.port.send_columns(np.full(5, 9)), "a refused command took a packet"
    assert not r.port.send_weights(np.full(5, 9)), "a refused command took a packet"


@pytest.mark.parametrize(
    ("command", "fields", "order"),
    [
        (Command.PROGRAM, {"first": 6}, "NOT_ARMED STATE_UNKNOWN ROW_INCOMPLETE BAD_ROWS"),
        (Command.PROGRAM, {}, "NOT_ARMED STATE_UNKNOWN ROW_INCOMPLETE NOT_BRINGUP"),
        (Command.TRANSFER, {"last": 6}, "NOT_ARMED STATE_UNKNOWN ROW_INCOMPLETE BAD_ROWS"),
        (Command.READ, {"first": 6, "pair": 3}, "NOT_ARMED STATE_UNKNOWN BAD_ROWS"),
        (Command.READ, {"first": 5, "pair": 3}, "NOT_ARMED STATE_UNKNOWN BAD_VALUE"),
        (Command.UPDATE, {}, "NOT_ARMED STATE_UNKNOWN ROW_INCOMPLETE NO_VECTOR"),
        (Command.INIT, {"last": 6}, "NOT_ARMED ROW_INCOMPLETE BAD_ROWS"),
        (Command.FORWARD, {}, "NOT_ARMED STATE_UNKNOWN ROW_INCOMPLETE STREAM_TIMEOUT"),
    ],
)
def test_of_several_reasons_the_first_of_a_fixed_order_is_given(
    rig: Any, command: Command, fields: dict[str, Any], order: str
) -> None:
    r, found = rig(), []
    unarmed(r)
    unknown(r)
    incomplete(r)
    cures: dict[str, Callable[[], object]] = {
        "NOT_ARMED": lambda: setattr(r.port, "armed", True),
        "STATE_UNKNOWN": r.port.polarity_valid,
        "ROW_INCOMPLETE": lambda: setattr(r.transfers.journal, "valid", False),
    }
    while True:
        error = r.port.execute(command, **fields)
        assert error is not None
        found.append(error.name)
        if error.name not in cures:
            break
        cures[error.name]()
    assert " ".join(found) == order


def test_idle_and_reads_pass_an_incomplete_row(rig: Any) -> None:
    r = rig()
    incomplete(r)
    assert r.port.execute(Command.READ, first=2) is Error.NONE
    unknown(r)
    clock_ns = r.b.array.clock_ns
    assert r.port.execute(Command.IDLE, cycles=7) is Error.NONE
    assert r.b.array.clock_ns - clock_ns == 7 * r.b.spec.timing.cycle_ns


def test_one_row_takes_no_packet_forward_and_has_no_backward(rig: Any) -> None:
    r = rig(rows=1)
    unarmed(r)
    assert r.port.execute(Command.BACKWARD) is Error.UNKNOWN_COMMAND
    r.port.armed = True
    assert r.port.execute(Command.FORWARD) is Error.NONE
    assert r.port.send_columns(np.full(5, 100))
    assert r.port.execute(Command.UPDATE, new_rows=True, new_columns=True) is Error.NONE
    assert r.b.macro.names() == ["integrate_columns", "convert_forward", "update"]
    assert r.port.execute(Command.TRANSFER, first=0, last=0) is Error.NONE
    assert r.control.polarity.bits.tolist() == [1]


# -- packets and vectors -------------------------------------------------------------------------

BAD_ROW_CODES = np.array([1, 2, 64, 3, 4])
BAD_COLUMN_CODES = np.array([1, 2, -32, 3, 4])


@pytest.mark.parametrize(
    ("codes", "error"),
    [
        (None, Error.STREAM_TIMEOUT),
        (np.ones(4, int), Error.SHORT_VECTOR),
        (np.ones(6, int), Error.LONG_VECTOR),
        ("bad", Error.BAD_VALUE),
    ],
    ids=["none", "short", "long", "bad"],
)
@pytest.mark.parametrize("command", ["forward", "backward", "rows", "columns", "load"])
def test_a_packet_that_fails_is_thrown_away_and_the_vector_before_stays(
    rig: Any, command: str, codes: Any, error: Error
) -> None:
    r = rig(pwm_bits=6, column_bits=5)
    assert r.port.send_rows(np.full(5, 7))
    assert r.port.execute(Command.FORWARD) is Error.NONE
    assert r.port.send_columns(np.full(5, 9))
    assert r.port.execute(Command.BACKWARD) is Error.NONE
    send, bad, run = {
        "forward": (r.port.send_rows, BAD_ROW_CODES, (Command.FORWARD, {})),
        "backward": (r.port.send_columns, BAD_COLUMN_CODES, (Command.BACKWARD, {})),
        "rows": (r.port.send_rows, BAD_ROW_CODES, (Command.UPDATE, {"new_rows": True})),
        "columns": (r.port.send_columns, BAD_COLUMN_CODES, (Command.UPDATE, {"new_columns": True})),
        "load": (r.port.send_weights, None, (Command.LOAD, {"first": 3})),
    }[command]
    if codes is not None and isinstance(codes, str):
        if bad is None:
            return  # LOAD saturates: no weight is bad
        codes = bad
    if codes is not None:
        assert send(codes)
    before, results = r.state(), len(r.port.results)
    r.b.macro.events.clear()
    name, fields = run
    assert r.port.execute(name, **fields) is error
    assert difference(before, r.state()) == []
    assert r.b.macro.events == []
    assert len(r.port.results) == results
    assert r.port.execute(name, **fields) is Error.STREAM_TIMEOUT, "the bad packet is still there"
    assert r.port.execute(Command.UPDATE) is Error.NONE


def test_a_packet_waits_and_becomes_active_when_its_command_starts(rig: Any) -> None:
    r = rig()
    r.hold_vectors()
    rows, columns = r.control._rows, r.control._columns
    assert r.port.send_rows(np.full(5, 200))
    assert r.port.send_columns(np.full(5, -100))
    assert not r.port.send_rows(np.full(5, 3)), "its place is one deep"
    assert not r.port.send_columns(np.full(5, 3)), "its place is one deep"
    assert r.port.execute(Command.UPDATE) is Error.NONE
    assert r.control._rows is rows, "a waiting packet is not active yet"
    assert r.control._columns is columns, "a waiting packet is not active yet"
    assert r.port.execute(Command.UPDATE, new_rows=True) is Error.NONE
    assert r.control._rows.tolist() == [200] * 5 + [255]
    assert r.control._columns is columns
    assert r.port.execute(Command.UPDATE, new_columns=True) is Error.NONE
    assert r.control._columns.tolist() == [-100] * 5


def test_without_room_for_a_result_nothing_happens_and_the_packet_waits_on(rig: Any) -> None:
    r = rig()
    r.hold_vectors()
    r.port.take_results(False)
    assert r.port.send_rows(np.full(5, 7))
    assert r.port.execute(Command.FORWARD) is Error.NONE
    assert r.port.result_waits
    given, events = len(r.port.results), list(r.b.macro.events)
    assert r.port.send_rows(np.full(5, 9))
    assert r.port.send_columns(np.full(5, 9))
    for command in (Command.FORWARD, Command.BACKWARD, Command.READ):
        assert r.port.execute(command) is Error.STREAM_TIMEOUT
    r.port.soft_reset()
    assert r.port.execute(Command.READ) is Error.STREAM_TIMEOUT, "a beat on offer stays"
    assert (len(r.port.results), r.b.macro.events) == (given, events)
    assert r.port.send_rows(np.full(5, 9))
    assert r.port.execute(Command.FORWARD) is Error.STREAM_TIMEOUT
    r.port.take_results(True)
    assert r.port.execute(Command.FORWARD) is Error.NONE
    assert r.control._rows.tolist() == [9] * 5 + [255]
    assert not r.port.result_waits


def test_an_update_takes_rows_first_and_keeps_them_where_the_columns_fail(rig: Any) -> None:
    r = rig()
    assert r.port.send_rows(np.full(5, 200))
    assert r.port.execute(Command.UPDATE, new_rows=True, new_columns=True) is Error.STREAM_TIMEOUT
    assert r.port.send_columns(np.full(5, -100))
    assert r.b.macro.events == []
    assert r.port.execute(Command.UPDATE, new_columns=True) is Error.NONE
    assert r.b.macro.names() == ["update"]


def test_a_packet_holds_bytes(rig: Any) -> None:
    r = rig()
    for send, bad in (
        (r.port.send_rows, [-1, 256]),
        (r.port.send_columns, [-128, 128]),
        (r.port.send_weights, [-32769, 32768]),
    ):
        for code in bad:
            with pytest.raises(ValueError, match="a packet holds codes"):
                send(np.full(5, code))


def test_commands_are_the_controllers_own(rig: Any) -> None:
    """Whatever the port does, a twin driven by method calls ends in the same state."""
    r, twin = rig("pcm-3t1c", hidden=True), rig("pcm-3t1c", hidden=True)
    rng, results = np.random.default_rng(4), []
    for _ in range(3):
        rows, columns = rng.integers(0, 256, 5), rng.integers(-127, 128, 5)
        later, weights = rng.integers(-127, 128, 5), rng.integers(-700, 700, 5)
        for send, codes in ((r.port.send_rows, rows), (r.port.send_columns, columns)):
            assert send(codes)
        assert r.port.execute(Command.FORWARD) is Error.NONE
        assert r.port.execute(Command.BACKWARD) is Error.NONE
        assert r.port.execute(Command.UPDATE) is Error.NONE
        assert r.port.send_columns(later)
        assert r.port.execute(Command.UPDATE, new_columns=True) is Error.NONE
        assert r.port.execute(Command.TRANSFER, first=1, last=3) is Error.NONE
        assert r.port.send_weights(weights)
        assert r.port.execute(Command.LOAD, first=4) is Error.NONE
        assert r.port.execute(Command.INIT, first=2, last=2) is Error.NONE
        assert r.port.execute(Command.CALIBRATE) is Error.NONE
        for pair in PairCode:
            assert r.port.execute(Command.READ, first=1, pair=pair) is Error.NONE
        t = twin.control
        results += [(Destination.ROWS, t.forward(rows)), (Destination.COLUMNS, t.backward(columns))]
        t.update()
        t.update(later)
        t.transfer(1, 3)
        t.load(4, weights)
        t.init(2, 2)
        t.calibrate()
        results += [(Destination.WEIGHTS, t.read(1, pair)) for pair in Pair]
    assert difference(twin.state() | {"forwards": 3}, r.state()) == []
    assert len(results) == len(r.port.results)
    for k, (expected, got) in enumerate(zip(results, r.port.results, strict=True)):
        assert expected[0] is got[0], k
        assert expected[1].tolist() == got[1].tolist(), k


def test_the_derivative_mask_holds_only_while_the_tile_is_hidden(rig: Any) -> None:
    r = rig(hidden=True)
    assert r.forward() is Error.NONE
    codes = r.port.results[-1][1]
    mask = (codes > 0) & (codes < 255)
    assert 0 < mask.sum() < 5
    columns = np.array([50, -60, 70, -80, 90])
    for hidden in (True, False, True):
        r.control.hidden = hidden
        assert r.port.send_columns(columns)
        assert r.port.execute(Command.UPDATE, new_columns=True) is Error.NONE
        passed = np.where(mask, columns, 0) if hidden else columns
        assert r.control._columns.tolist() == passed.tolist()
        assert r.control.derivative_mask.tolist() == (mask | (not hidden)).tolist()


FORGETFUL = {
    Command.TRANSFER: {"first": 1, "last": 1},
    Command.LOAD: {"first": 1},
    Command.INIT: {"first": 1, "last": 1},
    Command.PROGRAM: {"first": 1},
}


@pytest.mark.parametrize(
    "command",
    [*FORGETFUL, Command.READ, Command.CALIBRATE, Command.IDLE, Command.PRECHARGE, Command.RESUME,
     Command.ABORT],
    ids=lambda c: c.name,
)  # fmt: skip
def test_what_drives_the_trims_drivers_forgets_the_column_vector(
    rig: Any, command: Command
) -> None:
    r = rig()
    r.port.bringup = True
    r.hold_vectors()
    assert r.port.send_weights(WEIGHTS)
    assert r.port.execute(command, cycles=1, **FORGETFUL.get(command, {})) is Error.NONE
    r.port.polarity_valid()
    expected = Error.NO_VECTOR if command in FORGETFUL else Error.NONE
    assert r.port.execute(Command.UPDATE) is expected
    assert r.port.send_columns(np.full(5, 9))
    assert r.port.execute(Command.UPDATE, new_columns=True) is Error.NONE, "the rows stay"


def test_a_row_resumed_forgets_the_column_vector_too(rig: Any) -> None:
    for command in (Command.RESUME, Command.ABORT):
        r = rig()
        r.hold_vectors()
        r.port.write_journal(2, 1, Kind.TRANSFER, WEIGHTS)
        assert r.port.execute(command) is Error.NONE
        assert r.port.execute(Command.UPDATE) is Error.NO_VECTOR


def test_forwards_are_counted_when_answered(rig: Any) -> None:
    r = rig()
    assert r.forward() is Error.NONE
    assert r.port.execute(Command.FORWARD) is Error.STREAM_TIMEOUT
    r.macro.cut(1)
    assert r.forward() is None
    assert r.port.forwards == 1
    assert r.forward() is Error.NONE
    assert r.port.forwards == 2


def test_saturated_counts_rails_of_enabled_columns_and_of_all_rows(rig: Any) -> None:
    r = rig(forward_range_log2=-3, backward_range_log2=-6)
    weights = r.b.weights()
    r.control.active[[0, 3]] = False
    charge = np.append(np.arange(1, 6) * 40, 255) @ weights
    codes = np.rint(charge / 2.0**r.b.array.forward_range.shift)
    forward = int(((codes >= 255) | (codes <= -256))[[1, 2, 4]].sum())
    columns = np.array([0, -60, 70, 0, 90])
    codes = np.rint(weights @ columns / 2.0**r.b.array.backward_range.shift)
    backward = (codes >= 255) | (codes <= -256)
    assert forward
    assert backward[-1], "the bias row must be among them"
    before = r.control.counters.saturated
    r.hold_vectors()
    assert r.control.counters.saturated - before == forward + int(backward.sum())


# -- bring-up ------------------------------------------------------------------------------------


@pytest.mark.parametrize("minus", [False, True])
def test_program_resets_and_sets_the_enabled_columns_of_a_row(rig: Any, minus: bool) -> None:
    r = rig()
    r.port.bringup = True
    r.control.active[3] = False
    kept = r.b.array.pcm.higher.copy()
    done = r.port.execute(Command.PROGRAM, first=2, minus=minus, step_code=9)
    assert done is Error.NONE
    assert r.b.macro.names() == ["reset", "set"]
    (_, (row, erased)), (_, (set_row, chosen, device, steps)) = r.b.macro.events
    live = [True, True, True, False, True]
    assert (row, set_row) == (2, 2)
    assert erased.tolist() == chosen.tolist() == live
    assert device.tolist() == [minus and on for on in live]
    assert steps.tolist() == [9 * on for on in live]
    higher = r.b.array.pcm.higher
    assert (np.sign(higher[2]) == np.where(live, -1 if minus else 1, np.sign(kept[2]))).all()
    assert higher[2, 3] == kept[2, 3]
    assert r.port.unknown


def test_precharge_brings_a_row_to_rest(rig: Any) -> None:
    r = rig()
    r.port.bringup = True
    assert r.b.array.capacitors.lower[4].any()
    assert r.port.execute(Command.PRECHARGE, first=4) is Error.NONE
    assert r.b.macro.events == [("precharge", (4,))]
    assert not r.b.array.capacitors.lower[4].any()


# -- the unknown state ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", [Command.PROGRAM, Command.PRECHARGE], ids=lambda c: c.name)
def test_bringup_commands_make_the_state_unknown_even_if_cut(rig: Any, command: Command) -> None:
    for cut in (False, True):
        r = rig()
        r.port.bringup = True
        if cut:
            r.macro.cut(0)
        assert r.port.execute(command) is (None if cut else Error.NONE)
        assert (r.port.unknown, r.port.covered) == (True, 0)
        assert r.port.execute(command) is Error.STATE_UNKNOWN
        r.port.polarity_valid()
        assert r.port.execute(command) is Error.NONE


def test_init_of_every_row_in_turn_ends_the_unknown_state(rig: Any) -> None:
    r = rig()
    r.control.polarity.bits[:] = 1
    r.port.reset()
    r.port.armed = True
    r.control.polarity.bits[:] = 1  # whatever the array was left with
    progress = []
    for first, last in ((1, 5), (0, 1), (3, 5), (0, 3), (0, 0), (4, 4), (2, 5)):
        assert r.port.execute(Command.FORWARD) is Error.STATE_UNKNOWN
        assert r.port.execute(Command.INIT, first=first, last=last) is Error.NONE
        progress.append((r.port.unknown, r.port.covered))
    assert progress == [*((True, n) for n in (0, 2, 2, 4, 4, 5)), (False, 0)]
    assert not r.b.weights().any()
    assert r.control.polarity.bits.tolist() == [0] * 6
    assert r.port.execute(Command.INIT, first=0, last=2) is Error.NONE
    assert (r.port.unknown, r.port.covered) == (False, 0), "nothing is counted in a known state"


def test_what_is_covered_survives_a_soft_reset_at_every_event(rig: Any) -> None:
    events = 2 * 3  # a precharge and a RESET a row
    for event in range(events):
        r = rig(rows=3)
        r.port.reset()
        r.port.armed = True
        r.macro.cut(event)
        assert r.port.execute(Command.INIT, first=0, last=2) is None
        row = event // 2
        assert (r.port.unknown, r.port.covered) == (True, row)
        assert r.transfers.journal.valid
        assert r.port.execute(Command.RESUME) is Error.STATE_UNKNOWN
        assert r.port.execute(Command.INIT, first=row, last=2) is Error.ROW_INCOMPLETE
        assert r.port.execute(Command.INIT, first=row, last=2, force=True) is Error.NONE
        assert not r.port.unknown
        assert not r.b.weights().any()


def test_the_rows_of_a_transfer_or_a_load_cover_nothing(rig: Any) -> None:
    r = rig(rows=1)
    for command, fields in ((Command.TRANSFER, {}), (Command.LOAD, {})):
        r.port.send_weights(WEIGHTS)
        # Only a state lost within the command could show it.
        r.port.on_step = lambda: setattr(r.port, "unknown", True)
        assert r.port.execute(command, **fields) is Error.NONE
        assert (r.port.unknown, r.port.covered) == (True, 0)
        r.port.polarity_valid()


def test_an_init_in_the_unknown_state_can_be_aborted(rig: Any) -> None:
    r = rig()
    r.port.reset()
    r.port.armed = True
    answers = []
    r.port.on_step = lambda: answers.append(r.port.execute(Command.ABORT))
    assert r.port.execute(Command.INIT, first=0, last=5) is Error.NONE
    assert set(answers) == {Error.NONE}
    assert (r.port.unknown, r.port.covered, r.transfers.next_row) == (True, 1, 1)


# -- a soft reset within a row -------------------------------------------------------------------

ROWS = 3


def start(r: Rig, kind: Kind) -> Error | None:
    """The command of a kind, on rows 0 and 1 (LOAD: row 1)."""
    if kind is Kind.LOAD:
        assert r.port.send_weights(WEIGHTS)
        return r.port.execute(Command.LOAD, first=1)
    return r.port.execute(Command[kind.name], first=0, last=1)


@dataclass
class Watch:
    """Checks a row's journal and bit before every step, and that only its row is written."""

    r: Rig
    kind: Kind

    def __post_init__(self) -> None:
        self.bits = self.r.control.polarity.bits.copy()
        self.was_valid = False
        self.flips: list[int] = []
        self.r.port.on_step = self.step

    def step(self) -> None:
        control, transfers = self.r.control, self.r.transfers
        journal, bits = transfers.journal, control.polarity.bits
        changed = np.flatnonzero(bits != self.bits).tolist()
        if changed:
            assert changed == [journal.row]
            assert journal.valid
            assert bits[journal.row] == journal.p_new
        self.flips += changed
        self.bits = bits.copy()
        if transfers.state is State.COMMIT:
            assert bits[journal.row] == journal.p_new
            assert journal.valid
        if transfers.state in (State.PRECHARGE, State.ERASE, State.SET, State.TRIM_PULSE):
            assert journal.valid
        if journal.valid:
            assert journal.row == transfers.next_row
            assert journal.kind is self.kind
            assert transfers.state is not State.JOURNAL


def wanted(r: Rig, kind: Kind, bit: int, loaded: bool) -> tuple[np.ndarray, list[int]]:
    """Weights (fine units) and bits at the end, from the rig before the command."""
    weights, bits = r.b.weights(), [bit] * ROWS
    if kind is Kind.TRANSFER:
        bits[:2] = [1 - bit] * 2
    elif kind is Kind.INIT:
        weights[:2], bits[:2] = 0, [0, 0]
    elif loaded:
        weights[1] = WEIGHTS << r.b.array.read_range.shift
    return weights, bits


def check_end(r: Rig, kind: Kind, weights: np.ndarray, bits: list[int], when: str) -> None:
    wrong = first_away(r.b.weights(), weights, bar(r.b))
    assert not wrong, f"{when}: {wrong}"
    assert r.control.polarity.bits.tolist() == bits, when
    assert not r.transfers.journal.valid, when


def interruptions(rig: Any, kind: Kind, bit: int) -> list[tuple[str, dict[str, int]]]:
    """Every event of the command, in parts where it has them."""
    r = rig(rows=ROWS, **EXACT)
    r.control.polarity.bits[:] = bit
    r.b.array.refresh_weights()
    r.b.macro.events.clear()
    assert start(r, kind) is Error.NONE
    cuts: list[tuple[str, dict[str, int]]] = []
    parts = {"update": ("slots", (0, 7, 32)), "convert_read": ("conversions", (3,))}
    trains = 0
    for event, name in enumerate(r.b.macro.names()):
        # A trim may be long, and one of its pulse trains is as the next.
        trains = 0 if name == "precharge" else trains + (name == "update")
        if trains > 4:
            continue
        part, values = parts.get(name, ("slots", (0,)))
        cuts += [(name, {"event": event, part: value}) for value in values]
    return cuts


@pytest.mark.parametrize("bit", [0, 1])
@pytest.mark.parametrize("kind", Kind, ids=lambda k: k.name)
def test_a_soft_reset_in_any_event_then_resume_finishes_the_range(
    rig: Any, kind: Kind, bit: int
) -> None:
    cuts = interruptions(rig, kind, bit)
    names = {name for name, _ in cuts}
    assert names >= ({"precharge", "reset"} if kind is Kind.INIT else {"set", "update"})
    for name, cut in cuts:
        when = f"cut in {name} {cut}"
        r = rig(rows=ROWS, **EXACT)
        r.control.polarity.bits[:] = bit
        r.b.array.refresh_weights()
        watch, rows_done = Watch(r, kind), r.control.counters.rows
        weights, bits = wanted(r, kind, bit, loaded=True)
        r.macro.cut(**cut)
        assert start(r, kind) is None, when
        assert r.transfers.state is State.IDLE
        assert not r.b.array._column_charge.any(), when
        if not r.transfers.journal.valid:
            # Nothing has happened to the row in hand.
            assert r.control.polarity.bits[r.transfers.next_row] == bit
        assert r.port.execute(Command.RESUME) is Error.NONE
        watch.step()
        check_end(r, kind, weights, bits, when)
        changed = [row for row in range(ROWS) if bits[row] != bit]
        assert watch.flips == changed, when
        done = 1 if kind is Kind.LOAD else 2
        assert r.control.counters.rows - rows_done == done, when
        assert r.transfers.next_row == 2
        r.b.macro.events.clear()
        assert r.port.execute(Command.RESUME) is Error.NONE
        assert r.b.macro.events == [], "a RESUME of nothing"


@pytest.mark.parametrize("bit", [0, 1])
@pytest.mark.parametrize("command", [Command.RESUME, Command.ABORT], ids=lambda c: c.name)
@pytest.mark.parametrize("kind", Kind, ids=lambda k: k.name)
def test_a_soft_reset_before_any_step_then_resume_or_abort(
    rig: Any, kind: Kind, command: Command, bit: int
) -> None:
    visited: list[State] = []
    for count in range(200):
        r = rig(rows=ROWS, **EXACT)
        r.control.polarity.bits[:] = bit
        r.b.array.refresh_weights()
        before, (weights, bits) = r.b.weights(), wanted(r, kind, bit, loaded=True)
        steps = []

        def cut(r: Rig = r, steps: list[State] = steps, count: int = count) -> None:
            if len(steps) == count:
                raise SoftReset
            steps.append(r.transfers.state)

        r.port.on_step = cut
        if start(r, kind) is Error.NONE:
            visited = steps
            break
        r.port.on_step = None
        valid, row = r.transfers.journal.valid, r.transfers.next_row
        assert r.port.execute(command) is Error.NONE
        if command is Command.ABORT or kind is Kind.LOAD:
            # The rows committed, the one in hand if it has a journal, and no other.
            done = row + valid
            assert r.transfers.next_row == done, count
            weights[done:2], bits[done:2] = before[done:2], [bit] * (2 - done)
            r.b.macro.events.clear()
            assert r.port.execute(Command.RESUME) is Error.NONE
            assert r.b.macro.events == [], f"{count}: the range was ended"
        check_end(r, kind, weights, bits, f"before step {count}")
    assert State.PRECHARGE in visited
    assert visited.count(State.COMMIT) == (1 if kind is Kind.LOAD else 2)


@pytest.mark.parametrize("kind", [Kind.TRANSFER, Kind.INIT], ids=lambda k: k.name)
def test_abort_before_any_step_completes_the_row_in_hand_and_ends_the_range(
    rig: Any, kind: Kind
) -> None:
    for count in range(200):
        r = rig(rows=ROWS, **EXACT)
        weights, bits = wanted(r, kind, 0, loaded=True)
        before, steps, answers = r.b.weights(), [], []

        def abort(
            r: Rig = r, steps: list[int] = steps, answers: list[Any] = answers, count: int = count
        ) -> None:
            if len(steps) == count:
                answers.append(r.port.execute(Command.RESUME))
                answers.append(r.port.execute(Command.ABORT))
            steps.append(r.transfers.next_row)

        r.port.on_step = abort
        assert start(r, kind) is Error.NONE
        if not answers:
            assert count > 4
            break
        assert answers == [Error.BUSY, Error.NONE]
        done = steps[count] + 1
        assert r.transfers.next_row == done
        weights[done:2], bits[done:2] = before[done:2], [0] * (2 - done)
        check_end(r, kind, weights, bits, f"before step {count}")
        r.b.macro.events.clear()
        assert r.port.execute(Command.RESUME) is Error.NONE
        assert r.b.macro.events == [], "the range was ended"


def test_a_soft_reset_forgets_an_abort(rig: Any) -> None:
    r = rig(**EXACT)

    def abort_then_cut() -> None:
        assert r.port.execute(Command.ABORT) is Error.NONE
        raise SoftReset

    r.port.on_step = abort_then_cut
    assert r.port.execute(Command.TRANSFER, first=0, last=1) is None
    r.port.on_step = None
    assert r.port.execute(Command.RESUME) is Error.NONE
    assert r.control.polarity.bits.tolist() == [1, 1, 0, 0, 0, 0]


def test_resume_and_abort_find_nothing_after_aresetn(rig: Any) -> None:
    for command in (Command.RESUME, Command.ABORT):
        r = rig()
        r.port.reset()
        r.port.armed = True
        r.port.polarity_valid()
        before = r.state()
        assert r.port.execute(command) is Error.NONE
        assert difference(before, r.state()) == []
        assert r.b.macro.events == []


def test_force_discards_the_row_that_its_range_covers(rig: Any) -> None:
    for first, last in ((2, 2), (0, 5), (1, 2), (2, 4)):
        r = rig()
        incomplete(r)
        kept = r.b.weights()
        done = r.port.execute(Command.INIT, first=first, last=last, force=True)
        assert done is Error.NONE
        assert not r.transfers.journal.valid
        assert r.transfers.journal.kind is Kind.INIT
        worked = np.arange(6)[first : last + 1]
        assert [a[0] for name, a in r.b.macro.events if name == "reset"] == worked.tolist()
        kept[worked] = 0
        assert (r.b.weights() == kept).all()
        assert r.port.execute(Command.TRANSFER, first=0, last=5) is Error.NONE


# -- a soft reset within the other commands ------------------------------------------------------


@pytest.mark.parametrize("of", [32, 128])
@pytest.mark.parametrize("bits", ["000000", "111111", "010110"])
def test_an_update_cut_short_leaves_the_slots_delivered_and_takes_its_draws_back(
    rig: Any, bits: str, of: int
) -> None:
    def fresh() -> Rig:
        r = rig("pcm-3t1c", leak_tick_ns=100, slots=of)
        r.control.polarity.bits[:] = [int(bit) for bit in bits]
        r.hold_vectors()
        r.b.macro.events.clear()
        return r

    whole = fresh()
    states = whole.control.row_stream.state, whole.control.column_stream.state
    assert whole.port.execute(Command.UPDATE) is Error.NONE
    events = [arguments for _, arguments in whole.b.macro.events]
    assert len(events) == len(set(bits))
    for phase in range(len(events)):
        for slots in (0, 1, 2, 13, 31, 32, *((33, 64, 100, 127, 128) if of > 32 else ())):
            r, by_hand = fresh(), fresh().b.array
            for index in range(phase + 1):
                rows, columns, charge = events[index]
                delivered = thermometer(slots if index == phase else of, of)
                by_hand.update(rows & delivered, columns, charge)
            r.macro.cut(phase, slots)
            assert r.port.execute(Command.UPDATE) is None
            where = f"phase {phase}, {slots} slots"
            assert (r.b.array.capacitors.lower == by_hand.capacitors.lower).all(), where
            assert (r.b.array.clock_ns, r.b.array.updates) == (by_hand.clock_ns, by_hand.updates)
            assert (r.control.row_stream.state, r.control.column_stream.state) == states, where
            assert r.port.execute(Command.UPDATE) is Error.NO_VECTOR
            # Done again, it draws the same words.
            r.hold_vectors()
            r.b.macro.events.clear()
            assert r.port.execute(Command.UPDATE) is Error.NONE
            for (_, again), once in zip(r.b.macro.events, events, strict=True):
                assert (again[0] == once[0]).all(), where
                assert (again[1] == once[1]).all(), where


@pytest.mark.parametrize("command", ["forward", "backward", "read", "calibrate"])
def test_a_conversion_not_returned_draws_nothing_and_leaves_no_charge(
    rig: Any, command: str
) -> None:
    def run(r: Rig) -> Error | None:
        if command == "forward":
            return r.forward()
        if command == "backward":
            assert r.port.send_columns(np.array([50, -60, 70, -80, 90]))
            return r.port.execute(Command.BACKWARD)
        number = Command[command.upper()]
        return r.port.execute(number, first=3)

    r = rig("pcm-3t1c", calibration_log2=2)
    assert run(r) is Error.NONE
    names, timing = r.b.macro.names(), r.b.spec.timing
    for event, name in enumerate(names):
        repeats = 8 if name == "convert_read" else 1
        for returned in range(repeats + 1 if name.startswith("convert") else 1):
            r, twin = rig("pcm-3t1c", calibration_log2=2), rig("pcm-3t1c", calibration_log2=2)
            r.macro.cut(event, conversions=returned)
            before = r.state()
            assert run(r) is None
            for past, arguments in r.b.macro.events[:event]:
                getattr(twin.b.array, past)(*arguments)
            _, arguments = r.b.macro.events[event]
            spent = 0
            if name.startswith("convert"):
                if name == "convert_read" and returned:
                    twin.b.array.convert_read(arguments[0], returned)
                elif returned:
                    getattr(twin.b.array, name)(*arguments)
                spent = timing.conversion_ns if returned < repeats else 0
            else:
                getattr(twin.b.array, name)(*arguments)
            twin.b.array.wait(spent)
            # The controls differ in what was cut; the arrays do not.
            for state, wanted_state in zip(array_states(r), array_states(twin), strict=True):
                assert state == wanted_state, (event, name, returned)
            assert r.control.counters.saturated == before["saturated"] or command == "calibrate"
            assert not r.b.array._column_charge.any()
            assert not r.b.array._row_charge.any()
            dithers = r.control.forward_dither.count, r.control.backward_dither.count
            assert dithers == (before["forward_dither"], before["backward_dither"])


def array_states(r: Rig) -> list[Any]:
    array = r.b.array
    return [
        array.clock_ns,
        array.columns.noise.ordinals.tolist(),
        array.rows.noise.ordinals.tolist(),
        array.capacitors.lower.tolist(),
        array.pcm.higher.tolist(),
    ]


@pytest.mark.parametrize("passed", [0, 1, 30, 49, 50, 51])
def test_an_idle_cut_short_has_waited_for_what_passed(rig: Any, passed: int) -> None:
    r, twin = (rig("pcm-3t1c", leak_tick_ns=100) for _ in range(2))
    r.macro.cut(0, idle_cycles=passed)
    assert r.port.execute(Command.IDLE, cycles=50) is None
    twin.b.array.wait(min(passed, 50) * r.b.spec.timing.cycle_ns)
    assert array_states(r) == array_states(twin)


def test_a_read_cut_in_its_drive_leaves_its_noise_to_no_other(rig: Any) -> None:
    r, twin = (rig("pcm-3t1c", drift="false") for _ in range(2))
    r.macro.cut(1)
    assert r.port.execute(Command.READ, first=3) is None
    zero, drive = r.b.macro.events
    assert drive[0] == "integrate_read"
    twin.b.array.convert_read(*zero[1])
    twin.b.array.wait(r.b.spec.timing.read_phase_ns)
    for each in (r, twin):
        assert each.port.execute(Command.READ, first=3) is Error.NONE
    assert r.port.results[0][1].tolist() == twin.port.results[0][1].tolist()


def test_calibrate_writes_the_offsets_of_a_side_when_it_has_them_all(rig: Any) -> None:
    for event, written in ((3, (False, False)), (4, (True, False)), (7, (True, False))):
        r = rig(channel_offset=6, calibration_log2=2)
        r.macro.cut(event)
        assert r.port.execute(Command.CALIBRATE) is None
        found = r.control.forward_offsets.any(), r.control.backward_offsets.any()
        assert found == written, event


def test_a_soft_reset_clears_vectors_packets_and_mask_and_keeps_all_else(rig: Any) -> None:
    r = rig(hidden=True)
    r.port.bringup = True
    r.hold_vectors()
    assert r.port.execute(Command.CALIBRATE) is Error.NONE
    assert r.port.execute(Command.UPDATE) is Error.NONE
    incomplete(r)  # ends in a soft reset, so that the vectors come after
    r.transfers.journal.valid = False
    r.hold_vectors()
    r.transfers.journal.valid = True
    assert r.port.send_rows(np.full(5, 1))
    assert r.port.send_columns(np.full(5, 1))
    assert r.port.send_weights(np.full(5, 1))
    before = r.state()
    r.port.soft_reset()
    assert difference(before, r.state()) == ["held"]
    assert r.state()["held"] == [None, None, None]
    assert r.control.derivative_mask.all()
    assert r.port.send_rows(np.full(5, 1))
    assert r.port.send_columns(np.full(5, 1))
    assert r.port.send_weights(np.full(5, 1))


def test_aresetn_leaves_the_array_and_the_memories_alone(rig: Any) -> None:
    r = rig(hidden=True)
    r.port.bringup = True
    r.control.polarity.bits[:] = [0, 1, 0, 1, 0, 1]
    r.control.set_rates(300, 200)
    assert r.port.execute(Command.CALIBRATE) is Error.NONE
    r.hold_vectors()
    incomplete(r)
    r.control.active[1] = False
    array = array_states(r)
    offsets, table = r.control.forward_offsets.copy(), r.control.set_table.copy()
    r.port.reset()
    state = r.state()
    zero = [name for name in state if name.startswith(("journal_", "rows_", "attempts", "not_"))]
    zero = [name for name in zero if name != "journal_codes"]
    assert [state[name] for name in zero] == [0] * len(zero)
    assert len(zero) == 8
    assert (state["next_row"], state["last_row"], state["saturated"]) == (0, -1, 0)
    assert (state["row_lfsr"], state["column_lfsr"]) == (1, 1)
    assert (state["row_scale"], state["column_scale"]) == (256, 128)
    assert (state["forward_dither"], state["backward_dither"]) == (0, 0)
    assert state["polarity"] == [0] * 6
    assert (state["unknown"], state["covered"], state["enables"]) == (True, 0, (False, False))
    assert state["held"] == [None, None, None]
    assert state["forwards"] == 0
    assert r.control.active.all()
    assert array_states(r) == array
    assert (r.control.forward_offsets == offsets).all()
    assert (r.control.set_table == table).all()


def test_aresetn_starts_the_chopper_anew_and_a_soft_reset_does_not(rig: Any) -> None:
    r = rig(chopper="random")
    assert r.port.execute(Command.TRANSFER, first=0, last=5) is Error.NONE
    chopper = r.transfers.chopper
    state = chopper.state
    assert state != CHOPPER_RESET
    r.port.soft_reset()
    assert chopper.state == state
    r.port.reset()
    assert chopper.state == CHOPPER_RESET


# -- the host's writes ---------------------------------------------------------------------------


def test_a_restored_journal_finishes_its_row_after_aresetn(rig: Any) -> None:
    r = rig(**EXACT)
    weights = r.b.weights()
    bits = [0, 1, 0, 1, 0, 1]
    r.control.polarity.bits[:] = bits
    r.b.array.refresh_weights()
    weights = r.b.weights()
    incomplete(r)
    codes = r.transfers.journal.codes.copy()
    r.port.reset()
    r.port.armed = True
    for row, bit in enumerate(bits):
        assert r.port.write_polarity(row, bit) is Error.NONE
    assert r.port.write_lfsrs(77, 99) is Error.NONE
    assert r.port.write_journal(2, 1, Kind.TRANSFER, codes) is Error.NONE
    assert r.port.execute(Command.RESUME) is Error.STATE_UNKNOWN
    r.port.polarity_valid()
    assert r.port.execute(Command.RESUME) is Error.NONE
    assert r.control.polarity.bits.tolist() == [0, 1, 1, 1, 0, 1]
    assert not first_away(r.b.weights(), weights, bar(r.b))
    assert r.transfers.next_row == 3
    assert (r.control.row_stream.state, r.control.column_stream.state) == (77, 99)


def test_a_valid_journal_refuses_the_hosts_writes(rig: Any) -> None:
    r = rig()
    incomplete(r)
    before = r.state()
    assert r.port.write_polarity(1, 1) is Error.ROW_INCOMPLETE
    assert r.port.write_journal(1, 1, Kind.LOAD, WEIGHTS) is Error.ROW_INCOMPLETE
    assert r.port.write_lfsrs(5, 5) is Error.ROW_INCOMPLETE
    assert difference(before, r.state()) == []


def test_writes_of_what_there_is_not_are_refused(rig: Any) -> None:
    r = rig()
    before = r.state()
    assert r.port.write_journal(6, 1, Kind.LOAD, WEIGHTS) is Error.BAD_ROWS
    assert r.port.write_polarity(6, 1) is Error.BAD_ROWS
    for states in ((0, 1), (1, 0), (1 << 31, 1)):
        assert r.port.write_lfsrs(*states) is Error.BAD_VALUE
    assert difference(before, r.state()) == []
