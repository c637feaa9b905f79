/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A walk through tiles from front to back: what it reads, and the values it blends. */
#pragma once

#include "blocks.h"
#include "sort.h"

enum { MOST_CHANNELS = 40 }; /* of one walk: colour, other layers, features */

/* The same numbers for blending and for its gradient; pointers may be null where it says so. */
typedef struct {
    const record_t *records;
    const float *features;    /* [N, channels], or null */
    int64_t feature_channels; /* of a row of features */
    int64_t first, count;     /* the features of this walk */
    int64_t geometry;         /* before them: 0 nothing, 1 camera z, 4 camera z and normal */
    const float *scene_depth; /* [height, width], or null */
    int64_t width, height;
    const float *background; /* of a pixel: 3 floats; or null */
    int64_t background_step; /* floats from a pixel to the next: 0 or 3 */
    float *picture;          /* [height, width, 4], over the background; or null: not of this walk */
    uint8_t *bytes;          /* the same; or null */
    float *layers;           /* [height, width, layer_channels]: z, normal, features; or null */
    int64_t layer_channels;
    const float *picture_gradient, *layers_gradient; /* as picture and layers; null where these are */
} job_t;

/* Channels that are walked: exactly 3, 8, or a multiple of 8. */
static inline int channels_of(const job_t *job) {
    int wanted = 3 + (int)(job->geometry + job->count);
    return wanted == 3 ? 3 : (wanted + 7) / 8 * 8;
}

/* The first channel of `layers` that the walk blends. */
static inline int64_t first_layer(const job_t *job) {
    return job->geometry ? 0 : job->layer_channels - job->feature_channels + job->first;
}

/* A Gaussian's ellipse in all lanes, about the tile's corner. */
typedef struct {
    v8f mx, my, a, b, c, log, z;
} ellipse8_t;

TEMPLATE ellipse8_t ellipse_of(const record_t *r, window_t w) {
    return (ellipse8_t){spread(r->mx - (float)w.x), spread(r->my - (float)w.y), spread(r->a), spread(r->b), spread(r->c), spread(r->log), spread(r->z)};
}

/* log2 of its alpha at dx, dy from its mean. */
TEMPLATE v8f log_alpha(const ellipse8_t *e, v8f dx, v8f dy) { return fma8(fma8(e->a, dx, e->b * dy), dx, fma8(e->c * dy, dy, e->log)); }

/* The values that a Gaussian blends, in the order of the channels. */
TEMPLATE void values_of(const job_t *job, uint32_t gaussian, const record_t *r, int channels, v8f *values) {
    for (int k = 0; k < 3; k++) values[k] = spread(r->color[k]);
    if (channels == 3) return;
    int at = 3;
    if (job->geometry) values[at++] = spread(r->z);
    for (int k = 0; k < job->geometry - 1; k++) values[at++] = spread(r->normal[k]);
    const float *row = job->features + gaussian * job->feature_channels + job->first;
    for (int k = 0; k < job->count; k++) values[at++] = spread(row[k]);
    while (at < channels) values[at++] = spread(0);
}
