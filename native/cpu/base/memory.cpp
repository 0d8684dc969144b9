#include "winnow/base/memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

namespace winnow {

namespace {

constexpr int64_t kHugePageBytes = int64_t{2} << 20;
constexpr int64_t kPageBytes = 4096;
constexpr int64_t kLineBytes = 64;

int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// 8 rows at a time: with a row stride that is a power of two all rows share one set of a 12-way L1, more would evict each other. Each row's line stays
// there for the 16 columns of a block.
template <typename Element>
void copy_transposed(Element* destination, const Element* source, int64_t num_rows, int64_t num_columns, int64_t source_row_stride,
                     int64_t source_column_step, int64_t destination_row_stride) {
  constexpr int64_t kBlockRows = 8, kBlockColumns = 16;
  for (int64_t c0 = 0; c0 < num_columns; c0 += kBlockColumns) {
    int64_t c1 = c0 + kBlockColumns < num_columns ? c0 + kBlockColumns : num_columns;
    for (int64_t r0 = 0; r0 < num_rows; r0 += kBlockRows) {
      int64_t rows = num_rows - r0 < kBlockRows ? num_rows - r0 : kBlockRows;
      const Element* block = source + r0 * source_row_stride;
      for (int64_t c = c0; c < c1; ++c) {
        Element* out = destination + c * destination_row_stride + r0;
        const Element* in = block + c * source_column_step;
        if (rows == kBlockRows) {
          for (int64_t r = 0; r < kBlockRows; ++r) out[r] = in[r * source_row_stride];
        } else {
          for (int64_t r = 0; r < rows; ++r) out[r] = in[r * source_row_stride];
        }
      }
    }
  }
}

float bits_to_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float f16_to_f32(uint16_t bits) {
  uint32_t sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 0x1f, mantissa = bits & 0x3ff;
  if (exponent == 0) return bits_to_float(sign | 0x3f800000u) * static_cast<float>(mantissa) * 0x1p-24f;  // subnormal or zero
  return bits_to_float(sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | mantissa << 13);
}

}  // namespace

void* memory_allocate(int64_t size_bytes) {
  if (size_bytes < kHugePageBytes) {
    int64_t alignment = size_bytes < kPageBytes ? kLineBytes : kPageBytes;
    int64_t rounded = round_up(size_bytes < 1 ? 1 : size_bytes, alignment);
    void* address = std::aligned_alloc(alignment, rounded);
    if (address == nullptr) throw std::bad_alloc();
    std::memset(address, 0, rounded);
    return address;
  }
  int64_t mapped = round_up(size_bytes, kHugePageBytes);
  void* raw = mmap(nullptr, mapped + kHugePageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) throw std::bad_alloc();
  auto start = reinterpret_cast<int64_t>(raw);
  int64_t aligned = round_up(start, kHugePageBytes);
  if (aligned > start) munmap(raw, aligned - start);
  int64_t tail = start + mapped + kHugePageBytes - (aligned + mapped);
  if (tail > 0) munmap(reinterpret_cast<void*>(aligned + mapped), tail);
  auto* address = reinterpret_cast<void*>(aligned);
  madvise(address, mapped, MADV_HUGEPAGE);  // a hint: without huge pages everything still works
  return address;
}

void memory_free(void* address, int64_t size_bytes) {
  if (address == nullptr) return;
  if (size_bytes < kHugePageBytes) {
    std::free(address);
  } else {
    munmap(address, round_up(size_bytes, kHugePageBytes));
  }
}

void memory_discard(void* address, int64_t size_bytes) {
  int64_t begin = round_up(reinterpret_cast<int64_t>(address), kPageBytes);
  int64_t end = (reinterpret_cast<int64_t>(address) + size_bytes) / kPageBytes * kPageBytes;
  if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void memory_copy(void* destination, const void* source, int64_t size_bytes) { std::memcpy(destination, source, size_bytes); }

void memory_copy_transposed(void* destination, const void* source, int64_t element_bytes, int64_t num_rows, int64_t num_columns,
                            int64_t source_row_stride, int64_t source_column_step, int64_t destination_row_stride) {
  if (element_bytes == 2) {
    copy_transposed(static_cast<uint16_t*>(destination), static_cast<const uint16_t*>(source), num_rows, num_columns, source_row_stride,
                    source_column_step, destination_row_stride);
  } else if (element_bytes == 4) {
    copy_transposed(static_cast<uint32_t*>(destination), static_cast<const uint32_t*>(source), num_rows, num_columns, source_row_stride,
                    source_column_step, destination_row_stride);
  } else {
    throw std::invalid_argument("element_bytes must be 2 or 4, found " + std::to_string(element_bytes));
  }
}

void memory_copy_to_f32(float* destination, const void* source, DType source_type, int64_t size, int64_t source_step) {
  switch (source_type) {
    case DType::f32:
      for (int64_t i = 0; i < size; ++i) destination[i] = static_cast<const float*>(source)[i * source_step];
      return;
    case DType::bf16:
      for (int64_t i = 0; i < size; ++i) destination[i] = bits_to_float(uint32_t{static_cast<const uint16_t*>(source)[i * source_step]} << 16);
      return;
    case DType::f16:
      for (int64_t i = 0; i < size; ++i) destination[i] = f16_to_f32(static_cast<const uint16_t*>(source)[i * source_step]);
      return;
    default: throw std::invalid_argument("source_type must be f32, bf16 or f16");
  }
}

}  // namespace winnow
