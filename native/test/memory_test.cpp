#include "winnow/base/memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "guarded_buffer.h"
#include "winnow/base/weight_layout.h"

namespace winnow {

// The pages of [address, address + size_bytes) that are resident; the address is that of a page.
int64_t resident_pages(void* address, int64_t size_bytes) {
  std::vector<unsigned char> pages((size_bytes + 4095) / 4096);
  EXPECT_EQ(mincore(address, size_bytes, pages.data()), 0);
  return std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return page & 1; });
}

TEST(Memory, PopulatesAPartAndKeepsItsContents) {
  constexpr int64_t kSize = 16 << 20, kPart = 4 << 20;
  auto* memory = static_cast<char*>(memory_allocate(kSize));
  char* part = memory + (6 << 20) + 64;
  part[5] = 7;

  memory_populate(part, kPart);

  const int64_t resident = resident_pages(memory + (6 << 20), kPart);
  const int64_t behind = resident_pages(memory + (12 << 20), 4 << 20);
  const char kept = part[5], zero = part[6];
  memory_free(memory, kSize);
  EXPECT_EQ(behind, 0);
  EXPECT_EQ(kept, 7);
  EXPECT_EQ(zero, 0);
  if (resident <= 512) GTEST_SKIP() << "this system does not populate memory: Linux before 5.14";
  EXPECT_EQ(resident, kPart / 4096);
}

TEST(Memory, IsZeroedAndAligned) {
  for (int64_t size :
       {int64_t{1}, int64_t{1000}, int64_t{5000}, (int64_t{2} << 20) - 1, int64_t{2} << 20, (int64_t{5} << 20) + 3}) {
    auto* bytes = static_cast<unsigned char*>(memory_allocate(size));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes) % (size < 4096 ? 64 : size < (2 << 20) ? 4096 : 2 << 20), 0u);
    for (int64_t i = 0; i < size; ++i) ASSERT_EQ(bytes[i], 0);
    bytes[0] = bytes[size - 1] = 1;
    memory_free(bytes, size);
  }
}

template <typename Element>
void check_transposed(int64_t rows, int64_t columns, int64_t step, int64_t first) {
  int64_t source_stride = columns * step, destination_stride = rows + 2;
  std::vector<Element> source(rows * source_stride - step + 1 +
                              first);  // ends with the last element that may be read: the sanitizer sees one more
  GuardedBuffer<Element> destination(columns * destination_stride);
  for (int64_t i = 0; i < static_cast<int64_t>(source.size()); ++i) source[i] = static_cast<Element>(i * 2654435761u);
  for (int64_t i = 0; i < columns * destination_stride; ++i) destination[i] = 7;
  memory_copy_transposed(destination.data(), source.data() + first, sizeof(Element), rows, columns, source_stride, step,
                         destination_stride);
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t r = 0; r < rows; ++r)
      ASSERT_EQ(destination[c * destination_stride + r], source[r * source_stride + c * step + first]);
    ASSERT_EQ(destination[c * destination_stride + rows], 7);
  }
  destination.expect_guards_intact();
}

TEST(Memory, CopiesTransposed) {
  for (int64_t rows : {1, 7, 8, 9, 33}) {
    for (int64_t columns : {1, 15, 16, 17, 40}) {
      check_transposed<uint16_t>(rows, columns, 1, 0);
      check_transposed<uint16_t>(rows, columns, 2, 0);
      check_transposed<uint16_t>(rows, columns, 2, 1);
      check_transposed<uint16_t>(rows, columns, 3, 2);
      check_transposed<uint32_t>(rows, columns, 2, 0);
      check_transposed<uint8_t>(rows, columns, 1, 0);
      check_transposed<uint8_t>(rows, columns, 3, 1);
    }
  }
  EXPECT_THROW(memory_copy_transposed(nullptr, nullptr, 3, 0, 0, 0, 0, 0), std::invalid_argument);
}

