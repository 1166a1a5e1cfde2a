"""Training of the float cell as compiled loops, one example at a time, zero inputs skipped."""

from __future__ import annotations

import math

import numpy as np

from golden.engines.compiled.cache import allocating_entry, compiled

CLIPPED_RELU, RELU, TANH, SIGMOID = range(4)


@compiled
def add_scaled(total, row, factor):
    """total (n,) += factor * row (n,)."""
    for j in range(total.shape[0]):
        total[j] += factor * row[j]


@compiled
def dot(left, right):
    """Sum of products of two vectors (n,), in four partial sums so that it can be pipelined."""
    whole = left.shape[0] // 4 * 4
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for j in range(0, whole, 4):
        a += left[j] * right[j]
        b += left[j + 1] * right[j + 1]
        c += left[j + 2] * right[j + 2]
        d += left[j + 3] * right[j + 3]
    for j in range(whole, left.shape[0]):
        a += left[j] * right[j]
    return (a + b) + (c + d)


@compiled
def activate(values, activation):
    """Sums (n,) to outputs of hidden neurons, in place."""
    for j in range(values.shape[0]):
        z = values[j]
        if activation == CLIPPED_RELU:
            values[j] = min(max(z, 0.0), 1.0)
        elif activation == RELU:
            values[j] = max(z, 0.0)
        elif activation == TANH:
            values[j] = math.tanh(z)
        else:
            values[j] = 1.0 / (1.0 + math.exp(-z))


@compiled
def slope(output, activation):
    """Derivative of the activation where a hidden neuron gave this output."""
    if activation == CLIPPED_RELU:
        return 1.0 if 0.0 < output < 1.0 else 0.0
    if activation == RELU:
        return 1.0 if output > 0.0 else 0.0
    if activation == TANH:
        return 1.0 - output * output
    return output * (1.0 - output)


@compiled
def output_error(errors, sums, label):
    """target - softmax(sums) into errors, both (classes,)."""
    largest, total = sums[0], 0.0
    for j in range(1, sums.shape[0]):
        largest = max(largest, sums[j])
    for j in range(sums.shape[0]):
        errors[j] = math.exp(sums[j] - largest)
        total += errors[j]
    for j in range(sums.shape[0]):
        errors[j] = -errors[j] / total
    errors[label] += 1.0


@allocating_entry
def train(weights, sizes, images, labels, rate, activation):
    """Train on examples in order: images (n, inputs) uint8, labels (n,) uint8.

    weights (cells,) float64: the layers end to end, each (inputs + 1, outputs) row by row, the
    bias last; sizes (layers + 1,) int64 are the widths without the biases.
    """
    layers, widest = sizes.shape[0] - 1, sizes.max() + 1
    values, errors = np.zeros((layers + 1, widest)), np.zeros((layers, widest))
    # Row i of layer l starts at starts[l] + i * sizes[l + 1].
    starts = np.zeros(layers, np.int64)
    for layer in range(1, layers):
        starts[layer] = starts[layer - 1] + (sizes[layer - 1] + 1) * sizes[layer]
    for n in range(images.shape[0]):
        for i in range(sizes[0]):
            values[0, i] = images[n, i] / 255.0
        for layer in range(layers):
            inputs, outputs = sizes[layer], sizes[layer + 1]
            values[layer, inputs] = 1.0
            sums = values[layer + 1, :outputs]
            sums[:] = 0.0
            for i in range(inputs + 1):
                if values[layer, i] != 0.0:
                    first = starts[layer] + i * outputs
                    add_scaled(sums, weights[first : first + outputs], values[layer, i])
            if layer < layers - 1:
                activate(sums, activation)
        output_error(errors[layers - 1], values[layers, : sizes[layers]], labels[n])
        for layer in range(layers - 1, -1, -1):
            inputs, outputs = sizes[layer], sizes[layer + 1]
            error = errors[layer, :outputs]
            for i in range(inputs + 1):
                first, value = starts[layer] + i * outputs, values[layer, i]
                row = weights[first : first + outputs]
                if layer > 0 and i < inputs:
                    # Before the row changes: the error passes through the weights it met.
                    factor = slope(value, activation)
                    errors[layer - 1, i] = factor * dot(row, error) if factor != 0.0 else 0.0
                if value != 0.0:
                    add_scaled(row, error, rate * value)
