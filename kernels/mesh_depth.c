/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A depth image of triangle meshes.
 *
 * What is compared is `nearness` k / w, affine on the picture within a triangle: 1/z of a pinhole, -z of a parallel
 * camera. Of several the greatest wins, in whatever order they come. */
#include "mesh.h"

typedef double v8d __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));

/* A triangle's edges; nearness a x + b y + c, and its limits in the triangle. */
typedef struct {
    edges_t edges;
    double a, b, c;
    float least, most;
} plane_t;

#define IN_FRONT 1e-9 /* a smaller w is on the camera's plane or behind it */

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

/* Fills bounds [count] for triangles [count,3]. */
API void lca_mesh_bounds(int64_t *counter, int64_t count, int64_t chunk, const corner_t *corners, const int32_t *triangles, int64_t width,
                         int64_t height, bounds_t *bounds) {
    for (int64_t begin; (begin = take_ticket(counter) * chunk) < count;) {
        int64_t end = begin + chunk < count ? begin + chunk : count;
        for (int64_t i = begin; i < end; i++) {
            const int32_t *t = triangles + 3 * i;
            const corner_t *const p[3] = {corners + t[0], corners + t[1], corners + t[2]};
            bounds[i] = bounds_of(p, IN_FRONT, width, height);
        }
    }
}

/* Returns 0 of a triangle that has no area or is not finite. */
static inline int set_up(const corner_t *const p[3], plane_t *plane) {
    double size = edges_of(p, &plane->edges);
    if (!(size > 1e-300) || size > 1e300) return 0;
    const edges_t *e = &plane->edges;
    plane->a = plane->b = plane->c = 0, plane->least = 3e38f, plane->most = -3e38f;
    for (int i = 0; i < 3; i++) {
        double share = p[i]->k / size;
        plane->a += e->a[i] * share, plane->b += e->b[i] * share, plane->c += e->c[i] * share;
        float nearness = p[i]->w > IN_FRONT ? (float)(p[i]->k / p[i]->w) : 3e38f;
        plane->least = nearness < plane->least ? nearness : plane->least;
        plane->most = nearness > plane->most ? nearness : plane->most;
    }
    return 1;
}

/* Row y of a triangle: its columns, or where `columns` are many those that the edges leave. */
static inline void fill_row(const plane_t *plane, double y, span_t columns, int64_t width, float far, float near,
                            float *picture) {
    const edges_t *e = &plane->edges;
    const double offset[3] = {e->b[0] * y + e->c[0], e->b[1] * y + e->c[1], e->b[2] * y + e->c[2]};
    if (columns.last - columns.first >= 8) columns = span_of(e, offset, 0, (double)width, width);
    const v8f least = spread(plane->least), most = spread(plane->most);
    v8d shift[4];
    for (int i = 0; i < 3; i++) shift[i] = (v8d){} + offset[i];
    shift[3] = (v8d){} + (plane->b * y + plane->c);
    for (int64_t x = columns.first; x <= columns.last; x += 8) {
        v8d at = (v8d){0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5} + (double)x, nearness = at * plane->a + shift[3];
        v16i signs = (v16i)(at * e->a[0] + shift[0]) | (v16i)(at * e->a[1] + shift[1]) | (v16i)(at * e->a[2] + shift[2]);
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
                fill_row(&plane, (double)row + 0.5, columns, width, far, near, picture + row * stride);
            }
        }
    }
}
