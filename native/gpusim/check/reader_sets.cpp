#include "check/reader_sets.h"

#include <algorithm>

namespace winnow::gpusim {
namespace {

AccessKey of_warp(AccessKey key) { return (key & ~AccessKey{31}) | kSeveralLanes; }

}  // namespace

const std::vector<AccessKey>& ReaderSets::members(AccessKey set) const {
  static const std::vector<AccessKey> nobody;
  const auto locked = lock();
  const uint64_t index = index_of(set);
  return index < first_ ? nobody : sets_[index - first_];
}

AccessKey ReaderSets::add(AccessKey readers, AccessKey reader) {
  reader = of_warp(reader);
  if ((readers & kReaderSet) == 0) readers = of_warp(readers);
  const auto locked = lock();
  AccessKey& result = results_[{readers, reader}];
  if (result != 0) return result;
  std::vector<AccessKey> members;
  if ((readers & kReaderSet) == 0) {
    members.push_back(readers);
  } else if (index_of(readers) >= first_) {
    members = sets_[index_of(readers) - first_];
  }
  const auto same_warp = std::find_if(members.begin(), members.end(),
                                      [&](AccessKey member) { return warp_of(member) == warp_of(reader); });
  if (same_warp == members.end()) {
    members.push_back(reader);
  } else {
    // The later read stands for both: what is ordered after it is ordered after the earlier one.
    if ((*same_warp & kStrong) == 0) reader &= ~kStrong;
    *same_warp = reader;
  }
  if ((readers & kReaderSet) != 0 && index_of(readers) >= first_ && members == sets_[index_of(readers) - first_]) {
    return result = readers;
  }
  sets_.push_back(std::move(members));
  return result = name(first_ + sets_.size() - 1);
}

void ReaderSets::forget() {
  const auto locked = lock();
  first_ += sets_.size();
  sets_.clear();
  results_.clear();
}

}  // namespace winnow::gpusim
