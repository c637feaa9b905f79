/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Eight floats at a time, on any machine: clang's vectors, lowered to AVX2, two SSE or two NEON registers. */
#pragma once

#include <stdint.h>
#include <stddef.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#ifdef _WIN32
#define API __declspec(dllexport)
#else
#define API __attribute__((visibility("default")))
#endif

/* For arguments that are constants where the compiler shall unroll by them. */
#define TEMPLATE static inline __attribute__((always_inline))

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
static inline v8f abs8(v8f x) { return __builtin_elementwise_abs(x); }
static inline v8f sqrt8(v8f x) { return __builtin_elementwise_sqrt(x); }
/* The root of max(x, 0) or up to 1/1000 more, soon: for bounds. */
#ifdef __AVX2__
static inline v8f sqrt_above(v8f x) {
    x = max8(x, spread(1e-12f));
    return x * (v8f)_mm256_rsqrt_ps((__m256)x) * 1.0004f;
}
#else
static inline v8f sqrt_above(v8f x) { return sqrt8(max8(x, spread(0))); }
#endif
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
#ifdef __AVX2__
static inline int any8(v8i mask) { return _mm256_movemask_ps((__m256)mask) != 0; }
#else
static inline int any8(v8i mask) { return __builtin_reduce_or(mask) != 0; }
#endif
static inline v8f clamp8(v8f x, v8f low, v8f high) { return min8(max8(x, low), high); }
static inline v8i truncate8(v8f x) { return __builtin_convertvector(x, v8i); }
static inline v8f to_float8(v8i x) { return __builtin_convertvector(x, v8f); }
static inline float sum8(v8f x) {
    return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}
/* The sums of eight vectors. */
static inline v8f sums8(const v8f r[8]) {
    v8f t[4], u[2];
    for (int i = 0; i < 4; i++)
        t[i] = __builtin_shufflevector(r[2 * i], r[2 * i + 1], 0, 8, 2, 10, 4, 12, 6, 14) + __builtin_shufflevector(r[2 * i], r[2 * i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    for (int i = 0; i < 2; i++)
        u[i] = __builtin_shufflevector(t[2 * i], t[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) + __builtin_shufflevector(t[2 * i], t[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    return __builtin_shufflevector(u[0], u[1], 0, 1, 2, 3, 8, 9, 10, 11) + __builtin_shufflevector(u[0], u[1], 4, 5, 6, 7, 12, 13, 14, 15);
}
/* p[0], p[stride] ... p[7 stride] */
static inline v8f gather8(const float *p, int64_t stride) {
    return (v8f){p[0], p[stride], p[2 * stride], p[3 * stride], p[4 * stride], p[5 * stride], p[6 * stride], p[7 * stride]};
}

/* Eight rows of eight become eight columns. */
static inline void transpose8(v8f r[8]) {
    v8f t[8], u[8];
    for (int i = 0; i < 4; i++) {
        t[2 * i] = __builtin_shufflevector(r[2 * i], r[2 * i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        t[2 * i + 1] = __builtin_shufflevector(r[2 * i], r[2 * i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int h = 0; h < 8; h += 4)
        for (int i = 0; i < 2; i++) {
            u[h + 2 * i] = __builtin_shufflevector(t[h + i], t[h + 2 + i], 0, 1, 8, 9, 4, 5, 12, 13);
            u[h + 2 * i + 1] = __builtin_shufflevector(t[h + i], t[h + 2 + i], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int i = 0; i < 4; i++) {
        r[i] = __builtin_shufflevector(u[i], u[4 + i], 0, 1, 2, 3, 8, 9, 10, 11);
        r[4 + i] = __builtin_shufflevector(u[i], u[4 + i], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/* 2^x for x in -120..120, relative error 3e-6: the whole part goes into the exponent by adding a large number,
 * the rest through a polynomial of degree four. Anything may come out for other x. */
static inline v8f exp2_8(v8f x) {
    v8f whole = x + 12582912.0f, f = x - (whole - 12582912.0f);
    v8f e = fma8(spread(0.00956051f), f, spread(0.05591704f));
    e = fma8(e, f, spread(0.24024981f));
    e = fma8(e, f, spread(0.69312197f));
    e = fma8(e, f, spread(0.99999919f));
    return (v8f)((v8i)e + ((v8i)whole << 23));
}

/* log2 of x > 0 (not of subnormal numbers), absolute error 2e-7: atanh's series on the mantissa in sqrt(1/2)..sqrt(2). */
static inline v8f log2_8(v8f x) {
    v8i bits = (v8i)x, exponent = (bits - 0x3f3504f3) >> 23;
    v8f mantissa = (v8f)(bits - (exponent << 23)), q = (mantissa - 1.0f) / (mantissa + 1.0f), q2 = q * q;
    v8f series = fma8(fma8(fma8(q2, spread(1.0f / 7), spread(1.0f / 5)), q2, spread(1.0f / 3)), q2, spread(1.0f));
    return fma8(q * 2.885390082f, series, to_float8(exponent));
}

/* Other threads see streamed lines after this. */
static inline void end_streams(void) {
#ifdef __x86_64__
    __builtin_ia32_sfence();
#endif
}

/* A ticket is a piece of work; threads draw them until none is left. Whoever draws one, the result is the same. */
static inline int64_t take_ticket(int64_t *counter) { return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }
