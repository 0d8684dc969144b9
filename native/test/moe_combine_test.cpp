#include "winnow/moe_combine.h"

#include <cstring>

#include "flipped.h"
#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

TEST(MoeCombine, StaysInsideItsBuffers) {
  const OwnedCpu cpu = open_cpu(2);
  for (int64_t hidden_size : {1, 15, 16, 17, 300}) {
    for (int64_t misalignment : {0, 4}) {
      // Token 0 has rows 2 and 0, token 1 none, token 2 row 1.
      GuardedBuffer<float> experts(3 * hidden_size, misalignment), weights(3, misalignment),
          shared(3 * hidden_size, misalignment), gates(3, misalignment), output(3 * hidden_size, misalignment);
      GuardedBuffer<uint16_t> rounded(3 * hidden_size, misalignment / 2);
      GuardedBuffer<int32_t> offsets(4, misalignment), rows(3, misalignment);
      const int32_t offset_values[] = {0, 2, 2, 3}, row_values[] = {2, 0, 1};
      for (int i = 0; i < 4; ++i) offsets[i] = offset_values[i];
      for (int i = 0; i < 3; ++i) {
        rows[i] = row_values[i];
        weights[i] = static_cast<float>(i + 1);
        gates[i] = 0;  // sigmoid = 1/2
        for (int64_t c = 0; c < hidden_size; ++c) {
          experts[i * hidden_size + c] = static_cast<float>(10 * (i + 1));
          shared[i * hidden_size + c] = 4;
        }
      }
      const float expected[] = {1 * 30 + 2 * 10 + 2, 2, 3 * 20 + 2};
      winnow_moe_combine_arguments arguments{};
      arguments.expert_output = experts.data();
      arguments.token_offsets = offsets.data();
      arguments.assignment_rows = rows.data();
      arguments.routing_weights = weights.data();
      arguments.num_tokens = arguments.num_rows = 3;
      arguments.hidden_size = hidden_size;
      arguments.output = rounded.data();
      arguments.output_type = WINNOW_DTYPE_BF16;
      EXPECT_EQ(call(winnow_moe_combine, arguments, cpu), kDone);
      arguments.shared = shared.data();
      arguments.shared_gate_logits = gates.data();
      arguments.output = output.data();
      arguments.output_type = WINNOW_DTYPE_F32;
      EXPECT_EQ(call(winnow_moe_combine, arguments, cpu), kDone);
      for (int64_t i = 0; i < output.size(); ++i) ASSERT_EQ(output[i], expected[i / hidden_size]) << i;
      for (int64_t c = 0; c < hidden_size; ++c) {
        ASSERT_EQ(rounded[c], 0x4248);  // 50
        ASSERT_EQ(rounded[hidden_size + c], 0);
        ASSERT_EQ(rounded[2 * hidden_size + c], 0x4270);  // 60
      }
      output.expect_guards_intact();
      rounded.expect_guards_intact();
      experts.expect_guards_intact();
      offsets.expect_guards_intact();
    }
  }
}

TEST(MoeCombine, KeepsThePayloadOfANaN) {
  const OwnedCpu cpu = open_cpu(1);
  for (int64_t hidden_size : {1, 17}) {  // one element, and whole vectors before it
    for (uint32_t bits : {0x7fc12345u, 0xffd00001u, 0x7f812345u, 0x7f800001u}) {  // the last two signal
      GuardedBuffer<float> experts(hidden_size), weights(1), output(hidden_size);
      GuardedBuffer<uint16_t> rounded(hidden_size);
      GuardedBuffer<int32_t> offsets(2), rows(1);
      for (int64_t i = 0; i < hidden_size; ++i) std::memcpy(&experts[i], &bits, sizeof bits);
      weights[0] = 0.5f;
      offsets[0] = rows[0] = 0;
      offsets[1] = 1;
      winnow_moe_combine_arguments arguments{};
      arguments.expert_output = experts.data();
      arguments.token_offsets = offsets.data();
      arguments.assignment_rows = rows.data();
      arguments.routing_weights = weights.data();
      arguments.num_tokens = arguments.num_rows = 1;
      arguments.hidden_size = hidden_size;
      arguments.output = output.data();
      ASSERT_EQ(call(winnow_moe_combine, arguments, cpu), kDone);
      arguments.output = rounded.data();
      arguments.output_type = WINNOW_DTYPE_BF16;
      ASSERT_EQ(call(winnow_moe_combine, arguments, cpu), kDone);
      for (int64_t i = 0; i < hidden_size; ++i) {
        uint32_t found;
        std::memcpy(&found, &output[i], sizeof found);
        ASSERT_EQ(found, bits | 0x400000u) << i;  // quiet
        ASSERT_EQ(rounded[i], (bits | 0x400000u) >> 16) << i;
      }
    }
  }
}

