// A unit of work is a block of columns for a block of rows of one active expert. Threads claim units one by one,
// columns innermost. So all threads stay busy even if the routing is skewed, and a thread that claims the next block of
// columns finds its rows already packed. The units of all products of a call form one parallel region, so a small
// product does not wait for the slowest thread of the one before. Products that pack the same rows alike form a strip:
// one product with the columns of all, for which a thread packs each row once. grouped_gemm_kernel.h computes a block.
#include <algorithm>
#include <atomic>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/cpu_context.h"
#include "base/entry.h"
#include "base/read_once.h"
#include "grouped_gemm_block.h"
#include "winnow/base/memory.h"
#include "winnow/grouped_gemm.h"

namespace winnow {

namespace {

// Weights per unit: about 15 microseconds of DRAM reads. To claim a unit takes well under 1.
constexpr int64_t kUnitBytes = 512 << 10;

// Below this, one more thread costs as much as it saves: 1.3 microseconds of L3 reads.
constexpr int64_t kMinUnitBytes = 32 << 10;

constexpr int64_t kHugePageBytes = 2 << 20;

std::atomic<int64_t> next_call{0};  // relaxed: numbers calls, carries no data

class ThreadScratch {
 public:
  ThreadScratch() = default;
  ThreadScratch(const ThreadScratch&) = delete;
  ~ThreadScratch() { memory_free(memory_, capacity_); }

