/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What of an environment, as distant lights, reaches places of a surface. */
#include "light.h"

/* n places: normals [n,3], mirrored [n,3] directions that they reflect into the eye, sharpness [n] of their lobes. count
 * lights: directions [count,3], weights [count,3], luminance [count]; seen [count,n], in 255ths. */
typedef struct {
    int64_t n, count;
    const float *normals, *mirrored, *sharpness, *directions, *weights, *luminance;
    const uint8_t *seen;
} sky_t;

static inline v8f seen8(const sky_t *sky, int64_t k, const int64_t at[LANES]) {
    v8f out;
    for (int j = 0; j < LANES; j++) out[j] = sky->seen[k * sky->n + at[j]];
    return out * (1 / 255.0f);
}

/* out [n,4]: shares of the irradiance in three channels, and without `mirrored` 1, else of the reflected lobe. */
static inline void sky8(const sky_t *sky, int64_t first, float *out) {
    int64_t at[LANES];
    v8f normal[3], mirrored[3], sharp = spread(0), all[4], reach[4];
    for (int64_t j = 0; j < LANES; j++) at[j] = first + j < sky->n ? first + j : sky->n - 1;
    for (int c = 0; c < 3; c++) normal[c] = take8(sky->normals, 3, c, at);
    for (int c = 0; c < 4; c++) all[c] = reach[c] = spread(1e-9f);
    if (sky->mirrored) {
        for (int c = 0; c < 3; c++) mirrored[c] = take8(sky->mirrored, 3, c, at);
        sharp = take8(sky->sharpness, 1, 0, at) * 1.44269504f;
    }
    for (int64_t k = 0; k < sky->count; k++) {
        const float *d = sky->directions + 3 * k, *w = sky->weights + 3 * k;
        const v8f cosine = d[0] * normal[0] + d[1] * normal[1] + d[2] * normal[2];
        const v8i above = cosine > 0;
        if (!any8(above)) continue;
        const v8f light = where(above, cosine), seen = seen8(sky, k, at), lit = light * seen;
        for (int c = 0; c < 3; c++) all[c] = fma8(light, spread(w[c]), all[c]), reach[c] = fma8(lit, spread(w[c]), reach[c]);
        if (!sky->mirrored) continue;
        const v8f along = d[0] * mirrored[0] + d[1] * mirrored[1] + d[2] * mirrored[2];
        const v8f lobe = where(above, exp2_8(max8((along - 1.0f) * sharp, spread(-100)))) * sky->luminance[k];
        all[3] += lobe, reach[3] = fma8(lobe, seen, reach[3]);
    }
    for (int64_t j = 0; j < LANES && first + j < sky->n; j++)
        for (int c = 0; c < 4; c++) out[4 * (first + j) + c] = reach[c][j] / all[c][j];
}

API int64_t lca_light_sky(int64_t *counter, const sky_t *sky, float *out) {
    for (int64_t chunk; (chunk = take_ticket(counter)) * CHUNK < sky->n;)
        for (int64_t i = chunk * CHUNK; i < (chunk + 1) * CHUNK && i < sky->n; i += LANES) sky8(sky, i, out);
    return 0;
}
