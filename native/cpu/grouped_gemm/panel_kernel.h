// One block of grouped_gemm whose weights lie in panels (winnow/base/weight_layout.h), over the vectors of an
// instruction set. Included once by each grouped_gemm_cpu_<set>.cpp; everything is local to that file.
//
// Here a step is what a panel stores side by side for each of its rows of weights, kStep elements along k, and a part is
// what one multiplication takes of a step.
//
// Loops    group of at most kPanels panels > block along k > tile of kRows rows > step. A tile keeps kRows accumulators
//          per vector of its panels in registers, lanes are outputs. Weights go from memory to registers as stored, and
//          what a step takes of a tile's rows is packed side by side.
//
// Order    one accumulator per output, k ascending. Nothing depends on the tile's shape.
//
// Prefetch the tiles request the part that follows, in even portions, to L2. So weights take little room there, and packed
//          rows stay.
//
// A panel of fewer rows and a last step that is not whole are copied to scratch and filled up with zeros.
#pragma once

#include "grouped_gemm_kernel.h"
#include "panel_sums.h"

namespace winnow {

namespace {

// How a panel's weights become vectors. kParts multiplications take a step; load<part>(panel, step, v) gives vector v of
// a part, for outputs v * kF32Lanes and up. A decoder that widens costs time per tile: with more than kMaxDirectTiles
// tiles, panels are converted once.
template <WeightFormat kFormat>
struct PanelDecoder;

template <>
struct PanelDecoder<WeightFormat::f32> {
  using Element = float;
  static constexpr int kStep = WeightFormatTraits<WeightFormat::f32>::kPanelElements, kParts = 1;
  static constexpr bool kWidens = false;
  template <int kPart>
  static F32Vector load(const Element* panel, int64_t step, int v) {
    return load_f32(panel + step * kPanelRows + v * kF32Lanes);
  }
};

template <>
struct PanelDecoder<WeightFormat::f16> {
  using Element = uint16_t;
  static constexpr int kStep = WeightFormatTraits<WeightFormat::f16>::kPanelElements, kParts = 1;
  static constexpr bool kWidens = true;
  template <int kPart>
  static F32Vector load(const Element* panel, int64_t step, int v) {
    return load_f16(panel + step * kPanelRows + v * kF32Lanes);
  }
};

template <>
struct PanelDecoder<WeightFormat::bf16> {
  using Element = uint16_t;
  static constexpr int kStep = WeightFormatTraits<WeightFormat::bf16>::kPanelElements, kParts = 2;
  static constexpr bool kWidens = true;
  template <int kPart>
  static F32Vector load(const Element* panel, int64_t step, int v) {
    const Bf16Pairs pairs = load_bf16_pairs(panel + (step * kPanelRows + v * kF32Lanes) * 2);
    return kPart == 0 ? even(pairs) : odd(pairs);
  }
};

#if defined(__AVX512BF16__)

// bf16 that stays as it is, for arithmetic on pairs.
struct PanelPairDecoder {
  using Element = uint16_t;
  static constexpr int kStep = WeightFormatTraits<WeightFormat::bf16>::kPanelElements, kParts = 1;
  static constexpr bool kWidens = false;
  template <int kPart>
  static Bf16Pairs load(const Element* panel, int64_t step, int v) {
    return load_bf16_pairs(panel + (step * kPanelRows + v * kF32Lanes) * 2);
  }
};

#endif

// Elements of a packed row that lie side by side: what a broadcast takes.
template <typename Packed>
constexpr int64_t kPackedGroup = int64_t{sizeof(float) / sizeof(Packed)};

// Packs the block's rows in tiles of a height: group after group along k, of all rows of the tile. A row has
// row_elements, zeros past its end.
template <typename Packed, typename Input>
void pack_tiles(const GroupedGemmBlock& block, const GroupedGemmScratch& scratch, int64_t height,
                int64_t row_elements) {
  constexpr int64_t kGroup = kPackedGroup<Packed>;
  const int64_t input_size = block.product.input_size;
  for (int64_t begin = block.row_begin; begin < block.row_end; begin += height) {
    const int64_t rows = std::min(height, block.row_end - begin);
    auto* tile = static_cast<Packed*>(scratch.packed) + (begin - block.row_begin) * row_elements;
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t source = block.source_rows == nullptr ? begin + i : block.source_rows[begin + i];
      const auto* from = static_cast<const Input*>(block.product.input) + source * input_size;
      Packed* to = tile + i * kGroup;
      for (int64_t k = 0; k < input_size; ++k) assign(to[k / kGroup * rows * kGroup + k % kGroup], from[k]);
      for (int64_t k = input_size; k < row_elements; ++k) to[k / kGroup * rows * kGroup + k % kGroup] = Packed{0};
    }
  }
}

// Some steps of some panels.
template <typename Element, int kNumPanels>
struct PanelPart {
  const Element* panels[kNumPanels];
  int64_t begin, end;  // steps
  int64_t k;           // of step 0
  bool first_of_sum;
};

// Every so many steps a line of each panel is requested. A constant number, since a branch that is hard to foresee
// costs as much as two steps.
struct PanelPrefetch {
  const char* panels[kMaxPanels];
  int64_t offset;       // of the next line
  int64_t period, due;  // steps between two lines, and until the next one
};

// Packed rows of input, tile after tile, and the sums of their products.
template <typename Packed>
struct PanelRows {
  const Packed* packed;
  int64_t row_elements;
  float* sums;
  int64_t num_rows, height;  // of all tiles, and of a tile
};

// Adds the products of rows with a part of some panels to sums, tile by tile.
template <typename Set, typename Decoder>
class PanelTiles {
  using Packed = typename Set::Packed;
  using Element = typename Decoder::Element;
  using Accumulator = typename Set::Accumulator;
  static constexpr int kParts = Decoder::kParts, kStep = Decoder::kStep;
  static_assert(kStep / kParts == kPackedGroup<Packed>, "a part multiplies what is packed side by side");
  static constexpr int kRows = Set::kPanelTileRows;
  static constexpr int kLanes = kF32Lanes, kVectors = kPanelRows / kLanes;  // of a panel

