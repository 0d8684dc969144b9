// Off-heap memory. java: org.winnow.Tensor, org.winnow.memory.Arena.
#pragma once

#include <cstdint>

namespace winnow {

// Zero-filled memory, 64-byte aligned. From 2 MiB on it is mapped on a 2 MiB boundary and huge pages are asked for
// (madvise): streaming reads of weights gain 10 to 80 % from them. Pages are not touched, hence not resident, until written.
// Throws std::bad_alloc.
void* memory_allocate(int64_t size_bytes);

// Returns what memory_allocate gave, with the same size.
void memory_free(void* address, int64_t size_bytes);

// Gives the physical pages wholly inside the range back to the system; the range reads as zeros afterwards.
void memory_discard(void* address, int64_t size_bytes);

void memory_copy(void* destination, const void* source, int64_t size_bytes);

}  // namespace winnow
