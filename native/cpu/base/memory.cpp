#include "winnow/base/memory.h"

#include <emmintrin.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "winnow/base/weight_layout.h"

namespace winnow {

namespace {

constexpr int64_t kHugePageBytes = int64_t{2} << 20;
constexpr int64_t kPageBytes = 4096;
constexpr int64_t kLineBytes = 64;

int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

constexpr int64_t kTile = 8;  // elements of 2 bytes in a vector

// Copies the rows and columns from (row_begin, column_begin) on, element by element.
template <typename Element>
void copy_transposed(Element* destination, const Element* source, int64_t row_begin, int64_t row_end,
                     int64_t column_begin, int64_t column_end, int64_t source_row_stride, int64_t source_column_step,
                     int64_t destination_row_stride) {
  for (int64_t c = column_begin; c < column_end; ++c) {
    for (int64_t r = row_begin; r < row_end; ++r) {
      destination[c * destination_row_stride + r] = source[r * source_row_stride + c * source_column_step];
    }
  }
}

// Loads 8 elements of a row, either adjacent or every other one. The latter reads one element more than it needs.
__m128i load_tile_row(const uint16_t* row, bool every_other) {
  __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row));
  if (!every_other) return low;
  __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + kTile));
  // Sign-extended to 32 bits, so that the saturating pack keeps all 16.
  return _mm_packs_epi32(_mm_srai_epi32(_mm_slli_epi32(low, 16), 16), _mm_srai_epi32(_mm_slli_epi32(high, 16), 16));
}

void transpose_tile(uint16_t* destination, const uint16_t* source, int64_t source_row_stride, bool every_other,
                    int64_t destination_row_stride) {
  __m128i a[kTile], b[kTile];
  for (int64_t r = 0; r < kTile; ++r) a[r] = load_tile_row(source + r * source_row_stride, every_other);
  for (int64_t i = 0; i < 4; ++i) {
    b[2 * i] = _mm_unpacklo_epi16(a[i], a[i + 4]);
    b[2 * i + 1] = _mm_unpackhi_epi16(a[i], a[i + 4]);
  }
  for (int64_t i = 0; i < 4; ++i) {
    a[2 * i] = _mm_unpacklo_epi16(b[i], b[i + 4]);
    a[2 * i + 1] = _mm_unpackhi_epi16(b[i], b[i + 4]);
  }
  for (int64_t i = 0; i < 4; ++i) {
    b[2 * i] = _mm_unpacklo_epi16(a[i], a[i + 4]);
    b[2 * i + 1] = _mm_unpackhi_epi16(a[i], a[i + 4]);
  }
  for (int64_t c = 0; c < kTile; ++c)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(destination + c * destination_row_stride), b[c]);
}

// Copies tiles of 8 x 8, down two columns of tiles at a time. Their part of a row is one 64-byte line, which gpt-oss's
// gate and up share, and the 16 lines being written stay in L1 until they are full.
void copy_transposed_in_tiles(uint16_t* destination, const uint16_t* source, int64_t num_rows, int64_t num_columns,
                              int64_t source_row_stride, bool every_other, int64_t destination_row_stride) {
  int64_t step = every_other ? 2 : 1;
  int64_t tiled_rows = num_rows / kTile * kTile;
  int64_t tiled_columns = (every_other ? num_columns - 1 : num_columns) / kTile *
                          kTile;  // the last tile must not read past the row's last element
  for (int64_t c0 = 0; c0 < tiled_columns; c0 += 2 * kTile) {
    for (int64_t r = 0; r < tiled_rows; r += kTile) {
      for (int64_t c = c0; c < c0 + 2 * kTile && c < tiled_columns; c += kTile) {
        transpose_tile(destination + c * destination_row_stride + r, source + r * source_row_stride + c * step,
                       source_row_stride, every_other, destination_row_stride);
      }
    }
  }
  copy_transposed(destination, source, tiled_rows, num_rows, 0, tiled_columns, source_row_stride, step,
                  destination_row_stride);
  copy_transposed(destination, source, 0, num_rows, tiled_columns, num_columns, source_row_stride, step,
                  destination_row_stride);
}

