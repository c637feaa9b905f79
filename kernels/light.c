/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Light on an avatar's Gaussians: environment, lamps with depth maps, GGX. backend/lighting describes the formulas. */
#include "light.h"

enum { SIDE = 32, STEPS = 64, NEAR = 3, JOINT = 16 };

/* N Gaussians: means, normals [N,3], inset [N], material [N]; near, share [N,NEAR]: coarse points that a Gaussian takes
 * occlusion from, without them its own. gloss [C,2]: roughness^4 and F0; shares [C,STEPS]. eye [4]: the camera's place and 1, or the direction
 * to it and 0; without an eye nothing is reflected. */
typedef struct {
    int64_t count;
    const float *means, *normals, *inset;
    const uint8_t *material;
    const int32_t *near;
    const float *share, *gloss, *shares, *eye;
    float *matte, *glossy, *reflected; /* [N,3], [N,3], [N] */
} surface_t;

/* coefficients [9,3] of irradiance, with the basis' factors; rotation [3,3] to the map's axes; coarse [s,4]: ratios of
 * the channels, and of the reflections; tables [C,SIDE^2,3]. */
typedef struct {
    const float *coefficients, *rotation, *coarse, *tables;
} world_t;

/* kind 0 sun, 1 point, 2 spot, 3 area. values: at [3], axis [3], color [3], and of a spot the cosine of its edge and one
 * over the width of its soft part, of an area lamp the tangent of half its spread, 0 for all, and what its light is
 * multiplied by. */
typedef struct {
    int64_t kind;
    const float *values;
    map_t map;
} lamp_t;

typedef struct {
    int64_t at[LANES];
    v8f place[3], normal[3], eye[3], facing;
} lanes_t;

static inline void put8(float *values, int64_t first, int64_t count, const v8f v[3]) {
    for (int64_t j = 0; j < LANES && first + j < count; j++)
        for (int c = 0; c < 3; c++) values[3 * (first + j) + c] = v[c][j];
}

/* Eight Gaussians from `first` on; past the last one, the last one again. */
static inline void read_lanes(const surface_t *s, int64_t first, lanes_t *l) {
    for (int64_t j = 0; j < LANES; j++) l->at[j] = first + j < s->count ? first + j : s->count - 1;
    for (int c = 0; c < 3; c++) {
        l->place[c] = take8(s->means, 3, c, l->at);
        l->normal[c] = take8(s->normals, 3, c, l->at);
    }
    if (!s->eye) return;
    for (int c = 0; c < 3; c++) l->eye[c] = s->eye[c] - s->eye[3] * l->place[c];
    v8f size = 1.0f / sqrt8(max8(dot8(l->eye, l->eye), spread(1e-12f)));
    for (int c = 0; c < 3; c++) l->eye[c] *= size;
    l->facing = dot8(l->normal, l->eye);
}

static inline void turned8(const float *m, const v8f v[3], v8f out[3]) {
    for (int c = 0; c < 3; c++) out[c] = fma8(spread(m[3 * c + 2]), v[2], fma8(spread(m[3 * c + 1]), v[1], m[3 * c] * v[0]));
}

/* Number of the octahedral map's pixel in a direction. */
static inline v8i octahedral8(const v8f d[3]) {
    v8f size = 1.0f / max8(abs8(d[0]) + abs8(d[1]) + abs8(d[2]), spread(1e-12f)), u = d[0] * size, v = d[1] * size;
    const v8i below = d[2] < 0;
    v8f fu = 1.0f - abs8(v), fv = 1.0f - abs8(u);
    fu = select8(u < 0, -fu, fu), fv = select8(v < 0, -fv, fv);
    u = select8(below, fu, u), v = select8(below, fv, v);
    v8f column = clamp8((u + 1.0f) * (SIDE / 2), spread(0), spread(SIDE - 1)), row = clamp8((v + 1.0f) * (SIDE / 2), spread(0), spread(SIDE - 1));
    return truncate8(row) * SIDE + truncate8(column);
}

