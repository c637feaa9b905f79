/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which of the libraries this processor can run. */
#include "simd.h"

#ifdef __x86_64__
#include <cpuid.h>

static int has_bits(uint32_t value, uint32_t bits) { return (value & bits) == bits; }

/* 3 where the system saves AVX registers (XCR0) and the processor has AVX2, FMA and BMI, 4 where both know AVX-512 too. */
static int level(void) {
    const uint32_t avx2 = bit_AVX2 | bit_BMI | bit_BMI2, avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
    uint32_t a, b, c, d, saved, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has_bits(c, bit_OSXSAVE | bit_AVX | bit_FMA | bit_MOVBE)) return 2;
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    if (!has_bits(saved, 0x06) || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has_bits(b, avx2)) return 2;
    return has_bits(saved, 0xe6) && has_bits(b, avx512) ? 4 : 3;
}
#endif

/* 4 or 3 where the processor is an x86-64-v4 (AVX-512) or v3 (AVX2, FMA), 2 on any other x86-64, 0 elsewhere. */
API int64_t lca_instruction_level(void) {
#ifdef __x86_64__
    return level();
#else
    return 0;
#endif
}
