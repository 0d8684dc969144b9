// Units of work are (active expert, block of rows, block of columns), columns innermost and claimed one by one: a
// skewed routing keeps all threads busy, and a thread that claims the next block of columns finds its rows packed
// already. What a block does is in grouped_gemm_kernel.h.
#include <atomic>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/cpu_context.h"
#include "grouped_gemm_block.h"
#include "winnow/base/memory.h"
#include "winnow/grouped_gemm.h"

namespace winnow {

namespace {

// Weights per unit: about 15 microseconds of DRAM reads, against well under 1 for claiming it.
constexpr int64_t kUnitBytes = 512 << 10;

constexpr int64_t kHugePageBytes = 2 << 20;

std::atomic<int64_t> next_call{0};  // relaxed: numbers calls, carries no data

// The memory of one thread, kept until it ends.
class ThreadScratch {
 public:
  ThreadScratch() = default;
  ThreadScratch(const ThreadScratch&) = delete;
  ~ThreadScratch() { memory_free(memory_, capacity_); }

  // Null if there is no memory.
  const GroupedGemmScratch* reserve(int64_t rows, int64_t input_size) {
    int64_t packed_bytes = rows * ((input_size + 31) / 32 * 32) * int64_t{sizeof(float)};
    int64_t needed = kPanelBytes + kPartialBytes + kSumsBytes + 2 * kRowBytes + packed_bytes;
    // Rows streamed from L2 then need one address translation.
    if (needed > kHugePageBytes / 2 && needed < kHugePageBytes) needed = kHugePageBytes;
    if (needed > capacity_) {
      memory_free(memory_, capacity_);
      memory_ = nullptr;
      capacity_ = 0;
      try {
        memory_ = static_cast<char*>(memory_allocate(needed));
      } catch (const std::bad_alloc&) {
        return nullptr;
      }
      capacity_ = needed;
    }
    char* sums = memory_ + kPanelBytes + kPartialBytes;
    char* gate = sums + kSumsBytes;
    scratch_ = {gate + 2 * kRowBytes,
                memory_,
                reinterpret_cast<float*>(memory_ + kPanelBytes),
                reinterpret_cast<float*>(sums),
                reinterpret_cast<float*>(gate),
                reinterpret_cast<float*>(gate + kRowBytes)};
    return &scratch_;
  }

  // Whether the rows of that call and block of rows have to be packed; they are from now on.
  bool claim(int64_t call, int64_t row_block) {
    bool packed = call == call_ && row_block == row_block_;
    call_ = call;
    row_block_ = row_block;
    return !packed;
  }

