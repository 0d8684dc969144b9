// One block of grouped_gemm, over the vectors of an instruction set. Included once by each grouped_gemm_cpu_<set>.cpp;
// everything is local to that file, because each is compiled with flags of its own.
//
// Here m = rows of the block, n = columns of weights (a gated pair counts twice), k = input_size. A step is kStep
// elements along k, kVectors vectors.
//
// Loops    panel of kColumns weight rows > block along k > tile of kRows rows > step. A tile keeps kRows x kColumns
//          accumulators in registers, one vector per output element. With few tiles, weights go from memory to
//          registers as stored; with more than Decoder::kMaxDirectTiles, the panel is converted once into L1-resident
//          scratch. Input rows are gathered and converted once per block, so that a tile then reads two streams.
//
// Order    lane by lane along k, steps ascending; then the lanes in a fixed tree. Nothing depends on the tile's shape
//          or on whether a panel was used.
//
// Prefetch while a panel is computed, a later one is requested in even portions, so that DRAM works during the
//          arithmetic. It is the next panel or, if rows are short, the first one that lies kAheadBytes ahead. It goes
//          to L2: in L1 it would displace the panel that is in use (one token, bf16, interleaved runs: 0.86 of the
//          measured memory speed with L1, 0.90 with L2).
//
// Weights come from a Decoder of their format, see weight_decoders.h. Set, the arithmetic of an instruction set,
// provides:
//
//   Packed                element type of packed rows and panels
//   Vector, Accumulator   kStep / kVectors Packed elements; f32 lanes
//   kRows, kColumns       of a tile
//   kStep, kVectors       elements and vectors per step
//   load, store           one vector of packed memory; load_accumulator, store_accumulator
//   multiply_add, zero    a * b + c
//   sum4(a, b, c, d, to)  adds the lanes of each of four accumulators
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "base/activation.h"
#include "base/weight_decoders.h"
#include "grouped_gemm_block.h"
#include "operands.h"

namespace winnow {

namespace {

// Elements along k per block: a panel of 6 columns then takes 24 KiB of f32, half of a 48 KiB L1.
constexpr int64_t kBlockElements = 1024;

// Twice what L3 delivers while one read from it is under way: 100 ns at 30 GB/s. 4 and 12 KiB measured slower.
constexpr int64_t kAheadBytes = 6 << 10;

// Where a later panel's weights lie: in two runs. Each step requests rate / 256 lines of 64 bytes of either run.
struct Prefetch {
  const char* first;
  const char* second;
  int64_t rate, due;
};

constexpr int kSlots = 8;                                       // floats of scratch per row and panel
constexpr int64_t kSumsStride = kMaxBlockColumns / 2 * kSlots;  // a panel has at least two columns

// Copies the sums of whole panels, kWidth columns each, to contiguous columns. For a gated pair the second half of a
// panel goes to up.
template <int kColumns, int kWidth>
void unpack(const float* __restrict sums, int64_t columns, float* gate, float* up) {
  for (int64_t column = 0; column < columns; column += kWidth) {
    for (int c = 0; c < kWidth; ++c) gate[column + c] = sums[c];
    for (int c = kWidth; c < kColumns; ++c) up[column + c - kWidth] = sums[c];
    sums += kSlots;
  }
}

inline void add_bias(float* __restrict values, const float* __restrict bias, int64_t columns) {
  for (int64_t i = 0; bias != nullptr && i < columns; ++i) values[i] += bias[i];
}

template <int kColumns, Activation kActivation>
void finish(const GroupedGemmBlock& block, const GroupedGemmScratch& scratch) {
  int64_t columns = block.column_end - block.column_begin;
  const bool gated = block.gated();
  const float* bias = block.bias() == nullptr ? nullptr : block.bias() + block.column_begin;
  const float* up_bias = block.up_bias() == nullptr ? nullptr : block.up_bias() + block.column_begin;
  float* __restrict gate = scratch.gate;
  float* __restrict up = scratch.up;
  for (int64_t row = block.row_begin; row < block.row_end; ++row) {
    const float* sums = scratch.sums + (row - block.row_begin) * kSumsStride;
    gated ? unpack<kColumns, kColumns / 2>(sums, columns, gate, up)
          : unpack<kColumns, kColumns>(sums, columns, gate, gate);
    add_bias(gate, bias, columns);
    if (gated) {
      add_bias(up, up_bias, columns);
      for (int64_t i = 0; i < columns; ++i) gate[i] = activate<kActivation>(gate[i], up[i]);
    } else if (kActivation != Activation::none) {
      for (int64_t i = 0; i < columns; ++i) gate[i] = activate<kActivation>(gate[i]);
    }
    int64_t at = row * block.product.output_size + block.column_begin;
    if (block.product.output_type == WINNOW_DTYPE_BF16) {
      auto* __restrict to = static_cast<uint16_t*>(block.product.output) + at;
      for (int64_t i = 0; i < columns; ++i) to[i] = to_bf16(gate[i]);
    } else {
      std::memcpy(static_cast<float*>(block.product.output) + at, gate, columns * sizeof(float));
    }
  }
}

// Biases, activation, rounding: from scratch.sums to the output.
template <int kColumns>
void finish(const GroupedGemmBlock& block, const GroupedGemmScratch& scratch) {
  switch (static_cast<Activation>(block.product.activation)) {
    case Activation::none:
      return finish<kColumns, Activation::none>(block, scratch);
    case Activation::silu:
      return finish<kColumns, Activation::silu>(block, scratch);
    case Activation::gelu_erf:
      return finish<kColumns, Activation::gelu_erf>(block, scratch);
    case Activation::gelu_tanh:
      return finish<kColumns, Activation::gelu_tanh>(block, scratch);
    case Activation::relu:
      return finish<kColumns, Activation::relu>(block, scratch);
    case Activation::clamped_swiglu:
      return finish<kColumns, Activation::clamped_swiglu>(block, scratch);
    case Activation::relu_squared:
      return finish<kColumns, Activation::relu_squared>(block, scratch);
    case Activation::drelu:
      return finish<kColumns, Activation::drelu>(block, scratch);
  }
}

template <typename Set, typename Decoder>
class BlockKernel {
  using Format = WeightFormatTraits<Decoder::kFormat>;
  using Planes = WeightPlanes<Decoder::kFormat>;
  using Row = typename Decoder::Row;
  using Packed = typename Set::Packed;
  using Accumulator = typename Set::Accumulator;
  static constexpr int kRows = Set::kRows, kColumns = Set::kColumns, kStep = Set::kStep, kVectors = Set::kVectors;
  static constexpr int kLanes = kStep / kVectors;  // of a packed vector
  static constexpr int kAccumulatorFloats = sizeof(Accumulator) / sizeof(float);

