#include "winnow/sampler.h"

#include <cmath>

#include "flipped.h"
#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

namespace {

Ended sample(const float* logits, int64_t vocabulary_size, double temperature, int64_t top_k, double top_p,
             double uniform) {
  static const OwnedCpu cpu = open_cpu(1);
  winnow_sampler_arguments arguments{};
  arguments.logits = logits;
  arguments.vocabulary_size = vocabulary_size;
  arguments.top_k = top_k;
  arguments.temperature = temperature;
  arguments.top_p = top_p;
  arguments.uniform = uniform;
  return call(winnow_sampler, arguments, cpu);
}

}  // namespace

TEST(Sampler, ReadsOnlyItsLogits) {
  for (int64_t vocabulary_size : {1, 2, 33, 1000}) {
    GuardedBuffer<float> logits(vocabulary_size, 4);
    for (int64_t i = 0; i < vocabulary_size; ++i) logits[i] = static_cast<float>(i % 7);
    for (int64_t top_k : {int64_t{0}, int64_t{1}, vocabulary_size, vocabulary_size + 5}) {
      for (double top_p : {1e-9, 0.5, 1.0}) {
        for (double uniform : {0.0, 0.5, 1 - 0x1p-53}) {
          const Ended ended = sample(logits.data(), vocabulary_size, 0.7, top_k, top_p, uniform);
          ASSERT_EQ(ended.status, WINNOW_DONE);
          ASSERT_GE(ended.detail, 0);
          ASSERT_LT(ended.detail, vocabulary_size);
        }
      }
    }
    logits.expect_guards_intact();
  }
}

TEST(Sampler, NamesTheLogitThatIsNoNumber) {
  float logits[3] = {1, NAN, 2};
  EXPECT_EQ(sample(logits, 3, 0, 0, 1, 0), (Ended{WINNOW_REFUSED, 1}));
  logits[1] = INFINITY;
  EXPECT_EQ(sample(logits, 3, 1, 0, 1, 0), (Ended{WINNOW_REFUSED, 1}));
  for (float& logit : logits) logit = -INFINITY;
  EXPECT_EQ(sample(logits, 3, 1, 0, 1, 0), (Ended{WINNOW_REFUSED, 3}));
  logits[2] = 0;
  EXPECT_EQ(sample(logits, 3, 0, 0, 1, 0), (Ended{WINNOW_DONE, 2}));
}

TEST(Sampler, ChoosesATokenOfTheVocabularyWhileLogitsChange) {
  const OwnedCpu cpu = open_cpu(1);
  GuardedBuffer<float> logits(1000);
  for (int64_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i * 37 % 101) / 50;
  for (float wrong : {__builtin_nanf(""), __builtin_inff(), -__builtin_inff(), 1e30f}) {
    const Flipped<float> flipped(&logits[500], 3.0f, wrong);
    for (int i = 0; i < 4 * kFlippedCalls; ++i) {
      winnow_sampler_arguments arguments{};
      arguments.logits = logits.data();
      arguments.vocabulary_size = logits.size();
      arguments.top_k = i % 2 * 50;
      arguments.temperature = i % 5 == 0 ? 0 : 0.7;
      arguments.top_p = i % 3 == 0 ? 0.9 : 1;
      arguments.uniform = 0.5;
      const Ended ended = call(winnow_sampler, arguments, cpu);
      ASSERT_TRUE(ended.status == WINNOW_REFUSED || ended.status == WINNOW_DONE) << ended;
      ASSERT_TRUE(ended.detail >= 0 && ended.detail < logits.size()) << ended;
    }
  }
}

}  // namespace winnow
