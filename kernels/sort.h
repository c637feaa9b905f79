/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A tile's list, front to back. */
#pragma once

#include "raster.h"

static inline void sort_few(entry_t *entries, int64_t count) {
    for (int64_t i = 1; i < count; i++) {
        entry_t entry = entries[i];
        int64_t j = i - 1;
        for (; j >= 0 && entries[j] >> 32 > entry >> 32; j--) entries[j + 1] = entries[j];
        entries[j + 1] = entry;
    }
}

/* A stable radix sort by depth, over no more bits than the depths of this tile differ in. Returns where the result
 * is: entries or scratch [count]. */
static inline const entry_t *sort_entries(entry_t *entries, entry_t *scratch, int64_t count) {
    enum { DIGITS = 2048 };
    if (count <= 24) {
        sort_few(entries, count);
        return entries;
    }
    uint32_t low = ~0u, high = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t key = (uint32_t)(entries[i] >> 32);
        low = key < low ? key : low, high = key > high ? key : high;
    }
    if (low == high) return entries;
    int bits = 32 - __builtin_clz(high - low), most = count > 3000 ? 11 : 8;
    int passes = (bits + most - 1) / most, width = (bits + passes - 1) / passes;
    uint32_t next[4][DIGITS], mask = (1u << width) - 1;
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t digit = 0; digit <= mask; digit++) next[pass][digit] = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t key = (uint32_t)(entries[i] >> 32) - low;
        for (int pass = 0; pass < passes; pass++) next[pass][key >> (pass * width) & mask]++;
    }
    for (int pass = 0; pass < passes; pass++) {
        uint32_t total = 0;
        for (uint32_t digit = 0; digit <= mask; digit++) {
            uint32_t here = next[pass][digit];
            next[pass][digit] = total;
            total += here;
        }
        for (int64_t i = 0; i < count; i++) {
            uint32_t key = (uint32_t)(entries[i] >> 32) - low;
            scratch[next[pass][key >> (pass * width) & mask]++] = entries[i];
        }
        entry_t *other = entries;
        entries = scratch, scratch = other;
    }
    return entries;
}

/* Sorts a tile's entries; the Gaussians' numbers are left where the entries were. */
static inline void sort_list(entry_t *entries, entry_t *scratch, int64_t count) {
    const entry_t *sorted = sort_entries(entries, scratch, count);
    uint32_t *list = (uint32_t *)entries;
    for (int64_t k = 0; k < count; k++) list[k] = (uint32_t)sorted[k];
}
