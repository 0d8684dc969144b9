// Each thread takes a range of the outputs and adds the rows of weights to it, in ascending order of the inputs, so that
// the number of threads changes no bit. A row is read once for all tokens of a tile that need it.
#include <algorithm>
#include <vector>

#include "base/cpu_context.h"
#include "base/entry.h"
#include "base/read_once.h"
#include "base/weight_rows.h"
#include "winnow/thresholded_linear.h"

namespace winnow {

namespace {

constexpr int64_t kTokensAtOnce = 16;           // whose sums stay in L2
constexpr int64_t kLeastBytesPerThread = 8192;  // of weights

struct Scratch {
  std::vector<float> inputs;     // read once: another thread may write to them
  std::vector<int32_t> active;   // inputs that some token of a tile needs, ascending, tile by tile
  std::vector<int64_t> offsets;  // of the tiles' lists
  std::vector<float> sums;       // [num_tokens, padded_size] packed
};

struct ThresholdedLinear {
  const winnow_thresholded_linear_arguments& op;
  const WeightRows& rows;
  Scratch& scratch;
  const int64_t row_bytes, padded_size;

  ThresholdedLinear(const winnow_thresholded_linear_arguments& arguments, const Cpu& cpu, Scratch& memory)
      : op(arguments),
        rows(weight_rows(cpu.instruction_set, arguments.weight_format)),
        scratch(memory),
        row_bytes(arguments.output_size * (arguments.weight_format == WINNOW_WEIGHT_FORMAT_F32 ? 4 : 2)),
        padded_size((arguments.output_size + rows.step - 1) / rows.step * rows.step) {}

  bool is_large(float value) const { return !((value < 0 ? -value : value) <= op.threshold); }

  void plan() {
    scratch.inputs.resize(op.num_tokens * op.input_size);
    for (size_t i = 0; i < scratch.inputs.size(); ++i) scratch.inputs[i] = read_once(op.input[i]);
    scratch.active.clear();
    scratch.offsets.assign(1, 0);
    for (int64_t first = 0; first < op.num_tokens; first += kTokensAtOnce) {
      const int64_t last = std::min(first + kTokensAtOnce, op.num_tokens);
      for (int64_t i = 0; i < op.input_size; ++i) {
        bool needed = false;
        for (int64_t t = first; t < last; ++t) needed |= is_large(scratch.inputs[t * op.input_size + i]);
        if (needed) scratch.active.push_back(static_cast<int32_t>(i));
      }
      scratch.offsets.push_back(static_cast<int64_t>(scratch.active.size()));
    }
    scratch.sums.resize(op.num_tokens * padded_size);
    for (int64_t t = 0; t < op.num_tokens; ++t) {
      float* sums = scratch.sums.data() + t * padded_size;
      if (op.bias == nullptr) {
        std::fill_n(sums, padded_size, 0.0f);
      } else {
        rows.pack(op.bias, op.output_size, sums);
      }
    }
  }

  const char* row(int32_t input) const { return static_cast<const char*>(op.weight) + input * row_bytes; }

  // Steps [begin, end) of the outputs of a tile of tokens.
  void add_rows(int64_t tile, int64_t begin, int64_t end) const {
    const int64_t first = tile * kTokensAtOnce, last = std::min(first + kTokensAtOnce, op.num_tokens);
    for (int64_t u = scratch.offsets[tile]; u < scratch.offsets[tile + 1]; ++u) {
      const int32_t i = scratch.active[u];
      float factors[kTokensAtOnce];
      float* sums[kTokensAtOnce];
      int64_t count = 0;
      for (int64_t t = first; t < last; ++t) {
        const float value = scratch.inputs[t * op.input_size + i];
        if (!is_large(value)) continue;
        factors[count] = value;
        sums[count++] = scratch.sums.data() + t * padded_size;
      }
      const char* next = row(u + 1 < scratch.offsets[tile + 1] ? scratch.active[u + 1] : i);
      rows.add_scaled(row(i), next, factors, sums, count, begin, end, op.output_size);
    }
  }

  void run(Cpu& cpu) {
    const int64_t steps = padded_size / rows.step, tiles = static_cast<int64_t>(scratch.offsets.size()) - 1;
    const auto num_active = static_cast<int64_t>(scratch.active.size());
    const int64_t least = 1 + kLeastBytesPerThread * steps / (1 + num_active * row_bytes);
    const int64_t grain = std::max((steps + cpu.num_threads - 1) / cpu.num_threads, least);
    cpu.parallel_for(steps, grain, [this, tiles](int64_t begin, int64_t end) {
      for (int64_t tile = 0; tile < tiles; ++tile) add_rows(tile, begin, end);
    });
    for (int64_t t = 0; t < op.num_tokens; ++t)
      rows.unpack(scratch.sums.data() + t * padded_size, op.output_size, op.output + t * op.output_size);
  }
};

}  // namespace

void thresholded_linear_cpu(const winnow_thresholded_linear_arguments& arguments, Cpu& cpu) {
  thread_local Scratch scratch;
  ThresholdedLinear linear(arguments, cpu, scratch);
  linear.plan();
  linear.run(cpu);
}

}  // namespace winnow

WINNOW_OPERATION(thresholded_linear)