 public:
  template <int kNumPanels>
  static void multiply(const PanelPart<Element, kNumPanels>& part, const PanelRows<Packed>& rows,
                       PanelPrefetch& prefetch) {
    for (int64_t row = 0; row < rows.num_rows; row += rows.height) {
      const int64_t count = rows.num_rows - row < rows.height ? rows.num_rows - row : rows.height;
      const PanelRows<Packed> tile{rows.packed + row * rows.row_elements + part.k * count, rows.row_elements,
                                   rows.sums + row * kPanelSumsStride, count, count};
      dispatch<kRows>(part, tile, prefetch);
    }
  }

 private:
  template <int kCount, int kNumPanels>
  static void dispatch(const PanelPart<Element, kNumPanels>& part, const PanelRows<Packed>& tile,
                       PanelPrefetch& prefetch) {
    if (tile.num_rows == kCount) {
      multiply_tile<kCount>(part, tile, prefetch);
    } else if constexpr (kCount > 1) {
      dispatch<kCount - 1>(part, tile, prefetch);
    }
  }

  template <int kCount, int kNumPanels>
  static void multiply_tile(const PanelPart<Element, kNumPanels>& part, const PanelRows<Packed>& tile,
                            PanelPrefetch& prefetch_state) {
    constexpr int kColumns = kNumPanels * kVectors;  // vectors
    PanelPrefetch prefetch = prefetch_state;
    Accumulator sums[kCount * kColumns];
#pragma GCC unroll 32
    for (int i = 0; i < kCount * kColumns; ++i)
      sums[i] = part.first_of_sum
                    ? Set::zero()
                    : Set::load_accumulator(tile.sums + i / kColumns * kPanelSumsStride + i % kColumns * kLanes);
    const Packed* a = tile.packed + part.begin * kStep * kCount;
    for (int64_t s = part.begin; s < part.end; ++s, a += kStep * kCount) {
      if (--prefetch.due == 0) {
        prefetch.due = prefetch.period;
#pragma GCC unroll 4
        for (int p = 0; p < kNumPanels; ++p) _mm_prefetch(prefetch.panels[p] + prefetch.offset, _MM_HINT_T1);
        prefetch.offset += 64;
      }
      multiply_part<kCount, 0>(a, part, s, sums);
      if constexpr (kParts == 2) multiply_part<kCount, 1>(a, part, s, sums);
    }
    prefetch_state = prefetch;
#pragma GCC unroll 32
    for (int i = 0; i < kCount * kColumns; ++i)
      Set::store_accumulator(tile.sums + i / kColumns * kPanelSumsStride + i % kColumns * kLanes, sums[i]);
  }

