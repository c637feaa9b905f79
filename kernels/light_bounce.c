/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Light that a surface throws onto itself. */
#include "light.h"

/* out [n,3]: the mean of `sent` [count,3] that places [n,3] with normals [n,3] see of emitters, weighted by form factors of
 * discs; emitters [count,7]: place, normal, area. Nothing hides one from the other but its own back. */
API int64_t lca_light_gather(int64_t *counter, int64_t n, const float *places, const float *normals, int64_t count, const float *emitters, const float *sent, float *out) {
    for (int64_t chunk; (chunk = take_ticket(counter)) * CHUNK < n;)
        for (int64_t i = chunk * CHUNK; i < (chunk + 1) * CHUNK && i < n; i += LANES) {
            int64_t at[LANES];
            v8f place[3], normal[3], sum[3] = {spread(0), spread(0), spread(0)}, all = spread(1e-12f);
            for (int64_t j = 0; j < LANES; j++) at[j] = i + j < n ? i + j : n - 1;
            for (int c = 0; c < 3; c++) place[c] = take8(places, 3, c, at), normal[c] = take8(normals, 3, c, at);
            for (int64_t k = 0; k < count; k++) {
                const float *e = emitters + 7 * k, *b = sent + 3 * k, area = e[6];
                const v8f d[3] = {e[0] - place[0], e[1] - place[1], e[2] - place[2]};
                const v8f out_of = dot8(normal, d), into = -(e[3] * d[0] + e[4] * d[1] + e[5] * d[2]);
                const v8i faces = (out_of > 0) & (into > 0);
                if (!any8(faces)) continue;
                const v8f square = max8(dot8(d, d), spread(1e-4f));
                const v8f factor = where(faces, out_of * into * area / (square * (3.14159265f * square + area)));
                all += factor;
                for (int c = 0; c < 3; c++) sum[c] = fma8(factor, spread(b[c]), sum[c]);
            }
            for (int64_t j = 0; j < LANES && i + j < n; j++)
                for (int c = 0; c < 3; c++) out[3 * (i + j) + c] = sum[c][j] / all[j];
        }
    return 0;
}
