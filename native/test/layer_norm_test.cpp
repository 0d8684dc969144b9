#include "winnow/layer_norm.h"

#include "guarded_buffer.h"

namespace winnow {

TEST(LayerNorm, StaysInsideItsBuffers) {
  Cpu* cpu = cpu_open(cpu_best_instruction_set(), 2);
  for (int64_t hidden_size : {1, 7, 8, 9, 64}) {
    GuardedBuffer<float> input(3 * hidden_size, 4), weight(hidden_size, 4), bias(hidden_size, 4),
        output(3 * hidden_size, 4);
    for (int64_t i = 0; i < input.size(); ++i) input[i] = 5.0f;
    for (int64_t i = 0; i < hidden_size; ++i) weight[i] = 2.0f, bias[i] = 3.0f;
    layer_norm_cpu(input.data(), weight.data(), bias.data(), output.data(), 3, hidden_size, 1.0f, cpu);
    for (int64_t i = 0; i < output.size(); ++i) EXPECT_EQ(output[i], 3.0f);
    output.expect_guards_intact();
    input.expect_guards_intact();
  }
  cpu_close(cpu);
}

}  // namespace winnow
