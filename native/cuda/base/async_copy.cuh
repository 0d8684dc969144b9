// Asynchronous copies from global to shared memory (sm_80). A thread issues copies, commits them as a group, and waits
// until all but the latest groups are done. A barrier must follow before other threads read.
#pragma once

#include <cstdint>

namespace winnow {

// Copies 16 bytes to a shared address (__cvta_generic_to_shared), bypassing L1. Only the first source_bytes (0 to 16)
// are read; the rest becomes zero. `source` must be a multiple of 16, and a valid address even if nothing is read.
__device__ __forceinline__ void copy_async_16(uint32_t shared, const void* source, uint32_t source_bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(source), "r"(source_bytes)
               : "memory");
}

// The same for one f32, through L1, for rows that are not multiples of 16 bytes.
__device__ __forceinline__ void copy_async_4(uint32_t shared, const void* source, uint32_t source_bytes) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared), "l"(source), "r"(source_bytes) : "memory");
}

__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most kPending of this thread's latest groups are still running.
template <int kPending>
__device__ __forceinline__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

}  // namespace winnow
