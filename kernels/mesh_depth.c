/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A depth image of triangle meshes. Triangles are set up in homogeneous pixels (Olano & Greer 1997, "Triangle scan
 * conversion using 2D homogeneous coordinates"), so those that pass behind the camera need no clipping.
 *
 * What is compared is `nearness`, affine on the picture within a triangle: 1/z of a pinhole, -z of a parallel
 * camera. Of several the greatest wins, in whatever order they come. */
#include "simd.h"

typedef double v8d __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));

/* A vertex: pixel x = u / w, pixel y = v / w; its nearness is k / w. */
typedef struct {
    double u, v, w, k;
} corner_t;

/* Pixels in a row; first > last: none. */
typedef struct {
    int32_t first, last;
} span_t;

/* What a triangle may touch of the picture; of none, the rows are none. */
typedef struct {
    span_t columns, rows;
} bounds_t;

/* Edge functions a x + b y + c, all >= 0 inside; nearness likewise, and its limits in the triangle. */
typedef struct {
    double a[4], b[4], c[4];
    float least, most;
} plane_t;

#define IN_FRONT 1e-9 /* a smaller w is on the camera's plane or behind it */

static inline double min_d(double a, double b) { return a < b ? a : b; }
static inline double max_d(double a, double b) { return a > b ? a : b; }

/* corners [count] = matrix [4,4] (points [count,3], 1). */
API void lca_mesh_corners(int64_t *counter, int64_t count, int64_t chunk, const float *points, const double *matrix, corner_t *corners) {
    for (int64_t begin; (begin = take_ticket(counter) * chunk) < count;) {
        int64_t end = begin + chunk < count ? begin + chunk : count;
        for (int64_t i = begin; i < end; i++) {
            double x = points[3 * i], y = points[3 * i + 1], z = points[3 * i + 2], out[4];
            for (int k = 0; k < 4; k++) out[k] = matrix[4 * k] * x + matrix[4 * k + 1] * y + matrix[4 * k + 2] * z + matrix[4 * k + 3];
            corners[i] = (corner_t){out[0], out[1], out[2], out[3]};
        }
    }
}

/* Whole pixels whose centres lie in low .. high, of `size` in a row. */
static inline span_t centres_within(double low, double high, int64_t size) {
    double first = max_d(low - 0.5, 0), last = min_d(high - 0.5, (double)size - 1);
    if (!(first <= last)) return (span_t){1, 0};
    int32_t whole = (int32_t)first;
    return (span_t){whole < first ? whole + 1 : whole, (int32_t)last};
}

static inline bounds_t bounds_of(const corner_t *a, const corner_t *b, const corner_t *c, int64_t width, int64_t height) {
    int in_front = (a->w > IN_FRONT) + (b->w > IN_FRONT) + (c->w > IN_FRONT);
    const span_t none = {1, 0};
    if (in_front == 0) return (bounds_t){none, none};
    if (in_front < 3) return (bounds_t){{0, (int32_t)width - 1}, {0, (int32_t)height - 1}};
    double ax = a->u / a->w, bx = b->u / b->w, cx = c->u / c->w, ay = a->v / a->w, by = b->v / b->w, cy = c->v / c->w;
    span_t columns = centres_within(min_d(ax, min_d(bx, cx)), max_d(ax, max_d(bx, cx)), width);
    if (columns.first > columns.last) return (bounds_t){none, none};
    return (bounds_t){columns, centres_within(min_d(ay, min_d(by, cy)), max_d(ay, max_d(by, cy)), height)};
}

/* Fills bounds [count] for triangles [count,3]. */
API void lca_mesh_bounds(int64_t *counter, int64_t count, int64_t chunk, const corner_t *corners, const int32_t *triangles, int64_t width,
                         int64_t height, bounds_t *bounds) {
    for (int64_t begin; (begin = take_ticket(counter) * chunk) < count;) {
        int64_t end = begin + chunk < count ? begin + chunk : count;
        for (int64_t i = begin; i < end; i++) {
            const int32_t *t = triangles + 3 * i;
            bounds[i] = bounds_of(corners + t[0], corners + t[1], corners + t[2], width, height);
        }
    }
}

/* Two triangles see their common edge with the same numbers, so there are no cracks. Returns 0 of one that has no
 * area or is not finite. */
