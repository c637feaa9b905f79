/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a frame's signal to posed Gaussians, sixteen tokens at a time: the layers of the pose decoder, the
 * expression's displacements, the changes, and linear blend skinning. What lies between stays in the cache.
 *
 * In the decoder one lane is one token: value v of lane l stands at [v][l]. The Gaussians of a block's tokens follow in
 * groups of eight, a Gaussian a lane; each takes its changes from its token's lane. */
#include "simd.h"

enum { LANES = 8, TOKENS = 16, ROWS = 6, REST = 13, JOINT = 16 };

/* As backend/decoder.py has them. */
enum { CHANGES = 13 };
#define SLOPE 0.01f /* of the leaky ReLU */
#define LOG2_E 1.4426950408889634f

/* How an expression moves one Gaussian of a block; `at` is the place of its x among the block's moves. */
typedef struct {
    int32_t at;
    float x, y, z;
} displacement_t;

/* An avatar at rest; B blocks of sixteen tokens, G groups of Gaussians, width D, L hidden layers, k joints a Gaussian. */
typedef struct {
    int64_t blocks, width, layers, influences, outputs; /* outputs: 13 changes of every slot, rounded up to ROWS */
    const float *token_bias;                  /* [B,D,16] */
    const float *hidden, *hidden_bias;        /* [L,D',D] packed, [L,D']; D' is D rounded up to ROWS */
    const float *last, *last_bias;            /* [outputs,D] packed, [outputs] */
    const int64_t *group;                     /* [B+1]: a block's first group */
    const int32_t *number;                    /* [G,8]: the Gaussian in each lane, -1 in lanes that only fill up */
    const int32_t *source;                    /* [G,8]: where its first change stands; the others follow at steps of 16 */
    const float *rest;                        /* [G,13,8]: mean 3, quaternion 4, scale 3, colour 3 */
    const uint8_t *used;                      /* [G]: how many joints move one of the lanes */
    const uint8_t *joints;                    /* [G,8,k] largest weight first */
    const float *weights;                     /* [G,8,k] */
    const int64_t *first;                     /* [B,53]: where a block's displacements by each expression begin */
    const displacement_t *displacements;
} avatar_t;

typedef struct {
    const float *shift;      /* [D]: the signal's part of the first layer */
    const float *expression; /* [52] */
    const float *joints;     /* [J,16]: rows 0..2 of the transforms */
    float *means, *covariances, *colors; /* out: [N,3], [N,9], [N,3] */
} frame_t;

static int64_t rounded_up(int64_t x, int64_t step) { return (x + step - 1) / step * step; }

static inline v8f leaky(v8f x) { return max8(x, x * SLOPE); }

/* out [rows,16] = weights [rows,width] in [width,16] + bias. ROWS rows of weights are interleaved. */
static void dense(const float *weights, const float *bias, const float *in, float *out, int64_t width, int64_t rows, int last) {
    for (int64_t row = 0; row < rows; row += ROWS) {
        v8f a[ROWS], b[ROWS];
        for (int r = 0; r < ROWS; r++) a[r] = b[r] = spread(bias[row + r]);
        for (int64_t i = 0; i < width; i++, weights += ROWS) {
            v8f x = load(in + TOKENS * i), y = load(in + TOKENS * i + LANES);
#pragma clang loop unroll(full)
            for (int r = 0; r < ROWS; r++) a[r] = fma8(spread(weights[r]), x, a[r]), b[r] = fma8(spread(weights[r]), y, b[r]);
        }
        for (int r = 0; r < ROWS; r++, out += TOKENS) {
            store(out, last ? a[r] : leaky(a[r]));
            store(out + LANES, last ? b[r] : leaky(b[r]));
        }
    }
}