// Rows and columns [first, end) of a matrix, from a source with strides.
template <typename Element>
void check_panels(int64_t rows, int64_t columns, int64_t panel_elements, bool transposed, int64_t step,
                  int64_t misalignment_bytes = 0) {
  GuardedBuffer<Element> destination(rows * columns, misalignment_bytes);
  std::vector<Element> source(rows * columns * step);
  for (int64_t i = 0; i < static_cast<int64_t>(source.size()); ++i) source[i] = static_cast<Element>(i * 2654435761u);
  const int64_t row_stride = transposed ? step : columns * step, column_stride = transposed ? rows * step : step;
  for (int64_t middle : {rows / 3, rows}) {  // in two parts
    for (int64_t part = 0; part < 2; ++part) {
      const int64_t first = part == 0 ? 0 : middle, end = part == 0 ? middle : rows;
      memory_copy_to_panels(destination.data(), source.data() + first * row_stride, sizeof(Element), panel_elements,
                            rows, columns, first, end, 0, columns, row_stride, column_stride);
    }
    int64_t at = 0;
    for (int64_t panel = 0; panel < rows; panel += WINNOW_PANEL_ROWS) {
      for (int64_t group = 0; group < columns; group += panel_elements) {
        for (int64_t r = panel; r < rows && r < panel + WINNOW_PANEL_ROWS; ++r) {
          for (int64_t c = group; c < columns && c < group + panel_elements; ++c)
            ASSERT_EQ(destination[at++], source[r * row_stride + c * column_stride]) << "row " << r << ", column " << c;
        }
      }
    }
    destination.expect_guards_intact();
  }
}

TEST(Memory, CopiesToPanels) {
  for (int64_t rows : {1, 15, 16, 17, 52}) {
    for (int64_t columns : {1, 2, 31, 32, 67}) {
      for (bool transposed : {false, true}) {
        for (int64_t step : {1, 2}) {
          check_panels<uint16_t>(rows, columns, 2, transposed, step);
          check_panels<uint16_t>(rows, columns, 1, transposed, step);
          check_panels<uint32_t>(rows, columns, 1, transposed, step);
        }
      }
    }
  }
  for (int64_t misalignment_bytes : {0, 4, 16}) {  // large enough to be written past the caches
    for (int64_t rows : {816, 823}) {
      check_panels<uint16_t>(rows, 254, 2, false, 1, misalignment_bytes);
      check_panels<uint32_t>(rows, 135, 1, false, 2, misalignment_bytes);
      check_panels<uint32_t>(rows, 135, 1, false, 1, misalignment_bytes);
    }
  }
  EXPECT_THROW(memory_copy_to_panels(nullptr, nullptr, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0), std::invalid_argument);
}

TEST(Memory, CopiesToF32) {
  uint16_t bf16[] = {0x3f80, 0, 0xc040, 0};
  uint16_t f16[] = {0x3c00, 0xc200, 0x0001, 0x8000, 0x7c00, 0x7bff};
  float f32[] = {1.5f, 2.5f, 3.5f}, out[6];
  memory_copy_to_f32(out, bf16, DType::bf16, 2, 2);
  EXPECT_EQ(out[0], 1.0f);
  EXPECT_EQ(out[1], -3.0f);
  memory_copy_to_f32(out, f16, DType::f16, 6, 1);
  EXPECT_EQ(out[0], 1.0f);
  EXPECT_EQ(out[1], -3.0f);
  EXPECT_EQ(out[2], 0x1p-24f);
  EXPECT_TRUE(out[3] == 0 && std::signbit(out[3]));
  EXPECT_EQ(out[4], INFINITY);
  EXPECT_EQ(out[5], 65504.0f);
  memory_copy_to_f32(out, f32 + 1, DType::f32, 1, 2);
  EXPECT_EQ(out[0], 2.5f);
  EXPECT_THROW(memory_copy_to_f32(out, f32, DType::i32, 1, 1), std::invalid_argument);
}

}  // namespace winnow
