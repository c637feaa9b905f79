# SPDX-License-Identifier: GPL-3.0-or-later
"""Front-to-back blending of one tile at a time.

A tile of 32 x 16 pixels is 64 blocks of 4 x 2 pixels, eight lanes each. Of every Gaussian the blocks that its
ellipse (alpha >= 1/255) touches are found as the bits of one integer; a block whose pixels are all opaque
leaves the set of live blocks. The picture is float32 `layers [H, W, 1 + channels]`: channels 0..2, alpha,
channels 3...
"""

import numpy as np

from ..jit import kernel
from .lanes import (
    bits,
    exp2,
    fma,
    load,
    lowest_bit,
    maximum,
    minimum,
    ramp,
    row_spans,
    spread,
    square_root,
    store,
    take_ticket,
    where,
)
from .project import (
    ALPHA_MAX,
    CURVE,
    LOG,
    LOG_ALPHA_MIN,
    MX,
    MY,
    REACH,
    SHEAR,
    TILE_H,
    TILE_W,
    TRANSMITTANCE_MIN,
    VALUES,
    A,
    B,
    C,
)
from .tiles import gaussian_of, sort_tile

BATCH = 8  # Gaussians whose blocks are found before they are blended: a block that dies is skipped soon
BLOCK = 64  # floats of one block's state: eight rows of eight lanes
_ZERO, _HALF, _ONE, _TWO, _QUARTER = (np.float32(v) for v in (0.0, 0.5, 1.0, 2.0, 0.25))
# The spans are widened a little: whether a pixel is inside is decided by its own alpha.
_SLACK = np.float32(1e-3)
_LEFT, _RIGHT, _ALMOST = np.float32(0.52), np.float32(0.48), np.float32(0.2499)


@kernel
def aligned(size):
    """Flat float32 scratch that begins on a cache line."""
    raw = np.empty(size + 16, np.float32)
    skip = ((64 - (raw.ctypes.data & 63)) & 63) >> 2
    return raw[skip : skip + size]