TEST(MoeCombine, RefusesRowsOutsideAndOtherTypes) {
  const OwnedCpu cpu = open_cpu(1);
  GuardedBuffer<float> experts(2), weights(2), output(2);
  GuardedBuffer<int32_t> offsets(3), rows(2);
  for (int32_t i = 0; i < 3; ++i) offsets[i] = i;
  rows[0] = 0;
  winnow_moe_combine_arguments arguments{};
  arguments.expert_output = experts.data();
  arguments.token_offsets = offsets.data();
  arguments.assignment_rows = rows.data();
  arguments.routing_weights = weights.data();
  arguments.output = output.data();
  arguments.num_tokens = arguments.num_rows = 2;
  arguments.hidden_size = 1;
  for (int32_t outside : {-1, 2}) {
    rows[1] = outside;
    EXPECT_EQ(call(winnow_moe_combine, arguments, cpu), (Ended{WINNOW_OUT_OF_RANGE, 0}));
    EXPECT_STREQ(winnow_last_error(), "token_offsets and assignment_rows must lie in [0, 2]");
  }
  rows[1] = 1;
  for (winnow_dtype type : std::initializer_list<winnow_dtype>{WINNOW_DTYPE_F16, WINNOW_DTYPE_I8, 99}) {
    arguments.output_type = type;
    EXPECT_EQ(call(winnow_moe_combine, arguments, cpu), (Ended{WINNOW_INVALID_ARGUMENT, 0}));
  }
  arguments.output_type = WINNOW_DTYPE_F32;
  EXPECT_EQ(call(winnow_moe_combine, arguments, cpu), kDone);
}

TEST(MoeCombine, StaysInsideItsBuffersWhileOffsetsAndRowsChange) {
  const OwnedCpu cpu = open_cpu(2);
  GuardedBuffer<float> experts(2 * 17), weights(2), output(2 * 17);
  GuardedBuffer<int32_t> offsets(3), rows(2);
  for (int64_t i = 0; i < experts.size(); ++i) experts[i] = 1;
  for (int32_t i = 0; i < 3; ++i) offsets[i] = i;
  for (int32_t i = 0; i < 2; ++i) rows[i] = i, weights[i] = 1;
  winnow_moe_combine_arguments arguments{};
  arguments.expert_output = experts.data();
  arguments.token_offsets = offsets.data();
  arguments.assignment_rows = rows.data();
  arguments.routing_weights = weights.data();
  arguments.output = output.data();
  arguments.num_tokens = arguments.num_rows = 2;
  arguments.hidden_size = 17;
  for (int32_t* index : {&rows[1], &offsets[1], &offsets[2]}) {
    const Flipped<int32_t> flipped(index, *index, index == &rows[1] ? -(1 << 30) : 1 << 30);
    for (int i = 0; i < 100 * kFlippedCalls; ++i) {
      const winnow_status status = call(winnow_moe_combine, arguments, cpu).status;
      ASSERT_TRUE(status == WINNOW_DONE || status == WINNOW_OUT_OF_RANGE) << status;
    }
  }
  output.expect_guards_intact();
}

}  // namespace winnow
