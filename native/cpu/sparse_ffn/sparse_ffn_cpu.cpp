// Two regions of all threads. First the hidden values: threads take columns, and read the rows w1 (and w3) of a column
// once for all its tokens. Then the outputs: each thread takes a range of the outputs and adds the rows w2 to it, in
// ascending order of the columns, so that the number of threads changes no bit. A column whose hidden value is 0 for all
// tokens is not read.
#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/activation.h"
#include "base/cpu_context.h"
#include "base/entry.h"
#include "base/read_once.h"
#include "base/weight_rows.h"
#include "winnow/sparse_ffn.h"

namespace winnow {

namespace {

constexpr int64_t kTokensAtOnce = 16;           // whose sums stay in L2
constexpr int64_t kBytesPerClaim = 32 << 10;    // of weights
constexpr int64_t kLeastBytesPerThread = 8192;  // of weights, in the second region

float bf16_to_float(uint16_t bits) { return float_from_bits(static_cast<int32_t>(uint32_t{bits} << 16)); }

struct Act {
  float (*gate)(float);
  float (*gated)(float, float);
};

template <Activation kActivation>
constexpr Act act() {
  return {activate<kActivation>, activate<kActivation>};
}

Act act_of(winnow_activation activation) {
  switch (static_cast<Activation>(activation)) {
    case Activation::none:
      return act<Activation::none>();
    case Activation::silu:
      return act<Activation::silu>();
    case Activation::gelu_erf:
      return act<Activation::gelu_erf>();
    case Activation::gelu_tanh:
      return act<Activation::gelu_tanh>();
    case Activation::relu:
      return act<Activation::relu>();
    case Activation::relu_squared:
      return act<Activation::relu_squared>();
    case Activation::drelu:
      return act<Activation::drelu>();
    case Activation::clamped_swiglu:
      break;
  }
  throw std::invalid_argument("activation must be a function of the gate, found " + std::to_string(activation));
}

// A token that computes a column, and where its hidden value lies.
struct Pair {
  int32_t token;
  int64_t position;
};

// What a call computes, copied from its lists: another thread may write to these.
struct Plan {
  std::vector<int32_t> columns;      // some token computes, ascending
  std::vector<int64_t> first_pairs;  // of each column, and one after the last
  std::vector<Pair> pairs;           // by column, by token
  std::vector<Pair> listed;          // by token, as the lists have them
  std::vector<int32_t> listed_columns;
  std::vector<const char*> records;  // of each column
  std::vector<int64_t> heads;        // by column of the layer
  std::vector<float> packed;         // the tokens' inputs
  std::vector<const float*> inputs;  // in packed
  std::vector<float> sums;           // the tokens' outputs, packed
  std::vector<float> row;            // one token's input as f32
};

struct SparseFfn {
  const winnow_sparse_ffn_arguments& op;
  const WeightRows& rows;
  const Act act;
  Plan& plan;
  const int64_t row_bytes, record_bytes, padded_size;

  SparseFfn(const winnow_sparse_ffn_arguments& arguments, const Cpu& cpu, Plan& scratch)
      : op(arguments),
        rows(weight_rows(cpu.instruction_set, arguments.weight_format)),
        act(act_of(arguments.activation)),
        plan(scratch),
        row_bytes(arguments.hidden_size * (arguments.weight_format == WINNOW_WEIGHT_FORMAT_F32 ? 4 : 2)),
        record_bytes(row_bytes * (arguments.gated != 0 ? 3 : 2)),
        padded_size((arguments.hidden_size + rows.step - 1) / rows.step * rows.step) {
    if (op.input_type != WINNOW_DTYPE_F32 && op.input_type != WINNOW_DTYPE_BF16)
      throw std::invalid_argument("input_type must be f32 or bf16, found type " + std::to_string(op.input_type));
  }

