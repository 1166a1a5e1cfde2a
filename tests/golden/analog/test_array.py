"""The array macro: exact integration, the analog clock, and leak at the ticks it crosses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from golden.analog.array import coincidences
from golden.analog.parameters import GRID
from golden.analog.pcm import pulse_ordinals
from golden.words import Words, numbers_of, words_of
from spec.boundary import Pair
from spec.parameter import override
from spec.tile import TileSpec, TimingSpec

ALL = np.ones(5, np.bool_)
NONE = np.zeros(5, np.bool_)


def by_hand(durations: Any, weights: np.ndarray) -> list[int]:
    """Charges in Python's own integers."""
    rows, columns = weights.shape
    return [
        sum(int(durations[i]) * int(weights[i, j]) for i in range(rows)) for j in range(columns)
    ]


@pytest.mark.parametrize("bits", ["000000", "111111", "010010"])
def test_charge_is_the_exact_integer_dot_product_over_both_phases(bench: Any, bits: str) -> None:
    b = bench(reference_mismatch=0.05)
    b.randomise(1)
    swaps = np.array([int(bit) for bit in bits])
    durations = np.array([255, 1, 0, 77, 130, 255])
    weights = b.array.weights_now(swaps).astype(np.int64)
    for swap in (0, 1):
        b.array.integrate_columns(np.where(swaps == swap, durations, 0), swap)
    assert b.array._column_charge.tolist() == by_hand(durations, weights)
    columns = np.array([-127, 0, 1, 127, 64])
    b.array.integrate_rows(columns, swaps)
    assert b.array._row_charge.tolist() == by_hand(columns, weights.T)


def test_the_swap_turns_the_lower_pair_alone(bench: Any) -> None:
    b = bench(reference_mismatch=0.05)
    b.randomise(2)
    normal, inverted = (b.array.weights_now(np.full(6, bit)).astype(int) for bit in (0, 1))
    lower = b.array.capacitors.lower.astype(int) + b.array.capacitors.mismatch
    assert ((normal - inverted) == 2 * lower).all()
    assert ((normal + inverted) == 2 * b.array.pcm.higher.astype(int)).all()


def test_a_conversion_clears_its_own_integrators(bench: Any) -> None:
    b = bench()
    b.randomise(3)
    durations = np.full(6, 100)
    b.array.integrate_columns(durations, 0)
    b.array.integrate_rows(np.full(5, 50), np.zeros(6, int))
    b.array.convert_forward(ALL)
    assert not b.array._column_charge.any()
    assert b.array._row_charge.any()
    b.array.convert_backward()
    assert not b.array._row_charge.any()
    b.array.integrate_read(0, Pair.ALL, 0)
    codes = b.array.convert_read(ALL, 3)
    assert codes.shape == (3, 5)
    assert (codes == codes[0]).all(), "the charge stays until the last of the repeats"
    assert not b.array._column_charge.any()


PRIMES = {
    "forward_phase_ns": 101, "backward_phase_ns": 103, "update_phase_ns": 107,
    "read_phase_ns": 109, "conversion_ns": 113, "precharge_ns": 127, "reset_ns": 131,
}  # fmt: skip
EVENTS: list[tuple[str, tuple[Any, ...], int]] = [
    ("integrate_columns", (np.arange(6), 0), 101),
    ("integrate_rows", (np.arange(5), np.zeros(6, int)), 103),
    ("integrate_read", (1, Pair.ALL, 0), 109),
    ("convert_forward", (ALL,), 113),
    ("convert_forward", (NONE,), 113),
    ("convert_backward", (), 113),
    ("convert_read", (ALL, 1), 113),
    ("convert_read", (ALL, 4), 4 * 113),
    ("update", (words_of([1] * 6, 32), words_of([1] * 5, 32), ALL), 107),
    ("update", (words_of([0] * 6, 32), words_of([0] * 5, 32), ALL), 107),
    ("precharge", (2,), 127),
    ("reset", (2, ALL), 131),
    ("wait", (997,), 997),
    ("wait", (0,), 0),
]


@pytest.mark.parametrize(("name", "arguments", "lasts_ns"), EVENTS)
def test_an_event_lasts_its_nominal_duration(
    bench: Any, name: str, arguments: tuple[Any, ...], lasts_ns: int
) -> None:
    b = bench(**PRIMES)
    getattr(b.array, name)(*arguments)
    assert b.array.clock_ns == lasts_ns


