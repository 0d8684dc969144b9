#include "driver/work_queue.h"

#include <algorithm>
#include <chrono>

namespace winnow::gpusim {
namespace {

// One operation in this many is not the next one of the same stream, or is one that nobody waits for yet. Long runs of
// one stream let a whole chain overtake another, which steps in turn hardly ever do.
constexpr uint64_t kSwitchOneIn = 8;

bool all_done(const std::vector<OperationPtr>& operations) {
  return std::all_of(operations.begin(), operations.end(), [](const OperationPtr& o) { return !o || o->done; });
}

}  // namespace

std::string describe(const Operation& operation) {
  return operation.call + " (" + describe(*operation.work) + ", operation " + std::to_string(operation.number) +
         " in stream " + std::to_string(operation.stream_id) + ")";
}

void WorkQueue::add(const OperationPtr& operation, const std::vector<OperationPtr>& prerequisites) {
  operation->number = next_number_++;
  for (const OperationPtr& before : prerequisites) {
    if (!before || before->done) continue;
    operation->prerequisites.push_back(before);
    before->dependents.push_back(operation);
  }
  operation->num_unmet = static_cast<uint32_t>(operation->prerequisites.size());
  pending_.emplace(operation->number, operation);
  if (operation->num_unmet == 0) ready_.push_back(operation);
}

void WorkQueue::mark_needed(const std::vector<OperationPtr>& targets) {
  ++mark_;
  std::vector<OperationPtr> open(targets);
  while (!open.empty()) {
    const OperationPtr operation = open.back();
    open.pop_back();
    if (!operation || operation->done || operation->needed_mark == mark_) continue;
    operation->needed_mark = mark_;
    open.insert(open.end(), operation->prerequisites.begin(), operation->prerequisites.end());
  }
}

bool WorkQueue::execute_one() {
  std::vector<OperationPtr> candidates;
  for (const OperationPtr& operation : ready_) {
    if (operation->needed_mark == mark_) candidates.push_back(operation);
  }
  if (candidates.empty()) return false;
  if (random_() % kSwitchOneIn == 0) {
    candidates = ready_;
  } else {
    std::vector<OperationPtr> same_stream;
    for (const OperationPtr& operation : candidates) {
      if (operation->stream_id == current_stream_) same_stream.push_back(operation);
    }
    if (!same_stream.empty()) candidates = std::move(same_stream);
  }
  const OperationPtr chosen = candidates[random_() % candidates.size()];
  current_stream_ = chosen->stream_id;
  execute_(*chosen);
  finish(chosen);
  return true;
}

void WorkQueue::finish(const OperationPtr& operation) {
  operation->done = true;
  operation->completed_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
  operation->prerequisites.clear();
  ready_.erase(std::find(ready_.begin(), ready_.end(), operation));
  for (const auto& weak : operation->dependents) {
    const OperationPtr next = weak.lock();
    if (next && --next->num_unmet == 0) ready_.push_back(next);
  }
  operation->dependents.clear();
  pending_.erase(operation->number);
}

void WorkQueue::run(const std::vector<OperationPtr>& targets) {
  mark_needed(targets);
  while (execute_one()) {
  }
}

void WorkQueue::run_all(const Context& context) {
  std::vector<OperationPtr> targets;
  for (const auto& [number, operation] : pending_) {
    if (operation->context.get() == &context) targets.push_back(operation);
  }
  run(targets);
}

bool WorkQueue::advance(const std::vector<OperationPtr>& targets) {
  mark_needed(targets);
  if (random_() % 2) execute_one();
  return all_done(targets);
}

void WorkQueue::discard(const Context& context) {
  std::vector<OperationPtr> dropped;
  for (const auto& [number, operation] : pending_) {
    if (operation->context.get() == &context) dropped.push_back(operation);
  }
  for (const OperationPtr& operation : dropped) {  // operations of other contexts may wait for these
    if (std::find(ready_.begin(), ready_.end(), operation) == ready_.end()) ready_.push_back(operation);
    finish(operation);
  }
}

}  // namespace winnow::gpusim
