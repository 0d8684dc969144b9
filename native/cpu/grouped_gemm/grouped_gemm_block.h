// What grouped_gemm_cpu.cpp and the kernels of the instruction sets share: one block of one expert's output, and the
// memory that a thread works in.
#pragma once

#include <cstdint>

#include "winnow/grouped_gemm.h"

namespace winnow {

constexpr int kMaxWeightPlanes = [] {
  int most = 1;
#define WINNOW_WEIGHT_FORMAT(name, ...)                                           \
  most = most < static_cast<int>(WeightFormatTraits<WeightFormat::name>::kPlanes) \
             ? static_cast<int>(WeightFormatTraits<WeightFormat::name>::kPlanes)  \
             : most;
#include "winnow/base/weight_formats.inc"
#undef WINNOW_WEIGHT_FORMAT
  return most;
}();

// What a call needs of one active expert. Values are copied as they are checked: a thread that writes to the tables
// during the call changes nothing here.
struct ActiveExpert {
  int64_t row_begin, row_end;
  int64_t first_block, end_block;  // numbers of its blocks of rows within the product
  const void* weights[kMaxWeightPlanes];
  const void* up_weights[kMaxWeightPlanes];
  const float* bias;     // or null
  const float* up_bias;  // or null
};

// A block of one expert's output: at most block_rows() rows and kMaxBlockColumns columns.
struct GroupedGemmBlock {
  const winnow_grouped_gemm_arguments& product;
  const ActiveExpert& expert;
  const int32_t* source_rows;  // [num_rows], checked; null: row r reads row r
  int64_t row_begin, row_end, column_begin, column_end;

  bool gated() const { return product.up_weights != nullptr; }
  const float* bias() const { return expert.bias; }
  const float* up_bias() const { return expert.up_bias; }
  const void* weight(int plane) const { return expert.weights[plane]; }
  const void* up_weight(int plane) const { return expert.up_weights[plane]; }
};

// 1 MiB of packed rows: half of the L2 cache of a recent server core, all of that of an older one.
constexpr int64_t kPackedBytes = int64_t{1} << 20;
constexpr int64_t kMaxBlockRows = 128;
constexpr int64_t kMinBlockRows = 32;
constexpr int64_t kMaxBlockColumns = 192;

// AMX tiles may read, as zeros, up to this many packed rows that are not in the block.
constexpr int64_t kMaxPaddingRows = 4;

// element_bytes: of a packed row, 2 if the kernel multiplies pairs of bf16.
inline int64_t block_rows(int64_t input_size, int64_t element_bytes) {
  if (input_size < 1) return kMaxBlockRows;
  int64_t rows = kPackedBytes / (input_size * element_bytes) / 4 * 4;
  return rows < kMinBlockRows ? kMinBlockRows : rows > kMaxBlockRows ? kMaxBlockRows : rows;
}

// The memory of one thread, kept between calls and grown when a call needs more. All parts are 64-byte aligned.
struct GroupedGemmScratch {
  void* packed;    // the block's input rows in the order of the kernel
  void* panel;     // weights of a few columns in the same order, kPanelBytes
  float* partial;  // accumulators between two blocks along k, kPartialBytes
  float* sums;     // of every element of the block, kSumsBytes
  float* gate;     // [kMaxBlockColumns], of one row
  float* up;       // the same
};

constexpr int64_t kPanelBytes = 64 << 10;
constexpr int64_t kPartialBytes = 128 << 10;
constexpr int64_t kSumsBytes = kMaxBlockRows * (kMaxBlockColumns / 2) * 8 * int64_t{sizeof(float)};
constexpr int64_t kRowBytes = 1024;  // of gate and of up; has room for a last panel that is not full

// pack: the block's rows are not in scratch.packed yet. How they lie there depends on the kernel and the rows alone, not on
// columns or gating: products of the same rows share them.
using GroupedGemmKernel = void (*)(const GroupedGemmBlock& block, const GroupedGemmScratch& scratch, bool pack);

// How the elements of the input become operands.
enum class Operands {
  f32,           // as they are
  bf16,          // stored as bf16
  rounded_bf16,  // stored as f32, rounded to bf16
};

GroupedGemmKernel grouped_gemm_kernel_portable(Operands operands, WeightFormat weight_format);
GroupedGemmKernel grouped_gemm_kernel_avx2(Operands operands, WeightFormat weight_format);
GroupedGemmKernel grouped_gemm_kernel_avx512(Operands operands, WeightFormat weight_format);
GroupedGemmKernel grouped_gemm_kernel_avx512_bf16(Operands operands, WeightFormat weight_format);

// The same for weights in panels; null for a format without panels.
GroupedGemmKernel panel_kernel_portable(Operands operands, WeightFormat weight_format);
GroupedGemmKernel panel_kernel_avx2(Operands operands, WeightFormat weight_format);
GroupedGemmKernel panel_kernel_avx512(Operands operands, WeightFormat weight_format);
GroupedGemmKernel panel_kernel_avx512_bf16(Operands operands, WeightFormat weight_format);
GroupedGemmKernel panel_kernel_amx_bf16(Operands operands, WeightFormat weight_format);

}  // namespace winnow
