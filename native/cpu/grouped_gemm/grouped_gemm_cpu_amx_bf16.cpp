// bf16 by bf16 over panels. Many rows are multiplied with AMX tiles: 16 rows x 16 outputs per tile of sums, 32 elements
// along k per instruction. One or two rows are multiplied with FMAs in the same order, which keeps more reads from DRAM
// under way (one row, Qwen3's shapes, share of a plain read, one interleaved run: 119 % with FMAs, 96 % with tiles).
// Other types and formats as on avx512.
//
// Loops    two panels of 16 outputs (a gated pair: gate and up) > up to 32 rows, as 2 x 2 tiles of sums > 32 elements
//          along k. A step loads 2 KiB of weights straight from the panels and 2 KiB of packed rows. The first rows of a
//          panel request the weights that follow (512 tokens, Qwen3's shapes: 232 ms without, 114 ms with).
//
// Order    as tdpbf16ps adds: per 32 elements along k, the even ones and the odd ones each in ascending order from zero,
//          then the sum of both is added to the output's. Subnormal numbers count as zero.
#include "base/amx_tiles.h"
#include "grouped_gemm_avx512.h"

namespace winnow {

namespace {

constexpr int64_t kPanelStepElements = kTileDepth * kPanelRows;  // of a panel, per step
constexpr int64_t kMaxFewRows = 2;                               // that are multiplied without tiles
constexpr int64_t kFewAheadBytes = 1024, kTilesAheadBytes = 2048;

// Elements between two packed rows: a multiple of 32, and one cache line more, so that rows of a power of two do not
// fall into the same sets of the cache.
template <typename Packed>
int64_t packed_row_stride(int64_t input_size) {
  return (input_size + 31) / 32 * 32 + 64 / int64_t{sizeof(Packed)};
}

// Packs the block's rows one after the other, with zeros up to a multiple of 32 elements, and rows of zeros up to
// num_padded_rows.
template <typename Packed, typename Input>
void pack_rows(const GroupedGemmBlock& block, const GroupedGemmScratch& scratch, int64_t stride,
               int64_t num_padded_rows) {
  const int64_t num_rows = block.row_end - block.row_begin, input_size = block.product.input_size;
  auto* to = static_cast<Packed*>(scratch.packed);
  for (int64_t i = 0; i < num_rows; ++i, to += stride) {
    const int64_t row = block.row_begin + i;
    const int64_t source = block.source_rows == nullptr ? row : block.source_rows[row];
    const auto* from = static_cast<const Input*>(block.product.input) + source * input_size;
    for (int64_t k = 0; k < input_size; ++k) assign(to[k], from[k]);
    std::fill(to + input_size, to + (input_size + 31) / 32 * 32, Packed{0});
  }
  if (num_rows < num_padded_rows) std::fill(to, to + (num_padded_rows - num_rows) * stride, Packed{0});
}

class AmxKernel {
  using Group = PanelGroup<uint16_t>;

 public:
  template <typename Input>
  static void run(const GroupedGemmBlock& block, const GroupedGemmScratch& scratch, bool pack) {
    AmxKernel kernel(block, scratch);
    if (pack) pack_rows<uint16_t, Input>(block, scratch, kernel.row_stride_, kernel.groups_ * kernel.height_);
    kernel.num_rows_ <= kMaxFewRows ? kernel.multiply_few() : kernel.multiply();
  }

 private:
  AmxKernel(const GroupedGemmBlock& block, const GroupedGemmScratch& scratch)
      : block_(block),
        scratch_(scratch),
        num_rows_(block.row_end - block.row_begin),
        input_size_(block.product.input_size),
        row_stride_(packed_row_stride<uint16_t>(block.product.input_size)),
        groups_((num_rows_ + 2 * kTileRows - 1) / (2 * kTileRows)),
        height_((num_rows_ + groups_ - 1) / groups_) {}