  // Null if there is no memory.
  const GroupedGemmScratch* reserve(int64_t rows, int64_t input_size) {
    // The most that a kernel needs: f32, and a line more per row for panels.
    int64_t packed_bytes = (rows + kMaxPaddingRows) * (((input_size + 31) / 32 * 32) * int64_t{sizeof(float)} + 64);
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

  // Begins a call on which only this thread works: it needs no number that all threads agree on.
  int64_t begin_alone() {
    row_block_ = -1;
    return -1;
  }

  // Whether this thread still has to pack that block of rows of the call. It counts as packed from now on.
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

Operands operands_of(const winnow_grouped_gemm_arguments& a) {
  if (a.input_type == WINNOW_DTYPE_BF16) return Operands::bf16;
  return a.product_type == WINNOW_DTYPE_BF16 ? Operands::rounded_bf16 : Operands::f32;
}

GroupedGemmKernel choose(InstructionSet instruction_set, Operands operands, WeightFormat weight_format) {
  switch (instruction_set) {
    case InstructionSet::portable:
      return grouped_gemm_kernel_portable(operands, weight_format);
    case InstructionSet::avx2:
      return grouped_gemm_kernel_avx2(operands, weight_format);
    case InstructionSet::avx512:
      return grouped_gemm_kernel_avx512(operands, weight_format);
    case InstructionSet::avx512_bf16:
      return grouped_gemm_kernel_avx512_bf16(operands, weight_format);
    case InstructionSet::amx_bf16:
      return grouped_gemm_kernel_avx512(operands, weight_format);
  }
  return nullptr;
}

// Whether kernels over panels multiply pairs of bf16 as they are.
bool multiplies_pairs(InstructionSet instruction_set, Operands operands, WeightFormat weight_format) {
  return operands != Operands::f32 && weight_format == WeightFormat::bf16 &&
         (instruction_set == InstructionSet::avx512_bf16 || instruction_set == InstructionSet::amx_bf16);
}

GroupedGemmKernel choose_for_panels(InstructionSet instruction_set, Operands operands, WeightFormat weight_format) {
  switch (instruction_set) {
    case InstructionSet::portable:
      return panel_kernel_portable(operands, weight_format);
    case InstructionSet::avx2:
      return panel_kernel_avx2(operands, weight_format);
    case InstructionSet::avx512:
      return panel_kernel_avx512(operands, weight_format);
    case InstructionSet::avx512_bf16:
      return panel_kernel_avx512_bf16(operands, weight_format);
    case InstructionSet::amx_bf16:
      return panel_kernel_amx_bf16(operands, weight_format);
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

// The number of blocks that hold all items. Saves the division if one block does.
int64_t num_blocks(int64_t items, int64_t per_block) {
  return items > 0 && items <= per_block ? 1 : (items + per_block - 1) / per_block;
}

// Columns per unit, a multiple of step and at most as many as given, so that all threads get about the same work. In a small product that is
// two units per thread, if they do not become too small. With one block of rows, all threads get equally many units.
int64_t shared_columns(int64_t output_size, int64_t columns, int64_t bytes_per_column, int64_t row_blocks, int64_t step,
                       const Cpu& cpu) {
  int64_t threads = cpu.num_threads, blocks = (output_size + columns - 1) / columns;
  if (blocks == 0 || row_blocks == 0 || row_blocks * blocks >= 8 * threads) return columns;
  int64_t most = output_size * bytes_per_column / kMinUnitBytes, wanted = (2 * threads + row_blocks - 1) / row_blocks;
  if (wanted > most) wanted = most;
  if (wanted > blocks) blocks = wanted;
  if (row_blocks == 1 && blocks > threads) blocks = (blocks + threads - 1) / threads * threads;
  return ((output_size + blocks - 1) / blocks + step - 1) / step * step;
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
  int64_t num_active;              // up to the first -1
  int64_t absent;                  // the first active expert that has rows and no weights, or -1
  int64_t scratch_rows;            // the most rows of a block
  int64_t columns, column_blocks;  // of a block, and per block of rows
  int64_t num_row_blocks = 0;
  int64_t first_expert, first_source_row;       // in ThreadMemory: num_active experts, num_rows source rows
  int64_t first_row_block = 0, first_unit = 0;  // among those of the call
  int64_t strip_blocks = 0;  // of the strip that begins here: column_blocks of all its products; 0: none begins
  const ActiveExpert* experts = nullptr;
  const int32_t* source_rows = nullptr;  // by row, of rows of active experts only; null: row r reads row r

  static const void* address(const uint64_t* table, int64_t entry) {
    return table == nullptr ? nullptr : reinterpret_cast<const void*>(read_once(table[entry]));
  }

  // Throws for arguments that the contract refuses. Every index and address is read once and checked. What the product
  // needs of them is appended to experts_of_call and rows_of_call.
  Product(const winnow_grouped_gemm_arguments& a, const Cpu& cpu, std::vector<ActiveExpert>& experts_of_call,
          std::vector<int32_t>& rows_of_call, int64_t& num_source_rows)
      : arguments(&a), first_expert(static_cast<int64_t>(experts_of_call.size())), first_source_row(num_source_rows) {
    require_type("input_type", a.input_type);
    require_type("output_type", a.output_type);
    require_type("product_type", a.product_type);
    if (a.activation < WINNOW_ACTIVATION_NONE || a.activation > WINNOW_ACTIVATION_DRELU)
      throw std::invalid_argument("activation must be one of activation.h, found " + std::to_string(a.activation));
    if (a.activation == WINNOW_ACTIVATION_CLAMPED_SWIGLU && a.up_weights == nullptr)
      throw std::invalid_argument("clamped_swiglu needs up_weights");
    const Storage storage = storage_of(a.weight_format, a.input_size);
    const int64_t bytes_per_column = storage.row_bytes * (a.up_weights == nullptr ? 1 : 2);
    const bool panels = a.weight_layout == WINNOW_WEIGHT_LAYOUT_PANELS;
    if (!panels && a.weight_layout != WINNOW_WEIGHT_LAYOUT_ROWS)
      throw std::invalid_argument("weight_layout must be one of weight_layout.h, found " +
                                  std::to_string(a.weight_layout));
    const auto format = static_cast<WeightFormat>(a.weight_format);
    kernel = panels ? choose_for_panels(cpu.instruction_set, operands_of(a), format)
                    : choose(cpu.instruction_set, operands_of(a), format);
    if (kernel == nullptr)
      throw std::invalid_argument("weight_format must be one with panels, found " + std::to_string(a.weight_format));
    const bool pairs = panels && multiplies_pairs(cpu.instruction_set, operands_of(a), format);
    const int64_t max_rows = block_rows(a.input_size, pairs ? sizeof(uint16_t) : sizeof(float));
    scratch_rows = 1;
    absent = -1;
    if (a.source_rows != nullptr) num_source_rows += a.num_rows;
    if (static_cast<int64_t>(rows_of_call.size()) < num_source_rows) rows_of_call.resize(num_source_rows);
    int32_t* copied_rows = rows_of_call.data() + first_source_row;
    for (num_active = 0; num_active < a.num_active; ++num_active) {
      const int64_t e = a.active_experts == nullptr ? num_active : int64_t{read_once(a.active_experts[num_active])};
      if (e == -1) break;  // as expert_plan ends its list
      require(e >= 0 && e < a.num_experts, "active_experts must lie below num_experts", e);
      const int64_t row_begin = a.expert_offsets == nullptr ? 0 : int64_t{read_once(a.expert_offsets[e])};
      const int64_t row_end = a.expert_offsets == nullptr ? a.num_rows : int64_t{read_once(a.expert_offsets[e + 1])};
      const int64_t rows = row_end - row_begin;
      require(row_begin >= 0 && row_begin <= row_end && row_end <= a.num_rows,
              "expert_offsets must ascend and stay within num_rows", row_begin > row_end ? row_begin : row_end);
      for (int64_t r = row_begin; r < row_end; ++r) {
        const int64_t source = a.source_rows == nullptr ? r : read_once(a.source_rows[r]);
        require(source >= 0 && source < a.num_tokens, "source_rows must lie below num_tokens", source);
        if (a.source_rows != nullptr) copied_rows[r] = static_cast<int32_t>(source);
      }
      const int64_t blocks = num_blocks(rows, max_rows);
      ActiveExpert& expert = experts_of_call.emplace_back();
      expert.row_begin = row_begin;
      expert.row_end = row_end;
      expert.first_block = num_row_blocks;
      expert.end_block = num_row_blocks + blocks;
      bool resident = true;
      for (int64_t p = 0; p < storage.num_planes; ++p) {
        expert.weights[p] = address(a.weights, p * a.num_experts + e);
        expert.up_weights[p] = address(a.up_weights, p * a.num_experts + e);
        resident &= expert.weights[p] != nullptr && (a.up_weights == nullptr || expert.up_weights[p] != nullptr);
      }
      expert.bias = static_cast<const float*>(address(a.biases, e));
      expert.up_bias = static_cast<const float*>(address(a.up_biases, e));
      if (absent < 0 && !resident && rows > 0) absent = e;
      if (rows > scratch_rows) scratch_rows = rows;
      num_row_blocks += blocks;
    }
    if (scratch_rows > max_rows) scratch_rows = max_rows;
    // Whole panels; in rows, 12 columns are whole panels of every instruction set.
    const int64_t step = panels ? WINNOW_PANEL_ROWS : 12, least = panels ? 64 : 12;
    columns = kUnitBytes / std::max<int64_t>(bytes_per_column, 1) / step * step;
    columns = columns < least ? least : columns > kMaxBlockColumns ? kMaxBlockColumns : columns;
    if (cpu.num_threads > 1)
      columns = shared_columns(a.output_size, columns, bytes_per_column, num_row_blocks, step, cpu);
    column_blocks = num_blocks(a.output_size, columns);
  }

  // Whether both pack the same rows in the same way, as query, key and value do.
  bool packs_as(const Product& other) const {
    const winnow_grouped_gemm_arguments &a = *arguments, &b = *other.arguments;
    return kernel == other.kernel && a.input == b.input && a.num_rows == b.num_rows && a.input_size == b.input_size &&
           is_plain() && other.is_plain();
  }

  bool is_plain() const {
    return arguments->source_rows == nullptr && arguments->expert_offsets == nullptr && num_active == 1;
  }

  int64_t num_units() const { return num_row_blocks * strip_blocks; }

  // Row blocks come in ascending order; `i` moves on to the active expert that the block belongs to.
  GroupedGemmBlock block(int64_t row_block, int64_t column_block, int64_t& i) const {
    const int64_t column_begin = column_block * columns;
    while (experts[i].end_block <= row_block) ++i;
    const ActiveExpert& expert = experts[i];
    const int64_t rows = expert.row_end - expert.row_begin, blocks = expert.end_block - expert.first_block;
    // Blocks have about the same height: a last one of a few rows would read all weights again for little work.
    const int64_t height = blocks == 1 ? rows : ((rows + blocks - 1) / blocks + 3) / 4 * 4;
    const int64_t row_begin = expert.row_begin + (row_block - expert.first_block) * height;
    return {*arguments,
            expert,
            source_rows,
            row_begin,
            std::min(row_begin + height, expert.row_end),
            column_begin,
            std::min(column_begin + columns, arguments->output_size)};
  }
};

// The memory of one thread, kept until it ends. The vectors belong to the thread's current call: its products, and what
// these copy from tables and indices.
struct ThreadMemory {
  ThreadScratch scratch;
  std::vector<Product> products;
  std::vector<ActiveExpert> experts;
  std::vector<int32_t> source_rows;
};

// Looks the thread up once. A thread_local object with a destructor takes two look-ups.
ThreadMemory& thread_memory() {
  thread_local ThreadMemory* present = nullptr;
  if (present == nullptr) {
    thread_local ThreadMemory memory;
    present = &memory;
  }
  return *present;
}

}  // namespace

Outcome grouped_gemm_cpu(const winnow_grouped_gemm_arguments& arguments, Cpu& cpu) {
  ThreadMemory& memory = thread_memory();
  auto& products = memory.products;
  auto& experts = memory.experts;
  auto& source_rows = memory.source_rows;
  int64_t num_source_rows = 0;
  products.clear();
  experts.clear();
  for (const auto* next = &arguments; next != nullptr; next = next->next) {
    if (products.size() == WINNOW_GROUPED_GEMM_MAX_PRODUCTS)
      throw std::invalid_argument("a call has at most " + std::to_string(products.size()) + " products");
    products.emplace_back(*next, cpu, experts, source_rows, num_source_rows);
  }
  int64_t num_units = 0, num_row_blocks = 0;
  for (Product& product : products) {
    if (product.absent >= 0) return {WINNOW_REFUSED, product.absent};
    product.experts = experts.data() + product.first_expert;
    if (product.arguments->source_rows != nullptr) product.source_rows = source_rows.data() + product.first_source_row;
  }
  Product* strip = nullptr;
  for (Product& product : products) {
    if (strip == nullptr || !product.packs_as(*strip)) {
      strip = &product;
      strip->first_unit = num_units;
      strip->first_row_block = num_row_blocks;
      num_row_blocks += strip->num_row_blocks;
    }
    strip->strip_blocks += product.column_blocks;
    num_units += product.num_row_blocks * product.column_blocks;
  }
  const int64_t call =
      cpu.num_threads == 1 ? memory.scratch.begin_alone() : next_call.fetch_add(1, std::memory_order_relaxed);
  std::atomic<bool> out_of_memory{false};  // relaxed: read after the region has ended
  cpu.parallel_for(num_units, 1, [&](int64_t unit, int64_t unit_end) {
    ThreadScratch& own = thread_memory().scratch;
    for (const Product& product : products) {
      const int64_t end = std::min(unit_end, product.first_unit + product.num_units());
      if (unit >= end) continue;
      const GroupedGemmScratch* scratch = own.reserve(product.scratch_rows, product.arguments->input_size);
      if (scratch == nullptr) {
        out_of_memory.store(true, std::memory_order_relaxed);
        return;
      }
      for (int64_t i = 0; unit < end; ++unit) {
        const int64_t in_strip = unit - product.first_unit, blocks = product.strip_blocks;
        const int64_t row_block = blocks == 1 ? in_strip : in_strip / blocks;
        int64_t column_block = in_strip - row_block * blocks;
        const Product* member = &product;
        while (column_block >= member->column_blocks) column_block -= (member++)->column_blocks;
        const bool pack = own.claim(call, product.first_row_block + row_block);
        member->kernel(member->block(row_block, column_block, i), *scratch, pack);
      }
    }
  });
  if (out_of_memory.load(std::memory_order_relaxed)) throw std::bad_alloc();
  return {};
}

}  // namespace winnow

WINNOW_OPERATION(grouped_gemm)