/* changes [outputs,16] of one block; x and y have room for D' x 16 values each. */
static void decode(const avatar_t *avatar, const float *shift, int64_t block, float *x, float *y, float *changes) {
    int64_t width = avatar->width, padded = rounded_up(width, ROWS);
    const float *tokens = avatar->token_bias + block * width * TOKENS;
    for (int64_t i = 0; i < width; i++)
        for (int h = 0; h < TOKENS; h += LANES) store(x + TOKENS * i + h, leaky(load(tokens + TOKENS * i + h) + shift[i]));
    for (int64_t layer = 0; layer < avatar->layers; layer++) {
        dense(avatar->hidden + layer * padded * width, avatar->hidden_bias + layer * padded, x, y, width, padded, 0);
        float *swap = x;
        x = y, y = swap;
    }
    dense(avatar->last, avatar->last_bias, x, changes, width, avatar->outputs, 1);
}

/* moves [groups,3,8] of a block's Gaussians, zeroed here. */
static void express(const avatar_t *avatar, const float *expression, int64_t block, float *moves) {
    const int64_t *first = avatar->first + 53 * block, groups = avatar->group[block + 1] - avatar->group[block];
    for (int64_t i = 0; i < 3 * LANES * groups; i += LANES) store(moves + i, spread(0));
    for (int e = 0; e < 52; e++) {
        float value = expression[e];
        if (value == 0) continue;
        for (int64_t i = first[e]; i < first[e + 1]; i++) {
            displacement_t d = avatar->displacements[i];
            moves[d.at] += value * d.x, moves[d.at + LANES] += value * d.y, moves[d.at + 2 * LANES] += value * d.z;
        }
    }
}

/* The blended matrices of eight lanes, as twelve vectors. joints and weights [8,k]. */
static inline void blend(const float *matrices, const uint8_t *joints, const float *weights, int64_t influences, int used, v8f m[16]) {
    for (int lane = 0; lane < LANES; lane++, joints += influences, weights += influences) {
        v8f upper = spread(0), lower = spread(0);
        for (int j = 0; j < used; j++) {
            const float *matrix = matrices + JOINT * joints[j];
            upper = fma8(spread(weights[j]), load(matrix), upper), lower = fma8(spread(weights[j]), load(matrix + 8), lower);
        }
        m[lane] = upper, m[8 + lane] = lower;
    }
    transpose8(m), transpose8(m + 8);
}

/* Rotation of a quaternion (any length but zero), its columns scaled. */
static inline void turned_and_scaled(v8f w, v8f x, v8f y, v8f z, v8f s[3], v8f out[9]) {
    v8f two = 2.0f / fma8(w, w, fma8(x, x, fma8(y, y, z * z)));
    v8f tx = two * x, ty = two * y, tz = two * z;
    out[0] = s[0] * (1.0f - fma8(ty, y, tz * z)), out[1] = s[1] * fma8(tx, y, -(tz * w)), out[2] = s[2] * fma8(tx, z, ty * w);
    out[3] = s[0] * fma8(tx, y, tz * w), out[4] = s[1] * (1.0f - fma8(tx, x, tz * z)), out[5] = s[2] * fma8(ty, z, -(tx * w));
    out[6] = s[0] * fma8(tx, z, -(ty * w)), out[7] = s[1] * fma8(ty, z, tx * w), out[8] = s[2] * (1.0f - fma8(tx, x, ty * y));
}

static inline v8f dot3(v8f a, v8f b, v8f c, v8f x, v8f y, v8f z) { return fma8(a, x, fma8(b, y, c * z)); }

/* Eight Gaussians: rest [13,8] and change [13], m their blended matrices -> two rows of eight values for each lane:
 * covariance 0..7; covariance 8, mean, colour. */
