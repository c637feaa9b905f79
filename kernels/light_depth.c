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

/* Eight triangles on a map: the pixels whose middles may lie inside, and planes of the shares of two corners and of w, from
 * the first corner. */
typedef struct {
    v8i left, right, top, bottom, drawn;
    v8f x, y, w, s_x, s_y, t_x, t_y, w_x, w_y, least, most;
} planes_t;

static inline v8f least_of(v8f a, v8f b, v8f c) { return min8(min8(a, b), c); }
static inline v8f most_of(v8f a, v8f b, v8f c) { return max8(max8(a, b), c); }
static inline v8i above8(v8f x) { v8i i = truncate8(x); return i + ((x > to_float8(i)) & 1); }

static inline void set_up(const map_t *map, const corner_t *corners, const int32_t *triangles, int64_t lanes, planes_t *out) {
    v8f x[3], y[3], w[3];
    for (int j = 0; j < LANES; j++)
        for (int k = 0; k < 3; k++) {
            const corner_t c = corners[triangles[3 * (j < lanes ? j : 0) + k]];
            x[k][j] = c.x, y[k][j] = c.y, w[k][j] = c.w;
        }
    const v8f zero = spread(0), width = spread(map->width), height = spread(map->height);
    const v8f low = least_of(x[0], x[1], x[2]), high = most_of(x[0], x[1], x[2]), over = least_of(y[0], y[1], y[2]), under = most_of(y[0], y[1], y[2]);
    out->left = above8(clamp8(low - 0.5f, zero, width)), out->right = truncate8(clamp8(high + 0.5f, zero, width)) - 1;
    out->top = above8(clamp8(over - 0.5f, zero, height)), out->bottom = truncate8(clamp8(under + 0.5f, zero, height)) - 1;
    const v8f bx = x[1] - x[0], by = y[1] - y[0], cx = x[2] - x[0], cy = y[2] - y[0], area = bx * cy - by * cx;
    out->least = least_of(w[0], w[1], w[2]), out->most = most_of(w[0], w[1], w[2]);
    out->drawn = (out->left <= out->right) & (out->top <= out->bottom) & (abs8(area) > 1e-9f) & (abs8(area) < 1e30f);
    if (!map->parallel) out->drawn &= out->least > 0;
    const v8f size = 1.0f / area, b = w[1] - w[0], c = w[2] - w[0];
    out->x = x[0], out->y = y[0], out->w = w[0];
    out->s_x = cy * size, out->s_y = -cx * size, out->t_x = -by * size, out->t_y = bx * size;
    out->w_x = out->s_x * b + out->t_x * c, out->w_y = out->s_y * b + out->t_y * c;
}

/* The pixels whose middles triangle j covers, edges included: there rounding must leave no hole. */
static inline void fill(const map_t *map, const planes_t *p, int j) {
    const v8f steps = {0, 1, 2, 3, 4, 5, 6, 7}, least = spread(p->least[j]), most = spread(p->most[j]);
    const float slack = -1e-4f;
    for (int64_t y = p->top[j]; y <= p->bottom[j]; y++) {
        float *row = map->depth + (y + 1) * (map->width + 2) + 1;
        const float dy = y + 0.5f - p->y[j];
        for (int64_t x = p->left[j]; x <= p->right[j]; x += LANES) {
            const v8f dx = steps + (x + 0.5f - p->x[j]), s = dx * p->s_x[j] + dy * p->s_y[j], t = dx * p->t_x[j] + dy * p->t_y[j];
            const v8i inside = (s >= slack) & (t >= slack) & (s + t <= 1 - slack) & (steps <= (float)(p->right[j] - x));
            v8f w = clamp8(p->w[j] + dx * p->w_x[j] + dy * p->w_y[j], least, most);
            if (!map->parallel) w = 1.0f / w;
            const v8f before = load(row + x);
            store(row + x, select8(inside & (w < before), w, before));
        }
    }
}

/* Draws triangles [t,3] of points [n,3] into maps that hold depths already. corners [threads,n]; slots counts threads. */
API int64_t lca_light_depth(int64_t *counter, int64_t count, const map_t *const *maps, int64_t n, const float *points, int64_t t, const int32_t *triangles, int64_t *slots, corner_t *corners) {
    corner_t *mine = corners + n * take_ticket(slots);
    for (int64_t i; (i = take_ticket(counter)) < count;) {
        project(maps[i], n, points, mine);
        for (int64_t k = 0; k < t; k += LANES) {
            planes_t planes;
            set_up(maps[i], mine, triangles + 3 * k, t - k, &planes);
            for (int j = 0; j < LANES && k + j < t; j++)
                if (planes.drawn[j]) fill(maps[i], &planes, j);
        }
    }
    return 0;
}

/* seen [count,n]: 255ths of the light of distant lights, seen by maps with parallel rays, that reach places [n,3]. */
API int64_t lca_light_reach(int64_t *counter, int64_t count, const map_t *const *maps, int64_t n, const float *places, const float *normals, const float *inset, uint8_t *seen) {
    for (int64_t d; (d = take_ticket(counter)) < count;) {
        const float *m = maps[d]->camera;
        for (int64_t i = 0; i < n; i += LANES) {
            int64_t at[LANES];
            v8f place[3], normal[3];
            for (int64_t j = 0; j < LANES; j++) at[j] = i + j < n ? i + j : n - 1;
            for (int c = 0; c < 3; c++) place[c] = take8(places, 3, c, at), normal[c] = take8(normals, 3, c, at);
            const v8f cosine = -(m[8] * normal[0] + m[9] * normal[1] + m[10] * normal[2]);
            v8f lit = spread(0);
            if (any8(cosine > 0)) lit = lit8(maps[d], place, normal, take8(inset, 1, 0, at), cosine) * 255.0f + 0.5f;
            for (int64_t j = 0; j < LANES && i + j < n; j++) seen[d * n + i + j] = cosine[j] > 0 ? (uint8_t)lit[j] : 0;
        }
    }
    return 0;
}
