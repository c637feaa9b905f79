/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Linear blend skinning of points, with the Jacobian by joints and shape. In double precision, for a
 * solver. Matrices are [3,3] by rows. */
#include "simd.h"

/* n points with k joints each, S shapes: places [n,3], joints [n,k], weights [n,k], deltas [n,S,3]. */
typedef struct {
    int64_t count, influences, shapes;
    const double *places;
    const int64_t *joints;
    const double *weights, *deltas;
} points_t;

/* J joints, parents before children: parents [J], heads [J,3], head_deltas [J,S,3], column [J] of a joint's first
 * parameter or -1. */
typedef struct {
    int64_t joints, shapes;
    const int64_t *parents;
    const double *heads, *head_deltas;
    const int64_t *column;
} skeleton_t;

/* turn [J,3,3], place [J,3] of the posed joints, moves [J,S,3] (places by shape), canonical heads [J,3], betas [S]. */
typedef struct {
    double *turn, *place, *moves, *heads;
    const double *betas;
} frames_t;

/* out = base + matrix v */
static inline void transformed(const double *matrix, const double v[3], const double *base, double *out) {
    for (int c = 0; c < 3; c++) out[c] = base[c] + matrix[3 * c] * v[0] + matrix[3 * c + 1] * v[1] + matrix[3 * c + 2] * v[2];
}

static inline void difference(const double *a, const double *b, double out[3]) {
    for (int c = 0; c < 3; c++) out[c] = a[c] - b[c];
}

/* out = place + the sum of betas times deltas [S,3] */
static inline void shaped(const double *place, const double *deltas, const double *betas, int64_t shapes, double *out) {
    for (int c = 0; c < 3; c++) out[c] = place[c];
    for (int64_t s = 0; s < shapes; s++)
        for (int c = 0; c < 3; c++) out[c] += betas[s] * deltas[3 * s + c];
}

/* Fills frames from the joints' own rotations local [J,3,3] and the root's translation [3]. */
API int64_t lca_joint_frames(const skeleton_t *skeleton, const double *local, const double *translation, const frames_t *frames) {
    int64_t shapes = skeleton->shapes;
    for (int64_t j = 0; j < skeleton->joints; j++) {
        const int64_t p = skeleton->parents[j];
        const double *deltas = skeleton->head_deltas + 3 * shapes * j, *own = local + 9 * j;
        double *turn = frames->turn + 9 * j, *place = frames->place + 3 * j, *moves = frames->moves + 3 * shapes * j;
        double *head = frames->heads + 3 * j, bone[3];
        shaped(skeleton->heads + 3 * j, deltas, frames->betas, shapes, head);
        if (p < 0) {
            for (int i = 0; i < 9; i++) turn[i] = own[i];
            for (int c = 0; c < 3; c++) place[c] = head[c] + translation[c];
            for (int64_t i = 0; i < 3 * shapes; i++) moves[i] = deltas[i];
            continue;
        }
        const double *above = frames->turn + 9 * p;
        for (int i = 0; i < 9; i++) turn[i] = above[i / 3 * 3] * own[i % 3] + above[i / 3 * 3 + 1] * own[3 + i % 3] + above[i / 3 * 3 + 2] * own[6 + i % 3];
        difference(head, frames->heads + 3 * p, bone);
        transformed(above, bone, frames->place + 3 * p, place);
        for (int64_t s = 0; s < shapes; s++) {
            difference(deltas + 3 * s, skeleton->head_deltas + 3 * (shapes * p + s), bone);
            transformed(above, bone, frames->moves + 3 * (shapes * p + s), moves + 3 * s);
        }
    }
    return 0;
}

/* points [n,3] */
API int64_t lca_skin_points(const points_t *skinned, const frames_t *frames, double *points) {
    for (int64_t n = 0; n < skinned->count; n++, points += 3) {
        double v[3], off[3], at[3];
        shaped(skinned->places + 3 * n, skinned->deltas + 3 * skinned->shapes * n, frames->betas, skinned->shapes, v);
        points[0] = points[1] = points[2] = 0;
        for (int64_t k = skinned->influences * n; k < skinned->influences * (n + 1); k++) {
            const double weight = skinned->weights[k];
            const int64_t j = skinned->joints[k];
            if (weight == 0) continue;
            difference(v, frames->heads + 3 * j, off);
            transformed(frames->turn + 9 * j, off, frames->place + 3 * j, at);
            for (int c = 0; c < 3; c++) points[c] += weight * at[c];
        }
    }
    return 0;
}

/* points [n,3] and jacobian [n,3,width], which comes zeroed: by small turns of the free joints about the axes of space
 * (three columns each), then by translation (3) and shape (S), which come last. */
API int64_t lca_skin_points_with_jacobian(const points_t *skinned, const skeleton_t *skeleton, const frames_t *frames, int64_t width, double *points,
                                   double *jacobian) {
    const int64_t shapes = skinned->shapes;
    for (int64_t n = 0; n < skinned->count; n++, points += 3, jacobian += 3 * width) {
        const double *deltas = skinned->deltas + 3 * shapes * n;
        double v[3], off[3], at[3], *row[3] = {jacobian, jacobian + width, jacobian + 2 * width};
        shaped(skinned->places + 3 * n, deltas, frames->betas, shapes, v);
        for (int c = 0; c < 3; c++) points[c] = 0, row[c][width - shapes - 3 + c] = 1;
        for (int64_t k = skinned->influences * n; k < skinned->influences * (n + 1); k++) {
            const double weight = skinned->weights[k];
            const int64_t j = skinned->joints[k];
            if (weight == 0) continue;
            difference(v, frames->heads + 3 * j, off);
            transformed(frames->turn + 9 * j, off, frames->place + 3 * j, at);
            for (int c = 0; c < 3; c++) points[c] += weight * at[c];
            for (int64_t s = 0; s < shapes; s++) {
                double move[3];
                difference(deltas + 3 * s, skeleton->head_deltas + 3 * (shapes * j + s), off);
                transformed(frames->turn + 9 * j, off, frames->moves + 3 * (shapes * j + s), move);
                for (int c = 0; c < 3; c++) row[c][width - shapes + s] += weight * move[c];
            }
            for (int64_t a = j; a >= 0; a = skeleton->parents[a]) {
                const int64_t column = skeleton->column[a];
                if (column < 0) continue;
                difference(at, frames->place + 3 * a, off);
                const double x = weight * off[0], y = weight * off[1], z = weight * off[2];
                row[1][column] -= z, row[2][column] += y;
                row[0][column + 1] += z, row[2][column + 1] -= x;
                row[0][column + 2] -= y, row[1][column + 2] += x;
            }
        }
    }
    return 0;
}
