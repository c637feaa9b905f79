/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which of the libraries this processor can run. */
#include "simd.h"

#ifdef __x86_64__
#include <cpuid.h>

static int has_bits(uint32_t value, uint32_t bits) { return (value & bits) == bits; }

/* AVX registers are saved by the system (XCR0), and the processor has AVX2, FMA and BMI. */
static int has_v3(void) {
    uint32_t a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has_bits(c, bit_OSXSAVE | bit_AVX | bit_FMA | bit_MOVBE)) return 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if (!has_bits(low, 6)) return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && has_bits(b, bit_AVX2 | bit_BMI | bit_BMI2);
}
#endif

/* 3 where the processor is an x86-64-v3 (AVX2, FMA), 2 on any other x86-64, 0 elsewhere. */
API int64_t lca_instruction_level(void) {
#ifdef __x86_64__
    return has_v3() ? 3 : 2;
#else
    return 0;
#endif
}
