// How elements of the input become packed operands. Everything is local to the including file.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/weight_decoders.h"

namespace winnow {

namespace {

inline float to_float(float value) { return value; }
inline float to_float(uint16_t bf16) {
  return float_from_bits(static_cast<int32_t>(static_cast<uint32_t>(bf16) << 16));
}

inline uint16_t to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return static_cast<uint16_t>(value != value ? (bits >> 16 | 0x40) : rounded);
}

inline void assign(float& packed, float value) { packed = value; }
inline void assign(float& packed, uint16_t bf16) { packed = to_float(bf16); }
inline void assign(uint16_t& packed, uint16_t bf16) { packed = bf16; }

// An element of an f32 input that is multiplied in bf16. vcvtne2ps2bf16 would take subnormals for zero.
struct RoundedF32 {
  float value;
};

inline void assign(float& packed, RoundedF32 element) { packed = to_float(to_bf16(element.value)); }
inline void assign(uint16_t& packed, RoundedF32 element) { packed = to_bf16(element.value); }

}  // namespace

}  // namespace winnow
