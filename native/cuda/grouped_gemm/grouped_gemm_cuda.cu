// output[r, n] = activation(bias_e[n] + sum_k input[source_rows[r], k] * weight_e[n, k] [, the same of up]) for the
// rows r of expert e: see winnow/grouped_gemm.h. Inside: m = rows of one expert, n = output_size, k = input_size.
//
// grouped_gemm_gemv: few rows per expert. One row by 8 rows of weights per warp, up to three independent products in
// one launch.
//   Layout   16-byte loads where a matrix, the input row and the length of a row are multiples of 16 bytes; else
//            element by element, the same sums.
//   Grid     x: the blocks of the three products one after the other. Within a product rows come first, then column
//            groups. The grid depends on sizes, not on offsets.
//   Block    128 threads. threads_per_dot 128: the block computes 8 rows of weights (gated: 4 columns), each warp a
//            quarter of k; 32: each warp computes 8.
//   Memory   each weight of the row's expert once, the input row once per block; 128 bytes of shared memory.
//   Order    f32; each thread adds its vectors along k, then a butterfly over the warp, then four warps in a fixed
//            order, then the bias. No atomics.
// grouped_gemm_tensor_*: many rows, bf16 weights. grouped_gemm_scalar_*: many rows, the other formats.
// grouped_gemm_kernels.inc lists them.
//   Layout   tiles of 64 rows by 128 rows of weights, 32 elements of k per stage, copied by cp.async
//            (grouped_gemm_tile.cuh); rows gathered by source_rows.
//   Grid     x: row tile, at most num_rows / 64 + number of active experts, surplus blocks exit; y: 128 output columns,
//            64 if gated.
//   Block    128 threads.
//   Memory   the expert's weights once per row tile; 36 to 48 KiB of shared memory: 3 stages with tensor cores, 2
//            without.
//   Order    f32, k ascending: a row has the same bits whatever the others. With tensor cores 16 products are added at
//            once, in the device's order; f32 input is split into three bf16 (exact), and an infinite weight may then
//            give NaN where the contract gives infinity. No atomics.
// For products in bf16, an element of an f32 input is rounded where it leaves memory (dot products) or shared memory
// (tiles). With bf16 weights that is one multiplication on tensor cores in place of three. Weights of other formats are
// multiplied in f32 by the rounded element.
// Needs    num_rows >= 1, input_size, output_size below 2^31. Contents of arrays are trusted. Rows of an active expert
//          without weights become NaN: a block has no other way to say so.
#include "grouped_gemm/grouped_gemm_gemv.cuh"
#include "grouped_gemm/grouped_gemm_products.cuh"

extern "C" __global__ void __launch_bounds__(winnow::kGemvThreads, 5)
    grouped_gemm_gemv(const winnow_grouped_gemm_arguments first, const winnow::GemvExtras first_extras,
                      const winnow_grouped_gemm_arguments second, const winnow::GemvExtras second_extras,
                      const winnow_grouped_gemm_arguments third, const winnow::GemvExtras third_extras) {
  int block = blockIdx.x;
  winnow::Product op(first);
  winnow::GemvExtras extras = first_extras;
  if (block >= extras.num_blocks) {
    block -= extras.num_blocks;
    op = winnow::Product(second);
    extras = second_extras;
    if (block >= extras.num_blocks) {
      block -= extras.num_blocks;
      op = winnow::Product(third);
      extras = third_extras;
    }
  }
  winnow::multiply_row(op, extras.threads_per_dot, block);
}

namespace winnow {

namespace {

// How a row of grouped_gemm_kernels.inc multiplies.
template <typename Input, DType kProduct, WeightFormat kFormat, bool kGated>
struct tensor : TensorProducts<Input, kProduct, kGated> {
  static_assert(kFormat == WeightFormat::bf16 && WeightFormatTraits<kFormat>::kPlanes == 1,
                "tensor cores take bf16 as it is stored");
};

template <typename Input, DType kProduct, WeightFormat kFormat, bool kGated>
struct scalar : ScalarProducts<Input, kProduct, kFormat> {};

}  // namespace

}  // namespace winnow

#define WINNOW_GROUPED_GEMM_KERNEL(name, products, input_type, product_type, weight_format, gated, stages, blocks, \
                                   ...)                                                                            \
  extern "C" __global__ void __launch_bounds__(winnow::kTileThreads, blocks)                                       \
      name(const winnow_grouped_gemm_arguments arguments) {                                                        \
    using Input = winnow::ElementOf<winnow::DType::input_type>;                                                    \
    constexpr winnow::WeightFormat kFormat = winnow::WeightFormat::weight_format;                                  \
    using Products = winnow::products<Input, winnow::DType::product_type, kFormat, gated>;                         \
    winnow::multiply_tile<Input, kFormat, gated, stages, Products>(arguments);                                     \
  }
#include "grouped_gemm/grouped_gemm_kernels.inc"
