#include "winnow/attention.h"

#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "flipped.h"
#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

namespace {

constexpr int64_t kPageSize = 64;

uint16_t three(winnow_dtype element) { return element == WINNOW_DTYPE_BF16 ? 0x4040 : 0x4200; }

// Every value is 3, so the result is 3 for any weights. Keys and values after the last position are NaN, which must have
// no effect. cleared: the second page of keys, 0, or of values, 1, vanishes and comes back while the operation runs.
void run(winnow_instruction_set instruction_set, winnow_dtype element, bool tiled, int64_t num_tokens,
         int64_t first_position, int64_t group_size, int64_t key_width, int64_t value_width, int64_t sliding_window,
         int cleared = -1) {
  constexpr int64_t kNumKvHeads = 2;
  const OwnedCpu cpu = open_cpu(2, instruction_set);
  int64_t num_positions = first_position + num_tokens, num_pages = (num_positions + kPageSize - 1) / kPageSize;
  int64_t num_heads = kNumKvHeads * group_size;
  const int64_t pair = tiled && element == WINNOW_DTYPE_BF16 ? 2 : 1, bytes = element == WINNOW_DTYPE_F32 ? 4 : 2;
  std::vector<std::unique_ptr<GuardedBuffer<unsigned char>>> pages;
  GuardedBuffer<uint64_t> key_pages(num_pages), value_pages(num_pages);
  for (auto* table : {&key_pages, &value_pages}) {
    const bool keys = table == &key_pages;
    const int64_t width = keys ? (key_width + pair - 1) / pair * pair : value_width;
    for (int64_t page = 0; page < num_pages; ++page) {
      pages.push_back(std::make_unique<GuardedBuffer<unsigned char>>(kNumKvHeads * kPageSize * width * bytes, 4));
      unsigned char* data = pages.back()->data();
      (*table)[page] = reinterpret_cast<uint64_t>(data);
      for (int64_t i = 0; i < kNumKvHeads * kPageSize * width; ++i) {
        const int64_t position = !tiled ? i / width % kPageSize
                                 : keys ? i / pair % kPageSize
                                        : i / (width * pair) * pair % kPageSize + i % pair;
        const bool written = page * kPageSize + position < num_positions;
        const float value = written ? 3.0f : __builtin_nanf("");
        const uint16_t narrow = written ? three(element) : 0x7fff;
        std::memcpy(data + i * bytes, bytes == 4 ? static_cast<const void*>(&value) : &narrow, bytes);
      }
    }
  }
  GuardedBuffer<float> query(num_tokens * num_heads * key_width, 4), output(num_tokens * num_heads * value_width, 4);
  for (int64_t i = 0; i < query.size(); ++i) query[i] = 0.5f;
  for (int64_t i = 0; i < output.size(); ++i) output[i] = __builtin_nanf("");
  winnow_attention_arguments arguments{};
  arguments.query = query.data();
  arguments.key_pages = key_pages.data();
  arguments.value_pages = value_pages.data();
  arguments.output = output.data();
  arguments.first_position = first_position;
  arguments.context_limit = num_positions;
  arguments.num_tokens = num_tokens;
  arguments.num_heads = num_heads;
  arguments.num_kv_heads = kNumKvHeads;
  arguments.key_width = key_width;
  arguments.value_width = arguments.value_row_stride = value_width;
  arguments.page_size = kPageSize;
  arguments.sliding_window = sliding_window;
  arguments.element = element;
  arguments.tiled = tiled;
  arguments.scale = 0.1f;
  uint64_t* second_page = cleared < 0 ? nullptr : &(cleared == 0 ? key_pages : value_pages)[1];
  std::optional<Flipped<uint64_t>> flipped;
  if (second_page != nullptr) flipped.emplace(second_page, *second_page, 0);
  for (int i = 0; i < (cleared < 0 ? 1 : kFlippedCalls); ++i) {
    EXPECT_EQ(call(winnow_attention, arguments, cpu), kDone);
    for (int64_t e = 0; e < output.size(); ++e) ASSERT_NEAR(output[e], 3.0f, 1e-5f) << "element " << e;
  }
  output.expect_guards_intact();
  for (auto& page : pages) page->expect_guards_intact();
}

}  // namespace

constexpr winnow_instruction_set kSets[] = {WINNOW_INSTRUCTION_SET_PORTABLE, WINNOW_INSTRUCTION_SET_AVX2,
                                            WINNOW_INSTRUCTION_SET_AVX512, WINNOW_INSTRUCTION_SET_AVX512_BF16,
                                            WINNOW_INSTRUCTION_SET_AMX_BF16};
constexpr winnow_dtype kElements[] = {WINNOW_DTYPE_F32, WINNOW_DTYPE_BF16, WINNOW_DTYPE_F16};

TEST(Attention, StaysInsideItsBuffers) {
  for (auto set : kSets) {
    if (!winnow_cpu_supports(set)) continue;
    for (auto element : kElements) {
      for (bool tiled : {false, true}) {
        for (int64_t width : {1, 3, 8, 17, 48}) {
          run(set, element, tiled, 1, 0, 1, width, width + 2, 0);
          run(set, element, tiled, 3, 62, 3, width, width + 1, 0);
          run(set, element, tiled, 70, 5, 2, width + 1, width, 7);
          run(set, element, tiled, 1, 1300, 4, width, width, 0);
          run(set, element, tiled, 37, 150, 3, 32, 48, 40);  // whole AMX tiles
        }
      }
    }
  }
}

// The caller's table of pages is memory that another thread may clear.
TEST(Attention, PagesThatVanishMeanwhileAreLeftOut) {
  for (auto set : kSets) {
    if (!winnow_cpu_supports(set)) continue;
    for (auto element : {WINNOW_DTYPE_F32, WINNOW_DTYPE_BF16}) {
      for (int cleared : {0, 1}) {
        run(set, element, true, 1, 200, 2, 8, 8, 0, cleared);
        run(set, element, true, 5, 150, 1, 8, 8, 0, cleared);
      }
    }
  }
}

TEST(Attention, RefusesUnknownElements) {
  winnow_attention_arguments arguments{};
  arguments.num_tokens = arguments.num_heads = arguments.num_kv_heads = 1;
  arguments.element = WINNOW_DTYPE_I8;
  EXPECT_EQ(winnow_attention(&arguments, open_cpu(1).get(), nullptr), WINNOW_INVALID_ARGUMENT);
  EXPECT_STREQ(winnow_last_error(), "element must be f32, bf16 or f16, found type 3");
}

TEST(Attention, DoesNothingForNoTokens) {
  EXPECT_EQ(call(winnow_attention, winnow_attention_arguments{}, open_cpu(1)), kDone);
}

}  // namespace winnow