static inline int set_up(const corner_t *const p[3], plane_t *plane) {
    for (int i = 0; i < 3; i++) {
        const corner_t *q = p[(i + 1) % 3], *r = p[(i + 2) % 3];
        plane->a[i] = q->v * r->w - q->w * r->v, plane->b[i] = q->w * r->u - q->u * r->w, plane->c[i] = q->u * r->v - q->v * r->u;
    }
    double determinant = p[0]->u * plane->a[0] + p[0]->v * plane->b[0] + p[0]->w * plane->c[0];
    double size = determinant < 0 ? -determinant : determinant;
    if (!(size > 1e-300) || size > 1e300) return 0;
    if (determinant < 0)
        for (int i = 0; i < 3; i++) plane->a[i] = -plane->a[i], plane->b[i] = -plane->b[i], plane->c[i] = -plane->c[i];
    plane->a[3] = plane->b[3] = plane->c[3] = 0, plane->least = 3e38f, plane->most = -3e38f;
    for (int i = 0; i < 3; i++) {
        double share = p[i]->k / size;
        plane->a[3] += plane->a[i] * share, plane->b[3] += plane->b[i] * share, plane->c[3] += plane->c[i] * share;
        float nearness = p[i]->w > IN_FRONT ? (float)(p[i]->k / p[i]->w) : 3e38f;
        plane->least = nearness < plane->least ? nearness : plane->least, plane->most = nearness > plane->most ? nearness : plane->most;
    }
    return 1;
}

/* The columns of a row in which all edge functions may be >= 0, one to spare on either side. */
static inline span_t span_of(const plane_t *plane, double y, int64_t width) {
    double low = 0, high = (double)width;
    for (int i = 0; i < 3; i++) {
        double offset = plane->b[i] * y + plane->c[i];
        if (plane->a[i] > 0) low = max_d(low, -offset / plane->a[i] - 1);
        else if (plane->a[i] < 0) high = min_d(high, -offset / plane->a[i] + 1);
        else if (offset < 0) return (span_t){1, 0};
    }
    return centres_within(low, high, width);
}

static inline void fill_row(const plane_t *plane, double y, span_t columns, float far, float near, float *picture) {
    const v8f least = spread(plane->least), most = spread(plane->most);
    v8d offset[4];
    for (int i = 0; i < 4; i++) offset[i] = (v8d){} + (plane->b[i] * y + plane->c[i]);
    for (int64_t x = columns.first; x <= columns.last; x += 8) {
        v8d at = (v8d){0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5} + (double)x, nearness = at * plane->a[3] + offset[3];
        v16i signs = (v16i)(at * plane->a[0] + offset[0]) | (v16i)(at * plane->a[1] + offset[1]) | (v16i)(at * plane->a[2] + offset[2]);
        v8i outside = __builtin_shufflevector(signs, signs, 1, 3, 5, 7, 9, 11, 13, 15) >> 31;
        v8f value = __builtin_convertvector(nearness, v8f);
        value = select8(value < least, least, select8(value > most, most, value));
        v8i seen = ~outside & (value >= far) & (value <= near);
        v8f before = load(picture + x);
        store(picture + x, select8(seen & (value > before), value, before));
    }
}

/* Draws triangles [count,3] into picture [height,stride]: the greatest nearness of every pixel centre. What is not
 * in far .. near is not drawn. Rows have seven floats or more to spare (stride). A ticket is a band of rows. */
API void lca_mesh_fill(int64_t *counter, int64_t bands, int64_t count, const corner_t *corners, const int32_t *triangles, const bounds_t *bounds,
                       float far, float near, int64_t width, int64_t height, int64_t stride,
                       float *picture) {
    for (int64_t band; (band = take_ticket(counter)) < bands;) {
        int64_t top = height * band / bands, bottom = height * (band + 1) / bands - 1;
        for (int64_t i = 0; i < count; i++) {
            span_t rows = bounds[i].rows, columns = bounds[i].columns;
            int64_t first = rows.first > top ? rows.first : top, last = rows.last < bottom ? rows.last : bottom;
            if (first > last) continue;
            const int32_t *t = triangles + 3 * i;
            const corner_t *const p[3] = {corners + t[0], corners + t[1], corners + t[2]};
            plane_t plane;
            if (!set_up(p, &plane)) continue;
            for (int64_t row = first; row <= last; row++) {
                double y = (double)row + 0.5;
                fill_row(&plane, y, columns.last - columns.first < 8 ? columns : span_of(&plane, y, width), far, near, picture + row * stride);
            }
        }
    }
}
