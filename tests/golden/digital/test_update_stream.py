"""Update streams: words as comparators would give them, and the mean of their coincidences."""

from __future__ import annotations

import numpy as np
import pytest

from golden.analog import array
from golden.digital.update_stream import (
    UpdateStream,
    column_words,
    row_words,
    thermometer,
)
from spec.lfsr import COLUMN_LAG, LFSR_BITS, LFSR_MASK, ROW_LAG
from spec.parameter import override
from spec.tile import TileSpec

MODES = ["low_discrepancy", "stochastic"]
LAG = {"row": ROW_LAG, "column": COLUMN_LAG}
WIDTH = {"row": 8, "column": 7}


def spec_of(mode: str, slots: int = 32) -> TileSpec:
    return override(TileSpec(), {"stream_mode": mode, "slots": str(slots)})


def coincidences(row_words: np.ndarray, column_words: np.ndarray) -> np.ndarray:
    """The counts (rows, columns) that the array macro makes of the words."""
    counts = np.zeros((len(row_words), len(column_words)), np.int32)
    rows, columns, met = array.coincidences(row_words, column_words)
    counts[np.ix_(rows, columns)] = met
    return counts


def slot_by_slot(
    side: str, mode: str, slots: int, scale: int, state: int, codes: range
) -> tuple[list[int], int]:
    """Words of every code by the words of the design, one bit and one slot at a time."""

    def draw() -> int:
        nonlocal state
        for _ in range(16):
            bit = (state >> (LFSR_BITS - 1) ^ state >> (LAG[side] - 1)) & 1
            state = (state << 1 | bit) & LFSR_MASK
        return state & 0xFFFF

    k = slots.bit_length() - 1
    scramble = draw() >> (16 - k)
    words = [0] * len(codes)
    for slot in range(slots):
        u = draw()
        if mode == "low_discrepancy":
            place = slot if side == "row" else sum((slot >> b & 1) << (k - 1 - b) for b in range(k))
            u = (place ^ scramble) << (16 - k) | u & ((1 << (16 - k)) - 1)
        threshold = u * scale >> 16
        for index, code in enumerate(codes):
            words[index] |= int(threshold < code) << slot
    return words, state


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", ["row", "column"])
@pytest.mark.parametrize(("slots", "factor"), [(32, 1.0), (32, 1.37), (16, 9.0), (2, 100.0)])
def test_a_table_is_what_the_comparators_say_slot_by_slot(
    mode: str, side: str, slots: int, factor: float
) -> None:
    stream = UpdateStream(spec_of(mode, slots), side, 0x2468ACE)
    stream.scale = int(stream.scale * factor)
    state = stream.state
    for update in range(6):
        codes = range(1 << WIDTH[side])
        expected, state = slot_by_slot(side, mode, slots, stream.scale, state, codes)
        found = stream.table().tolist()
        wrong = [c for c in codes if found[c] != expected[c]]
        assert not wrong, (
            f"update {update}, code {wrong[0]}: expected {expected[wrong[0]]:#010x}, "
            f"got {found[wrong[0]]:#010x}"
        )
        assert stream.state == state


@pytest.mark.parametrize("mode", MODES)
def test_words_are_looked_up_by_magnitude_and_coincide_slot_by_slot(mode: str) -> None:
    spec, rng = spec_of(mode), np.random.default_rng(1)
    rows, columns = UpdateStream(spec, "row", 77), UpdateStream(spec, "column", 99)
    durations, errors = rng.integers(0, 256, 9), rng.integers(-127, 128, 7)
    row_table, column_table = rows.table(), columns.table()
    words = row_words(row_table, durations), column_words(column_table, errors)
    assert words[0].tolist() == [int(row_table[d]) for d in durations]
    assert words[1].tolist() == [int(column_table[abs(e)]) for e in errors]
    counts = coincidences(*words)
    for i, row in enumerate(words[0].tolist()):
        for j, column in enumerate(words[1].tolist()):
            assert counts[i, j] == sum(row >> s & column >> s & 1 for s in range(32)), (i, j)


