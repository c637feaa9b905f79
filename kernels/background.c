/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An opaque background behind a premultiplied picture. */
#include "simd.h"

/* Puts an opaque colour [3] behind a premultiplied picture [count,4], in place, except where scene_depth
 * [count] (or null) is finite. */
API void lca_put_behind(int64_t *counter, int64_t count, int64_t chunk, float *picture, const float *color, const float *scene_depth) {
    for (int64_t begin; (begin = take_ticket(counter) * chunk) < count;) {
        int64_t end = begin + chunk < count ? begin + chunk : count;
        for (int64_t i = begin; i < end; i++) {
            if (scene_depth && scene_depth[i] < __builtin_inff()) continue;
            float *pixel = picture + 4 * i, left = 1 - pixel[3];
            for (int k = 0; k < 3; k++) pixel[k] += left * color[k];
            pixel[3] = 1;
        }
    }
}
