// The definition of winnow_cpu: an instruction set and a team of threads with one parallel primitive.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "winnow/base/cpu.h"

// winnow::Cpu
struct winnow_cpu {
  // Throws std::runtime_error if the system cannot start a thread.
  winnow_cpu(winnow::InstructionSet instruction_set, int32_t num_threads);
  ~winnow_cpu();

  // Calls body(begin, end) on all threads for ranges of at most grain items that cover [0, num_items). Threads claim
  // ranges one by one, which balances uneven work. Returns when all ranges are done. It does not wait for threads that
  // have not begun: a thread that the system does not run delays nobody. body must not throw.
  template <typename Body>
  void parallel_for(int64_t num_items, int64_t grain, const Body& body) {
    if (num_items <= 0) return;
    if (num_items <= grain || num_threads == 1) {
      body(int64_t{0}, num_items);
      return;
    }
    run(
        num_items, grain,
        [](const void* b, int64_t begin, int64_t end) noexcept { (*static_cast<const Body*>(b))(begin, end); }, &body);
  }

  const winnow::InstructionSet instruction_set;
  const int32_t num_threads;

 private:
  using RangeFunction = void (*)(const void* body, int64_t begin, int64_t end) noexcept;

  void run(int64_t num_items, int64_t grain, RangeFunction function, const void* body);
  void work();
  void worker();
  bool has_work(uint64_t gate, uint64_t seen) const;
  void stop();  // ends the workers and joins them

  // Of gate_: the number of the region, whether workers may still enter it, and how many of them are in it.
  static constexpr uint64_t kWorkers = 0xffffffff, kOpen = kWorkers + 1, kRegion = 2 * kOpen;

  std::mutex call_mutex_;  // one region at a time; callers queue here
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::atomic<uint64_t> gate_{0};     // opening releases the four fields below, leaving releases a worker's output
  std::atomic<int32_t> sleepers_{0};  // workers that wait for wake_, or are about to
  std::atomic<int64_t> next_{0};      // relaxed: claims ranges, carries no data
  int64_t num_items_ = 0, grain_ = 1;
  RangeFunction function_ = nullptr;
  const void* body_ = nullptr;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};
