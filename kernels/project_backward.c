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

/* The sum of eight neighbouring columns of a Gaussian's slots. */
static inline v8f sum_slots(const record_t *r, box_t box, const float *slot, int64_t width) {
    int64_t across = box.right - box.left + 1, count = across * (box.bottom - box.top + 1);
    v8f sum = spread(0);
    if (is_small(box)) {
        for (int64_t k = 0; k < count; k++) sum += load(slot + k * width);
        return sum;
    }
    for (int row = box.top; row <= box.bottom; row++, slot += across * width) {
        int first, last;
        row_of_tiles(r, box, row, &first, &last);
        for (int column = first; column <= last; column++) sum += load(slot + (column - box.left) * width);
    }
    return sum;
}

/* Where gradients come from and go to; see lca_project_backward. */
typedef struct {
    const record_t *records;
    const box_t *boxes;
    const int64_t *slots;
    const float *gradients;
    int64_t width, geometry, channels;
    float *means, *covariances, *opacities, *colors, *features;
} buffers_t;

static inline int drawn_at(const buffers_t *to, int64_t i, int64_t j, int64_t end) { return i + j < end && is_drawn(to->boxes[i + j]); }

/* Columns k .. k + 7 of the slots of eight Gaussians as rows; zeros where one is not drawn. */
static inline void load_slots(const buffers_t *from, int64_t i, int64_t end, int64_t k, v8f rows[8]) {
    for (int64_t j = 0; j < 8; j++) {
        rows[j] = spread(0);
        if (drawn_at(from, i, j, end))
            rows[j] = sum_slots(from->records + i + j, from->boxes[i + j], from->gradients + from->slots[i + j] * from->width + k, from->width);
    }
}

static inline void store_rows(float *to, int64_t width, int64_t k, v8f row, int64_t count) {
    for (int64_t j = 0; j < count; j++) to[j * width + k] = row[j];
}

static void write_features(const buffers_t *to, int64_t i, int64_t end) {
    const int64_t first = GEOMETRY + 3 + to->geometry;
    for (int64_t k = first & ~7; k < first + to->channels; k += 8) {
        v8f rows[8];
        load_slots(to, i, end, k, rows);
        for (int64_t j = 0; j < 8 && i + j < end; j++)
            for (int64_t c = 0; c < 8; c++) {
                int64_t channel = k + c - first;
                if (channel >= 0 && channel < to->channels) to->features[(i + j) * to->channels + channel] = rows[j][c];
            }
    }
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
    const buffers_t to = {records, boxes, slots, gradients, width, geometry, channels, grad_means, grad_covariances, grad_opacities, grad_colors, grad_features};
    for (int64_t begin; (begin = take_ticket(counter) * chunk) < total;) {
        v8d turned[12] = {0};
        int64_t end = begin + chunk < total ? begin + chunk : total;
        for (int64_t i = begin; i < end; i += 8) {
            v8f rows[16];
            v8d m[3], s[9], opacity, sums[GEOMETRY];
            v8l drawn = {0};
            int64_t count = end - i < 8 ? end - i : 8;
            for (int64_t j = 0; j < 8; j++) {
                int64_t from = j < count ? i + j : i;
                drawn[j] = -(int64_t)drawn_at(&to, i, j, end);
                for (int k = 0; k < 3; k++) m[k][j] = means[3 * from + k];
                for (int k = 0; k < 3; k++)
                    for (int l = 0; l < 3; l++) s[3 * k + l][j] = 0.5 * ((double)covariances[9 * from + 3 * k + l] + covariances[9 * from + 3 * l + k]);
                opacity[j] = opacities[from];
            }
            load_slots(&to, i, end, 0, rows), load_slots(&to, i, end, 8, rows + 8);
            transpose8(rows), transpose8(rows + 8);
            for (int k = 0; k < GEOMETRY; k++) sums[k] = widen(rows[k]);
            gradients_t g = backward8(m, s, opacity, sums, geometry ? widen(rows[GEOMETRY + 3]) : spread_double(0), &cam, antialiased != 0);
            for (int k = 0; k < 3; k++) {
                store_rows(to.means + 3 * i, 3, k, narrow(where_double(drawn, g.mean[k])), count);
                store_rows(to.colors + 3 * i, 3, k, rows[GEOMETRY + k], count);
            }
            for (int k = 0; k < 9; k++) store_rows(to.covariances + 9 * i, 9, k, narrow(where_double(drawn, g.covariance[k])), count);
            store_rows(to.opacities + i, 1, 0, narrow(where_double(drawn, g.opacity)), count);
            for (int k = 0; k < 12; k++) turned[k] += where_double(drawn, g.pose[k]);
            if (channels) write_features(&to, i, end);
        }
        for (int k = 0; k < 12; k++) {
            double sum = 0;
            for (int j = 0; j < 8; j++) sum += turned[k][j];
            pose[begin / chunk * 12 + k] = sum;
        }
    }
}
