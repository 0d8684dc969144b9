#include "winnow/sampler.h"

#include <cmath>

#include "guarded_buffer.h"

namespace winnow {

TEST(Sampler, ReadsOnlyItsLogits) {
  for (int64_t vocabulary_size : {1, 2, 33, 1000}) {
    GuardedBuffer<float> logits(vocabulary_size, 4);
    for (int64_t i = 0; i < vocabulary_size; ++i) logits[i] = static_cast<float>(i % 7);
    for (int64_t top_k : {int64_t{0}, int64_t{1}, vocabulary_size, vocabulary_size + 5}) {
      for (double top_p : {1e-9, 0.5, 1.0}) {
        for (double uniform : {0.0, 0.5, 1 - 0x1p-53}) {
          int64_t token = sampler_cpu(logits.data(), vocabulary_size, 0.7, top_k, top_p, uniform);
          ASSERT_GE(token, 0);
          ASSERT_LT(token, vocabulary_size);
        }
      }
    }
    logits.expect_guards_intact();
  }
}

TEST(Sampler, NamesTheLogitThatIsNoNumber) {
  float logits[3] = {1, NAN, 2};
  EXPECT_EQ(sampler_cpu(logits, 3, 0, 0, 1, 0), -2);
  logits[1] = INFINITY;
  EXPECT_EQ(sampler_cpu(logits, 3, 1, 0, 1, 0), -2);
  for (float& logit : logits) logit = -INFINITY;
  EXPECT_EQ(sampler_cpu(logits, 3, 1, 0, 1, 0), -4);
}

}  // namespace winnow
