#include "winnow/base/memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace winnow {

namespace {

constexpr int64_t kHugePageBytes = int64_t{2} << 20;
constexpr int64_t kPageBytes = 4096;
constexpr int64_t kLineBytes = 64;

int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

}  // namespace

void* memory_allocate(int64_t size_bytes) {
  if (size_bytes < kHugePageBytes) {
    int64_t rounded = round_up(size_bytes < 1 ? 1 : size_bytes, kLineBytes);
    void* address = std::aligned_alloc(kLineBytes, rounded);
    if (address == nullptr) throw std::bad_alloc();
    std::memset(address, 0, rounded);
    return address;
  }
  int64_t mapped = round_up(size_bytes, kHugePageBytes);
  void* raw = mmap(nullptr, mapped + kHugePageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) throw std::bad_alloc();
  auto start = reinterpret_cast<int64_t>(raw);
  int64_t aligned = round_up(start, kHugePageBytes);
  if (aligned > start) munmap(raw, aligned - start);
  int64_t tail = start + mapped + kHugePageBytes - (aligned + mapped);
  if (tail > 0) munmap(reinterpret_cast<void*>(aligned + mapped), tail);
  auto* address = reinterpret_cast<void*>(aligned);
  madvise(address, mapped, MADV_HUGEPAGE);  // a hint: without huge pages everything still works
  return address;
}

void memory_free(void* address, int64_t size_bytes) {
  if (address == nullptr) return;
  if (size_bytes < kHugePageBytes) {
    std::free(address);
  } else {
    munmap(address, round_up(size_bytes, kHugePageBytes));
  }
}

void memory_discard(void* address, int64_t size_bytes) {
  int64_t begin = round_up(reinterpret_cast<int64_t>(address), kPageBytes);
  int64_t end = (reinterpret_cast<int64_t>(address) + size_bytes) / kPageBytes * kPageBytes;
  if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void memory_copy(void* destination, const void* source, int64_t size_bytes) { std::memcpy(destination, source, size_bytes); }

}  // namespace winnow