 private:
  char* memory_ = nullptr;
  int64_t capacity_ = 0, call_ = -1, row_block_ = -1;
  GroupedGemmScratch scratch_{};
};

thread_local ThreadScratch thread_scratch;
// Of the calling thread: exclusive prefix sum of blocks of rows per active expert.
thread_local std::vector<int64_t> row_block_offsets;

GroupedGemmKernel choose(InstructionSet instruction_set, DType input_type, DType weight_type) {
  switch (instruction_set) {
    case InstructionSet::avx2:
      return grouped_gemm_kernel_avx2(input_type, weight_type);
    case InstructionSet::avx512:
      return grouped_gemm_kernel_avx512(input_type, weight_type);
    case InstructionSet::avx512_bf16:
      return grouped_gemm_kernel_avx512_bf16(input_type, weight_type);
    default:
      return grouped_gemm_kernel_portable(input_type, weight_type);
  }
}

void require(bool holds, const char* what, int64_t found) {
  if (!holds) throw std::out_of_range(std::string(what) + ", found " + std::to_string(found));
}

void require_type(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

}  // namespace

int64_t grouped_gemm_cpu(const void* input, DType input_type, const int32_t* source_rows,
                         const uint64_t* expert_weights, const uint64_t* up_weights, DType weight_type,
                         const uint64_t* biases, const uint64_t* up_biases, const int32_t* expert_offsets,
                         const int32_t* active_experts, Activation activation, void* output, DType output_type,
                         int64_t num_tokens, int64_t num_rows, int64_t num_experts, int64_t num_active,
                         int64_t input_size, int64_t output_size, Cpu* cpu) {
  require_type(input_type == DType::f32 || input_type == DType::bf16, "input_type must be f32 or bf16");
  require_type(weight_type == DType::f32 || weight_type == DType::bf16 || weight_type == DType::f16,
               "weight_type must be f32, bf16 or f16");
  require_type(output_type == DType::f32 || output_type == DType::bf16, "output_type must be f32 or bf16");
  require_type(activation != Activation::clamped_swiglu || up_weights != nullptr, "clamped_swiglu needs up_weights");
  auto expert_of = [=](int64_t i) { return active_experts == nullptr ? i : int64_t{active_experts[i]}; };
  auto begin_of = [=](int64_t e) { return expert_offsets == nullptr ? 0 : int64_t{expert_offsets[e]}; };
  auto end_of = [=](int64_t e) { return expert_offsets == nullptr ? num_rows : int64_t{expert_offsets[e + 1]}; };
  int64_t max_rows = block_rows(input_size), widest = 1, absent = -1;
  auto& offsets = row_block_offsets;
  offsets.assign(1, 0);
  for (int64_t i = 0; i < num_active; ++i) {
    int64_t e = expert_of(i);
    if (e == -1) {
      num_active = i;  // as expert_plan_cpu ends its list
      break;
    }
    require(e >= 0 && e < num_experts, "active_experts must lie below num_experts", e);
    int64_t begin = begin_of(e), end = end_of(e);
    require(begin >= 0 && begin <= end && end <= num_rows, "expert_offsets must ascend and stay within num_rows",
            begin > end ? begin : end);
    for (int64_t r = begin; r < end; ++r) {
      int64_t source = source_rows == nullptr ? r : source_rows[r];
      require(source >= 0 && source < num_tokens, "source_rows must lie below num_tokens", source);
    }
    bool resident = expert_weights[e] != 0 && (up_weights == nullptr || up_weights[e] != 0);
    if (absent < 0 && !resident && end > begin) absent = e;
    if (end - begin > widest) widest = end - begin;
    offsets.push_back(offsets.back() + (end - begin + max_rows - 1) / max_rows);
  }
  if (absent >= 0) return absent;

  int64_t bytes_per_column = input_size * (weight_type == DType::f32 ? 4 : 2) * (up_weights == nullptr ? 1 : 2);
  int64_t columns = kUnitBytes / bytes_per_column / 12 * 12;  // 12: whole panels of every instruction set
  columns = columns < 12 ? 12 : columns > kMaxBlockColumns ? kMaxBlockColumns : columns;
  int64_t column_blocks = (output_size + columns - 1) / columns;
  int64_t scratch_rows = widest < max_rows ? widest : max_rows;
  int64_t call = next_call.fetch_add(1, std::memory_order_relaxed);
  const int64_t* row_blocks = offsets.data();
  GroupedGemmKernel kernel = choose(cpu->instruction_set, input_type, weight_type);
  std::atomic<bool> out_of_memory{false};  // relaxed: read after the region has ended
  cpu->parallel_for(offsets.back() * column_blocks, 1, [&](int64_t unit_begin, int64_t unit_end) {
    const GroupedGemmScratch* scratch = thread_scratch.reserve(scratch_rows, input_size);
    if (scratch == nullptr) {
      out_of_memory.store(true, std::memory_order_relaxed);
      return;
    }
    int64_t i = 0;
    for (int64_t unit = unit_begin; unit < unit_end; ++unit) {
      int64_t row_block = unit / column_blocks, column_block = unit % column_blocks;
      while (row_blocks[i + 1] <= row_block) ++i;
      int64_t e = expert_of(i);
      int64_t rows = end_of(e) - begin_of(e), blocks = row_blocks[i + 1] - row_blocks[i];
      // Blocks of one height: a last one of a few rows would wait for all weights again.
      int64_t height = ((rows + blocks - 1) / blocks + 3) / 4 * 4;
      int64_t row_begin = begin_of(e) + (row_block - row_blocks[i]) * height, rows_end = end_of(e);
      int64_t column_begin = column_block * columns;
      GroupedGemmBlock block{input,
                             source_rows,
                             reinterpret_cast<const void*>(expert_weights[e]),
                             up_weights == nullptr ? nullptr : reinterpret_cast<const void*>(up_weights[e]),
                             biases == nullptr ? nullptr : reinterpret_cast<const float*>(biases[e]),
                             up_biases == nullptr ? nullptr : reinterpret_cast<const float*>(up_biases[e]),
                             output,
                             activation,
                             output_type,
                             input_size,
                             output_size,
                             row_begin,
                             row_begin + height < rows_end ? row_begin + height : rows_end,
                             column_begin,
                             column_begin + columns < output_size ? column_begin + columns : output_size};
      kernel(block, *scratch, thread_scratch.claim(call, row_block));
    }
  });
  if (out_of_memory.load(std::memory_order_relaxed)) throw std::bad_alloc();
  return -1;
}

}  // namespace winnow
