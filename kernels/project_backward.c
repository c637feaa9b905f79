/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gradient of projection: from the picture's ellipses back to the Gaussians and the camera's pose, in double
 * precision, so that ill-conditioned ellipses keep theirs. */
#include "raster.h"

enum { GEOMETRY = 6 };

typedef double v8d __attribute__((vector_size(64)));
typedef int64_t v8l __attribute__((vector_size(64)));

static inline v8d spread_double(double x) { return (v8d){x, x, x, x, x, x, x, x}; }
static inline v8d widen(v8f x) { return __builtin_convertvector(x, v8d); }
static inline v8f narrow(v8d x) { return __builtin_convertvector(x, v8f); }
static inline v8d where_double(v8l mask, v8d yes) { return (v8d)(mask & (v8l)yes); }
static inline v8d select_double(v8l mask, v8d yes, v8d no) { return (v8d)((mask & (v8l)yes) | (~mask & (v8l)no)); }

/* One row of eight per entry. */
typedef struct {
    v8d mean[3], covariance[9], opacity, pose[12];
} gradients_t;

/* A gradient's way back through J = d picture / d camera point of one axis: focal / z and -focal / z clamp(x / z).
 * along and depth are the gradients of these two entries; returns that of the coordinate and adds to z's. */
static inline v8d jacobian_backward(v8d ratio, v8d limited, v8d j, v8d jz, v8d along, v8d depth, v8d inverse, v8d *dz) {
    v8l free = ratio == limited; /* beyond the limit, the ratio is a constant */
    *dz -= (along * j + (1.0 + where_double(free, spread_double(1.0))) * (depth * jz)) * inverse;
    return where_double(free, -(depth * j * inverse));
}

/* Of eight Gaussians: sums [GEOMETRY], see replay.c; depth_gradient of camera z. */
static inline gradients_t backward8(const v8d m[3], const v8d s[9], v8d opacity, const v8d sums[GEOMETRY], v8d depth_gradient,
                                    const camera_t *cam, int antialiased) {
    double w[12], fx = cam->fx, fy = cam->fy;
    for (int k = 0; k < 12; k++) w[k] = cam->view[k];
    v8d x = m[0] * w[0] + m[1] * w[1] + m[2] * w[2] + w[3];
    v8d y = m[0] * w[4] + m[1] * w[5] + m[2] * w[6] + w[7];
    v8d z = m[0] * w[8] + m[1] * w[9] + m[2] * w[10] + w[11];
    const v8d none = spread_double(0);
    v8d inverse = spread_double(1), u = x, v = y, lu = x, lv = y, jx = none + fx, jy = none + fy, jxz = none, jyz = none;
    if (!cam->orthographic) {
        inverse = 1.0 / z, u = x * inverse, v = y * inverse;
        lu = select_double(u < cam->low_x, none + cam->low_x, select_double(u > cam->high_x, none + cam->high_x, u));
        lv = select_double(v < cam->low_y, none + cam->low_y, select_double(v > cam->high_y, none + cam->high_y, v));
        jx = fx * inverse, jy = fy * inverse, jxz = -(jx * lu), jyz = -(jy * lv);
    }
    v8d a[3], b[3], sa[3], sb[3];
    for (int k = 0; k < 3; k++) a[k] = jx * w[k] + jxz * w[8 + k], b[k] = jy * w[4 + k] + jyz * w[8 + k];
    for (int k = 0; k < 3; k++) {
        sa[k] = s[3 * k] * a[0] + s[3 * k + 1] * a[1] + s[3 * k + 2] * a[2];
        sb[k] = s[3 * k] * b[0] + s[3 * k + 1] * b[1] + s[3 * k + 2] * b[2];
    }
    v8d p0 = a[0] * sa[0] + a[1] * sa[1] + a[2] * sa[2], r0 = b[0] * sb[0] + b[1] * sb[1] + b[2] * sb[2];
    v8d q = b[0] * sa[0] + b[1] * sa[1] + b[2] * sa[2], p = p0 + DILATION, r = r0 + DILATION;
    v8d over = 1.0 / (p * r - q * q), ca = r * over, cb = -q * over, cc = p * over;
    v8d gx = ca * sums[1] + cb * sums[2], gy = cb * sums[1] + cc * sums[2];
    /* with G the gradient of the inverse covariance Q, that of the covariance is -Q G Q */
    v8d ga = -0.5 * sums[3], gb = -0.5 * sums[4], gc = -0.5 * sums[5];
    v8d t00 = ca * ga + cb * gb, t01 = ca * gb + cb * gc, t10 = cb * ga + cc * gb, t11 = cb * gb + cc * gc;
    v8d d00 = -(t00 * ca + t01 * cb), d01 = -(t00 * cb + t01 * cc), d11 = -(t10 * cb + t11 * cc);
    if (antialiased) { /* log alpha holds half of log det(covariance - 0.3 I) - log det(covariance) */
        v8d half = 0.5 * sums[0], over0 = 1.0 / (p0 * r0 - q * q);
        d00 += half * (r0 * over0 - ca), d01 += half * (-q * over0 - cb), d11 += half * (p0 * over0 - cc);
    }
    gradients_t g;
    v8d ea[3], eb[3]; /* gradient of M = J W */
    for (int k = 0; k < 3; k++) {
        v8d ua = d00 * a[k] + d01 * b[k], ub = d01 * a[k] + d11 * b[k];
        for (int l = 0; l < 3; l++) g.covariance[3 * k + l] = ua * a[l] + ub * b[l];
        ea[k] = 2.0 * (d00 * sa[k] + d01 * sb[k]), eb[k] = 2.0 * (d01 * sa[k] + d11 * sb[k]);
    }
    v8d dx = gx * jx, dy = gy * jy, dz = none;
    if (!cam->orthographic) {
        v8d along_x = none, along_y = none, depth_x = none, depth_y = none;
        for (int k = 0; k < 3; k++) {
            along_x += ea[k] * w[k], depth_x += ea[k] * w[8 + k];
            along_y += eb[k] * w[4 + k], depth_y += eb[k] * w[8 + k];
        }
        dz -= (dx * u + dy * v);
        dx += jacobian_backward(u, lu, jx, jxz, along_x, depth_x, inverse, &dz);
        dy += jacobian_backward(v, lv, jy, jyz, along_y, depth_y, inverse, &dz);
    }
    dz += depth_gradient;
    for (int k = 0; k < 3; k++) {
        g.mean[k] = w[k] * dx + w[4 + k] * dy + w[8 + k] * dz;
        g.pose[k] = dx * m[k] + jx * ea[k], g.pose[4 + k] = dy * m[k] + jy * eb[k];
        g.pose[8 + k] = dz * m[k] + jxz * ea[k] + jyz * eb[k];
    }
    g.pose[3] = dx, g.pose[7] = dy, g.pose[11] = dz;
    g.opacity = sums[0] / opacity;
    return g;
}

