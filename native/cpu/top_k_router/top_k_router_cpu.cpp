// One token per work item. One scan over a token's selection values inserts its choices, sorted, in memory of the range.
// They are then copied to elements [t * top_k, (t + 1) * top_k) of the outputs. If tokens chose fewer experts, the gaps
// are closed at the end. Outputs are not read before that: another thread may write to them.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/cpu_context.h"
#include "base/entry.h"
#include "base/exponential.h"
#include "winnow/top_k_router.h"

namespace winnow {

namespace {

constexpr int kNumLanes = 8;
constexpr double kSigmoidEpsilon = 1e-20;

struct Router : winnow_top_k_router_arguments {
  explicit Router(const winnow_top_k_router_arguments& arguments) : winnow_top_k_router_arguments(arguments) {}

  // Softmax probabilities have the order of the logits. Comparing logits also avoids ties that rounding would create.
  bool selects_logits() const { return score == WINNOW_ROUTER_SCORE_SOFTMAX && correction_bias == nullptr; }

  // Sums of two probabilities can have another order than sums of two logits.
  bool needs_scores() const {
    return !selects_logits() || (num_expert_groups > 1 && group_score == WINNOW_GROUP_SCORE_SUM_OF_TOP_TWO);
  }
};

// Working memory of one thread.
struct Scratch {
  std::vector<float> values;         // [top_k] of the choices
  std::vector<int32_t> ids;          // [top_k]
  std::vector<double> gates;         // [top_k] weights of the choices before they are normalised
  std::vector<float> selection;      // [num_experts]
  std::vector<float> group_values;   // [top_k_groups]
  std::vector<int32_t> group_ids;    // [top_k_groups]
  std::vector<char> group_eligible;  // [num_expert_groups]

  void fit(const Router& op) {
    values.resize(op.top_k);
    ids.resize(op.top_k);
    gates.resize(op.top_k);
    if (op.needs_scores()) selection.resize(op.num_experts);
    if (op.num_expert_groups == 1) return;
    group_values.resize(op.top_k_groups);
    group_ids.resize(op.top_k_groups);
    group_eligible.resize(op.num_expert_groups);
  }
};

// Keeps the best `capacity` candidates: larger value first, then smaller id. Candidates must be offered in ascending
// order of id.
struct BestFirst {
  float* values;
  int32_t* ids;
  int64_t capacity;
  int64_t count = 0;

