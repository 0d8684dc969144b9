// One row per work item. 8 partial sums, lane by lane along the row, let the compiler vectorise without changing the
// order of addition. Two passes over the row, which stays in L1. The variance sums squared differences from the mean,
// so nothing is lost to cancellation.
#include <cmath>

#include "base/cpu_context.h"
#include "base/entry.h"
#include "winnow/layer_norm.h"

namespace winnow {

namespace {

constexpr int kNumLanes = 8;

template <typename Term>
double sum(int64_t size, const Term& term) {
  double lanes[kNumLanes] = {};
  int64_t i = 0;
  for (; i + kNumLanes <= size; i += kNumLanes) {
    for (int lane = 0; lane < kNumLanes; ++lane) lanes[lane] += term(i + lane);
  }
  double total = 0;
  for (double lane : lanes) total += lane;
  for (; i < size; ++i) total += term(i);
  return total;
}

void normalise_row(const float* input, const float* weight, const float* bias, float* output, int64_t hidden_size,
                   float epsilon) {
  double mean =
      sum(hidden_size, [=](int64_t i) { return static_cast<double>(input[i]); }) / static_cast<double>(hidden_size);
  double variance = sum(hidden_size, [=](int64_t i) { return (input[i] - mean) * (input[i] - mean); }) /
                    static_cast<double>(hidden_size);
  double scale = 1.0 / std::sqrt(variance + epsilon);
  for (int64_t i = 0; i < hidden_size; ++i) {
    double normalised = weight[i] * ((input[i] - mean) * scale);
    output[i] = static_cast<float>(bias == nullptr ? normalised : normalised + bias[i]);
  }
}

}  // namespace

void layer_norm_cpu(const winnow_layer_norm_arguments& arguments, Cpu& cpu) {
  const auto& a = arguments;
  int64_t grain = 1 + (int64_t{1} << 14) / (a.hidden_size + 1);
  cpu.parallel_for(a.num_rows, grain, [&a](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t at = r * a.hidden_size;
      normalise_row(a.input + at, a.weight, a.bias, a.output + at, a.hidden_size, a.epsilon);
    }
  });
}

}  // namespace winnow

WINNOW_OPERATION(layer_norm)
