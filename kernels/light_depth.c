/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Depth maps of a mesh of many small triangles, several at once. */
#include "light.h"

/* A vertex on a map: pixels, and what is affine on it: z of a parallel camera, 1/z of a pinhole, 0 behind it. */
typedef struct {
    float x, y, w;
} corner_t;

static void project(const map_t *map, int64_t count, const float *points, corner_t *corners) {
    const float *m = map->camera, *k = m + 12;
    for (int64_t i = 0; i < count; i++) {
        const float *p = points + 3 * i;
        float q[3];
        for (int c = 0; c < 3; c++) q[c] = m[4 * c] * p[0] + m[4 * c + 1] * p[1] + m[4 * c + 2] * p[2] + m[4 * c + 3];
        const float scale = map->parallel ? 1 : q[2] > k[4] ? 1 / q[2] : 0;
        corners[i] = (corner_t){q[0] * scale * k[0] + k[2], q[1] * scale * k[1] + k[3], map->parallel ? q[2] : scale};
    }
}

static inline float least_of(float a, float b, float c) { return a < b ? (a < c ? a : c) : (b < c ? b : c); }

/* The pixels whose middles a triangle covers, edges included. */
static void draw(const map_t *map, corner_t a, corner_t b, corner_t c) {
    if (!map->parallel && !(a.w > 0 && b.w > 0 && c.w > 0)) return;
    const float low = least_of(a.x, b.x, c.x), high = -least_of(-a.x, -b.x, -c.x), over = least_of(a.y, b.y, c.y), under = -least_of(-a.y, -b.y, -c.y);
    if (!(high >= 0.5f && under >= 0.5f && low <= map->width - 0.5f && over <= map->height - 0.5f)) return;
    const int64_t left = low > 0.5f ? (int64_t)__builtin_ceilf(low - 0.5f) : 0, top = over > 0.5f ? (int64_t)__builtin_ceilf(over - 0.5f) : 0;
    const int64_t right = high < map->width ? (int64_t)(high - 0.5f) : map->width - 1, bottom = under < map->height ? (int64_t)(under - 0.5f) : map->height - 1;
    if (left > right || top > bottom) return;
    const float bx = b.x - a.x, by = b.y - a.y, cx = c.x - a.x, cy = c.y - a.y, area = bx * cy - by * cx;
    if (!(area > 1e-9f || area < -1e-9f)) return;
    /* Shares of b and c at a pixel are affine; on an edge rounding must leave no hole. */
    const float size = 1 / area, b_x = cy * size, b_y = -cx * size, c_x = -by * size, c_y = bx * size, slack = -1e-4f;
    const float w_x = b_x * (b.w - a.w) + c_x * (c.w - a.w), w_y = b_y * (b.w - a.w) + c_y * (c.w - a.w);
    const v8f steps = {0, 1, 2, 3, 4, 5, 6, 7}, least = spread(least_of(a.w, b.w, c.w)), most = spread(-least_of(-a.w, -b.w, -c.w));
    for (int64_t y = top; y <= bottom; y++) {
        float *row = map->depth + (y + 1) * (map->width + 2) + 1;
        const float dy = y + 0.5f - a.y;
        for (int64_t x = left; x <= right; x += LANES) {
            const v8f dx = steps + (x + 0.5f - a.x), s = dx * b_x + dy * b_y, t = dx * c_x + dy * c_y;
            const v8i inside = (s >= slack) & (t >= slack) & (s + t <= 1 - slack) & (steps <= (float)(right - x));
            if (!any8(inside)) continue;
            v8f w = clamp8(a.w + dx * w_x + dy * w_y, least, most);
            if (!map->parallel) w = 1.0f / w;
            const v8f before = load(row + x);
            store(row + x, select8(inside & (w < before), w, before));
        }
    }
}

/* Draws triangles [t,3] of points [n,3] into maps that hold depths already. corners [threads,n]; slots counts threads. */
API int64_t lca_light_depth(int64_t *counter, int64_t count, const map_t *maps, int64_t n, const float *points, int64_t t, const int32_t *triangles, int64_t *slots, corner_t *corners) {
    corner_t *mine = corners + n * take_ticket(slots);
    for (int64_t i; (i = take_ticket(counter)) < count;) {
        project(maps + i, n, points, mine);
        for (int64_t k = 0; k < t; k++) draw(maps + i, mine[triangles[3 * k]], mine[triangles[3 * k + 1]], mine[triangles[3 * k + 2]]);
    }
    return 0;
}

/* seen [count,n]: 255ths of the light of distant lights, seen by maps with parallel rays, that reach places [n,3]. */
API int64_t lca_light_reach(int64_t *counter, int64_t count, const map_t *maps, int64_t n, const float *places, const float *normals, const float *inset, uint8_t *seen) {
    for (int64_t d; (d = take_ticket(counter)) < count;) {
        const float *m = maps[d].camera;
        for (int64_t i = 0; i < n; i += LANES) {
            int64_t at[LANES];
            v8f place[3], normal[3];
            for (int64_t j = 0; j < LANES; j++) at[j] = i + j < n ? i + j : n - 1;
            for (int c = 0; c < 3; c++) place[c] = take8(places, 3, c, at), normal[c] = take8(normals, 3, c, at);
            const v8f cosine = -(m[8] * normal[0] + m[9] * normal[1] + m[10] * normal[2]);
            v8f lit = spread(0);
            if (any8(cosine > 0)) lit = lit8(maps + d, place, normal, take8(inset, 1, 0, at), cosine) * 255.0f + 0.5f;
            for (int64_t j = 0; j < LANES && i + j < n; j++) seen[d * n + i + j] = cosine[j] > 0 ? (uint8_t)lit[j] : 0;
        }
    }
    return 0;
}
