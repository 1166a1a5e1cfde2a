"""The transfer sequencer, driven against the array: what a row keeps, and what interrupts it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from golden.digital.chopper import Chopper
from golden.digital.transfer import Kind, State
from golden.training.schedule import next_due, rows_due
from golden.words import numbers_of
from spec.boundary import Pair
from spec.lfsr import CHOPPER_RESET
from spec.parameter import override
from spec.tile import TransferSpec

ORDER = [
    *(
        State.READ_ZERO,
        State.READ_ALL,
        State.JOURNAL,
        State.PRECHARGE,
        State.FLIP,
        State.READ_LOWER,
    ),
    *(State.ERASE, State.SET, State.VERIFY, State.TRIM_READ, State.TRIM_PULSE, State.COMMIT),
]
BEFORE = (State.READ_ZERO, State.READ_LOWER_BEFORE, State.READ_ALL, State.JOURNAL)
FIXED = {"step_spread": 0.1, "up_down_mismatch": 0.06, "slope": 0.05, "reference_mismatch": 0.02}


def lsb(b: Any) -> int:
    return 1 << b.array.read_range.shift


def largest_step(b: Any) -> int:
    capacitors = b.array.capacitors
    return int(max(capacitors.step_up.max(), capacitors.step_down.max()) * 1.06)


def first_away(found: np.ndarray, expected: np.ndarray, limit: float) -> str:
    """Empty where all are within the limit, else the first that is not."""
    away = np.argwhere(np.abs(found - expected) > limit)
    if not len(away):
        return ""
    place = tuple(int(k) for k in away[0])
    return f"cell {place}: expected {expected[place]} +- {limit}, got {found[place]}"


# -- what a transfer keeps -----------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 20])
@pytest.mark.parametrize("devices", [{}, FIXED], ids=["ideal", "fixed mismatch"])
def test_a_burst_without_noise_keeps_every_weight(
    bench: Any, devices: dict[str, float], offset: int
) -> None:
    b = bench(
        rows=20, columns=12, trim_tol=0, trim_limit=24, offset=offset, significance_gain=2,
        **devices,
    )  # fmt: skip
    b.randomise(11)
    for polarity in (1, 0, 1, 0):
        before = b.weights()
        b.control.transfer(0, 19)
        assert b.control.polarity.bits.tolist() == [polarity] * 20
        # Half an LSB each for the READ before and the READ after, and a trim step.
        wrong = first_away(b.weights(), before, lsb(b) + largest_step(b))
        assert not wrong, f"to polarity bit {polarity}: {wrong}"
        # Train a little, so that the next transfer has something to move.
        b.array.capacitors.lower += np.random.default_rng(polarity).integers(
            -300_000, 300_000, b.array.capacitors.lower.shape, np.int32
        )
        b.array.refresh_weights()
    assert b.control.counters.rows == 20 + 4 * 20


@pytest.mark.parametrize("seed", [0, 1])
def test_staggered_transfers_between_updates_keep_every_weight(bench: Any, seed: int) -> None:
    b = bench(rows=20, columns=12, trim_tol=0, trim_limit=24, **FIXED)
    b.randomise(seed)
    rng = np.random.default_rng(seed)
    transfer = override(
        TransferSpec(), {"transfer_interval": "30", "transfer_mode": "staggered"}
    )  # fmt: skip
    done, mixed = [], 0
    for example in range(1, 61):
        b.control.forward(rng.integers(0, 256, 19))
        b.control.backward(rng.integers(-127, 128, 12))
        before = b.weights()
        b.control.update()
        changed = np.flatnonzero((b.weights() != before).any(axis=1))
        assert len(changed), "an update that moves nothing tests nothing"
        for row in rows_due(transfer, 20, example):
            kept, bits = b.weights(), b.control.polarity.bits.copy()
            b.control.transfer(row, row)
            wrong = first_away(b.weights(), kept, lsb(b) + largest_step(b))
            assert not wrong, f"example {example}, row {row}: {wrong}"
            others = np.arange(20) != row
            assert (b.weights()[others] == kept[others]).all(), f"row {row} disturbed another"
            assert (b.control.polarity.bits != bits).nonzero()[0].tolist() == [row]
            done.append(row)
        mixed += 0 < b.control.polarity.bits.sum() < 20
    assert done == [*range(20), *range(20)]
    assert mixed > 30, "rows of both polarities must have been live at once"


@pytest.mark.parametrize("bit", [0, 1])
def test_read_codes_are_kept_within_the_trim_tolerance_by_default(bench: Any, bit: int) -> None:
    b = bench("pcm-3t1c", rows=10, columns=8, leak_tau_ns=0, read_noise=0, pcm_read_noise=0)
    b.control.polarity.bits[:] = bit
    b.randomise(12)
    # Programming noise is large, and the pair is done within prog_tol; the trim takes the rest.
    for row in range(10):
        before = b.control.read(row, Pair.ALL)
        not_trimmed = b.control.counters.not_trimmed
        b.control.transfer(row, row)
        away = np.abs(b.control.read(row, Pair.ALL) - before) > b.spec.transfer.trim_tol
        assert away.sum() <= b.control.counters.not_trimmed - not_trimmed, f"row {row}"


def test_inversion_off_keeps_the_polarity(bench: Any) -> None:
    b = bench(polarity_inversion="false")
    b.randomise(13)
    b.control.polarity.bits[:] = [0, 1, 0, 1, 0, 1]
    b.control.transfer(0, 5)
    assert b.control.polarity.bits.tolist() == [0, 1, 0, 1, 0, 1]


def test_a_random_chopper_draws_a_polarity_a_transfer_and_keeps_every_weight(bench: Any) -> None:
    b = bench(rows=40, chopper="random", trim_tol=0, trim_limit=24, **FIXED)
    chopper, beside = b.control.transfers.chopper, Chopper()
    b.randomise(13)
    b.control.init(0, 0)
    b.control.polarity.flip_to(1, 1)
    b.control.load(1, np.zeros(5, np.int64))
    assert b.control.polarity.bits[1] == 1, "a LOAD keeps the bit"
    assert chopper.state == CHOPPER_RESET, "LOAD and INIT draw nothing"
    turned = 0
    for _ in range(3):
        before, bits = b.weights(), b.control.polarity.bits.copy()
        b.control.transfer(0, 39)
        assert b.control.polarity.bits.tolist() == [beside.draw() for _ in range(40)]
        assert chopper.state == beside.state
        wrong = first_away(b.weights(), before, lsb(b) + largest_step(b))
        assert not wrong, wrong
        turned += (b.control.polarity.bits != bits).sum()
    assert 40 < turned < 80, "about half of the rows turn"


def test_a_chopper_there_is_only_where_it_is_asked_for(bench: Any) -> None:
    assert bench().control.transfers.chopper is None


def test_the_capacitors_give_all_but_the_residual_to_the_pair(bench: Any) -> None:
    b = bench(rows=10, columns=8, significance_gain=2)
    b.randomise(14)
    weights = b.weights()
    b.control.transfer(0, 9)
    assert np.abs(b.array.capacitors.lower).max() <= (b.spec.transfer.prog_tol + 2) * lsb(b)
    assert np.abs(b.array.pcm.higher - weights).max() <= (b.spec.transfer.prog_tol + 2) * lsb(b)


@pytest.mark.parametrize("p_new", [0, 1])
def test_small_targets_end_in_reset_and_the_capacitor_carries_them(bench: Any, p_new: int) -> None:
    b = bench(columns=7, offset=30, trim_limit=24)
    b.control.polarity.bits[:] = 1 - p_new
    sign = 1 - 2 * p_new
    # Targets are W - p_new offset: 0, 1, 29 (small), 30 and the other sign (programmed).
    codes = sign * np.array([30, 31, 59, 60, 29, -100, 300])
    b.array.capacitors.lower[2] = -sign * codes * lsb(b)
    b.array.refresh_weights()
    assert (b.control.read(2, Pair.ALL) == codes).all()
    b.macro.events.clear()
    b.control.transfer(2, 2)
    sets = [arguments[1] for name, arguments in b.macro.events if name == "set"]
    assert sets[0].tolist() == [False, False, False, True, True, True, True]
    assert b.array.pcm.higher[2, :3].tolist() == [0, 0, 0]
    assert np.abs(b.control.read(2, Pair.ALL) - codes).max() <= b.spec.transfer.trim_tol


def test_leak_compensation_adds_its_share_of_the_lower_pair(bench: Any) -> None:
    b = bench(leak_compensation=64)
    b.control.load(1, np.array([100, -100, 200, 0, 7]))
    b.array.capacitors.lower[1] = np.array([80, -80, 44, 400, -4]) * lsb(b)
    b.array.refresh_weights()
    before, lower = b.control.read(1, Pair.ALL), b.control.read(1, Pair.LOWER)
    b.control.transfer(1, 1)
    wanted = before + (lower * 64 >> 8)
    assert b.control.transfers.journal.codes.tolist() == wanted.tolist()
    assert np.abs(b.control.read(1, Pair.ALL) - wanted).max() <= b.spec.transfer.trim_tol


# -- the order of things -------------------------------------------------------------------------


def test_the_journal_is_valid_exactly_between_its_writing_and_commit(bench: Any) -> None:
    b = bench(leak_compensation=10)
    b.randomise(15)
    sequencer = b.control.transfers
    codes = b.control.read(3, Pair.ALL)
    sequencer.start(Kind.TRANSFER, 3, 4)
    visited = []
    while sequencer.state is not State.IDLE:
        state, row = sequencer.state, 3 + visited.count(State.COMMIT)
        inside = state not in BEFORE
        assert sequencer.journal.valid == inside, state
        bit = int(b.control.polarity.bits[row])
        assert bit == int(inside and state not in (State.PRECHARGE, State.FLIP)), state
        if inside:
            journal = sequencer.journal
            assert (journal.row, journal.p_new, journal.kind) == (row, 1, Kind.TRANSFER)
        assert sequencer.next_row == row, state
        sequencer.step()
        visited.append(state)
    assert not sequencer.journal.valid
    assert sequencer.next_row == 5
    once = [s for k, s in enumerate(visited) if s not in visited[:k]]
    assert once == [State.READ_ZERO, State.READ_LOWER_BEFORE, *ORDER[1:]]
    assert np.abs(b.control.read(3, Pair.ALL) - codes).max() <= 40  # with what compensation adds


@pytest.mark.parametrize("slots", [32, 128])
def test_strobes_fall_only_on_the_row_of_a_valid_journal(bench: Any, slots: int) -> None:
    b = bench(slots=slots)
    b.randomise(16)
    sequencer = b.control.transfers
    sequencer.start(Kind.TRANSFER, 0, 5)
    while sequencer.state is not State.IDLE:
        b.macro.events.clear()
        state, valid, row = sequencer.state, sequencer.journal.valid, sequencer.journal.row
        sequencer.step()
        strobes = [e for e in b.macro.events if e[0] in ("precharge", "reset", "set", "update")]
        assert len(strobes) <= 1, state
        for name, arguments in strobes:
            assert valid, f"{name} in {state} without a journal"
            if name == "update":
                full = (1 << slots) - 1
                assert numbers_of(arguments[0]) == [full * (n == row) for n in range(6)], state
            else:
                assert arguments[0] == row, name


def test_a_trim_steps_no_lfsr(bench: Any) -> None:
    b = bench()
    states = b.control.row_stream.state, b.control.column_stream.state
    b.randomise(17)
    b.control.transfer(0, 5)
    assert (b.control.row_stream.state, b.control.column_stream.state) == states


def test_attempts_stop_at_the_limit_and_are_counted(bench: Any) -> None:
    b = bench(programming_noise=10, prog_tol=0, prog_limit=3, trim_limit=2, trim_tol=0)
    b.randomise(18)
    before = dict(vars(b.control.counters))
    b.control.transfer(2, 2)
    now = vars(b.control.counters)
    assert now["rows"] - before["rows"] == 1
    assert now["attempts"] - before["attempts"] == 3 == b.macro.names().count("set")
    assert 0 < now["not_programmed"] - before["not_programmed"] <= 5
    assert b.macro.names().count("update") == 2
    assert 0 < now["not_trimmed"] - before["not_trimmed"] <= 5


def test_a_retry_touches_only_the_columns_that_failed_and_keeps_their_sign(bench: Any) -> None:
    b = bench(rows=2, columns=40, programming_noise=3, prog_tol=20)
    b.randomise(19)
    b.control.transfer(0, 0)
    resets = [a[1] for name, a in b.macro.events if name == "reset"]
    sets = [(a[1], a[2]) for name, a in b.macro.events if name == "set"]
    assert len(sets) > 1
    assert resets[0].all()
    for k in range(1, len(sets)):
        assert resets[k].tolist() == sets[k][0].tolist()
        assert not (sets[k][0] & ~sets[k - 1][0]).any(), "a converged column was written again"
        both = sets[k][0]
        assert (sets[k][1][both] == sets[0][1][both]).all(), "a column changed its device"


def test_a_cell_whose_step_is_far_too_large_does_not_diverge(bench: Any) -> None:
    b = bench(step=0.0025, trim_gain=94, trim_limit=48, trim_tol=2)
    b.randomise(20)
    before = [b.control.read(row, Pair.ALL) for row in range(6)]
    b.control.transfer(0, 5)
    after = [b.control.read(row, Pair.ALL) for row in range(6)]
    assert np.abs(np.array(after) - before).max() <= 2


# -- interruptions -------------------------------------------------------------------------------


def steps_of_a_range(b: Any) -> list[State]:
    sequencer, visited = b.control.transfers, []
    sequencer.start(Kind.TRANSFER, 1, 2)
    while sequencer.state is not State.IDLE:
        visited.append(sequencer.state)
        sequencer.step()
    return visited


@pytest.mark.parametrize("compensation", [0, 1])
def test_a_soft_reset_at_any_state_then_resume_finishes_the_range(
    bench: Any, compensation: int
) -> None:
    def fresh() -> Any:
        b = bench(rows=4, trim_tol=0, trim_limit=24, leak_compensation=compensation)
        b.randomise(21)
        b.control.polarity.flip_to(2, 1)
        b.array.capacitors.lower //= 40  # a compensation of 1/256 then adds at most a code
        b.array.refresh_weights()
        return b

    visited = steps_of_a_range(fresh())
    assert set(visited) >= set(ORDER)
    for count, state in enumerate([*visited, State.IDLE]):
        b = fresh()
        before, sequencer = b.weights(), b.control.transfers
        rows_before = b.control.counters.rows
        sequencer.start(Kind.TRANSFER, 1, 2)
        flips = []
        bits = b.control.polarity.bits.copy()
        for _ in range(count):
            sequencer.step()
            flips += np.flatnonzero(b.control.polarity.bits != bits).tolist()
            bits = b.control.polarity.bits.copy()
        assert sequencer.state is state
        sequencer.soft_reset()
        assert sequencer.state is State.IDLE
        sequencer.resume()
        while sequencer.state is not State.IDLE:
            sequencer.step()
            flips += np.flatnonzero(b.control.polarity.bits != bits).tolist()
            bits = b.control.polarity.bits.copy()
        assert flips == [1, 2], f"soft reset before {state} (step {count})"
        assert b.control.polarity.bits.tolist() == [0, 1, 0, 0]
        limit = (1 + compensation) * lsb(b) + largest_step(b)
        wrong = first_away(b.weights(), before, limit)
        assert not wrong, f"soft reset before {state} (step {count}): {wrong}"
        assert not sequencer.journal.valid
        assert b.control.counters.rows - rows_before == 2
        assert sequencer.next_row == 3


def test_a_soft_reset_at_any_state_leaves_the_same_polarities_to_a_resume(bench: Any) -> None:
    def fresh() -> Any:
        b = bench(rows=12, chopper="random")
        b.randomise(21)
        return b

    whole = fresh()
    whole.control.transfer(2, 9)
    wanted = whole.control.polarity.bits.tolist()
    assert 0 < sum(wanted[2:10]) < 8
    b = fresh()
    sequencer = b.control.transfers
    sequencer.start(Kind.TRANSFER, 2, 9)
    resets = 0
    # Soft resets ever later in what was resumed, up to where a row completes between two.
    for steps in range(1, 80):
        for _ in range(steps):
            if sequencer.state is not State.IDLE:
                sequencer.step()
        if sequencer.state is State.IDLE:
            break
        sequencer.soft_reset()
        sequencer.resume()
        resets += 1
    assert sequencer.state is State.IDLE
    assert resets > 15
    assert b.control.polarity.bits.tolist() == wanted
    assert sequencer.chopper.state == whole.control.transfers.chopper.state


def test_a_second_soft_reset_in_the_row_resumed_changes_nothing_either(bench: Any) -> None:
    for first, second in ((4, 3), (7, 7), (9, 1), (6, 5)):
        b = bench(rows=3, trim_tol=0, trim_limit=24)
        b.randomise(22)
        before, sequencer = b.weights(), b.control.transfers
        sequencer.start(Kind.TRANSFER, 0, 0)
        for count in (first, second):
            for _ in range(count):
                sequencer.step()
            assert sequencer.journal.valid
            sequencer.soft_reset()
            sequencer.resume()
        sequencer.run()
        assert b.control.polarity.bits.tolist() == [1, 0, 0]
        assert not first_away(b.weights(), before, lsb(b) + largest_step(b))


@pytest.mark.parametrize("stop", [1, 3, 6, 9])
def test_abort_completes_the_row_ends_the_range_and_reports_the_next(bench: Any, stop: int) -> None:
    b = bench()
    b.randomise(23)
    sequencer = b.control.transfers
    sequencer.start(Kind.TRANSFER, 1, 4)
    for _ in range(stop):
        sequencer.step()
    sequencer.abort = True
    sequencer.run()
    assert b.control.polarity.bits.tolist() == [0, 1, 0, 0, 0, 0]
    assert (sequencer.next_row, sequencer.journal.valid) == (2, False)
    b.macro.events.clear()
    sequencer.resume()
    assert sequencer.state is State.IDLE, "the range was ended"
    assert b.macro.events == []
    b.control.transfer(2, 4)
    assert b.control.polarity.bits.tolist() == [0, 1, 1, 1, 1, 0]


def test_a_busy_sequencer_or_an_incomplete_row_refuses_a_new_range(bench: Any) -> None:
    b = bench()
    sequencer = b.control.transfers
    sequencer.start(Kind.TRANSFER, 0, 0)
    with pytest.raises(RuntimeError, match="busy or a row is incomplete"):
        sequencer.start(Kind.TRANSFER, 1, 1)
    for _ in range(5):
        sequencer.step()
    sequencer.soft_reset()
    with pytest.raises(RuntimeError, match="busy or a row is incomplete"):
        sequencer.start(Kind.LOAD, 1, 1, np.zeros(5, np.int64))
    sequencer.resume()
    sequencer.run()
    b.control.load(1, np.zeros(5, np.int64))


# -- LOAD and INIT -------------------------------------------------------------------------------


@pytest.mark.parametrize("bit", [0, 1])
def test_load_brings_a_row_to_its_codes_and_keeps_its_polarity(bench: Any, bit: int) -> None:
    b = bench(columns=9, trim_limit=24, **FIXED)
    b.control.polarity.bits[:] = bit
    codes = np.array([0, 1, -1, 100, -100, 700, -700, 1500, -1500])
    b.control.load(3, codes)
    assert b.control.polarity.bits.tolist() == [bit] * 6
    assert np.abs(b.control.read(3, Pair.ALL) - codes).max() <= b.spec.transfer.trim_tol
    assert b.control.transfers.journal.kind is Kind.LOAD


def test_load_saturates_at_the_weight_format(bench: Any) -> None:
    b = bench()
    b.control.load(0, np.array([5000, -5000, 2047, -2048, 0]))
    assert b.control.transfers.journal.codes.tolist() == [2047, -2048, 2047, -2048, 0]


def test_load_stops_after_its_row_when_resumed(bench: Any) -> None:
    b = bench()
    sequencer, codes = b.control.transfers, np.array([100, -100, 300, -300, 0])
    for count in (0, 1):  # before the journal is valid, and after
        sequencer.start(Kind.LOAD, 2, 2, codes)
        for _ in range(count):
            sequencer.step()
        sequencer.soft_reset()
        sequencer.resume()
        sequencer.run()
        found = b.control.read(2, Pair.ALL)
        expected = codes if count else np.zeros(5)
        assert np.abs(found - expected).max() <= b.spec.transfer.trim_tol
        assert not sequencer.journal.valid


def test_init_blanks_its_rows_and_makes_them_normal(bench: Any) -> None:
    b = bench()
    b.randomise(24)
    b.control.polarity.bits[:] = 1
    kept = b.weights()
    b.macro.events.clear()
    b.control.init(1, 3)
    assert b.control.polarity.bits.tolist() == [1, 0, 0, 0, 1, 1]
    assert not b.array.capacitors.lower[1:4].any()
    assert not b.weights()[1:4].any()
    assert (b.weights()[[0, 4, 5]] == kept[[0, 4, 5]]).all()
    assert b.macro.names() == ["precharge", "reset"] * 3
    assert b.control.transfers.next_row == 4


def test_init_goes_on_over_its_range_after_a_soft_reset(bench: Any) -> None:
    for count in range(9):
        b = bench()
        b.randomise(25)
        b.control.polarity.bits[:] = 1
        sequencer = b.control.transfers
        sequencer.start(Kind.INIT, 0, 1)
        for _ in range(count):
            sequencer.step()
        sequencer.soft_reset()
        sequencer.resume()
        sequencer.run()
        assert b.control.polarity.bits.tolist() == [0, 0, 1, 1, 1, 1], count
        assert not b.weights()[:2].any(), count


# -- the schedule --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["burst", "staggered"])
@pytest.mark.parametrize(("interval", "rows"), [(10, 4), (4, 10), (7, 7), (1, 5), (8000, 529)])
def test_every_row_is_due_once_an_interval_and_next_due_skips_none(
    mode: str, interval: int, rows: int
) -> None:
    transfer = override(
        TransferSpec(), {"transfer_mode": mode, "transfer_interval": str(interval)}
    )  # fmt: skip
    due = {n: list(rows_due(transfer, rows, n)) for n in range(1, 2 * interval + 1)}
    for start in (1, interval + 1):
        listed = [row for n in range(start, start + interval) for row in due[n]]
        assert listed == list(range(rows))
    if mode == "burst":
        assert [n for n in due if due[n]] == [interval, 2 * interval]
    for example in range(0, 2 * interval, max(1, interval // 50)):
        expected = next((n for n in range(example + 1, 2 * interval + 1) if due[n]), None)
        assert next_due(transfer, rows, example) == expected, example


def test_interval_zero_never_transfers() -> None:
    never = override(TransferSpec(), {"transfer_interval": "0"})
    assert not rows_due(never, 10, 1)
    assert next_due(never, 10, 5) > 1 << 60
