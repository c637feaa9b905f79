/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A tile as 64 blocks of 4 x 2 pixels, eight lanes each; which of them a Gaussian touches is one 64-bit number. */
#pragma once

#include "raster.h"

enum { BATCH = 8 }; /* Gaussians whose blocks are found before they are blended: a block that dies is skipped soon */
enum { AHEAD = 12 }; /* entries whose record is fetched early */

/* Where pixels of a tile are. */
typedef struct {
    int64_t x, y, width, height; /* first pixel, and how many of 32 x 16 are in the picture */
} window_t;

static inline window_t window_of(int64_t tile, int64_t width, int64_t height) {
    int64_t columns = (width + TILE_W - 1) / TILE_W;
    window_t w = {tile % columns * TILE_W, tile / columns * TILE_H, 0, 0};
    w.width = width - w.x < TILE_W ? width - w.x : TILE_W;
    w.height = height - w.y < TILE_H ? height - w.y : TILE_H;
    return w;
}

static inline uint64_t live_blocks(window_t w) {
    uint64_t row = (1u << ((w.width + 3) / 4)) - 1, live = 0;
    for (int64_t k = 0; k < (w.height + 1) / 2; k++) live |= row << (8 * k);
    return live;
}

static inline v8f pixels_x(int block) { return (v8f){0.5f, 1.5f, 2.5f, 3.5f, 0.5f, 1.5f, 2.5f, 3.5f} + (float)(4 * (block & 7)); }
static inline v8f pixels_y(int block) { return (v8f){0.5f, 0.5f, 0.5f, 0.5f, 1.5f, 1.5f, 1.5f, 1.5f} + (float)(2 * (block >> 3)); }

/* The blocks of the tile at (x, y) in which a Gaussian reaches alpha 1/255, never too few: the spans are widened a
 * little, whether a pixel is inside is decided by its own alpha. A lane is a row of blocks. */
static inline uint64_t touched_blocks(const record_t *r, float x, float y) {
    v8f reach = spread(r->reach + 1e-3f), curve = spread(r->curve), shear = spread(r->shear);
    v8f above = (v8f){0.5f, 2.5f, 4.5f, 6.5f, 8.5f, 10.5f, 12.5f, 14.5f} + (y - r->my), below = above + 1.0f;
    v8f square0 = fma8(-(curve * above), above, reach), square1 = fma8(-(curve * below), below, reach);
    /* a row outside of the ellipse gets a span that ends far before it begins */
    v8f wide0 = select8(square0 >= 0, sqrt_above(square0), spread(-1e6f));
    v8f wide1 = select8(square1 >= 0, sqrt_above(square1), spread(-1e6f));
    v8f centre0 = fma8(-shear, above, spread(r->mx - x)), centre1 = centre0 - shear;
    v8f left = min8(centre0 - wide0, centre1 - wide1), right = max8(centre0 + wide0, centre1 + wide1);
    /* first and last block that holds a pixel centre within the span and 0.02 px around it */
    v8f first = max8(fma8(left, spread(0.25f), spread(0.2499f - 0.25f * 0.52f)), spread(0));
    v8f last = min8(fma8(right, spread(0.25f), spread(-0.25f * 0.48f)), spread(7.5f));
    v8i from = truncate8(min8(first, spread(9))), to = truncate8(max8(last, spread(-1)) + 1.0f);
    v8i bits = (spread_int(1) << to) - (spread_int(1) << from);
    bits &= from < to;
    typedef uint8_t bytes_t __attribute__((vector_size(8)));
    return (uint64_t)__builtin_convertvector(bits, bytes_t);
}
