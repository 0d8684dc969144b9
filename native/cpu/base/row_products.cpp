#include "base/row_products.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/cpu_context.h"
#include "base/round.h"

namespace winnow {

extern const RowProductKernels kRowProductsPortable, kRowProductsAvx2, kRowProductsAvx512;

namespace {

constexpr int64_t kFewestRows = 8;  // of a group: fewer would not pay for widening the matrix
constexpr int64_t kLine = 16;       // floats of a line of cache

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t lines(int64_t floats) { return ceil_div(floats, kLine) * kLine; }

// How a call is divided. An item is a group of rows and a block of columns, and if cut also a part of k.
struct Division {
  Division(const RowProduct& p, int64_t num_threads)
      : parts(std::max<int64_t>(1, ceil_div(p.depth, kRowProductPart))),
        blocks(ceil_div(p.columns, kRowProductColumns)),
        columns(ceil_div(p.columns, blocks)) {
    const int64_t fewest = ceil_div(p.num_rows, kRowProductRows);
    cut = parts > 1 && fewest * blocks < num_threads;
    const int64_t wanted = ceil_div(num_threads, blocks * (cut ? parts : 1));
    const int64_t most = ceil_div(p.num_rows, kFewestRows);
    rows = ceil_div(p.num_rows, std::max(fewest, std::min(wanted, most)));
    groups = ceil_div(p.num_rows, rows);
  }

  int64_t parts, blocks, columns;
  bool cut;
  int64_t rows, groups;
};

class Call {
 public:
  Call(const RowProduct& product, const LeftRows& left_rows, Cpu& cpu)
      : p_(product),
        left_rows_(left_rows),
        cpu_(cpu),
        kernels_(row_product_kernels(cpu.instruction_set)),
        by_(product, cpu.num_threads),
        width_(lines(kernels_.padded(by_.columns))) {}

  void run() {
    thread_local std::vector<float> memory;  // of the calling thread, so that repeated calls do not allocate
    const int64_t tile = by_.rows * width_;
    const int64_t slot = lines(kRowProductStep * by_.rows) + kRowProductStep * width_ + 2 * tile;
    const int64_t units = by_.groups * by_.blocks;
    const int64_t slots = std::min<int64_t>(cpu_.num_threads, units * (by_.cut ? by_.parts : 1));
    const size_t needed = kLine + slots * slot + (by_.cut ? units * by_.parts * tile : 0);
    if (memory.size() < needed) memory.resize(needed);
    float* own = memory.data() + (kLine - reinterpret_cast<uintptr_t>(memory.data()) / sizeof(float) % kLine) % kLine;
    float* parts = own + slots * slot;
    if (!by_.cut) {
      for_each(units, slots, [&](int64_t unit, int64_t s) { whole(unit, own + s * slot, tile); });
      return;
    }
    for_each(units * by_.parts, slots, [&](int64_t item, int64_t s) {
      float* scratch = own + s * slot;
      sum_part(item / by_.parts, item % by_.parts, scratch, scratch + lines(kRowProductStep * by_.rows),
               parts + item * tile);
    });
    cpu_.parallel_for(units, 1, [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; ++unit) {
        float* total = parts + unit * by_.parts * tile;
        for (int64_t part = 1; part < by_.parts; ++part) add(total, total + part * tile, tile);
        write(unit, total);
      }
    });
  }

 private:
  // Calls body(item, slot) for all items; a slot's items run one after the other.
  template <typename Body>
  void for_each(int64_t items, int64_t slots, const Body& body) {
    std::atomic<int64_t> next{0};  // relaxed: claims items, carries no data
    cpu_.parallel_for(slots, 1, [&](int64_t begin, int64_t end) {
      for (int64_t slot = begin; slot < end; ++slot) {
        for (int64_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < items;) body(item, slot);
      }
    });
  }

  void whole(int64_t unit, float* scratch, int64_t tile) {
    float* panels = scratch + lines(kRowProductStep * by_.rows);
    float* total = panels + kRowProductStep * width_;
    for (int64_t part = 0; part < by_.parts; ++part) {
      float* sums = part == 0 ? total : total + tile;
      sum_part(unit, part, scratch, panels, sums);
      if (part > 0) add(total, sums, tile);
    }
    write(unit, total);
  }

