#include "winnow/rope.h"

#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

TEST(Rope, TurnsOnlyTheRotaryPart) {
  const OwnedCpu cpu = open_cpu(2);
  for (bool interleaved : {false, true}) {
    for (int64_t num_pairs : {0, 1, 5, 8, 16}) {
      int64_t head_dim = 2 * num_pairs + 5, offset = 3;
      GuardedBuffer<float> values(4 * head_dim, 4), cos(2 * num_pairs, 4), sin(2 * num_pairs, 4);
      for (int64_t i = 0; i < values.size(); ++i) values[i] = 1.0f;
      for (int64_t i = 0; i < cos.size(); ++i) cos[i] = 2.0f, sin[i] = 2.0f;
      winnow_rope_arguments arguments{};
      arguments.values = values.data();
      arguments.cos = cos.data();
      arguments.sin = sin.data();
      arguments.num_tokens = arguments.num_heads = 2;
      arguments.head_dim = head_dim;
      arguments.rotary_offset = offset;
      arguments.num_pairs = num_pairs;
      arguments.interleaved = interleaved ? 1 : 0;
      GuardedBuffer<float> linked_values(2 * head_dim, 4);
      for (int64_t i = 0; i < linked_values.size(); ++i) linked_values[i] = 1.0f;
      winnow_rope_arguments linked = arguments;
      linked.values = linked_values.data();
      linked.num_heads = 1;
      arguments.next = &linked;
      EXPECT_EQ(call(winnow_rope, arguments, cpu), kDone);
      for (int64_t i = 0; i < linked_values.size(); ++i) ASSERT_EQ(linked_values[i], values[i]) << "element " << i;
      linked_values.expect_guards_intact();
      for (int64_t i = 0; i < values.size(); ++i) {
        int64_t column = i % head_dim - offset;
        bool second = interleaved ? column % 2 == 1 : column >= num_pairs;
        float expected = column < 0 || column >= 2 * num_pairs ? 1.0f : second ? 4.0f : 0.0f;
        ASSERT_EQ(values[i], expected) << "element " << i;
      }
      values.expect_guards_intact();
    }
  }
}

TEST(Rope, RefusesMoreThanTwo) {
  const OwnedCpu cpu = open_cpu(1);
  winnow_rope_arguments arguments[3] = {};
  arguments[0].next = &arguments[1];
  EXPECT_EQ(winnow_rope(&arguments[0], cpu.get(), nullptr), WINNOW_DONE);
  arguments[1].next = &arguments[2];
  EXPECT_EQ(winnow_rope(&arguments[0], cpu.get(), nullptr), WINNOW_INVALID_ARGUMENT);
  EXPECT_STREQ(winnow_last_error(), "a call links at most 2 structs of arguments");
}

}  // namespace winnow