 public:
  template <typename Input>
  static void run(const GroupedGemmBlock& block, const GroupedGemmScratch& scratch, bool pack) {
    BlockKernel kernel(block, scratch);
    if (pack) kernel.template pack_rows<Input>();
    kernel.multiply();
    finish<kColumns>(block, scratch);
  }

 private:
  BlockKernel(const GroupedGemmBlock& block, const GroupedGemmScratch& scratch)
      : block_(block),
        scratch_(scratch),
        num_rows_(block.row_end - block.row_begin),
        input_size_(block.product.input_size),
        num_steps_((input_size_ + kStep - 1) / kStep) {}

  // Packed rows: [tile][step][vector][row of the tile][lane], zeros past the end of a row.
  template <typename Input>
  void pack_rows() const {
    auto* packed = static_cast<Packed*>(scratch_.packed);
    for (int64_t tile = 0; tile < num_rows_; tile += kRows) {
      int64_t rows = num_rows_ - tile < kRows ? num_rows_ - tile : kRows;
      for (int64_t i = 0; i < rows; ++i) {
        int64_t row = block_.row_begin + tile + i;
        int64_t source = block_.source_rows == nullptr ? row : block_.source_rows[row];
        const auto* from = static_cast<const Input*>(block_.product.input) + source * input_size_;
        Packed* to = packed + tile * num_steps_ * kStep + i * kLanes;
        int64_t full = input_size_ / kStep;
        for (int64_t s = 0; s < full; ++s) {
          for (int v = 0; v < kVectors; ++v) {
            for (int lane = 0; lane < kLanes; ++lane)
              assign(to[(s * kVectors + v) * rows * kLanes + lane], from[s * kStep + Decoder::index(v, lane)]);
          }
        }
        if (full == num_steps_) continue;
        for (int v = 0; v < kVectors; ++v) {
          for (int lane = 0; lane < kLanes; ++lane) {
            int64_t k = full * kStep + Decoder::index(v, lane);
            assign(to[(full * kVectors + v) * rows * kLanes + lane], k < input_size_ ? from[k] : Input{});
          }
        }
      }
    }
  }

