#include "cpu_context.h"

#include <immintrin.h>

#include <stdexcept>
#include <string>

namespace winnow {

namespace {

// About 20 microseconds: longer than the gap between two ops of a decode step, shorter than a scheduling quantum, so
// that on a shared machine a waiting thread soon gives its core away (a spinning team was 100 times slower there).
constexpr int kNumSpins = 400;

bool supports_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

}  // namespace

int32_t abi_version() { return kAbiVersion; }

bool cpu_supports(InstructionSet instruction_set) {
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

InstructionSet cpu_best_instruction_set() {
  for (auto candidate : {InstructionSet::avx512_bf16, InstructionSet::avx512, InstructionSet::avx2}) {
    if (cpu_supports(candidate)) return candidate;
  }
  return InstructionSet::portable;
}

Cpu* cpu_open(InstructionSet instruction_set, int32_t num_threads) {
  if (!cpu_supports(instruction_set))
    throw std::invalid_argument("instruction set " + std::to_string(static_cast<int>(instruction_set)) +
                                " is not supported here");
  if (num_threads < 1)
    throw std::invalid_argument("num_threads must be at least 1, found " + std::to_string(num_threads));
  return new Cpu(instruction_set, num_threads);
}

void cpu_close(Cpu* cpu) { delete cpu; }

Cpu::Cpu(InstructionSet set, int32_t threads) : instruction_set(set), num_threads(threads) {
  try {
    for (int32_t i = 1; i < threads; ++i) workers_.emplace_back([this] { worker(); });
  } catch (...) {  // a thread that is destroyed before it was joined would end the process
    stop();
    throw;
  }
}

Cpu::~Cpu() { stop(); }

void Cpu::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    generation_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  for (auto& thread : workers_) thread.join();
}

void Cpu::run(int64_t num_items, int64_t grain, RangeFunction function, const void* body) {
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
  for (int spin = 0; spin < kNumSpins; ++spin) {
    if (active_.load(std::memory_order_acquire) == 0) return;
    _mm_pause();
  }
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return active_.load(std::memory_order_acquire) == 0; });
}

void Cpu::work() {
  for (;;) {
    int64_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
    if (begin >= num_items_) return;
    function_(body_, begin, begin + grain_ < num_items_ ? begin + grain_ : num_items_);
  }
}

void Cpu::worker() {
  int64_t seen = 0;
  for (;;) {
    for (int spin = 0; spin < kNumSpins && generation_.load(std::memory_order_acquire) == seen; ++spin) _mm_pause();
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

}  // namespace winnow
