// The CPU context that every kernel runs on: an instruction set and a team of threads. java: org.winnow.cpu.CpuBackend.
#pragma once

#include "winnow/base/operation.h"

// Increases whenever a struct, a signature or the meaning of an argument changes. Java checks it right after loading.
#define WINNOW_ABI_VERSION 7

typedef int32_t winnow_instruction_set;
enum {
  WINNOW_INSTRUCTION_SET_PORTABLE = 0,
  WINNOW_INSTRUCTION_SET_AVX2 = 1,
  WINNOW_INSTRUCTION_SET_AVX512 = 2,
  WINNOW_INSTRUCTION_SET_AVX512_BF16 = 3,
  WINNOW_INSTRUCTION_SET_AMX_BF16 = 4,
};

// The WINNOW_ABI_VERSION that the library was built with.
WINNOW_C int32_t winnow_abi_version(void);

// 1 if this machine's processor and operating system support the instruction set, otherwise 0.
WINNOW_C int32_t winnow_cpu_supports(winnow_instruction_set instruction_set);

// The instruction set whose kernels are fastest on this machine: the widest one that it supports, but avx512 on
// processors whose bf16 dot products are slower than f32 arithmetic.
WINNOW_C winnow_instruction_set winnow_cpu_best_instruction_set(void);

// Starts a team of num_threads threads, which includes the thread that calls an operation. Calls from several threads
// run one after the other. Returns null if the instruction set is not supported, num_threads < 1, or the system cannot
// start the threads; winnow_last_error() has the reason.
WINNOW_C winnow_cpu* winnow_cpu_open(winnow_instruction_set instruction_set, int32_t num_threads);

// Stops the team. No operation may be running on it. Does nothing for null.
WINNOW_C void winnow_cpu_close(winnow_cpu* cpu);

// How many parallel regions the calling thread has run, on any team. A region is a part of an operation that several
// threads share and whose end they wait for; what the calling thread computes alone is none.
WINNOW_C int64_t winnow_cpu_num_regions(void);

#ifdef __cplusplus
namespace winnow {

enum class InstructionSet : winnow_instruction_set {
  portable = WINNOW_INSTRUCTION_SET_PORTABLE,
  avx2 = WINNOW_INSTRUCTION_SET_AVX2,
  avx512 = WINNOW_INSTRUCTION_SET_AVX512,
  avx512_bf16 = WINNOW_INSTRUCTION_SET_AVX512_BF16,
  amx_bf16 = WINNOW_INSTRUCTION_SET_AMX_BF16,
};

using Cpu = ::winnow_cpu;  // defined in native/cpu/base/cpu_context.h

}  // namespace winnow
#endif