// Rows and columns of a matrix, and how their source strides.
struct PanelPart {
  int64_t num_rows, num_columns;  // of the whole matrix
  int64_t first_row, end_row;
  int64_t first_column, end_column;
  int64_t source_row_stride, source_column_stride;
};

// The part's rows from first to end and columns from begin on, element by element.
template <typename Element>
void copy_to_panels(Element* destination, const Element* source, int64_t panel_elements, const PanelPart& part,
                    int64_t first, int64_t end, int64_t begin) {
  for (int64_t r = first; r < end; ++r) {
    const int64_t in_panel = r % WINNOW_PANEL_ROWS, left = part.num_rows - (r - in_panel);
    const int64_t width = left < WINNOW_PANEL_ROWS ? left : WINNOW_PANEL_ROWS;
    Element* panel = destination + (r - in_panel) * part.num_columns;
    const Element* from = source + (r - part.first_row) * part.source_row_stride;
    for (int64_t c = begin; c < part.end_column; ++c) {
      const int64_t in_group = c % panel_elements, columns_left = part.num_columns - (c - in_group);
      const int64_t group = columns_left < panel_elements ? columns_left : panel_elements;
      panel[(c - in_group) * width + in_panel * group + in_group] =
          from[(c - part.first_column) * part.source_column_stride];
    }
  }
}

// Four rows of a whole panel, whose groups have 4 bytes: num_groups groups from the first one on, a multiple of 4.
void copy_four_rows_to_panel(char* panel, const char* source, int64_t num_groups, int64_t source_row_bytes) {
  constexpr int64_t kGroupBytes = 4 * WINNOW_PANEL_ROWS;
  for (int64_t g = 0; g < num_groups; g += 4, source += 16, panel += 4 * kGroupBytes) {
    __m128i a[4];
    for (int64_t r = 0; r < 4; ++r)
      a[r] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + r * source_row_bytes));
    const __m128i low = _mm_unpacklo_epi32(a[0], a[1]), high = _mm_unpackhi_epi32(a[0], a[1]);
    const __m128i low2 = _mm_unpacklo_epi32(a[2], a[3]), high2 = _mm_unpackhi_epi32(a[2], a[3]);
    auto* to = reinterpret_cast<__m128i*>(panel);
    constexpr int64_t kGroup = kGroupBytes / sizeof(__m128i);
    _mm_storeu_si128(to, _mm_unpacklo_epi64(low, low2));
    _mm_storeu_si128(to + kGroup, _mm_unpackhi_epi64(low, low2));
    _mm_storeu_si128(to + 2 * kGroup, _mm_unpacklo_epi64(high, high2));
    _mm_storeu_si128(to + 3 * kGroup, _mm_unpackhi_epi64(high, high2));
  }
}

// The first row_bytes, a multiple of 16, of each row of a whole panel whose groups have 4 bytes. Whole lines are written
// past the caches; the panel is aligned to 16 bytes.
void stream_rows_to_panel(char* panel, const char* source, int64_t row_bytes, int64_t source_row_bytes) {
  static_assert(WINNOW_PANEL_ROWS == 16, "a group of all rows is a line of 64 bytes");
  for (int64_t b = 0; b < row_bytes; b += 16, panel += 4 * 64) {
    __m128i lines[4][4];
    for (int64_t four = 0; four < 4; ++four) {
      __m128i a[4];
      for (int64_t r = 0; r < 4; ++r)
        a[r] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + b + (4 * four + r) * source_row_bytes));
      const __m128i low = _mm_unpacklo_epi32(a[0], a[1]), high = _mm_unpackhi_epi32(a[0], a[1]);
      const __m128i low2 = _mm_unpacklo_epi32(a[2], a[3]), high2 = _mm_unpackhi_epi32(a[2], a[3]);
      lines[0][four] = _mm_unpacklo_epi64(low, low2);
      lines[1][four] = _mm_unpackhi_epi64(low, low2);
      lines[2][four] = _mm_unpacklo_epi64(high, high2);
      lines[3][four] = _mm_unpackhi_epi64(high, high2);
    }
    auto* to = reinterpret_cast<__m128i*>(panel);
    for (int64_t i = 0; i < 16; ++i) _mm_stream_si128(to + i, lines[i / 4][i % 4]);
  }
}

