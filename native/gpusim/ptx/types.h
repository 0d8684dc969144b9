// The types that PTX names: ".u32", ".bf16x2", ".pred".
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace winnow::gpusim {

enum class Type : uint8_t {
  kU8,
  kU16,
  kU32,
  kU64,
  kS8,
  kS16,
  kS32,
  kS64,
  kB8,
  kB16,
  kB32,
  kB64,
  kB128,
  kF16,
  kF16x2,
  kBF16,
  kBF16x2,
  kTF32,
  kF32,
  kF64,
  kPred
};

uint32_t size_bytes(Type type);  // 0 for a predicate
std::optional<Type> parse_type(std::string_view dotted);

}  // namespace winnow::gpusim
