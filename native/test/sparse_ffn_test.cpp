#include "winnow/sparse_ffn.h"

#include <vector>

#include "flipped.h"
#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

namespace {

constexpr int64_t kTokens = 3, kColumns = 10, kBlockColumns = 4;

// Token 0 has columns 1, 2 and 9, token 1 none, token 2 column 2. All weights and inputs are 1.
template <typename Element>
struct Problem {
  const int64_t size;
  GuardedBuffer<float> input, bias, output_bias, scales, hidden, output;
  std::vector<GuardedBuffer<Element>> blocks;
  GuardedBuffer<uint64_t> addresses;
  GuardedBuffer<int32_t> counts, columns;
  winnow_sparse_ffn_arguments arguments{};

  Problem(int64_t hidden_size, winnow_weight_format format, Element one, bool gated, int64_t misalignment)
      : size(hidden_size),
        input(kTokens * size, misalignment),
        bias(kColumns, misalignment),
        output_bias(size, misalignment),
        scales(kTokens * kColumns, misalignment),
        hidden(kTokens * kColumns, misalignment),
        output(kTokens * size, misalignment),
        addresses(3),
        counts(kTokens, misalignment),
        columns(kTokens * kColumns, misalignment) {
    for (int64_t b = 0; b < 3; ++b) {
      const int64_t records = b < 2 ? kBlockColumns : kColumns % kBlockColumns;
      blocks.emplace_back(records * (gated ? 3 : 2) * size, misalignment);
      for (int64_t i = 0; i < blocks[b].size(); ++i) blocks[b][i] = one;
      addresses[b] = reinterpret_cast<uint64_t>(blocks[b].data());
    }
    for (int64_t i = 0; i < input.size(); ++i) input[i] = 1;
    for (int64_t i = 0; i < kColumns; ++i) bias[i] = 0;
    for (int64_t i = 0; i < size; ++i) output_bias[i] = 5;
    for (int64_t i = 0; i < scales.size(); ++i) scales[i] = 2;
    for (int64_t i = 0; i < columns.size(); ++i) columns[i] = -1;
    counts[0] = 3, counts[1] = 0, counts[2] = 1;
    columns[0] = 1, columns[1] = 2, columns[2] = 9, columns[2 * kColumns] = 2;
    arguments.input = input.data();
    arguments.blocks = addresses.data();
    arguments.gate_bias = bias.data();
    arguments.output_bias = output_bias.data();
    arguments.column_counts = counts.data();
    arguments.active_columns = columns.data();
    arguments.column_scales = scales.data();
    arguments.hidden_values = hidden.data();
    arguments.output = output.data();
    arguments.num_tokens = kTokens;
    arguments.hidden_size = size;
    arguments.intermediate_size = arguments.capacity = kColumns;
    arguments.block_columns = kBlockColumns;
    arguments.weight_format = format;
    arguments.activation = WINNOW_ACTIVATION_RELU;
    arguments.gated = gated ? 1 : 0;
  }

  void expect_guards_intact() {
    hidden.expect_guards_intact();
    output.expect_guards_intact();
    for (auto& block : blocks) block.expect_guards_intact();
  }
};

template <typename Element>
void stays_inside(winnow_weight_format format, Element one) {
  for (winnow_instruction_set set = 0; set <= WINNOW_INSTRUCTION_SET_AMX_BF16; ++set) {
    if (!winnow_cpu_supports(set)) continue;
    const OwnedCpu cpu = open_cpu(2, set);
    for (int64_t size : {1, 7, 16, 33, 64, 100}) {
      for (bool gated : {false, true}) {
        Problem<Element> problem(size, format, one, gated, 4);
        ASSERT_EQ(call(winnow_sparse_ffn, problem.arguments, cpu), kDone);
        const float n = static_cast<float>(size), h = gated ? 2 * n * n : 2 * n;
        for (int64_t i = 0; i < size; ++i) {
          ASSERT_EQ(problem.output[i], 5 + 3 * h);
          ASSERT_EQ(problem.output[size + i], 5);
          ASSERT_EQ(problem.output[2 * size + i], 5 + h);
        }
        problem.expect_guards_intact();
        problem.arguments.column_counts = problem.arguments.active_columns = nullptr;
        problem.arguments.column_scales = nullptr;
        ASSERT_EQ(call(winnow_sparse_ffn, problem.arguments, cpu), kDone);
        for (int64_t i = 0; i < kTokens * size; ++i) ASSERT_EQ(problem.output[i], 5 + kColumns * h / 2);
        problem.expect_guards_intact();
      }
    }
  }
}

}  // namespace

