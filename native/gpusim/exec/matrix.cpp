// ldmatrix and mma.sync. Fragment layouts: PTX manual, "Matrix Fragments for mma.m16n8k16" and "ldmatrix".
//
// A register of a fragment, seen as the 128 bytes of its 32 lanes, is an 8 x 8 matrix of 16-bit elements, row-major:
// lane 4 g + t holds columns 2 t and 2 t + 1 of row g. So fragments need no gathering:
//   A (16 x 16): registers 0 to 3 are the quarters (rows 0-7, k 0-7), (8-15, 0-7), (0-7, 8-15), (8-15, 8-15)
//   B (16 x 8):  register h holds k = 8 h .. 8 h + 7, a row per n
//   C, D (16 x 8, f32): registers 0 and 1 hold columns 2 t and 2 t + 1 of row g, registers 2 and 3 those of row g + 8
// Products are exact in f32; sums are fused multiply-adds in ascending k. Tensor cores round differently: tests keep a
// tolerance.
#include <immintrin.h>

#include <cstring>

#include "decode/encoder.h"
#include "exec/access.h"
#include "exec/half.h"

namespace winnow::gpusim {
namespace {

constexpr int kRows = 16, kColumns = 8, kPart = 8;

__m256 widen(__m128i halves, BF16) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16)); }
__m256 widen(__m128i halves, F16) { return _mm256_cvtph_ps(halves); }

void transpose(__m256 rows[8]) {
  __m256 t[8], u[8];
  for (int k = 0; k < 4; ++k) {
    t[2 * k] = _mm256_unpacklo_ps(rows[2 * k], rows[2 * k + 1]);
    t[2 * k + 1] = _mm256_unpackhi_ps(rows[2 * k], rows[2 * k + 1]);
  }
  for (int k = 0; k < 2; ++k) {
    u[4 * k] = _mm256_shuffle_ps(t[4 * k], t[4 * k + 2], 0x44);
    u[4 * k + 1] = _mm256_shuffle_ps(t[4 * k], t[4 * k + 2], 0xEE);
    u[4 * k + 2] = _mm256_shuffle_ps(t[4 * k + 1], t[4 * k + 3], 0x44);
    u[4 * k + 3] = _mm256_shuffle_ps(t[4 * k + 1], t[4 * k + 3], 0xEE);
  }
  for (int k = 0; k < 4; ++k) {
    rows[k] = _mm256_permute2f128_ps(u[k], u[k + 4], 0x20);
    rows[k + 4] = _mm256_permute2f128_ps(u[k], u[k + 4], 0x31);
  }
}

// list: d0..d3, a0..a(2 kDepth / 8 - 1), b.., c0..c3
template <class H, int kDepth>
void multiply(Warp& w, const Instruction& i, uint32_t lanes) {
  constexpr int kParts = kDepth / kPart;
  if (lanes != kAllLanes) {
    w.fault(FindingKind::kIllegalInstruction, 719, i, static_cast<uint32_t>(__builtin_ctz(~lanes)),
            "mma.sync without all 32 lanes");
  }
  ++w.block->counters.mma;
  alignas(32) float a[kRows][kDepth];
  __m256 b[kDepth];
  for (int part = 0; part < kParts; ++part) {
    for (int half = 0; half < 2; ++half) {
      const auto* quarter = w.at<__m128i>(i.list[4 + 2 * part + half]);
      for (int g = 0; g < 8; ++g)
        _mm256_store_ps(&a[8 * half + g][kPart * part], widen(_mm_loadu_si128(quarter + g), H{}));
    }
    const auto* columns = w.at<__m128i>(i.list[4 + 2 * kParts + part]);
    for (int n = 0; n < kColumns; ++n) b[kPart * part + n] = widen(_mm_loadu_si128(columns + n), H{});
    transpose(b + kPart * part);
  }
  const Slot* c_list = i.list + 4 + 3 * kParts;
  __m256 sums[kRows];
  for (int half = 0; half < 2; ++half) {
    const float *even = w.at<float>(c_list[2 * half]), *odd = w.at<float>(c_list[2 * half + 1]);
    for (int g = 0; g < 8; ++g) {
      const __m128 e = _mm_loadu_ps(even + 4 * g), o = _mm_loadu_ps(odd + 4 * g);
      sums[8 * half + g] = _mm256_set_m128(_mm_unpackhi_ps(e, o), _mm_unpacklo_ps(e, o));
    }
  }
  for (int block = 0; block < kRows; block += 8) {  // eight independent sums hide the latency of the additions
    __m256 s[8];
    for (int r = 0; r < 8; ++r) s[r] = sums[block + r];
    for (int k = 0; k < kDepth; ++k) {
      for (int r = 0; r < 8; ++r) s[r] = _mm256_fmadd_ps(_mm256_broadcast_ss(&a[block + r][k]), b[k], s[r]);
    }
    for (int r = 0; r < 8; ++r) sums[block + r] = s[r];
  }
  for (int half = 0; half < 2; ++half) {
    float *even = w.at<float>(i.list[2 * half]), *odd = w.at<float>(i.list[2 * half + 1]);
    for (int g = 0; g < 8; ++g) {
      const __m128 low = _mm256_castps256_ps128(sums[8 * half + g]),
                   high = _mm256_extractf128_ps(sums[8 * half + g], 1);
      _mm_storeu_ps(even + 4 * g, _mm_shuffle_ps(low, high, 0x88));
      _mm_storeu_ps(odd + 4 * g, _mm_shuffle_ps(low, high, 0xDD));
    }
  }
}