// Parts of at least this size are written past the caches, which is twice as fast: otherwise every line is first read
// that is then overwritten. Smaller parts find their lines in a cache, and leave them there for the product.
constexpr int64_t kMinStreamedBytes = int64_t{256} << 10;

// Panels in steps of 64 bytes of a row, so that what is written stays in L1 until it is full; the rest element by
// element.
template <typename Element>
void copy_to_panels(Element* destination, const Element* source, int64_t panel_elements, const PanelPart& part) {
  const bool fast = panel_elements * int64_t{sizeof(Element)} == 4 && part.source_column_stride == 1 &&
                    part.first_column % panel_elements == 0;
  constexpr int64_t kStepColumns = 64 / int64_t{sizeof(Element)};
  const int64_t columns = part.end_column - part.first_column;
  const int64_t steps = fast ? columns / kStepColumns : 0;
  const bool stream = (part.end_row - part.first_row) * columns * int64_t{sizeof(Element)} >= kMinStreamedBytes &&
                      reinterpret_cast<uintptr_t>(destination) % kLineBytes == 0;
  const int64_t source_row_bytes = part.source_row_stride * int64_t{sizeof(Element)};
  int64_t row = part.first_row;
  while (row < part.end_row) {
    const int64_t panel_end = row / WINNOW_PANEL_ROWS * WINNOW_PANEL_ROWS + WINNOW_PANEL_ROWS;
    const int64_t end = panel_end < part.end_row ? panel_end : part.end_row;
    const bool four = steps > 0 && panel_end <= part.num_rows && row % 4 == 0 && end % 4 == 0;
    auto* panel = reinterpret_cast<char*>(destination + row / WINNOW_PANEL_ROWS * WINNOW_PANEL_ROWS * part.num_columns +
                                          part.first_column * WINNOW_PANEL_ROWS);
    const auto* rows = reinterpret_cast<const char*>(source + (row - part.first_row) * part.source_row_stride);
    if (four && stream && end - row == WINNOW_PANEL_ROWS) {
      stream_rows_to_panel(panel, rows, steps * 64, source_row_bytes);
    } else {
      for (int64_t step = 0; four && step < steps; ++step) {
        for (int64_t r = row; r < end; r += 4) {
          copy_four_rows_to_panel(panel + step * 64 * WINNOW_PANEL_ROWS + r % WINNOW_PANEL_ROWS * 4,
                                  rows + (r - row) * source_row_bytes + step * 64, 16, source_row_bytes);
        }
      }
    }
    copy_to_panels(destination, source, panel_elements, part, row, end,
                   part.first_column + (four ? steps * kStepColumns : 0));
    row = end;
  }
  if (stream) _mm_sfence();  // before another thread is told
}

