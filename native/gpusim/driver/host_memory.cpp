#include "driver/host_memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace winnow::gpusim {
namespace {
constexpr size_t kPage = 4096;
}

HostMemory::~HostMemory() {
  for (const Freed& freed : freed_) std::free(freed.bytes);
  for (const auto& [address, block] : blocks_) {
    if (!block.registered) std::free(reinterpret_cast<void*>(address));
  }
}

void* HostMemory::allocate(size_t num_bytes, unsigned flags) {
  void* pointer = std::aligned_alloc(kPage, (num_bytes + kPage - 1) / kPage * kPage);
  if (!pointer) return nullptr;
  std::memset(pointer, kPoison, num_bytes);
  blocks_[reinterpret_cast<uint64_t>(pointer)] = {num_bytes, flags, false};
  return pointer;
}

bool HostMemory::free(void* pointer, const std::function<void(const std::string&)>& found) {
  const auto block = blocks_.find(reinterpret_cast<uint64_t>(pointer));
  if (block == blocks_.end() || block->second.registered) return false;
  const Freed freed{static_cast<uint8_t*>(pointer), block->second.num_bytes};
  blocks_.erase(block);
  std::memset(freed.bytes, kPoison, freed.num_bytes);
  freed_.push_back(freed);
  freed_bytes_ += freed.num_bytes;
  while (freed_bytes_ > kKeptBytes) {
    check(freed_.front(), found);
    freed_bytes_ -= freed_.front().num_bytes;
    std::free(freed_.front().bytes);
    freed_.pop_front();
  }
  return true;
}

bool HostMemory::add_registered(void* pointer, size_t num_bytes, unsigned flags) {
  const Range range{reinterpret_cast<uint64_t>(pointer), num_bytes};
  if (state(range) == State::kPinned || state(range) == State::kPartlyPinned) return false;
  blocks_[range.address] = {num_bytes, flags, true};
  return true;
}

bool HostMemory::remove_registered(void* pointer) {
  const auto block = blocks_.find(reinterpret_cast<uint64_t>(pointer));
  if (block == blocks_.end() || !block->second.registered) return false;
  blocks_.erase(block);
  return true;
}

void HostMemory::forget_registered() {
  for (auto i = blocks_.begin(); i != blocks_.end();) i = i->second.registered ? blocks_.erase(i) : std::next(i);
}

const HostMemory::Block* HostMemory::find(uint64_t address, uint64_t* start) const {
  auto next = blocks_.upper_bound(address);
  if (next == blocks_.begin()) return nullptr;
  --next;
  if (address - next->first >= next->second.num_bytes) return nullptr;
  *start = next->first;
  return &next->second;
}

HostMemory::State HostMemory::state(const Range& range) const {
  for (const Freed& freed : freed_) {
    if (range.overlaps({reinterpret_cast<uint64_t>(freed.bytes), freed.num_bytes})) return State::kFreed;
  }
  uint64_t start = 0;
  if (const Block* block = find(range.address, &start)) {
    return range.address + range.num_bytes <= start + block->num_bytes ? State::kPinned : State::kPartlyPinned;
  }
  const auto next = blocks_.lower_bound(range.address);
  return next != blocks_.end() && range.overlaps({next->first, next->second.num_bytes}) ? State::kPartlyPinned
                                                                                        : State::kPageable;
}

void HostMemory::check(const Freed& freed, const std::function<void(const std::string&)>& found) {
  const uint8_t* end = freed.bytes + freed.num_bytes;
  const uint8_t* written = std::find_if(freed.bytes, const_cast<uint8_t*>(end), [](uint8_t b) { return b != kPoison; });
  if (written != end) {
    found("byte " + std::to_string(written - freed.bytes) + " of a pinned buffer of " +
          std::to_string(freed.num_bytes) + " bytes was written after cuMemFreeHost");
  }
}

void HostMemory::check_freed(const std::function<void(const std::string&)>& found) const {
  for (const Freed& freed : freed_) check(freed, found);
}

}  // namespace winnow::gpusim
