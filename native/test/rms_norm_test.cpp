#include "winnow/rms_norm.h"

#include "guarded_buffer.h"

namespace winnow {

TEST(RmsNorm, StaysInsideItsBuffers) {
  Cpu* cpu = cpu_open(cpu_best_instruction_set(), 2);
  for (int64_t hidden_size : {1, 7, 8, 9, 64}) {
    for (int64_t misalignment : {0, 4}) {
      GuardedBuffer<float> input(3 * hidden_size, misalignment), weight(hidden_size, misalignment),
          output(3 * hidden_size, misalignment);
      for (int64_t i = 0; i < input.size(); ++i) input[i] = 1.0f;
      for (int64_t i = 0; i < weight.size(); ++i) weight[i] = 2.0f;
      rms_norm_cpu(input.data(), weight.data(), output.data(), 3, hidden_size, hidden_size, 0.0f, cpu);
      for (int64_t i = 0; i < output.size(); ++i) EXPECT_EQ(output[i], 2.0f);
      output.expect_guards_intact();
      input.expect_guards_intact();
    }
  }
  cpu_close(cpu);
}

}  // namespace winnow
