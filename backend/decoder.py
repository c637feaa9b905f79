# SPDX-License-Identifier: GPL-3.0-or-later
"""The pose decoder of one avatar: a frame's features -> what changes on every Gaussian.

The first layer's token part is stored (`token_bias`), so a frame adds one vector and runs the layers that
follow. They run on our own threads, sixteen tokens at a time from first to last layer: nothing large lies
between the layers, and the result does not depend on how many threads torch has.
"""

import numpy as np
from torch import Tensor

from .jit import kernel
from .raster.blend import aligned
from .raster.lanes import fma, load, maximum, peek, spread, store, take_ticket
from .workers import default_threads, share

CHANGES = 13  # colour 3, mean 3, quaternion 4, log scale 3
SLOPE = np.float32(0.01)  # of the leaky ReLU
TOKENS = 16  # at a time, two vectors
ROWS = 4  # outputs at a time
CHUNK = 64  # tokens per ticket


@kernel
def _dense(weights, bias, inputs, outputs, width, count):
    """outputs [count, TOKENS] = weights [count, width] inputs [width, TOKENS] + bias; weights packed by four
    rows."""
    for row in range(0, count, ROWS):
        a0, a1 = spread(peek(bias, row)), spread(peek(bias, row + 1))
        a2, a3 = spread(peek(bias, row + 2)), spread(peek(bias, row + 3))
        b0, b1, b2, b3 = a0, a1, a2, a3
        at = row * width
        for i in range(width):
            x, y = load(inputs, TOKENS * i), load(inputs, TOKENS * i + 8)
            w0, w1 = peek(weights, at), peek(weights, at + 1)
            w2, w3 = peek(weights, at + 2), peek(weights, at + 3)
            a0, a1, a2, a3 = fma(x, w0, a0), fma(x, w1, a1), fma(x, w2, a2), fma(x, w3, a3)
            b0, b1, b2, b3 = fma(y, w0, b0), fma(y, w1, b1), fma(y, w2, b2), fma(y, w3, b3)
            at += ROWS
        out = TOKENS * row
        store(outputs, out, a0)
        store(outputs, out + 8, b0)
        store(outputs, out + 16, a1)
        store(outputs, out + 24, b1)
        store(outputs, out + 32, a2)
        store(outputs, out + 40, b2)
        store(outputs, out + 48, a3)
        store(outputs, out + 56, b3)


@kernel
def _leaky(values, size):
    for at in range(0, size, 8):
        x = load(values, at)
        store(values, at, maximum(x, x * SLOPE))


@kernel
def _decode(counter, token_bias, shift, hidden, hidden_bias, last, last_bias, out):
    """token_bias [T,D], shift [D], packed hidden [L, D D] and hidden_bias [L, D], last [R D], last_bias [R],
    with R the outputs rounded up to four -> out [T, outputs]."""
    tokens, width = token_bias.shape
    rows, outputs = last_bias.shape[0], out.shape[1]
    a, b = aligned(TOKENS * max(width, rows)), aligned(TOKENS * max(width, rows))
    while True:
        first = take_ticket(counter) * CHUNK
        if first >= tokens:
            return
        for start in range(first, min(tokens, first + CHUNK), TOKENS):
            count = min(TOKENS, tokens - start)
            for lane in range(TOKENS):
                token = token_bias[start + min(lane, count - 1)]
                for i in range(width):
                    a[TOKENS * i + lane] = token[i] + shift[i]
            _leaky(a, TOKENS * width)
            for layer in range(hidden.shape[0]):
                _dense(hidden[layer], hidden_bias[layer], a, b, width, width)
                _leaky(b, TOKENS * width)
                a, b = b, a
            _dense(last, last_bias, a, b, width, rows)
            for lane in range(count):
                row = out[start + lane]
                for i in range(outputs):
                    row[i] = b[TOKENS * i + lane]


def _packed(weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows padded with zeros to a multiple of four, four rows interleaved: what `_dense` reads in one go."""
    missing = -len(weight) % ROWS
    weight, bias = np.pad(weight, ((0, missing), (0, 0))), np.pad(bias, (0, missing))
    return np.ascontiguousarray(weight.reshape(-1, ROWS, weight.shape[1]).transpose(0, 2, 1)).ravel(), bias


class Decoder:
    """Runs `token_bias` [T,D] and the layers of `decoder` (see `Avatar`), float32 on the CPU."""

    def __init__(self, token_bias: Tensor, decoder: dict[str, Tensor]):
        weights = {name: tensor.numpy() for name, tensor in decoder.items()}
        self.token_bias = token_bias.numpy()
        self.signal_weight = weights["signal_weight"]
        width, layers = token_bias.shape[1], sum(name.startswith("hidden") for name in weights) // 2
        self._padded = np.pad(self.token_bias, ((0, 0), (0, -width % ROWS)))
        packed = [_packed(*self._square(weights, i)) for i in range(layers)]
        wide = self._padded.shape[1]
        self._hidden = np.stack([w for w, _ in packed]) if packed else np.empty((0, wide * wide), np.float32)
        self._hidden_bias = np.stack([b for _, b in packed]) if packed else np.empty((0, wide), np.float32)
        self.outputs = len(weights["last_bias"])
        units = np.tile(weights["delta_scale"], self.outputs // CHANGES)
        last = np.pad(weights["last_weight"] * units[:, None], ((0, 0), (0, wide - width)))
        self._last, self._last_bias = _packed(last, weights["last_bias"] * units)

    def _square(self, weights: dict[str, np.ndarray], layer: int) -> tuple[np.ndarray, np.ndarray]:
        weight, bias = weights[f"hidden{layer}_weight"], weights[f"hidden{layer}_bias"]
        missing = -len(weight) % ROWS
        return np.pad(weight, ((0, missing), (0, missing))), np.pad(bias, (0, missing))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """features [S] -> changes [N,13] in their units: colour, mean, quaternion, log scale."""
        shift = np.zeros(self._padded.shape[1], np.float32)
        shift[: self.signal_weight.shape[0]] = self.signal_weight @ features
        out = np.empty((len(self._padded), self.outputs), np.float32)
        layers = (self._hidden, self._hidden_bias, self._last, self._last_bias)
        pieces = -(-len(self._padded) // CHUNK)
        share(_decode, pieces, default_threads(), self._padded, shift, *layers, out)
        return out.reshape(-1, CHANGES)
