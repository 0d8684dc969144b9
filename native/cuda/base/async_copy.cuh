// Copies from global to shared memory that run beside the thread (sm_80): issue, commit a group, wait until all but the last groups are done, then a barrier
// before other threads read.
#pragma once

#include <cstdint>

namespace winnow {

// 16 bytes to a shared address (__cvta_generic_to_shared), past L1. Of these the first source_bytes (0 to 16) are read, the rest is filled with zeros;
// `source` must be a multiple of 16, and valid as an address even where nothing is read.
__device__ __forceinline__ void copy_async_16(uint32_t shared, const void* source, uint32_t source_bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(source), "r"(source_bytes)
               : "memory");
}

// The same for one f32, through L1: where rows are not multiples of 16 bytes.
__device__ __forceinline__ void copy_async_4(uint32_t shared, const void* source, uint32_t source_bytes) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared), "l"(source), "r"(source_bytes) : "memory");
}

__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Until at most kPending of this thread's groups, the latest, are not done.
template <int kPending>
__device__ __forceinline__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

}  // namespace winnow
