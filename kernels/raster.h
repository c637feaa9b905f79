/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the stages of the rasteriser hand on: project -> offsets, scatter -> blend; replay -> project_backward.
 *
 * EWA splatting (Zwicker et al. 2001) as in 3D Gaussian splatting (Kerbl et al. 2023): with M = J W, J the
 * Jacobian of the projection at the mean and W the rotation of the view, the picture's covariance is
 * M S M^T + 0.3 I. */
#pragma once

#include "simd.h"

enum { TILE_W = 32, TILE_H = 16, BLOCKS = 64 };

#define DILATION 0.3f              /* px^2 */
#define ALPHA_MAX 0.999f
#define LOG_ALPHA_MIN (-7.99435343685886f) /* log2(1/255) */
#define TRANSMITTANCE_MIN 1e-4f
#define LOG2_E 1.4426950408889634f
#define LN_2 0.6931471805599453f

/* A Gaussian on the picture, one cache line. Its alpha is 2^(a dx^2 + b dx dy + c dy^2 + log); of a row dy below
 * the mean it reaches 1/255 in the span -shear dy +- sqrt(reach - curve dy^2). */
typedef struct __attribute__((aligned(64))) {
    float mx, my, a, b, c, log, shear, reach;
    float curve, z, color[3], normal[3];
} record_t;

/* Columns and rows of tiles that it touches, first and last; left > right: it is not drawn. */
typedef struct {
    int16_t left, right, top, bottom;
} box_t;

/* Rows of viewmat; limits of x/z and y/z at which the Jacobian is taken. */
typedef struct {
    float view[12], fx, fy, cx, cy, width, height, low_x, high_x, low_y, high_y, near, orthographic;
} camera_t;

/* A Gaussian in a tile's list: the sort key of its depth above, its number below. */
typedef uint64_t entry_t;

static inline int is_drawn(box_t box) { return box.left <= box.right; }
/* A box of at most 2 x 2 tiles, or of one row or one column, is listed whole; of a larger one only the tiles that
 * the ellipse reaches. */
static inline int is_small(box_t box) { return box.right - box.left <= 1 && box.bottom - box.top <= 1; }

static inline float clampf(float x, float low, float high) { return x > low ? (x < high ? x : high) : low; }

/* The tile columns of a large box that the ellipse reaches in one row of tiles: [*first, *last], maybe none. */
static inline void row_of_tiles(const record_t *r, box_t box, int row, int *first, int *last) {
    *first = box.left, *last = box.right;
    if (box.left == box.right || box.top == box.bottom) return;
    float top = (float)(row * TILE_H) + 0.5f - r->my, bottom = top + (TILE_H - 1);
    /* the rows where the ellipse ends on the right and, mirrored, on the left */
    float square = r->shear * r->shear;
    float end = __builtin_sqrtf(r->reach * square / (r->curve * (square + r->curve)));
    end = r->shear > 0 ? -end : end;
    float y1 = clampf(end, top, bottom), y0 = clampf(-end, top, bottom);
    float wide1 = r->reach - r->curve * y1 * y1, wide0 = r->reach - r->curve * y0 * y0;
    float x1 = r->mx - r->shear * y1 + __builtin_sqrtf(wide1 > 0 ? wide1 : 0) + 1;
    float x0 = r->mx - r->shear * y0 - __builtin_sqrtf(wide0 > 0 ? wide0 : 0) - 1;
    float to_right = x1 * (1.0f / TILE_W), to_left = x0 * (1.0f / TILE_W);
    if (to_left > (float)*first) *first = to_left < 32767 ? (int)to_left : 32767;
    if (to_right < (float)*last + 1) *last = to_right > 0 ? (int)to_right : -1;
}
