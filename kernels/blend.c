/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Front-to-back blending, one tile at a time. */
#include "walk.h"

/* Rows of a block's state; the channels follow, and the scene's depth if there is one. LIGHT is the transmittance, its
 * sign set where the pixel is opaque and takes no more. */
enum { X, Y, LIGHT, CHANNELS };

TEMPLATE void clear_tile(v8f *state, int rows, const job_t *job, window_t w, int channels) {
    for (int block = 0; block < BLOCKS; block++) {
        v8f *s = state + block * rows;
        s[X] = pixels_x(block), s[Y] = pixels_y(block), s[LIGHT] = spread(1);
        for (int k = CHANNELS; k < rows; k++) s[k] = spread(0);
    }
    if (!job->scene_depth) return;
    for (int64_t y = 0; y < w.height; y++)
        for (int64_t x = 0; x < w.width; x++)
            state[((y >> 1) * 8 + (x >> 2)) * rows + CHANNELS + channels][(y & 1) * 4 + (x & 3)] = job->scene_depth[(w.y + y) * job->width + w.x + x];
}

/* Blends one Gaussian over the given blocks; returns those of them that are now opaque. */
TEMPLATE uint64_t blend_one(v8f *state, const record_t *r, const v8f *values, uint64_t blocks, window_t w,
                                                                 int channels, int rows, int behind) {
    const ellipse8_t e = ellipse_of(r, w);
    uint64_t dead = 0;
    do {
        int block = __builtin_ctzll(blocks);
        blocks &= blocks - 1;
        v8f *s = state + block * rows;
        v8f dx = s[X] - e.mx, dy = s[Y] - e.my, power = log_alpha(&e, dx, dy);
        v8i inside = power >= LOG_ALPHA_MIN;
        if (behind) inside &= e.z <= s[CHANNELS + channels];
        v8f alpha = where(inside, min8(exp2_8(power), spread(ALPHA_MAX)));
        v8f light = s[LIGHT], left = fma8(-alpha, light, light);
        v8i alive = left > TRANSMITTANCE_MIN;
        v8f weight = where(alive, alpha * light);
        s[LIGHT] = select8(alive, left, -abs8(light));
        for (int k = 0; k < channels; k++) s[CHANNELS + k] = fma8(weight, values[k], s[CHANNELS + k]);
        if (__builtin_expect(!any8(alive), 0)) dead |= 1ull << block;
    } while (blocks);
    return dead;
}

TEMPLATE void blend_tile(v8f *state, const job_t *job, const uint32_t *list, int64_t count, window_t w,
                                                              int channels, int behind) {
    const int rows = CHANNELS + channels + (behind ? 1 : 0);
    const float x = (float)w.x, y = (float)w.y;
    uint64_t live = live_blocks(w), blocks[BATCH];
    uint32_t chosen[BATCH];
    v8f values[MOST_CHANNELS];
    for (int64_t at = 0; at < count && live; at += BATCH) {
        int64_t size = count - at < BATCH ? count - at : BATCH, touching = 0;
        for (int64_t k = 0; k < size; k++) {
            if (at + k + AHEAD < count) __builtin_prefetch(job->records + list[at + k + AHEAD]);
            uint32_t gaussian = list[at + k];
            uint64_t touched = live & touched_blocks(job->records + gaussian, x, y);
            chosen[touching] = gaussian, blocks[touching] = touched;
            touching += touched != 0;
        }
        for (int64_t k = 0; k < touching; k++) {
            const record_t *r = job->records + chosen[k];
            values_of(job, chosen[k], r, channels, values);
            live &= ~blend_one(state, r, values, blocks[k], w, channels, rows, behind);
        }
    }
}

/* ---- pixels to the picture ---- */

/* Puts the background behind a block's colours. */
static inline void put_behind(v8f *s, const job_t *job, window_t w, int block) {
    v8f left = abs8(s[LIGHT]);
    if (!job->background_step) {
        for (int k = 0; k < 3; k++) s[CHANNELS + k] = fma8(left, spread(job->background[k]), s[CHANNELS + k]);
        return;
    }
    for (int lane = 0; lane < 8; lane++) {
        int64_t x = (block & 7) * 4 + (lane & 3), y = (block >> 3) * 2 + (lane >> 2);
        if (x >= w.width || y >= w.height) continue;
        const float *behind = job->background + ((w.y + y) * job->width + w.x + x) * job->background_step;
        for (int k = 0; k < 3; k++) s[CHANNELS + k][lane] += left[lane] * behind[k];
    }
}

/* Writes at most four pixels. A whole cache line goes past the caches, which then need not fetch it first. */
static inline void write_pixels(float *to, v8f pixels01, v8f pixels23, int64_t count) {
    if (count >= 4 && (uintptr_t)to % 64 == 0) {
        __builtin_nontemporal_store(pixels01, (v8f *)to);
        __builtin_nontemporal_store(pixels23, (v8f *)to + 1);
    } else {
        v8f pixels[2] = {pixels01, pixels23};
        __builtin_memcpy(to, pixels, 16 * (count < 4 ? count : 4));
    }
}