/* Where gradients come from and go to; see lca_project_backward. */
typedef struct {
    const float *input_means, *input_covariances, *input_opacities;
    const record_t *records;
    const box_t *boxes;
    const int64_t *slots;
    const float *gradients;
    int64_t width, geometry, channels;
    float *means, *covariances, *opacities, *colors, *features;
} buffers_t;

/* Columns k .. k + 8 `columns` - 1 of a Gaussian's slots, added up. */
TEMPLATE void sum_slots(const buffers_t *from, int64_t i, int64_t k, int columns, v8f *sums) {
    box_t box = from->boxes[i];
    const int64_t across = box.right - box.left + 1;
    const float *slot = from->gradients + from->slots[i] * from->width + k;
    for (int c = 0; c < columns; c++) sums[c] = spread(0);
    for (int row = box.top; row <= box.bottom; row++, slot += across * from->width) {
        int first = box.left, last = box.right;
        if (!is_small(box)) row_of_tiles(from->records + i, box, row, &first, &last);
        for (int column = first; column <= last; column++)
            for (int c = 0; c < columns; c++) sums[c] += load(slot + (column - box.left) * from->width + 8 * c);
    }
}

static void write_features(const buffers_t *to, int64_t i, int64_t end) {
    const int64_t first = GEOMETRY + 3 + to->geometry;
    for (; i < end; i++)
        for (int64_t k = first & ~7; k < first + to->channels; k += 8) {
            v8f sums = spread(0);
            if (is_drawn(to->boxes[i])) sum_slots(to, i, k, 1, &sums);
            for (int64_t c = 0; c < 8; c++) {
                int64_t channel = k + c - first;
                if (channel >= 0 && channel < to->channels) to->features[i * to->channels + channel] = sums[c];
            }
        }
}

/* Means, covariances and opacities of eight Gaussians from the i-th on, as rows; beyond `count`, copies. */
static inline void load_inputs(const buffers_t *from, int64_t i, int64_t count, v8d m[3], v8d s[9], v8d *opacity) {
    const float *means = from->input_means + 3 * i, *covariances = from->input_covariances + 9 * i, *opacities = from->input_opacities + i;
    float copies[104];
    if (count < 8) {
        for (int64_t j = 0; j < 8; j++) {
            int64_t at = j < count ? j : 0;
            for (int k = 0; k < 3; k++) copies[3 * j + k] = means[3 * at + k];
            for (int k = 0; k < 9; k++) copies[24 + 9 * j + k] = covariances[9 * at + k];
            copies[96 + j] = opacities[at];
        }
        means = copies, covariances = copies + 24, opacities = copies + 96;
    }
    *opacity = widen(load(opacities));
    for (int k = 0; k < 3; k++) {
        m[k] = widen(gather8(means + k, 3));
        for (int l = 0; l <= k; l++)
            s[3 * k + l] = s[3 * l + k] = 0.5 * (widen(gather8(covariances + 3 * k + l, 9)) + widen(gather8(covariances + 3 * l + k, 9)));
    }
}