  void sum_part(int64_t unit, int64_t part, float* left, float* panels, float* sums) const {
    const int64_t row = unit / by_.blocks * by_.rows, rows = std::min(by_.rows, p_.num_rows - row);
    const int64_t column = unit % by_.blocks * by_.columns, columns = std::min(by_.columns, p_.columns - column);
    const int64_t element_bytes = p_.matrix_type == WINNOW_DTYPE_F32 ? 4 : 2;
    const int64_t begin = part * kRowProductPart, end = std::min(p_.depth, begin + kRowProductPart);
    if (begin == end) std::fill(sums, sums + by_.rows * width_, 0.0f);
    for (int64_t k = begin; k < end; k += kRowProductStep) {
      const int64_t depth = std::min(kRowProductStep, end - k);
      left_rows_.pack(kernels_, k, depth, row, rows, left);
      kernels_.widen(static_cast<const char*>(p_.matrix) + (k * p_.columns + column) * element_bytes, p_.matrix_type,
                     p_.columns, depth, columns, panels);
      kernels_.multiply(left, rows, panels, rows, depth, columns, sums, k == begin);
    }
  }

  static void add(float* total, const float* sums, int64_t count) {
    for (int64_t i = 0; i < count; ++i) total[i] += sums[i];
  }

  void write(int64_t unit, const float* total) const {
    const int64_t begin = unit / by_.blocks * by_.rows, end = std::min(p_.num_rows, begin + by_.rows);
    const int64_t column = unit % by_.blocks * by_.columns, columns = std::min(by_.columns, p_.columns - column);
    const int64_t stride = kernels_.padded(columns);
    for (int64_t row = begin; row < end; ++row, total += stride) {
      float* to = p_.output + row * p_.columns + column;
      const float* bias = left_rows_.bias(row);
      if (bias == nullptr) {
        std::copy(total, total + columns, to);
      } else {
        for (int64_t n = 0; n < columns; ++n) to[n] = total[n] + bias[column + n];
      }
    }
  }

  const RowProduct& p_;
  const LeftRows& left_rows_;
  Cpu& cpu_;
  const RowProductKernels& kernels_;
  const Division by_;
  const int64_t width_;  // floats of a row of panels or sums, at most
};

}  // namespace

const RowProductKernels& row_product_kernels(InstructionSet instruction_set) {
  switch (instruction_set) {
    case InstructionSet::portable:
      return kRowProductsPortable;
    case InstructionSet::avx2:
      return kRowProductsAvx2;
    default:
      return kRowProductsAvx512;
  }
}

void multiply_rows(const RowProduct& product, const LeftRows& left_rows, Cpu& cpu) {
  if (product.matrix_type != WINNOW_DTYPE_F32 && product.matrix_type != WINNOW_DTYPE_BF16 &&
      product.matrix_type != WINNOW_DTYPE_F16)
    throw std::invalid_argument("weight_type must be f32, bf16 or f16, found type " +
                                std::to_string(product.matrix_type));
  if (product.num_rows == 0 || product.columns == 0) return;
  Call(product, left_rows, cpu).run();
}

void load_factors(const void* values, winnow_dtype type, int64_t begin, int64_t count, float* factors) {
  if (type == WINNOW_DTYPE_F32) {
    std::memcpy(factors, static_cast<const float*>(values) + begin, count * sizeof(float));
    return;
  }
  const uint16_t* from = static_cast<const uint16_t*>(values) + begin;
  for (int64_t i = 0; i < count; ++i) factors[i] = float_of(static_cast<uint32_t>(from[i]) << 16);
}

void require_f32_or_bf16(const char* name, winnow_dtype type) {
  if (type != WINNOW_DTYPE_F32 && type != WINNOW_DTYPE_BF16)
    throw std::invalid_argument(std::string(name) + " must be f32 or bf16, found type " + std::to_string(type));
}

}  // namespace winnow