static inline void write_floats(const v8f *s, const job_t *job, window_t w, int64_t x, int64_t y) {
    v8f red = s[CHANNELS], green = s[CHANNELS + 1], blue = s[CHANNELS + 2], cover = 1.0f - abs8(s[LIGHT]);
    v8f t0 = __builtin_shufflevector(red, green, 0, 8, 1, 9, 4, 12, 5, 13), t1 = __builtin_shufflevector(red, green, 2, 10, 3, 11, 6, 14, 7, 15);
    v8f u0 = __builtin_shufflevector(blue, cover, 0, 8, 1, 9, 4, 12, 5, 13), u1 = __builtin_shufflevector(blue, cover, 2, 10, 3, 11, 6, 14, 7, 15);
    float *to = job->picture + ((w.y + y) * job->width + w.x + x) * 4;
    write_pixels(to, __builtin_shufflevector(t0, u0, 0, 1, 8, 9, 2, 3, 10, 11), __builtin_shufflevector(t1, u1, 0, 1, 8, 9, 2, 3, 10, 11), w.width - x);
    if (y + 1 >= w.height) return;
    to += 4 * job->width;
    write_pixels(to, __builtin_shufflevector(t0, u0, 4, 5, 12, 13, 6, 7, 14, 15), __builtin_shufflevector(t1, u1, 4, 5, 12, 13, 6, 7, 14, 15), w.width - x);
}

static inline void write_bytes(const v8f *s, const job_t *job, window_t w, int64_t x, int64_t y) {
    v8i packed = spread_int(0);
    for (int k = 0; k < 4; k++) {
        v8f value = k < 3 ? s[CHANNELS + k] : 1.0f - abs8(s[LIGHT]);
        packed |= truncate8(clamp8(value, spread(0), spread(1)) * 255.0f + 0.5f) << (8 * k);
    }
    for (int row = 0; row < 2 && y + row < w.height; row++) {
        int64_t size = w.width - x < 4 ? w.width - x : 4;
        uint8_t *to = job->bytes + ((w.y + y + row) * job->width + w.x + x) * 4;
        if (size == 4) __builtin_memcpy(to, (const int32_t *)&packed + 4 * row, 16);
        else for (int64_t k = 0; k < size; k++) __builtin_memcpy(to + 4 * k, (const int32_t *)&packed + 4 * row + k, 4);
    }
}

static void write_tile(v8f *state, const job_t *job, window_t w, int rows) {
    for (int block = 0; block < BLOCKS; block++) {
        v8f *s = state + block * rows;
        int64_t x = (block & 7) * 4, y = (block >> 3) * 2;
        if (x >= w.width || y >= w.height) continue;
        if (job->background) put_behind(s, job, w, block);
        if (job->bytes) write_bytes(s, job, w, x, y);
        if (job->picture) write_floats(s, job, w, x, y);
    }
}

static void write_layers(const v8f *state, const job_t *job, window_t w, int rows) {
    for (int64_t y = 0; y < w.height; y++)
        for (int64_t x = 0; x < w.width; x++) {
            const float *from = (const float *)(state + ((y >> 1) * 8 + (x >> 2)) * rows + CHANNELS + 3) + (y & 1) * 4 + (x & 3);
            float *to = job->layers + ((w.y + y) * job->width + w.x + x) * job->layer_channels + first_layer(job);
            for (int64_t k = 0; k < job->geometry + job->count; k++) to[k] = from[8 * k];
        }
}

/* A tile that no Gaussian touches. */
static void write_nothing(const job_t *job, window_t w) {
    for (int64_t y = w.y; y < w.y + w.height; y++) {
        int64_t pixel = y * job->width + w.x;
        if (job->picture)
            for (int64_t x = 0; x < w.width; x += 4) write_pixels(job->picture + 4 * (pixel + x), spread(0), spread(0), w.width - x);
        if (job->bytes) __builtin_memset(job->bytes + 4 * pixel, 0, 4 * w.width);
        if (!job->layers) continue;
        float *to = job->layers + pixel * job->layer_channels + first_layer(job);
        for (int64_t x = 0; x < w.width; x++, to += job->layer_channels)
            for (int64_t k = 0; k < job->geometry + job->count; k++) to[k] = 0;
    }
}

/* Blends the tiles order [tiles]. Entry `base` of all lists is the first of entries and scratch. The
 * lists are sorted by the first walk, which leaves the Gaussians' numbers (uint32) where a tile's entries were. */
API void lca_blend(int64_t *counter, int64_t tiles, const int64_t *order, const int64_t *starts, int64_t base, int64_t sort, entry_t *entries,
                   entry_t *scratch, const job_t *job) {
    _Alignas(64) v8f state[BLOCKS * (CHANNELS + MOST_CHANNELS + 1)];
    const int channels = channels_of(job), behind = job->scene_depth != 0, rows = CHANNELS + channels + behind;
    for (int64_t ticket; (ticket = take_ticket(counter)) < tiles;) {
        int64_t tile = order[ticket], begin = starts[tile] - base, count = starts[tile + 1] - starts[tile];
        window_t w = window_of(tile, job->width, job->height);
        if (!count && !job->background) {
            write_nothing(job, w);
            continue;
        }
        const uint32_t *list = (const uint32_t *)(entries + begin);
        if (sort) sort_list(entries + begin, scratch + begin, count);
        clear_tile(state, rows, job, w, channels);
        if (behind) {
            if (channels == 3) blend_tile(state, job, list, count, w, 3, 1);
            else blend_tile(state, job, list, count, w, channels, 1);
        } else if (channels == 3) blend_tile(state, job, list, count, w, 3, 0);
        else if (channels == 8) blend_tile(state, job, list, count, w, 8, 0);
        else blend_tile(state, job, list, count, w, channels, 0);
        if (job->picture || job->bytes) write_tile(state, job, w, rows);
        if (job->layers) write_layers(state, job, w, rows);
    }
    end_streams();
}
