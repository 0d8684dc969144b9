// Off-heap memory. java: org.winnow.Tensor.
#pragma once

#include <cstdint>

#include "winnow/base/dtype.h"

namespace winnow {

// Zero-filled memory, 64-byte aligned, page-aligned from 4 KiB on. From 2 MiB on it is mapped on a 2 MiB boundary and
// huge pages are asked for (madvise): streaming reads of weights gain 10 to 80 % from them. Pages are not touched,
// hence not resident, until written.
// Throws std::bad_alloc.
void* memory_allocate(int64_t size_bytes);

// Returns what memory_allocate gave, with the same size.
void memory_free(void* address, int64_t size_bytes);

void memory_copy(void* destination, const void* source, int64_t size_bytes);

// destination[c, r] = source[r, c * source_column_step], elements of 1, 2 or 4 bytes; strides count elements. Throws
// std::invalid_argument for other sizes.
void memory_copy_transposed(void* destination, const void* source, int64_t element_bytes, int64_t num_rows,
                            int64_t num_columns, int64_t source_row_stride, int64_t source_column_step,
                            int64_t destination_row_stride);

// destination[i] = source[i * source_step] as f32; source_type is f32, bf16 or f16, otherwise std::invalid_argument is
// thrown.
void memory_copy_to_f32(float* destination, const void* source, DType source_type, int64_t size, int64_t source_step);

}  // namespace winnow
