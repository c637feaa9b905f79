# SPDX-License-Identifier: GPL-3.0-or-later
"""The gradient of blending: the same walk from front to back, once more.

No lists per pixel and no division by the transmittance: every pixel keeps what is still to come
(`remaining`), which each Gaussian of the walk lessens by its own part.
"""

import numpy as np

from ..jit import kernel
from .blend import BATCH, BLOCK, aligned, live_blocks, touched_blocks
from .lanes import bits, exp2, fma, load, lowest_bit, minimum, spread, store, take_ticket, total, where
from .project import (
    ALPHA_MAX,
    CHUNK,
    LOG,
    LOG_ALPHA_MIN,
    MX,
    MY,
    TILE_H,
    TILE_W,
    TRANSMITTANCE_MIN,
    VALUES,
    A,
    B,
    C,
)
from .tiles import gaussian_of

_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
SUMS = 10  # of an entry: alpha's gradient times 1, dx, dy, dx^2, dx dy, dy^2; then the four channels'
ENTRY = 12  # floats kept per entry


@kernel
def _load_gradients(state, px, py, layers, gradient, first, channels):
    """Rows of a block: 0 x, 1 y, 2 transmittance, 3 remaining, 4..7 the channels' gradients.

    Remaining is what the Gaussians not yet walked add to gradient . picture; it begins as the whole.
    """
    for block in range(64):
        base = block * BLOCK
        for lane in range(8):
            x, y = (block & 7) * 4 + (lane & 3), (block >> 3) * 2 + (lane >> 2)
            state[base + lane], state[base + 8 + lane] = np.float32(x) + _HALF, np.float32(y) + _HALF
            state[base + 16 + lane] = _ONE
            remaining = _ZERO
            inside = px + x < layers.shape[1] and py + y < layers.shape[0]
            for k in range(4):
                value = _ZERO
                if inside and k < channels:
                    channel = first + k if first + k < 3 else first + k + 1
                    value = gradient[py + y, px + x, channel]
                    remaining += value * layers[py + y, px + x, channel]
                state[base + 32 + 8 * k + lane] = value
            alpha = _ZERO
            if inside and first == 0:
                alpha = gradient[py + y, px + x, 3]
                remaining += alpha * layers[py + y, px + x, 3]
            state[base + 24 + lane] = remaining
            state[64 * BLOCK + block * 8 + lane] = alpha


@kernel
def _replay(state, record, blocks, x0, y0, sums):
    """Walks one Gaussian over the given blocks; adds its gradients to sums, returns the blocks now opaque.

    With weight w = alpha T and q = gradient . values, d loss / d alpha = T q - remaining / (1 - alpha), where
    remaining no longer holds this Gaussian. Nothing flows through a capped alpha.
    """
    mx, my = spread(record[MX] - x0), spread(record[MY] - y0)
    a, b, c, log = spread(record[A]), spread(record[B]), spread(record[C]), spread(record[LOG])
    v0, v1 = spread(record[VALUES]), spread(record[VALUES + 1])
    v2, v3 = spread(record[VALUES + 2]), spread(record[VALUES + 3])
    nothing = spread(_ZERO)
    s, sx, sy, sxx, sxy, syy = nothing, nothing, nothing, nothing, nothing, nothing
    s0, s1, s2, s3 = nothing, nothing, nothing, nothing
    dead = np.uint64(0)
    while blocks:
        block = lowest_bit(blocks)
        blocks &= blocks - np.uint64(1)
        base = block * BLOCK
        dx, dy = load(state, base) - mx, load(state, base + 8) - my
        power = fma(fma(a, dx, b * dy), dx, fma(c * dy, dy, log))
        raw = where(power >= LOG_ALPHA_MIN, exp2(power))
        alpha = minimum(raw, ALPHA_MAX)
        transmittance = load(state, base + 16)
        left = fma(-alpha, transmittance, transmittance)
        alive = left > TRANSMITTANCE_MIN
        store(state, base + 16, where(alive, left))
        weight = where(alive, alpha * transmittance)
        g0, g1 = load(state, base + 32), load(state, base + 40)
        g2, g3 = load(state, base + 48), load(state, base + 56)
        q = fma(v0, g0, fma(v1, g1, fma(v2, g2, fma(v3, g3, load(state, 64 * BLOCK + block * 8)))))
        s0, s1 = fma(weight, g0, s0), fma(weight, g1, s1)
        s2, s3 = fma(weight, g2, s2), fma(weight, g3, s3)
        gain = weight * q
        remaining = load(state, base + 24) - gain
        store(state, base + 24, remaining)
        slope = where(alive, fma(-(alpha / (_ONE - alpha)), remaining, gain))
        slope = where(raw < ALPHA_MAX, slope)  # alpha times d loss / d alpha
        along, down = slope * dx, slope * dy
        s, sx, sy = s + slope, sx + along, sy + down
        sxx, sxy, syy = fma(along, dx, sxx), fma(along, dy, sxy), fma(down, dy, syy)
        if not bits(alive):
            dead |= np.uint64(1) << np.uint64(block)
    sums[0] += total(s)
    sums[1] += total(sx)
    sums[2] += total(sy)
    sums[3] += total(sxx)
    sums[4] += total(sxy)
    sums[5] += total(syy)
    sums[6], sums[7], sums[8], sums[9] = total(s0), total(s1), total(s2), total(s3)
    return dead


@kernel
def replay(
    counter, order, starts, entries, records, boxes, slots, layers, gradient, first, channels, entry_gradients
):
    """Fills entry_gradients [entries, ENTRY]: of every entry its six geometry sums (added to what is there)
    and its four channel gradients. A Gaussian's entries lie side by side, from slots [N] on, row by row of
    its tiles, so that adding them up never depends on which thread was first."""
    state, blocks = aligned(65 * BLOCK + 64 * 8), np.empty(BATCH, np.uint64)
    columns = (layers.shape[1] + TILE_W - 1) // TILE_W
    while True:
        ticket = take_ticket(counter)
        if ticket >= order.shape[0]:
            return
        tile = order[ticket]
        column, row = tile % columns, tile // columns
        begin, count = starts[tile], starts[tile + 1] - starts[tile]
        px, py = column * TILE_W, row * TILE_H
        x0, y0 = np.float32(px), np.float32(py)
        _load_gradients(state, px, py, layers, gradient, first, channels)
        live = live_blocks(layers.shape[1] - px, layers.shape[0] - py)
        at = 0
        while at < count and live:
            size = min(BATCH, count - at)
            for k in range(size):
                blocks[k] = live & touched_blocks(records[gaussian_of(entries[begin + at + k])], x0, y0)
            for k in range(size):
                if blocks[k]:
                    i = gaussian_of(entries[begin + at + k])
                    width = boxes[i, 1] - boxes[i, 0] + 1
                    slot = slots[i] + (row - boxes[i, 2]) * width + column - boxes[i, 0]
                    live &= ~_replay(state, records[i], blocks[k], x0, y0, entry_gradients[slot])
            at += size


@kernel
def sum_entries(counter, slots, touched, entry_gradients, sums):
    """Adds up every Gaussian's entries: sums [N, SUMS]."""
    total_count = touched.shape[0]
    while True:
        first = take_ticket(counter) * CHUNK
        if first >= total_count:
            return
        for i in range(first, min(total_count, first + CHUNK)):
            for k in range(SUMS):
                sums[i, k] = _ZERO
            for slot in range(slots[i], slots[i] + touched[i]):
                for k in range(SUMS):
                    sums[i, k] += entry_gradients[slot, k]
