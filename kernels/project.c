/* SPDX-License-Identifier: GPL-3.0-or-later */
/* World Gaussians -> ellipses on the picture. */
#include "raster.h"

typedef struct {
    v8f mx, my, a, b, c, log, shear, reach, curve, z, left, right, top, bottom;
    v8i seen;
} ellipses_t;

static v8f difference_of_products(v8f a, v8f b, v8f c, v8f d) { /* a b - c d without cancellation of its own (Kahan) */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    v8f cd = c * d;
    return fma8(a, b, -cd) - fma8(c, d, -cd);
#else
    return a * b - c * d;
#endif
}

static inline ellipses_t project8(const float *means, const float *s, const float *opacities, const camera_t *cam, int antialiased) {
    const float *w = cam->view;
    v8f px = gather8(means, 3), py = gather8(means + 1, 3), pz = gather8(means + 2, 3);
    v8f xx = gather8(s, 9), yy = gather8(s + 4, 9), zz = gather8(s + 8, 9);
    v8f xy = 0.5f * (gather8(s + 1, 9) + gather8(s + 3, 9)), xz = 0.5f * (gather8(s + 2, 9) + gather8(s + 6, 9));
    v8f yz = 0.5f * (gather8(s + 5, 9) + gather8(s + 7, 9)), opacity = load(opacities);
    v8f x = fma8(px, spread(w[0]), fma8(py, spread(w[1]), fma8(pz, spread(w[2]), spread(w[3]))));
    v8f y = fma8(px, spread(w[4]), fma8(py, spread(w[5]), fma8(pz, spread(w[6]), spread(w[7]))));
    v8f z = fma8(px, spread(w[8]), fma8(py, spread(w[9]), fma8(pz, spread(w[10]), spread(w[11]))));
    v8f u = x, v = y, jx = spread(cam->fx), jy = spread(cam->fy), jxz = spread(0), jyz = spread(0);
    if (!cam->orthographic) {
        v8f inverse = 1.0f / max8(z, spread(cam->near));
        u = x * inverse, v = y * inverse;
        jx = inverse * cam->fx, jy = inverse * cam->fy;
        jxz = -(jx * clamp8(u, spread(cam->low_x), spread(cam->high_x)));
        jyz = -(jy * clamp8(v, spread(cam->low_y), spread(cam->high_y)));
    }
    ellipses_t e = {.z = z};
    e.mx = fma8(u, spread(cam->fx), spread(cam->cx)), e.my = fma8(v, spread(cam->fy), spread(cam->cy));
    v8f a0 = fma8(jxz, spread(w[8]), jx * w[0]), a1 = fma8(jxz, spread(w[9]), jx * w[1]), a2 = fma8(jxz, spread(w[10]), jx * w[2]);
    v8f b0 = fma8(jyz, spread(w[8]), jy * w[4]), b1 = fma8(jyz, spread(w[9]), jy * w[5]), b2 = fma8(jyz, spread(w[10]), jy * w[6]);
    v8f sa0 = fma8(a0, xx, fma8(a1, xy, a2 * xz)), sa1 = fma8(a0, xy, fma8(a1, yy, a2 * yz)), sa2 = fma8(a0, xz, fma8(a1, yz, a2 * zz));
    v8f sb0 = fma8(b0, xx, fma8(b1, xy, b2 * xz)), sb1 = fma8(b0, xy, fma8(b1, yy, b2 * yz)), sb2 = fma8(b0, xz, fma8(b1, yz, b2 * zz));
    v8f p0 = fma8(a0, sa0, fma8(a1, sa1, a2 * sa2)), r0 = fma8(b0, sb0, fma8(b1, sb1, b2 * sb2));
    v8f p = p0 + DILATION, q = fma8(b0, sa0, fma8(b1, sa1, b2 * sa2)), r = r0 + DILATION;
    v8f determinant = difference_of_products(p, r, q, q), inverse = 1.0f / determinant;
    if (antialiased) opacity *= sqrt8(max8(difference_of_products(p0, r0, q, q) * inverse, spread(0)));
    e.log = log2_8(max8(opacity, spread(1e-20f)));
    v8f a = r * inverse, b = -(q * inverse), c = p * inverse, over = 1.0f / a;
    v8f reach = max8(e.log - LOG_ALPHA_MIN, spread(0)) * (2 * LN_2);
    e.a = a * (-0.5f * LOG2_E), e.b = b * -LOG2_E, e.c = c * (-0.5f * LOG2_E);
    e.shear = b * over, e.reach = reach * over, e.curve = inverse * over * over;
    /* first and last pixel whose centre may be inside */
    v8f wide = fma8(sqrt8(reach * p), spread(1.0001f), spread(0.01f)), high = fma8(sqrt8(reach * r), spread(1.0001f), spread(0.01f));
    e.left = floor8(max8(e.mx - wide + 0.5f, spread(0))), e.right = floor8(min8(e.mx + wide - 0.5f, spread(cam->width - 1)));
    e.top = floor8(max8(e.my - high + 0.5f, spread(0))), e.bottom = floor8(min8(e.my + high - 0.5f, spread(cam->height - 1)));
    v8f total = px + py + pz + xx + xy + xz + yy + yz + zz + opacity + e.mx + e.my + e.reach + e.curve;
    e.seen = (total - total == 0) & (z > cam->near) & (determinant > 0) & (e.log >= LOG_ALPHA_MIN);
    e.seen &= (e.left <= e.right) & (e.top <= e.bottom);
    return e;
}

