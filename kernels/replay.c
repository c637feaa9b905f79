/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gradient of blending: the same walk from front to back, once more.
 *
 * No lists per pixel and no division by the transmittance: every pixel keeps what is still to come, which each
 * Gaussian of the walk lessens by its own part. */
#include "walk.h"

/* Rows of a block's state. REST is what the Gaussians not yet walked add to gradient . picture, COVER the gradient of
 * the coverage; the channels' gradients follow, then the scene's depth. */
enum { X, Y, LIGHT, REST, COVER, CHANNELS };

/* Sums over pixels that a tile adds to a Gaussian, with slope = alpha d loss / d alpha: slope times 1, dx, dy, dx^2,
 * dx dy, dy^2; then the gradients of its values. */
enum { GEOMETRY = 6 };

static inline void load_pixel(float *at, const job_t *job, int64_t pixel, int channels) {
    float rest = 0, cover = 0;
    if (job->picture) {
        const float *g = job->picture_gradient + 4 * pixel, *p = job->picture + 4 * pixel;
        const float *behind = job->background ? job->background + pixel * job->background_step : 0;
        cover = g[3], rest = g[3] * p[3];
        for (int k = 0; k < 3; k++) {
            float shown = behind ? g[k] * behind[k] : 0; /* of the background, at no coverage */
            at[8 * (CHANNELS + k)] = g[k];
            rest += g[k] * p[k] - shown, cover -= shown;
        }
    }
    if (job->layers) {
        int64_t from = pixel * job->layer_channels + first_layer(job);
        for (int64_t k = 0; k < job->geometry + job->count; k++) {
            float g = job->layers_gradient[from + k];
            at[8 * (CHANNELS + 3 + k)] = g;
            rest += g * job->layers[from + k];
        }
    }
    at[8 * REST] = rest, at[8 * COVER] = cover;
    if (job->scene_depth) at[8 * (CHANNELS + channels)] = job->scene_depth[pixel];
}

/* Pixels without a gradient stay zero and add nothing. */
static void load_tile(v8f *state, int rows, int channels, const job_t *job, window_t w) {
    for (int block = 0; block < BLOCKS; block++) {
        v8f *s = state + block * rows;
        s[X] = pixels_x(block), s[Y] = pixels_y(block), s[LIGHT] = spread(1);
        for (int k = REST; k < rows; k++) s[k] = spread(0);
    }
    for (int64_t y = 0; y < w.height; y++)
        for (int64_t x = 0; x < w.width; x++) {
            float *at = (float *)(state + ((y >> 1) * 8 + (x >> 2)) * rows) + (y & 1) * 4 + (x & 3);
            load_pixel(at, job, (w.y + y) * job->width + w.x + x, channels);
        }
}

/* Walks one Gaussian over the given blocks, fills sums [GEOMETRY + channels] and returns the blocks that are now
 * opaque.
 *
 * With weight w = alpha T and q = gradient . values, d loss / d alpha = T q - rest / (1 - alpha), where rest no longer
 * holds this Gaussian. Nothing flows through a capped alpha. */
TEMPLATE uint64_t replay_one(v8f *state, const record_t *r, const v8f *values, uint64_t blocks, window_t w, int channels, int rows,
                             int behind, v8f *sums) {
    const ellipse8_t e = ellipse_of(r, w);
    uint64_t dead = 0;
    for (int k = 0; k < GEOMETRY + channels; k++) sums[k] = spread(0);
    do {
        int block = __builtin_ctzll(blocks);
        blocks &= blocks - 1;
        v8f *s = state + block * rows;
        v8f dx = s[X] - e.mx, dy = s[Y] - e.my, power = log_alpha(&e, dx, dy);
        v8i inside = power >= LOG_ALPHA_MIN;
        if (behind) inside &= e.z <= s[CHANNELS + channels];
        v8f raw = where(inside, exp2_8(power)), alpha = min8(raw, spread(ALPHA_MAX));
        v8f light = s[LIGHT], left = fma8(-alpha, light, light);
        v8i alive = left > TRANSMITTANCE_MIN;
        v8f weight = where(alive, alpha * light), q = s[COVER];
        s[LIGHT] = where(alive, left);
        for (int k = 0; k < channels; k++) {
            q = fma8(values[k], s[CHANNELS + k], q);
            sums[GEOMETRY + k] = fma8(weight, s[CHANNELS + k], sums[GEOMETRY + k]);
        }
        v8f gain = weight * q, rest = s[REST] - gain;
        s[REST] = rest;
        v8f slope = fma8(-(alpha / (1.0f - alpha)), rest, gain);
        slope = where(alive & (raw < ALPHA_MAX), slope);
        v8f along = slope * dx, down = slope * dy;
        sums[0] += slope, sums[1] += along, sums[2] += down;
        sums[3] = fma8(along, dx, sums[3]), sums[4] = fma8(along, dy, sums[4]), sums[5] = fma8(down, dy, sums[5]);
        if (__builtin_expect(!any8(alive), 0)) dead |= 1ull << block;
    } while (blocks);
    return dead;
}

