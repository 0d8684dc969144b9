// Conversions of f32 to 16 bits, to nearest even, as devices do them: NaN becomes 0x7fff.
#pragma once

#include <cstdint>
#include <cstring>

namespace winnow {

static inline uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

static inline float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

static inline uint16_t round_to_bf16(float value) {
  const uint32_t bits = bits_of(value), rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return static_cast<uint16_t>(value != value ? 0x7fff : rounded);
}

// Below the smallest normal f16, adding 0.5 leaves the result's bits at the end of the significand: the addition rounds.
static inline uint16_t round_to_f16(float value) {
  const uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffff, sign = bits >> 16 & 0x8000;
  const uint32_t normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  const uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
  uint32_t result = magnitude < 113u << 23 ? subnormal : normal;
  result = magnitude >= 143u << 23 ? 0x7c00 : result;
  return static_cast<uint16_t>(magnitude > 0x7f800000 ? 0x7fff : sign | result);
}

}  // namespace winnow
