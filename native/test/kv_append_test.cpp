#include "winnow/kv_append.h"

#include <cstring>

#include "flipped.h"
#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

namespace {

// Small integers, which every element type holds.
float value_at(int64_t i) { return static_cast<float>(i % 100); }

float element_at(const unsigned char* page, winnow_dtype element, int64_t index) {
  if (element == WINNOW_DTYPE_F32) {
    float value;
    std::memcpy(&value, page + 4 * index, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, page + 2 * index, 2);
  uint32_t widened = uint32_t{bits} << (element == WINNOW_DTYPE_BF16 ? 16 : 13);
  float value;
  std::memcpy(&value, &widened, 4);
  return element == WINNOW_DTYPE_BF16 ? value : value * 0x1p112f;
}

// The formulas of kv_layout.h.
int64_t index_of(winnow_kv_layout layout, int64_t pair, int64_t width, int64_t page_size, int64_t h, int64_t p,
                 int64_t c) {
  int64_t padded = (width + pair - 1) / pair;
  if (layout == WINNOW_KV_LAYOUT_KEY_TILES)
    return ((h * page_size / 64 + p / 64) * padded + c / pair) * 64 * pair + p % 64 * pair + c % pair;
  if (layout == WINNOW_KV_LAYOUT_VALUE_TILES) return (h * page_size + p / pair * pair) * width + c * pair + p % pair;
  return (h * page_size + p) * width + c;
}

void writes_only_new_rows(winnow_dtype element, winnow_kv_layout layout, int64_t width, int64_t page_size) {
  constexpr int64_t kTokens = 70, kHeads = 2, kFirst = 60, kPages = 3;
  const OwnedCpu cpu = open_cpu(2);
  GuardedBuffer<float> source(kTokens * kHeads * width, 4);
  for (int64_t i = 0; i < source.size(); ++i) source[i] = value_at(i);
  const int64_t pair = element == WINNOW_DTYPE_BF16 ? 2 : 1, bytes = element == WINNOW_DTYPE_F32 ? 4 : 2;
  const int64_t padded = layout == WINNOW_KV_LAYOUT_KEY_TILES ? (width + pair - 1) / pair * pair : width;
  std::vector<GuardedBuffer<unsigned char>> pages;
  std::vector<uint64_t> addresses;
  for (int64_t i = 0; i < kPages; ++i) {
    pages.emplace_back(kHeads * page_size * padded * bytes, 4);
    for (int64_t b = 0; b < pages[i].size(); ++b) pages[i][b] = 0;
  }
  for (int64_t i = 0; i < kPages; ++i) addresses.push_back(reinterpret_cast<uint64_t>(pages[i].data()));
  winnow_kv_append_arguments arguments{};
  arguments.source = source.data();
  arguments.pages = addresses.data();
  arguments.first_position = kFirst;
  arguments.num_tokens = kTokens;
  arguments.num_heads = kHeads;
  arguments.width = width;
  arguments.page_size = page_size;
  arguments.element = element;
  arguments.layout = layout;
  // A plane of one head that takes the first of the same rows.
  GuardedBuffer<unsigned char> other(page_size * padded * bytes, 4);
  for (int64_t b = 0; b < other.size(); ++b) other[b] = 0;
  const uint64_t other_address = reinterpret_cast<uint64_t>(other.data());
  winnow_kv_append_arguments linked = arguments;
  linked.pages = &other_address;
  linked.first_position = 0;
  linked.num_tokens = 3;
  linked.num_heads = 1;
  arguments.next = &linked;
  EXPECT_EQ(call(winnow_kv_append, arguments, cpu), kDone);
  for (int64_t p = 0; p < page_size; ++p) {
    for (int64_t c = 0; c < width; ++c)
      ASSERT_EQ(element_at(other.data(), element, index_of(layout, pair, width, page_size, 0, p, c)),
                p < 3 ? value_at(p * width + c) : 0.0f)
          << "position " << p << ", column " << c << " of the other plane";
  }
  other.expect_guards_intact();
  for (int64_t position = 0; position < kPages * page_size; ++position) {
    const int64_t token = position - kFirst;
    for (int64_t h = 0; h < kHeads; ++h) {
      for (int64_t c = 0; c < width; ++c) {
        const bool written = token >= 0 && token < kTokens;
        const int64_t index = index_of(layout, pair, width, page_size, h, position % page_size, c);
        ASSERT_EQ(element_at(pages[position / page_size].data(), element, index),
                  written ? value_at((token * kHeads + h) * width + c) : 0.0f)
            << "position " << position << ", head " << h << ", column " << c;
      }
    }
  }
  for (auto& page : pages) page.expect_guards_intact();
}

}  // namespace

TEST(KvAppend, WritesOnlyTheRowsOfTheNewTokens) {
  for (winnow_dtype element : {WINNOW_DTYPE_F32, WINNOW_DTYPE_BF16, WINNOW_DTYPE_F16}) {
    for (winnow_kv_layout layout : {WINNOW_KV_LAYOUT_ROWS, WINNOW_KV_LAYOUT_KEY_TILES, WINNOW_KV_LAYOUT_VALUE_TILES}) {
      for (int64_t width : {1, 6, 7, 32}) writes_only_new_rows(element, layout, width, 64);
    }
    writes_only_new_rows(element, WINNOW_KV_LAYOUT_ROWS, 3, 44);
    writes_only_new_rows(element, WINNOW_KV_LAYOUT_KEY_TILES, 3, 128);
  }
}

TEST(KvAppend, RefusesUnknownElementsAndLayouts) {
  const OwnedCpu cpu = open_cpu(1);
  winnow_kv_append_arguments arguments{};
  arguments.element = WINNOW_DTYPE_I8;
  EXPECT_EQ(winnow_kv_append(&arguments, cpu.get(), nullptr), WINNOW_INVALID_ARGUMENT);
  EXPECT_STREQ(winnow_last_error(), "element must be f32, bf16 or f16, found type 3");
  arguments.element = WINNOW_DTYPE_F32;
  arguments.layout = 3;
  EXPECT_EQ(winnow_kv_append(&arguments, cpu.get(), nullptr), WINNOW_INVALID_ARGUMENT);
  EXPECT_STREQ(winnow_last_error(), "layout must be one of kv_layout.h, found 3");
}

// The caller's table of pages is memory that another thread may clear.
TEST(KvAppend, APageThatVanishesMeanwhileIsSkipped) {
  const OwnedCpu cpu = open_cpu(1);
  constexpr int64_t kTokens = 64, kWidth = 2;
  GuardedBuffer<float> source(kTokens * kWidth), page(kTokens * kWidth);
  for (int64_t i = 0; i < source.size(); ++i) source[i] = static_cast<float>(i);
  uint64_t address = reinterpret_cast<uint64_t>(page.data());
  winnow_kv_append_arguments arguments{};
  arguments.source = source.data();
  arguments.pages = &address;
  arguments.num_tokens = kTokens;
  arguments.num_heads = 1;
  arguments.page_size = kTokens;
  arguments.width = kWidth;
  const Flipped<uint64_t> flipped(&address, address, 0);
  for (int i = 0; i < 10 * kFlippedCalls; ++i) {
    for (int64_t e = 0; e < page.size(); ++e) page[e] = -1.0f;
    EXPECT_EQ(call(winnow_kv_append, arguments, cpu), kDone);
    for (int64_t e = 0; e < page.size(); ++e) ASSERT_TRUE(page[e] == -1.0f || page[e] == source[e]) << "element " << e;
  }
  page.expect_guards_intact();
}

}  // namespace winnow