static inline void pose(const float *rest, const v8f change[CHANGES], const v8f m[12], v8f head[8], v8f tail[8]) {
#define SUM(r, c) (load(rest + LANES * (r)) + change[c])
    v8f s[3], local[9], world[9], x = SUM(0, 3), y = SUM(1, 4), z = SUM(2, 5);
    for (int i = 0; i < 3; i++) {
        v8f power = clamp8(change[10 + i] * LOG2_E, spread(-120), spread(120));
        s[i] = load(rest + LANES * (7 + i)) * exp2_8(power);
        tail[1 + i] = dot3(m[4 * i], m[4 * i + 1], m[4 * i + 2], x, y, z) + m[4 * i + 3];
        tail[4 + i] = clamp8(SUM(10 + i, i), spread(0), spread(1));
    }
    turned_and_scaled(SUM(3, 6), SUM(4, 7), SUM(5, 8), SUM(6, 9), s, local);
#undef SUM
    for (int i = 0; i < 9; i++) world[i] = dot3(m[i / 3 * 4], m[i / 3 * 4 + 1], m[i / 3 * 4 + 2], local[i % 3], local[3 + i % 3], local[6 + i % 3]);
    const v8f *a = world, *b = world + 3, *c = world + 6;
    head[0] = dot3(a[0], a[1], a[2], a[0], a[1], a[2]);
    head[1] = head[3] = dot3(a[0], a[1], a[2], b[0], b[1], b[2]);
    head[2] = head[6] = dot3(a[0], a[1], a[2], c[0], c[1], c[2]);
    head[4] = dot3(b[0], b[1], b[2], b[0], b[1], b[2]);
    head[5] = head[7] = dot3(b[0], b[1], b[2], c[0], c[1], c[2]);
    tail[0] = dot3(c[0], c[1], c[2], c[0], c[1], c[2]);
    tail[7] = spread(0);
    transpose8(head), transpose8(tail);
}

/* The changes of a group's Gaussians, each from its own token and slot; neighbours in memory are read at once. */
static inline void gather(const float *changes, const int32_t source[LANES], v8f out[CHANGES]) {
    int together = 1;
    for (int l = 1; l < LANES; l++) together &= source[l] == source[0] + l;
    for (int c = 0; c < CHANGES; c++) {
        const float *row = changes + TOKENS * c;
        if (together) out[c] = load(row + source[0]);
        else
            for (int l = 0; l < LANES; l++) out[c][l] = row[source[l]];
    }
}

static void pose_block(const avatar_t *avatar, const frame_t *frame, int64_t block, const float *changes, const float *moves) {
    int64_t influences = avatar->influences;
    for (int64_t g = avatar->group[block]; g < avatar->group[block + 1]; g++, moves += 3 * LANES) {
        v8f m[16], change[CHANGES], head[8], tail[8];
        gather(changes, avatar->source + LANES * g, change);
        for (int i = 0; i < 3; i++) change[3 + i] += load(moves + LANES * i);
        blend(frame->joints, avatar->joints + LANES * g * influences, avatar->weights + LANES * g * influences, influences, avatar->used[g], m);
        pose(avatar->rest + REST * LANES * g, change, m, head, tail);
        for (int l = 0; l < LANES; l++) {
            int64_t n = avatar->number[LANES * g + l];
            if (n < 0) break;
            store(frame->covariances + 9 * n, head[l]);
            frame->covariances[9 * n + 8] = tail[l][0];
            for (int i = 0; i < 3; i++) frame->means[3 * n + i] = tail[l][1 + i], frame->colors[3 * n + i] = tail[l][4 + i];
        }
    }
}

/* A ticket is a block. Every thread has `room` floats of scratch: twice D' x 16, outputs x 16, and the moves. */
API int64_t lca_drive(int64_t *counter, const avatar_t *avatar, const frame_t *frame, int64_t *threads, float *scratch, int64_t room) {
    int64_t layer = rounded_up(avatar->width, ROWS) * TOKENS;
    float *x = scratch + take_ticket(threads) * room, *y = x + layer, *changes = y + layer, *moves = changes + avatar->outputs * TOKENS;
    for (int64_t block; (block = take_ticket(counter)) < avatar->blocks;) {
        decode(avatar, frame->shift, block, x, y, changes);
        express(avatar, frame->expression, block, moves);
        pose_block(avatar, frame, block, changes, moves);
    }
    return 0;
}
