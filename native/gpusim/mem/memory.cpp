#include <cstdio>
#include <cstring>

#include "gpusim.h"
#include "mem/allocation.h"

namespace winnow::gpusim {
namespace {

constexpr uint64_t kFirstAddress = 0x7000'0000'0000;
constexpr uint64_t kAlignment = 256;
constexpr uint64_t kGap = 4096;  // an index that runs over by less lands in no allocation

std::string hex(uint64_t address) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(address));
  return text;
}

}  // namespace

Memory::Memory() : next_address_(kFirstAddress) {}
Memory::~Memory() = default;

uint64_t Memory::allocate(uint64_t size_bytes) {
  const uint64_t address = next_address_;
  auto allocation = std::make_unique<Allocation>(address, size_bytes, live_.size());
  live_.push_back(allocation.get());
  allocations_.emplace(address, std::move(allocation));
  next_address_ += (size_bytes + kAlignment - 1) / kAlignment * kAlignment + kGap;
  return address;
}

void Memory::free(uint64_t address) {
  const auto found = allocations_.find(address);
  if (found == allocations_.end() || !found->second->live) {
    throw std::invalid_argument("free of " + hex(address) + ", which is not the start of a live allocation");
  }
  Allocation& allocation = *found->second;
  allocation.release();
  live_[allocation.index] = live_.back();
  live_[allocation.index]->index = allocation.index;
  live_.pop_back();
}

Allocation* Memory::find(uint64_t address) const {
  auto after = allocations_.upper_bound(address);
  return after == allocations_.begin() ? nullptr : std::prev(after)->second.get();
}

uint8_t* Memory::host(uint64_t address, uint64_t n, const char* purpose) const {
  const Allocation* allocation = find(address);
  if (allocation != nullptr && allocation->live) {
    const uint64_t offset = address - allocation->address;
    if (offset <= allocation->size_bytes && n <= allocation->size_bytes - offset) return allocation->bytes + offset;
  }
  std::string where = "no allocation lies below it";
  if (allocation != nullptr) {
    where = "the nearest allocation below is " + hex(allocation->address) + " with " +
            std::to_string(allocation->size_bytes) + " bytes" + (allocation->live ? "" : ", freed");
  }
  throw MemoryError(std::string(purpose) + " of " + std::to_string(n) + " bytes at " + hex(address) +
                    " outside every live allocation: " + where);
}

void Memory::read(uint64_t address, void* to, uint64_t n) const {
  if (n > 0) std::memcpy(to, host(address, n, "read"), n);
}

void Memory::write(uint64_t address, const void* from, uint64_t n) {
  if (n == 0) return;
  std::memcpy(host(address, n, "write"), from, n);
  Allocation* allocation = find(address);
  allocation->written.add(address - allocation->address, n);
}

void Memory::fill(uint64_t address, uint8_t value, uint64_t n) {
  if (n == 0) return;
  std::memset(host(address, n, "fill"), value, n);
  Allocation* allocation = find(address);
  allocation->written.add(address - allocation->address, n);
}

void Memory::copy(uint64_t to, uint64_t from, uint64_t n) {
  if (n == 0) return;
  const uint8_t* source_bytes = host(from, n, "copy");
  std::memmove(host(to, n, "copy"), source_bytes, n);
  const Allocation* source = find(from);
  Allocation* target = find(to);
  const uint64_t source_offset = from - source->address, target_offset = to - target->address;
  if (source->written.contains_all(source_offset, n)) {
    target->written.add(target_offset, n);
    return;
  }
  const bool descending =
      source == target && target_offset > source_offset;  // as memmove: read before it is overwritten
  for (uint64_t k = 0; k < n; ++k) {
    const uint64_t i = descending ? n - 1 - k : k;
    if (source->written.contains_all(source_offset + i, 1)) {
      target->written.add(target_offset + i, 1);
    } else {
      target->written.remove(target_offset + i, 1);
    }
  }
}

uint64_t Memory::distinct_bytes_read(uint64_t address, uint64_t n) const {
  if (n == 0) return 0;
  host(address, n, "count of the bytes read");
  const Allocation* allocation = find(address);
  return allocation->kernel_read.count(address - allocation->address, n);
}

uint64_t Memory::distinct_bytes_written(uint64_t address, uint64_t n) const {
  if (n == 0) return 0;
  host(address, n, "count of the bytes written");
  const Allocation* allocation = find(address);
  return allocation->kernel_written.count(address - allocation->address, n);
}

void Memory::reset_touched() {
  for (Allocation* allocation : live_) {
    allocation->kernel_read.remove_all();
    allocation->kernel_written.remove_all();
  }
}

}  // namespace winnow::gpusim
