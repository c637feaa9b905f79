/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Triangles between points of a surface that lie next to each other: of every point the Delaunay triangles about it, among
 * its neighbours as seen along its normal. */
#include "light.h"

enum { MOST = 32 };
static const float BEYOND = 1.5f; /* of the farthest neighbour, that no circumcircle is wider than */

typedef struct {
    float x, y;
    int32_t row;
} neighbour_t;

/* The neighbours that belong to the point's own layer: normals alike, and less off its plane than `slope` along it. */
static int64_t layer_of(int64_t i, int64_t near, const float *points, const float *normals, const int32_t *rows, float alike, float slope, neighbour_t *out) {
    const float *p = points + 3 * i, *n = normals + 3 * i, sign = n[2] < 0 ? -1.0f : 1.0f, a = -1 / (sign + n[2]), b = n[0] * n[1] * a;
    const float right[3] = {1 + sign * n[0] * n[0] * a, sign * b, -sign * n[0]}, up[3] = {b, sign + n[1] * n[1] * a, -n[1]};
    int64_t count = 0;
    for (int64_t k = 0; k < near; k++) {
        const float *q = points + 3 * rows[k], *m = normals + 3 * rows[k], d[3] = {q[0] - p[0], q[1] - p[1], q[2] - p[2]};
        const float x = d[0] * right[0] + d[1] * right[1] + d[2] * right[2], y = d[0] * up[0] + d[1] * up[1] + d[2] * up[2];
        const float off = d[0] * n[0] + d[1] * n[1] + d[2] * n[2], square = x * x + y * y;
        if (rows[k] == i || !(square > 1e-12f) || off * off > slope * slope * square) continue;
        if (n[0] * m[0] + n[1] * m[1] + n[2] * m[2] < alike) continue;
        out[count++] = (neighbour_t){x, y, rows[k]};
    }
    return count;
}

/* The next Delaunay neighbour after `from`, counter-clockwise (turn 1) or clockwise (-1), or -1 past the edge; radius:
 * the square of the triangle's circumcircle's. */
static int64_t next_of(int64_t count, const neighbour_t *all, int64_t from, float turn, float *radius) {
    const float ax = all[from].x, ay = all[from].y;
    float least = 3e38f;
    int64_t found = -1;
    for (int64_t k = 0; k < count; k++) {
        const float x = all[k].x, y = all[k].y, across = turn * (ax * y - ay * x);
        if (k == from || !(across > 1e-12f)) continue;
        const float t = (x * x + y * y - ax * x - ay * y) / (2 * across);
        if (t < least) least = t, found = k;
    }
    *radius = (0.25f + least * least) * (ax * ax + ay * ay);
    return found;
}

/* triangles [count,near,3], rows of points, -1 where there are no more. Of points and unit normals [count,3]; neighbours
 * [count,near], nearest first. No circumcircle is wider than `widest`. */
API int64_t lca_light_triangles(int64_t *counter, int64_t count, int64_t near, const float *points, const float *normals, const int32_t *neighbours, float alike, float slope, float widest, int32_t *triangles) {
    neighbour_t all[MOST];
    for (int64_t chunk; (chunk = take_ticket(counter)) * CHUNK < count;)
        for (int64_t i = chunk * CHUNK; i < (chunk + 1) * CHUNK && i < count; i++) {
            int32_t *out = triangles + 3 * near * i, *const end = out + 3 * near;
            const int64_t found = layer_of(i, near, points, normals, neighbours + near * i, alike, slope, all);
            float reach = 0;
            int64_t first = 0;
            for (int64_t k = 0; k < found; k++) {
                const float square = all[k].x * all[k].x + all[k].y * all[k].y;
                if (square > reach) reach = square;
                if (square < all[first].x * all[first].x + all[first].y * all[first].y) first = k;
            }
            reach *= BEYOND * BEYOND;
            if (reach > widest * widest) reach = widest * widest;
            for (float turn = 1; turn > -2; turn -= 2) {
                int64_t from = first, to = -1;
                for (int64_t step = 0; found && step < near && out < end; step++, from = to) {
                    float radius;
                    to = next_of(found, all, from, turn, &radius);
                    if (to < 0) break;
                    if (4 * radius <= reach) *out++ = (int32_t)i, *out++ = all[from].row, *out++ = all[to].row;
                    if (to == first) break;
                }
                if (to == first) break;
            }
            while (out < end) *out++ = -1;
        }
    return 0;
}