  void multiply() const {
    // Sums are tiles 0 to 3, the lower rows' 2 and 3; packed rows 4 and 5, the lower ones 5; weights 6 and 7.
    const int64_t upper = std::min(height_, kTileRows), lower = std::max<int64_t>(height_ - kTileRows, 1);
    const Tiles tiles([&](int i) { return i >= 6 ? kTileRows : i == 2 || i == 3 || i == 5 ? lower : upper; });
    for (int64_t column = block_.column_begin; column < block_.column_end;) {
      const Group group(block_, column, 2);
      const auto* packed = static_cast<const uint16_t*>(scratch_.packed);
      for (int64_t g = 0; g < groups_; ++g) {
        const uint16_t* a = packed + g * height_ * row_stride_;
        float* sums = scratch_.sums + g * height_ * kPanelSumsStride;
        height_ > kTileRows ? multiply_rows<true>(a, group, g == 0, sums)
                            : multiply_rows<false>(a, group, g == 0, sums);
      }
      finish_panels(block_, scratch_.sums, column, group.num_columns);
      column += group.num_columns;
    }
  }

  // A group of one panel is multiplied twice, and the second result is not used.
  template <bool kLower>
  void multiply_rows(const uint16_t* a, const Group& group, bool request, float* sums) const {
    order_memory();
    _tile_zero(0);
    _tile_zero(1);
    if (kLower) _tile_zero(2);
    if (kLower) _tile_zero(3);
    const int64_t whole = group.whole() ? input_size_ / kTileDepth : 0;
    const int second = group.num_panels - 1;
    const uint16_t* b = group.panels[0];
    const uint16_t* c = group.panels[second];
    for (int64_t s = 0; s < whole; ++s, a += kTileDepth, b += kPanelStepElements, c += kPanelStepElements) {
      if (request) {
#pragma GCC unroll 16
        for (int64_t line = 0; line < 16; ++line) {
          _mm_prefetch(reinterpret_cast<const char*>(b) + kTilesAheadBytes + line * 64, _MM_HINT_T1);
          _mm_prefetch(reinterpret_cast<const char*>(c) + kTilesAheadBytes + line * 64, _MM_HINT_T1);
        }
      }
      step<kLower>(a, b, c);
    }
    auto* padded = static_cast<uint16_t*>(scratch_.panel);
    for (int64_t k = whole * kTileDepth; k < input_size_; k += kTileDepth, a += kTileDepth) {
      copy_step(group, 0, k, padded);
      if (second > 0) copy_step(group, 1, k, padded + kPanelStepElements);
      order_memory();
      step<kLower>(a, padded, padded + second * kPanelStepElements);
      order_memory();
    }
    constexpr int64_t kStrideBytes = kPanelSumsStride * sizeof(float);
    _tile_stored(0, sums, kStrideBytes);
    _tile_stored(1, sums + kPanelRows, kStrideBytes);
    if (kLower) _tile_stored(2, sums + kTileRows * kPanelSumsStride, kStrideBytes);
    if (kLower) _tile_stored(3, sums + kTileRows * kPanelSumsStride + kPanelRows, kStrideBytes);
    order_memory();
  }

