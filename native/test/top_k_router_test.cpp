#include "winnow/top_k_router.h"

#include <cmath>
#include <limits>
#include <string>

#include "base/exponential.h"
#include "flipped.h"
#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

namespace {

constexpr int64_t kNumTokens = 37;

// Every rule at its default options, on logits that differ by token and expert.
struct Problem {
  GuardedBuffer<float> logits, bias, weights;
  GuardedBuffer<int32_t> offsets, ids;
  int64_t num_experts, top_k;

  Problem(int64_t num_experts, int64_t top_k, int64_t misalignment)
      : logits(kNumTokens * num_experts, misalignment),
        bias(num_experts, misalignment),
        weights(kNumTokens * top_k, misalignment),
        offsets(kNumTokens + 1, misalignment),
        ids(kNumTokens * top_k, misalignment),
        num_experts(num_experts),
        top_k(top_k) {
    for (int64_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(std::sin(1.7 * i) * 3);
    for (int64_t e = 0; e < num_experts; ++e) bias[e] = static_cast<float>(0.1 * std::cos(e));
  }

  Ended run(winnow_router_score score, bool corrected, int64_t groups, const OwnedCpu& cpu) {
    winnow_top_k_router_arguments arguments{};
    arguments.logits = logits.data();
    arguments.correction_bias = corrected ? bias.data() : nullptr;
    arguments.token_offsets = offsets.data();
    arguments.expert_ids = ids.data();
    arguments.routing_weights = weights.data();
    arguments.num_tokens = kNumTokens;
    arguments.num_experts = num_experts;
    arguments.top_k = top_k;
    arguments.min_experts = 1;
    arguments.num_expert_groups = arguments.top_k_groups = groups;
    arguments.score = score;
    arguments.group_score = WINNOW_GROUP_SCORE_SUM_OF_TOP_TWO;
    arguments.renormalise = 1;
    arguments.scaling_factor = 1;
    arguments.threshold = 0.5f;
    return call(winnow_top_k_router, arguments, cpu);
  }
};

}  // namespace

TEST(TopKRouter, StaysInsideItsBuffers) {
  const OwnedCpu cpu = open_cpu(2);
  for (int64_t num_experts : {1, 2, 7, 8, 130}) {
    for (int64_t top_k : {int64_t{1}, num_experts / 2 + 1, num_experts}) {
      for (winnow_router_score score = 0; score <= WINNOW_ROUTER_SCORE_SHIFTED_THRESHOLD; ++score) {
        const bool sigmoid = score == WINNOW_ROUTER_SCORE_SIGMOID;
        Problem p(num_experts, std::min(top_k, num_experts), score % 2 * 4);
        const Ended ended = p.run(score, sigmoid, sigmoid && num_experts == 130 ? 13 : 1, cpu);
        ASSERT_EQ(ended, (Ended{WINNOW_DONE, p.offsets[kNumTokens]}));
        ASSERT_EQ(p.offsets[0], 0);
        for (int64_t t = 0; t < kNumTokens; ++t) {
          ASSERT_GE(p.offsets[t + 1], p.offsets[t]);
          ASSERT_LE(p.offsets[t + 1], p.offsets[t] + p.top_k);
          double sum = 0;
          for (int64_t i = p.offsets[t]; i < p.offsets[t + 1]; ++i) {
            ASSERT_TRUE(p.ids[i] >= 0 && p.ids[i] < num_experts);
            sum += p.weights[i];
          }
          ASSERT_TRUE(p.offsets[t + 1] == p.offsets[t] || std::fabs(sum - 1) < 1e-6) << sum;
        }
        p.logits.expect_guards_intact();
        p.bias.expect_guards_intact();
        p.weights.expect_guards_intact();
        p.offsets.expect_guards_intact();
        p.ids.expect_guards_intact();
      }
    }
  }
}

TEST(TopKRouter, ReturnsTheFirstTokenThatIsRefused) {
  const OwnedCpu cpu = open_cpu(3);
  Problem p(5, 2, 0);
  p.logits[30 * 5 + 4] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(p.run(WINNOW_ROUTER_SCORE_SOFTMAX, false, 1, cpu), (Ended{WINNOW_REFUSED, 30}));
  p.logits[12 * 5 + 1] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(p.run(WINNOW_ROUTER_SCORE_SOFTMAX, false, 1, cpu), (Ended{WINNOW_REFUSED, 12}));
  for (int e = 0; e < 5; ++e) p.logits[3 * 5 + e] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(p.run(WINNOW_ROUTER_SCORE_SIGMOID, false, 1, cpu), (Ended{WINNOW_REFUSED, 3}));
  p.ids.expect_guards_intact();
}

TEST(Exponential, AgreesWithLongDouble) {
  for (double x = -708; x <= 708; x += 0.0713) {
    const long double exact = std::exp(static_cast<long double>(x));
    ASSERT_LE(std::fabs(exponential(x) - exact), 3e-11L * exact) << x;
  }
  EXPECT_EQ(exponential(0), 1);
  EXPECT_EQ(exponential(-1e9), exponential(-708));
}

TEST(TopKRouter, ReadsNothingOutsideWhileItsTensorsChange) {
  const OwnedCpu cpu = open_cpu(2);
  Problem p(130, 4, 0);
  auto run = [&] {
    for (winnow_router_score score = 0; score <= WINNOW_ROUTER_SCORE_SHIFTED_THRESHOLD; ++score) {
      for (int i = 0; i < kFlippedCalls; ++i) {
        const winnow_status status = p.run(score, false, 1, cpu).status;
        ASSERT_TRUE(status == WINNOW_DONE || status == WINNOW_REFUSED) << status;
      }
    }
  };
  {
    const Flipped<float> flipped(&p.logits[7], p.logits[7], __builtin_nanf(""));
    run();
  }
  for (int32_t* index : {&p.ids[1], &p.offsets[2]}) {
    const Flipped<int32_t> flipped(index, 0, 1 << 30);
    run();
  }
  p.weights.expect_guards_intact();
  p.offsets.expect_guards_intact();
  p.ids.expect_guards_intact();
}

TEST(TopKRouter, RefusesScoresThatItDoesNotName) {
  const OwnedCpu cpu = open_cpu(1);
  Problem p(5, 2, 0);
  for (winnow_router_score score : {-1, 5}) {
    EXPECT_EQ(p.run(score, false, 1, cpu), (Ended{WINNOW_INVALID_ARGUMENT, 0}));
    EXPECT_EQ(winnow_last_error(), "score must be a winnow_router_score, found " + std::to_string(score));
  }
}

}  // namespace winnow
