"""The tile controller: which boundary events a command is, and what its vectors and masks do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spec.boundary import Pair

FORWARD = ["integrate_columns", "convert_forward"]


def drive(b: Any, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(1, 256, b.spec.rows - 1), rng.integers(-127, 128, b.spec.columns)


def exact(charge: np.ndarray, shift: int, limit: int) -> list[int]:
    """Codes of charges: nearest, ties to even, saturated; in Python's own integers."""
    return [min(max(round(int(q) / 2**shift), -limit), limit - 1) for q in charge]


def test_forward_is_one_phase_for_one_polarity_and_two_for_both(bench: Any) -> None:
    b = bench()
    b.randomise(1)
    rows, _ = drive(b)
    b.control.forward(rows)
    assert b.macro.names() == FORWARD
    assert b.macro.events[0][1][0].tolist() == [*rows.tolist(), 255]
    b.control.polarity.flip_to(2, 1)
    b.macro.events.clear()
    b.control.forward(rows)
    assert b.macro.names() == [FORWARD[0], *FORWARD]
    (_, (normal, swap_0)), (_, (inverted, swap_1)), _ = b.macro.events
    assert (swap_0, swap_1) == (0, 1)
    assert normal.tolist() == [int(v) if k != 2 else 0 for k, v in enumerate([*rows, 255])]
    assert inverted.tolist() == [int(v) if k == 2 else 0 for k, v in enumerate([*rows, 255])]


@pytest.mark.parametrize("bits", ["000000", "111111", "010110", "000001"])
def test_forward_and_backward_are_the_exact_dot_products(bench: Any, bits: str) -> None:
    b = bench(forward_range_log2=3, backward_range_log2=2, reference_mismatch=0.05)
    b.randomise(2)
    b.control.polarity.bits[:] = [int(bit) for bit in bits]
    weights = b.weights()
    for seed in range(5):
        rows, columns = drive(b, seed)
        charge = np.append(rows, 255) @ weights
        expected = exact(charge, b.array.forward_range.shift, 256)
        assert b.control.forward(rows).tolist() == expected
        charge = weights @ columns
        expected = exact(charge, b.array.backward_range.shift, 256)[:-1]
        assert b.control.backward(columns).tolist() == expected


def test_backward_is_one_phase_with_the_swap_of_each_row(bench: Any) -> None:
    b = bench()
    b.control.polarity.flip_to(4, 1)
    rows, columns = drive(b)
    b.control.forward(rows)
    b.macro.events.clear()
    b.control.backward(columns)
    assert b.macro.names() == ["integrate_rows", "convert_backward"]
    durations, swaps = b.macro.events[0][1]
    assert durations.tolist() == columns.tolist()
    assert swaps.tolist() == [0, 0, 0, 0, 1, 0]


def test_an_update_charges_where_error_and_polarity_say_and_replays_the_draws(bench: Any) -> None:
    b = bench()
    b.control.polarity.bits[:] = [0, 1, 0, 1, 0, 1]
    rows, _ = drive(b)
    b.control.forward(rows)
    b.macro.events.clear()
    states = b.control.row_stream.state, b.control.column_stream.state
    b.control.update(np.array([100, -100, 3, -3, 0]))
    (_, normal), (_, inverted) = b.macro.events
    assert b.macro.names() == ["update", "update"]
    assert normal[2].tolist() == [True, False, True, False, False]
    assert inverted[2].tolist() == [False, True, False, True, True]
    assert normal[1].tolist() == inverted[1].tolist()
    assert not normal[0][:, 1::2].any()
    assert not inverted[0][:, 0::2].any()
    # Both phases together are the words of one draw, as a twin with one polarity sees it.
    twin = bench()
    twin.control.row_stream.state, twin.control.column_stream.state = states
    twin.control.forward(rows)
    twin.macro.events.clear()
    twin.control.update(np.array([100, -100, 3, -3, 0]))
    assert (normal[0] | inverted[0]).tolist() == twin.macro.events[0][1][0].tolist()
    assert b.control.row_stream.state == twin.control.row_stream.state


