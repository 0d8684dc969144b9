#include "winnow/layer_norm.h"

#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

TEST(LayerNorm, StaysInsideItsBuffers) {
  const OwnedCpu cpu = open_cpu(2);
  for (int64_t hidden_size : {1, 7, 8, 9, 64}) {
    GuardedBuffer<float> input(3 * hidden_size, 4), weight(hidden_size, 4), bias(hidden_size, 4),
        output(3 * hidden_size, 4);
    for (int64_t i = 0; i < input.size(); ++i) input[i] = 5.0f;
    for (int64_t i = 0; i < hidden_size; ++i) weight[i] = 2.0f, bias[i] = 3.0f;
    winnow_layer_norm_arguments arguments{};
    arguments.input = input.data();
    arguments.weight = weight.data();
    arguments.bias = bias.data();
    arguments.output = output.data();
    arguments.num_rows = 3;
    arguments.hidden_size = hidden_size;
    arguments.epsilon = 1;
    EXPECT_EQ(call(winnow_layer_norm, arguments, cpu), kDone);
    for (int64_t i = 0; i < output.size(); ++i) EXPECT_EQ(output[i], 3.0f);
    output.expect_guards_intact();
    input.expect_guards_intact();
  }
}

}  // namespace winnow
