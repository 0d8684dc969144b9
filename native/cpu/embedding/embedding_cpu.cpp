// One token per work item. The rows are far apart, and each is read once.
#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "base/cpu_context.h"
#include "base/entry.h"
#include "base/read_once.h"
#include "winnow/embedding.h"

namespace winnow {

namespace {

float from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float widen_f32(float value) { return value; }

float widen_bf16(uint16_t bits) { return from_bits(static_cast<uint32_t>(bits) << 16); }

float widen_f16(uint16_t bits) {
  uint32_t sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 0x1fu, mantissa = bits & 0x3ffu;
  if (exponent == 0) {  // zero and subnormal numbers: units of 2^-24
    float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign == 0 ? magnitude : -magnitude;
  }
  if (exponent == 31) return from_bits(sign | 0x7f800000u | (mantissa << 13));
  return from_bits(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

template <typename Element, float (*widen)(Element)>
void gather(const winnow_embedding_arguments& arguments, Cpu& cpu) {
  const int64_t hidden_size = arguments.hidden_size;
  int64_t grain = 1 + (int64_t{1} << 14) / (hidden_size + 1);
  cpu.parallel_for(arguments.num_tokens, grain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      // Checked before, and perhaps changed since.
      const auto id = std::clamp<int64_t>(read_once(arguments.token_ids[t]), 0, arguments.vocabulary_size - 1);
      const auto* row = static_cast<const Element*>(arguments.table) + id * hidden_size;
      float* to = arguments.output + t * hidden_size;
      for (int64_t i = 0; i < hidden_size; ++i) to[i] = widen(row[i]);
    }
  });
}

using Gather = void (*)(const winnow_embedding_arguments& arguments, Cpu& cpu);

Gather gather_of(winnow_dtype table_type) {
  switch (table_type) {
    case WINNOW_DTYPE_F32:
      return gather<float, widen_f32>;
    case WINNOW_DTYPE_BF16:
      return gather<uint16_t, widen_bf16>;
    case WINNOW_DTYPE_F16:
      return gather<uint16_t, widen_f16>;
    default:
      throw std::invalid_argument("table_type must be f32, bf16 or f16, found type " + std::to_string(table_type));
  }
}

}  // namespace

Outcome embedding_cpu(const winnow_embedding_arguments& arguments, Cpu& cpu) {
  Gather gather = gather_of(arguments.table_type);
  for (int64_t t = 0; t < arguments.num_tokens; ++t) {
    const int32_t id = read_once(arguments.token_ids[t]);
    if (id < 0 || id >= arguments.vocabulary_size) return {WINNOW_REFUSED, t};
  }
  gather(arguments, cpu);
  return {};
}

}  // namespace winnow

WINNOW_OPERATION(embedding)
