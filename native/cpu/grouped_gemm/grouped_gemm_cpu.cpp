// Units of work are (active expert, block of rows, block of columns), columns innermost and claimed one by one: a
// skewed routing keeps all threads busy, and a thread that claims the next block of columns finds its rows packed
// already. The units of all products of a call are one region: a small product does not wait for the slowest thread of
// the one before. What a block does is in grouped_gemm_kernel.h.
#include <algorithm>
#include <atomic>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/cpu_context.h"
#include "base/entry.h"
#include "grouped_gemm_block.h"
#include "winnow/base/memory.h"
#include "winnow/grouped_gemm.h"

namespace winnow {

namespace {

// Weights per unit: about 15 microseconds of DRAM reads, against well under 1 for claiming it.
constexpr int64_t kUnitBytes = 512 << 10;

// Below that a thread more costs what it saves: 1.3 microseconds of L3 reads.
constexpr int64_t kMinUnitBytes = 32 << 10;

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

  // Whether that block of rows of the call has to be packed; it is from now on.
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

// Of the calling thread: per product, the exclusive prefix sum of blocks of rows per active expert.
thread_local std::vector<int64_t> row_block_offsets;

GroupedGemmKernel choose(InstructionSet instruction_set, DType input_type, WeightFormat weight_format) {
  switch (instruction_set) {
    case InstructionSet::portable:
      return grouped_gemm_kernel_portable(input_type, weight_format);
    case InstructionSet::avx2:
      return grouped_gemm_kernel_avx2(input_type, weight_format);
    case InstructionSet::avx512:
      return grouped_gemm_kernel_avx512(input_type, weight_format);
    case InstructionSet::avx512_bf16:
      return grouped_gemm_kernel_avx512_bf16(input_type, weight_format);
  }
  return nullptr;
}

// What a format needs per matrix.
struct Storage {
  int64_t row_bytes;  // of all planes together
  int64_t num_planes;
};

Storage storage_of(winnow_weight_format format, int64_t row_size) {
  switch (static_cast<WeightFormat>(format)) {
#define WINNOW_WEIGHT_FORMAT(name, ...)                                                                         \
  case WeightFormat::name: {                                                                                    \
    using Format = WeightFormatTraits<WeightFormat::name>;                                                      \
    return {row_size / Format::kBlockElements * Format::kBlockBytes + Format::kRowScaleBytes, Format::kPlanes}; \
  }
#include "winnow/base/weight_formats.inc"
#undef WINNOW_WEIGHT_FORMAT
  }
  throw std::invalid_argument("weight_format must be one of weight_formats.inc, found " + std::to_string(format));
}

// Columns per unit, at most as many as given, so that threads get about the same: of a small product two units each,
// where they are not too small, of one block of rows as many units each.
int64_t shared_columns(int64_t output_size, int64_t columns, int64_t bytes_per_column, int64_t row_blocks,
                       const Cpu& cpu) {
  int64_t threads = cpu.num_threads, blocks = (output_size + columns - 1) / columns;
  if (row_blocks == 0 || row_blocks * blocks >= 8 * threads) return columns;
  int64_t most = output_size * bytes_per_column / kMinUnitBytes, wanted = (2 * threads + row_blocks - 1) / row_blocks;
  if (wanted > most) wanted = most;
  if (wanted > blocks) blocks = wanted;
  if (row_blocks == 1 && blocks > threads) blocks = (blocks + threads - 1) / threads * threads;
  return ((output_size + blocks - 1) / blocks + 11) / 12 * 12;
}

void require(bool holds, const char* what, int64_t found) {
  if (!holds) throw std::out_of_range(std::string(what) + ", found " + std::to_string(found));
}

void require_type(const char* name, winnow_dtype type) {
  if (type != WINNOW_DTYPE_F32 && type != WINNOW_DTYPE_BF16)
    throw std::invalid_argument(std::string(name) + " must be f32 or bf16, found type " + std::to_string(type));
}

// One product of a call, cut into units.
struct Product {
  const winnow_grouped_gemm_arguments* arguments;
  GroupedGemmKernel kernel;
  int64_t num_active;                           // up to the first -1
  int64_t absent;                               // the first active expert that has rows and no weights, or -1
  int64_t scratch_rows;                         // the most rows of a block
  int64_t columns, column_blocks;               // of a block, and per block of rows
  int64_t first_offset;                         // in row_block_offsets, num_active + 1 entries
  int64_t first_row_block = 0, first_unit = 0;  // among those of the call
  const int64_t* row_blocks = nullptr;

  int64_t expert(int64_t i) const {
    return arguments->active_experts == nullptr ? i : int64_t{arguments->active_experts[i]};
  }
  int64_t begin(int64_t e) const {
    return arguments->expert_offsets == nullptr ? 0 : int64_t{arguments->expert_offsets[e]};
  }
  int64_t end(int64_t e) const {
    return arguments->expert_offsets == nullptr ? arguments->num_rows : int64_t{arguments->expert_offsets[e + 1]};
  }

