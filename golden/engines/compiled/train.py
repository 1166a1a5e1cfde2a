"""The training example and the evaluation as one loop over tiles."""

from __future__ import annotations

import numpy as np

from golden.analog import random
from golden.engines.compiled import array, parts, pcm
from golden.engines.compiled import layout as at
from golden.engines.compiled.cache import compiled, entry, inlined
from golden.engines.compiled.conversions import convert_channels
from golden.engines.compiled.draws import clip, round_half_even
from golden.engines.compiled.vectors import BLOCK, FLIP
from golden.words import PART_SLOTS
from spec.lfsr import COLUMN_LAG, DRAW_BITS, LFSR_BITS, LFSR_MASK, ROW_LAG, STEPS_A_DRAW
from spec.tile import SKEW_ROWS

EVALUATION = int(random.Mechanism.EVALUATION)
_LOW_MASK = (1 << STEPS_A_DRAW) - 1
_TOP = LFSR_BITS - STEPS_A_DRAW


@compiled
def draw(state, lag):
    """The state of an LFSR after one draw."""
    new = (state >> _TOP) ^ (state >> (lag - STEPS_A_DRAW))
    return ((state << STEPS_A_DRAW) | (new & _LOW_MASK)) & LFSR_MASK


@inlined
def word_part(table, state, lag, scramble, scale, codes, order, low_bits, low_discrepancy):
    """Words of the slots of `order` for every code magnitude (codes,); returns the LFSR's state."""
    table[: codes + 1] = 0
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
def word_table(table, state, lag, scale, codes, order, slot_bits, low_discrepancy):
    """Words of one UPDATE for every code magnitude (codes,); returns the LFSR's state."""
    low_bits = DRAW_BITS - slot_bits
    state = draw(state, lag)
    scramble = (state & _LOW_MASK) >> low_bits
    return word_part(table, state, lag, scramble, scale, codes, order, low_bits, low_discrepancy)


