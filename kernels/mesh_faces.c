/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which triangle of a mesh every sample sees, and where inside it: Olano & Greer 1997, "Triangle scan conversion using
 * 2D homogeneous coordinates". */
#include "simd.h"

static inline double least(double a, double b) { return a < b ? a : b; }
static inline double most(double a, double b) { return a > b ? a : b; }

/* Whole numbers first .. last; none where first > last. */
typedef struct {
    int64_t first, last;
} range_t;

/* Samples, at i + 0.5, between three numbers that may be any; clamped while floating. */
static inline range_t samples_between(double a, double b, double c, int64_t size) {
    double low = most(least(a, least(b, c)) - 0.5, 0), high = least(most(a, most(b, c)) - 0.5, (double)size - 1);
    if (!(low <= high)) return (range_t){1, 0};
    int64_t whole = (int64_t)low;
    return (range_t){whole < low ? whole + 1 : whole, (int64_t)high};
}

/* Narrows columns to those where slope (x + 0.5) + offset may be positive, one to spare. */
static inline range_t narrowed(double slope, double offset, range_t columns) {
    const range_t none = {1, 0};
    if (slope > 0) {
        double low = -offset / slope - 1.5;
        if (low >= (double)columns.last + 2) return none;
        if (low > (double)columns.first) columns.first = (int64_t)low;
    } else if (slope < 0) {
        double high = -offset / slope + 0.5;
        if (high <= (double)columns.first - 2) return none;
        if (high < (double)columns.last) columns.last = (int64_t)high;
    } else if (offset < 0) {
        return none;
    }
    return columns;
}

/* corners: homogeneous pixels [n,3]; flat: the same as pixels [n,2], of which those not before the camera are unused;
 * depth [n]; triangles [count,3]. In and out: face [height,width], barycentrics [height,width,2] of corners 1 and 2,
 * nearest [height,width]. */
API int64_t lca_mesh_faces(int64_t count, const double *corners, const double *flat, const double *depth, const int32_t *triangles, float near,
                           int64_t width, int64_t height, int32_t *face, float *barycentric, float *nearest) {
    for (int64_t t = 0; t < count; t++) {
        const int32_t *v = triangles + 3 * t;
        const double *p[3] = {corners + 3 * v[0], corners + 3 * v[1], corners + 3 * v[2]};
        const double *q[3] = {flat + 2 * v[0], flat + 2 * v[1], flat + 2 * v[2]};
        range_t columns = {0, width - 1}, rows = {0, height - 1};
        int before = 0;
        for (int i = 0; i < 3; i++) before += p[i][2] > 1e-6;
        if (before == 0) continue;
        if (before == 3) {
            columns = samples_between(q[0][0], q[1][0], q[2][0], width);
            rows = samples_between(q[0][1], q[1][1], q[2][1], height);
        }
        if (columns.first > columns.last || rows.first > rows.last) continue;
        /* Rows of the adjugate: edge functions a x + b y + c; divided by the determinant they are barycentrics over w. */
        double a[3], b[3], c[3];
        for (int i = 0; i < 3; i++) {
            const double *r = p[(i + 1) % 3], *s = p[(i + 2) % 3];
            a[i] = r[1] * s[2] - r[2] * s[1], b[i] = r[2] * s[0] - r[0] * s[2], c[i] = r[0] * s[1] - r[1] * s[0];
        }
        double determinant = p[0][0] * a[0] + p[0][1] * b[0] + p[0][2] * c[0];
        if (determinant < 1e-14 && determinant > -1e-14) continue;
        if (determinant < 0)
            for (int i = 0; i < 3; i++) a[i] = -a[i], b[i] = -b[i], c[i] = -c[i];
        const double z[3] = {depth[v[0]], depth[v[1]], depth[v[2]]};
        for (int64_t y = rows.first; y <= rows.last; y++) {
            double row[3];
            range_t here = columns;
            for (int i = 0; i < 3; i++) row[i] = b[i] * ((double)y + 0.5) + c[i];
            if (columns.last - columns.first > 4) /* a long thin triangle covers little of its box */
                for (int i = 0; i < 3 && here.first <= here.last; i++) here = narrowed(a[i], row[i], here);
            for (int64_t x = here.first; x <= here.last; x++) {
                const double px = (double)x + 0.5, e0 = a[0] * px + row[0], e1 = a[1] * px + row[1], e2 = a[2] * px + row[2];
                const double total = e0 + e1 + e2;
                if (e0 < 0 || e1 < 0 || e2 < 0 || total <= 0) continue;
                const double far = (e0 * z[0] + e1 * z[1] + e2 * z[2]) / total;
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