  void multiply() const {
    const bool gated = block_.gated();
    int64_t width = gated ? kColumns / 2 : kColumns;  // output columns per panel
    int64_t tiles = (num_rows_ + kRows - 1) / kRows;
    // The panel has kColumns * num_steps * kStep weights; every tile requests its share of a later one, in two runs.
    constexpr int64_t kLineElements = 64 * Format::kBlockElements;
    int64_t lines_per_step = (kColumns / 2 * kStep * Format::kBlockBytes + kLineElements - 1) / kLineElements;
    int64_t rate = tiles == 1 ? 256 * lines_per_step : (256 * lines_per_step + tiles - 1) / tiles;
    const int64_t panel_bytes =
        kColumns * input_size_ * Format::kBlockBytes / Format::kBlockElements + (input_size_ == 0);
    const int64_t ahead = (kAheadBytes + panel_bytes - 1) / panel_bytes * width;
    Planes planes{}, up_planes{};
    for (int p = 0; p < Format::kPlanes; ++p) {
      planes[p] = block_.weight(p);
      up_planes[p] = block_.up_weight(p);
    }
    // For row n of the panel at a column: its matrix, and which row it is there. Rows past the last one of the matrix
    // repeat it; their results are dropped.
    const int64_t last = block_.product.output_size - 1;
    auto planes_of = [&](int64_t n) -> const Planes& { return gated && n >= kColumns / 2 ? up_planes : planes; };
    auto index_of = [&](int64_t column, int64_t n) {
      int64_t wanted = column + (gated && n >= kColumns / 2 ? n - kColumns / 2 : n);
      return wanted < last ? wanted : last;
    };
    int64_t panel = 0;
    for (int64_t column = block_.column_begin; column < block_.column_end; column += width) {
      Row rows[kColumns];
      for (int64_t n = 0; n < kColumns; ++n) rows[n] = Decoder::row(planes_of(n), index_of(column, n), input_size_);
      Prefetch prefetch{nullptr, nullptr, 0, 0};
      if (column + ahead + width <= block_.product.output_size) {
        auto address = [&](int64_t n) {
          return row_blocks<Decoder::kFormat>(planes_of(n), index_of(column + ahead, n), input_size_);
        };
        prefetch = {address(0), address(kColumns / 2), rate, 0};
      }
      multiply_panel(rows, panel++, prefetch);
    }
  }

  void multiply_panel(const Row* rows, int64_t panel_index, Prefetch prefetch) const {
    int64_t tiles = (num_rows_ + kRows - 1) / kRows;
    bool panel = tiles > Decoder::kMaxDirectTiles;
    const auto* packed = static_cast<const Packed*>(scratch_.packed);
    int64_t blocks = tiles == 1 || num_steps_ == 0 ? 1 : (num_steps_ * kStep + kBlockElements - 1) / kBlockElements;
    for (int64_t b = 0; b < blocks; ++b) {
      int64_t begin = num_steps_ * b / blocks, end = num_steps_ * (b + 1) / blocks;
      if (panel) fill_panel(rows, begin, end);
      for (int64_t t = 0; t < tiles; ++t) {
        int64_t row = t * kRows;
        int64_t count = num_rows_ - row < kRows ? num_rows_ - row : kRows;
        const Packed* a = packed + row * num_steps_ * kStep + begin * count * kStep;
        Tile tile{a, rows, begin, end, row, panel_index, b == 0, b == blocks - 1};
        dispatch<kRows>(count, tile, prefetch, panel);
      }
    }
  }

  // The panel: [step][vector][column][lane].
  void fill_panel(const Row* rows, int64_t begin, int64_t end) const {
    int64_t full = input_size_ / kStep < end ? input_size_ / kStep : end;
    for (int n = 0; n < kColumns; ++n) {
      Packed* to = static_cast<Packed*>(scratch_.panel) + n * kLanes;
      const Row row = rows[n];
      for (int64_t s = begin; s < full; ++s) {
        Set::store(to, Decoder::template weights<0>(row, s));
        if (kVectors == 2) Set::store(to + kColumns * kLanes, Decoder::template weights<kVectors - 1>(row, s));
        to += kColumns * kStep;
      }
      if (full == end) continue;
      int64_t size = input_size_ - full * kStep;
      Set::store(to, Decoder::template weights<0>(row, full, size));
      if (kVectors == 2) Set::store(to + kColumns * kLanes, Decoder::template weights<kVectors - 1>(row, full, size));
    }
  }

  struct Tile {
    const Packed* a;
    const Row* rows;
    int64_t begin, end;  // steps
    int64_t row, panel;  // of the block
    bool first, last;    // along k
  };

  template <int kCount>
  void dispatch(int64_t count, const Tile& tile, Prefetch& prefetch_state, bool panel) const {
    if (count == kCount) {
      panel ? multiply_tile<kCount, true>(tile, prefetch_state) : multiply_tile<kCount, false>(tile, prefetch_state);
    } else if constexpr (kCount > 1) {
      dispatch<kCount - 1>(count, tile, prefetch_state, panel);
    }
  }