static inline void world8(const surface_t *s, const world_t *w, int64_t first) {
    lanes_t l;
    v8f n[3], m[3], mirrored[3], matte[3], near[4] = {spread(0), spread(0), spread(0), spread(0)};
    read_lanes(s, first, &l);
    if (!s->near)
        for (int c = 0; c < 4; c++) near[c] = take8(w->coarse, 4, c, l.at);
    else for (int j = 0; j < LANES; j++)
        for (int k = 0; k < NEAR; k++) {
            const float *values = w->coarse + 4 * (int64_t)s->near[NEAR * l.at[j] + k], share = s->share[NEAR * l.at[j] + k];
            for (int c = 0; c < 4; c++) near[c][j] += share * values[c];
        }
    turned8(w->rotation, l.normal, n);
    const v8f one = spread(1), x = n[0], y = n[1], z = n[2];
    const v8f basis[9] = {one, y, z, x, x * y, y * z, 3.0f * z * z - one, x * z, x * x - y * y};
    for (int c = 0; c < 3; c++) {
        v8f sum = spread(0);
        for (int k = 0; k < 9; k++) sum = fma8(basis[k], spread(w->coefficients[3 * k + c]), sum);
        matte[c] = max8(sum, spread(0)) * near[c];
    }
    put8(s->matte, first, s->count, matte);
    if (!s->eye) return;
    v8i step = truncate8(clamp8(abs8(l.facing) * (STEPS - 1) + 0.5f, spread(0), spread(STEPS - 1)));
    for (int c = 0; c < 3; c++) m[c] = 2.0f * l.facing * l.normal[c] - l.eye[c];
    turned8(w->rotation, m, mirrored);
    const v8i pixel = octahedral8(mirrored);
    for (int64_t j = 0; j < LANES && first + j < s->count; j++) {
        const int64_t kind = s->material[first + j];
        const float share = s->shares[kind * STEPS + step[j]], seen = share * near[3][j];
        const float *light = w->tables + 3 * (kind * SIDE * SIDE + pixel[j]);
        s->reflected[first + j] = share;
        for (int c = 0; c < 3; c++) s->glossy[3 * (first + j) + c] = seen * light[c];
    }
}

/* Irradiance over pi of a facing surface per colour, and the unit direction to the lamp. */
static inline v8f incoming8(const lamp_t *lamp, const v8f place[3], v8f to[3]) {
    const float *v = lamp->values, *axis = v + 3, pi = 3.14159265f;
    for (int c = 0; c < 3; c++) to[c] = lamp->kind ? v[c] - place[c] : spread(v[c]);
    if (!lamp->kind) return spread(1 / pi);
    v8f square = max8(dot8(to, to), spread(1e-4f)), size = 1.0f / sqrt8(square);
    for (int c = 0; c < 3; c++) to[c] *= size;
    v8f cosine = -(axis[0] * to[0] + axis[1] * to[1] + axis[2] * to[2]);
    if (lamp->kind == 1) return 1.0f / (4 * pi * pi * square);
    if (lamp->kind == 2) {
        v8f t = clamp8((cosine - v[9]) * v[10], spread(0), spread(1));
        return t * t * (3.0f - 2.0f * t) / (4 * pi * pi * square);
    }
    v8f power = max8(cosine, spread(0)) / (pi * pi * square);
    if (v[11] <= 0) return power;
    v8f tangent = sqrt8(max8(1.0f - cosine * cosine, spread(0))) / max8(cosine, spread(1e-6f));
    return power * max8(v[11] - tangent, spread(0)) * v[12];
}