void encode_multiply(Encoder& e) {
  e.require_operands(4, 4);
  const bool deep = e.match.has(".m16n8k16"), bf16 = e.match.has(".bf16");
  const size_t expected[] = {4, deep ? 4u : 2u, deep ? 2u : 1u, 4};
  for (size_t k = 0; k < 4; ++k) {
    const Operand& o = e.operand(k);
    if (o.kind != Operand::kVector || o.elements.size() != expected[k])
      e.fail("operand " + std::to_string(k + 1) + " must be a vector of " + std::to_string(expected[k]));
    if (k == 0) {
      e.define_list(o, Type::kB32);
    } else {
      e.use_list(o, k == 3 ? Type::kF32 : Type::kB32);
    }
  }
  if (deep) {
    e.out.run = bf16 ? multiply<BF16, 16> : multiply<F16, 16>;
  } else {
    e.out.run = bf16 ? multiply<BF16, 8> : multiply<F16, 8>;
  }
}

// Lanes 8 k to 8 k + 7 give the row addresses of matrix k, 16 bytes each.
template <bool kTransposed>
void load_matrices(Warp& w, const Instruction& i, uint32_t lanes) {
  if (lanes != kAllLanes) {
    w.fault(FindingKind::kIllegalInstruction, 719, i, static_cast<uint32_t>(__builtin_ctz(~lanes)),
            "ldmatrix without all 32 lanes");
  }
  Lanes rows;
  compute_addresses(w, i, lanes, 0, rows);
  const int num_rows = 8 * i.num_list;
  for (int l = num_rows; l < kWarpSize; ++l) rows.address[l] = rows.address[0];  // not looked at
  if (i.space == AddressSpace::kGeneric) {
    for (uint64_t& a : rows.address) a -= kSharedWindow;
  }
  const uint32_t named = num_rows == kWarpSize ? kAllLanes : (1u << num_rows) - 1;
  resolve_addresses(w, i, named, 16, AccessKind::kMatrixLoad, AddressSpace::kShared, rows);
  for (int m = 0; m < i.num_list; ++m) {
    uint16_t* d = w.at<uint16_t>(i.list[m]);  // 8 x 8, row-major
    if (!kTransposed) {
      for (int r = 0; r < 8; ++r) std::memcpy(d + 8 * r, rows.pointer[8 * m + r], 16);
    } else {
      uint16_t matrix[8][8];
      for (int r = 0; r < 8; ++r) std::memcpy(matrix[r], rows.pointer[8 * m + r], 16);
      for (int r = 0; r < 8; ++r) {
        for (int c = 0; c < 8; ++c) d[8 * r + c] = matrix[c][r];
      }
    }
  }
}

void encode_load_matrices(Encoder& e) {
  e.require_operands(2, 2);
  const size_t num = e.match.has(".x1") ? 1 : e.match.has(".x2") ? 2 : 4;
  const Operand& d = e.operand(0);
  if ((d.kind == Operand::kVector ? d.elements.size() : 1) != num)
    e.fail("expected " + std::to_string(num) + " registers");
  e.define_list(d, Type::kB32);
  e.address(0, e.operand(1),
            e.match.has(".shared") || e.match.has(".shared::cta") ? AddressSpace::kShared : AddressSpace::kGeneric);
  e.out.run = e.match.has(".trans") ? load_matrices<true> : load_matrices<false>;
}

}  // namespace

const Forms& matrix_forms() {
  static const Forms forms = {
      {"mma.sync.aligned(.m16n8k16,.m16n8k8).row.col.f32(.bf16).bf16.f32", nullptr, nullptr, encode_multiply},
      {"mma.sync.aligned(.m16n8k16,.m16n8k8).row.col.f32(.f16).f16.f32", nullptr, nullptr, encode_multiply},
      {"ldmatrix.sync.aligned.m8n8(.x1,.x2,.x4){.trans}{.shared,.shared::cta}.b16", nullptr, nullptr,
       encode_load_matrices},
  };
  return forms;
}

}  // namespace winnow::gpusim
