#include "winnow/sampler.h"

#include <cmath>

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

}  // namespace winnow
