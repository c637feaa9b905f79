/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Depth maps as seen from lights, and what is lit by them. */
#pragma once
#include "simd.h"

enum { LANES = 8, CHUNK = 1024, CAMERA = 17 };

/* depth [height + 2, width + 2], one pixel around the map that stays empty, and seven floats more; camera [CAMERA]: viewmat
 * [3,4], fx, fy, cx, cy, nearest; lift: metres and pixels off the surface, and metres deeper, that still are
 * lit. outside: whether what lies outside of the map is lit. */
typedef struct {
    int64_t width, height, parallel, outside;
    float *depth;
    const float *camera, *lift;
} map_t;

static inline v8f dot8(const v8f a[3], const v8f b[3]) { return fma8(a[2], b[2], fma8(a[1], b[1], a[0] * b[0])); }
static inline v8f take8(const float *values, int64_t stride, int64_t offset, const int64_t at[LANES]) {
    v8f out;
    for (int j = 0; j < LANES; j++) out[j] = values[at[j] * stride + offset];
    return out;
}

/* How much of the nearest four pixels of a depth map lets light through to a place lifted off its surface, the more the
 * lower the light stands (cosine). */
static inline v8f lit8(const map_t *map, const v8f place[3], const v8f normal[3], v8f inset, v8f cosine) {
    const float *m = map->camera, *k = m + 12;
    v8f p[3], q[3], pixel = map->lift[1] / k[0] * sqrt8(max8(1.0f - cosine * cosine, spread(0)));
    if (!map->parallel) pixel *= max8(m[8] * place[0] + m[9] * place[1] + m[10] * place[2] + m[11], spread(k[4]));
    const v8f lift = map->lift[0] + inset + pixel;
    for (int c = 0; c < 3; c++) p[c] = fma8(normal[c], lift, place[c]);
    for (int c = 0; c < 3; c++) q[c] = m[4 * c] * p[0] + m[4 * c + 1] * p[1] + m[4 * c + 2] * p[2] + m[4 * c + 3];
    v8f scale = map->parallel ? spread(1) : 1.0f / max8(q[2], spread(k[4]));
    v8f u = q[0] * scale * k[0] + (k[2] + 0.5f), v = q[1] * scale * k[1] + (k[3] + 0.5f), limit = q[2] - map->lift[2], out;
    const v8f width = spread(map->width), height = spread(map->height);
    v8i inside = (u >= 0.5f) & (v >= 0.5f) & (u < width + 0.5f) & (v < height + 0.5f);
    if (!map->parallel) inside &= q[2] > 0;
    u = clamp8(u, spread(0), width + 0.999f), v = clamp8(v, spread(0), height + 0.999f);
    const v8i column = truncate8(u), row = truncate8(v);
    for (int j = 0; j < LANES; j++) {
        const float *d = map->depth + row[j] * (map->width + 2) + column[j], *e = d + map->width + 2;
        const float a = u[j] - column[j], b = v[j] - row[j], z = limit[j];
        const float above = (z <= d[0] ? 1 - a : 0) + (z <= d[1] ? a : 0), under = (z <= e[0] ? 1 - a : 0) + (z <= e[1] ? a : 0);
        out[j] = above * (1 - b) + under * b;
    }
    return select8(inside, out, spread(map->outside));
}