@pytest.mark.parametrize("mode", MODES)
def test_code_zero_never_pulses_and_a_larger_code_keeps_the_pulses_of_a_smaller(mode: str) -> None:
    stream = UpdateStream(spec_of(mode), "row", 5)
    for _ in range(50):
        table = stream.table()
        assert table[0] == 0
        assert not (table[:-1] & ~table[1:]).any()


def test_low_discrepancy_gives_each_code_its_share_of_the_slots_in_every_update() -> None:
    for side, step in (("row", 8), ("column", 4)):
        stream = UpdateStream(spec_of("low_discrepancy"), side, 31)
        for _ in range(20):
            counts = np.bitwise_count(stream.table())[::step]
            assert counts.tolist() == list(range(32)), side


def test_the_sides_scramble_apart() -> None:
    spec = spec_of("low_discrepancy")
    rows, columns = UpdateStream(spec, "row", 1 << 20), UpdateStream(spec, "column", 1 << 20)
    # In the slot whose order is 0 the top bits of the threshold are the scramble.
    pairs = [
        (int(rows.thresholds()[0]) >> 3, int(columns.thresholds()[0]) >> 2) for _ in range(2000)
    ]
    same = np.mean([a == b for a, b in pairs])
    error = (1 / 32 * 31 / 32 / len(pairs)) ** 0.5
    assert abs(same - 1 / 32) < 5 * error, f"scrambles agree in {same:.3f} of the updates"
    assert {a for a, _ in pairs} == {b for _, b in pairs} == set(range(32))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("scales", [(256, 128), (389, 211)])
def test_mean_coincidences_are_slots_times_both_shares(
    mode: str, seed: int, scales: tuple[int, int]
) -> None:
    batches, updates, slots = 40, 100, 32
    spec, rng = spec_of(mode), np.random.default_rng(seed)
    rows = UpdateStream(spec, "row", int(rng.integers(1, LFSR_MASK)))
    columns = UpdateStream(spec, "column", int(rng.integers(1, LFSR_MASK)))
    rows.scale, columns.scale = scales
    means = np.empty((batches, 256, 128))
    for batch in range(batches):
        total = np.zeros((256, 128), np.uint16)
        for _ in range(updates):
            total += coincidences(rows.table(), columns.table()).astype(np.uint16)
        means[batch] = total / updates
    shares = np.arange(256) / scales[0], np.arange(128) / scales[1]
    expected = slots * shares[0][:, None] * shares[1][None, :]
    error = means.std(axis=0, ddof=1) / batches**0.5
    # Where hardly a pulse is expected in all, the batches cannot say; the Poisson error can.
    rare = expected * batches * updates < 50
    error = np.where(rare, np.maximum(error, (expected / (batches * updates)) ** 0.5), error)
    away = np.abs(means.mean(axis=0) - expected) - 5 * error
    worst = np.unravel_index(away.argmax(), away.shape)
    assert away[worst] <= 1e-9, (
        f"row code {worst[0]}, column code {worst[1]}: expected {expected[worst]:.4f} "
        f"+- {error[worst]:.4f}, got {means.mean(axis=0)[worst]:.4f}"
    )


def test_a_thermometer_fills_the_first_slots() -> None:
    pulses = np.arange(33)
    assert thermometer(pulses).tolist() == [(1 << n) - 1 for n in range(33)]


def test_an_illegal_side_or_state_is_refused() -> None:
    with pytest.raises(ValueError, match="side 'left': row or column"):
        UpdateStream(TileSpec(), "left", 1)
    for state in (0, LFSR_MASK + 1, -1):
        with pytest.raises(ValueError, match="an LFSR state is never 0"):
            UpdateStream(TileSpec(), "row", state)
