// The plain form: one output element at a time. Units of work are (active expert, block of columns).
#include "winnow/grouped_gemm.h"

#include <stdexcept>
#include <string>

#include "activation.h"
#include "base/cpu_context.h"

namespace winnow {

namespace {

constexpr int kNumLanes = 16;
constexpr int64_t kBlockColumns = 48;

float bf16_value(uint16_t bits) { return float_from_bits(static_cast<int32_t>(static_cast<uint32_t>(bits) << 16)); }

float f16_value(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16, magnitude = bits & 0x7fff;
  if (magnitude >= 0x7c00) return float_from_bits(static_cast<int32_t>(sign | 0x7f800000 | (magnitude & 0x3ff) << 13));
  float value = float_from_bits(static_cast<int32_t>(magnitude << 13)) * 0x1p112f;  // also right for subnormals
  return sign != 0 ? -value : value;
}

uint16_t bf16_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  if (value != value) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float element(const void* values, DType type, int64_t i) {
  switch (type) {
    case DType::bf16: return bf16_value(static_cast<const uint16_t*>(values)[i]);
    case DType::f16: return f16_value(static_cast<const uint16_t*>(values)[i]);
    default: return static_cast<const float*>(values)[i];
  }
}

float dot(const void* a, DType a_type, int64_t a_begin, const void* b, DType b_type, int64_t b_begin, int64_t size) {
  float lanes[kNumLanes] = {};
  for (int64_t k = 0; k < size; ++k) lanes[k % kNumLanes] += element(a, a_type, a_begin + k) * element(b, b_type, b_begin + k);
  float sum = 0;
  for (float lane : lanes) sum += lane;
  return sum;
}

float activate(Activation activation, bool gated, float g, float u) {
  switch (activation) {
    case Activation::none: return gated ? g * u : g;
    case Activation::silu: return activate<Activation::silu>(g) * (gated ? u : 1.0f);
    case Activation::gelu_erf: return activate<Activation::gelu_erf>(g) * (gated ? u : 1.0f);
    case Activation::gelu_tanh: return activate<Activation::gelu_tanh>(g) * (gated ? u : 1.0f);
    case Activation::relu: return activate<Activation::relu>(g) * (gated ? u : 1.0f);
    case Activation::clamped_swiglu: return activate<Activation::clamped_swiglu>(g, u);
  }
  return g;
}

void require(bool holds, const char* what, int64_t found) {
  if (!holds) throw std::out_of_range(std::string(what) + ", found " + std::to_string(found));
}

}  // namespace

int64_t grouped_gemm_cpu(const void* input, DType input_type, const int32_t* source_rows, const uint64_t* expert_weights, const uint64_t* up_weights,
                         DType weight_type, const uint64_t* biases, const uint64_t* up_biases, const int32_t* expert_offsets,
                         const int32_t* active_experts, Activation activation, void* output, DType output_type, int64_t num_tokens, int64_t num_rows,
                         int64_t num_experts, int64_t num_active, int64_t input_size, int64_t output_size, Cpu* cpu) {
  auto expert_of = [=](int64_t i) { return active_experts == nullptr ? i : int64_t{active_experts[i]}; };
  auto begin_of = [=](int64_t e) { return expert_offsets == nullptr ? 0 : int64_t{expert_offsets[e]}; };
  auto end_of = [=](int64_t e) { return expert_offsets == nullptr ? num_rows : int64_t{expert_offsets[e + 1]}; };
  int64_t absent = -1;
  for (int64_t i = 0; i < num_active; ++i) {
    int64_t e = expert_of(i);
    require(e >= 0 && e < num_experts, "active_experts must lie below num_experts", e);
    require(begin_of(e) >= 0 && begin_of(e) <= end_of(e) && end_of(e) <= num_rows, "expert_offsets must ascend within num_rows", end_of(e));
    for (int64_t r = begin_of(e); r < end_of(e); ++r) {
      int64_t source = source_rows == nullptr ? r : source_rows[r];
      require(source >= 0 && source < num_tokens, "source_rows must lie below num_tokens", source);
    }
    bool resident = expert_weights[e] != 0 && (up_weights == nullptr || up_weights[e] != 0);
    if (absent < 0 && !resident && end_of(e) > begin_of(e)) absent = e;
  }
  if (absent >= 0) return absent;

  int64_t blocks = (output_size + kBlockColumns - 1) / kBlockColumns;
  cpu->parallel_for(num_active * blocks, 1, [=](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      int64_t e = expert_of(unit / blocks), column = unit % blocks * kBlockColumns;
      int64_t column_end = column + kBlockColumns < output_size ? column + kBlockColumns : output_size;
      const auto* weight = reinterpret_cast<const void*>(expert_weights[e]);
      const auto* up_weight = up_weights == nullptr ? nullptr : reinterpret_cast<const void*>(up_weights[e]);
      const auto* bias = biases == nullptr ? nullptr : reinterpret_cast<const float*>(biases[e]);
      const auto* up_bias = up_biases == nullptr ? nullptr : reinterpret_cast<const float*>(up_biases[e]);
      for (int64_t n = column; n < column_end; ++n) {
        for (int64_t r = begin_of(e); r < end_of(e); ++r) {
          int64_t source = (source_rows == nullptr ? r : source_rows[r]) * input_size;
          float gate = dot(input, input_type, source, weight, weight_type, n * input_size, input_size);
          if (bias != nullptr) gate += bias[n];
          float up = 0;
          if (up_weight != nullptr) {
            up = dot(input, input_type, source, up_weight, weight_type, n * input_size, input_size);
            if (up_bias != nullptr) up += up_bias[n];
          }
          float value = activate(activation, up_weight != nullptr, gate, up);
          if (output_type == DType::bf16) {
            static_cast<uint16_t*>(output)[r * output_size + n] = bf16_bits(value);
          } else {
            static_cast<float*>(output)[r * output_size + n] = value;
          }
        }
      }
    }
  });
  return -1;
}

}  // namespace winnow
