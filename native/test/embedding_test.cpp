#include "winnow/embedding.h"

#include <string>

#include "flipped.h"
#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

namespace {

winnow_embedding_arguments lookup(const void* table, winnow_dtype table_type, const int32_t* token_ids, float* output,
                                  int64_t num_tokens, int64_t vocabulary_size, int64_t hidden_size) {
  winnow_embedding_arguments arguments{};
  arguments.table = table;
  arguments.table_type = table_type;
  arguments.token_ids = token_ids;
  arguments.output = output;
  arguments.num_tokens = num_tokens;
  arguments.vocabulary_size = vocabulary_size;
  arguments.hidden_size = hidden_size;
  return arguments;
}

}  // namespace

TEST(Embedding, StaysInsideItsBuffers) {
  const OwnedCpu cpu = open_cpu(2);
  for (int64_t hidden_size : {1, 7, 33, 40000}) {
    GuardedBuffer<uint16_t> table(3 * hidden_size, 2);
    GuardedBuffer<int32_t> token_ids(2, 4);
    GuardedBuffer<float> output(2 * hidden_size, 4);
    for (int64_t i = 0; i < table.size(); ++i) table[i] = 0x4000;  // 2 in both 16-bit types
    token_ids[0] = 2;
    token_ids[1] = 0;
    for (winnow_dtype type : {WINNOW_DTYPE_BF16, WINNOW_DTYPE_F16}) {
      EXPECT_EQ(
          call(winnow_embedding, lookup(table.data(), type, token_ids.data(), output.data(), 2, 3, hidden_size), cpu),
          kDone);
      for (int64_t i = 0; i < output.size(); ++i) ASSERT_EQ(output[i], 2.0f);
    }
    output.expect_guards_intact();
    table.expect_guards_intact();
  }
}

TEST(Embedding, NamesTheFirstTokenOutsideTheTable) {
  const OwnedCpu cpu = open_cpu(1);
  float table[2] = {1, 2}, output[3] = {-1, -1, -1};
  for (int32_t outside : {-1, 2}) {
    int32_t token_ids[3] = {0, outside, outside};
    EXPECT_EQ(call(winnow_embedding, lookup(table, WINNOW_DTYPE_F32, token_ids, output, 3, 2, 1), cpu),
              (Ended{WINNOW_REFUSED, 1}));
    for (float value : output) EXPECT_EQ(value, -1.0f);
  }
}

TEST(Embedding, RefusesTypesThatAreNotFloating) {
  const OwnedCpu cpu = open_cpu(1);
  float table[2] = {1, 2}, output[1] = {-1};
  int32_t token_id = 0;
  for (winnow_dtype type :
       std::initializer_list<winnow_dtype>{WINNOW_DTYPE_I8, WINNOW_DTYPE_I32, WINNOW_DTYPE_U64, 99, -1}) {
    EXPECT_EQ(call(winnow_embedding, lookup(table, type, &token_id, output, 1, 2, 1), cpu),
              (Ended{WINNOW_INVALID_ARGUMENT, 0}));
    EXPECT_EQ(winnow_last_error(), "table_type must be f32, bf16 or f16, found type " + std::to_string(type));
  }
  EXPECT_EQ(output[0], -1.0f);
}

TEST(Embedding, StaysInsideItsTableWhileIdsChange) {
  const OwnedCpu cpu = open_cpu(2);
  GuardedBuffer<float> table(40), output(32);
  GuardedBuffer<int32_t> ids(8);
  for (int64_t i = 0; i < 40; ++i) table[i] = 1;
  for (int64_t t = 0; t < 8; ++t) ids[t] = static_cast<int32_t>(t);
  winnow_embedding_arguments arguments{};
  arguments.table = table.data();
  arguments.token_ids = ids.data();
  arguments.output = output.data();
  arguments.num_tokens = 8;
  arguments.vocabulary_size = 10;
  arguments.hidden_size = 4;
  arguments.table_type = WINNOW_DTYPE_F32;
  const Flipped<int32_t> flipped(&ids[7], 7, 1 << 30);
  for (int i = 0; i < 100 * kFlippedCalls; ++i) {
    const Ended ended = call(winnow_embedding, arguments, cpu);
    ASSERT_TRUE(ended == kDone || ended == (Ended{WINNOW_REFUSED, 7})) << ended;
    ASSERT_TRUE(!(ended == kDone) || output[31] == 1);
  }
  output.expect_guards_intact();
}

}  // namespace winnow
