#include "mem/allocation.h"

#include <new>

namespace winnow::gpusim {
namespace {

constexpr uint8_t kFreshByte = 0xA5;
constexpr uint64_t kWordBits = 64;

// The part of word `index` that [begin, begin + n) covers.
uint64_t covered(uint64_t index, uint64_t begin, uint64_t n) {
  const uint64_t first = index * kWordBits, last = first + kWordBits, end = begin + n;
  uint64_t bits = ~uint64_t{0};
  if (begin > first) bits &= ~uint64_t{0} << (begin - first);
  if (end < last) bits &= ~uint64_t{0} >> (last - end);
  return bits;
}

}  // namespace

ByteSet::ByteSet(uint64_t num_bytes)
    : num_words_((num_bytes + kWordBits - 1) / kWordBits), words_(new std::atomic<uint64_t>[num_words_]()) {}

void ByteSet::add(uint64_t begin, uint64_t n) {
  if (n == 0) return;
  for (uint64_t i = begin / kWordBits; i <= (begin + n - 1) / kWordBits; ++i) {
    const uint64_t bits = covered(i, begin, n);
    // Relaxed: the set is read after the threads that add to it have been joined; most bits are there already.
    if ((words_[i].load(std::memory_order_relaxed) & bits) != bits) words_[i].fetch_or(bits, std::memory_order_relaxed);
  }
}

void ByteSet::remove(uint64_t begin, uint64_t n) {
  if (n == 0) return;
  for (uint64_t i = begin / kWordBits; i <= (begin + n - 1) / kWordBits; ++i) {
    words_[i].fetch_and(~covered(i, begin, n), std::memory_order_relaxed);
  }
}

bool ByteSet::contains_all(uint64_t begin, uint64_t n) const { return count(begin, n) == n; }

uint64_t ByteSet::count(uint64_t begin, uint64_t n) const {
  if (n == 0) return 0;
  uint64_t total = 0;
  for (uint64_t i = begin / kWordBits; i <= (begin + n - 1) / kWordBits; ++i) {
    total +=
        static_cast<uint64_t>(__builtin_popcountll(words_[i].load(std::memory_order_relaxed) & covered(i, begin, n)));
  }
  return total;
}

void ByteSet::remove_all() {
  for (uint64_t i = 0; i < num_words_; ++i) words_[i].store(0, std::memory_order_relaxed);
}

Allocation::Allocation(uint64_t address, uint64_t size_bytes, size_t index)
    : address(address),
      size_bytes(size_bytes),
      index(index),
      bytes(static_cast<uint8_t*>(::operator new (size_bytes, std::align_val_t{256}))),
      written(size_bytes),
      kernel_read(size_bytes),
      kernel_written(size_bytes) {
  __builtin_memset(bytes, kFreshByte, size_bytes);
}

Allocation::~Allocation() { release(); }

void Allocation::release() {
  ::operator delete (bytes, std::align_val_t{256});
  bytes = nullptr;
  live = false;
  written = ByteSet(0);
  kernel_read = ByteSet(0);
  kernel_written = ByteSet(0);
}

}  // namespace winnow::gpusim