/* The colours and normals of eight Gaussians as rows; returns where all of them are finite. */
static inline v8i load_values(const float *colors, const float *normals, v8f rows[6]) {
    v8f total = spread(0);
    for (int k = 0; k < 3; k++) {
        rows[k] = gather8(colors + k, 3);
        rows[3 + k] = normals ? gather8(normals + k, 3) : spread(0);
        total += rows[k] + rows[3 + k];
    }
    return total - total == 0;
}

static int is_finite(const float *values, int64_t count) {
    float total = 0;
    for (int64_t k = 0; k < count; k++) total += values[k] - values[k];
    return total == 0;
}

static void write_records(const ellipses_t *e, const v8f values[6], record_t *records) {
    v8f head[8] = {e->mx, e->my, e->a, e->b, e->c, e->log, e->shear, e->reach};
    v8f tail[8] = {e->curve, e->z, values[0], values[1], values[2], values[3], values[4], values[5]};
    transpose8(head);
    transpose8(tail);
    for (int j = 0; j < 8; j++) {
        store((float *)(records + j), head[j]);
        store((float *)(records + j) + 8, tail[j]);
    }
}

/* The sort key grows with z, negative z too. */
static void write_keys(v8f z, uint32_t *keys) {
    v8i bits = (v8i)z, negative = bits >> 31;
    *(v8i_anywhere *)keys = bits ^ (negative | (int32_t)0x80000000);
}

static void write_boxes(const ellipses_t *e, v8i seen, box_t *boxes) {
    v8i left = truncate8(e->left) >> 5, right = truncate8(e->right) >> 5;
    v8i top = truncate8(e->top) >> 4, bottom = truncate8(e->bottom) >> 4;
    v8i across = (left & 0xffff) | (right << 16), down = (top & 0xffff) | (bottom << 16);
    across = (across & seen) | (~seen & 1); /* left 1, right 0: not drawn */
    down &= seen;
    for (int j = 0; j < 8; j++) {
        int32_t halves[2] = {across[j], down[j]};
        __builtin_memcpy(boxes + j, halves, sizeof halves);
    }
}

static void count_tiles(const record_t *r, box_t box, int64_t columns, uint32_t *counts) {
    uint32_t *at = counts + box.top * columns + box.left;
    if (is_small(box) || !is_drawn(box)) { /* without a branch that depends on the size */
        uint32_t one = (uint32_t)is_drawn(box), wide = (uint32_t)(box.right - box.left) & one, high = (uint32_t)(box.bottom - box.top);
        at = one ? at : counts;
        at[0] += one, at[1] += wide, at[columns] += high, at[columns + 1] += wide & high;
        return;
    }
    for (int row = box.top; row <= box.bottom; row++) {
        int first, last;
        row_of_tiles(r, box, row, &first, &last);
        for (int column = first; column <= last; column++) counts[row * columns + column]++;
    }
}

/* Eight Gaussians from the arrays' ends are copied so that eight can be read. */
typedef struct {
    float means[24], covariances[72], opacities[8], colors[24], normals[24];
} eight_t;

static void copy_rows(float *to, const float *from, int64_t first, int64_t count, int64_t width) {
    for (int64_t j = 0; j < 8; j++)
        for (int64_t k = 0; k < width; k++) to[j * width + k] = from[(first + (j < count ? j : count - 1)) * width + k];
}

/* Fills records [N], boxes [N] and keys [N] (all with room for 7 more) and counts [chunks, stride]: how many of each
 * chunk of Gaussians fall into each tile. stride holds all tiles, a row of them and two more. normals and features
 * [N, channels] may be null.
 *
 * Not drawn: beyond the picture, nearer than near, transparent everywhere, flat to the camera beyond float32, or
 * holding anything that is not finite. */
API void lca_project(int64_t *counter, int64_t total, int64_t chunk, const float *means, const float *covariances,
                     const float *opacities, const float *colors, const float *normals, const float *features, int64_t channels,
                     const camera_t *camera, int64_t antialiased, record_t *records, box_t *boxes, uint32_t *keys, uint32_t *counts,
                     int64_t stride) {
    const int64_t columns = ((int64_t)camera->width + TILE_W - 1) / TILE_W;
    const camera_t cam = *camera;
    eight_t last;
    for (int64_t begin; (begin = take_ticket(counter) * chunk) < total;) {
        uint32_t *own = counts + begin / chunk * stride;
        for (int64_t k = 0; k < stride; k++) own[k] = 0;
        int64_t end = begin + chunk < total ? begin + chunk : total;
        for (int64_t i = begin; i < end; i += 8) {
            int64_t count = end - i < 8 ? end - i : 8;
            const float *m = means + 3 * i, *s = covariances + 9 * i, *o = opacities + i, *c = colors + 3 * i, *n = normals ? normals + 3 * i : 0;
            if (count < 8) {
                copy_rows(last.means, means, i, count, 3), copy_rows(last.covariances, covariances, i, count, 9);
                copy_rows(last.opacities, opacities, i, count, 1), copy_rows(last.colors, colors, i, count, 3);
                if (normals) copy_rows(last.normals, normals, i, count, 3);
                m = last.means, s = last.covariances, o = last.opacities, c = last.colors, n = normals ? last.normals : 0;
            }
            ellipses_t e = project8(m, s, o, &cam, antialiased != 0);
            v8f values[6];
            v8i seen = e.seen & load_values(c, n, values);
            for (int64_t j = 0; channels && j < count; j++) seen[j] &= -is_finite(features + (i + j) * channels, channels);
            write_records(&e, values, records + i);
            write_keys(e.z, keys + i);
            write_boxes(&e, seen, boxes + i);
            for (int64_t j = 0; j < count; j++) count_tiles(records + i + j, boxes[i + j], columns, own);
        }
    }
}
