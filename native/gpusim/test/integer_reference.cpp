#include "integer_reference.h"

#include <stdexcept>

#include "opcode_reference.h"
#include "soft_float.h"

namespace winnow::gpusim {
namespace {

uint64_t bit(uint64_t bits, uint32_t index) { return index < 64 ? bits >> index & 1 : 0; }

}  // namespace

Int integer(const std::string& type, uint64_t bits) {
  const uint32_t width = bits_of_type(type);
  if (width < 64) bits &= (uint64_t{1} << width) - 1;
  if (is_signed(type) && (bits >> (width - 1) & 1) != 0) return static_cast<Int>(bits) - (static_cast<Int>(1) << width);
  return bits;
}

Int lowest(const std::string& type) { return is_signed(type) ? -(static_cast<Int>(1) << (bits_of_type(type) - 1)) : 0; }

Int highest(const std::string& type) {
  return (static_cast<Int>(1) << (bits_of_type(type) - (is_signed(type) ? 1 : 0))) - 1;
}

uint64_t truncated(Int value, uint32_t width) {
  const auto bits = static_cast<uint64_t>(value);
  return width == 64 ? bits : bits & ((uint64_t{1} << width) - 1);
}

uint64_t integer_result(const std::string& type, const Words& words, const std::vector<uint64_t>& in) {
  const std::string& op = words[0];
  const uint32_t width = bits_of_type(type);
  std::vector<Int> x;
  for (uint64_t bits : in) x.push_back(integer(type, bits));
  const auto product_part = [&](Int product) { return has(words, "hi") ? product >> width : product; };
  if (op == "add" || op == "sub") {
    Int sum = op == "add" ? x[0] + x[1] : x[0] - x[1];
    if (has(words, "sat")) sum = std::min(std::max(sum, lowest(type)), highest(type));
    return truncated(sum, width);
  }
  if (op == "mul" || op == "mad") {
    if (has(words, "wide")) {
      Int sum = x[0] * x[1];
      if (op == "mad") sum += static_cast<Int>(in[2]);
      return truncated(sum, 2 * width);
    }
    // The product of two u64 fills 128 bits: unsigned, its high half is right whatever the sign of __int128.
    Int part = product_part(static_cast<Int>(static_cast<soft::Wide>(x[0]) * static_cast<soft::Wide>(x[1])));
    if (has(words, "hi") && width == 64 && !is_signed(type)) {
      part = static_cast<Int>(static_cast<uint64_t>(static_cast<soft::Wide>(in[0]) * in[1] >> 64));
    }
    if (op == "mad") {
      part = (is_signed(type) && has(words, "hi") ? static_cast<Int>(part) : part) + x[2];
      if (has(words, "sat")) part = std::min(std::max(part, lowest(type)), highest(type));
    }
    return truncated(part, width);
  }
  if (op == "mul24" || op == "mad24") {
    const auto low24 = [&](Int v) {
      const Int low = v & 0xFFFFFF;
      return is_signed(type) && (low >> 23) != 0 ? low - 0x1000000 : low;
    };
    Int part = low24(x[0]) * low24(x[1]);
    if (has(words, "hi")) part >>= 16;
    if (op == "mad24") part += x[2];
    return truncated(part, 32);
  }
  if (op == "div") return truncated(x[1] == 0 ? -1 : x[0] / x[1], width);
  if (op == "rem") return truncated(x[1] == 0 ? x[0] : x[0] % x[1], width);
  if (op == "sad") return truncated((x[0] > x[1] ? x[0] - x[1] : x[1] - x[0]) + x[2], width);
  if (op == "abs") return truncated(x[0] < 0 ? -x[0] : x[0], width);
  if (op == "neg") return truncated(-x[0], width);
  if (op == "min") return truncated(std::min(x[0], x[1]), width);
  if (op == "max") return truncated(std::max(x[0], x[1]), width);
  throw std::logic_error("no reference for " + op);
}

uint64_t bits_result(const Words& words, const std::vector<uint64_t>& in) {
  const std::string& op = words[0];
  const std::string& type = words.back();
  const uint32_t width = bits_of_type(type);
  if (op == "and") return in[0] & in[1];
  if (op == "or") return in[0] | in[1];
  if (op == "xor") return in[0] ^ in[1];
  if (op == "not") return truncated(static_cast<Int>(~in[0]), width);
  if (op == "cnot") return in[0] == 0 ? 1 : 0;
  if (op == "shl" || op == "shr") {
    const auto shift = static_cast<uint32_t>(in[1]);
    const Int value = integer(type, in[0]);
    if (shift >= width) return op == "shr" && value < 0 ? truncated(-1, width) : 0;
    return truncated(op == "shl" ? static_cast<Int>(static_cast<soft::Wide>(in[0]) << shift) : value >> shift, width);
  }
  if (op == "shf") {
    const auto count = static_cast<uint32_t>(in[2]);
    const uint32_t shift = has(words, "wrap") ? count % 32 : std::min(count, 32u);
    const uint64_t both = in[1] << 32 | in[0];
    return has(words, "l") ? (shift == 0 ? in[1] : both >> (32 - shift) & 0xFFFFFFFF)
                           : (shift == 32 ? in[1] : both >> shift & 0xFFFFFFFF);
  }
  if (op == "bfe") {
    const uint32_t position = in[1] & 0xFF, length = in[2] & 0xFF;
    const uint32_t last = std::min(position + length - 1, width - 1);
    const uint64_t fill = !is_signed(type) || length == 0 ? 0 : bit(in[0], last);
    uint64_t result = 0;
    for (uint32_t i = 0; i < width; ++i) {
      result |= (i < length && position + i < width ? bit(in[0], position + i) : fill) << i;
    }
    return result;
  }
  if (op == "bfi") {
    const uint32_t position = in[2] & 0xFF, length = in[3] & 0xFF;
    uint64_t result = in[1];
    for (uint32_t i = 0; i < length && position + i < width; ++i) {
      result = (result & ~(uint64_t{1} << (position + i))) | bit(in[0], i) << (position + i);
    }
    return result;
  }
  if (op == "bfind") {
    uint64_t value = in[0];
    if (is_signed(type) && bit(value, width - 1) != 0) value = truncated(static_cast<Int>(~value), width);
    for (uint32_t i = width; i-- > 0;) {
      if (bit(value, i) != 0) return has(words, "shiftamt") ? width - 1 - i : i;
    }
    return 0xFFFFFFFF;
  }
  if (op == "clz" || op == "popc" || op == "brev") {
    uint64_t leading = 0, ones = 0, reversed = 0;
    bool seen = false;
    for (uint32_t i = width; i-- > 0;) {
      seen |= bit(in[0], i) != 0;
      leading += !seen;
      ones += bit(in[0], i);
      reversed |= bit(in[0], i) << (width - 1 - i);
    }
    return op == "clz" ? leading : op == "popc" ? ones : reversed;
  }
  if (op == "prmt") {
    uint64_t result = 0;
    for (int i = 0; i < 4; ++i) {
      const uint64_t selector = in[2] >> (4 * i) & 0xF;
      uint64_t byte = (in[1] << 32 | in[0]) >> (8 * (selector & 7)) & 0xFF;
      if ((selector & 8) != 0) byte = (byte & 0x80) != 0 ? 0xFF : 0;
      result |= byte << (8 * i);
    }
    return result;
  }
  throw std::logic_error("no reference for " + op);
}

uint64_t dot_result(const Words& words, const std::vector<uint64_t>& in) {
  const std::string a = words[words.size() - 2] == "s32" ? "s" : "u", b = words.back() == "s32" ? "s" : "u";
  Int sum = static_cast<Int>(in[2]);
  for (int i = 0; i < 4; ++i) {
    if (words[0] == "dp4a") sum += integer(a + "8", in[0] >> (8 * i)) * integer(b + "8", in[1] >> (8 * i));
    if (words[0] == "dp2a" && i < 2) {
      sum += integer(a + "16", in[0] >> (16 * i)) * integer(b + "8", in[1] >> (8 * i + (has(words, "hi") ? 16 : 0)));
    }
  }
  return truncated(sum, 32);
}

}  // namespace winnow::gpusim