@kernel
def live_blocks(width, height):
    """The blocks of a tile of which only width x height pixels are in the picture, as a bit set."""
    columns, rows = min(8, (width + 3) // 4), min(8, (height + 1) // 2)
    live = np.uint64(0)
    for row in range(rows):
        live |= np.uint64((1 << columns) - 1) << np.uint64(8 * row)
    return live


@kernel
def touched_blocks(record, x0, y0):
    """The blocks of the tile at (x0, y0) in which a Gaussian reaches alpha 1/255, as a bit set (never too
    few)."""
    reach, curve, shear = record[REACH] + _SLACK, record[CURVE], record[SHEAR]
    above = ramp(_TWO) + (_HALF + y0 - record[MY])  # upper pixel row of each row of blocks, from the mean
    below = above + _ONE
    wide_above = maximum(fma(-(above * curve), above, spread(reach)), spread(np.float32(-1.0)))
    wide_below = maximum(fma(-(below * curve), below, spread(reach)), spread(np.float32(-1.0)))
    none_above, none_below = wide_above < _ZERO, wide_below < _ZERO
    wide_above, wide_below = square_root(maximum(wide_above, _ZERO)), square_root(maximum(wide_below, _ZERO))
    centre_above = fma(above, -shear, spread(record[MX] - x0))
    centre_below = centre_above - shear
    far = np.float32(1e6)
    wide_above, wide_below = (
        wide_above - where(none_above, spread(far)),
        wide_below - where(none_below, spread(far)),
    )
    left = minimum(centre_above - wide_above, centre_below - wide_below)
    right = maximum(centre_above + wide_above, centre_below + wide_below)
    first = fma(left - _LEFT, _QUARTER, spread(_ALMOST))
    last = (right - _RIGHT) * _QUARTER
    first = minimum(maximum(first, _ZERO), np.float32(9.0))
    last = minimum(maximum(last, np.float32(-1.5)), np.float32(7.5))
    return row_spans(first, last)


@kernel
def _clear(state):
    """Rows of a block: 0 x, 1 y (from the tile's corner), 2 transmittance, 3..6 channels, 7 alpha."""
    nothing = spread(_ZERO)
    for block in range(64):
        base = block * BLOCK
        for lane in range(8):
            state[base + lane] = np.float32((block & 7) * 4 + (lane & 3)) + _HALF
            state[base + 8 + lane] = np.float32((block >> 3) * 2 + (lane >> 2)) + _HALF
        store(state, base + 16, spread(_ONE))
        for row in range(3, 8):
            store(state, base + 8 * row, nothing)


@kernel
def _blend(state, record, blocks, x0, y0):
    """Blends one Gaussian over the given blocks; returns those of them that are now opaque."""
    mx, my = spread(record[MX] - x0), spread(record[MY] - y0)
    a, b, c, log = spread(record[A]), spread(record[B]), spread(record[C]), spread(record[LOG])
    v0, v1 = spread(record[VALUES]), spread(record[VALUES + 1])
    v2, v3 = spread(record[VALUES + 2]), spread(record[VALUES + 3])
    dead = np.uint64(0)
    while blocks:
        block = lowest_bit(blocks)
        blocks &= blocks - np.uint64(1)
        base = block * BLOCK
        dx, dy = load(state, base) - mx, load(state, base + 8) - my
        power = fma(fma(a, dx, b * dy), dx, fma(c * dy, dy, log))
        alpha = where(power >= LOG_ALPHA_MIN, minimum(exp2(power), ALPHA_MAX))
        transmittance = load(state, base + 16)
        left = fma(-alpha, transmittance, transmittance)
        alive = left > TRANSMITTANCE_MIN
        store(state, base + 16, where(alive, left))
        weight = where(alive, alpha * transmittance)
        store(state, base + 24, fma(weight, v0, load(state, base + 24)))
        store(state, base + 32, fma(weight, v1, load(state, base + 32)))
        store(state, base + 40, fma(weight, v2, load(state, base + 40)))
        store(state, base + 48, fma(weight, v3, load(state, base + 48)))
        store(state, base + 56, load(state, base + 56) + weight)
        if not bits(alive):
            dead |= np.uint64(1) << np.uint64(block)
    return dead


@kernel
def _write(state, x0, y0, layers, first, channels):
    """A tile's pixels to the picture: channels first .. first + channels - 1, and alpha beside channel 2."""
    for y in range(min(TILE_H, layers.shape[0] - y0)):
        for x in range(min(TILE_W, layers.shape[1] - x0)):
            base = ((y >> 1) * 8 + (x >> 2)) * BLOCK + (y & 1) * 4 + (x & 3)
            pixel = layers[y0 + y, x0 + x]
            for k in range(channels):
                channel = first + k
                pixel[channel if channel < 3 else channel + 1] = state[base + 24 + 8 * k]
            if first == 0:
                pixel[3] = state[base + 56]


@kernel
def blend(counter, order, starts, entries, sort, records, layers, first, channels):
    """Blends the tiles order[...] into layers, which must hold zeros. With `sort` the entries are first
    sorted by depth, in place. VALUES of the records hold the channels first .. first + channels - 1 (at most
    four)."""
    state, blocks = aligned(64 * BLOCK), np.empty(BATCH, np.uint64)
    scratch, histogram = np.empty(0, np.uint64), np.empty(256, np.int64)
    columns = (layers.shape[1] + TILE_W - 1) // TILE_W
    while True:
        ticket = take_ticket(counter)
        if ticket >= order.shape[0]:
            return
        tile = order[ticket]
        begin, count = starts[tile], starts[tile + 1] - starts[tile]
        if sort:
            if scratch.shape[0] < count:
                scratch = np.empty(2 * count, np.uint64)
            sort_tile(entries, begin, count, scratch, histogram)
        px, py = (tile % columns) * TILE_W, (tile // columns) * TILE_H
        x0, y0 = np.float32(px), np.float32(py)
        _clear(state)
        live = live_blocks(layers.shape[1] - px, layers.shape[0] - py)
        at = 0
        while at < count and live:
            size = min(BATCH, count - at)
            for k in range(size):
                blocks[k] = live & touched_blocks(records[gaussian_of(entries[begin + at + k])], x0, y0)
            for k in range(size):
                if blocks[k]:
                    record = records[gaussian_of(entries[begin + at + k])]
                    live &= ~_blend(state, record, blocks[k], x0, y0)
            at += size
        _write(state, px, py, layers, first, channels)
