#include "winnow/grouped_gemm.h"

#include <stdexcept>

#include "guarded_buffer.h"

namespace winnow {

namespace {

// Three experts with 0, 1 and num_rows - 1 rows, gated, biased, ones everywhere, in buffers that start off their
// 64-byte boundary.
template <typename Weight>
void expect_inside(Cpu* cpu, DType weight_type, Weight one, int64_t num_rows, int64_t input_size, int64_t output_size) {
  constexpr int64_t kMisalignment = 4 + sizeof(Weight);
  GuardedBuffer<float> input(num_rows * input_size, 4), bias(output_size, 4), output(num_rows * output_size, 4);
  GuardedBuffer<Weight> gate(output_size * input_size, kMisalignment), up(output_size * input_size, kMisalignment);
  GuardedBuffer<int32_t> source_rows(num_rows, 4), offsets(4), active(2);
  for (int64_t i = 0; i < input.size(); ++i) input[i] = 1.0f;
  for (int64_t i = 0; i < bias.size(); ++i) bias[i] = 1.0f;
  for (int64_t i = 0; i < gate.size(); ++i) gate[i] = up[i] = one;
  for (int64_t i = 0; i < num_rows; ++i) source_rows[i] = static_cast<int32_t>(num_rows - 1 - i);
  offsets[0] = offsets[1] = 0;
  offsets[2] = 1;
  offsets[3] = static_cast<int32_t>(num_rows);
  active[0] = 1;
  active[1] = 2;
  auto address = [](auto& buffer) { return reinterpret_cast<uint64_t>(buffer.data()); };
  uint64_t weights[] = {0, address(gate), address(gate)}, ups[] = {0, address(up), address(up)},
           biases[] = {0, address(bias), address(bias)};
  int64_t absent = grouped_gemm_cpu(input.data(), DType::f32, source_rows.data(), weights, ups, weight_type, biases,
                                    biases, offsets.data(), active.data(), Activation::none, output.data(), DType::f32,
                                    num_rows, num_rows, 3, 2, input_size, output_size, cpu);
  EXPECT_EQ(absent, -1);
  auto expected = static_cast<float>((input_size + 1) * (input_size + 1));
  for (int64_t i = 0; i < output.size(); ++i) ASSERT_EQ(output[i], expected) << "element " << i;
  for (auto* buffer : {&input, &bias, &output}) buffer->expect_guards_intact();
  gate.expect_guards_intact();
  up.expect_guards_intact();
}

}  // namespace

TEST(GroupedGemm, StaysInsideItsBuffers) {
  for (auto set :
       {InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512, InstructionSet::avx512_bf16}) {
    if (!cpu_supports(set)) continue;
    Cpu* cpu = cpu_open(set, 2);
    for (int64_t num_rows : {2, 5, 9, 140}) {
      for (int64_t input_size : {1, 15, 16, 17, 33, 63}) {
        for (int64_t output_size : {1, 5, 7, 50}) {
          expect_inside<float>(cpu, DType::f32, 1.0f, num_rows, input_size, output_size);
          expect_inside<uint16_t>(cpu, DType::bf16, 0x3f80, num_rows, input_size, output_size);
          expect_inside<uint16_t>(cpu, DType::f16, 0x3c00, num_rows, input_size, output_size);
        }
      }
    }
    cpu_close(cpu);
  }
}

TEST(GroupedGemm, RefusesOffsetsAndRowsOutsideTheirRange) {
  Cpu* cpu = cpu_open(InstructionSet::portable, 1);
  float input[2] = {1, 1}, weight[1] = {1}, output[2] = {7, 7};
  uint64_t weights[] = {reinterpret_cast<uint64_t>(weight)};
  auto run = [&](int32_t source, int32_t begin, int32_t end, int32_t expert) {
    int32_t source_rows[] = {0, source}, offsets[] = {begin, end}, active[] = {expert};
    return grouped_gemm_cpu(input, DType::f32, source_rows, weights, nullptr, DType::f32, nullptr, nullptr, offsets,
                            active, Activation::none, output, DType::f32, 2, 2, 1, 1, 1, 1, cpu);
  };
  EXPECT_THROW(run(2, 0, 2, 0), std::out_of_range);
  EXPECT_THROW(run(-1, 0, 2, 0), std::out_of_range);
  EXPECT_THROW(run(1, 0, 3, 0), std::out_of_range);
  EXPECT_THROW(run(1, 2, 1, 0), std::out_of_range);
  EXPECT_THROW(run(1, -1, 1, 0), std::out_of_range);
  EXPECT_THROW(run(1, 0, 2, 1), std::out_of_range);
  EXPECT_EQ(output[0], 7);
  EXPECT_EQ(run(1, 0, 2, 0), -1);
  EXPECT_EQ(output[1], 1);
  weights[0] = 0;
  EXPECT_EQ(run(1, 0, 2, 0), 0);
  cpu_close(cpu);
}

}  // namespace winnow
