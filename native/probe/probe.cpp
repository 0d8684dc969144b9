#include "winnow/base/probe.h"

#include <time.h>

#include <atomic>

#include "base/cpu_context.h"
#include "probe_loops.h"

namespace winnow {

namespace {

constexpr int64_t kReadPartBytes = int64_t{2} << 20;

double now_seconds(const Cpu* cpu) {
  timespec time;
  clock_gettime(cpu->num_threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

ProbeLoops loops_of(InstructionSet instruction_set) {
  switch (instruction_set) {
    case InstructionSet::avx2:
      return probe_loops_avx2();
    case InstructionSet::avx512:
      return probe_loops_avx512();
    case InstructionSet::avx512_bf16:
      return probe_loops_avx512_bf16();
    case InstructionSet::amx_bf16:
      return probe_loops_amx_bf16();
    default:
      return probe_loops_portable();
  }
}

double operations_per_second(InstructionSet instruction_set, int64_t num_rounds, Cpu* cpu) {
  ProbeLoops loops = loops_of(instruction_set);
  volatile double sink = 0;
  double begin = now_seconds(cpu);
  cpu->parallel_for(cpu->num_threads, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) sink = loops.multiply_add(num_rounds);
  });
  double operations = static_cast<double>(loops.operations_per_step) * kProbeRoundLength *
                      static_cast<double>(num_rounds * cpu->num_threads);
  return operations / (now_seconds(cpu) - begin);
}

}  // namespace

double probe_read_bytes_per_second(const void* memory, int64_t size_bytes, Cpu* cpu) {
  ProbeLoops loops = loops_of(cpu->instruction_set);
  std::atomic<uint64_t> sink{0};
  double begin = now_seconds(cpu);
  cpu->parallel_for((size_bytes + kReadPartBytes - 1) / kReadPartBytes, 1, [&](int64_t first, int64_t last) {
    int64_t end = last * kReadPartBytes < size_bytes ? last * kReadPartBytes : size_bytes;
    sink.fetch_xor(loops.read(static_cast<const char*>(memory) + first * kReadPartBytes, end - first * kReadPartBytes),
                   std::memory_order_relaxed);
  });
  return static_cast<double>(size_bytes) / (now_seconds(cpu) - begin);
}

double probe_f32_operations_per_second(int64_t num_rounds, Cpu* cpu) {
  bool bf16 = cpu->instruction_set == InstructionSet::avx512_bf16 || cpu->instruction_set == InstructionSet::amx_bf16;
  return operations_per_second(bf16 ? InstructionSet::avx512 : cpu->instruction_set, num_rounds, cpu);
}

double probe_bf16_operations_per_second(int64_t num_rounds, Cpu* cpu) {
  return operations_per_second(cpu->instruction_set, num_rounds, cpu);
}

}  // namespace winnow