def test_a_set_strobe_lasts_as_its_longest_ramp(bench: Any) -> None:
    b, ramp = bench(), TimingSpec().set_ramp_ns
    clock_ns = 0
    for steps in ([0, 3, 250, 9, 1], [0, 0, 0, 0, 0], [255] * 5):
        b.array.set(0, ALL, NONE, np.array(steps))
        clock_ns += ramp[max(steps)]
        assert b.array.clock_ns == clock_ns


def test_commands_add_up_to_the_sum_of_their_events(bench: Any) -> None:
    b = bench(**PRIMES)
    durations = {name: lasts for name, _, lasts in EVENTS if name not in ("convert_read", "wait")}
    b.control.forward(np.full(5, 200))
    b.control.backward(np.full(5, 100))
    b.control.update()
    b.control.transfer(0, 2)
    total, ramp = 0, b.spec.timing.set_ramp_ns
    for name, arguments in b.macro.events:
        if name == "set":
            total += ramp[int(arguments[3].max())]
        elif name == "convert_read":
            total += 113 * arguments[1]
        else:
            total += durations[name]
    assert b.array.clock_ns == total


def test_capacitors_relax_at_each_tick_crossed_after_the_event(bench: Any) -> None:
    b, twin = (bench(leak_tau_ns=1e5, leak_tick_ns=1000, update_phase_ns=40) for _ in range(2))
    for x in (b, twin):
        x.randomise(4)
    words = words_of([0xFFFF] * 6, 32), words_of([0xFF] * 5, 32)
    b.array.wait(1000 - b.array.clock_ns % 1000 - 10)
    twin.array.wait(1000 - twin.array.clock_ns % 1000 - 10)
    assert (b.array.capacitors.lower == twin.array.capacitors.lower).all()
    b.array.update(*words, ALL)
    # By hand: the pulses first, then the one tick that the event crossed.
    eight = np.full((6, 5), 8, np.int32)
    twin.array.capacitors.pulse(np.arange(30).reshape(6, 5), eight, ALL, 0)
    twin.array.capacitors.leak()
    assert (b.array.capacitors.lower == twin.array.capacitors.lower).all()
    before = b.array.capacitors.lower.copy()
    b.array.wait(969)
    assert (b.array.capacitors.lower == before).all(), "nothing decays between ticks"
    b.array.wait(1)
    assert (b.array.capacitors.lower != before).any()


def test_one_long_wait_is_many_short_ones(bench: Any) -> None:
    b, twin = bench(leak_tau_ns=1e6), bench(leak_tau_ns=1e6)
    for x in (b, twin):
        x.randomise(5)
    b.array.wait(1_000_000)
    for _ in range(1000):
        twin.array.wait(1000)
    assert b.array.clock_ns == twin.array.clock_ns
    assert (b.array.capacitors.lower == twin.array.capacitors.lower).all()


