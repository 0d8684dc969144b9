#include "opcode_reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "integer_reference.h"
#include "soft_float.h"

namespace winnow::gpusim {
namespace {

using soft::Format;
using soft::Number;
using soft::Rounding;

bool is_float(const std::string& type) { return type == "f16" || type == "bf16" || type == "f32" || type == "f64"; }
bool is_pair(const std::string& type) { return type.size() > 2 && type.substr(type.size() - 2) == "x2"; }

const Format& format_of(const std::string& type) {
  if (type == "f16") return soft::kF16;
  if (type == "bf16") return soft::kBf16;
  return type == "f32" ? soft::kF32 : soft::kF64;
}

Rounding rounding_of(const Words& words) {
  if (has(words, "rz") || has(words, "rzi")) return Rounding::kZero;
  if (has(words, "rm") || has(words, "rmi")) return Rounding::kDown;
  if (has(words, "rp") || has(words, "rpi")) return Rounding::kUp;
  return Rounding::kNearestEven;
}

// .sat: into [0, 1], NaN to +0; .relu: negative to +0, NaN stays.
uint64_t clamped(const Format& f, uint64_t bits, const Words& words) {
  const Number x = soft::decode(f, bits);
  if (has(words, "sat")) {
    if (x.nan || x.negative) return 0;
    const Number one = soft::from_integer(false, 1);
    return soft::compare(x, one) > 0 ? soft::encode(f, one) : bits;
  }
  if (has(words, "relu") && !x.nan && x.negative) return 0;
  return bits;
}

uint64_t float_result(const std::string& type, const Words& words, const std::vector<uint64_t>& in) {
  const Format& f = format_of(type);
  const std::string& op = words[0];
  const bool flush = has(words, "ftz");
  const Rounding rounding = rounding_of(words);
  const uint64_t sign = uint64_t{1} << (f.bits - 1);
  std::vector<Number> x;
  for (uint64_t bits : in) x.push_back(soft::decode(f, bits, flush));
  if (op == "neg" || op == "abs") {
    // Signs are bits: of NaN too, except that f32 and f64 leave its payload to the machine.
    const uint64_t bits = flush && x[0].zero() ? in[0] & sign : in[0];
    return op == "neg" ? bits ^ sign : bits & ~sign;
  }
  if (op == "copysign") return (in[1] & ~sign) | (in[0] & sign);
  if (op == "min" || op == "max") {
    if (x[0].nan || x[1].nan) {
      if (has(words, "NaN") || (x[0].nan && x[1].nan)) return f.canonical_nan;
      return x[0].nan ? (x[1].zero() ? in[1] & sign : in[1]) : (x[0].zero() ? in[0] & sign : in[0]);
    }
    int order = soft::compare(x[0], x[1]);
    if (order == 0 && x[0].negative != x[1].negative) order = x[0].negative ? -1 : 1;  // -0 < +0
    const int taken = (order <= 0) == (op == "min") ? 0 : 1;
    return x[taken].zero() ? in[taken] & sign : in[taken];
  }
  Number result;
  if (op == "add") result = soft::add(x[0], x[1], rounding);
  if (op == "sub") result = soft::add(x[0], soft::negated(x[1]), rounding);
  if (op == "mul") result = soft::multiply(x[0], x[1]);
  if (op == "fma" || op == "mad") result = soft::add(soft::multiply(x[0], x[1]), x[2], rounding);
  if (op == "div") result = soft::divide(x[0], x[1]);
  if (op == "rcp") result = soft::divide(soft::from_integer(false, 1), x[0]);
  if (op == "sqrt") result = soft::square_root(x[0]);
  return clamped(f, soft::encode(f, result, rounding, flush), words);
}

bool compare_result(const std::string& relation, const std::string& type, bool flush, uint64_t a, uint64_t b) {
  int order;
  bool unordered = false;
  if (is_float(type)) {
    const Number x = soft::decode(format_of(type), a, flush), y = soft::decode(format_of(type), b, flush);
    unordered = x.nan || y.nan;
    order = unordered ? 0 : soft::compare(x, y);
  } else {
    const Int x = integer(type, a), y = integer(type, b);
    order = x < y ? -1 : x > y ? 1 : 0;
  }
  if (relation == "num") return !unordered;
  if (relation == "nan") return unordered;
  std::string r = relation;
  if (r.size() == 3) {  // equ and the like: true when unordered
    if (unordered) return true;
    r.pop_back();
  }
  if (unordered) return false;
  if (r == "eq") return order == 0;
  if (r == "ne") return order != 0;
  if (r == "lt" || r == "lo") return order < 0;
  if (r == "le" || r == "ls") return order <= 0;
  if (r == "gt" || r == "hi") return order > 0;
  return order >= 0;
}

uint64_t convert_result(const Words& words, const std::vector<uint64_t>& in) {
  const std::string& to = words[words.size() - 2];
  const std::string& from = words.back();
  const Rounding rounding = rounding_of(words);
  const bool flush = has(words, "ftz");
  if (!is_float(from) && !is_float(to)) {
    Int value = integer(from, in[0]);
    if (has(words, "sat")) value = std::min(std::max(value, lowest(to)), highest(to));
    return truncated(value, bits_of_type(to));
  }
  if (!is_float(from)) {
    const Int value = integer(from, in[0]);
    const Number x = soft::from_integer(value < 0, static_cast<uint64_t>(value < 0 ? -value : value));
    return clamped(format_of(to), soft::encode(format_of(to), x, rounding), words);
  }
  Number x = soft::decode(format_of(from), in[0], flush && (from == "f32" || from == "bf16"));
  if (!is_float(to)) {
    // Out of range: the nearest value there is. NaN: zero, but the top bit alone when either type has 64 bits.
    if (x.nan) return from == "f64" || bits_of_type(to) == 64 ? uint64_t{1} << (bits_of_type(to) - 1) : 0;
    Int value;
    if (x.infinite) {
      value = x.negative ? lowest(to) : highest(to);
    } else {
      const Number r = soft::rounded_at(x, 0, rounding);
      const bool large = soft::bit_length(r.mantissa) + r.exponent > 66;
      const Int magnitude = r.mantissa == 0   ? 0
                            : large           ? static_cast<Int>(1) << 66
                            : r.exponent >= 0 ? static_cast<Int>(r.mantissa << r.exponent)
                                              : static_cast<Int>(r.mantissa);
      value = std::min(std::max(r.negative ? -magnitude : magnitude, lowest(to)), highest(to));
    }
    return truncated(value, bits_of_type(to));
  }
  const bool to_integer = has(words, "rni") || has(words, "rzi") || has(words, "rmi") || has(words, "rpi");
  if (to_integer) x = soft::rounded_at(x, 0, rounding);
  return clamped(format_of(to),
                 soft::encode(format_of(to), x, to_integer ? Rounding::kNearestEven : rounding, flush && to == "f32"),
                 words);
}

double as_double(const std::string& type, uint64_t bits, bool flush) {
  const Number x = soft::decode(format_of(type), bits, flush);
  if (x.nan) return NAN;
  if (x.infinite) return x.negative ? -INFINITY : INFINITY;
  const double magnitude = std::ldexp(static_cast<double>(x.mantissa), x.exponent);
  return x.negative ? -magnitude : magnitude;
}

uint64_t rounded(const std::string& type, double value, bool flush) {
  uint64_t bits;
  std::memcpy(&bits, &value, 8);
  return soft::encode(format_of(type), soft::decode(soft::kF64, bits), Rounding::kNearestEven, flush);
}

Expected approximate_result(const std::string& type, const Words& words, const std::vector<uint64_t>& in) {
  const std::string& op = words[0];
  const bool flush = has(words, "ftz") && type == "f32";
  const double x = as_double(type, in[0], flush);
  double result = 0;
  if (op == "ex2") result = std::exp2(x);
  if (op == "lg2") result = std::log2(x);
  if (op == "sin") result = std::sin(x);
  if (op == "cos") result = std::cos(x);
  if (op == "tanh") result = std::tanh(x);
  if (op == "rcp") result = 1 / x;
  if (op == "sqrt") result = std::sqrt(x);
  if (op == "rsqrt") result = 1 / std::sqrt(x);
  if (op == "div") result = x / as_double(type, in[1], flush);
  // The manual's bounds: 2 ulp of f32 (ex2, div), 2^-11 of tanh, 2^-20.5 absolute of sin and cos near 0; half types
  // round once.
  const double tolerance = type == "f64"    ? 0x1p-20
                           : type == "bf16" ? 0x1p-7
                           : type == "f16"  ? 0x1p-9
                           : op == "tanh"   ? 0x1p-10
                                            : 0x1p-20;
  return {rounded(type, result, flush), tolerance};
}

uint64_t on_halves(const Words& words, const std::vector<uint64_t>& in, const std::string& element) {
  Words single = words;
  single.back() = element;
  const auto half = [&](int shift) {
    std::vector<uint64_t> operands;
    for (uint64_t bits : in) operands.push_back(bits >> shift & 0xFFFF);
    return is_float(element) ? float_result(element, single, operands) : integer_result(element, single, operands);
  };
  return half(16) << 16 | half(0);
}

uint64_t test_property(const std::string& property, uint64_t bits) {
  const Number x = soft::decode(soft::kF32, bits);
  const bool normal = !x.nan && !x.infinite && (bits >> 23 & 0xFF) != 0;
  if (property == "finite") return !x.nan && !x.infinite;
  if (property == "infinite") return x.infinite;
  if (property == "number") return !x.nan;
  if (property == "notanumber") return x.nan;
  if (property == "normal") return normal;
  return !x.nan && !x.infinite && !normal && !x.zero();
}

const std::set<std::string> kArithmetic = {"add", "sub", "mul", "mad",   "fma",   "div", "rem",  "sad",     "abs",
                                           "neg", "min", "max", "mul24", "mad24", "rcp", "sqrt", "copysign"};
const std::set<std::string> kBits = {"and", "or",  "xor",   "not", "cnot", "shl",  "shr", "shf",
                                     "bfe", "bfi", "bfind", "clz", "popc", "brev", "prmt"};
const std::set<std::string> kApproximate = {"ex2", "lg2", "sin", "cos", "tanh", "rsqrt"};

bool approximate(const Words& words) {
  return kApproximate.count(words[0]) != 0 || has(words, "approx") || has(words, "full");
}

}  // namespace

std::vector<std::string> words_of(const std::string& opcode) {
  std::vector<std::string> words;
  size_t begin = 0;
  while (true) {
    const size_t dot = opcode.find('.', begin);
    words.push_back(opcode.substr(begin, dot - begin));
    if (dot == std::string::npos) return words;
    begin = dot + 1;
  }
}

uint32_t bits_of_type(const std::string& type) {
  if (type == "pred") return 1;
  if (is_pair(type)) return 32;
  if (type == "tf32") return 32;
  return static_cast<uint32_t>(std::stoul(type.substr(type.find_first_of("0123456789"))));
}

bool is_covered(const std::string& opcode) {
  const std::string base = words_of(opcode)[0];
  return kArithmetic.count(base) != 0 || kBits.count(base) != 0 || kApproximate.count(base) != 0 || base == "dp4a" ||
         base == "dp2a" || base == "setp" || base == "set" || base == "selp" || base == "testp" || base == "cvt" ||
         base == "mov";
}

Signature signature_of(const std::string& opcode) {
  const Words words = words_of(opcode);
  const std::string& op = words[0];
  const std::string& type = words.back();
  const std::string previous = words.size() > 2 ? words[words.size() - 2] : "";
  if (op == "setp") {
    const bool combined = has(words, "and") || has(words, "or") || has(words, "xor");
    return combined ? Signature{"pred", {type, type, "pred"}} : Signature{"pred", {type, type}};
  }
  if (op == "set") return {previous, {type, type}};
  if (op == "selp") return {type, {type, type, "pred"}};
  if (op == "testp") return {"pred", {type}};
  if (op == "cvt") {
    if (is_pair(previous)) return {previous, {type, type}};
    return {previous, {type}};
  }
  if (op == "dp4a" || op == "dp2a") return {"b32", {"b32", "b32", "b32"}};
  if (op == "shl" || op == "shr") return {type, {type, "u32"}};
  if (op == "shf") return {type, {type, type, "u32"}};
  if (op == "bfe") return {type, {type, "u32", "u32"}};
  if (op == "bfi") return {type, {type, type, "u32", "u32"}};
  if (op == "bfind" || op == "clz" || op == "popc") return {"u32", {type}};
  if (op == "prmt") return {type, {type, type, type}};
  if (has(words, "wide")) {
    const std::string twice = type.substr(0, 1) + std::to_string(2 * bits_of_type(type));
    return op == "mad" ? Signature{twice, {type, type, twice}} : Signature{twice, {type, type}};
  }
  static const std::set<std::string> kUnary = {"abs", "neg", "not", "cnot", "brev", "rcp",  "sqrt",
                                               "mov", "ex2", "lg2", "sin",  "cos",  "tanh", "rsqrt"};
  static const std::set<std::string> kTernary = {"fma", "mad", "mad24", "sad"};
  const size_t count = kUnary.count(op) != 0 ? 1 : kTernary.count(op) != 0 ? 3 : 2;
  return {type, std::vector<std::string>(count, type)};
}

Expected expected_of(const std::string& opcode, const std::vector<uint64_t>& in) {
  const Words words = words_of(opcode);
  const std::string& op = words[0];
  const std::string& type = words.back();
  if (op == "mov") return {in[0], 0};
  if (op == "setp") {
    bool result = compare_result(words[1], type, has(words, "ftz"), in[0], in[1]);
    if (has(words, "and")) result = result && in[2] != 0;
    if (has(words, "or")) result = result || in[2] != 0;
    if (has(words, "xor")) result = result != (in[2] != 0);
    return {result, 0};
  }
  if (op == "set") {
    const bool result = compare_result(words[1], type, has(words, "ftz"), in[0], in[1]);
    return {!result ? 0 : words[words.size() - 2] == "f32" ? 0x3F800000u : 0xFFFFFFFFu, 0};
  }
  if (op == "selp") return {in[2] != 0 ? in[0] : in[1], 0};
  if (op == "testp") return {test_property(words[1], in[0]), 0};
  if (op == "cvt") {
    const std::string& to = words[words.size() - 2];
    if (to == "tf32") {  // 10 bits of fraction, ties away from zero
      const Number x = soft::decode(soft::kF32, in[0]);
      if (x.nan) return {soft::kF32.canonical_nan, 0};
      if (x.infinite || x.zero()) return {in[0], 0};
      const int top = soft::bit_length(x.mantissa) - 1 + x.exponent;
      return {soft::encode(soft::kF32, soft::rounded_at(x, std::max(top, -126) - 10, Rounding::kNearestAway)), 0};
    }
    if (is_pair(to)) {
      Words single = words;
      single[single.size() - 2] = to.substr(0, to.size() - 2);
      return {convert_result(single, {in[0]}) << 16 | convert_result(single, {in[1]}), 0};
    }
    return {convert_result(words, in), 0};
  }
  if (op == "dp4a" || op == "dp2a") return {dot_result(words, in), 0};
  if (kBits.count(op) != 0) return {bits_result(words, in), 0};
  const std::string element = is_pair(type) ? type.substr(0, type.size() - 2) : type;
  if (approximate(words)) {
    if (!is_pair(type)) return approximate_result(type, words, in);
    const Expected low = approximate_result(element, words, {in[0] & 0xFFFF}),
                   high = approximate_result(element, words, {in[0] >> 16});
    return {high.bits << 16 | low.bits, low.tolerance};
  }
  if (is_pair(type)) return {on_halves(words, in, element), 0};
  return {is_float(type) ? float_result(type, words, in) : integer_result(type, words, in), 0};
}

}  // namespace winnow::gpusim
