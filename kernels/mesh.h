/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Triangles set up in homogeneous pixels (Olano & Greer 1997, "Triangle scan conversion using 2D homogeneous
 * coordinates"), so those that pass behind the camera need no clipping. */
#pragma once

#include "simd.h"

/* A vertex: pixel x = u / w, pixel y = v / w; k is a number that is drawn. */
typedef struct {
    double u, v, w, k;
} corner_t;

/* Pixels in a row; first > last: none. */
typedef struct {
    int32_t first, last;
} span_t;

/* What a triangle may touch of the picture; of none, both are none. */
typedef struct {
    span_t columns, rows;
} bounds_t;

/* Edge functions a x + b y + c, all >= 0 inside; divided by their sum they are the barycentrics. */
typedef struct {
    double a[3], b[3], c[3];
} edges_t;

static inline double min_d(double a, double b) { return a < b ? a : b; }
static inline double max_d(double a, double b) { return a > b ? a : b; }

/* Whole pixels whose centres lie in low .. high, of `size` in a row. Clamped while floating: these may be any. */
static inline span_t centres_within(double low, double high, int64_t size) {
    double first = max_d(low - 0.5, 0), last = min_d(high - 0.5, (double)size - 1);
    if (!(first <= last)) return (span_t){1, 0};
    int32_t whole = (int32_t)first;
    return (span_t){whole < first ? whole + 1 : whole, (int32_t)last};
}

/* A corner whose w is not above `in_front` is on the camera's plane or behind it. */
static inline bounds_t bounds_of(const corner_t *const p[3], double in_front, int64_t width, int64_t height) {
    const corner_t *a = p[0], *b = p[1], *c = p[2];
    int before = (a->w > in_front) + (b->w > in_front) + (c->w > in_front);
    const span_t none = {1, 0};
    if (before == 0) return (bounds_t){none, none};
    if (before < 3) return (bounds_t){{0, (int32_t)width - 1}, {0, (int32_t)height - 1}};
    double ax = a->u / a->w, bx = b->u / b->w, cx = c->u / c->w, ay = a->v / a->w, by = b->v / b->w, cy = c->v / c->w;
    span_t columns = centres_within(min_d(ax, min_d(bx, cx)), max_d(ax, max_d(bx, cx)), width);
    if (columns.first > columns.last) return (bounds_t){none, none};
    return (bounds_t){columns, centres_within(min_d(ay, min_d(by, cy)), max_d(ay, max_d(by, cy)), height)};
}

/* Rows of the adjugate. Two triangles see their common edge with the same numbers, so there are no cracks. Returns the
 * size of the determinant: 0 of a triangle without area, and maybe not finite. */
static inline double edges_of(const corner_t *const p[3], edges_t *e) {
    for (int i = 0; i < 3; i++) {
        const corner_t *q = p[(i + 1) % 3], *r = p[(i + 2) % 3];
        e->a[i] = q->v * r->w - q->w * r->v, e->b[i] = q->w * r->u - q->u * r->w, e->c[i] = q->u * r->v - q->v * r->u;
    }
    double determinant = p[0]->u * e->a[0] + p[0]->v * e->b[0] + p[0]->w * e->c[0];
    if (determinant >= 0) return determinant;
    for (int i = 0; i < 3; i++) e->a[i] = -e->a[i], e->b[i] = -e->b[i], e->c[i] = -e->c[i];
    return -determinant;
}

/* The columns of a row between `low` and `high` in which all edge functions may be >= 0, one to spare on either side.
 * offset: b y + c of each. */
static inline span_t span_of(const edges_t *e, const double offset[3], double low, double high, int64_t width) {
    for (int i = 0; i < 3; i++) {
        if (e->a[i] > 0) low = max_d(low, -offset[i] / e->a[i] - 1);
        else if (e->a[i] < 0) high = min_d(high, -offset[i] / e->a[i] + 1);
        else if (offset[i] < 0) return (span_t){1, 0};
    }
    return centres_within(low, high, width);
}
