/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Eight floats at a time, on any machine: clang's vectors, lowered to AVX2, two SSE or two NEON registers. */
#pragma once

#include <stdint.h>

#ifdef _WIN32
#define API __declspec(dllexport)
#else
#define API __attribute__((visibility("default")))
#endif

typedef float v8f __attribute__((vector_size(32)));
typedef int32_t v8i __attribute__((vector_size(32)));
typedef float v8f_anywhere __attribute__((vector_size(32), aligned(4)));
typedef int32_t v8i_anywhere __attribute__((vector_size(32), aligned(4)));

static inline v8f spread(float x) { return (v8f){x, x, x, x, x, x, x, x}; }
static inline v8i spread_int(int32_t x) { return (v8i){x, x, x, x, x, x, x, x}; }
static inline v8f load(const float *p) { return *(const v8f_anywhere *)p; }
static inline void store(float *p, v8f x) { *(v8f_anywhere *)p = x; }

static inline v8f min8(v8f a, v8f b) { return __builtin_elementwise_min(a, b); }
static inline v8f max8(v8f a, v8f b) { return __builtin_elementwise_max(a, b); }
static inline v8f sqrt8(v8f x) { return __builtin_elementwise_sqrt(x); }
static inline v8f floor8(v8f x) { return __builtin_elementwise_floor(x); }

/* a * b + c: fused where the machine has it; never a call of fmaf. */
static inline v8f fma8(v8f a, v8f b, v8f c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return __builtin_elementwise_fma(a, b, c);
#else
    return a * b + c;
#endif
}

/* Masks are -1 where true and 0 where false, as comparisons give them. */
static inline v8f where(v8i mask, v8f yes) { return (v8f)(mask & (v8i)yes); }
static inline v8f select8(v8i mask, v8f yes, v8f no) { return (v8f)((mask & (v8i)yes) | (~mask & (v8i)no)); }
static inline int any8(v8i mask) { return __builtin_reduce_or(mask) != 0; }

/* A ticket is a piece of work; threads draw them until none is left. Whoever draws one, the result is the same. */
static inline int64_t take_ticket(int64_t *counter) { return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }
