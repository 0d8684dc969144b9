#include "winnow/rope.h"

#include "guarded_buffer.h"

namespace winnow {

TEST(Rope, TurnsOnlyTheRotaryPart) {
  Cpu* cpu = cpu_open(cpu_best_instruction_set(), 2);
  for (bool interleaved : {false, true}) {
    for (int64_t num_pairs : {0, 1, 5, 8, 16}) {
      int64_t head_dim = 2 * num_pairs + 5, offset = 3;
      GuardedBuffer<float> values(4 * head_dim, 4), cos(2 * num_pairs, 4), sin(2 * num_pairs, 4);
      for (int64_t i = 0; i < values.size(); ++i) values[i] = 1.0f;
      for (int64_t i = 0; i < cos.size(); ++i) cos[i] = 2.0f, sin[i] = 2.0f;
      rope_cpu(values.data(), cos.data(), sin.data(), 2, 2, head_dim, offset, num_pairs, interleaved, cpu);
      for (int64_t i = 0; i < values.size(); ++i) {
        int64_t column = i % head_dim - offset;
        bool second = interleaved ? column % 2 == 1 : column >= num_pairs;
        float expected = column < 0 || column >= 2 * num_pairs ? 1.0f : second ? 4.0f : 0.0f;
        ASSERT_EQ(values[i], expected) << "element " << i;
      }
      values.expect_guards_intact();
    }
  }
  cpu_close(cpu);
}

}  // namespace winnow