  template <int kCount, bool kPanel>
  void multiply_tile(const Tile& tile, Prefetch& prefetch_state) const {
    Prefetch prefetch = prefetch_state;
    Accumulator sums[kCount * kColumns];
    float* partial = scratch_.partial + tile.row * kColumns * kAccumulatorFloats;
#pragma GCC unroll 32
    for (int i = 0; i < kCount * kColumns; ++i)
      sums[i] = tile.first ? Set::zero() : Set::load_accumulator(partial + i * kAccumulatorFloats);
    const Packed* a = tile.a;
    const Packed* b = static_cast<const Packed*>(scratch_.panel);
    int64_t full = kPanel || input_size_ / kStep >= tile.end ? tile.end : input_size_ / kStep;
    for (int64_t s = tile.begin; s < full; ++s) {
      ask(prefetch);
      step<kCount, 0>(a, sums, [&](int n) {
        return kPanel ? Set::load(b + n * kLanes) : Decoder::template weights<0>(tile.rows[n], s);
      });
      if constexpr (kVectors == 2) {
        step<kCount, 1>(a, sums, [&](int n) {
          return kPanel ? Set::load(b + (kColumns + n) * kLanes) : Decoder::template weights<1>(tile.rows[n], s);
        });
      }
      a += kCount * kStep;
      b += kColumns * kStep;
    }
    prefetch_state = prefetch;
    if (!kPanel && full < tile.end) {
      int64_t size = input_size_ - full * kStep;
      step<kCount, 0>(a, sums, [&](int n) { return Decoder::template weights<0>(tile.rows[n], full, size); });
      if constexpr (kVectors == 2)
        step<kCount, 1>(a, sums, [&](int n) { return Decoder::template weights<1>(tile.rows[n], full, size); });
    }
    if (!tile.last) {
#pragma GCC unroll 32
      for (int i = 0; i < kCount * kColumns; ++i) Set::store_accumulator(partial + i * kAccumulatorFloats, sums[i]);
    } else {
      store_sums<kCount>(tile, sums);
    }
  }

  static inline __attribute__((always_inline)) void ask(Prefetch& prefetch) {
    for (prefetch.due += prefetch.rate; prefetch.due >= 256; prefetch.due -= 256) {
      _mm_prefetch(prefetch.first, _MM_HINT_T1);
      _mm_prefetch(prefetch.second, _MM_HINT_T1);
      prefetch.first += 64;
      prefetch.second += 64;
    }
  }

  template <int kCount, int kVector, typename Weights>
  static inline __attribute__((always_inline)) void step(const Packed* a, Accumulator* sums, const Weights& weights) {
    typename Set::Vector input[kCount];
#pragma GCC unroll 8
    for (int m = 0; m < kCount; ++m) input[m] = Set::load(a + (kVector * kCount + m) * kLanes);
#pragma GCC unroll 16
    for (int n = 0; n < kColumns; ++n) {
      auto weight = weights(n);
#pragma GCC unroll 8
      for (int m = 0; m < kCount; ++m) sums[n * kCount + m] = Set::multiply_add(input[m], weight, sums[n * kCount + m]);
    }
  }

  // Row by row, kSlots floats per panel: a gated pair's columns stay beside each other until finish().
  template <int kCount>
  void store_sums(const Tile& tile, const Accumulator* sums) const {
    float* to = scratch_.sums + tile.row * kSumsStride + tile.panel * kSlots;
#pragma GCC unroll 8
    for (int m = 0; m < kCount; ++m) {
      Set::sum4(sums[m], sums[kCount + m], sums[2 * kCount + m], sums[3 * kCount + m], to + m * kSumsStride);
      if constexpr (kColumns > 4) {
        static_assert(kColumns == 4 || kColumns == 6, "the second group of a row has two columns");
        Set::sum4(sums[4 * kCount + m], sums[5 * kCount + m], Set::zero(), Set::zero(), to + m * kSumsStride + 4);
      }
    }
  }

  const GroupedGemmBlock& block_;
  const GroupedGemmScratch& scratch_;
  const int64_t num_rows_, input_size_, num_steps_;
};

template <typename Kernel>
GroupedGemmKernel choose_input(Operands operands) {
  switch (operands) {
    case Operands::f32:
      return Kernel::template run<float>;
    case Operands::bf16:
      return Kernel::template run<uint16_t>;
    case Operands::rounded_bf16:
      return Kernel::template run<RoundedF32>;
  }
  return nullptr;
}

// Set: the f32 arithmetic of an instruction set. Null for an unknown format.
template <typename Set>
GroupedGemmKernel choose_kernel(Operands operands, WeightFormat weight_format) {
  switch (weight_format) {
#define WINNOW_WEIGHT_FORMAT(name, ...) \
  case WeightFormat::name:              \
    return choose_input<BlockKernel<Set, Decoder<WeightFormat::name>>>(operands);
#include "winnow/base/weight_formats.inc"
#undef WINNOW_WEIGHT_FORMAT
  }
  return nullptr;
}

}  // namespace

}  // namespace winnow
