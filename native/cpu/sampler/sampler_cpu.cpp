// One thread: a vocabulary is small beside the matrix that made its logits. Without top-p nothing is sorted; with it a heap yields only
// as many of the largest as the mass needs.
#include "winnow/sampler.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/exponential.h"

namespace winnow {

namespace {

struct Distribution {
  const float* logits;
  float max;
  double temperature;

  double weight(int32_t i) const { return std::isinf(logits[i]) ? 0.0 : exponential((static_cast<double>(logits[i]) - max) / temperature); }

  bool before(int32_t a, int32_t b) const { return logits[a] > logits[b] || (logits[a] == logits[b] && a < b); }
};

double mass(const Distribution& distribution, const std::vector<int32_t>& candidates) {
  double sum = 0;
  for (int32_t i : candidates) sum += distribution.weight(i);
  return sum;
}

void keep_top_k(const Distribution& distribution, int64_t top_k, std::vector<int32_t>* candidates) {
  auto before = [&](int32_t a, int32_t b) { return distribution.before(a, b); };
  std::nth_element(candidates->begin(), candidates->begin() + top_k - 1, candidates->end(), before);
  candidates->resize(top_k);
  std::sort(candidates->begin(), candidates->end());
}

void keep_top_p(const Distribution& distribution, double top_p, std::vector<int32_t>* candidates) {
  double needed = top_p * mass(distribution, *candidates), sum = 0;
  auto after = [&](int32_t a, int32_t b) { return distribution.before(b, a); };  // the heap's top is the first in order
  std::make_heap(candidates->begin(), candidates->end(), after);
  auto end = candidates->end();
  while (end != candidates->begin() && (sum < needed || end == candidates->end())) {
    std::pop_heap(candidates->begin(), end--, after);
    sum += distribution.weight(*end);
  }
  candidates->erase(candidates->begin(), end);
  std::sort(candidates->begin(), candidates->end());
}

}  // namespace

int64_t sampler_cpu(const float* logits, int64_t vocabulary_size, double temperature, int64_t top_k, double top_p, double uniform) {
  int64_t best = 0;
  for (int64_t i = 0; i < vocabulary_size; ++i) {
    if (!(logits[i] < INFINITY)) return -1 - i;
    if (logits[i] > logits[best]) best = i;
  }
  if (logits[best] == -INFINITY) return -1 - vocabulary_size;
  if (temperature == 0) return best;
  Distribution distribution{logits, logits[best], temperature};
  thread_local std::vector<int32_t> candidates;  // grows once per thread and vocabulary
  candidates.resize(vocabulary_size);
  for (int64_t i = 0; i < vocabulary_size; ++i) candidates[i] = static_cast<int32_t>(i);
  if (top_k > 0 && top_k < vocabulary_size) keep_top_k(distribution, top_k, &candidates);
  if (top_p < 1) keep_top_p(distribution, top_p, &candidates);
  double target = uniform * mass(distribution, candidates), sum = 0;
  for (int32_t i : candidates) {
    sum += distribution.weight(i);
    if (sum > target) return i;
  }
  return best;  // not reached: the last running sum is the mass itself, and uniform is below 1
}

}  // namespace winnow
