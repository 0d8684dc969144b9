#include "cpu_context.h"

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

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

// About 60 microseconds: longer than the gap between two tokens of a small model, while the text is put together. To wake
// a thread that sleeps takes its caller about as long.
constexpr int kNumIdleSpins = 1200;

thread_local int64_t num_regions = 0;

bool supports_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

// Linux gives a process the registers of AMX when it asks for them.
bool request_amx() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // of asm/prctl.h and of the state components
  uint32_t a = 0, b = 0, c = 0, d = 0;
  constexpr uint32_t kTilesWithBf16 = 1u << 22 | 1u << 24;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & kTilesWithBf16) != kTilesWithBf16) return false;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool supports_amx() {
  static const bool supported = supports_avx512() && __builtin_cpu_supports("avx512bf16") && request_amx();
  return supported;
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
    case InstructionSet::amx_bf16:
      return supports_amx();
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
  // Measured on a Xeon with AMX: vdpbf16ps 117, f32 FMA 235 GFLOP/s.
  const bool slow_bf16 = __builtin_cpu_is("intel");
  for (auto candidate : {WINNOW_INSTRUCTION_SET_AMX_BF16, WINNOW_INSTRUCTION_SET_AVX512_BF16,
                         WINNOW_INSTRUCTION_SET_AVX512, WINNOW_INSTRUCTION_SET_AVX2}) {
    if (candidate == WINNOW_INSTRUCTION_SET_AVX512_BF16 && slow_bf16) continue;
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

int64_t winnow_cpu_num_regions(void) { return winnow::num_regions; }

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
  stop_.store(true);
  {
    std::lock_guard lock(mutex_);
    wake_.notify_all();
  }
  for (auto& thread : workers_) thread.join();
}

void winnow_cpu::run(int64_t num_items, int64_t grain, RangeFunction function, const void* body) {
  std::lock_guard call(call_mutex_);
  ++winnow::num_regions;
  num_items_ = num_items;
  grain_ = grain;
  function_ = function;
  body_ = body;
  next_.store(0, std::memory_order_relaxed);
  // Nobody is inside. Sequentially consistent, as in worker(): either we see the sleeper or it sees the open gate.
  gate_.store((gate_.load(std::memory_order_relaxed) & ~(kWorkers | kOpen)) + kRegion + kOpen);
  if (sleepers_.load() > 0) {
    std::lock_guard lock(mutex_);
    wake_.notify_all();
  }
  work();
  if ((gate_.fetch_and(~kOpen, std::memory_order_acq_rel) & kWorkers) == 0) return;
  for (int spin = 0; spin < winnow::kNumSpins; ++spin) {
    if ((gate_.load(std::memory_order_acquire) & kWorkers) == 0) return;
    _mm_pause();
  }
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return (gate_.load(std::memory_order_acquire) & kWorkers) == 0; });
}

void winnow_cpu::work() {
  for (;;) {
    int64_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
    if (begin >= num_items_) return;
    function_(body_, begin, begin + grain_ < num_items_ ? begin + grain_ : num_items_);
  }
}

bool winnow_cpu::has_work(uint64_t gate, uint64_t seen) const { return (gate & kOpen) != 0 && gate / kRegion != seen; }

void winnow_cpu::worker() {
  uint64_t seen = 0;
  for (;;) {
    uint64_t gate = gate_.load(std::memory_order_acquire);
    for (int spin = 0; spin < winnow::kNumIdleSpins && !has_work(gate, seen) && !stop_.load(std::memory_order_relaxed);
         ++spin) {
      _mm_pause();
      gate = gate_.load(std::memory_order_acquire);
    }
    if (!has_work(gate, seen)) {
      std::unique_lock lock(mutex_);
      sleepers_.fetch_add(1);
      wake_.wait(lock, [&] {
        gate = gate_.load();
        return has_work(gate, seen) || stop_.load();
      });
      sleepers_.fetch_sub(1);
    }
    if (stop_.load()) return;  // no region is open then
    if (!gate_.compare_exchange_strong(gate, gate + 1, std::memory_order_acq_rel)) continue;
    seen = gate / kRegion;
    work();
    uint64_t left = gate_.fetch_sub(1, std::memory_order_acq_rel);
    if ((left & kWorkers) == 1 && (left & kOpen) == 0) {
      std::lock_guard lock(mutex_);
      done_.notify_one();
    }
  }
}
