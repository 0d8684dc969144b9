#include "winnow/expert_plan.h"

#include "flipped.h"
#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

namespace {

struct Problem {
  const OwnedCpu cpu = open_cpu(1);
  GuardedBuffer<int32_t> token_offsets{4}, expert_ids{5}, expert_offsets{5}, source_rows{5}, assignment_rows{5},
      active_experts{4};

  Problem() {
    const int32_t offsets[] = {0, 2, 2, 5}, ids[] = {3, 0, 3, 1, 0};
    for (int i = 0; i < 4; ++i) token_offsets[i] = offsets[i];
    for (int i = 0; i < 5; ++i) expert_ids[i] = ids[i];
  }

  Ended run(int64_t num_experts = 4) {
    winnow_expert_plan_arguments arguments{};
    arguments.token_offsets = token_offsets.data();
    arguments.expert_ids = expert_ids.data();
    arguments.expert_offsets = expert_offsets.data();
    arguments.source_rows = source_rows.data();
    arguments.assignment_rows = assignment_rows.data();
    arguments.active_experts = active_experts.data();
    arguments.num_tokens = 3;
    arguments.num_rows = 5;
    arguments.num_experts = num_experts;
    arguments.trusted = 1;  // the CPU checks all the same
    return call(winnow_expert_plan, arguments, cpu);
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
  EXPECT_EQ(p.run(), (Ended{WINNOW_DONE, 3}));
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
  EXPECT_EQ(p.run(3), (Ended{WINNOW_REFUSED, 0}));  // pair 0 goes to expert 3
  p.expert_ids[0] = -1;
  EXPECT_EQ(p.run(), (Ended{WINNOW_REFUSED, 0}));
  p.expert_ids[0] = 0;
  p.expert_ids[3] = 4;
  EXPECT_EQ(p.run(), (Ended{WINNOW_REFUSED, 3}));
  p.expert_ids[3] = 1;
  p.token_offsets[1] = 4;
  p.token_offsets[2] = 3;
  EXPECT_EQ(p.run(), (Ended{WINNOW_REFUSED, 5}));
  p.token_offsets[2] = 4;
  p.token_offsets[3] = 6;
  EXPECT_EQ(p.run(), (Ended{WINNOW_REFUSED, 5}));
  p.expect_guards_intact();
}

TEST(ExpertPlan, WritesNothingOutsideWhileItsTensorsChange) {
  Problem p;
  ASSERT_EQ(p.run(), (Ended{WINNOW_DONE, 3}));
  for (int32_t* index : {&p.expert_ids[2], &p.token_offsets[2], &p.token_offsets[3], &p.expert_offsets[1]}) {
    const Flipped<int32_t> flipped(index, *index, 1 << 28);
    for (int i = 0; i < 100 * kFlippedCalls; ++i) {
      const winnow_status status = p.run().status;
      ASSERT_TRUE(status == WINNOW_DONE || status == WINNOW_REFUSED) << status;
    }
  }
  p.expect_guards_intact();
}

}  // namespace winnow
