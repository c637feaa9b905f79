/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Colours that depend on the direction of view: real spherical harmonics to degree 3 in the basis and order of 3D
 * Gaussian splatting (Kerbl et al. 2023), colour = max(0, 0.5 + sum basis_k(direction) coefficient_k). */
#include "simd.h"

enum { LANES = 8, MOST = 16, CHUNK = 1024 };

/* Basis functions [bases] of the unit direction (x, y, z), and, where asked for, their derivatives by x, y, z taken as
 * free variables. */
static inline void basis8(v8f x, v8f y, v8f z, int64_t bases, v8f b[MOST], v8f (*slope)[3]) {
    const v8f none = spread(0);
    v8f xx = x * x, yy = y * y, zz = z * z;
    b[0] = spread(0.28209479177387814f);
    if (bases > 1) b[1] = -0.48860251190292f * y, b[2] = 0.48860251190292f * z, b[3] = -0.48860251190292f * x;
    if (bases > 4) {
        b[4] = 1.092548430592079f * (x * y), b[5] = -1.092548430592079f * (y * z);
        b[6] = 0.3153915652525201f * (2 * zz - xx - yy);
        b[7] = -1.092548430592079f * (x * z), b[8] = 0.5462742152960395f * (xx - yy);
    }
    if (bases > 9) {
        b[9] = -0.5900435899266435f * y * (3 * xx - yy), b[10] = 2.890611442640554f * x * y * z;
        b[11] = -0.4570457994644658f * y * (4 * zz - xx - yy), b[12] = 0.3731763325901154f * z * (2 * zz - 3 * xx - 3 * yy);
        b[13] = -0.4570457994644658f * x * (4 * zz - xx - yy), b[14] = 1.445305721320277f * z * (xx - yy);
        b[15] = -0.5900435899266435f * x * (xx - 3 * yy);
    }
    if (!slope) return;
#define SLOPE(k, dx, dy, dz) slope[k][0] = none + (dx), slope[k][1] = none + (dy), slope[k][2] = none + (dz)
    SLOPE(0, 0, 0, 0);
    if (bases > 1) {
        SLOPE(1, 0, -0.48860251190292f, 0);
        SLOPE(2, 0, 0, 0.48860251190292f);
        SLOPE(3, -0.48860251190292f, 0, 0);
    }
    if (bases > 4) {
        SLOPE(4, 1.092548430592079f * y, 1.092548430592079f * x, 0);
        SLOPE(5, 0, -1.092548430592079f * z, -1.092548430592079f * y);
        SLOPE(6, -0.6307831305050402f * x, -0.6307831305050402f * y, 1.2615662610100802f * z);
        SLOPE(7, -1.092548430592079f * z, 0, -1.092548430592079f * x);
        SLOPE(8, 1.092548430592079f * x, -1.092548430592079f * y, 0);
    }
    if (bases > 9) {
        const float a = 0.5900435899266435f, c = 2.890611442640554f, d = 0.4570457994644658f, e = 0.3731763325901154f, f = 1.445305721320277f;
        SLOPE(9, -6 * a * (x * y), -3 * a * (xx - yy), 0);
        SLOPE(10, c * (y * z), c * (x * z), c * (x * y));
        SLOPE(11, 2 * d * (x * y), -d * (4 * zz - xx - 3 * yy), -8 * d * (y * z));
        SLOPE(12, -6 * e * (x * z), -6 * e * (y * z), 3 * e * (2 * zz - xx - yy));
        SLOPE(13, -d * (4 * zz - 3 * xx - yy), 2 * d * (x * y), -8 * d * (x * z));
        SLOPE(14, 2 * f * (x * z), -2 * f * (y * z), f * (xx - yy));
        SLOPE(15, -3 * a * (xx - yy), 6 * a * (x * y), 0);
    }
#undef SLOPE
}

/* A lane's Gaussian: past the last one, the last one again. */
static inline int64_t lane(int64_t first, int64_t j, int64_t total) { return first + j < total ? first + j : total - 1; }

/* Unit vectors from the camera to eight means, and the inverse distances; zeros at the camera. */
static inline v8f directions8(const float *means, const float *position, int64_t first, int64_t total, v8f d[3]) {
    for (int64_t k = 0; k < 3; k++)
        for (int64_t j = 0; j < LANES; j++) d[k][j] = means[3 * lane(first, j, total) + k] - position[k];
    v8f square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
    v8f inverse = where(square > 0, 1.0f / sqrt8(square));
    for (int k = 0; k < 3; k++) d[k] *= inverse;
    return inverse;
}

/* colors [N,3] of means [N,3] seen from position [3], with coefficients [N, bases, 3]. */
API void lca_harmonics(int64_t *counter, int64_t total, int64_t bases, const float *means, const float *coefficients, const float *position,
                       float *colors) {
    for (int64_t begin; (begin = take_ticket(counter) * CHUNK) < total;)
        for (int64_t i = begin; i < begin + CHUNK && i < total; i += LANES) {
            v8f d[3], basis[MOST];
            directions8(means, position, i, total, d);
            basis8(d[0], d[1], d[2], bases, basis, 0);
            for (int64_t j = 0; j < LANES && i + j < total; j++) {
                const float *row = coefficients + (i + j) * bases * 3;
                float color[3] = {0.5f, 0.5f, 0.5f};
                for (int64_t k = 0; k < bases; k++)
                    for (int c = 0; c < 3; c++) color[c] += basis[k][j] * row[3 * k + c];
                for (int c = 0; c < 3; c++) colors[3 * (i + j) + c] = color[c] < 0 ? 0 : color[c]; /* NaN stays NaN */
            }
        }
}

/* The gradients of means [N,3] and coefficients [N, bases, 3], given the gradient of the colours and the colours. The
 * camera's position has minus the sum of the means' gradient. */
API void lca_harmonics_backward(int64_t *counter, int64_t total, int64_t bases, const float *means, const float *coefficients,
                                const float *position, const float *colors, const float *gradient, float *grad_means,
                                float *grad_coefficients) {
    for (int64_t begin; (begin = take_ticket(counter) * CHUNK) < total;)
        for (int64_t i = begin; i < begin + CHUNK && i < total; i += LANES) {
            v8f d[3], basis[MOST], slope[MOST][3], along[3] = {0};
            v8f inverse = directions8(means, position, i, total, d);
            basis8(d[0], d[1], d[2], bases, basis, slope);
            for (int64_t j = 0; j < LANES && i + j < total; j++) {
                const float *row = coefficients + (i + j) * bases * 3;
                float g[3], *to = grad_coefficients + (i + j) * bases * 3;
                for (int c = 0; c < 3; c++) g[c] = colors[3 * (i + j) + c] > 0 ? gradient[3 * (i + j) + c] : 0;
                for (int64_t k = 0; k < bases; k++) {
                    float pull = 0;
                    for (int c = 0; c < 3; c++) to[3 * k + c] = g[c] * basis[k][j], pull += g[c] * row[3 * k + c];
                    for (int c = 0; c < 3; c++) along[c][j] += pull * slope[k][c][j];
                }
            }
            v8f radial = along[0] * d[0] + along[1] * d[1] + along[2] * d[2];
            for (int64_t j = 0; j < LANES && i + j < total; j++)
                for (int c = 0; c < 3; c++) grad_means[3 * (i + j) + c] = (along[c][j] - radial[j] * d[c][j]) * inverse[j];
        }
}