  // The columns of all lists. Returns the first token whose list is refused, or num_tokens.
  int64_t plan_lists() {
    plan.heads.assign(op.intermediate_size + 1, 0);
    plan.listed.clear();
    plan.listed_columns.clear();
    for (int64_t t = 0; t < op.num_tokens; ++t) {
      const int64_t count = read_once(op.column_counts[t]);
      if (count < 0 || count > op.capacity) return t;
      int64_t before = -1;
      for (int64_t p = 0; p < count; ++p) {
        const int64_t column = read_once(op.active_columns[t * op.capacity + p]);
        if (column <= before || column >= op.intermediate_size) return t;
        before = column;
        plan.listed_columns.push_back(static_cast<int32_t>(column));
        plan.listed.push_back({static_cast<int32_t>(t), t * op.capacity + p});
        ++plan.heads[column + 1];
      }
    }
    plan.columns.clear();
    plan.first_pairs.clear();
    for (int64_t i = 0; i < op.intermediate_size; ++i) {
      if (plan.heads[i + 1] != 0) {
        plan.columns.push_back(static_cast<int32_t>(i));
        plan.first_pairs.push_back(plan.heads[i]);
      }
      plan.heads[i + 1] += plan.heads[i];
    }
    plan.first_pairs.push_back(static_cast<int64_t>(plan.listed.size()));
    plan.pairs.resize(plan.listed.size());
    for (size_t i = 0; i < plan.listed.size(); ++i) plan.pairs[plan.heads[plan.listed_columns[i]]++] = plan.listed[i];
    return op.num_tokens;
  }

  void plan_all() {
    const int64_t tokens = op.num_tokens;
    plan.columns.resize(op.intermediate_size);
    plan.first_pairs.resize(op.intermediate_size + 1);
    plan.pairs.resize(op.intermediate_size * tokens);
    for (int64_t i = 0; i < op.intermediate_size; ++i) {
      plan.columns[i] = static_cast<int32_t>(i);
      plan.first_pairs[i] = i * tokens;
      for (int64_t t = 0; t < tokens; ++t) plan.pairs[i * tokens + t] = {static_cast<int32_t>(t), t * op.capacity + i};
    }
    plan.first_pairs[op.intermediate_size] = op.intermediate_size * tokens;
  }

  // Returns the first column that is not resident, or -1.
  int64_t find_records() {
    plan.records.resize(plan.columns.size());
    for (size_t u = 0; u < plan.columns.size(); ++u) {
      const int64_t column = plan.columns[u];
      const uint64_t block = read_once(op.blocks[column / op.block_columns]);
      if (block == 0) return column;
      plan.records[u] = reinterpret_cast<const char*>(block) + column % op.block_columns * record_bytes;
    }
    return -1;
  }

  void pack_inputs() {
    plan.packed.resize(op.num_tokens * padded_size);
    plan.inputs.resize(op.num_tokens);
    plan.row.resize(op.hidden_size);
    for (int64_t t = 0; t < op.num_tokens; ++t) {
      const float* row = plan.row.data();
      if (op.input_type == WINNOW_DTYPE_BF16) {
        const auto* from = static_cast<const uint16_t*>(op.input) + t * op.hidden_size;
        for (int64_t k = 0; k < op.hidden_size; ++k) plan.row[k] = bf16_to_float(from[k]);
      } else {
        row = static_cast<const float*>(op.input) + t * op.hidden_size;
      }
      float* packed = plan.packed.data() + t * padded_size;
      rows.pack(row, op.hidden_size, packed);
      plan.inputs[t] = packed;
    }
  }

  int64_t num_columns() const { return static_cast<int64_t>(plan.columns.size()); }
  const char* next_of(int64_t u) const { return plan.records[u + 1 < num_columns() ? u + 1 : u]; }

  void compute_hidden(int64_t begin, int64_t end) const {
    for (int64_t u = begin; u < end; ++u) {
      for (int64_t p = plan.first_pairs[u]; p < plan.first_pairs[u + 1]; p += kTokensAtOnce)
        compute_hidden(u, plan.pairs.data() + p, std::min(kTokensAtOnce, plan.first_pairs[u + 1] - p));
    }
  }