/* Where the gradients of a Gaussian's tiles are kept. */
typedef struct {
    const box_t *boxes;
    const int64_t *slots;
    float *gradients; /* [slots, width] */
    int64_t width, channel, walked; /* the walk's first channel, or 3 beyond which it writes; channels that it writes */
    int64_t column, row, later; /* of the tile; whether this is not the first walk */
} sink_t;

static inline float *slot_of(const sink_t *sink, uint32_t gaussian) {
    box_t box = sink->boxes[gaussian];
    int64_t within = (sink->row - box.top) * (box.right - box.left + 1) + sink->column - box.left;
    return sink->gradients + (sink->slots[gaussian] + within) * sink->width;
}

/* The first walk writes geometry and all its channels, a later one adds to the geometry and writes its features. */
static inline void write_nothing(const sink_t *sink, float *slot) {
    if (!sink->later) for (int k = 0; k < GEOMETRY + 3; k++) slot[k] = 0;
    for (int64_t k = 0; k < sink->walked; k++) slot[GEOMETRY + sink->channel + k] = 0;
}

TEMPLATE void write_sums(const sink_t *sink, float *slot, const v8f *sums, int channels) {
    v8f head = sums8(sums);
    if (channels == 3) {
        store(slot, head);
        slot[8] = sum8(sums[8]);
        return;
    }
    for (int k = 0; k < GEOMETRY; k++) slot[k] = (sink->later ? slot[k] : 0) + head[k];
    if (!sink->later) for (int k = 0; k < 3; k++) slot[GEOMETRY + k] = sum8(sums[GEOMETRY + k]);
    for (int64_t k = 0; k < sink->walked; k++) slot[GEOMETRY + sink->channel + k] = sum8(sums[GEOMETRY + 3 + k]);
}

TEMPLATE void replay_tile(v8f *state, const job_t *job, const uint32_t *list, int64_t count, window_t w, const sink_t *sink, int channels,
                          int behind) {
    const int rows = CHANNELS + channels + (behind ? 1 : 0);
    const float x = (float)w.x, y = (float)w.y;
    uint64_t live = live_blocks(w), blocks[BATCH];
    float *slots[BATCH];
    v8f values[MOST_CHANNELS], sums[GEOMETRY + MOST_CHANNELS];
    int64_t at = 0;
    for (; at < count && live; at += BATCH) {
        int64_t size = count - at < BATCH ? count - at : BATCH;
        for (int64_t k = 0; k < size; k++) {
            if (at + k + AHEAD < count) {
                __builtin_prefetch(job->records + list[at + k + AHEAD]);
                __builtin_prefetch(sink->boxes + list[at + k + AHEAD]);
                __builtin_prefetch(sink->slots + list[at + k + AHEAD]);
            }
            slots[k] = slot_of(sink, list[at + k]);
            __builtin_prefetch(slots[k], 1);
            blocks[k] = live & touched_blocks(job->records + list[at + k], x, y);
        }
        for (int64_t k = 0; k < size; k++) {
            uint32_t gaussian = list[at + k];
            if (!blocks[k]) {
                write_nothing(sink, slots[k]);
                continue;
            }
            const record_t *r = job->records + gaussian;
            values_of(job, gaussian, r, channels, values);
            live &= ~replay_one(state, r, values, blocks[k], w, channels, rows, behind, sums);
            write_sums(sink, slots[k], sums, channels);
        }
    }
    for (; at < count; at++) write_nothing(sink, slot_of(sink, list[at]));
}

/* Fills gradients [slots, width] of the tiles order [tiles], the lists being as lca_blend leaves them or, with `sort`,
 * as lca_scatter does. A Gaussian's tiles lie side by side, from slots [N] on, row by row of its box, so that adding
 * them up never depends on which thread was first. */
API void lca_replay(int64_t *counter, int64_t tiles, const int64_t *order, const int64_t *starts, int64_t base, int64_t sort,
                    entry_t *entries, entry_t *scratch, const job_t *job, const box_t *boxes, const int64_t *slots, float *gradients,
                    int64_t width) {
    _Alignas(64) v8f state[BLOCKS * (CHANNELS + MOST_CHANNELS + 1)];
    const int channels = channels_of(job), behind = job->scene_depth != 0, rows = CHANNELS + channels + behind;
    const int64_t columns = (job->width + TILE_W - 1) / TILE_W;
    sink_t sink = {boxes, slots, gradients, width, 3 + first_layer(job), job->geometry + job->count, 0, 0, !job->picture};
    for (int64_t ticket; (ticket = take_ticket(counter)) < tiles;) {
        int64_t tile = order[ticket], begin = starts[tile] - base, count = starts[tile + 1] - starts[tile];
        if (!count) continue;
        if (sort) sort_list(entries + begin, scratch + begin, count);
        const uint32_t *list = (const uint32_t *)(entries + begin);
        window_t w = window_of(tile, job->width, job->height);
        sink.column = tile % columns, sink.row = tile / columns;
        load_tile(state, rows, channels, job, w);
        if (behind) replay_tile(state, job, list, count, w, &sink, channels, 1);
        else if (channels == 3) replay_tile(state, job, list, count, w, &sink, 3, 0);
        else if (channels == 8) replay_tile(state, job, list, count, w, &sink, 8, 0);
        else replay_tile(state, job, list, count, w, &sink, channels, 0);
    }
}
