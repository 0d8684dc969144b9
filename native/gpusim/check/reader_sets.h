// Sets of readers of one piece of memory, from different warps and not ordered among each other.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "check/access_key.h"

namespace winnow::gpusim {

// A set is named by a key with kReaderSet; at most one member per warp, each with kSeveralLanes.
class ReaderSets {
 public:
  explicit ReaderSets(bool thread_safe) : thread_safe_(thread_safe) {}

  // The set that holds `readers` (a set or one key) and `reader`. Equal arguments give the same set.
  AccessKey add(AccessKey readers, AccessKey reader);
  const std::vector<AccessKey>& members(AccessKey set) const;  // no members: forgotten
  void forget();  // every set so far holds only readers that are ordered before whatever follows

 private:
  static AccessKey name(uint64_t index) { return kReaderSet | index << kWarpShift; }
  static uint64_t index_of(AccessKey set) { return (set & ~kReaderSet) >> kWarpShift; }
  std::unique_lock<std::mutex> lock() const {
    return thread_safe_ ? std::unique_lock<std::mutex>(mutex_) : std::unique_lock<std::mutex>();
  }

  const bool thread_safe_;
  mutable std::mutex mutex_;
  uint64_t first_ = 1;  // index of sets_[0]; smaller ones are forgotten
  std::deque<std::vector<AccessKey>> sets_;
  std::map<std::pair<AccessKey, AccessKey>, AccessKey> results_;
};

}  // namespace winnow::gpusim
