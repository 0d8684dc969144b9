#include "winnow/expert_plan.h"

#include "guarded_buffer.h"

namespace winnow {

namespace {

struct Problem {
  GuardedBuffer<int32_t> token_offsets{4}, expert_ids{5}, expert_offsets{5}, source_rows{5}, assignment_rows{5},
      active_experts{4};

  Problem() {
    const int32_t offsets[] = {0, 2, 2, 5}, ids[] = {3, 0, 3, 1, 0};
    for (int i = 0; i < 4; ++i) token_offsets[i] = offsets[i];
    for (int i = 0; i < 5; ++i) expert_ids[i] = ids[i];
  }

  int64_t run(int64_t num_experts = 4) {
    return expert_plan_cpu(token_offsets.data(), expert_ids.data(), expert_offsets.data(), source_rows.data(),
                           assignment_rows.data(), active_experts.data(), 3, 5, num_experts);
  }

  void expect_guards_intact() const {
    for (const auto* buffer :
         {&token_offsets, &expert_ids, &expert_offsets, &source_rows, &assignment_rows, &active_experts}) {
      buffer->expect_guards_intact();
    }
  }
};

}  // namespace

TEST(ExpertPlan, SortsStablyInsideItsBuffers) {
  Problem p;
  EXPECT_EQ(p.run(), 3);
  const int32_t offsets[] = {0, 2, 3, 3, 5}, sources[] = {0, 2, 2, 0, 2}, rows[] = {3, 0, 4, 2, 1},
                active[] = {0, 1, 3, -1};
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(p.expert_offsets[i], offsets[i]);
    EXPECT_EQ(p.source_rows[i], sources[i]);
    EXPECT_EQ(p.assignment_rows[i], rows[i]);
  }
  for (int i = 0; i < 4; ++i) EXPECT_EQ(p.active_experts[i], active[i]);
  p.expect_guards_intact();
}

TEST(ExpertPlan, WritesNothingOutsideForContentsThatDoNotFit) {
  Problem p;
  EXPECT_EQ(p.run(3), -1 - 0);  // pair 0 goes to expert 3
  p.expert_ids[0] = -1;
  EXPECT_EQ(p.run(), -1 - 0);
  p.expert_ids[0] = 0;
  p.token_offsets[1] = 4;
  p.token_offsets[2] = 3;
  EXPECT_EQ(p.run(), -1 - 5);
  p.token_offsets[2] = 4;
  p.token_offsets[3] = 6;
  EXPECT_EQ(p.run(), -1 - 5);
  p.expect_guards_intact();
}

}  // namespace winnow
