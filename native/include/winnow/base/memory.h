// Memory outside the Java heap. java: org.winnow.Tensor.
#pragma once

#include <cstdint>

#include "winnow/base/dtype.h"

namespace winnow {

// Allocates zeroed memory, aligned to 64 bytes, and to pages from 4 KiB on. Allocations of 2 MiB or more start at a
// 2 MiB boundary and request huge pages with madvise, from which streaming reads of weights gain 10 to 80 %. Pages are
// not touched, so they are not resident until written. Throws std::bad_alloc.
void* memory_allocate(int64_t size_bytes);

// Frees memory of memory_allocate. The size must be the same.
void memory_free(void* address, int64_t size_bytes);

// Takes the pages of a part of memory from the system before they are used; their contents stay. Does nothing where the
// system cannot do that (Linux before 5.14) or has no memory left.
void memory_populate(void* address, int64_t size_bytes);

void memory_copy(void* destination, const void* source, int64_t size_bytes);

// destination[c, r] = source[r, c * source_column_step], for elements of 1, 2 or 4 bytes. Strides count elements. Throws
// std::invalid_argument for other sizes.
void memory_copy_transposed(void* destination, const void* source, int64_t element_bytes, int64_t num_rows,
                            int64_t num_columns, int64_t source_row_stride, int64_t source_column_step,
                            int64_t destination_row_stride);

// Copies rows [first_row, end_row) and columns [first_column, end_column) of a matrix [num_rows, num_columns] to their
// places in its panels at destination, see weight_layout.h. source is the first of these elements; strides count
// elements. panel_elements is that of the format. Throws std::invalid_argument unless elements have 2 or 4 bytes.
void memory_copy_to_panels(void* destination, const void* source, int64_t element_bytes, int64_t panel_elements,
                           int64_t num_rows, int64_t num_columns, int64_t first_row, int64_t end_row,
                           int64_t first_column, int64_t end_column, int64_t source_row_stride,
                           int64_t source_column_stride);

// Arranges a matrix that lies row by row in panels, in place. Throws std::invalid_argument unless elements have 2 or 4
// bytes, std::bad_alloc.
void memory_arrange_in_panels(void* matrix, int64_t element_bytes, int64_t panel_elements, int64_t num_rows,
                              int64_t num_columns);

// destination[i] = source[i * source_step] as f32. Throws std::invalid_argument unless source_type is f32, bf16 or f16.
void memory_copy_to_f32(float* destination, const void* source, DType source_type, int64_t size, int64_t source_step);

}  // namespace winnow
