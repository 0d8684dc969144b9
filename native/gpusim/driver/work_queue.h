// Operations that have been submitted and not executed. Nothing runs by itself: an operation is executed as late as
// possible, when a synchronisation needs it. The seed orders operations whose prerequisites are done. A program that is
// right only on a fast device gives wrong results here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "driver/work.h"

namespace winnow::gpusim {

struct Context;

struct Operation {
  uint64_t number = 0;  // ascending in order of submission
  std::string call;     // the API function that submitted it
  uint64_t stream_id = 0;
  std::shared_ptr<Context> context;
  std::shared_ptr<const Work> work;
  uint64_t source_checksum = 0;  // of the pinned bytes to be read, as they were at submission
  bool check_source = false;

  bool done = false;
  double completed_ms = 0;  // on the host's clock

  std::vector<std::shared_ptr<Operation>> prerequisites;  // emptied when done
  std::vector<std::weak_ptr<Operation>> dependents;
  uint32_t num_unmet = 0;
  uint64_t needed_mark = 0;
};
using OperationPtr = std::shared_ptr<Operation>;

std::string describe(const Operation& operation);

class WorkQueue {
 public:
  // `execute` performs an operation's work; it must not throw.
  explicit WorkQueue(std::function<void(Operation&)> execute) : execute_(std::move(execute)) {}

  void seed(uint64_t seed) { random_.seed(seed); }
  // Prerequisites may be null or done. The operation is executed by a later run().
  void add(const OperationPtr& operation, const std::vector<OperationPtr>& prerequisites);
  // Executes operations until all targets are done: those that the targets need, and now and then another one that
  // could run.
  void run(const std::vector<OperationPtr>& targets);
  void run_all(const Context& context);
  // Answers a query: the device may execute a little first. Returns whether all targets are done.
  bool advance(const std::vector<OperationPtr>& targets);
  void discard(const Context& context);  // forgets its operations, as a reset does

  const std::map<uint64_t, OperationPtr>& pending() const { return pending_; }  // by number

 private:
  void mark_needed(const std::vector<OperationPtr>& targets);
  bool execute_one();  // false when nothing that is needed is left
  void finish(const OperationPtr& operation);

  std::function<void(Operation&)> execute_;
  std::mt19937_64 random_{0};
  std::map<uint64_t, OperationPtr> pending_;
  std::vector<OperationPtr> ready_;
  uint64_t next_number_ = 1, mark_ = 0, current_stream_ = 0;
};

}  // namespace winnow::gpusim
