// One row per work item. 8 partial sums, lane by lane along the row, let the compiler vectorise without changing the
// order of addition.
#include <cmath>

#include "base/cpu_context.h"
#include "base/entry.h"
#include "base/linked.h"
#include "winnow/rms_norm.h"

namespace winnow {

namespace {

constexpr int kNumLanes = 8;

// The sum of a row and its addend is written to the row. Kept apart from the squares, both loops stay vectors.
void add_row(float* input, const float* addend, int64_t hidden_size) {
  for (int64_t i = 0; i < hidden_size; ++i) input[i] += addend[i];
}

void normalise_row(const float* input, const float* weight, float* output, int64_t hidden_size, float epsilon) {
  double lanes[kNumLanes] = {};
  int64_t i = 0;
  for (; i + kNumLanes <= hidden_size; i += kNumLanes) {
    for (int lane = 0; lane < kNumLanes; ++lane) lanes[lane] += static_cast<double>(input[i + lane]) * input[i + lane];
  }
  double sum = 0;
  for (double lane : lanes) sum += lane;
  for (; i < hidden_size; ++i) sum += static_cast<double>(input[i]) * input[i];
  auto scale = static_cast<float>(1.0 / std::sqrt(sum / static_cast<double>(hidden_size) + epsilon));
  for (i = 0; i < hidden_size; ++i) output[i] = weight[i] * (input[i] * scale);
}

void normalise(const winnow_rms_norm_arguments& a, Cpu& cpu) {
  int64_t grain = 1 + (int64_t{1} << 14) / (a.hidden_size + 1);
  cpu.parallel_for(a.num_rows, grain, [&a](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t at = r * a.row_stride;
      if (a.addend != nullptr) add_row(a.input + at, a.addend + at, a.hidden_size);
      normalise_row(a.input + at, a.weight, a.output + at, a.hidden_size, a.epsilon);
    }
  });
}

}  // namespace

void rms_norm_cpu(const winnow_rms_norm_arguments& arguments, Cpu& cpu) {
  require_linked(arguments, WINNOW_RMS_NORM_MAX_LINKED);
  for_each_linked(arguments, [&cpu](const auto& one) { normalise(one, cpu); });
}

}  // namespace winnow

WINNOW_OPERATION(rms_norm)
