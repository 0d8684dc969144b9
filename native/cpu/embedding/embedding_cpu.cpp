// One token per work item: the rows are far apart, each is read once.
#include <cstring>
#include <stdexcept>
#include <string>

#include "base/cpu_context.h"
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
void gather(const void* table, const int32_t* token_ids, float* output, int64_t num_tokens, int64_t hidden_size,
            Cpu* cpu) {
  int64_t grain = 1 + (int64_t{1} << 14) / (hidden_size + 1);
  cpu->parallel_for(num_tokens, grain, [=](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const auto* row = static_cast<const Element*>(table) + token_ids[t] * hidden_size;
      for (int64_t i = 0; i < hidden_size; ++i) output[t * hidden_size + i] = widen(row[i]);
    }
  });
}

}  // namespace

int64_t embedding_cpu(const void* table, DType table_type, const int32_t* token_ids, float* output, int64_t num_tokens,
                      int64_t vocabulary_size, int64_t hidden_size, Cpu* cpu) {
  for (int64_t t = 0; t < num_tokens; ++t) {
    if (token_ids[t] < 0 || token_ids[t] >= vocabulary_size) return t;
  }
  switch (table_type) {
    case DType::f32:
      gather<float, widen_f32>(table, token_ids, output, num_tokens, hidden_size, cpu);
      break;
    case DType::bf16:
      gather<uint16_t, widen_bf16>(table, token_ids, output, num_tokens, hidden_size, cpu);
      break;
    case DType::f16:
      gather<uint16_t, widen_f16>(table, token_ids, output, num_tokens, hidden_size, cpu);
      break;
    default:
      throw std::invalid_argument("table_type must be floating, found " + std::to_string(static_cast<int>(table_type)));
  }
  return -1;
}

}  // namespace winnow
