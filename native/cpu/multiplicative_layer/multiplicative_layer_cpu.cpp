// A product of num_tokens * num_modules rows by the column weights: row (t, s) has input[t, i] * module_weights[i, s].
// These elements lie side by side by i as module_weights do, so a row of module weights is scaled and nothing is
// transposed.
#include <algorithm>

#include "base/entry.h"
#include "base/row_products.h"
#include "winnow/multiplicative_layer.h"

namespace winnow {

namespace {

class ScaledModules final : public LeftRows {
 public:
  explicit ScaledModules(const winnow_multiplicative_layer_arguments& arguments) : a_(arguments) {}

  void pack(const RowProductKernels& kernels, int64_t k_begin, int64_t depth, int64_t row_begin, int64_t rows,
            float* left) const override {
    const int64_t element_bytes = a_.weight_type == WINNOW_DTYPE_F32 ? 4 : 2;
    float factors[kRowProductStep];
    for (int64_t row = row_begin; row < row_begin + rows;) {
      const int64_t token = row / a_.num_modules, module = row % a_.num_modules;
      const int64_t count = std::min(a_.num_modules - module, row_begin + rows - row);
      load_factors(a_.input, a_.input_type, token * a_.input_size + k_begin, depth, factors);
      const char* weights =
          static_cast<const char*>(a_.module_weights) + (k_begin * a_.num_modules + module) * element_bytes;
      kernels.scale(factors, weights, a_.weight_type, a_.num_modules, depth, count, left + row - row_begin, rows);
      row += count;
    }
  }

  const float* bias(int64_t row) const override {
    return a_.bias == nullptr ? nullptr : a_.bias + row % a_.num_modules * a_.module_size;
  }

 private:
  const winnow_multiplicative_layer_arguments& a_;
};

}  // namespace

void multiplicative_layer_cpu(const winnow_multiplicative_layer_arguments& arguments, Cpu& cpu) {
  const auto& a = arguments;
  require_f32_or_bf16("input_type", a.input_type);
  multiply_rows({a.column_weights, a.weight_type, a.output, a.num_tokens * a.num_modules, a.input_size, a.module_size},
                ScaledModules(a), cpu);
}

}  // namespace winnow

WINNOW_OPERATION(multiplicative_layer)
