"""Update streams: words as comparators would give them, and the mean of their coincidences."""

from __future__ import annotations

import numpy as np
import pytest

from golden.analog import array
from golden.digital import skew
from golden.digital.update_stream import (
    UpdateStream,
    column_words,
    row_words,
)
from golden.words import numbers_of, pulsing, thermometer, words_of
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
    counts = np.zeros((row_words.shape[1], column_words.shape[1]), np.int32)
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
@pytest.mark.parametrize(
    ("slots", "factor"),
    [(32, 1.0), (32, 1.37), (16, 9.0), (2, 100.0), (64, 1.0), (128, 1.37), (128, 9.0)],
)
def test_a_table_is_what_the_comparators_say_slot_by_slot(
    mode: str, side: str, slots: int, factor: float
) -> None:
    stream = UpdateStream(spec_of(mode, slots), side, 0x2468ACE)
    stream.scale = int(stream.scale * factor)
    state = stream.state
    for update in range(6):
        codes = range(1 << WIDTH[side])
        expected, state = slot_by_slot(side, mode, slots, stream.scale, state, codes)
        found = numbers_of(stream.table())
        wrong = [c for c in codes if found[c] != expected[c]]
        assert not wrong, (
            f"update {update}, code {wrong[0]}: expected {expected[wrong[0]]:#010x}, "
            f"got {found[wrong[0]]:#010x}"
        )
        assert stream.state == state


@pytest.mark.parametrize("slots", [32, 128])
@pytest.mark.parametrize("mode", MODES)
def test_words_are_looked_up_by_magnitude_and_coincide_slot_by_slot(mode: str, slots: int) -> None:
    spec, rng = spec_of(mode, slots), np.random.default_rng(1)
    rows, columns = UpdateStream(spec, "row", 77), UpdateStream(spec, "column", 99)
    durations, errors = rng.integers(0, 256, 9), rng.integers(-127, 128, 7)
    row_table, column_table = rows.table(), columns.table()
    words = row_words(row_table, durations), column_words(column_table, errors)
    sides = [numbers_of(side) for side in words]
    assert sides[0] == [numbers_of(row_table)[d] for d in durations]
    assert sides[1] == [numbers_of(column_table)[abs(e)] for e in errors]
    counts = coincidences(*words)
    for i, row in enumerate(sides[0]):
        for j, column in enumerate(sides[1]):
            assert counts[i, j] == sum(row >> s & column >> s & 1 for s in range(slots)), (i, j)


@pytest.mark.parametrize("slots", [32, 128])
@pytest.mark.parametrize("mode", MODES)
def test_code_zero_never_pulses_and_a_larger_code_keeps_the_pulses_of_a_smaller(
    mode: str, slots: int
) -> None:
    stream = UpdateStream(spec_of(mode, slots), "row", 5)
    for _ in range(50):
        table = stream.table()
        assert not table[:, 0].any()
        assert not (table[:, :-1] & ~table[:, 1:]).any()


@pytest.mark.parametrize("slots", [32, 64, 128])
def test_low_discrepancy_gives_each_code_its_share_of_the_slots_in_every_update(slots: int) -> None:
    for side in ("row", "column"):
        stream = UpdateStream(spec_of("low_discrepancy", slots), side, 31)
        for _ in range(20):
            counts = np.bitwise_count(stream.table()).sum(axis=0)[:: (1 << WIDTH[side]) // slots]
            assert counts.tolist() == list(range(slots)), side


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
@pytest.mark.parametrize(("seed", "slots"), [(0, 32), (1, 32), (0, 128)])
@pytest.mark.parametrize("scales", [(256, 128), (389, 211)])
def test_mean_coincidences_are_slots_times_both_shares(
    mode: str, seed: int, slots: int, scales: tuple[int, int]
) -> None:
    batches, updates = 40, 100
    spec, rng = spec_of(mode, slots), np.random.default_rng(seed)
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


@pytest.mark.parametrize("slots", [8, 32, 64, 128])
def test_a_thermometer_fills_the_first_slots(slots: int) -> None:
    words = thermometer(np.arange(slots + 1), slots)
    assert words.shape == (-(-slots // 32), slots + 1)
    assert numbers_of(words) == [(1 << n) - 1 for n in range(slots + 1)]
    assert pulsing(words).tolist() == [False] + [True] * slots


@pytest.mark.parametrize("slots", [2, 16, 32, 64, 128])
def test_skewed_words_have_the_pulses_of_a_group_as_many_slots_later(slots: int) -> None:
    settings = {"slots": str(slots), "row_skew": "true", "rows": "1200"}
    spec, rng = override(TileSpec(), settings), np.random.default_rng(slots)
    late = skew.turns(spec)
    assert set(late.tolist()) == set(range(slots))
    numbers = [int.from_bytes(rng.bytes(16), "little") % (1 << slots) for _ in range(1200)]
    turned = [
        (number << turn | number >> (slots - turn)) % (1 << slots)
        for number, turn in zip(numbers, late.tolist(), strict=True)
    ]
    assert numbers_of(skew.skewed(words_of(numbers, slots), late, slots)) == turned


def test_words_have_slot_s_of_a_line_in_bit_s_of_32_of_their_parts() -> None:
    numbers = [1 << 127 | 1 << 64 | 5, 0, 1 << 33]
    words = words_of(numbers, 128)
    assert words.tolist() == [[5, 0, 0], [0, 0, 2], [1, 0, 0], [1 << 31, 0, 0]]
    assert numbers_of(words) == numbers


def test_an_illegal_side_or_state_is_refused() -> None:
    with pytest.raises(ValueError, match="side 'left': row or column"):
        UpdateStream(TileSpec(), "left", 1)
    for state in (0, LFSR_MASK + 1, -1):
        with pytest.raises(ValueError, match="an LFSR state is never 0"):
            UpdateStream(TileSpec(), "row", state)
