#include "winnow/sampler.h"

#include <cmath>

#include "flipped.h"
#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

namespace {

winnow_sampler_arguments arguments_of(const float* logits, int64_t vocabulary_size, double temperature) {
  winnow_sampler_arguments arguments{};
  arguments.logits = logits;
  arguments.vocabulary_size = vocabulary_size;
  arguments.temperature = temperature;
  arguments.top_p = 1;
  return arguments;
}

Ended sample(const winnow_sampler_arguments& arguments) {
  static const OwnedCpu cpu = open_cpu(1);
  return call(winnow_sampler, arguments, cpu);
}

Ended sample(const float* logits, int64_t vocabulary_size, double temperature) {
  return sample(arguments_of(logits, vocabulary_size, temperature));
}

}  // namespace

TEST(Sampler, ReadsOnlyItsLogitsAndSeenTokens) {
  for (int64_t vocabulary_size : {1, 2, 33, 1000}) {
    GuardedBuffer<float> logits(vocabulary_size, 4);
    for (int64_t i = 0; i < vocabulary_size; ++i) logits[i] = static_cast<float>(i % 7);
    GuardedBuffer<int32_t> seen(5, 4);
    for (int64_t i = 0; i < seen.size(); ++i) seen[i] = static_cast<int32_t>((vocabulary_size - 1) / (i + 1));
    winnow_sampler_arguments arguments = arguments_of(logits.data(), vocabulary_size, 0.7);
    arguments.seen = seen.data();
    arguments.repetition_penalty = 1.5f;
    for (int64_t top_k : {int64_t{0}, int64_t{1}, vocabulary_size, vocabulary_size + 5}) {
      for (double top_p : {1e-9, 0.5, 1.0}) {
        for (double uniform : {0.0, 0.5, 1 - 0x1p-53}) {
          arguments.top_k = top_k;
          arguments.top_p = top_p;
          arguments.uniform = uniform;
          arguments.min_p = uniform == 0.5 ? 1 : 0;
          arguments.num_seen = top_p == 0.5 ? 0 : seen.size();
          const Ended ended = sample(arguments);
          ASSERT_EQ(ended.status, WINNOW_DONE);
          ASSERT_GE(ended.detail, 0);
          ASSERT_LT(ended.detail, vocabulary_size);
        }
      }
    }
    logits.expect_guards_intact();
    seen.expect_guards_intact();
  }
}

TEST(Sampler, NamesTheSeenTokenThatIsNotInTheVocabulary) {
  const float logits[3] = {1, 2, 3};
  winnow_sampler_arguments arguments = arguments_of(logits, 3, 1);
  arguments.repetition_penalty = 2;
  arguments.num_seen = 2;
  for (int32_t wrong : {3, -1, INT32_MIN, INT32_MAX}) {
    const int32_t seen[2] = {2, wrong};
    arguments.seen = seen;
    EXPECT_EQ(sample(arguments), (Ended{WINNOW_REFUSED, 5}));
  }
}

TEST(Sampler, NamesTheLogitThatIsNoNumber) {
  float logits[3] = {1, NAN, 2};
  EXPECT_EQ(sample(logits, 3, 0), (Ended{WINNOW_REFUSED, 1}));
  logits[1] = INFINITY;
  EXPECT_EQ(sample(logits, 3, 1), (Ended{WINNOW_REFUSED, 1}));
  for (float& logit : logits) logit = -INFINITY;
  EXPECT_EQ(sample(logits, 3, 1), (Ended{WINNOW_REFUSED, 3}));
  logits[2] = 0;
  EXPECT_EQ(sample(logits, 3, 0), (Ended{WINNOW_DONE, 2}));
}

TEST(Sampler, ChoosesATokenOfTheVocabularyWhileInputsChange) {
  GuardedBuffer<float> logits(1000);
  for (int64_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i * 37 % 101) / 50;
  GuardedBuffer<int32_t> seen(3);
  for (int64_t i = 0; i < seen.size(); ++i) seen[i] = static_cast<int32_t>(i);
  for (float wrong : {__builtin_nanf(""), __builtin_inff(), -__builtin_inff(), 1e30f}) {
    const Flipped<float> flipped(&logits[500], 3.0f, wrong);
    const Flipped<int32_t> flipped_too(&seen[1], 500, 1 << 30);
    for (int i = 0; i < 4 * kFlippedCalls; ++i) {
      winnow_sampler_arguments arguments = arguments_of(logits.data(), logits.size(), i % 5 == 0 ? 0 : 0.7);
      arguments.seen = seen.data();
      arguments.num_seen = i % 4 == 0 ? 3 : 0;
      arguments.top_k = i % 2 * 50;
      arguments.top_p = i % 3 == 0 ? 0.9 : 1;
      arguments.min_p = i % 7 == 0 ? 0.1 : 0;
      arguments.uniform = 0.5;
      arguments.repetition_penalty = 1.1f;
      const Ended ended = sample(arguments);
      ASSERT_TRUE(ended.status == WINNOW_REFUSED || ended.status == WINNOW_DONE) << ended;
      const int64_t details = ended.status == WINNOW_DONE ? logits.size() : logits.size() + 1 + arguments.num_seen;
      ASSERT_TRUE(ended.detail >= 0 && ended.detail < details) << ended;
    }
  }
}

}  // namespace winnow