  // Of some tokens of a column.
  void compute_hidden(int64_t u, const Pair* pairs, int64_t count) const {
    const int64_t column = plan.columns[u];
    const bool lists = op.column_counts != nullptr;
    const float bias = op.gate_bias == nullptr ? 0.0f : op.gate_bias[column];
    const float* inputs[kTokensAtOnce];
    float gates[kTokensAtOnce], ups[kTokensAtOnce];
    int64_t kept[kTokensAtOnce], num_kept = 0;
    for (int64_t i = 0; i < count; ++i) inputs[i] = plan.inputs[pairs[i].token];
    rows.dot(plan.records[u], next_of(u), inputs, count, op.hidden_size, gates);
    for (int64_t i = 0; i < count; ++i) {
      gates[i] += bias;
      const float value = lists ? 0.0f : act.gate(gates[i]);
      if (lists || !((value < 0 ? -value : value) <= op.threshold)) {
        kept[num_kept++] = i;
      } else {
        op.hidden_values[pairs[i].position] = 0;
      }
    }
    if (op.gated != 0 && num_kept > 0) {
      for (int64_t i = 0; i < num_kept; ++i) inputs[i] = plan.inputs[pairs[kept[i]].token];
      rows.dot(plan.records[u] + row_bytes, next_of(u) + row_bytes, inputs, num_kept, op.hidden_size, ups);
    }
    for (int64_t i = 0; i < num_kept; ++i) {
      const float gate = gates[kept[i]];
      const int64_t position = pairs[kept[i]].position;
      const float value = op.gated != 0 ? act.gated(gate, ups[i]) : act.gate(gate);
      op.hidden_values[position] = op.column_scales == nullptr ? value : op.column_scales[position] * value;
    }
  }

  // Steps [begin, end) of the outputs of tokens [first, last).
  void add_rows(int64_t first, int64_t last, int64_t begin, int64_t end) const {
    const char* const* records = plan.records.data();
    const int64_t down = record_bytes - row_bytes;
    for (int64_t u = 0; u < num_columns(); ++u) {
      const float mean = op.mean_activation == nullptr ? 0.0f : op.mean_activation[plan.columns[u]];
      float factors[kTokensAtOnce];
      float* sums[kTokensAtOnce];
      int64_t count = 0;
      for (int64_t p = plan.first_pairs[u]; p < plan.first_pairs[u + 1]; ++p) {
        const Pair& pair = plan.pairs[p];
        if (pair.token < first || pair.token >= last) continue;
        const float factor = op.hidden_values[pair.position] - mean;
        if (factor == 0) continue;
        factors[count] = factor;
        sums[count++] = plan.sums.data() + pair.token * padded_size;
      }
      if (count > 0)
        rows.add_scaled(records[u] + down, next_of(u) + down, factors, sums, count, begin, end, op.hidden_size);
    }
  }

  void run(Cpu& cpu) {
    pack_inputs();
    plan.sums.resize(op.num_tokens * padded_size);
    for (int64_t t = 0; t < op.num_tokens; ++t) {
      float* sums = plan.sums.data() + t * padded_size;
      if (op.output_bias == nullptr) {
        std::fill_n(sums, padded_size, 0.0f);
      } else {
        rows.pack(op.output_bias, op.hidden_size, sums);
      }
    }
    cpu.parallel_for(num_columns(), 1 + kBytesPerClaim / record_bytes,
                     [this](int64_t begin, int64_t end) { compute_hidden(begin, end); });
    const int64_t steps = padded_size / rows.step;
    const int64_t least = 1 + kLeastBytesPerThread * steps / (1 + num_columns() * row_bytes);
    const int64_t grain = std::max((steps + cpu.num_threads - 1) / cpu.num_threads, least);
    cpu.parallel_for(steps, grain, [this](int64_t begin, int64_t end) {
      for (int64_t t = 0; t < op.num_tokens; t += kTokensAtOnce)
        add_rows(t, std::min(t + kTokensAtOnce, op.num_tokens), begin, end);
    });
    for (int64_t t = 0; t < op.num_tokens; ++t)
      rows.unpack(plan.sums.data() + t * padded_size, op.hidden_size, op.output + t * op.hidden_size);
  }
};

}  // namespace

Outcome sparse_ffn_cpu(const winnow_sparse_ffn_arguments& arguments, Cpu& cpu) {
  thread_local Plan plan;
  SparseFfn ffn(arguments, cpu, plan);
  if (arguments.column_counts == nullptr) {
    ffn.plan_all();
  } else {
    const int64_t refused = ffn.plan_lists();
    if (refused < arguments.num_tokens) return {WINNOW_REFUSED, refused};
  }
  const int64_t absent = ffn.find_records();
  if (absent >= 0) return {WINNOW_REFUSED, arguments.num_tokens + absent};
  ffn.run(cpu);
  return {};
}

}  // namespace winnow

WINNOW_OPERATION(sparse_ffn)