@compiled
def word_parts(table, state, lag, scale, codes, order, slot_bits, low_discrepancy, stride):
    """The same of words that have several parts, each `stride` after the one before."""
    low_bits = DRAW_BITS - slot_bits
    state = draw(state, lag)
    scramble = (state & _LOW_MASK) >> low_bits
    for part in range(order.shape[0] // PART_SLOTS):
        slots = order[part * PART_SLOTS : (part + 1) * PART_SLOTS]
        state = word_part(
            table[part * stride :], state, lag, scramble, scale, codes, slots, low_bits,
            low_discrepancy,
        )  # fmt: skip
    return state


@inlined
def list_pulsed(flat, t, phase):
    """List the columns whose word has a pulse, with their directions. Returns how many."""
    p, table, count = flat.P[t], flat.words[at.COLUMN_TABLE], np.uint64(0)
    listed, offsets, sides = flat.scratch[at.HITS], flat.scratch[at.OFFSETS], flat.scratch[at.SIDES]
    words, downs = flat.words[at.COLUMN_WORDS], flat.work[at.DOWNS]
    slopes, slope = flat.work[at.SLOPES], p[at.SLOPE]
    errors = flat.columns[at.ERROR, p[at.COLUMN] : p[at.COLUMN] + p[at.COLUMNS]]
    up = 1 - 2 * phase
    # Few columns pulse: what is written for each is written in a loop over those alone.
    for j in range(errors.shape[0]):
        listed[count] = j
        count += np.uint64(table[np.uint64(abs(errors[j]))] != 0)
    for k in range(np.int64(count)):
        j = np.uint64(listed[k])
        error = errors[j]
        direction = up if error > 0 else -up
        offsets[k] = BLOCK * listed[k]
        sides[k] = 4 * BLOCK * listed[k] + (at.UP_AT if direction > 0 else at.DOWN_AT)
        words[k] = table[np.uint64(abs(error))]
        downs[k] = np.int32(direction >> 1)
        slopes[k] = np.int32(direction * slope)
    return np.int64(count)


@inlined
def turned(word, late, slots):
    """A word of `slots` pulses that are `late` slots later, those at the end coming first."""
    wide = np.uint64(word) << np.uint64(late) | np.uint64(word) >> np.uint64(slots - late)
    return np.uint32(wide & ((np.uint64(1) << np.uint64(slots)) - np.uint64(1)))


@inlined
def list_blocks(flat, t, sign):
    """List the blocks with a pulse: DRIVEN, their ROW_WORDS, and these JOINED. Returns how many.

    Only rows of polarity `sign` pulse; 0: all.
    """
    first, last, count = flat.P[t, at.LINE], flat.P[t, at.LINE] + flat.P[t, at.BLOCKS] * BLOCK, 0
    table, words = flat.words[at.ROW_TABLE], flat.words[at.ROW_WORDS]
    durations, signs = flat.durations[first:last], flat.signs[first:last]
    slots, taps = np.uint32(flat.P[t, at.SLOTS]), flat.P[t, at.ROW_TAPS]
    for row in range(0, durations.shape[0], BLOCK):
        longest = durations[row]
        for i in range(row + 1, row + BLOCK):
            longest |= durations[i]
        if longest == 0:
            continue
        joined = np.uint32(0)
        for i in range(row, row + BLOCK):
            live = sign == 0 or signs[i] == sign
            words[i] = table[np.uint64(durations[i])] if live else np.uint32(0)
            joined |= words[i]
        if taps > 1:
            joined = np.uint32(0)
            for i in range(row, row + BLOCK):
                late = np.uint32(flat.order[first + i] // SKEW_ROWS % taps)
                words[i] = turned(words[i], late, slots)
                joined |= words[i]
        flat.scratch[at.DRIVEN, count], flat.words[at.JOINED, count] = row, joined
        count += joined != 0
    return count


@inlined
def update(flat, t):
    """UPDATE of tile t with its active vectors; a phase per live polarity."""
    p, register = flat.P[t], flat.R[t]
    slots, mode = p[at.SLOTS], p[at.LOW_DISCREPANCY] != 0
    register[at.ROW_LFSR] = word_table(
        flat.words[at.ROW_TABLE], register[at.ROW_LFSR], ROW_LAG, register[at.ROW_SCALE],
        1 << p[at.PWM_BITS], flat.tables[at.ROW_SLOTS, :slots], p[at.SLOT_BITS], mode,
    )  # fmt: skip
    register[at.COLUMN_LFSR] = word_table(
        flat.words[at.COLUMN_TABLE], register[at.COLUMN_LFSR], COLUMN_LAG,
        register[at.COLUMN_SCALE], 1 << p[at.COLUMN_BITS], flat.tables[at.COLUMN_SLOTS, :slots],
        p[at.SLOT_BITS], mode,
    )  # fmt: skip
    mixed = array.mixed(flat, t)
    for phase in range(2):
        if not mixed and phase != (register[at.INVERTED_ROWS] != 0):
            continue
        count = list_blocks(flat, t, 1 - 2 * phase if mixed else 0)
        array.update(flat, t, count, list_pulsed(flat, t, phase))
        register[at.UPDATES] += 1
        array.wait(flat, t, p[at.UPDATE_NS])


@inlined
def update_parts(flat, t):
    """UPDATE of a tile whose words have several parts: the twin of `update`."""
    p, register, words = flat.P[t], flat.R[t], flat.words
    slots, mode = p[at.SLOTS], p[at.LOW_DISCREPANCY] != 0
    register[at.ROW_LFSR] = word_parts(
        words[at.ROW_TABLE], register[at.ROW_LFSR], ROW_LAG, register[at.ROW_SCALE],
        1 << p[at.PWM_BITS], flat.tables[at.ROW_SLOTS, :slots], p[at.SLOT_BITS], mode,
        p[at.STRIDE],
    )  # fmt: skip
    register[at.COLUMN_LFSR] = word_parts(
        words[at.COLUMN_PARTS], register[at.COLUMN_LFSR], COLUMN_LAG, register[at.COLUMN_SCALE],
        1 << p[at.COLUMN_BITS], flat.tables[at.COLUMN_SLOTS, :slots], p[at.SLOT_BITS], mode,
        p[at.STRIDE],
    )  # fmt: skip
    parts.join_table(flat, t)
    mixed = array.mixed(flat, t)
    for phase in range(2):
        if not mixed and phase != (register[at.INVERTED_ROWS] != 0):
            continue
        count = parts.list_blocks(flat, t, 1 - 2 * phase if mixed else 0)
        parts.update(flat, t, count, list_pulsed(flat, t, phase))
        register[at.UPDATES] += 1
        array.wait(flat, t, p[at.UPDATE_NS])


@inlined
def activate(flat, t):
    """Clipped ReLU of tile t's codes into the active row vector of tile t + 1."""
    p, line = flat.P[t], flat.P[t + 1, at.LINE]
    shift, top = p[at.FORWARD_BITS] - 1 - p[at.PWM_BITS], (1 << p[at.PWM_BITS]) - 1
    codes = flat.columns[at.CODE, p[at.COLUMN] : p[at.COLUMN] + p[at.COLUMNS]]
    durations = flat.durations[line : line + p[at.COLUMNS]]
    for j in range(durations.shape[0]):
        durations[j] = np.int32(min(round_half_even(max(codes[j], 0), shift), top))
    flat.durations[line + p[at.COLUMNS]] = np.int32(top)


@inlined
def enter_image(flat, image):
    """An image's row codes (inputs,) and the bias into the first tile's row vector."""
    durations = flat.durations[: image.shape[0]]
    for i in range(durations.shape[0]):
        durations[i] = np.int32(image[np.uint64(flat.order[i])])
    flat.durations[image.shape[0]] = np.int32((1 << flat.P[0, at.PWM_BITS]) - 1)


@compiled
def first_largest(codes):
    """Where the largest of some codes (n,) is."""
    best = 0
    for j in range(codes.shape[0]):
        if codes[j] > codes[best]:
            best = j
    return best


@inlined
def output_error(flat, label):
    """target - softmax of the last tile's codes into its column vector; True if any."""
    t = flat.P.shape[0] - 1
    p, table = flat.P[t], flat.tables[at.SOFTMAX]
    c, classes = p[at.COLUMN], p[at.COLUMNS]
    codes = flat.columns[at.CODE, c : c + classes]
    errors = flat.columns[at.ERROR, c : c + classes]
    full = (1 << p[at.COLUMN_BITS]) - 1
    largest = codes[first_largest(codes)]
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
    return others != 0


@inlined
def pass_errors(flat, t, back):
    """BACKWARD codes (rows,) of tile t + 1 as masked column codes of tile t; True if any."""
    p, limit = flat.P[t], (1 << flat.P[t, at.COLUMN_BITS]) - 1
    clipped, found = (1 << (p[at.FORWARD_BITS] - 1)) - 1, np.int64(0)
    columns, shift = slice(p[at.COLUMN], p[at.COLUMN] + p[at.COLUMNS]), p[at.GAIN_SHIFT]
    codes, errors = flat.columns[at.CODE, columns], flat.columns[at.ERROR, columns]
    for j in range(errors.shape[0]):
        error = clip(round_half_even(back[j], shift), -limit, limit)
        errors[j] = error if codes[j] > 0 and codes[j] < clipped else 0
        found |= errors[j]
    return found != 0


@inlined
def pass_example(flat, image, label):
    """FORWARD and BACKWARD of an example: the first tile that has column codes, as all after it."""
    tiles, back = flat.P.shape[0], flat.scratch[at.READ]
    enter_image(flat, image)
    for t in range(tiles):
        flat.R[t, at.STARTED] = flat.R[t, at.CLOCK]
        array.forward(flat, t)
        if t < tiles - 1:
            activate(flat, t)
    first_pending = tiles
    if output_error(flat, label):
        first_pending = tiles - 1
        while first_pending > 0:
            rows = flat.P[first_pending, at.ROWS]
            array.backward(flat, first_pending, back[:rows])
            if not pass_errors(flat, first_pending - 1, back):
                break
            first_pending -= 1
    return first_pending


@inlined
def end_example(flat):
    """Wait where an example took less than its time."""
    for t in range(flat.P.shape[0]):
        spent = flat.R[t, at.CLOCK] - flat.R[t, at.STARTED]
        array.wait(flat, t, max(0, flat.P[t, at.EXAMPLE_NS] - spent))


@entry
def train(flat, images, labels):
    """Train on examples in order: images (n, inputs) uint8, labels (n,)."""
    for n in range(images.shape[0]):
        for t in range(pass_example(flat, images[n], labels[n]), flat.P.shape[0]):
            update(flat, t)
        end_example(flat)


@entry
def train_parts(flat, images, labels):
    """`train` of tiles whose words have several parts; apart, so that the usual one stays fast."""
    for n in range(images.shape[0]):
        for t in range(pass_example(flat, images[n], labels[n]), flat.P.shape[0]):
            update_parts(flat, t)
        end_example(flat)


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
                place = array.place_of(flat, t, row, j)
                higher = np.int64(cells[at.HIGHER, k])
                if p[at.DRIFT]:
                    higher = pcm.drifted(flat, t, k, age)
                lower = np.int64(flat.lower[array.lower_at(place)]) + cells[at.MISMATCH, k]
                weights[place] = np.int32(higher + sign * lower) ^ np.int32(FLIP)


@entry
def evaluate(flat, images, labels, weights):
    """How many examples the weights (padded cells,) classify; noise by example."""
    tiles, scratch = flat.P.shape[0], flat.scratch
    correct = 0
    for n in range(images.shape[0]):
        enter_image(flat, images[n])
        for t in range(tiles):
            charge = scratch[at.CHARGE, : flat.P[t, at.COLUMNS]]
            charge[:] = 0
            array.integrate_columns(flat, t, weights, charge, -1)
            dither = array.bit_reversed(n, flat.P[t, at.CALIBRATION])
            array.convert_forward(flat, t, charge, EVALUATION, scratch[at.ZEROS], n, dither)
            if t < tiles - 1:
                activate(flat, t)
        p = flat.P[tiles - 1]
        classes = flat.columns[at.CODE, p[at.COLUMN] : p[at.COLUMN] + p[at.COLUMNS]]
        correct += first_largest(classes) == labels[n]
    return correct


@compiled
def auto_zero(flat, t, mechanism, ordinals, channel, found, scale, shift, bits):
    """Offsets `found` (channels,) of one side from averaged zero-drive conversions."""
    p, scratch, count = flat.P[t], flat.scratch, found.shape[0]
    total, codes = scratch[at.TOTAL, :count], scratch[at.READ, :count]
    zero = scratch[at.ZEROS, :count]
    total[:] = 0
    for _ in range(1 << p[at.CALIBRATION]):
        convert_channels(
            codes, zero, flat.seed, array.address(mechanism, t), ordinals, 0, scale, channel,
            zero, 0, 0, shift, bits, count,
        )  # fmt: skip
        ordinals += 1
        total += codes
        array.wait(flat, t, p[at.CONVERSION_NS])
    for j in range(count):
        found[j] = total[j]


@entry
def calibrate(flat, t):
    """Auto-zero both sides of tile t."""
    p = flat.P[t]
    columns = slice(p[at.COLUMN], p[at.COLUMN] + p[at.COLUMNS])
    rows = slice(p[at.ROW], p[at.ROW] + p[at.ROWS])
    auto_zero(
        flat, t, array.COLUMN_NOISE, flat.columns[at.COLUMN_ORDINAL, columns],
        flat.columns[at.COLUMN_OFFSET, columns], flat.columns[at.FORWARD_OFFSET, columns],
        p[at.FORWARD_NOISE], p[at.FORWARD_SHIFT], p[at.FORWARD_BITS],
    )  # fmt: skip
    auto_zero(
        flat, t, array.ROW_NOISE, flat.rows[at.ROW_ORDINAL, rows], flat.rows[at.ROW_OFFSET, rows],
        flat.rows[at.BACKWARD_OFFSET, rows], p[at.BACKWARD_NOISE], p[at.BACKWARD_SHIFT],
        p[at.BACKWARD_BITS],
    )  # fmt: skip