def test_what_is_held_of_the_weights_is_that_of_the_devices_after_any_event(bench: Any) -> None:
    b = bench("pcm-3t1c", leak_tau_ns=1e6, leak_tick_ns=5000, cycle_to_cycle=0.3, drift="false")
    b.randomise(6)
    rng = np.random.default_rng(0)
    held, leaks = 0, 0

    def check() -> None:
        nonlocal held
        signs = b.array.signs
        wrong = (b.array.weights != b.array.weights_now((1 - signs) // 2)).any(axis=1)
        assert not wrong[signs != 0].any()
        held += np.count_nonzero(signs)

    for turn in range(60):
        ticks = b.array.clock_ns // 5000
        b.control.forward(rng.integers(0, 256, 5))
        check()
        b.control.backward(rng.integers(-127, 128, 5))
        check()
        b.control.update()
        check()
        leaks += b.array.clock_ns // 5000 - ticks
        if turn % 20 == 9:
            row = int(rng.integers(0, 6))
            b.control.transfer(row, row)
            assert b.array.signs[row] == 0
            check()
        if turn % 20 == 19:  # one polarity for all rows again
            b.control.transfer(*(2 * [int(np.flatnonzero(b.control.polarity.bits)[0])]))
    assert held > 60 * 6, "mostly, the weights are held"
    assert leaks, "capacitors must leak on the way"


@pytest.mark.parametrize("slots", [32, 64, 128])
def test_every_kind_of_words_coincides_slot_by_slot(slots: int) -> None:
    rng = np.random.default_rng(0)

    def words(count: int, share: float) -> Words:
        bits = rng.random((count, slots)) < share
        return words_of([sum(1 << int(slot) for slot in np.flatnonzero(b)) for b in bits], slots)

    thermometers = words_of(((1 << int(n)) - 1 for n in rng.integers(0, slots + 1, 200)), slots)
    for row_words in (thermometers, words(200, 0.5), words(20, 0.5), words(200, 1 / slots)):
        row_words *= rng.random(row_words.shape[1]) < 0.5
        column_words = words(7, 2 / slots)
        rows, columns, counts = coincidences(row_words, column_words)
        sides = numbers_of(row_words), numbers_of(column_words)
        expected = np.array([[(r & c).bit_count() for c in sides[1]] for r in sides[0]])
        assert rows.tolist() == np.flatnonzero(expected.any(axis=1)).tolist()
        assert columns.tolist() == np.flatnonzero(sides[1]).tolist()
        assert counts.tolist() == expected[np.ix_(rows, columns)].tolist()
    assert len(coincidences(row_words, words_of([0] * 7, slots))[0]) == 0


def test_an_update_of_the_pcm_only_cell_has_as_many_draws_as_slots_and_no_fewer_than_32() -> None:
    ordinals = {n: pulse_ordinals(override(TileSpec(), {"slots": str(n)})) for n in (8, 32, 128)}
    assert ordinals == {8: 32, 32: 32, 128: 128}


def test_evaluating_the_weights_of_this_moment_leaves_the_state_alone(bench: Any) -> None:
    b = bench("pcm-3t1c", leak_tau_ns=0)
    b.randomise(7)
    b.array.wait(10**10)
    higher, weights = b.array.pcm.higher.copy(), b.array.weights.copy()
    now = b.weights()
    assert (now != b.array.weights).any(), "ten seconds of drift must show"
    assert (b.array.pcm.higher == higher).all()
    assert (b.array.weights == weights).all()
    assert (b.array.pcm.drift_ns < b.array.clock_ns).all()


def test_a_read_writes_back_the_drift_of_its_row(bench: Any) -> None:
    b = bench("pcm-3t1c", leak_tau_ns=0)
    b.randomise(8)
    b.array.wait(10**10)
    now = b.array.pcm.drifted(b.array.clock_ns)
    b.array.integrate_read(2, Pair.ALL, 0)
    changed = np.flatnonzero((b.array.pcm.higher == now).all(axis=1))
    assert changed.tolist() == [2]


def test_worn_rows_have_a_pair_with_a_device_above_the_level_that_a_refresh_frees(
    bench: Any,
) -> None:
    b = bench("pcm-only", refresh_level=0.4)
    level = int(0.4 * GRID)
    pairs = {(1, 2): (1, 1), (3, 3): (0, 1), (5, 1): (1, 0)}
    b.array.pcm.g_minus[4, 0], b.array.pcm.g_plus[4, 0] = level + 1, level // 4 + 1
    for cell, (above, worn_partner) in pairs.items():
        b.array.pcm.g_plus[cell] = level + above
        b.array.pcm.g_minus[cell] = level // 4 + worn_partner
    assert b.array.worn_rows().tolist() == [1, 4]


def test_pcm_only_raises_with_plus_and_lowers_with_minus(bench: Any) -> None:
    b = bench("pcm-only", programming_noise=0)
    before = b.array.pcm.g_plus.copy(), b.array.pcm.g_minus.copy()
    words = words_of([3] * 6, 32), words_of([1, 2, 3, 0, 4], 32)
    b.array.update(*words, np.array([True, False, True, True, True]))
    plus, minus = b.array.pcm.g_plus > before[0], b.array.pcm.g_minus > before[1]
    assert plus.tolist() == [[True, False, True, False, False]] * 6
    assert minus.tolist() == [[False, True, False, False, False]] * 6
    assert b.array.pcm.pulses_plus.tolist() == [[1, 0, 2, 0, 0]] * 6
    assert not b.array.capacitors.lower.any()


def test_timing_of_the_specification_is_what_the_events_take() -> None:
    spec = override(TimingSpec(), {name: str(value) for name, value in PRIMES.items()})
    assert {name: getattr(spec, name) for name in PRIMES} == PRIMES
