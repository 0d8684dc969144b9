#include "winnow/embedding.h"

#include <stdexcept>

#include "guarded_buffer.h"

namespace winnow {

TEST(Embedding, StaysInsideItsBuffers) {
  Cpu* cpu = cpu_open(cpu_best_instruction_set(), 2);
  for (int64_t hidden_size : {1, 7, 33, 40000}) {
    GuardedBuffer<uint16_t> table(3 * hidden_size, 2);
    GuardedBuffer<int32_t> token_ids(2, 4);
    GuardedBuffer<float> output(2 * hidden_size, 4);
    for (int64_t i = 0; i < table.size(); ++i) table[i] = 0x4000;  // 2 in both 16-bit types
    token_ids[0] = 2;
    token_ids[1] = 0;
    for (DType type : {DType::bf16, DType::f16}) {
      EXPECT_EQ(embedding_cpu(table.data(), type, token_ids.data(), output.data(), 2, 3, hidden_size, cpu), -1);
      for (int64_t i = 0; i < output.size(); ++i) ASSERT_EQ(output[i], 2.0f);
    }
    output.expect_guards_intact();
    table.expect_guards_intact();
  }
  cpu_close(cpu);
}

TEST(Embedding, NamesTheFirstTokenOutsideTheTable) {
  Cpu* cpu = cpu_open(cpu_best_instruction_set(), 1);
  float table[2] = {1, 2}, output[3] = {-1, -1, -1};
  for (int32_t outside : {-1, 2}) {
    int32_t token_ids[3] = {0, outside, outside};
    EXPECT_EQ(embedding_cpu(table, DType::f32, token_ids, output, 3, 2, 1, cpu), 1);
    for (float value : output) EXPECT_EQ(value, -1.0f);
  }
  int32_t token_id = 0;
  EXPECT_THROW(embedding_cpu(table, DType::i32, &token_id, output, 1, 2, 1, cpu), std::invalid_argument);
  cpu_close(cpu);
}

}  // namespace winnow
