/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which triangle of a mesh every sample sees, and where inside it. */
#include "mesh.h"

#define IN_FRONT 1e-6 /* a smaller w is on the camera's plane or behind it */

/* corners [n], k their depth; triangles [count,3]. In and out: face [height,width], barycentrics [height,width,2] of
 * corners 1 and 2, nearest [height,width]. */
API int64_t lca_mesh_faces(int64_t count, const corner_t *corners, const int32_t *triangles, float near, int64_t width,
                           int64_t height, int32_t *face, float *barycentric, float *nearest) {
    for (int64_t t = 0; t < count; t++) {
        const int32_t *v = triangles + 3 * t;
        const corner_t *const p[3] = {corners + v[0], corners + v[1], corners + v[2]};
        bounds_t bounds = bounds_of(p, IN_FRONT, width, height);
        span_t columns = bounds.columns;
        if (columns.first > columns.last || bounds.rows.first > bounds.rows.last) continue;
        edges_t e;
        if (!(edges_of(p, &e) >= 1e-14)) continue;
        for (int64_t y = bounds.rows.first; y <= bounds.rows.last; y++) {
            double row[3];
            span_t here = columns;
            for (int i = 0; i < 3; i++) row[i] = e.b[i] * ((double)y + 0.5) + e.c[i];
            if (columns.last - columns.first > 4) /* a long thin triangle covers little of its box */
                here = span_of(&e, row, columns.first + 0.5, columns.last + 0.5, width);
            for (int64_t x = here.first; x <= here.last; x++) {
                const double px = (double)x + 0.5;
                const double e0 = e.a[0] * px + row[0], e1 = e.a[1] * px + row[1], e2 = e.a[2] * px + row[2], total = e0 + e1 + e2;
                if (e0 < 0 || e1 < 0 || e2 < 0 || total <= 0) continue;
                const double far = (e0 * p[0]->k + e1 * p[1]->k + e2 * p[2]->k) / total;
                const int64_t sample = y * width + x;
                if (far < near || far >= (double)nearest[sample]) continue;
                nearest[sample] = (float)far, face[sample] = (int32_t)t;
                barycentric[2 * sample] = (float)(e1 / total), barycentric[2 * sample + 1] = (float)(e2 / total);
            }
        }
    }
    return 0;
}

/* values [samples,channels] of the vertices' attribute [n,channels]; where nothing is seen they stay as they are. */
API int64_t lca_mesh_values(int64_t samples, int64_t channels, const int32_t *face, const float *barycentric, const int32_t *triangles,
                            const float *attribute, float *values) {
    for (int64_t i = 0; i < samples; i++) {
        if (face[i] < 0) continue;
        const int32_t *v = triangles + 3 * (int64_t)face[i];
        const float *a = attribute + channels * v[0], *b = attribute + channels * v[1], *c = attribute + channels * v[2];
        const float second = barycentric[2 * i], third = barycentric[2 * i + 1], first = 1.0f - second - third;
        for (int64_t k = 0; k < channels; k++) values[channels * i + k] = first * a[k] + second * b[k] + third * c[k];
    }
    return 0;
}
