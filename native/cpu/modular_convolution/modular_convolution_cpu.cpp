// A product of num_tokens * num_modules rows by the kernel as a matrix: row (t, s) has the elements of x that the kernel
// covers there, which are gathered while the product runs.
#include <algorithm>
#include <cstring>

#include "base/entry.h"
#include "base/row_products.h"
#include "winnow/modular_convolution.h"

namespace winnow {

namespace {

class Covered final : public LeftRows {
 public:
  explicit Covered(const winnow_modular_convolution_arguments& arguments) : a_(arguments) {}

  void pack(const RowProductKernels&, int64_t k_begin, int64_t depth, int64_t row_begin, int64_t rows,
            float* left) const override {
    float values[kRowProductStep];
    for (int64_t r = 0; r < rows; ++r) {
      gather((row_begin + r) / a_.num_modules, (row_begin + r) % a_.num_modules, k_begin, depth, values);
      for (int64_t k = 0; k < depth; ++k) left[k * rows + r] = values[k];
    }
  }

  const float* bias(int64_t) const override { return a_.bias; }

 private:
  // Elements [begin, begin + depth) of a row, module after module.
  void gather(int64_t token, int64_t module, int64_t begin, int64_t depth, float* values) const {
    for (int64_t k = begin; k < begin + depth;) {
      const int64_t element = k % a_.module_size, covered = k / a_.module_size;
      const int64_t count = std::min(a_.module_size - element, begin + depth - k);
      const int64_t position = token - (a_.length_kernel - 1) + covered / a_.module_kernel;
      const int64_t at = module - a_.module_kernel / 2 + covered % a_.module_kernel;
      const void* rows = position >= 0 ? a_.input : a_.state;
      if (at < 0 || at >= a_.num_modules || rows == nullptr) {
        std::fill_n(values, count, 0.0f);
      } else {
        const int64_t row = position >= 0 ? position : position + a_.length_kernel - 1;
        load_factors(rows, a_.input_type, (row * a_.num_modules + at) * a_.module_size + element, count, values);
      }
      values += count;
      k += count;
    }
  }

  const winnow_modular_convolution_arguments& a_;
};

void keep_state(const winnow_modular_convolution_arguments& a) {
  const int64_t row_bytes = a.num_modules * a.module_size * (a.input_type == WINNOW_DTYPE_F32 ? 4 : 2);
  auto* to = static_cast<char*>(a.next_state);
  for (int64_t i = 0; i < a.length_kernel - 1; ++i, to += row_bytes) {
    const int64_t position = a.num_tokens - (a.length_kernel - 1) + i;
    if (position >= 0) {
      std::memcpy(to, static_cast<const char*>(a.input) + position * row_bytes, row_bytes);
    } else if (a.state != nullptr) {
      std::memcpy(to, static_cast<const char*>(a.state) + (position + a.length_kernel - 1) * row_bytes, row_bytes);
    } else {
      std::memset(to, 0, row_bytes);
    }
  }
}

}  // namespace

void modular_convolution_cpu(const winnow_modular_convolution_arguments& arguments, Cpu& cpu) {
  const auto& a = arguments;
  require_f32_or_bf16("input_type", a.input_type);
  multiply_rows({a.kernel, a.weight_type, a.output, a.num_tokens * a.num_modules,
                 a.length_kernel * a.module_kernel * a.module_size, a.output_size},
                Covered(a), cpu);
  if (a.next_state != nullptr) keep_state(a);
}

}  // namespace winnow

WINNOW_OPERATION(modular_convolution)
