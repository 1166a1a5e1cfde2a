"""The training example and the evaluation as one loop over tiles."""

from __future__ import annotations

import numpy as np

from golden.analog import random
from golden.engines.compiled import array, pcm
from golden.engines.compiled import layout as at
from golden.engines.compiled.cache import compiled
from golden.engines.compiled.draws import clip, popcount, round_half_even
from spec.lfsr import COLUMN_LAG, DRAW_BITS, LFSR_BITS, LFSR_MASK, ROW_LAG, STEPS_A_DRAW

EVALUATION = int(random.Mechanism.EVALUATION)
_LOW_MASK = (1 << STEPS_A_DRAW) - 1
_TOP = LFSR_BITS - STEPS_A_DRAW


@compiled
def draw(state, lag):
    """The state of an LFSR after one draw."""
    new = (state >> _TOP) ^ (state >> (lag - STEPS_A_DRAW))
    return ((state << STEPS_A_DRAW) | (new & _LOW_MASK)) & LFSR_MASK


@compiled
def word_table(table, state, lag, scale, codes, order, slot_bits, low_discrepancy):
    """Words of one UPDATE for every code magnitude (codes,); returns the LFSR's state."""
    table[: codes + 1] = 0
    low_bits = DRAW_BITS - slot_bits
    state = draw(state, lag)
    scramble = (state & _LOW_MASK) >> low_bits
    for slot in range(order.shape[0]):
        state = draw(state, lag)
        u = state & _LOW_MASK
        if low_discrepancy:
            u = ((order[slot] ^ scramble) << low_bits) | (u & ((1 << low_bits) - 1))
        born = min(((u * scale) >> DRAW_BITS) + 1, codes)
        table[born] |= np.uint32(1) << np.uint32(slot)
    for code in range(1, codes):
        table[code] |= table[code - 1]
    return state


@compiled
def update(flat, t):
    """UPDATE of tile t with its active vectors; a phase per live polarity."""
    p, register, lines, scratch = flat.P[t], flat.R[t], flat.lines, flat.scratch
    rows, columns, r, c = p[at.ROWS], p[at.COLUMNS], p[at.ROW], p[at.COLUMN]
    table, words, charge = scratch.table, scratch.words[:columns], scratch.charges[:columns]
    order, mode = flat.tables.stream_order, p[at.LOW_DISCREPANCY] != 0
    # The row table is drawn first; its words are looked up as the rows come.
    register[at.COLUMN_LFSR] = word_table(
        table, register[at.COLUMN_LFSR], COLUMN_LAG, register[at.COLUMN_SCALE],
        1 << p[at.COLUMN_BITS], order[1], p[at.SLOT_BITS], mode,
    )  # fmt: skip
    driven = np.uint32(0)
    for j in range(columns):
        words[j] = table[abs(lines.errors[c + j])]
        driven |= words[j]
    register[at.ROW_LFSR] = word_table(
        table, register[at.ROW_LFSR], ROW_LAG, register[at.ROW_SCALE],
        1 << p[at.PWM_BITS], order[0], p[at.SLOT_BITS], mode,
    )  # fmt: skip
    for phase in range(2):
        live = False
        for j in range(columns):
            charge[j] = (lines.errors[c + j] > 0) != (phase == 1)
        for i in range(rows):
            word = table[lines.durations[r + i]]
            if word and lines.polarity[r + i] == phase:
                live = True
                if word & driven:
                    array.update_row(flat, t, i, words, charge, word)
        if live:
            register[at.UPDATES] += 1
            array.wait(flat, t, p[at.UPDATE_NS])


@compiled
def activate(flat, t):
    """Clipped ReLU of tile t's codes into the active row vector of tile t + 1."""
    p, lines = flat.P[t], flat.lines
    c, r = p[at.COLUMN], flat.P[t + 1, at.ROW]
    shift, top = p[at.FORWARD_BITS] - 1 - p[at.PWM_BITS], (1 << p[at.PWM_BITS]) - 1
    for j in range(p[at.COLUMNS]):
        positive = max(lines.codes[c + j], 0)
        lines.durations[r + j] = min(round_half_even(positive, shift), top)
    lines.durations[r + p[at.COLUMNS]] = top


@compiled
def enter_image(flat, image):
    """An image's row codes (inputs,) and the bias into the first tile's row vector."""
    p, lines = flat.P[0], flat.lines
    for i in range(image.shape[0]):
        lines.durations[i] = image[i]
    lines.durations[image.shape[0]] = (1 << p[at.PWM_BITS]) - 1