@pytest.mark.parametrize("bit", [0, 1])
def test_an_update_raises_the_weight_where_the_error_is_positive(bench: Any, bit: int) -> None:
    b = bench()
    b.control.polarity.bits[:] = bit
    before = b.weights()
    b.control.forward(np.full(5, 255))
    b.control.update(np.array([127, -127, 0, 127, -127]))
    change = b.weights() - before
    assert np.sign(change).tolist() == [[1, -1, 0, 1, -1]] * 6


def test_column_codes_pass_the_derivative_mask_of_the_last_forward_once(bench: Any) -> None:
    b = bench(hidden=True)
    b.randomise(3)
    codes = b.control.forward(drive(b)[0])
    mask = (codes > 0) & (codes < 255)
    assert 0 < mask.sum() < len(mask)
    columns = np.array([50, 60, -70, 80, -90])
    b.macro.events.clear()
    b.control.backward(columns)
    assert b.macro.events[0][1][0].tolist() == np.where(mask, columns, 0).tolist()
    b.control.update()
    assert ((b.macro.events[-1][1][1] != 0) <= mask).all()


def test_an_output_tile_passes_every_column_code(bench: Any) -> None:
    b = bench(hidden=False)
    b.control.forward(drive(b)[0])
    b.macro.events.clear()
    b.control.backward(np.array([1, -2, 3, -4, 5]))
    assert b.macro.events[0][1][0].tolist() == [1, -2, 3, -4, 5]


def test_an_update_without_vectors_is_refused_and_nothing_happens(bench: Any) -> None:
    b = bench()
    state = b.control.row_stream.state
    with pytest.raises(RuntimeError, match=r"^NO_VECTOR"):
        b.control.update()
    b.control.forward(drive(b)[0])
    b.macro.events.clear()
    with pytest.raises(RuntimeError, match=r"^NO_VECTOR"):
        b.control.update()
    assert b.macro.events == []
    assert b.control.row_stream.state == state


def test_one_row_takes_no_codes_forward_and_refuses_backward(bench: Any) -> None:
    b = bench(rows=1)
    b.control.load(0, np.array([100, -100, 50, 0, 7]))
    b.control.forward(np.zeros(0, np.int64))
    assert b.macro.events[-2][1][0].tolist() == [255]
    with pytest.raises(ValueError, match="BACKWARD needs more than the bias row"):
        b.control.backward(np.zeros(5, np.int64))


def test_calibration_removes_the_channel_offsets(bench: Any) -> None:
    b = bench(channel_offset=6, forward_range_log2=3, backward_range_log2=2)
    b.randomise(4)
    rows, columns = drive(b)
    weights = b.weights()
    b.control.calibrate()
    assert np.abs(b.control.forward_offsets).max() > 1
    assert np.abs(b.control.backward_offsets).max() > 1
    wanted = exact(np.append(rows, 255) @ weights, b.array.forward_range.shift, 256)
    assert np.abs(b.control.forward(rows) - wanted).max() <= 1
    wanted = exact(weights @ columns, b.array.backward_range.shift, 256)[:-1]
    assert np.abs(b.control.backward(columns) - wanted).max() <= 1


@pytest.mark.parametrize("channel_offset", [0, 6])
@pytest.mark.parametrize("bit", [0, 1])
def test_a_read_is_in_weight_sign_and_the_pairs_add_up(
    bench: Any, bit: int, channel_offset: int
) -> None:
    b = bench(channel_offset=channel_offset, reference_mismatch=0.05)
    b.randomise(5)
    b.control.polarity.bits[:] = bit
    lsb, sign = 1 << b.array.read_range.shift, 1 - 2 * bit
    lower = b.array.capacitors.lower.astype(int) + b.array.capacitors.mismatch
    for row in range(b.spec.rows):
        codes = {pair: b.control.read(row, pair) for pair in Pair}
        wanted = {
            Pair.HIGHER: b.array.pcm.higher[row] / lsb,
            Pair.LOWER: sign * lower[row] / lsb,
            Pair.ALL: b.weights()[row] / lsb,
        }
        for pair in Pair:
            slack = 0.5 if channel_offset == 0 else 1.0
            assert np.abs(codes[pair] - wanted[pair]).max() <= slack, (row, pair)


