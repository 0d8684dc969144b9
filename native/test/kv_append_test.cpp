#include "winnow/kv_append.h"

#include "flipped.h"
#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

TEST(KvAppend, WritesOnlyTheColumnsOfTheNewTokens) {
  const OwnedCpu cpu = open_cpu(2);
  constexpr int64_t kTokens = 7, kHeads = 2, kPageSize = 4, kRow = 6, kColumn = 1, kWidth = 3, kFirst = 3;
  GuardedBuffer<float> source(kTokens * kHeads * kWidth, 4);
  for (int64_t i = 0; i < source.size(); ++i) source[i] = static_cast<float>(i);
  constexpr int64_t kPages = 3, kPageElements = kHeads * kPageSize * kRow;
  std::vector<GuardedBuffer<float>> pages;
  uint64_t addresses[kPages];
  for (int64_t i = 0; i < kPages; ++i) {
    pages.emplace_back(kPageElements, 4);
    for (int64_t e = 0; e < kPageElements; ++e) pages[i][e] = -1.0f;
  }
  for (int64_t i = 0; i < kPages; ++i) addresses[i] = reinterpret_cast<uint64_t>(pages[i].data());
  winnow_kv_append_arguments arguments{};
  arguments.source = source.data();
  arguments.pages = addresses;
  arguments.token_stride = kHeads * kWidth;
  arguments.head_stride = kWidth;
  arguments.first_position = kFirst;
  arguments.num_tokens = kTokens;
  arguments.num_heads = kHeads;
  arguments.page_size = kPageSize;
  arguments.row_stride = kRow;
  arguments.column = kColumn;
  arguments.width = kWidth;
  EXPECT_EQ(call(winnow_kv_append, arguments, cpu), kDone);
  for (int64_t i = 0; i < kPages; ++i) {
    for (int64_t e = 0; e < kPageElements; ++e) {
      int64_t column = e % kRow - kColumn, slot = e / kRow % kPageSize, head = e / kRow / kPageSize;
      int64_t token = i * kPageSize + slot - kFirst;
      bool written = token >= 0 && token < kTokens && column >= 0 && column < kWidth;
      ASSERT_EQ(pages[i][e], written ? static_cast<float>((token * kHeads + head) * kWidth + column) : -1.0f)
          << "page " << i << ", element " << e;
    }
    pages[i].expect_guards_intact();
  }
}

TEST(KvAppend, RepeatsARowForEveryHead) {
  const OwnedCpu cpu = open_cpu(1);
  GuardedBuffer<float> source(2), page(3 * 4 * 2);
  source[0] = 5, source[1] = 6;
  for (int64_t e = 0; e < page.size(); ++e) page[e] = 0.0f;
  uint64_t address = reinterpret_cast<uint64_t>(page.data());
  winnow_kv_append_arguments arguments{};
  arguments.source = source.data();
  arguments.pages = &address;
  arguments.token_stride = 2;
  arguments.first_position = 2;
  arguments.num_tokens = 1;
  arguments.num_heads = 3;
  arguments.page_size = 4;
  arguments.row_stride = arguments.width = 2;
  EXPECT_EQ(call(winnow_kv_append, arguments, cpu), kDone);
  for (int64_t e = 0; e < page.size(); ++e) ASSERT_EQ(page[e], e / 2 % 4 == 2 ? 5.0f + e % 2 : 0.0f) << "element " << e;
  page.expect_guards_intact();
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
  arguments.token_stride = kWidth;
  arguments.num_tokens = kTokens;
  arguments.num_heads = 1;
  arguments.page_size = kTokens;
  arguments.row_stride = arguments.width = kWidth;
  const Flipped<uint64_t> flipped(&address, address, 0);
  for (int i = 0; i < 10 * kFlippedCalls; ++i) {
    for (int64_t e = 0; e < page.size(); ++e) page[e] = -1.0f;
    EXPECT_EQ(call(winnow_kv_append, arguments, cpu), kDone);
    for (int64_t e = 0; e < page.size(); ++e) ASSERT_TRUE(page[e] == -1.0f || page[e] == source[e]) << "element " << e;
  }
  page.expect_guards_intact();
}

}  // namespace winnow