  template <int kCount, int kPart, int kNumPanels>
  static inline __attribute__((always_inline)) void multiply_part(const Packed* a,
                                                                  const PanelPart<Element, kNumPanels>& part, int64_t s,
                                                                  Accumulator* sums) {
    constexpr int kColumns = kNumPanels * kVectors;
    typename Set::Vector weights[kColumns];
#pragma GCC unroll 16
    for (int v = 0; v < kColumns; ++v)
      weights[v] = Decoder::template load<kPart>(part.panels[v / kVectors], s, v % kVectors);
#pragma GCC unroll 8
    for (int m = 0; m < kCount; ++m) {
      const typename Set::Vector input = Set::broadcast(a + (kPart * kCount + m) * (kStep / kParts));
#pragma GCC unroll 16
      for (int v = 0; v < kColumns; ++v)
        sums[m * kColumns + v] = Set::multiply_add(input, weights[v], sums[m * kColumns + v]);
    }
  }
};

template <typename Set, typename Decoder>
class PanelKernel {
  using Packed = typename Set::Packed;
  using Element = typename Decoder::Element;
  using Group = PanelGroup<Element>;
  static constexpr int kStep = Decoder::kStep, kPanels = Set::kPanelTilePanels;

  // Elements along k per block: four panels then take 32 KiB.
  static constexpr int64_t kBlock = 512 / int64_t{sizeof(Element)};
  static constexpr int64_t kMaxDirectTiles = 2;
  // The same of panels that were converted to f32.
  static constexpr int64_t kConvertedBlock = 128;
  static_assert(kMaxPanels * kBlock * kPanelRows * int64_t{sizeof(Element)} <= kPanelBytes, "room for padded panels");

 public:
  template <typename Input>
  static void run(const GroupedGemmBlock& block, const GroupedGemmScratch& scratch, bool pack) {
    PanelKernel kernel(block, scratch);
    if (pack) pack_tiles<Packed, Input>(block, scratch, kernel.rows_.height, kernel.rows_.row_elements);
    kernel.multiply();
  }

 private:
  PanelKernel(const GroupedGemmBlock& block, const GroupedGemmScratch& scratch)
      : block_(block), scratch_(scratch), input_size_(block.product.input_size) {
    const int64_t rows = block.row_end - block.row_begin;
    num_tiles_ = (rows + Set::kPanelTileRows - 1) / Set::kPanelTileRows;
    // Tiles of about the same height: a last one of one row would read all weights again for little work.
    rows_ = {static_cast<const Packed*>(scratch.packed), (input_size_ + kStep - 1) / kStep * kStep, scratch.sums, rows,
             (rows + num_tiles_ - 1) / num_tiles_};
  }

  void multiply() const {
    for (int64_t column = block_.column_begin; column < block_.column_end;) {
      const Group group(block_, column, block_.gated() && kPanels == 1 ? 2 : kPanels);
      multiply_panels<kPanels>(group, 0);
      finish_panels(block_, scratch_.sums, column, group.num_columns);
      column += group.num_columns;
    }
  }

  // Multiplies the group's panels from the first one on, as many at once as there are, up to kNumPanels.
  template <int kNumPanels>
  void multiply_panels(const Group& group, int first) const {
    for (; group.num_panels - first >= kNumPanels; first += kNumPanels) multiply_rows<kNumPanels>(group, first);
    if constexpr (kNumPanels > 1) multiply_panels<kNumPanels / 2>(group, first);
  }

  template <int kNumPanels>
  void multiply_rows(const Group& group, int first) const {
    PanelRows<Packed> rows = rows_;
    rows.sums += first * kPanelRows;
    const int64_t whole = group.whole() ? input_size_ / kStep : 0;  // steps
    const bool convert = Decoder::kWidens && num_tiles_ > kMaxDirectTiles;
    const int64_t block = convert ? kConvertedBlock : kBlock;
    const int64_t blocks = num_tiles_ == 1 ? 1 : (input_size_ + block - 1) / block;
    PanelPrefetch prefetch{};  // of nothing
    bool begun = false;
    for (int64_t b = 0; b < blocks && whole > 0; ++b) {
      PanelPart<Element, kNumPanels> part{{}, whole * b / blocks, whole * (b + 1) / blocks, 0, !begun};
      for (int i = 0; i < kNumPanels; ++i) part.panels[i] = group.panels[first + i];
      prefetch = prefetch_during(part, whole, group.num_columns);
      begun = true;
      if constexpr (Decoder::kWidens) {
        if (convert) {
          multiply_converted(part, rows, prefetch);
          continue;
        }
      }
      PanelTiles<Set, Decoder>::multiply(part, rows, prefetch);
    }
    // What is not stored as whole steps of whole panels.
    prefetch.due = 0;
    for (int64_t k = whole * kStep; k < input_size_ || !begun; k += kBlock) {
      const int64_t size = input_size_ - k < kBlock ? input_size_ - k : kBlock;
      const int64_t steps = (size + kStep - 1) / kStep;
      PanelPart<Element, kNumPanels> part{{}, 0, steps, k, !begun};
      for (int i = 0; i < kNumPanels; ++i) {
        auto* padded = static_cast<Element*>(scratch_.panel) + i * kBlock * kPanelRows;
        copy_padded_panel<kStep>(group.panels[first + i], group.rows[first + i], k, size, steps * kStep, padded);
        part.panels[i] = padded;
      }
      PanelTiles<Set, Decoder>::multiply(part, rows, prefetch);
      begun = true;
    }
  }

