// What is remembered about device memory during one launch: who accessed it, and which bytes were loaded and stored.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <vector>

#include "check/shadow.h"
#include "gpusim.h"
#include "mem/allocation.h"

namespace winnow::gpusim {

struct GlobalPage {
  ShadowPage keys;
  std::array<uint64_t, kPageBytes / 64> loaded{}, stored{};  // a bit per byte
};
// Adds [offset, offset + n) of the page.
void add_bytes(std::array<uint64_t, kPageBytes / 64>& bytes, uint64_t offset, uint64_t n);

// Pages of the allocations that are live at the start of the launch; made when first accessed.
class GlobalShadow {
 public:
  explicit GlobalShadow(const Memory& memory);

  size_t num_allocations() const { return allocations_.size(); }
  size_t index_of(const Allocation& allocation) const { return allocation.index; }
  const Allocation& allocation(size_t index) const { return *allocations_[index].allocation; }

  // The page that holds this byte of the allocation. Several host threads: under the page's lock.
  GlobalPage& page(size_t allocation, uint64_t offset);

  // Locks the pages in which the ranges [offset, offset + bytes) begin, in an order that cannot deadlock. All pages
  // share 64 locks. Bit i of the result stands for lock i, as in the argument of unlock.
  static uint64_t lock_bit(uint64_t offset) { return uint64_t{1} << (offset / kPageBytes % kNumLocks); }
  void lock(uint64_t bits);
  void unlock(uint64_t bits);

  // Counts the distinct bytes of each allocation and adds them to those touched since Memory::reset_touched.
  void finish(std::vector<AllocationTraffic>& traffic);

 private:
  static constexpr uint64_t kNumLocks = 64;
  struct OfAllocation {
    explicit OfAllocation(Allocation* allocation) : allocation(allocation) {}
    ~OfAllocation() { std::free(pages.load()); }
    GlobalPage** all_pages();

    Allocation* allocation;
    std::atomic<GlobalPage**> pages{nullptr};       // zeroed by calloc: what is not accessed costs no memory
    std::atomic<int> finest_shift{kCoarsestShift};  // new pages start with it
  };
  struct alignas(64) Lock {
    std::atomic_flag held = ATOMIC_FLAG_INIT;
    std::vector<std::pair<std::pair<size_t, uint64_t>, std::unique_ptr<GlobalPage>>>
        pages;  // made under it: allocation, page
  };
  std::deque<OfAllocation> allocations_;  // as in Memory::live_allocations()
  std::array<Lock, kNumLocks> locks_;
};

}  // namespace winnow::gpusim
