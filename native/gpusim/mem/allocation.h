// One piece of device memory: its bytes on the host, which of them hold a value, and which of them kernels have
// touched.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace winnow::gpusim {

// One bit per byte of an allocation. The threads that execute blocks set bits; no bit is cleared while a kernel runs.
class ByteSet {
 public:
  explicit ByteSet(uint64_t num_bytes);
  void add(uint64_t begin, uint64_t n);
  void remove(uint64_t begin, uint64_t n);
  bool contains_all(uint64_t begin, uint64_t n) const;
  uint64_t count(uint64_t begin, uint64_t n) const;
  void remove_all();

 private:
  uint64_t num_words_;
  std::unique_ptr<std::atomic<uint64_t>[]> words_;
};

struct Allocation {
  Allocation(uint64_t address, uint64_t size_bytes, size_t index);
  ~Allocation();
  void release();  // the bytes go, the record stays: a later access is a use after free

  uint64_t address, size_bytes;
  size_t index;  // in Memory::live_allocations(), while live
  bool live = true;
  uint8_t* bytes;                       // null once freed
  ByteSet written;                      // by host or kernel: holds a value
  ByteSet kernel_read, kernel_written;  // since Memory::reset_touched
};

}  // namespace winnow::gpusim
