// A second thread that writes two values in turn to one element while an operation runs.
#pragma once

#include <atomic>
#include <thread>

namespace winnow {

template <typename T>
class Flipped {
 public:
  Flipped(T* element, T right, T wrong)
      : thread_([=] {
          while (!ended_.load(std::memory_order_relaxed)) {
            for (int i = 0; i < 50; ++i)
              __atomic_store(element, const_cast<T*>(i % 2 == 0 ? &wrong : &right), __ATOMIC_RELAXED);
          }
          __atomic_store(element, const_cast<T*>(&right), __ATOMIC_RELAXED);
        }) {}
  Flipped(const Flipped&) = delete;
  ~Flipped() {
    ended_.store(true, std::memory_order_relaxed);
    thread_.join();
  }

 private:
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

constexpr int kFlippedCalls = 300;

}  // namespace winnow