  // One tile goes through memory once and requests what comes soon. Several request the part that follows, which in the
  // end is the first one of the next group.
  template <int kNumPanels>
  PanelPrefetch prefetch_during(const PanelPart<Element, kNumPanels>& part, int64_t whole, int64_t num_columns) const {
    constexpr int64_t kStepBytes = kStep * kPanelRows * int64_t{sizeof(Element)};
    const int64_t group_bytes = num_columns * input_size_ * int64_t{sizeof(Element)};
    const int64_t ahead = num_tiles_ == 1    ? kAheadBytes / kNumPanels
                          : part.end < whole ? part.end * kStepBytes
                                             : group_bytes;
    static_assert(64 % kStepBytes == 0, "a line holds whole steps");
    const int64_t period = num_tiles_ * (64 / kStepBytes);
    PanelPrefetch prefetch{{}, ahead, period, period};
    for (int i = 0; i < kNumPanels; ++i) prefetch.panels[i] = reinterpret_cast<const char*>(part.panels[i]);
    return prefetch;
  }

  // Many tiles: the part is converted once, to panels of f32 in scratch.
  template <int kNumPanels>
  void multiply_converted(const PanelPart<Element, kNumPanels>& part, const PanelRows<Packed>& rows,
                          PanelPrefetch& prefetch) const {
    using F32 = PanelDecoder<WeightFormat::f32>;
    static_assert(kMaxPanels * kConvertedBlock * kPanelRows * int64_t{sizeof(float)} <= kPanelBytes, "room");
    PanelPart<float, kNumPanels> converted{
        {}, 0, (part.end - part.begin) * kStep, part.begin * kStep, part.first_of_sum};
    for (int i = 0; i < kNumPanels; ++i) {
      float* to = static_cast<float*>(scratch_.panel) + i * kConvertedBlock * kPanelRows;
      converted.panels[i] = to;
      for (int64_t s = part.begin; s < part.end; ++s) {
        for (int v = 0; v < kPanelRows / kF32Lanes; ++v, to += kF32Lanes)
          Set::store(to, Decoder::template load<0>(part.panels[i], s, v));
        if constexpr (Decoder::kParts == 2) {
          for (int v = 0; v < kPanelRows / kF32Lanes; ++v, to += kF32Lanes)
            Set::store(to, Decoder::template load<1>(part.panels[i], s, v));
        }
      }
    }
    prefetch.period *= kStep;  // a step is one element now
    prefetch.due = prefetch.period;
    PanelTiles<Set, F32>::multiply(converted, rows, prefetch);
  }

  const GroupedGemmBlock& block_;
  const GroupedGemmScratch& scratch_;
  const int64_t input_size_;
  int64_t num_tiles_;
  PanelRows<Packed> rows_;
};

// Set: the f32 arithmetic of an instruction set. Null for a format without panels.
template <typename Set>
GroupedGemmKernel choose_panel_kernel(Operands operands, WeightFormat weight_format) {
  switch (weight_format) {
#define WINNOW_WEIGHT_FORMAT(name, NAME, code, elements, bytes, scale_bytes, panel, ...) \
  case WeightFormat::name:                                                               \
    if constexpr (panel > 0) {                                                           \
      return choose_input<PanelKernel<Set, PanelDecoder<WeightFormat::name>>>(operands); \
    }                                                                                    \
    return nullptr;
#include "winnow/base/weight_formats.inc"
#undef WINNOW_WEIGHT_FORMAT
  }
  return nullptr;
}

}  // namespace

}  // namespace winnow
