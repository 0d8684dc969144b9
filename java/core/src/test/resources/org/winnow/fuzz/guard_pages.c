// Preloaded into a child of the fuzzer: memory from aligned_alloc, as host tensors have it, ends at a page that nobody
// may touch, and an address is never given out twice. A read or write outside, or after free, ends the process at once.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

static const uint64_t kPageBytes = 4096;
static const uint64_t kBegin = 0x200000000000, kEnd = 0x300000000000;  // far from what the system gives out

static uint64_t next_address = 0x200000000000;

void* aligned_alloc(size_t alignment, size_t size) {
  uint64_t used = (size + kPageBytes - 1) / kPageBytes * kPageBytes;
  // Two pages more: one that is mapped but closed, and one that is not mapped, where free stops.
  uint64_t begin = __atomic_fetch_add(&next_address, used + 2 * kPageBytes, __ATOMIC_RELAXED);
  void* mapped = mmap((void*)begin, used + kPageBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (mapped == MAP_FAILED) {
    errno = ENOMEM;
    return NULL;
  }
  mprotect((char*)mapped + used, kPageBytes, PROT_NONE);
  uint64_t user = begin + used - size;
  return (void*)(user - user % alignment);
}

void free(void* pointer) {
  uint64_t address = (uint64_t)pointer;
  if (address < kBegin || address >= kEnd) {
    static void (*next_free)(void*);
    if (next_free == NULL) next_free = (void (*)(void*))dlsym(RTLD_NEXT, "free");
    next_free(pointer);
    return;
  }
  unsigned char resident;
  for (uint64_t page = address - address % kPageBytes; mincore((void*)page, kPageBytes, &resident) == 0;
       page += kPageBytes)
    munmap((void*)page, kPageBytes);
}
