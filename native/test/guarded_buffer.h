// A buffer with poison on both sides, at any misalignment: the native tests' proof that a kernel stays inside its
// arguments.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace winnow {

template <typename T>
class GuardedBuffer {
 public:
  // misalignment_bytes shifts the first element off its 64-byte boundary.
  explicit GuardedBuffer(int64_t size, int64_t misalignment_bytes = 0)
      : size_(size), bytes_(kGuard + 64 + misalignment_bytes + size * sizeof(T) + kGuard, kPoison) {
    auto start = reinterpret_cast<uintptr_t>(bytes_.data()) + kGuard;
    offset_ = kGuard + (64 - start % 64) % 64 + misalignment_bytes;
  }

  T* data() { return reinterpret_cast<T*>(bytes_.data() + offset_); }
  T& operator[](int64_t i) { return data()[i]; }
  int64_t size() const { return size_; }

  void expect_guards_intact() const {
    int64_t end = offset_ + size_ * static_cast<int64_t>(sizeof(T));
    for (int64_t i = 0; i < static_cast<int64_t>(bytes_.size()); ++i) {
      if (i >= offset_ && i < end) continue;
      ASSERT_EQ(bytes_[i], kPoison) << "byte " << (i < offset_ ? i - offset_ : i - end)
                                    << (i < offset_ ? " before the start" : " past the end");
    }
  }

 private:
  static constexpr int64_t kGuard = 256;
  static constexpr unsigned char kPoison = 0xA5;
  int64_t size_, offset_;
  std::vector<unsigned char> bytes_;
};

}  // namespace winnow
