"""The training example and the evaluation as one loop over tiles."""

from __future__ import annotations

import numpy as np

from golden.analog import random
from golden.engines.compiled import array, pcm
from golden.engines.compiled import layout as at
from golden.engines.compiled.cache import compiled, entry
from golden.engines.compiled.draws import clip, round_half_even
from golden.engines.compiled.vectors import BLOCK
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
def list_pulsed(flat, t, phase):
    """List the columns whose word has a pulse, with their directions. Returns how many."""
    p, table, count = flat.P[t], flat.words[at.TABLE], 0
    offsets, sides = flat.scratch[at.OFFSETS], flat.scratch[at.SIDES]
    words, directions = flat.words[at.COLUMN_WORDS], flat.work[at.DIRECTIONS]
    slopes, slope = flat.work[at.SLOPES], p[at.SLOPE]
    errors = flat.columns[at.ERROR, p[at.COLUMN] : p[at.COLUMN] + p[at.COLUMNS]]
    up, down_at = 1 - 2 * phase, flat.lower.shape[0]
    for j in range(errors.shape[0]):
        word = table[np.uint64(abs(errors[j]))]
        direction = up if errors[j] > 0 else -up
        offsets[count] = BLOCK * j
        sides[count] = BLOCK * j + (0 if direction > 0 else down_at)
        words[count] = word
        directions[count] = np.int32(direction)
        slopes[count] = np.int32(direction * slope)
        count += word != 0
    return count


@compiled
def look_up(words, table, durations):
    """Words of durations (padded rows,): zero where padded, as code 0 has no pulse."""
    for i in range(words.shape[0]):
        words[i] = table[np.uint64(durations[i])]


@compiled
def drop_other(words, signs, sign):
    """Silence the rows (padded rows,) that are not of this sign."""
    for i in range(words.shape[0]):
        words[i] = words[i] if signs[i] == sign else np.uint32(0)


@compiled
def update(flat, t):
    """UPDATE of tile t with its active vectors; a phase per live polarity."""
    p, register, table = flat.P[t], flat.R[t], flat.words[at.TABLE]
    slots, mode, line = p[at.SLOTS], p[at.LOW_DISCREPANCY] != 0, p[at.LINE]
    padded = p[at.BLOCKS] * BLOCK
    rows, signs = flat.words[at.ROW_WORDS, :padded], flat.signs[line : line + padded]
    durations, mixed = flat.durations[line : line + padded], array.mixed(flat, t)
    register[at.ROW_LFSR] = word_table(
        table, register[at.ROW_LFSR], ROW_LAG, register[at.ROW_SCALE],
        1 << p[at.PWM_BITS], flat.tables[at.ROW_SLOTS, :slots], p[at.SLOT_BITS], mode,
    )  # fmt: skip
    look_up(rows, table, durations)
    # The rows have their words; the same table now serves the columns.
    register[at.COLUMN_LFSR] = word_table(
        table, register[at.COLUMN_LFSR], COLUMN_LAG, register[at.COLUMN_SCALE],
        1 << p[at.COLUMN_BITS], flat.tables[at.COLUMN_SLOTS, :slots], p[at.SLOT_BITS], mode,
    )  # fmt: skip
    every_row = flat.words[at.EVERY_ROW, :padded]
    every_row[:] = rows
    for phase in range(2):
        if mixed:
            rows[:] = every_row
            drop_other(rows, signs, 1 - 2 * phase)
        elif phase != (register[at.INVERTED_ROWS] != 0):
            continue
        count = array.driven_blocks(flat.scratch[at.DRIVEN], rows)
        array.update(flat, t, count, list_pulsed(flat, t, phase))
        register[at.UPDATES] += 1
        array.wait(flat, t, p[at.UPDATE_NS])


@compiled
def activate(flat, t):
    """Clipped ReLU of tile t's codes into the active row vector of tile t + 1."""
    p, line = flat.P[t], flat.P[t + 1, at.LINE]
    shift, top = p[at.FORWARD_BITS] - 1 - p[at.PWM_BITS], (1 << p[at.PWM_BITS]) - 1
    for j in range(p[at.COLUMNS]):
        positive = max(flat.columns[at.CODE, p[at.COLUMN] + j], 0)
        flat.durations[line + j] = np.int32(min(round_half_even(positive, shift), top))
    flat.durations[line + p[at.COLUMNS]] = np.int32(top)


@compiled
def enter_image(flat, image):
    """An image's row codes (inputs,) and the bias into the first tile's row vector."""
    for i in range(image.shape[0]):
        flat.durations[i] = np.int32(image[i])
    flat.durations[image.shape[0]] = np.int32((1 << flat.P[0, at.PWM_BITS]) - 1)


@compiled
def output_error(flat, label):
    """target - softmax of the last tile's codes into its column vector; True if any."""
    t = flat.P.shape[0] - 1
    p, table = flat.P[t], flat.tables[at.SOFTMAX]
    c, classes = p[at.COLUMN], p[at.COLUMNS]
    codes = flat.columns[at.CODE, c : c + classes]
    errors = flat.columns[at.ERROR, c : c + classes]
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
    p, limit = flat.P[t], (1 << flat.P[t, at.COLUMN_BITS]) - 1
    c, clipped = p[at.COLUMN], (1 << (p[at.FORWARD_BITS] - 1)) - 1
    found = False
    for j in range(p[at.COLUMNS]):
        error = clip(round_half_even(back[j], p[at.GAIN_SHIFT]), -limit, limit)
        code = flat.columns[at.CODE, c + j]
        error = error if code > 0 and code < clipped else 0
        flat.columns[at.ERROR, c + j] = error
        found |= error != 0
    return found