  template <bool kLower>
  void step(const uint16_t* a, const uint16_t* b, const uint16_t* c) const {
    constexpr int64_t kGroupBytes = kPanelRows * 2 * sizeof(uint16_t);
    const int64_t row_bytes = row_stride_ * int64_t{sizeof(uint16_t)};
    _tile_loadd(6, b, kGroupBytes);
    _tile_loadd(4, a, row_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, c, kGroupBytes);
    _tile_dpbf16ps(1, 4, 7);
    if (!kLower) return;
    _tile_loadd(5, a + kTileRows * row_stride_, row_bytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }

  void multiply_few() const {
    const FlushSubnormals flush;
    for (int64_t column = block_.column_begin; column < block_.column_end;) {
      const Group group(block_, column, kMaxPanels);
      num_rows_ == 1 ? multiply_few<1, kMaxPanels>(group, 0) : multiply_few<2, kMaxPanels>(group, 0);
      finish_panels(block_, scratch_.sums, column, group.num_columns);
      column += group.num_columns;
    }
  }

  // As many of the group's panels at once as there are from the first one on, up to kNumPanels.
  template <int kCount, int kNumPanels>
  void multiply_few(const Group& group, int first) const {
    for (; group.num_panels - first >= kNumPanels; first += kNumPanels)
      multiply_few_panels<kCount, kNumPanels>(group, first);
    if constexpr (kNumPanels > 1) multiply_few<kCount, kNumPanels / 2>(group, first);
  }

  template <int kCount, int kNumPanels>
  void multiply_few_panels(const Group& group, int first) const {
    __m512 sums[kCount * kNumPanels];
    for (auto& sum : sums) sum = _mm512_setzero_ps();
    const int64_t whole = group.whole() ? input_size_ / kTileDepth : 0;
    const auto* a = static_cast<const uint16_t*>(scratch_.packed);
    const uint16_t* panels[kNumPanels];
    for (int i = 0; i < kNumPanels; ++i) panels[i] = group.panels[first + i];
    for (int64_t s = 0; s < whole; ++s, a += kTileDepth) few_step<kCount, kNumPanels>(a, panels, sums);
    auto* padded = static_cast<uint16_t*>(scratch_.panel);
    for (int64_t k = whole * kTileDepth; k < input_size_; k += kTileDepth, a += kTileDepth) {
      for (int i = 0; i < kNumPanels; ++i) {
        copy_step(group, first + i, k, padded + i * kPanelStepElements);
        panels[i] = padded + i * kPanelStepElements;
      }
      few_step<kCount, kNumPanels>(a, panels, sums);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kCount * kNumPanels; ++i)
      _mm512_store_ps(scratch_.sums + i / kNumPanels * kPanelSumsStride + (first + i % kNumPanels) * kPanelRows,
                      sums[i]);
  }

  // 32 elements along k: what tdpbf16ps does with one row. Moves the panels on.
  template <int kCount, int kNumPanels>
  inline __attribute__((always_inline)) void few_step(const uint16_t* a, const uint16_t** panels, __m512* sums) const {
    constexpr int kSums = kCount * kNumPanels;
    __m512 evens[kSums], odds[kSums];
#pragma GCC unroll 8
    for (int i = 0; i < kSums; ++i) evens[i] = odds[i] = _mm512_setzero_ps();
#pragma GCC unroll 2
    for (int64_t pair = 0; pair < kTileDepth / 2; ++pair) {
      __m512 even_input[kCount], odd_input[kCount];
#pragma GCC unroll 2
      for (int m = 0; m < kCount; ++m) {
        int32_t bits;
        std::memcpy(&bits, a + m * row_stride_ + 2 * pair, sizeof(bits));
        const Bf16Pairs input = _mm512_set1_epi32(bits);
        even_input[m] = even(input);
        odd_input[m] = odd(input);
      }
#pragma GCC unroll 4
      for (int p = 0; p < kNumPanels; ++p) {
        const uint16_t* at = panels[p] + pair * 2 * kPanelRows;
        _mm_prefetch(reinterpret_cast<const char*>(at) + kFewAheadBytes, _MM_HINT_T1);
        const Bf16Pairs weights = load_bf16_pairs(at);
#pragma GCC unroll 2
        for (int m = 0; m < kCount; ++m) {
          const int i = m * kNumPanels + p;
          evens[i] = _mm512_fmadd_ps(even_input[m], even(weights), evens[i]);
          odds[i] = _mm512_fmadd_ps(odd_input[m], odd(weights), odds[i]);
        }
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < kSums; ++i) sums[i] = _mm512_add_ps(sums[i], _mm512_add_ps(evens[i], odds[i]));
#pragma GCC unroll 4
    for (int p = 0; p < kNumPanels; ++p) panels[p] += kPanelStepElements;
  }

  // Elements from k on of one of the group's panels, as a whole step.
  void copy_step(const Group& group, int panel, int64_t k, uint16_t* to) const {
    const int64_t size = std::min(input_size_ - k, kTileDepth);
    copy_padded_panel<2>(group.panels[panel], group.rows[panel], k, size, kTileDepth, to);
  }

  const GroupedGemmBlock& block_;
  const GroupedGemmScratch& scratch_;
  const int64_t num_rows_, input_size_, row_stride_;
  const int64_t groups_, height_;  // rows that a panel is read for at once
};

}  // namespace

GroupedGemmKernel panel_kernel_amx_bf16(Operands operands, WeightFormat weight_format) {
  if (operands != Operands::f32 && weight_format == WeightFormat::bf16)
    return operands == Operands::bf16 ? AmxKernel::run<uint16_t> : AmxKernel::run<RoundedF32>;
  return choose_panel_kernel<Avx512>(operands, weight_format);
}

}  // namespace winnow
