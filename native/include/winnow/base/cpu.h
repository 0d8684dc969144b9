// What every CPU kernel runs on: an instruction set, chosen once, and a team of threads. java:
// org.winnow.cpu.CpuBackend.
#pragma once

#include <cstdint>

namespace winnow {

// Raised whenever a signature or the meaning of an argument in include/winnow changes; checked by Java right after
// loading.
constexpr int32_t kAbiVersion = 1;

enum class InstructionSet : int32_t { portable = 0, avx2 = 1, avx512 = 2, avx512_bf16 = 3 };

#ifndef WINNOW_BINDING  // the binding knows it by its address only
struct Cpu;             // defined in native/cpu/base/cpu_context.h
#endif

int32_t abi_version();

// Whether this machine (processor and operating system) runs code of that instruction set.
bool cpu_supports(InstructionSet instruction_set);

// The widest instruction set that this machine supports.
InstructionSet cpu_best_instruction_set();

// A team of num_threads threads, the caller of an op being one of them. Calls from several threads are served one
// after the other.
// Throws std::invalid_argument for an unsupported instruction set or num_threads < 1.
Cpu* cpu_open(InstructionSet instruction_set, int32_t num_threads);

// Stops the team. No op may be running on it.
void cpu_close(Cpu* cpu);

}  // namespace winnow
