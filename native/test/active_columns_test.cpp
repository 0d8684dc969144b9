#include "winnow/active_columns.h"

#include "flipped.h"
#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

namespace {

// 3 tokens, 2 blocks of `size` columns.
struct Problem {
  static constexpr int64_t kTokens = 3;
  const int64_t num_columns, capacity;
  GuardedBuffer<float> logits, bias, scales;
  GuardedBuffer<int32_t> counts, columns;
  winnow_active_columns_arguments arguments{};

  Problem(int64_t size, int64_t top_k, int64_t misalignment)
      : num_columns(2 * size),
        capacity(top_k > 0 ? 2 * top_k : num_columns),
        logits(kTokens * num_columns, misalignment),
        bias(num_columns, misalignment),
        scales(kTokens * capacity, misalignment),
        counts(kTokens, misalignment),
        columns(kTokens * capacity, misalignment) {
    for (int64_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>((i * 7) % 11 - 5);
    for (int64_t i = 0; i < num_columns; ++i) bias[i] = static_cast<float>(i % 2);
    arguments.logits = logits.data();
    arguments.bias = bias.data();
    arguments.column_counts = counts.data();
    arguments.active_columns = columns.data();
    arguments.column_scales = scales.data();
    arguments.num_tokens = kTokens;
    arguments.num_columns = num_columns;
    arguments.block_size = size;
    arguments.top_k = top_k;
    arguments.capacity = capacity;
    arguments.rule = top_k > 0 ? WINNOW_COLUMN_RULE_TOP_K : WINNOW_COLUMN_RULE_THRESHOLD;
    arguments.threshold = 2;
  }

  void expect_guards_intact() {
    scales.expect_guards_intact();
    counts.expect_guards_intact();
    columns.expect_guards_intact();
  }
};

}  // namespace

TEST(ActiveColumns, StaysInsideItsBuffers) {
  const OwnedCpu cpu = open_cpu(2);
  for (int64_t size : {1, 5, 64}) {
    for (int64_t top_k : {int64_t{0}, int64_t{1}, size}) {
      for (int64_t misalignment : {0, 4}) {
        Problem problem(size, top_k, misalignment);
        EXPECT_EQ(call(winnow_active_columns, problem.arguments, cpu).status, WINNOW_DONE);
        for (int64_t t = 0; t < Problem::kTokens; ++t) {
          ASSERT_LE(problem.counts[t], problem.capacity);
          for (int64_t i = 1; i < problem.counts[t]; ++i)
            ASSERT_LT(problem.columns[t * problem.capacity + i - 1], problem.columns[t * problem.capacity + i]);
        }
        problem.expect_guards_intact();
      }
    }
  }
}

TEST(ActiveColumns, StaysInsideItsBuffersWhileLogitsChange) {
  const OwnedCpu cpu = open_cpu(2);
  for (int64_t top_k : {0, 1, 3}) {
    Problem problem(8, top_k, 0);
    const Flipped<float> flipped(&problem.logits[3], 9.0f, -9.0f);
    for (int i = 0; i < kFlippedCalls; ++i)
      ASSERT_EQ(call(winnow_active_columns, problem.arguments, cpu).status, WINNOW_DONE);
    problem.expect_guards_intact();
  }
}

TEST(ActiveColumns, RefusesAnotherRule) {
  const OwnedCpu cpu = open_cpu(1);
  Problem problem(4, 1, 0);
  problem.arguments.rule = 7;
  EXPECT_EQ(call(winnow_active_columns, problem.arguments, cpu), (Ended{WINNOW_INVALID_ARGUMENT, 0}));
  EXPECT_STREQ(winnow_last_error(), "rule must be top_k or threshold, found 7");
}

}  // namespace winnow