def test_a_masked_column_returns_zero_and_is_never_converted_or_written(bench: Any) -> None:
    b = bench(
        "pcm-3t1c", leak_tau_ns=0, drift="false", transfer_interval=10, prog_limit=2
    )  # fmt: skip
    b.randomise(6)
    b.control.active[1] = b.control.active[3] = False
    masked, live = [1, 3], [0, 2, 4]
    pcm, ordinals = b.array.pcm, b.array.columns.noise.ordinals
    state = [pcm.g_plus, pcm.g_minus, pcm.nu_plus, b.array.capacitors.lower]
    before = [s.copy() for s in state]
    first = ordinals.copy()
    b.control.calibrate()
    assert b.control.forward(np.full(5, 255))[masked].tolist() == [0, 0]
    b.control.backward(np.full(5, 100))
    assert b.macro.events[-2][1][0][masked].tolist() == [0, 0]
    b.control.update()
    for kept, now in zip(before, state, strict=True):
        assert (kept[:, masked] == now[:, masked]).all()
    for pair in Pair:
        assert b.control.read(2, pair)[masked].tolist() == [0, 0]
    b.control.transfer(0, 5)
    for kept, now in zip(before[:3], state[:3], strict=True):
        assert (kept[:, masked] == now[:, masked]).all()
        assert (kept[:, live] != now[:, live]).any()
    assert ordinals[masked].tolist() == first[masked].tolist()
    assert (ordinals[live] > first[live]).all()
    assert b.control.forward_offsets[masked].tolist() == [0, 0]
    written = ("set", "reset", "update", "convert_forward", "convert_read")
    for name, arguments in b.macro.events:
        if name in written:
            lines = {"set": 1, "reset": 1, "update": 1, "convert_forward": 0, "convert_read": 0}
            assert not arguments[lines[name]][..., masked].any(), name


def test_a_load_of_the_wrong_length_changes_nothing(bench: Any) -> None:
    b = bench()
    b.randomise(7)
    before, journal = b.weights(), b.control.transfers.journal.codes.copy()
    for length in (0, 4, 6):
        with pytest.raises(ValueError, match=rf"\({length},\) weights for 5 columns"):
            b.control.load(0, np.ones(length, np.int64))
    assert b.macro.events == []
    assert (b.weights() == before).all()
    assert (b.control.transfers.journal.codes == journal).all()


def test_rates_below_unit_scale_and_a_set_table_of_another_size_are_refused(bench: Any) -> None:
    b = bench()
    for scales in ((255, 128), (256, 127)):
        with pytest.raises(ValueError, match="at least 2\\^w"):
            b.control.set_rates(*scales)
    b.control.set_rates(300, 200)
    assert (b.control.row_stream.scale, b.control.column_stream.scale) == (300, 200)
    with pytest.raises(ValueError, match="SET table"):
        type(b.control)(b.spec, b.macro, np.zeros(3, np.int64), (1, 1))


def test_saturated_conversions_are_counted(bench: Any) -> None:
    b = bench(forward_range_log2=-3, backward_range_log2=-6)
    b.randomise(8)
    raw = exact(np.full(6, 255) @ b.weights(), b.array.forward_range.shift, 256)
    rails = sum(code in (-256, 255) for code in raw)
    assert rails > 0
    before = b.control.counters.saturated
    b.control.forward(np.full(5, 255))
    assert b.control.counters.saturated - before == rails