@compiled
def output_error(flat, label):
    """target - softmax of the last tile's codes into its column vector; True if any."""
    t = flat.P.shape[0] - 1
    p, lines, table = flat.P[t], flat.lines, flat.tables.softmax
    c, classes = p[at.COLUMN], p[at.COLUMNS]
    codes, errors = lines.codes[c : c + classes], lines.errors[c : c + classes]
    full = (1 << p[at.COLUMN_BITS]) - 1
    largest = codes.max()
    total = np.int64(0)
    for j in range(classes):
        total += table[largest - codes[j]]
    others, worst = np.int64(0), 0
    errors[label] = 0
    for j in range(classes):
        if j != label:
            errors[j] = -((2 * full * table[largest - codes[j]] + total) // (2 * total))
            others -= errors[j]
    for j in range(classes):
        if errors[j] < errors[worst]:
            worst = j
    if others > full:
        errors[worst] += others - full
        others = full
    errors[label] = others
    return np.any(errors)


@compiled
def pass_errors(flat, t, back):
    """BACKWARD codes (rows,) of tile t + 1 as masked column codes of tile t; True if any."""
    p, lines, limit = flat.P[t], flat.lines, (1 << flat.P[t, at.COLUMN_BITS]) - 1
    c, clipped = p[at.COLUMN], (1 << (p[at.FORWARD_BITS] - 1)) - 1
    found = False
    for j in range(p[at.COLUMNS]):
        error = clip(round_half_even(back[j], p[at.GAIN_SHIFT]), -limit, limit)
        code = lines.codes[c + j]
        error = error if code > 0 and code < clipped else 0
        lines.errors[c + j] = error
        found |= error != 0
    return found


@compiled
def train(flat, images, labels):
    """Train on examples in order: images (n, inputs) uint8, labels (n,)."""
    tiles = flat.P.shape[0]
    start = np.zeros(tiles, np.int64)
    back = np.zeros(flat.scratch.total.shape[0], np.int64)
    for n in range(images.shape[0]):
        enter_image(flat, images[n])
        for t in range(tiles):
            start[t] = flat.R[t, at.CLOCK]
            array.forward(flat, t)
            if t < tiles - 1:
                activate(flat, t)
        # Tiles first_pending .. tiles - 1 have column codes.
        first_pending = tiles
        if output_error(flat, labels[n]):
            first_pending = tiles - 1
            while first_pending > 0:
                array.backward(flat, first_pending, back[: flat.P[first_pending, at.ROWS]])
                if not pass_errors(flat, first_pending - 1, back):
                    break
                first_pending -= 1
        for t in range(first_pending, tiles):
            update(flat, t)
        for t in range(tiles):
            spent = flat.R[t, at.CLOCK] - start[t]
            array.wait(flat, t, max(0, flat.P[t, at.EXAMPLE_NS] - spent))


@compiled
def present_weights(flat, weights):
    """Weights of all cells (cells,) with the drift of this moment, on a copy."""
    for t in range(flat.P.shape[0]):
        p = flat.P[t]
        for row in range(p[at.ROWS]):
            age = pcm.log_age(flat, t, row)
            sign = 1 - 2 * np.int64(flat.lines.polarity[p[at.ROW] + row])
            a = p[at.CELL] + row * p[at.COLUMNS]
            for k in range(a, a + p[at.COLUMNS]):
                higher = np.int64(flat.cells.higher[k])
                if p[at.DRIFT]:
                    higher = pcm.drifted(flat, t, row, k, age)
                lower = np.int64(flat.cells.lower[k]) + flat.cells.mismatch[k]
                weights[k] = np.int32(higher + sign * lower)


@compiled
def evaluate(flat, images, labels, weights):
    """How many examples the weights (cells,) classify; noise by example, nothing changes."""
    tiles, lines, scratch = flat.P.shape[0], flat.lines, flat.scratch
    ordinals = np.zeros(scratch.total.shape[0], np.int64)
    one_polarity = np.zeros(lines.polarity.shape[0], np.uint8)
    correct = 0
    for n in range(images.shape[0]):
        enter_image(flat, images[n])
        for t in range(tiles):
            p = flat.P[t]
            rows, columns = p[at.ROWS], p[at.COLUMNS]
            a, r, c = p[at.CELL], p[at.ROW], p[at.COLUMN]
            charge, noise = scratch.charge[:columns], scratch.noise[:columns]
            charge[:] = 0.0
            weight = weights[a : a + rows * columns].reshape((rows, columns))
            durations = lines.durations[r : r + rows]
            array.sum_rows(charge, weight, durations, one_polarity, 0, scratch.active)
            ordinals[:columns] = n
            array.draw_noise(noise, flat.seed, EVALUATION, t, ordinals[:columns])
            array.to_codes(
                lines.codes[c : c + columns],
                charge,
                noise,
                p[at.FORWARD_NOISE],
                lines.column_offsets[c : c + columns],
                lines.forward_offsets[c : c + columns],
                p[at.FORWARD_SHIFT],
                p[at.FORWARD_BITS],
            )
            if t < tiles - 1:
                activate(flat, t)
        c = flat.P[tiles - 1, at.COLUMN]
        correct += np.argmax(lines.codes[c:]) == labels[n]
    return correct


@compiled
def calibrate(flat, t):
    """Auto-zero both sides of tile t."""
    p, lines, scratch = flat.P[t], flat.lines, flat.scratch
    rows, columns, r, c = p[at.ROWS], p[at.COLUMNS], p[at.ROW], p[at.COLUMN]
    repeats = 1 << p[at.CALIBRATION]
    total, none, codes = scratch.total, scratch.charge, scratch.read
    for side in range(2):
        count = columns if side == 0 else rows
        start = c if side == 0 else r
        mechanism = array.COLUMN_NOISE if side == 0 else array.ROW_NOISE
        ordinals = lines.column_ordinals if side == 0 else lines.row_ordinals
        offsets = lines.column_offsets if side == 0 else lines.row_offsets
        bits = p[at.FORWARD_BITS] if side == 0 else p[at.BACKWARD_BITS]
        shift = p[at.FORWARD_SHIFT] if side == 0 else p[at.BACKWARD_SHIFT]
        scale = p[at.FORWARD_NOISE] if side == 0 else p[at.BACKWARD_NOISE]
        found = lines.forward_offsets if side == 0 else lines.backward_offsets
        noise, zero = scratch.noise[:count], scratch.lower[:count]
        none[:count] = 0.0
        zero[:] = 0
        total[:count] = 0
        for _ in range(repeats):
            array.draw_noise(noise, flat.seed, mechanism, t, ordinals[start : start + count])
            channel = offsets[start : start + count]
            array.to_codes(
                codes[:count], none[:count], noise, scale, channel, zero, shift, bits
            )
            for j in range(count):
                total[j] += codes[j]
            array.wait(flat, t, p[at.CONVERSION_NS])
        for j in range(count):
            found[start + j] = round_half_even(total[j], p[at.CALIBRATION])


assert popcount
