#include "cpu_context.h"

#include <immintrin.h>

#include <stdexcept>
#include <string>
#include <system_error>

#include "entry.h"

namespace winnow {

namespace {

// About 20 microseconds. This is longer than the gap between two operations of a decode step and shorter than a
// scheduling quantum, so a waiting thread soon yields its core on a shared machine (there, a spinning team was 100
// times slower).
constexpr int kNumSpins = 400;

bool supports_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

bool supports(InstructionSet instruction_set) {
  switch (instruction_set) {
    case InstructionSet::portable:
      return true;
    case InstructionSet::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    case InstructionSet::avx512:
      return supports_avx512();
    case InstructionSet::avx512_bf16:
      return supports_avx512() && __builtin_cpu_supports("avx512bf16");
  }
  return false;
}

Cpu* open(InstructionSet instruction_set, int32_t num_threads) {
  if (!supports(instruction_set))
    throw std::invalid_argument("instruction set " + std::to_string(static_cast<int>(instruction_set)) +
                                " is not supported here");
  if (num_threads < 1)
    throw std::invalid_argument("num_threads must be at least 1, found " + std::to_string(num_threads));
  return new Cpu(instruction_set, num_threads);
}

}  // namespace

}  // namespace winnow

int32_t winnow_abi_version(void) { return WINNOW_ABI_VERSION; }

int32_t winnow_cpu_supports(winnow_instruction_set instruction_set) {
  return winnow::supports(static_cast<winnow::InstructionSet>(instruction_set)) ? 1 : 0;
}

winnow_instruction_set winnow_cpu_best_instruction_set(void) {
  for (auto candidate :
       {WINNOW_INSTRUCTION_SET_AVX512_BF16, WINNOW_INSTRUCTION_SET_AVX512, WINNOW_INSTRUCTION_SET_AVX2}) {
    if (winnow_cpu_supports(candidate)) return candidate;
  }
  return WINNOW_INSTRUCTION_SET_PORTABLE;
}

winnow_cpu* winnow_cpu_open(winnow_instruction_set instruction_set, int32_t num_threads) {
  try {
    return winnow::open(static_cast<winnow::InstructionSet>(instruction_set), num_threads);
  } catch (...) {
    winnow::status_of_current_exception();
    return nullptr;
  }
}

void winnow_cpu_close(winnow_cpu* cpu) { delete cpu; }

winnow_cpu::winnow_cpu(winnow::InstructionSet set, int32_t threads) : instruction_set(set), num_threads(threads) {
  try {
    for (int32_t i = 1; i < threads; ++i) workers_.emplace_back([this] { worker(); });
  } catch (const std::system_error& e) {
    stop();  // first: a thread that is destroyed before it was joined would end the process
    throw std::runtime_error("the system refuses thread " + std::to_string(workers_.size() + 1) + " of " +
                             std::to_string(threads) + ": " + e.what());
  } catch (...) {
    stop();
    throw;
  }
}

winnow_cpu::~winnow_cpu() { stop(); }

void winnow_cpu::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    generation_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  for (auto& thread : workers_) thread.join();
}

void winnow_cpu::run(int64_t num_items, int64_t grain, RangeFunction function, const void* body) {
  std::lock_guard call(call_mutex_);
  num_items_ = num_items;
  grain_ = grain;
  function_ = function;
  body_ = body;
  next_.store(0, std::memory_order_relaxed);
  active_.store(static_cast<int32_t>(workers_.size()), std::memory_order_relaxed);
  {
    std::lock_guard lock(mutex_);
    generation_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  work();
  for (int spin = 0; spin < winnow::kNumSpins; ++spin) {
    if (active_.load(std::memory_order_acquire) == 0) return;
    _mm_pause();
  }
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return active_.load(std::memory_order_acquire) == 0; });
}

void winnow_cpu::work() {
  for (;;) {
    int64_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
    if (begin >= num_items_) return;
    function_(body_, begin, begin + grain_ < num_items_ ? begin + grain_ : num_items_);
  }
}

void winnow_cpu::worker() {
  int64_t seen = 0;
  for (;;) {
    for (int spin = 0; spin < winnow::kNumSpins && generation_.load(std::memory_order_acquire) == seen; ++spin)
      _mm_pause();
    if (generation_.load(std::memory_order_acquire) == seen) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
    }
    ++seen;  // run() waits for every worker, so generations are never skipped
    if (stop_) return;
    work();
    if (active_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      std::lock_guard lock(mutex_);
      done_.notify_one();
    }
  }
}
