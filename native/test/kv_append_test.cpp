#include "winnow/kv_append.h"

#include "guarded_buffer.h"

namespace winnow {

TEST(KvAppend, WritesOnlyTheColumnsOfTheNewTokens) {
  Cpu* cpu = cpu_open(cpu_best_instruction_set(), 2);
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
  kv_append_cpu(source.data(), kHeads * kWidth, kWidth, addresses, kFirst, kTokens, kHeads, kPageSize, kRow, kColumn,
                kWidth, cpu);
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
  cpu_close(cpu);
}

TEST(KvAppend, RepeatsARowForEveryHead) {
  Cpu* cpu = cpu_open(cpu_best_instruction_set(), 1);
  GuardedBuffer<float> source(2), page(3 * 4 * 2);
  source[0] = 5, source[1] = 6;
  for (int64_t e = 0; e < page.size(); ++e) page[e] = 0.0f;
  uint64_t address = reinterpret_cast<uint64_t>(page.data());
  kv_append_cpu(source.data(), 2, 0, &address, 2, 1, 3, 4, 2, 0, 2, cpu);
  for (int64_t e = 0; e < page.size(); ++e) ASSERT_EQ(page[e], e / 2 % 4 == 2 ? 5.0f + e % 2 : 0.0f) << "element " << e;
  page.expect_guards_intact();
  cpu_close(cpu);
}

}  // namespace winnow
