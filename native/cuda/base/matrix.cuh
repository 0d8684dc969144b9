// Tensor core products of m16n8k16 and the loads of their fragments (PTX ISA, "Matrix Fragments for mma.m16n8k16").
// Lane l has g = l / 4 and t = l % 4.
//   a [16, 16]  a[0] (g, 2t), a[1] (g + 8, 2t), a[2] (g, 2t + 8), a[3] (g + 8, 2t + 8), each with the next column: a
//               register has two elements
//   b [16, 8]   b[0] (2t, g), b[1] (2t + 8, g), each with the next row
//   c [16, 8]   c[0], c[1] (g, 2t), (g, 2t + 1), c[2], c[3] the same in row g + 8
#pragma once

#include <cstdint>

namespace winnow {

// Loads four matrices of 8 rows of 16 bytes. Lane l passes the shared address of row l % 8 of matrix l / 8. It receives
// in value[i] the elements 2t and 2t + 1 of row g of matrix i.
__device__ __forceinline__ void load_matrices(uint32_t (&value)[4], uint32_t shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(value[0]), "=r"(value[1]), "=r"(value[2]), "=r"(value[3])
               : "r"(shared)
               : "memory");
}

// The same with each matrix transposed: value[i] gets element g of rows 2t and 2t + 1.
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&value)[4], uint32_t shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(value[0]), "=r"(value[1]), "=r"(value[2]), "=r"(value[3])
               : "r"(shared)
               : "memory");
}

// c += a b with bf16 operands. Products are exact, sums are f32.
__device__ __forceinline__ void multiply_add_bf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Splits a pair of f32 into three pairs of bf16 with the same sum. Each part has 8 of the 24 bits of the significand.
// Parts are truncated, not rounded, so none overflows. Bits below 2^-133 are lost. Infinity is in the first part alone;
// NaN stays NaN. `first` goes to the lower half.
__device__ __forceinline__ void split_to_bf16(float first, float second, uint32_t& high, uint32_t& middle,
                                              uint32_t& low) {
  const float high1 = __uint_as_float(__float_as_uint(first) & 0xffff0000u);
  const float high2 = __uint_as_float(__float_as_uint(second) & 0xffff0000u);
  const float rest1 = first == high1 ? 0.0f : first - high1;
  const float rest2 = second == high2 ? 0.0f : second - high2;
  const float low1 = rest1 - __uint_as_float(__float_as_uint(rest1) & 0xffff0000u);
  const float low2 = rest2 - __uint_as_float(__float_as_uint(rest2) & 0xffff0000u);
  high = __byte_perm(__float_as_uint(first), __float_as_uint(second), 0x7632);
  middle = __byte_perm(__float_as_uint(rest1), __float_as_uint(rest2), 0x7632);
  low = __byte_perm(__float_as_uint(low1), __float_as_uint(low2), 0x7632);
}

}  // namespace winnow