  // Throws for arguments that the contract refuses; appends to offsets.
  Product(const winnow_grouped_gemm_arguments& a, const Cpu& cpu, std::vector<int64_t>& offsets)
      : arguments(&a), first_offset(static_cast<int64_t>(offsets.size())) {
    require_type("input_type", a.input_type);
    require_type("output_type", a.output_type);
    if (a.activation < WINNOW_ACTIVATION_NONE || a.activation > WINNOW_ACTIVATION_CLAMPED_SWIGLU)
      throw std::invalid_argument("activation must be one of activation.h, found " + std::to_string(a.activation));
    if (a.activation == WINNOW_ACTIVATION_CLAMPED_SWIGLU && a.up_weights == nullptr)
      throw std::invalid_argument("clamped_swiglu needs up_weights");
    const Storage storage = storage_of(a.weight_format, a.input_size);
    const int64_t bytes_per_column = storage.row_bytes * (a.up_weights == nullptr ? 1 : 2);
    kernel = choose(cpu.instruction_set, static_cast<DType>(a.input_type), static_cast<WeightFormat>(a.weight_format));
    const int64_t max_rows = block_rows(a.input_size);
    scratch_rows = 1;
    absent = -1;
    offsets.push_back(0);
    for (num_active = 0; num_active < a.num_active; ++num_active) {
      const int64_t e = expert(num_active);
      if (e == -1) break;  // as expert_plan ends its list
      require(e >= 0 && e < a.num_experts, "active_experts must lie below num_experts", e);
      const int64_t row_begin = begin(e), row_end = end(e), rows = row_end - row_begin;
      require(row_begin >= 0 && row_begin <= row_end && row_end <= a.num_rows,
              "expert_offsets must ascend and stay within num_rows", row_begin > row_end ? row_begin : row_end);
      for (int64_t r = row_begin; r < row_end; ++r) {
        const int64_t source = a.source_rows == nullptr ? r : a.source_rows[r];
        require(source >= 0 && source < a.num_tokens, "source_rows must lie below num_tokens", source);
      }
      bool resident = true;
      for (int64_t p = 0; p < storage.num_planes; ++p) {
        const int64_t entry = p * a.num_experts + e;
        resident &= a.weights[entry] != 0 && (a.up_weights == nullptr || a.up_weights[entry] != 0);
      }
      if (absent < 0 && !resident && rows > 0) absent = e;
      if (rows > scratch_rows) scratch_rows = rows;
      offsets.push_back(offsets.back() + (rows + max_rows - 1) / max_rows);
    }
    if (scratch_rows > max_rows) scratch_rows = max_rows;
    columns = kUnitBytes / bytes_per_column / 12 * 12;  // 12: whole panels of every instruction set
    columns = columns < 12 ? 12 : columns > kMaxBlockColumns ? kMaxBlockColumns : columns;
    if (cpu.num_threads > 1) columns = shared_columns(a.output_size, columns, bytes_per_column, offsets.back(), cpu);
    column_blocks = (a.output_size + columns - 1) / columns;
  }

  int64_t num_row_blocks() const { return row_blocks[num_active]; }
  int64_t num_units() const { return num_row_blocks() * column_blocks; }

  // A unit of this product, the i-th active expert's; i ascends with the units.
  GroupedGemmBlock block(int64_t unit, int64_t& i) const {
    const int64_t row_block = unit / column_blocks, column_begin = unit % column_blocks * columns;
    while (row_blocks[i + 1] <= row_block) ++i;
    const int64_t e = expert(i), rows_end = end(e), blocks = row_blocks[i + 1] - row_blocks[i];
    // Blocks of one height: a last one of a few rows would wait for all weights again.
    const int64_t height = ((rows_end - begin(e) + blocks - 1) / blocks + 3) / 4 * 4;
    const int64_t row_begin = begin(e) + (row_block - row_blocks[i]) * height;
    const int64_t row_end = row_begin + height, column_end = column_begin + columns, last = arguments->output_size;
    return {*arguments,   e,
            row_begin,    row_end < rows_end ? row_end : rows_end,
            column_begin, column_end < last ? column_end : last};
  }
};

}  // namespace

Outcome grouped_gemm_cpu(const winnow_grouped_gemm_arguments& arguments, Cpu& cpu) {
  std::optional<Product> products[WINNOW_GROUPED_GEMM_MAX_PRODUCTS];
  int num_products = 0;
  auto& offsets = row_block_offsets;
  offsets.clear();
  for (const auto* next = &arguments; next != nullptr; next = next->next) {
    if (num_products == WINNOW_GROUPED_GEMM_MAX_PRODUCTS)
      throw std::invalid_argument("a call has at most " + std::to_string(num_products) + " products");
    products[num_products++].emplace(*next, cpu, offsets);
  }
  int64_t num_units = 0, num_row_blocks = 0;
  for (int p = 0; p < num_products; ++p) {
    Product& product = *products[p];
    if (product.absent >= 0) return {WINNOW_REFUSED, product.absent};
    product.row_blocks = offsets.data() + product.first_offset;
    product.first_unit = num_units;
    product.first_row_block = num_row_blocks;
    num_units += product.num_units();
    num_row_blocks += product.num_row_blocks();
  }
  const int64_t call = next_call.fetch_add(1, std::memory_order_relaxed);
  std::atomic<bool> out_of_memory{false};  // relaxed: read after the region has ended
  cpu.parallel_for(num_units, 1, [&](int64_t unit, int64_t unit_end) {
    for (int p = 0; p < num_products; ++p) {
      const Product& product = *products[p];
      const int64_t end = std::min(unit_end, product.first_unit + product.num_units());
      if (unit >= end) continue;
      const GroupedGemmScratch* scratch = thread_scratch.reserve(product.scratch_rows, product.arguments->input_size);
      if (scratch == nullptr) {
        out_of_memory.store(true, std::memory_order_relaxed);
        return;
      }
      for (int64_t i = 0; unit < end; ++unit) {
        const int64_t in_product = unit - product.first_unit;
        const bool pack = thread_scratch.claim(call, product.first_row_block + in_product / product.column_blocks);
        product.kernel(product.block(in_product, i), *scratch, pack);
      }
    }
  });
  if (out_of_memory.load(std::memory_order_relaxed)) throw std::bad_alloc();
  return {};
}

}  // namespace winnow

WINNOW_OPERATION(grouped_gemm)
