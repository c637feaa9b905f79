/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which Gaussians touch which tile. A tile's list starts in the Gaussians' order and its sort (blend.c) is stable,
 * so equal depths always blend in the same order. */
#include "raster.h"

/* Turns counts [chunks, stride] into where each chunk writes its first entry of each tile (modulo 2^32), in place,
 * and fills starts [tiles + 1]. Returns the number of entries. */
API int64_t lca_offsets(int64_t chunks, int64_t tiles, int64_t stride, uint32_t *counts, int64_t *starts) {
    for (int64_t tile = 0; tile <= tiles; tile++) starts[tile] = 0;
    for (int64_t chunk = 0; chunk < chunks; chunk++)
        for (int64_t tile = 0; tile < tiles; tile++) starts[tile] += counts[chunk * stride + tile];
    int64_t total = 0;
    for (int64_t tile = 0; tile <= tiles; tile++) {
        int64_t here = starts[tile];
        starts[tile] = total;
        total += here;
    }
    enum { STRIP = 256 };
    for (int64_t first = 0; first < tiles; first += STRIP) {
        uint32_t next[STRIP];
        int64_t size = tiles - first < STRIP ? tiles - first : STRIP;
        for (int64_t k = 0; k < size; k++) next[k] = (uint32_t)starts[first + k];
        for (int64_t chunk = 0; chunk < chunks; chunk++) {
            uint32_t *own = counts + chunk * stride + first;
            for (int64_t k = 0; k < size; k++) {
                uint32_t here = own[k];
                own[k] = next[k];
                next[k] += here;
            }
        }
    }
    return total;
}

/* A length's class, growing with it: exact up to 15, then eight steps for every doubling. */
static int64_t length_class(int64_t length) {
    if (length < 16) return length;
    int exponent = 63 - __builtin_clzll((uint64_t)length);
    return 8 * (exponent - 4) + 8 + (length >> (exponent - 3));
}

/* Fills order [last - first] with the tiles first .. last - 1, the longest lists first, so that no thread is left
 * alone with one at the end. */
API void lca_longest_first(int64_t first, int64_t last, const int64_t *starts, int64_t *order) {
    enum { CLASSES = 512 };
    int64_t next[CLASSES] = {0}, total = 0;
    for (int64_t tile = first; tile < last; tile++) next[length_class(starts[tile + 1] - starts[tile])]++;
    for (int k = CLASSES - 1; k >= 0; k--) {
        int64_t here = next[k];
        next[k] = total;
        total += here;
    }
    for (int64_t tile = first; tile < last; tile++) order[next[length_class(starts[tile + 1] - starts[tile])]++] = tile;
}

typedef struct {
    uint32_t tile, gaussian;
} place_t;

/* The tiles of small boxes, branch-free; a large box's tiles straight into the lists. */
typedef struct {
    int64_t columns, first, last;
    uint32_t base, *positions;
    entry_t *entries;
    const uint32_t *keys;
} lists_t;

static inline void append(const lists_t *lists, int64_t tile, int64_t gaussian) {
    lists->entries[(uint32_t)(lists->positions[tile]++ - lists->base)] = (entry_t)lists->keys[gaussian] << 32 | (uint64_t)gaussian;
}

static void append_large(const lists_t *lists, const record_t *r, box_t box, int64_t gaussian) {
    for (int row = box.top; row <= box.bottom; row++) {
        int first, last;
        row_of_tiles(r, box, row, &first, &last);
        for (int column = first; column <= last; column++) {
            int64_t tile = row * lists->columns + column;
            if (tile >= lists->first && tile < lists->last) append(lists, tile, gaussian);
        }
    }
}

/* Writes the entries of the tiles first .. last - 1 to their lists: entries [starts[last] - starts[first]]. */
API void lca_scatter(int64_t *counter, int64_t total, int64_t chunk, const record_t *records, const box_t *boxes, const uint32_t *keys,
                     int64_t columns, int64_t first, int64_t last, const int64_t *starts, uint32_t *positions, int64_t stride,
                     entry_t *entries) {
    enum { STEP = 64 };
    place_t places[4 * STEP];
    for (int64_t begin; (begin = take_ticket(counter) * chunk) < total;) {
        lists_t lists = {columns, first, last, (uint32_t)starts[first], positions + begin / chunk * stride, entries, keys};
        int64_t end = begin + chunk < total ? begin + chunk : total;
        for (int64_t from = begin; from < end;) {
            int64_t i = from, to = end - from < STEP ? end : from + STEP, large = -1, count = 0;
            for (; i < to; i++) {
                box_t box = boxes[i];
                if (is_drawn(box) && !is_small(box)) {
                    large = i++;
                    break;
                }
                uint32_t one = (uint32_t)is_drawn(box), wide = (uint32_t)(box.right - box.left) & one, high = (uint32_t)(box.bottom - box.top);
                uint32_t tile = (uint32_t)(box.top * columns + box.left);
                places[count] = (place_t){tile, (uint32_t)i}, count += one;
                places[count] = (place_t){tile + 1, (uint32_t)i}, count += wide;
                places[count] = (place_t){tile + (uint32_t)columns, (uint32_t)i}, count += high;
                places[count] = (place_t){tile + (uint32_t)columns + 1, (uint32_t)i}, count += wide & high;
            }
            for (int64_t k = 0; k < count; k++)
                if (places[k].tile >= first && places[k].tile < last) append(&lists, places[k].tile, places[k].gaussian);
            if (large >= 0) append_large(&lists, records + large, boxes[large], large);
            from = i;
        }
    }
}

/* Fills slots [N]: where each Gaussian's gradients of single tiles begin, one slot for every tile of its box. Returns
 * the number of slots. */
API int64_t lca_slots(int64_t total, const box_t *boxes, int64_t *slots) {
    int64_t next = 0;
    for (int64_t i = 0; i < total; i++) {
        box_t box = boxes[i];
        slots[i] = next;
        next += (int64_t)(box.right - box.left + 1) * (box.bottom - box.top + 1);
    }
    return next;
}