float bits_to_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float f16_to_f32(uint16_t bits) {
  uint32_t sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 0x1f, mantissa = bits & 0x3ff;
  if (exponent == 0)
    return bits_to_float(sign | 0x3f800000u) * static_cast<float>(mantissa) * 0x1p-24f;  // subnormal or zero
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
  void* raw = mmap(nullptr, mapped + kHugePageBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
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

void memory_populate(void* address, int64_t size_bytes) {
#if defined(MADV_POPULATE_WRITE)
  constexpr int kPopulateWrite = MADV_POPULATE_WRITE;
#else
  constexpr int kPopulateWrite = 23;  // of newer headers
#endif
  const int64_t begin = reinterpret_cast<int64_t>(address) / kPageBytes * kPageBytes;
  const int64_t end = round_up(reinterpret_cast<int64_t>(address) + size_bytes, kPageBytes);
  madvise(reinterpret_cast<void*>(begin), end - begin, kPopulateWrite);
}

void memory_copy(void* destination, const void* source, int64_t size_bytes) {
  std::memcpy(destination, source, size_bytes);
}

void memory_copy_transposed(void* destination, const void* source, int64_t element_bytes, int64_t num_rows,
                            int64_t num_columns, int64_t source_row_stride, int64_t source_column_step,
                            int64_t destination_row_stride) {
  if (element_bytes == 2 && (source_column_step == 1 || source_column_step == 2)) {
    copy_transposed_in_tiles(static_cast<uint16_t*>(destination), static_cast<const uint16_t*>(source), num_rows,
                             num_columns, source_row_stride, source_column_step == 2, destination_row_stride);
  } else if (element_bytes == 2) {
    copy_transposed(static_cast<uint16_t*>(destination), static_cast<const uint16_t*>(source), 0, num_rows, 0,
                    num_columns, source_row_stride, source_column_step, destination_row_stride);
  } else if (element_bytes == 4) {
    copy_transposed(static_cast<uint32_t*>(destination), static_cast<const uint32_t*>(source), 0, num_rows, 0,
                    num_columns, source_row_stride, source_column_step, destination_row_stride);
  } else if (element_bytes == 1) {
    copy_transposed(static_cast<uint8_t*>(destination), static_cast<const uint8_t*>(source), 0, num_rows, 0,
                    num_columns, source_row_stride, source_column_step, destination_row_stride);
  } else {
    throw std::invalid_argument("element_bytes must be 1, 2 or 4, found " + std::to_string(element_bytes));
  }
}

void memory_copy_to_panels(void* destination, const void* source, int64_t element_bytes, int64_t panel_elements,
                           int64_t num_rows, int64_t num_columns, int64_t first_row, int64_t end_row,
                           int64_t first_column, int64_t end_column, int64_t source_row_stride,
                           int64_t source_column_stride) {
  const PanelPart part{num_rows,     num_columns, first_row,         end_row,
                       first_column, end_column,  source_row_stride, source_column_stride};
  if (element_bytes == 2) {
    copy_to_panels(static_cast<uint16_t*>(destination), static_cast<const uint16_t*>(source), panel_elements, part);
  } else if (element_bytes == 4) {
    copy_to_panels(static_cast<uint32_t*>(destination), static_cast<const uint32_t*>(source), panel_elements, part);
  } else {
    throw std::invalid_argument("element_bytes must be 2 or 4, found " + std::to_string(element_bytes));
  }
}

// A panel takes the bytes that its rows took.
void memory_arrange_in_panels(void* matrix, int64_t element_bytes, int64_t panel_elements, int64_t num_rows,
                              int64_t num_columns) {
  const int64_t row_bytes = num_columns * element_bytes;
  const std::unique_ptr<char[]> panel(new char[WINNOW_PANEL_ROWS * row_bytes]);
  auto* at = static_cast<char*>(matrix);
  for (int64_t row = 0; row < num_rows; row += WINNOW_PANEL_ROWS, at += WINNOW_PANEL_ROWS * row_bytes) {
    const int64_t rows = num_rows - row < WINNOW_PANEL_ROWS ? num_rows - row : WINNOW_PANEL_ROWS;
    memory_copy_to_panels(panel.get(), at, element_bytes, panel_elements, rows, num_columns, 0, rows, 0, num_columns,
                          num_columns, 1);
    std::memcpy(at, panel.get(), rows * row_bytes);
  }
}

void memory_copy_to_f32(float* destination, const void* source, DType source_type, int64_t size, int64_t source_step) {
  switch (source_type) {
    case DType::f32:
      for (int64_t i = 0; i < size; ++i) destination[i] = static_cast<const float*>(source)[i * source_step];
      return;
    case DType::bf16:
      for (int64_t i = 0; i < size; ++i)
        destination[i] = bits_to_float(uint32_t{static_cast<const uint16_t*>(source)[i * source_step]} << 16);
      return;
    case DType::f16:
      for (int64_t i = 0; i < size; ++i)
        destination[i] = f16_to_f32(static_cast<const uint16_t*>(source)[i * source_step]);
      return;
    default:
      throw std::invalid_argument("source_type must be f32, bf16 or f16, found type " +
                                  std::to_string(static_cast<int>(source_type)));
  }
}

}  // namespace winnow
