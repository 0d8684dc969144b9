#include "tool/buffer.h"

#include <immintrin.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>

#include "tool/number.h"

namespace winnow::gpusim {
namespace {

struct TypeName {
  const char* name;
  ElementType type;
  uint64_t bytes;
};
constexpr TypeName kTypes[] = {
    {"f32", ElementType::kF32, 4},   {"f64", ElementType::kF64, 8}, {"f16", ElementType::kF16, 2},
    {"bf16", ElementType::kBf16, 2}, {"i8", ElementType::kI8, 1},   {"u8", ElementType::kU8, 1},
    {"i16", ElementType::kI16, 2},   {"u16", ElementType::kU16, 2}, {"i32", ElementType::kI32, 4},
    {"u32", ElementType::kU32, 4},   {"i64", ElementType::kI64, 8}, {"u64", ElementType::kU64, 8}};

template <typename T>
void store(double value, uint8_t* to) {
  const T typed = static_cast<T>(value);
  std::memcpy(to, &typed, sizeof typed);
}

template <typename T>
double load(const uint8_t* from) {
  T typed;
  std::memcpy(&typed, from, sizeof typed);
  return static_cast<double>(typed);
}

uint16_t to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if (value != value) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

void fill_random(Buffer& buffer, const std::string& range) {
  const bool floating = buffer.type == ElementType::kF32 || buffer.type == ElementType::kF64 ||
                        buffer.type == ElementType::kF16 || buffer.type == ElementType::kBf16;
  double low = floating ? -1 : 0, high = floating ? 1 : 100;
  uint64_t seed = 1;
  if (!range.empty()) {
    const size_t dots = range.find(".."), comma = range.find(',');
    if (dots == std::string::npos) throw std::invalid_argument("random=LOW..HIGH[,SEED], found random=" + range);
    low = parse_float(range.substr(0, dots));
    high = parse_float(range.substr(dots + 2, comma == std::string::npos ? comma : comma - dots - 2));
    if (comma != std::string::npos) seed = parse_unsigned(range.substr(comma + 1));
  }
  std::mt19937_64 random(seed);
  for (uint64_t i = 0; i < buffer.count; ++i) {
    const double unit = static_cast<double>(random() >> 11) * 0x1p-53;
    put(buffer.type, low + (high - low) * unit, &buffer.bytes[i * size_bytes(buffer.type)]);
  }
}

}  // namespace

ElementType parse_type(const std::string& name) {
  std::string known;
  for (const TypeName& type : kTypes) {
    if (name == type.name) return type.type;
    known += std::string(known.empty() ? "" : ", ") + type.name;
  }
  throw std::invalid_argument("type " + name + " is none of " + known);
}

uint64_t size_bytes(ElementType type) {
  for (const TypeName& known : kTypes) {
    if (known.type == type) return known.bytes;
  }
  return 0;
}

void put(ElementType type, double value, uint8_t* to) {
  switch (type) {
    case ElementType::kF32:
      return store<float>(value, to);
    case ElementType::kF64:
      return store<double>(value, to);
    case ElementType::kF16: {
      const uint16_t bits = _cvtss_sh(static_cast<float>(value), _MM_FROUND_TO_NEAREST_INT);
      std::memcpy(to, &bits, 2);
      return;
    }
    case ElementType::kBf16: {
      const uint16_t bits = to_bf16(static_cast<float>(value));
      std::memcpy(to, &bits, 2);
      return;
    }
    case ElementType::kI8:
      return store<int8_t>(value, to);
    case ElementType::kU8:
      return store<uint8_t>(value, to);
    case ElementType::kI16:
      return store<int16_t>(value, to);
    case ElementType::kU16:
      return store<uint16_t>(value, to);
    case ElementType::kI32:
      return store<int32_t>(value, to);
    case ElementType::kU32:
      return store<uint32_t>(value, to);
    case ElementType::kI64:
      return store<int64_t>(value, to);
    case ElementType::kU64:
      return store<uint64_t>(value, to);
  }
}

double get(ElementType type, const uint8_t* from) {
  switch (type) {
    case ElementType::kF32:
      return load<float>(from);
    case ElementType::kF64:
      return load<double>(from);
    case ElementType::kF16: {
      uint16_t bits;
      std::memcpy(&bits, from, 2);
      return _cvtsh_ss(bits);
    }
    case ElementType::kBf16: {
      uint16_t half;
      std::memcpy(&half, from, 2);
      const uint32_t bits = static_cast<uint32_t>(half) << 16;
      float value;
      std::memcpy(&value, &bits, 4);
      return value;
    }
    case ElementType::kI8:
      return load<int8_t>(from);
    case ElementType::kU8:
      return load<uint8_t>(from);
    case ElementType::kI16:
      return load<int16_t>(from);
    case ElementType::kU16:
      return load<uint16_t>(from);
    case ElementType::kI32:
      return load<int32_t>(from);
    case ElementType::kU32:
      return load<uint32_t>(from);
    case ElementType::kI64:
      return load<int64_t>(from);
    case ElementType::kU64:
      return load<uint64_t>(from);
  }
  return 0;
}

Buffer parse_buffer(const std::string& text) {
  const size_t equals = text.find('='), open = text.find('[', equals), close = text.find("]:", open);
  if (equals == std::string::npos || open == std::string::npos || close == std::string::npos) {
    throw std::invalid_argument("a buffer is NAME=TYPE[COUNT]:CONTENT, found " + text);
  }
  Buffer buffer;
  buffer.name = text.substr(0, equals);
  buffer.type = parse_type(text.substr(equals + 1, open - equals - 1));
  buffer.count = parse_unsigned(text.substr(open + 1, close - open - 1));
  const std::string content = text.substr(close + 2);
  const size_t value_at = content.find('=');
  const std::string kind = content.substr(0, value_at);
  const std::string value = value_at == std::string::npos ? "" : content.substr(value_at + 1);
  const uint64_t element_bytes = size_bytes(buffer.type);
  if (kind == "unwritten") return buffer;
  buffer.bytes.resize(buffer.total_bytes());
  if (kind == "random") {
    fill_random(buffer, value);
  } else if (kind == "iota") {
    for (uint64_t i = 0; i < buffer.count; ++i)
      put(buffer.type, static_cast<double>(i), &buffer.bytes[i * element_bytes]);
  } else if (kind == "constant") {
    for (uint64_t i = 0; i < buffer.count; ++i) put(buffer.type, parse_float(value), &buffer.bytes[i * element_bytes]);
  } else if (kind == "file") {
    std::ifstream file(value, std::ios::binary);
    if (!file) throw std::invalid_argument("cannot read " + value);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (bytes.size() != buffer.bytes.size()) {
      throw std::invalid_argument(value + " holds " + std::to_string(bytes.size()) + " bytes, expected " +
                                  std::to_string(buffer.bytes.size()));
    }
    std::memcpy(buffer.bytes.data(), bytes.data(), bytes.size());
  } else if (kind != "zeros") {
    throw std::invalid_argument(
        "content is random[=LOW..HIGH[,SEED]], iota, zeros, constant=VALUE, file=PATH or unwritten, found " + content);
  }
  return buffer;
}

}  // namespace winnow::gpusim