static inline v8f highlight8(const surface_t *s, const lanes_t *l, const v8f to[3], v8f cosine) {
    v8f half[3], a2, f0;
    for (int j = 0; j < LANES; j++) a2[j] = s->gloss[2 * s->material[l->at[j]]], f0[j] = s->gloss[2 * s->material[l->at[j]] + 1];
    for (int c = 0; c < 3; c++) half[c] = to[c] + l->eye[c];
    v8f size = 1.0f / (sqrt8(dot8(half, half)) + 1e-9f), along = dot8(l->normal, half) * size, across = clamp8(dot8(l->eye, half) * size, spread(0), spread(1));
    v8f eye = max8(l->facing, spread(1e-3f)), lobe = along * along * (a2 - 1.0f) + 1.0f, rest = 1.0f - across, rest2 = rest * rest;
    v8f masks = cosine * sqrt8(eye * eye * (1.0f - a2) + a2) + eye * sqrt8(cosine * cosine * (1.0f - a2) + a2);
    v8f fresnel = f0 + (1.0f - f0) * rest2 * rest2 * rest;
    return a2 / (lobe * lobe) * fresnel * cosine * 0.5f / max8(masks, spread(1e-12f)); /* times pi */
}

static inline void lamp8(const surface_t *s, const lamp_t *lamp, int64_t first) {
    lanes_t l;
    v8f to[3], matte[3], glossy[3];
    read_lanes(s, first, &l);
    v8f power = incoming8(lamp, l.place, to), cosine = max8(dot8(l.normal, to), spread(0));
    if (!any8((power > 0) & (cosine > 0))) return;
    power *= lit8(&lamp->map, l.place, l.normal, take8(s->inset, 1, 0, l.at), cosine);
    v8f glint = s->eye ? power * highlight8(s, &l, to, cosine) : spread(0);
    for (int c = 0; c < 3; c++) matte[c] = take8(s->matte, 3, c, l.at) + lamp->values[6 + c] * power * cosine;
    put8(s->matte, first, s->count, matte);
    if (!s->eye) return;
    for (int c = 0; c < 3; c++) glossy[c] = take8(s->glossy, 3, c, l.at) + lamp->values[6 + c] * glint;
    put8(s->glossy, first, s->count, glossy);
}

/* Fills matte, glossy and reflected by the light of a world. */
API int64_t lca_light_world(int64_t *counter, const surface_t *surface, const world_t *world) {
    for (int64_t chunk; (chunk = take_ticket(counter)) * CHUNK < surface->count;)
        for (int64_t i = chunk * CHUNK; i < (chunk + 1) * CHUNK && i < surface->count; i += LANES) world8(surface, world, i);
    return 0;
}

/* Adds the light of a lamp. */
API int64_t lca_light_lamp(int64_t *counter, const surface_t *surface, const lamp_t *lamp) {
    for (int64_t chunk; (chunk = take_ticket(counter)) * CHUNK < surface->count;)
        for (int64_t i = chunk * CHUNK; i < (chunk + 1) * CHUNK && i < surface->count; i += LANES) lamp8(surface, lamp, i);
    return 0;
}

/* Normals [N,3] of a pose: rest [N,3] by joints' matrices [J,JOINT] (9 used), joints and weights [N,k]. */
API int64_t lca_light_normals(int64_t *counter, int64_t count, int64_t k, const float *rest, const uint8_t *joints, const float *weights, const float *matrices, float *normals) {
    for (int64_t chunk; (chunk = take_ticket(counter)) * CHUNK < count;)
        for (int64_t i = chunk * CHUNK; i < (chunk + 1) * CHUNK && i < count; i++) {
            v8f low = spread(0);
            float last = 0, n[3], size = 1e-24f;
            for (int64_t j = 0; j < k; j++) {
                const float weight = weights[i * k + j], *m = matrices + JOINT * joints[i * k + j];
                low = fma8(spread(weight), load(m), low), last += weight * m[8];
            }
            const float *r = rest + 3 * i;
            n[0] = low[0] * r[0] + low[1] * r[1] + low[2] * r[2];
            n[1] = low[3] * r[0] + low[4] * r[1] + low[5] * r[2];
            n[2] = low[6] * r[0] + low[7] * r[1] + last * r[2];
            for (int c = 0; c < 3; c++) size += n[c] * n[c];
            size = 1 / __builtin_sqrtf(size);
            for (int c = 0; c < 3; c++) normals[3 * i + c] = n[c] * size;
        }
    return 0;
}
