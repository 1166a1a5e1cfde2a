"""rtl/transfer.py against golden/digital/transfer.py, each on an array of its own.

What is compared: every answer, what is kept after every command, the boundary events with their
arguments in order, and every bit of the array's state at the end.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest

from golden.analog.array import Array
from golden.analog.interrupted import InterruptedArray
from golden.analog.pcm import set_table
from golden.digital.chopper import Chopper
from golden.digital.controller import TileController
from golden.digital.transfer import Kind
from golden.digital.transfer import State as GoldenState
from golden.training.config import Config, configure
from golden.training.network import Tile
from rtl.transfer import State
from spec.boundary import ArrayMacro, SoftReset
from spec.commands import Error, RangeKind
from spec.tile import TileSpec
from tests.equivalence.bench import simulate
from tests.equivalence.transfer_tile import (
    Cut,
    Interruption,
    Kept,
    Macro,
    Operation,
    Recorder,
    Run,
    TransferTile,
)

EVENTS = {
    GoldenState.READ_ZERO: 1,
    GoldenState.READ_LOWER_BEFORE: 2,
    GoldenState.READ_ALL: 2,
    GoldenState.PRECHARGE: 1,
    GoldenState.READ_LOWER: 2,
    GoldenState.ERASE: 1,
    GoldenState.SET: 1,
    GoldenState.VERIFY: 2,
    GoldenState.TRIM_READ: 2,
    GoldenState.TRIM_PULSE: 1,
}
"""Boundary events of a state; the others have none."""
SMALL = {"pwm_bits": 4, "slots": 8, "read_average_log2": 1, "prog_tol": 30, "trim_limit": 8}
DIGITAL = ("polarity", "forward_offsets", "backward_offsets", "journal_codes", "set_table")


@dataclass
class Case:
    """A tile with its weights, and what is asked of it."""

    config: Config
    spec: TileSpec
    array: Array
    table: np.ndarray
    active: np.ndarray
    bits: list[int]
    operations: list[Operation]
    seed: int


def case(
    operations: list[Operation],
    rows: int = 4,
    columns: int = 5,
    masked: tuple[int, ...] = (),
    cell: str = "pcm-3t1c",
    bits: list[int] | None = None,
    seed: int = 1,
    **settings: Any,
) -> Case:
    """Weights from LOADs, capacitors as training would leave them."""
    settings = {
        "pwm_bits": 4,
        "slots": 8,
        "read_average_log2": 1,
        "prog_tol": 30,
        "trim_limit": 8,
        **settings,
    }
    config = configure(cell, {name: str(value) for name, value in settings.items()})
    spec = dataclasses.replace(config.tile, rows=rows, columns=columns)
    array, rng = Array(spec, config.devices, seed, 0), np.random.default_rng(seed)
    active = np.array([column not in masked for column in range(columns)])
    table = set_table(spec, config.devices)
    bits = [int(bit) for bit in rng.integers(0, 2, rows)] if bits is None else bits
    control = TileController(spec, cast("ArrayMacro", array), table, (1, 1))
    control.polarity.bits[:] = bits
    for row in range(rows):
        control.load(row, rng.integers(-900, 901, columns))
    bound = array.capacitors.bound // 2
    array.capacitors.lower[:] = rng.integers(-bound, bound + 1, (rows, columns))
    array.refresh_weights()
    return Case(config, spec, array, table, active, bits, operations, seed)


def start(kind: RangeKind, first: int, last: int, **interruption: Any) -> Operation:
    """`interruption`: what, state, delay."""
    payload = {"kind": int(kind), "first": first, "last": last}
    how = Interruption(**interruption) if interruption else None
    return Operation("start", payload, interruption=how)


def transfer(first: int, last: int, **interruption: Any) -> Operation:
    return start(RangeKind.TRANSFER, first, last, **interruption)


def init(first: int, last: int, **interruption: Any) -> Operation:
    return start(RangeKind.INIT, first, last, **interruption)


def load(row: int, weights: list[int], error: Error = Error.NONE, **interruption: Any) -> Operation:
    operation = start(RangeKind.LOAD, row, row, **interruption)
    return dataclasses.replace(operation, weights=weights, weights_error=error)


def resume(**interruption: Any) -> Operation:
    return Operation("resume", interruption=Interruption(**interruption) if interruption else None)


ABORT, DISCARD = Operation("abort"), Operation("discard")


# -- both sides ----------------------------------------------------------------------------------


@dataclass
class Report:
    """All that must be equal, and how the interruptions fell."""

    answers: list[str | None]
    kept: list[Kept | None]
    events: list[Any]
    state: dict[str, Any]


def state_of(array: Array, given: Case) -> dict[str, Any]:
    control = TileController(given.spec, cast("ArrayMacro", array), given.table, (1, 1))
    arrays = Tile(given.spec, control, array).state()
    found = {name: value.tolist() for name, value in arrays.items() if name not in DIGITAL}
    return {**found, "clock_ns": array.clock_ns, "updates": array.updates}


def rtl_transfers(given: Case) -> tuple[Report, Run]:
    array = copy.deepcopy(given.array)
    tile, recorder = TransferTile(given.spec), Recorder(array)
    macro = Macro(tile, recorder, given.active, given.seed)
    run = Run(tile, macro, given.table.tolist(), given.bits)

    async def bench(ctx: Any) -> None:
        await run.bench(ctx, given.operations)

    simulate(tile, bench, limit_cycles=200_000)
    kept = [cut.kept for cut in run.cuts]
    return Report(run.answers, kept, recorder.events, state_of(array, given)), run


def golden_transfers(given: Case, run: Run) -> Report:
    """The same commands, interrupted after the same boundary events."""
    array = copy.deepcopy(given.array)
    recorder = Recorder(array)
    macro = InterruptedArray(cast("Array", recorder))
    control = TileController(given.spec, cast("ArrayMacro", macro), given.table, (1, 1))
    control.active[:] = given.active
    control.polarity.bits[:] = given.bits
    report = Report([], [], recorder.events, {})
    for operation, cut in zip(given.operations, run.cuts, strict=True):
        rows_before = control.counters.rows
        report.answers.append(golden_operation(control, macro, operation, cut))
        ended = report.answers[-1] == "NONE" and control.counters.rows > rows_before
        report.kept.append(golden_kept(control, ended))
    report.state = state_of(array, given)
    return report


def golden_kept(control: TileController, ended: bool = False) -> Kept:
    transfers, counters = control.transfers, control.counters
    journal = transfers.journal
    names = ("rows", "attempts", "not_programmed", "not_trimmed")
    return Kept(
        valid=journal.valid,
        row=journal.row,
        p_new=journal.p_new,
        kind=journal.kind.value,
        next_row=transfers.next_row,
        last_row=transfers.last_row,
        bits=control.polarity.bits.tolist(),
        counters={name: getattr(counters, name) for name in names},
        codes=journal.codes.tolist() if journal.valid or ended else None,
    )


def golden_operation(
    control: TileController, macro: InterruptedArray, operation: Operation, cut: Cut
) -> str | None:
    """The answer; None where a soft reset left none."""
    sequencer, interruption = control.transfers, operation.interruption
    if operation.name == "discard":
        sequencer.journal.valid = False
        return None
    refusal = golden_refusal(operation, control.spec.columns)
    if cut.interrupted and golden_kept(control) == cut.kept and not cut.begun:
        # It fell before anything happened, such as while the weights came.
        return golden_cut(control, macro, operation, cut)
    if refusal is not Error.NONE:
        return refusal.name
    if operation.name == "start":
        codes = np.array(operation.weights) if operation.weights else None
        payload = operation.payload
        sequencer.start(Kind(payload["kind"]), payload["first"], payload["last"], codes)
    elif operation.name == "resume":
        sequencer.resume()
    else:
        sequencer.end_range()
    if cut.interrupted:
        return golden_cut(control, macro, operation, cut)
    if interruption and interruption.what == "abort":
        target = control.counters.rows + cut.rows
        while control.counters.rows < target:
            sequencer.step()
        if cut.idle:
            sequencer.end_range()
        elif sequencer.state is not GoldenState.IDLE:
            sequencer.abort = True
    sequencer.run()
    return Error.NONE.name


def golden_refusal(operation: Operation, columns: int) -> Error:
    """What is wrong with the packet of a LOAD."""
    if operation.payload.get("kind") != RangeKind.LOAD:
        return Error.NONE
    if operation.weights_error is not Error.NONE:
        return operation.weights_error
    come = len(operation.weights)
    if come == columns:
        return Error.NONE
    return Error.SHORT_VECTOR if come < columns else Error.LONG_VECTOR


def golden_cut(
    control: TileController, macro: InterruptedArray, operation: Operation, cut: Cut
) -> str | None:
    """Step as far as the same boundary events and the same kept state; then a soft reset."""
    sequencer = control.transfers
    before = macro.events

    def begun_after_step() -> int:
        return macro.events - before + EVENTS.get(sequencer.state, 0)

    while macro.events - before < cut.begun and begun_after_step() < cut.begun:
        sequencer.step()
    partial = begun_after_step() > cut.begun or cut.returned is not None
    in_step = macro.events - before < cut.begun
    if in_step and (partial or golden_kept(control) == cut.kept):
        whole = 1 << control.spec.converters.read_average_log2
        conversions = whole if cut.returned is None else cut.returned
        slots = control.spec.update.slots
        macro.cut(cut.begun - 1 - (macro.events - before), slots, conversions)
        with pytest.raises(SoftReset):
            sequencer.step()
    else:
        if in_step:
            sequencer.step()
        # States without an event may follow, or not yet.
        while golden_kept(control) != cut.kept:
            assert sequencer.state not in EVENTS, f"never {cut.kept}; at {golden_kept(control)}"
            sequencer.step()
        macro.array.clear_integrators()
    sequencer.soft_reset()
    interruption = operation.interruption
    resets = interruption is not None and interruption.what == "reset"
    return None if resets else Error.MACRO_TIMEOUT.name


def assert_equal(given: Case) -> tuple[Report, Run]:
    found, run = rtl_transfers(given)
    expected = golden_transfers(given, run)
    for k, (event, other) in enumerate(zip(found.events, expected.events, strict=False)):
        assert event == other, f"event {k}: expected {other}, got {event}"
    assert found == expected
    return found, run


# -- whole commands ------------------------------------------------------------------------------

WEIGHTS = [700, -700, 3, -2048, 2047]


def test_ranges_of_all_kinds_with_both_polarities_live() -> None:
    commands = [transfer(0, 2), load(1, WEIGHTS), init(2, 3), transfer(1, 3)]
    found, run = assert_equal(case(commands, bits=[0, 1, 1, 0]))
    assert found.answers == ["NONE"] * 4
    assert run.visited >= set(State) - {State.READ_LOWER_BEFORE, State.RESUME}


SPECS: dict[str, dict[str, Any]] = {
    "tiny": {"rows": 5, "columns": 3, "lanes": 1},
    "seven by five": {"rows": 7, "columns": 5, "lanes": 2, "read_average_log2": 3},
    "one cell": {"rows": 1, "columns": 1, "lanes": 1, "read_average_log2": 0},
    "one cell, many lanes": {"rows": 1, "columns": 1, "lanes": 8},
    "fewer columns than lanes": {"rows": 2, "columns": 3, "lanes": 4},
    "no multiple of the lanes": {"rows": 2, "columns": 37, "lanes": 4},
    "no pcm": {"program_pcm": "false", "lanes": 2},
    "no trim": {"trim_limit": 0, "lanes": 2},
    "no inversion": {"polarity_inversion": "false", "lanes": 4},
    "random chopper": {"chopper": "random", "lanes": 4},
    "all masked": {"masked": (0, 1, 2, 3, 4), "lanes": 2},
    "some masked": {"masked": (0, 3), "lanes": 2},
    "offset": {"offset": 15, "lanes": 2},
    "leak compensation": {"leak_compensation": 33, "lanes": 4},
    "the largest leak compensation": {"leak_compensation": 511, "lanes": 1},
    "one attempt": {"prog_limit": 1, "prog_tol": 0, "lanes": 2},
    "strong damping": {"trim_gain": 65535, "trim_shift": 15, "trim_limit": 48, "trim_tol": 0},
    "weak trim": {"trim_gain": 0, "trim_shift": 0, "trim_tol": 3, "lanes": 8},
    "no pulses to damp": {"trim_gain": 3, "trim_shift": 15, "trim_limit": 40, "offset": 0},
    "all codes": {"c_max": 2047, "set_shift": 3, "prog_tol": 20, "lanes": 2},
    "128 slots": {"slots": 128, "trim_gain": 600, "lanes": 2},
    "no noise": {"cell": "ideal", "trim_tol": 0, "lanes": 2},
    "short codes": {"read_bits": 6, "c_max": 20, "set_shift": 0, "trim_gain": 40, "prog_tol": 1},
}


@pytest.mark.parametrize("name", SPECS)
def test_specs(name: str) -> None:
    settings = SPECS[name]
    rows, columns = settings.get("rows", 4), settings.get("columns", 5)
    limit = (1 << (settings.get("read_bits", 12) - 1)) - 1
    weights = np.random.default_rng(7).integers(-limit, limit + 1, columns).tolist()
    last = min(rows - 1, 1)
    assert_equal(case([transfer(0, last), load(last, weights)], **settings))


def test_a_column_that_overshoots_keeps_its_device_and_at_least_one_code() -> None:
    fine: dict[str, Any] = {
        "read_bits": 9,
        "c_max": 255,
        "set_shift": 0,
        "prog_tol": 0,
        "trim_gain": 40,
    }
    weights = [code for magnitude in range(1, 9) for code in (magnitude, -magnitude)]
    commands = [load(0, weights), load(1, weights)]
    assert_equal(case(commands, rows=2, columns=16, lanes=8, prog_limit=8, **fine))


def test_small_targets_up_to_the_offset() -> None:
    weights = [sign * code for code in (14, 15, 16, 29, 30, 31) for sign in (1, -1)]
    commands = [load(0, weights), load(1, weights)]
    ideal: dict[str, Any] = {"cell": "ideal", "offset": 15, "prog_tol": 5, "bits": [0, 1]}
    assert_equal(case(commands, rows=2, columns=12, lanes=4, **ideal))


# -- interruptions -------------------------------------------------------------------------------

# Each state is met here: the first attempt and the first train never do for all columns.
THOROUGH: dict[str, Any] = {
    "leak_compensation": 20,
    "prog_tol": 6,
    "prog_limit": 2,
    "trim_limit": 3,
    "trim_tol": 0,
}
WITH_A_PHASE = [State[state.name] for state in EVENTS]


def interrupted(what: str, states: list[State], kind: RangeKind, delays: Any) -> list[Operation]:
    """Per state a command with the interruption in it, and what goes on with it."""
    operations = []
    for state in states:
        operation = start(kind, 0, 1, what=what, state=state, delay=int(delays.integers(0, 12)))
        if kind is RangeKind.LOAD:
            payload = {**operation.payload, "last": 0}
            operation = dataclasses.replace(operation, payload=payload, weights=WEIGHTS)
        operations += [operation, resume()]
    return operations


@pytest.mark.parametrize("kind", RangeKind)
def test_a_soft_reset_in_any_state_and_a_resume(kind: RangeKind) -> None:
    states = [state for state in State if state not in (State.IDLE, State.RESUME)]
    if kind is RangeKind.INIT:
        states = [State.JOURNAL, State.PRECHARGE, State.FLIP, State.ERASE, State.COMMIT]
    operations = interrupted("reset", states, kind, np.random.default_rng(2))
    found, run = assert_equal(case(operations, lanes=2, rows=2, **THOROUGH))
    assert found.answers.count(None) > len(states) - 4
    assert run.visited >= set(states) - {
        State.TAKE_WEIGHTS,
        State.READ_LOWER_BEFORE,
        State.READ_ALL,
    }
    if kind is RangeKind.TRANSFER:
        # Reset within the row or between rows: each row is committed once for each command.
        assert found.kept[-1] is not None
        assert found.kept[-1].counters["rows"] == 2 * len(states)


def test_soft_resets_at_any_cycle_also_of_what_was_resumed() -> None:
    delays, operations = np.random.default_rng(5), []
    for _ in range(8):
        first, second = (int(delay) for delay in delays.integers(0, 400, 2))
        operations += [transfer(0, 1, what="reset", delay=first)]
        operations += [resume(what="reset", delay=second), resume()]
    assert_equal(case(operations, lanes=4, masked=(1,), **THOROUGH))


def test_a_soft_reset_and_an_abort_while_a_resume_looks_for_rows() -> None:
    looks = State.RESUME
    operations = [transfer(0, 3, what="reset", state=State.COMMIT, delay=1)]
    operations += [resume(what="reset", state=looks), resume(what="abort", state=looks), resume()]
    found, _ = assert_equal(case(operations, lanes=4))
    rows = [kept.counters["rows"] for kept in found.kept if kept is not None]
    assert rows == [1, 1, 2, 2]


def test_random_choppers_draw_once_a_row_whatever_cuts_it() -> None:
    delays, operations = np.random.default_rng(9), []
    # A soft reset around the cycle in which the journal is written, and at any other.
    cuts: list[dict[str, Any]] = [{"state": State.JOURNAL, "delay": delay} for delay in range(4)]
    cuts += [{"delay": int(delay)} for delay in delays.integers(0, 400, 6)]
    for cut in cuts:
        operations += [transfer(0, 3, what="reset", **cut), resume(), load(2, WEIGHTS), init(3, 3)]
    found, _ = assert_equal(case(operations, lanes=4, chopper="random", trim_limit=4))
    # Beside the twin: the bits of the chopper in turn, one a row.
    chopper, committed = Chopper(), [kept.bits for kept in found.kept[1::4] if kept is not None]
    assert committed == [[chopper.draw() for _ in range(4)] for _ in cuts]


def test_an_abort_at_any_cycle_ends_the_range_with_the_row_in_hand() -> None:
    delays, operations = np.random.default_rng(6), []
    for delay in (0, 1, 2, *delays.integers(0, 900, 5)):
        operations += [transfer(0, 3, what="abort", delay=int(delay)), resume()]
    operations += [load(1, WEIGHTS, what="abort", state=State.TAKE_WEIGHTS, delay=1), resume()]
    for delay in range(3):
        operations += [init(0, 3, what="abort", state=State.COMMIT, delay=delay), resume()]
    found, _ = assert_equal(case(operations, lanes=4))
    ends = [kept.next_row for kept in found.kept if kept is not None]
    assert set(ends) >= {1, 2}, "aborted in the first row and later"
    assert ends[::2] == ends[1::2], "a RESUME goes on after an ABORT"


def test_an_abort_while_idle_completes_the_row_begun_and_forgets_the_others() -> None:
    operations = [
        ABORT,
        *(transfer(0, 2, what="reset", state=State.ERASE), ABORT, resume()),
        *(transfer(1, 2, what="reset", state=State.READ_ALL), ABORT, resume()),
        *(transfer(1, 2, what="reset", state=State.ERASE), ABORT, resume(), transfer(3, 3)),
        *(init(0, 3, what="reset", state=State.ERASE), ABORT, resume()),
    ]
    found, _ = assert_equal(case(operations, lanes=2))
    assert next(kept.last_row for kept in found.kept if kept is not None) == -1


def test_a_bad_packet_leaves_no_trace() -> None:
    bad = [
        load(1, WEIGHTS[:2], Error.SHORT_VECTOR),
        load(1, WEIGHTS, Error.LONG_VECTOR),
        load(1, [], Error.STREAM_TIMEOUT),
        load(1, WEIGHTS[:4]),
        load(1, [*WEIGHTS, 5]),
        load(1, [*WEIGHTS, *WEIGHTS, 5]),
    ]
    begun = transfer(0, 2, what="reset", state=State.READ_ALL)
    operations = [begun, *bad, resume(), *bad, load(1, WEIGHTS)]
    found, _ = assert_equal(case(operations, lanes=2))
    errors = ["SHORT_VECTOR", "LONG_VECTOR", "STREAM_TIMEOUT", "SHORT_VECTOR", *["LONG_VECTOR"] * 2]
    assert found.answers == [None, *errors, "NONE", *errors, "NONE"]


def test_a_silent_macro_ends_the_command_and_a_resume_completes_it() -> None:
    delays = np.random.default_rng(3)
    operations = interrupted("fail", WITH_A_PHASE, RangeKind.TRANSFER, delays)
    found, _ = assert_equal(case(operations, lanes=2, rows=2, **THOROUGH))
    assert found.answers.count("MACRO_TIMEOUT") > len(WITH_A_PHASE) - 3


def test_a_row_discarded_leaves_nothing_to_the_next_command() -> None:
    operations = []
    for state in (State.ERASE, State.SET, State.TRIM_PULSE):
        operations += [transfer(0, 0, what="fail", state=state), DISCARD, init(0, 0)]
        operations += [load(0, WEIGHTS)]
    assert_equal(case(operations, lanes=2, rows=1, **THOROUGH))
