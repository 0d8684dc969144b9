#include "winnow/rms_norm.h"

#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

// Without an addend and with one.
TEST(RmsNorm, StaysInsideItsBuffers) {
  const OwnedCpu cpu = open_cpu(2);
  for (int64_t hidden_size : {1, 7, 8, 9, 64}) {
    for (int64_t misalignment : {0, 4, 8}) {
      const bool adds = misalignment == 8;
      GuardedBuffer<float> input(3 * hidden_size, misalignment), weight(hidden_size, misalignment),
          output(3 * hidden_size, misalignment), addend(3 * hidden_size, misalignment);
      for (int64_t i = 0; i < addend.size(); ++i) addend[i] = 1.0f;
      for (int64_t i = 0; i < input.size(); ++i) input[i] = 1.0f;
      for (int64_t i = 0; i < weight.size(); ++i) weight[i] = 2.0f;
      winnow_rms_norm_arguments arguments{};
      arguments.input = input.data();
      if (adds) arguments.addend = addend.data();
      arguments.weight = weight.data();
      arguments.output = output.data();
      arguments.num_rows = 3;
      arguments.hidden_size = arguments.row_stride = hidden_size;
      GuardedBuffer<float> rows(2 * hidden_size, misalignment);
      for (int64_t i = 0; i < rows.size(); ++i) rows[i] = 3.0f;
      winnow_rms_norm_arguments linked{};
      linked.input = linked.output = rows.data();
      linked.weight = weight.data();
      linked.num_rows = 2;
      linked.hidden_size = linked.row_stride = hidden_size;
      arguments.next = &linked;
      EXPECT_EQ(call(winnow_rms_norm, arguments, cpu), kDone);
      for (int64_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i], 2.0f);
      rows.expect_guards_intact();
      for (int64_t i = 0; i < output.size(); ++i) {
        EXPECT_EQ(output[i], 2.0f);
        EXPECT_EQ(input[i], adds ? 2.0f : 1.0f);
      }
      addend.expect_guards_intact();
      output.expect_guards_intact();
      input.expect_guards_intact();
    }
  }
}

}  // namespace winnow
