#include "check/global_shadow.h"

#include <algorithm>
#include <new>
#include <thread>
#include <utility>

namespace winnow::gpusim {

void add_bytes(std::array<uint64_t, kPageBytes / 64>& bytes, uint64_t offset, uint64_t n) {
  while (n > 0) {
    const uint64_t bit = offset % 64, count = std::min(n, 64 - bit);
    bytes[offset / 64] |= (count == 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1) << bit;
    offset += count;
    n -= count;
  }
}

GlobalShadow::GlobalShadow(const Memory& memory) {
  for (Allocation* allocation : memory.live_allocations()) allocations_.emplace_back(allocation);
}

GlobalPage** GlobalShadow::OfAllocation::all_pages() {
  GlobalPage** known = pages.load(std::memory_order_acquire);
  if (known != nullptr) return known;
  const uint64_t num_pages = (allocation->size_bytes + kPageBytes - 1) / kPageBytes;
  auto* made = static_cast<GlobalPage**>(std::calloc(num_pages, sizeof(GlobalPage*)));
  if (made == nullptr) throw std::bad_alloc();
  if (pages.compare_exchange_strong(known, made, std::memory_order_acq_rel)) return made;
  std::free(made);  // another host thread was faster
  return known;
}

GlobalPage& GlobalShadow::page(size_t allocation, uint64_t offset) {
  OfAllocation& of = allocations_[allocation];
  GlobalPage*& page = of.all_pages()[offset / kPageBytes];
  if (page == nullptr) {
    auto made = std::make_unique<GlobalPage>();
    made->keys.shift = of.finest_shift.load(std::memory_order_relaxed);
    page = made.get();
    const uint64_t lock = __builtin_ctzll(lock_bit(offset));
    locks_[lock].pages.emplace_back(std::make_pair(allocation, offset / kPageBytes), std::move(made));
  } else if (page->keys.shift < of.finest_shift.load(std::memory_order_relaxed)) {
    of.finest_shift.store(page->keys.shift, std::memory_order_relaxed);  // only a hint: it spares dividing new pages
  }
  return *page;
}

void GlobalShadow::lock(uint64_t bits) {
  for (; bits != 0; bits &= bits - 1) {
    std::atomic_flag& held = locks_[__builtin_ctzll(bits)].held;
    for (int spins = 0; held.test_and_set(std::memory_order_acquire); ++spins) {
      if (spins > 100) std::this_thread::yield();
    }
  }
}

void GlobalShadow::unlock(uint64_t bits) {
  for (; bits != 0; bits &= bits - 1) locks_[__builtin_ctzll(bits)].held.clear(std::memory_order_release);
}

void GlobalShadow::finish(std::vector<AllocationTraffic>& traffic) {
  for (size_t i = 0; i < allocations_.size(); ++i) {
    traffic[i].address = allocations_[i].allocation->address;
    traffic[i].size_bytes = allocations_[i].allocation->size_bytes;
  }
  const auto count = [](const std::array<uint64_t, kPageBytes / 64>& bytes, uint64_t begin, ByteSet& touched) {
    uint64_t total = 0;
    for (uint64_t i = 0; i < bytes.size(); ++i) {
      uint64_t bits = bytes[i];
      total += __builtin_popcountll(bits);
      while (bits != 0) {  // run by run
        const uint64_t first = __builtin_ctzll(bits), rest = ~(bits >> first);
        const uint64_t length = rest == 0 ? 64 : __builtin_ctzll(rest);
        touched.add(begin + i * 64 + first, length);
        if (first + length == 64) break;
        bits &= ~uint64_t{0} << (first + length);
      }
    }
    return total;
  };
  for (const Lock& lock : locks_) {
    for (const auto& [place, page] : lock.pages) {
      const auto [index, number] = place;
      Allocation& allocation = *allocations_[index].allocation;
      traffic[index].distinct_load_bytes += count(page->loaded, number * kPageBytes, allocation.kernel_read);
      traffic[index].distinct_store_bytes += count(page->stored, number * kPageBytes, allocation.kernel_written);
    }
  }
}

}  // namespace winnow::gpusim