TEST(SparseFfn, StaysInsideItsBuffers) {
  stays_inside<float>(WINNOW_WEIGHT_FORMAT_F32, 1.0f);
  stays_inside<uint16_t>(WINNOW_WEIGHT_FORMAT_BF16, 0x3f80);
  stays_inside<uint16_t>(WINNOW_WEIGHT_FORMAT_F16, 0x3c00);
}

TEST(SparseFfn, StaysInsideItsBuffersWhileListsChange) {
  const OwnedCpu cpu = open_cpu(2);
  for (int which = 0; which < 3; ++which) {
    Problem<float> problem(17, WINNOW_WEIGHT_FORMAT_F32, 1.0f, true, 0);
    int32_t* index = which == 0 ? &problem.counts[0] : which == 1 ? &problem.columns[1] : &problem.columns[2];
    const Flipped<int32_t> flipped(index, *index, 1 << 30);
    for (int i = 0; i < kFlippedCalls; ++i) {
      const winnow_status status = call(winnow_sparse_ffn, problem.arguments, cpu).status;
      ASSERT_TRUE(status == WINNOW_DONE || status == WINNOW_REFUSED) << status;
    }
    problem.expect_guards_intact();
  }
}

TEST(SparseFfn, RefusesListsAndAbsentBlocks) {
  const OwnedCpu cpu = open_cpu(1);
  Problem<float> problem(4, WINNOW_WEIGHT_FORMAT_F32, 1.0f, false, 0);
  for (int32_t wrong : {-1, 1, 0, 10}) {  // before, doubled, descending, beyond
    problem.columns[1] = wrong;
    EXPECT_EQ(call(winnow_sparse_ffn, problem.arguments, cpu), (Ended{WINNOW_REFUSED, 0})) << wrong;
  }
  problem.columns[1] = 2;
  problem.counts[2] = 11;
  EXPECT_EQ(call(winnow_sparse_ffn, problem.arguments, cpu), (Ended{WINNOW_REFUSED, 2}));
  problem.counts[2] = 1;
  problem.addresses[1] = 0;  // columns 4 to 7: nobody's
  EXPECT_EQ(call(winnow_sparse_ffn, problem.arguments, cpu), kDone);
  problem.addresses[2] = 0;
  EXPECT_EQ(call(winnow_sparse_ffn, problem.arguments, cpu), (Ended{WINNOW_REFUSED, kTokens + 9}));
}

TEST(SparseFfn, RefusesOtherTypes) {
  const OwnedCpu cpu = open_cpu(1);
  Problem<float> problem(4, WINNOW_WEIGHT_FORMAT_F32, 1.0f, false, 0);
  problem.arguments.weight_format = WINNOW_WEIGHT_FORMAT_I8_ROW;
  EXPECT_EQ(call(winnow_sparse_ffn, problem.arguments, cpu), (Ended{WINNOW_INVALID_ARGUMENT, 0}));
  problem.arguments.weight_format = WINNOW_WEIGHT_FORMAT_F32;
  problem.arguments.activation = WINNOW_ACTIVATION_CLAMPED_SWIGLU;
  EXPECT_EQ(call(winnow_sparse_ffn, problem.arguments, cpu), (Ended{WINNOW_INVALID_ARGUMENT, 0}));
  problem.arguments.activation = WINNOW_ACTIVATION_RELU;
  problem.arguments.input_type = WINNOW_DTYPE_F16;
  EXPECT_EQ(call(winnow_sparse_ffn, problem.arguments, cpu), (Ended{WINNOW_INVALID_ARGUMENT, 0}));
}

}  // namespace winnow
