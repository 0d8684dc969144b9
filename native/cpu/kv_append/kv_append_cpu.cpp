// One loop per element type and layout. A row of key tiles goes to every line of its tile: 64 lines for 128 columns of
// bf16, 128 for f32. Tokens that follow write to the same lines.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "base/cpu_context.h"
#include "base/entry.h"
#include "base/linked.h"
#include "base/read_once.h"
#include "base/round.h"
#include "winnow/kv_append.h"

namespace winnow {

namespace {

constexpr int64_t kTile = 64;

struct F32 {
  using Type = float;
  static constexpr int64_t kPair = 1;
  static float round(float value) { return value; }
};
struct Bf16 {
  using Type = uint16_t;
  static constexpr int64_t kPair = 2;
  static uint16_t round(float value) { return round_to_bf16(value); }
};
struct F16 {
  using Type = uint16_t;
  static constexpr int64_t kPair = 1;
  static uint16_t round(float value) { return round_to_f16(value); }
};

// Writes the row of position slot of a head, whose rows begin at head.
template <typename Element>
void write_row(const float* row, int64_t width, int64_t slot, winnow_kv_layout layout,
               typename Element::Type* __restrict__ head) {
  constexpr int64_t kPair = Element::kPair;
  if (layout == WINNOW_KV_LAYOUT_KEY_TILES) {
    const int64_t padded = (width + kPair - 1) / kPair * kPair;
    head += slot / kTile * kTile * padded + slot % kTile * kPair;
    for (int64_t c = 0; c < width; ++c) head[c / kPair * kTile * kPair + c % kPair] = Element::round(row[c]);
    if (padded > width) head[width / kPair * kTile * kPair + width % kPair] = 0;
  } else if (layout == WINNOW_KV_LAYOUT_VALUE_TILES && kPair > 1) {
    head += slot / kPair * kPair * width + slot % kPair;
    for (int64_t c = 0; c < width; ++c) head[c * kPair] = Element::round(row[c]);
  } else {
    head += slot * width;
    for (int64_t c = 0; c < width; ++c) head[c] = Element::round(row[c]);
  }
}

// Elements of a head's rows in a page.
template <typename Element>
int64_t head_size(const winnow_kv_append_arguments& a) {
  constexpr int64_t kPair = Element::kPair;
  const bool padded = a.layout == WINNOW_KV_LAYOUT_KEY_TILES;
  return a.page_size * (padded ? (a.width + kPair - 1) / kPair * kPair : a.width);
}

template <typename Element>
void append(const winnow_kv_append_arguments& a, Cpu& cpu) {
  int64_t grain = 1 + (int64_t{1} << 14) / (a.width + 1);
  cpu.parallel_for(a.num_tokens * a.num_heads, grain, [&a](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end;) {
      const int64_t token = row / a.num_heads, position = a.first_position + token;
      const int64_t page_index = position / a.page_size, slot = position - page_index * a.page_size;
      auto* page = reinterpret_cast<typename Element::Type*>(read_once(a.pages[page_index]));
      int64_t head = row - token * a.num_heads;
      const int64_t last = std::min(a.num_heads, head + end - row), first = row - head;
      row += last - head;
      if (page == nullptr) continue;  // cleared meanwhile
      for (; head < last; ++head)
        write_row<Element>(a.source + (first + head) * a.width, a.width, slot, a.layout,
                           page + head * head_size<Element>(a));
    }
  });
}

using Append = void (*)(const winnow_kv_append_arguments& arguments, Cpu& cpu);

// Throws for arguments that the contract refuses.
Append append_of(const winnow_kv_append_arguments& arguments) {
  if (arguments.layout < WINNOW_KV_LAYOUT_ROWS || arguments.layout > WINNOW_KV_LAYOUT_VALUE_TILES)
    throw std::invalid_argument("layout must be one of kv_layout.h, found " + std::to_string(arguments.layout));
  switch (arguments.element) {
    case WINNOW_DTYPE_F32:
      return append<F32>;
    case WINNOW_DTYPE_BF16:
      return append<Bf16>;
    case WINNOW_DTYPE_F16:
      return append<F16>;
  }
  throw std::invalid_argument("element must be f32, bf16 or f16, found type " + std::to_string(arguments.element));
}

}  // namespace

void kv_append_cpu(const winnow_kv_append_arguments& arguments, Cpu& cpu) {
  require_linked(arguments, WINNOW_KV_APPEND_MAX_LINKED);
  for_each_linked(arguments, [](const auto& plane) { append_of(plane); });  // before anything is written
  for_each_linked(arguments, [&cpu](const auto& plane) { append_of(plane)(plane, cpu); });
}

}  // namespace winnow

WINNOW_OPERATION(kv_append)