@entry
def train(flat, images, labels):
    """Train on examples in order: images (n, inputs) uint8, labels (n,)."""
    tiles = flat.P.shape[0]
    start = np.zeros(tiles, np.int64)
    back = flat.scratch[at.READ]
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
                rows = flat.P[first_pending, at.ROWS]
                array.backward(flat, first_pending, back[:rows])
                if not pass_errors(flat, first_pending - 1, back):
                    break
                first_pending -= 1
        for t in range(first_pending, tiles):
            update(flat, t)
        for t in range(tiles):
            spent = flat.R[t, at.CLOCK] - start[t]
            array.wait(flat, t, max(0, flat.P[t, at.EXAMPLE_NS] - spent))


@entry
def present_weights(flat, weights):
    """Weights of all cells (padded cells,) with the drift of this moment, on a copy."""
    cells = flat.cells
    for t in range(flat.P.shape[0]):
        p = flat.P[t]
        for row in range(p[at.ROWS]):
            age = pcm.log_age(flat, t, row)
            sign = 1 - 2 * flat.rows[at.POLARITY, p[at.ROW] + row]
            for j in range(p[at.COLUMNS]):
                k = p[at.CELL] + row * p[at.COLUMNS] + j
                place = array.place_of(p, row, j)
                higher = np.int64(cells[at.HIGHER, k])
                if p[at.DRIFT]:
                    higher = pcm.drifted(flat, t, k, age)
                lower = np.int64(flat.lower[place]) + cells[at.MISMATCH, k]
                weights[place] = np.int32(higher + sign * lower)


@entry
def evaluate(flat, images, labels, weights):
    """How many examples the weights (padded cells,) classify; noise by example."""
    tiles, scratch = flat.P.shape[0], flat.scratch
    ordinals = np.zeros_like(scratch[0])
    correct = 0
    for n in range(images.shape[0]):
        enter_image(flat, images[n])
        for t in range(tiles):
            p = flat.P[t]
            count = p[at.COLUMNS]
            columns = slice(p[at.COLUMN], p[at.COLUMN] + count)
            charge, noise = scratch[at.CHARGE, :count], scratch[at.NOISE, :count]
            charge[:] = 0
            array.integrate_columns(flat, t, weights, charge, -1)
            array.draw_noise(noise, flat.seed, EVALUATION, t, ordinals[:count], n)
            array.to_codes(
                flat.columns[at.CODE, columns],
                charge,
                noise,
                p[at.FORWARD_NOISE],
                flat.columns[at.COLUMN_OFFSET, columns],
                flat.columns[at.FORWARD_OFFSET, columns],
                p[at.CALIBRATION],
                array.bit_reversed(n, p[at.CALIBRATION]),
                p[at.FORWARD_SHIFT],
                p[at.FORWARD_BITS],
            )
            if t < tiles - 1:
                activate(flat, t)
        classes = flat.columns[at.CODE, flat.P[tiles - 1, at.COLUMN] :]
        correct += np.argmax(classes) == labels[n]
    return correct


@compiled
def auto_zero(flat, t, mechanism, ordinals, channel, found, scale, shift, bits):
    """Offsets `found` (channels,) of one side from averaged zero-drive conversions."""
    p, scratch, count = flat.P[t], flat.scratch, found.shape[0]
    total, codes = scratch[at.TOTAL, :count], scratch[at.READ, :count]
    noise, zero = scratch[at.NOISE, :count], scratch[at.OLD_LOWER, :count]
    charge = scratch[at.CHARGE, :count]
    charge[:] = 0
    zero[:] = 0
    total[:] = 0
    for _ in range(1 << p[at.CALIBRATION]):
        array.draw_noise(noise, flat.seed, mechanism, t, ordinals, 0)
        ordinals += 1
        array.to_codes(codes, charge, noise, scale, channel, zero, 0, 0, shift, bits)
        total += codes
        array.wait(flat, t, p[at.CONVERSION_NS])
    found[:] = total


@entry
def calibrate(flat, t):
    """Auto-zero both sides of tile t."""
    p = flat.P[t]
    columns = flat.columns[:, p[at.COLUMN] : p[at.COLUMN] + p[at.COLUMNS]]
    rows = flat.rows[:, p[at.ROW] : p[at.ROW] + p[at.ROWS]]
    auto_zero(
        flat, t, array.COLUMN_NOISE, columns[at.COLUMN_ORDINAL], columns[at.COLUMN_OFFSET],
        columns[at.FORWARD_OFFSET], p[at.FORWARD_NOISE], p[at.FORWARD_SHIFT], p[at.FORWARD_BITS],
    )  # fmt: skip
    auto_zero(
        flat, t, array.ROW_NOISE, rows[at.ROW_ORDINAL], rows[at.ROW_OFFSET],
        rows[at.BACKWARD_OFFSET], p[at.BACKWARD_NOISE], p[at.BACKWARD_SHIFT],
        p[at.BACKWARD_BITS],
    )  # fmt: skip