  void offer(float value, int64_t id) {
    if (count == capacity && !(value > values[count - 1])) return;
    int64_t slot = count < capacity ? count++ : count - 1;
    for (; slot > 0 && value > values[slot - 1]; --slot) {
      values[slot] = values[slot - 1];
      ids[slot] = ids[slot - 1];
    }
    values[slot] = value;
    ids[slot] = static_cast<int32_t>(id);
  }
};

// The largest logit; NaN if one is NaN.
float maximum(const float* logits, int64_t num_experts) {
  float lanes[kNumLanes];
  int32_t nan[kNumLanes] = {};
  std::fill_n(lanes, kNumLanes, -std::numeric_limits<float>::infinity());
  const auto visit = [&](int64_t e, int lane) {
    lanes[lane] = logits[e] > lanes[lane] ? logits[e] : lanes[lane];
    nan[lane] |= logits[e] != logits[e];
  };
  int64_t e = 0;
  for (; e + kNumLanes <= num_experts; e += kNumLanes) {
    for (int lane = 0; lane < kNumLanes; ++lane) visit(e + lane, lane);
  }
  for (int lane = 0; e < num_experts; ++e, ++lane) visit(e, lane);
  if (std::any_of(nan, nan + kNumLanes, [](int32_t found) { return found != 0; }))
    return std::numeric_limits<float>::quiet_NaN();
  return *std::max_element(lanes, lanes + kNumLanes);
}

double sum_of_exponentials(const float* logits, double largest, int64_t num_experts) {
  double lanes[kNumLanes] = {};
  int64_t e = 0;
  for (; e + kNumLanes <= num_experts; e += kNumLanes) {
    for (int lane = 0; lane < kNumLanes; ++lane) lanes[lane] += exponential(logits[e + lane] - largest);
  }
  for (int lane = 0; e < num_experts; ++e, ++lane) lanes[lane] += exponential(logits[e] - largest);
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

float sigmoid(float z) { return static_cast<float>(1 / (1 + exponential(-static_cast<double>(z)))); }

// The scores plus correction bias. They rank groups and, unless selects_logits(), experts.
const float* selection_values(const Router& op, const float* logits, double largest, Scratch& scratch) {
  if (!op.needs_scores()) return logits;
  float* values = scratch.selection.data();
  if (op.score == WINNOW_ROUTER_SCORE_SIGMOID) {
    for (int64_t e = 0; e < op.num_experts; ++e) values[e] = sigmoid(logits[e]);
  } else {
    const double sum = sum_of_exponentials(logits, largest, op.num_experts);
    for (int64_t e = 0; e < op.num_experts; ++e) values[e] = static_cast<float>(exponential(logits[e] - largest) / sum);
  }
  for (int64_t e = 0; op.correction_bias != nullptr && e < op.num_experts; ++e) values[e] += op.correction_bias[e];
  return values;
}

float score_of_group(const float* values, int64_t size, winnow_group_score score) {
  float first = -std::numeric_limits<float>::infinity(), second = first;
  for (int64_t i = 0; i < size; ++i) {
    second = std::max(second, std::min(first, values[i]));
    first = std::max(first, values[i]);
  }
  return score == WINNOW_GROUP_SCORE_MAX || size == 1 ? first : first + second;
}

void choose_eligible(const Router& op, const float* logits, const float* values, Scratch& scratch, BestFirst& best) {
  const float* chosen_by = op.selects_logits() ? logits : values;
  if (op.num_expert_groups == 1) {
    for (int64_t e = 0; e < op.num_experts; ++e) best.offer(chosen_by[e], e);
    return;
  }
  const int64_t group_size = op.num_experts / op.num_expert_groups;
  BestFirst groups{scratch.group_values.data(), scratch.group_ids.data(), op.top_k_groups};
  for (int64_t g = 0; g < op.num_expert_groups; ++g) {
    groups.offer(score_of_group(values + g * group_size, group_size, op.group_score), g);
    scratch.group_eligible[g] = false;
  }
  for (int64_t i = 0; i < groups.count; ++i) scratch.group_eligible[groups.ids[i]] = true;
  for (int64_t e = 0; e < op.num_experts; ++e) {
    if (scratch.group_eligible[e / group_size]) best.offer(chosen_by[e], e);
  }
}

// Chooses logits above origin + bound, without computing that sum, which could round.
void choose_above(const Router& op, const float* logits, double origin, double bound, BestFirst& best) {
  for (int64_t e = 0; e < op.num_experts; ++e) {
    if (logits[e] - origin > bound) best.offer(logits[e], e);
  }
}

// The candidates u are sorted and shifted so that u_0 = 0. The support is the longest prefix r with 1 + r * u_r >
// sum_{j<=r} u_j. For the top_k largest candidates alone, it is the same prefix, limited to top_k.
void solve_sparsemax(double largest, double* gates, BestFirst& best) {
  double sum = 0, tau = -1;
  int64_t support = 0;
  for (; support < best.count; ++support) {
    const double u = best.values[support] - largest;
    if (!(1 + static_cast<double>(support + 1) * u > sum + u)) break;
    sum += u;
    tau = (sum - 1) / static_cast<double>(support + 1);
  }
  best.count = support;
  for (int64_t i = 0; i < support; ++i) gates[i] = best.values[i] - largest - tau;
}

// Fills gates with the weights of the choices. Softmax weights are not yet divided by their denominator, which is
// returned if a rule needs it.
double weigh(const Router& op, const float* logits, double largest, double* gates, BestFirst& best) {
  switch (op.score) {
    case WINNOW_ROUTER_SCORE_SOFTMAX: {
      // All kept exponentials could underflow if the kept logits are far below the largest one. Weights that are only
      // renormalised are therefore shifted by the largest kept logit.
      const bool whole = !op.renormalise || op.top_p > 0;
      double shift = largest;
      if (!whole) {
        shift = logits[best.ids[0]];
        for (int64_t i = 1; i < best.count; ++i) shift = std::max(shift, static_cast<double>(logits[best.ids[i]]));
      }
      for (int64_t i = 0; i < best.count; ++i) gates[i] = exponential(logits[best.ids[i]] - shift);
      return whole ? sum_of_exponentials(logits, largest, op.num_experts) : 1;
    }
    case WINNOW_ROUTER_SCORE_SIGMOID:
      for (int64_t i = 0; i < best.count; ++i) gates[i] = sigmoid(logits[best.ids[i]]);
      return 1;
    case WINNOW_ROUTER_SCORE_SPARSEMAX:
      solve_sparsemax(largest, gates, best);
      return 1;
    case WINNOW_ROUTER_SCORE_HARD_THRESHOLD:
    case WINNOW_ROUTER_SCORE_SHIFTED_THRESHOLD: {
      const double origin = op.score == WINNOW_ROUTER_SCORE_SHIFTED_THRESHOLD ? op.threshold : 0;
      for (int64_t i = 0; i < best.count; ++i) gates[i] = best.values[i] - origin;
      return 1;
    }
  }
  return 1;
}

// Removes the choices that an adaptive rule drops. The first min_experts stay.
void trim(const Router& op, double denominator, double* gates, BestFirst& best) {
  if (op.top_p > 0) {
    double sum = 0;
    int64_t kept = 0;
    while (kept < best.count && sum < op.top_p * denominator) sum += gates[kept++];
    best.count = std::min(best.count, std::max(kept, op.min_experts));
  }
  const double bound = static_cast<double>(std::max(op.min_p, op.skip_below)) * gates[0];
  int64_t kept = 0;
  for (int64_t i = 0; i < best.count; ++i) {
    if (i >= op.min_experts && gates[i] < bound) continue;
    gates[kept] = gates[i];
    best.ids[kept++] = best.ids[i];
  }
  best.count = kept;
}

// The divisor of the weights, after trimming.
double divisor(const Router& op, double denominator, const double* gates, int64_t count) {
  if (!op.renormalise) return denominator;
  double sum = op.score == WINNOW_ROUTER_SCORE_SIGMOID ? kSigmoidEpsilon : 0;
  for (int64_t i = 0; i < count; ++i) sum += gates[i];
  return sum;
}

// Returns false if the token's logits are refused.
bool route_token(const Router& op, int64_t token, Scratch& scratch, int32_t* count) {
  const float* logits = op.logits + token * op.num_experts;
  const float largest = maximum(logits, op.num_experts);
  if (!(largest - largest == 0)) return false;  // NaN or infinite
  BestFirst best{scratch.values.data(), scratch.ids.data(), op.top_k};
  if (op.score == WINNOW_ROUTER_SCORE_HARD_THRESHOLD || op.score == WINNOW_ROUTER_SCORE_SHIFTED_THRESHOLD) {
    choose_above(op, logits, 0, op.threshold, best);
  } else if (op.score == WINNOW_ROUTER_SCORE_SPARSEMAX) {
    choose_above(op, logits, largest, -1, best);  // tau is never below largest - 1
  } else {
    choose_eligible(op, logits, selection_values(op, logits, largest, scratch), scratch, best);
  }
  if (best.count > 0) {
    double* gates = scratch.gates.data();
    const double denominator = weigh(op, logits, largest, gates, best);
    trim(op, denominator, gates, best);
    const double factor = op.scaling_factor / divisor(op, denominator, gates, best.count);
    for (int64_t i = 0; i < best.count; ++i) best.values[i] = static_cast<float>(gates[i] * factor);
  } else if (op.fallback_top1) {
    const int64_t found = std::find(logits, logits + op.num_experts, largest) - logits;
    best.offer(op.scaling_factor, std::min(found, op.num_experts - 1));  // not found: it changed meanwhile
  }
  std::copy_n(best.values, best.count, op.routing_weights + token * op.top_k);
  std::copy_n(best.ids, best.count, op.expert_ids + token * op.top_k);
  *count = static_cast<int32_t>(best.count);
  return true;
}

// Turns counts into offsets and closes the gaps between tokens. Choices only move towards the front. Returns the last
// offset.
int64_t close_up(const Router& op, const int32_t* counts) {
  op.token_offsets[0] = 0;
  int64_t to = 0;
  for (int64_t t = 0; t < op.num_tokens; ++t) {
    const int64_t from = t * op.top_k, count = counts[t];
    if (from != to) {
      std::memmove(op.expert_ids + to, op.expert_ids + from, count * sizeof(int32_t));
      std::memmove(op.routing_weights + to, op.routing_weights + from, count * sizeof(float));
    }
    to += count;
    op.token_offsets[t + 1] = static_cast<int32_t>(to);
  }
  return to;
}

}  // namespace

Outcome top_k_router_cpu(const winnow_top_k_router_arguments& arguments, Cpu& cpu) {
  const Router op(arguments);
  if (op.score < WINNOW_ROUTER_SCORE_SOFTMAX || op.score > WINNOW_ROUTER_SCORE_SHIFTED_THRESHOLD)
    throw std::invalid_argument("score must be a winnow_router_score, found " + std::to_string(op.score));
  if (op.group_score < WINNOW_GROUP_SCORE_MAX || op.group_score > WINNOW_GROUP_SCORE_SUM_OF_TOP_TWO)
    throw std::invalid_argument("group_score must be a winnow_group_score, found " + std::to_string(op.group_score));
  const int64_t num_tokens = op.num_tokens;
  // Ranges of at least about 20 microseconds, at most four per thread. Each range has its own scratch memory.
  const int64_t num_ranges = 4 * cpu.num_threads;
  const int64_t grain = std::max(1 + (int64_t{1} << 12) / op.num_experts, (num_tokens + num_ranges - 1) / num_ranges);
  const size_t ranges = num_tokens <= grain ? 1 : (num_tokens + grain - 1) / grain;
  // Of the calling thread; they grow.
  thread_local std::vector<Scratch> kept_scratch;
  thread_local std::vector<int32_t> kept_counts;
  if (kept_scratch.size() < ranges) kept_scratch.resize(ranges);
  kept_counts.resize(num_tokens);
  for (size_t i = 0; i < ranges; ++i) kept_scratch[i].fit(op);
  Scratch* scratch = kept_scratch.data();
  int32_t* counts = kept_counts.data();
  std::atomic<int64_t> first_refused{num_tokens};  // relaxed: the end of the region publishes it
  cpu.parallel_for(num_tokens, grain, [&](int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; ++token) {
      if (route_token(op, token, scratch[begin / grain], counts + token)) continue;
      int64_t first = first_refused.load(std::memory_order_relaxed);
      while (token < first && !first_refused.compare_exchange_weak(first, token, std::memory_order_relaxed)) {
      }
      return;
    }
  });
  if (first_refused < num_tokens) return {WINNOW_REFUSED, first_refused};
  return {WINNOW_DONE, close_up(op, counts)};
}

}  // namespace winnow

WINNOW_OPERATION(top_k_router)
