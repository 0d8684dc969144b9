// One thread: reading the logits is cheap compared with the matrix product that computed them. Nothing is fully sorted:
// top-p takes the largest logits from a heap until it has the required mass.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/cpu_context.h"
#include "base/entry.h"
#include "base/read_once.h"
#include "sampler/sampler_weights.h"
#include "winnow/sampler.h"

namespace winnow {

namespace {

constexpr int kNumLanes = 16;  // without a dependence from one logit to the next compilers vectorise both loops

// Index of the first logit that is NaN or +infinity, or size.
int64_t first_refused(const float* logits, int64_t size) {
  int32_t refused = 0;
  for (int64_t i = 0; i < size; ++i) refused |= logits[i] < INFINITY ? 0 : 1;
  if (refused == 0) return size;
  return std::find_if(logits, logits + size, [](float logit) { return !(logit < INFINITY); }) - logits;
}

float largest(const float* logits, int64_t size) {
  float max = logits[0];
  int64_t i = 0;
  if (size >= kNumLanes) {
    float lanes[kNumLanes];
    for (float& lane : lanes) lane = max;
    for (; i + kNumLanes <= size; i += kNumLanes) {
      for (int lane = 0; lane < kNumLanes; ++lane)
        lanes[lane] = logits[i + lane] > lanes[lane] ? logits[i + lane] : lanes[lane];
    }
    for (float lane : lanes) max = lane > max ? lane : max;
  }
  for (; i < size; ++i) max = logits[i] > max ? logits[i] : max;
  return max;
}

// The contract's 2^s.
double weight_scale(int64_t vocabulary_size) {
  int64_t scale = int64_t{1} << 62;
  for (int64_t size = 1; size < vocabulary_size; size *= 2) scale /= 2;
  return static_cast<double>(scale);
}

struct Candidates {
  std::vector<float> logits;      // by token; a copy: an order that changes meanwhile leads sorting out of its range
  std::vector<uint64_t> weights;  // by token
  std::vector<int32_t> tokens;    // ascending
};

// Each thread keeps one. It grows to the largest vocabulary.
Candidates& candidates_of_thread() {
  thread_local Candidates candidates;
  return candidates;
}

uint64_t mass(const Candidates& candidates) {
  uint64_t sum = 0;
  for (int32_t i : candidates.tokens) sum += candidates.weights[i];
  return sum;
}

// Every instruction set gives the same bits, so the machine's widest one is taken whatever the team's is.
SamplerWeights widest() {
  switch (static_cast<InstructionSet>(winnow_cpu_best_instruction_set())) {
    case InstructionSet::portable:
      return sampler_weights_portable;
    case InstructionSet::avx2:
      return sampler_weights_avx2;
    default:
      return sampler_weights_avx512;
  }
}

// The contract's min_p * 2^s, rounded up: as integers, weights compare with it alike.
uint64_t least_weight(double min_p, int64_t vocabulary_size) {
  return static_cast<uint64_t>(std::ceil(min_p * weight_scale(vocabulary_size)));
}

// Copies the logits and penalises those of seen tokens. Returns the index of the first seen token that is not in the
// vocabulary, or num_seen.
int64_t penalise(const winnow_sampler_arguments& arguments, std::vector<float>* logits) {
  logits->assign(arguments.logits, arguments.logits + arguments.vocabulary_size);
  for (int64_t i = 0; i < arguments.num_seen; ++i) {
    const int32_t token = read_once(arguments.seen[i]);
    if (token < 0 || token >= arguments.vocabulary_size) return i;
    const float logit = arguments.logits[token];  // not the copy's: a token that occurs again is penalised once
    (*logits)[token] = logit < 0 ? logit * arguments.repetition_penalty : logit / arguments.repetition_penalty;
  }
  return arguments.num_seen;
}

// Among all tokens.
int64_t draw(const std::vector<uint64_t>& weights, double uniform) {
  const uint64_t total = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
  const auto target = static_cast<uint64_t>(uniform * static_cast<double>(total));
  uint64_t sum = 0;
  size_t i = 0;
  while (i + 1 < weights.size() && (sum += weights[i]) <= target) ++i;
  return static_cast<int64_t>(i);
}

template <typename Before>
void keep_top_k(int64_t top_k, const Before& before, Candidates* candidates) {
  auto& tokens = candidates->tokens;
  std::nth_element(tokens.begin(), tokens.begin() + top_k - 1, tokens.end(), before);
  tokens.resize(top_k);
  std::sort(tokens.begin(), tokens.end());
}

template <typename Before>
void keep_top_p(double top_p, const Before& before, Candidates* candidates) {
  auto& tokens = candidates->tokens;
  const auto& weights = candidates->weights;
  const auto total = static_cast<double>(mass(*candidates));
  const auto needed = static_cast<uint64_t>(std::ceil(top_p * total));
  // Tokens lighter than an even share of half the excluded mass are skipped: all of them together cannot change which
  // tokens are kept.
  const auto negligible = static_cast<uint64_t>((1 - top_p) * 0.5 * total / static_cast<double>(tokens.size()));
  tokens.erase(std::remove_if(tokens.begin(), tokens.end(), [&](int32_t i) { return weights[i] < negligible; }),
               tokens.end());
  auto after = [&](int32_t a, int32_t b) { return before(b, a); };  // the heap's top is the first in order
  std::make_heap(tokens.begin(), tokens.end(), after);
  uint64_t sum = 0;
  auto end = tokens.end();
  while (end != tokens.begin() && (sum < needed || end == tokens.end())) {
    std::pop_heap(tokens.begin(), end--, after);
    sum += weights[*end];
  }
  tokens.erase(tokens.begin(), end);
  std::sort(tokens.begin(), tokens.end());
}

}  // namespace

Outcome sampler_cpu(const winnow_sampler_arguments& arguments, Cpu&) {
  const float* logits = arguments.logits;
  const int64_t vocabulary_size = arguments.vocabulary_size;
  const double temperature = arguments.temperature;
  if (arguments.num_seen > 0) {
    std::vector<float>& penalised = candidates_of_thread().logits;
    const int64_t wrong = penalise(arguments, &penalised);
    if (wrong < arguments.num_seen) return {WINNOW_REFUSED, vocabulary_size + 1 + wrong};
    logits = penalised.data();
  }
  const int64_t refused = first_refused(logits, vocabulary_size);
  if (refused < vocabulary_size) return {WINNOW_REFUSED, refused};
  const float max = largest(logits, vocabulary_size);
  if (max == -INFINITY) return {WINNOW_REFUSED, vocabulary_size};
  // The last one if it is not found any more: another thread wrote to the logits.
  const int64_t best =
      std::min<int64_t>(std::find(logits, logits + vocabulary_size, max) - logits, vocabulary_size - 1);
  if (!(max < INFINITY)) return {WINNOW_REFUSED, best};
  if (temperature == 0) return {WINNOW_DONE, best};
  const int64_t top_k = arguments.top_k;
  const double top_p = arguments.top_p;
  Candidates& candidates = candidates_of_thread();
  candidates.weights.resize(vocabulary_size);
  static const SamplerWeights weigh = widest();
  const bool all = (top_k == 0 || top_k >= vocabulary_size) && top_p >= 1;
  if (!all) {
    candidates.logits.resize(vocabulary_size);
    for (int64_t i = 0; i < vocabulary_size; ++i) {
      const float logit = read_once(logits[i]);
      candidates.logits[i] = logit <= max ? logit : -INFINITY;  // also for NaN, which has no order
    }
    logits = candidates.logits.data();
  }
  weigh(logits, vocabulary_size, max, temperature, weight_scale(vocabulary_size), candidates.weights.data());
  const uint64_t least = least_weight(arguments.min_p, vocabulary_size);
  if (all && least > 0) {
    for (uint64_t& weight : candidates.weights) weight = weight < least ? 0 : weight;
  }
  if (all) return {WINNOW_DONE, draw(candidates.weights, arguments.uniform)};
  candidates.tokens.resize(vocabulary_size);
  std::iota(candidates.tokens.begin(), candidates.tokens.end(), 0);
  auto before = [logits](int32_t a, int32_t b) { return logits[a] > logits[b] || (logits[a] == logits[b] && a < b); };
  if (top_k > 0 && top_k < vocabulary_size) keep_top_k(top_k, before, &candidates);
  if (top_p < 1) keep_top_p(top_p, before, &candidates);
  for (int32_t i : candidates.tokens) {
    if (candidates.weights[i] < least) candidates.weights[i] = 0;
  }
  const auto target = static_cast<uint64_t>(arguments.uniform * static_cast<double>(mass(candidates)));
  uint64_t sum = 0;
  for (int32_t i : candidates.tokens) {
    sum += candidates.weights[i];
    if (sum > target) return {WINNOW_DONE, i};
  }
  return {WINNOW_DONE, best};  // no mass is left: another thread wrote to the logits
}

}  // namespace winnow

WINNOW_OPERATION(sampler)