/* Writes the rows of covariance 9, mean 3, colour 3 and opacity of `count` Gaussians. */
static inline void store_outputs(const buffers_t *to, int64_t i, int64_t count, v8f rows[16]) {
    transpose8(rows), transpose8(rows + 8);
    for (int64_t j = 0; j < count; j++) {
        float row[16];
        store(row, rows[j]), store(row + 8, rows[8 + j]);
        __builtin_memcpy(to->covariances + 9 * (i + j), row, 36);
        __builtin_memcpy(to->means + 3 * (i + j), row + 9, 12);
        __builtin_memcpy(to->colors + 3 * (i + j), row + 12, 12);
        to->opacities[i + j] = row[15];
    }
}

/* Of the `count` (at most eight) Gaussians from the i-th on; adds to pose what they add to the camera's gradient. */
static void unproject8(const buffers_t *to, int64_t i, int64_t count, const camera_t *cam, int antialiased, v8d pose[12]) {
    v8f rows[16];
    v8d m[3], s[9], opacity, sums[GEOMETRY];
    int64_t shown[8];
    for (int64_t j = 0; j < 8; j++) {
        v8f both[2] = {spread(0), spread(0)};
        shown[j] = -(int64_t)(j < count && is_drawn(to->boxes[i + j]));
        if (shown[j]) sum_slots(to, i + j, 0, 2, both);
        rows[j] = both[0], rows[8 + j] = both[1];
    }
    v8l drawn;
    __builtin_memcpy(&drawn, shown, sizeof drawn);
    transpose8(rows), transpose8(rows + 8);
    load_inputs(to, i, count, m, s, &opacity);
    for (int k = 0; k < GEOMETRY; k++) sums[k] = widen(rows[k]);
    v8d depth_gradient = to->geometry ? widen(rows[GEOMETRY + 3]) : spread_double(0);
    gradients_t g = backward8(m, s, opacity, sums, depth_gradient, cam, antialiased);
    v8f out[16];
    for (int k = 0; k < 9; k++) out[k] = narrow(where_double(drawn, g.covariance[k]));
    for (int k = 0; k < 3; k++) out[9 + k] = narrow(where_double(drawn, g.mean[k])), out[12 + k] = rows[GEOMETRY + k];
    out[15] = narrow(where_double(drawn, g.opacity));
    store_outputs(to, i, count, out);
    for (int k = 0; k < 12; k++) pose[k] += where_double(drawn, g.pose[k]);
}

/* Fills the gradients of means [N,3], covariances [N,9] (of nine independent entries, symmetric), opacities [N],
 * colors [N,3] and features [N, channels] (or null), zeros where a Gaussian was not drawn, and pose [chunks, 12]: each
 * chunk's part of the gradient of viewmat's three rows. gradients [slots, width] are those of lca_replay, width a
 * multiple of 8; `geometry` layers lie between colour and features, the first of them camera z. */
API void lca_project_backward(int64_t *counter, int64_t total, int64_t chunk, const float *means, const float *covariances,
                              const float *opacities, const camera_t *camera, int64_t antialiased, const record_t *records,
                              const box_t *boxes, const int64_t *slots, const float *gradients, int64_t width, int64_t geometry,
                              int64_t channels, float *grad_means, float *grad_covariances, float *grad_opacities, float *grad_colors,
                              float *grad_features, double *pose) {
    const camera_t cam = *camera;
    const buffers_t to = {means,    covariances, opacities,  records,          boxes,          slots,       gradients,    width,
                          geometry, channels,    grad_means, grad_covariances, grad_opacities, grad_colors, grad_features};
    for (int64_t begin; (begin = take_ticket(counter) * chunk) < total;) {
        v8d turned[12] = {0};
        int64_t end = begin + chunk < total ? begin + chunk : total;
        for (int64_t i = begin; i < end; i += 8) unproject8(&to, i, end - i < 8 ? end - i : 8, &cam, antialiased != 0, turned);
        if (channels) write_features(&to, begin, end);
        for (int k = 0; k < 12; k++) {
            double sum = 0;
            for (int j = 0; j < 8; j++) sum += turned[k][j];
            pose[begin / chunk * 12 + k] = sum;
        }
    }
}
