#include "tool/command_line.h"

#include <cstring>
#include <stdexcept>

#include "tool/number.h"

namespace winnow::gpusim {

const char* const kHelp =
    R"(gpusim: executes CUDA kernels (PTX) on the CPU and reports what is wrong with them and what they move.

  gpusim run FILE.ptx KERNEL --grid X[,Y[,Z]] --block X[,Y[,Z]] [OPTION...] ARGUMENT...
  gpusim lint FILE.ptx...       lists what is not supported; exit code 1 if anything is

Arguments, in the kernel's order
  TYPE:VALUE                    a scalar: i32:7  u64:1  f32:-0.5  bf16:1   (f32 f64 f16 bf16 i8 u8 i16 u16 i32 u32 i64 u64)
  NAME=TYPE[COUNT]:CONTENT      a buffer; its address is passed. CONTENT:
                                random[=LOW..HIGH[,SEED]]  iota  zeros  constant=VALUE  file=PATH  unwritten
  @NAME[+BYTES]                 the address of a buffer named before;  @0 is a null pointer
  @[NAME,NAME+BYTES,0,...]      the address of a table of addresses (u64)
  {ARGUMENT,ARGUMENT,...}       a struct, passed by value: fields in order, each aligned to its size; no NAME=... in it

Options
  --buffer NAME=TYPE[COUNT]:CONTENT   a buffer that only tables and structs use
  --shared BYTES                dynamic shared memory
  --seed N                      order in which warps and blocks run (0)
  --eager                       cp.async copies at once instead of at the wait
  --no-races --no-initialised   without these checks
  --no-counters                 without the counters of memory
  --threads N                   host threads (0 = one per core)
  --lines                       memory traffic of each source line
  --dump NAME[:COUNT]           prints a buffer after the run
  --save NAME=FILE              writes a buffer's bytes after the run
  --json                        the report as JSON
  --time N                      runs it N times, each in fresh memory; on stderr: thread instructions per second of processor time

Exit code: 0 clean, 1 findings or an error of the kernel, 2 a wrong command line or unsupported PTX.

Example: y = a * x for 1000 elements, kernel `scale(const float* x, float* y, float a, int n)`
  nvcc -ptx -arch=compute_80 -O3 -lineinfo scale.cu -o scale.ptx
  gpusim run scale.ptx scale --grid 4 --block 256 'x=f32[1000]:random' 'y=f32[1000]:unwritten' f32:2 i32:1000 --dump y:8 --lines

Speed of the interpreter on one core with bounds checked, 512 x 512 x 512 by tensor cores; without the three --no-... with all checks:
  gpusim run grouped_gemm_cuda.ptx grouped_gemm_tensor_bf16_bf16 --grid 9,4 --block 128 --threads 1 --time 3 \
    --no-races --no-initialised --no-counters --buffer 'x=bf16[262144]:random' --buffer 'w=bf16[262144]:random' \
    --buffer 'y=f32[262144]:unwritten' \
    '{@0,@x,@0,@[w],@0,@0,@0,@0,@0,@y,i64:512,i64:512,i64:1,i64:1,i64:512,i64:512,i32:1,i32:1,i32:0,i32:0}'
)";

namespace {

Dim3 parse_dimensions(const std::string& text) {
  uint32_t sizes[3] = {1, 1, 1};
  size_t begin = 0;
  for (int i = 0; i < 3 && begin <= text.size(); ++i) {
    const size_t comma = text.find(',', begin);
    sizes[i] = static_cast<uint32_t>(parse_unsigned(text.substr(begin, comma - begin), UINT32_MAX));
    if (comma == std::string::npos) return {sizes[0], sizes[1], sizes[2]};
    begin = comma + 1;
  }
  throw std::invalid_argument("one to three sizes X,Y,Z, found " + text);
}

// At the commas that are in no brackets.
std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    depth += (c == '[' || c == '{') - (c == ']' || c == '}');
    if (c == ',' && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

Argument parse_scalar(const std::string& word) {
  const size_t colon = word.find(':');
  if (colon == std::string::npos) {
    throw std::invalid_argument("an argument is TYPE:VALUE, NAME=TYPE[COUNT]:CONTENT, @NAME or {...}, found " + word);
  }
  const std::string type_name = word.substr(0, colon), value = word.substr(colon + 1);
  const ElementType type = parse_type(type_name);
  Argument argument;
  argument.scalar.resize(size_bytes(type));
  if (type_name[0] == 'i' || type_name[0] == 'u') {  // by way of double the largest would lose bits
    const uint64_t bits = type_name[0] == 'i' ? static_cast<uint64_t>(parse_signed(value)) : parse_unsigned(value);
    std::memcpy(argument.scalar.data(), &bits, argument.scalar.size());
  } else {
    put(type, parse_float(value), argument.scalar.data());
  }
  return argument;
}

// Anything but a buffer that is described on the spot.
Argument parse_value(const std::string& word) {
  Argument argument;
  if (word[0] == '{' && word.back() == '}') {
    for (const std::string& field : split(word.substr(1, word.size() - 2)))
      argument.fields.push_back(parse_value(field));
  } else if (word[0] == '@') {
    argument.table = word.size() > 2 && word[1] == '[' && word.back() == ']';
    argument.places =
        argument.table ? split(word.substr(2, word.size() - 3)) : std::vector<std::string>{word.substr(1)};
  } else {
    argument = parse_scalar(word);
  }
  return argument;
}

void parse_argument(const std::string& word, RunCommand& command) {
  if (word[0] != '{' && word[0] != '@' && word.find('=') != std::string::npos) {
    command.buffers.push_back(parse_buffer(word));
    Argument argument;
    argument.places = {command.buffers.back().name};
    command.arguments.push_back(std::move(argument));
  } else {
    command.arguments.push_back(parse_value(word));
  }
}

}  // namespace

RunCommand parse_run(const std::vector<std::string>& words) {
  RunCommand command;
  bool has_grid = false, has_block = false;
  std::vector<std::string> names;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const auto value = [&]() -> const std::string& {
      if (i + 1 == words.size()) throw std::invalid_argument(word + " needs a value");
      return words[++i];
    };
    if (word == "--grid") {
      command.grid = parse_dimensions(value());
      has_grid = true;
    } else if (word == "--block") {
      command.block = parse_dimensions(value());
      has_block = true;
    } else if (word == "--shared") {
      command.dynamic_shared_bytes = static_cast<uint32_t>(parse_unsigned(value(), UINT32_MAX));
    } else if (word == "--seed") {
      command.options.seed = parse_unsigned(value());
    } else if (word == "--threads") {
      command.options.num_threads = static_cast<int>(parse_unsigned(value(), 1024));
    } else if (word == "--eager") {
      command.options.lazy_async_copies = false;
    } else if (word == "--no-races") {
      command.options.check_races = false;
    } else if (word == "--no-initialised") {
      command.options.check_initialised = false;
    } else if (word == "--no-counters") {
      command.options.count = false;
    } else if (word == "--time") {
      command.num_timed_runs = static_cast<int>(parse_unsigned(value(), 1024));
      if (command.num_timed_runs < 1) throw std::invalid_argument("--time needs one run or more");
    } else if (word == "--lines") {
      command.options.count_lines = true;
    } else if (word == "--json") {
      command.json = true;
    } else if (word == "--buffer") {
      command.buffers.push_back(parse_buffer(value()));
    } else if (word == "--dump") {
      const std::string& what = value();
      const size_t colon = what.find(':');
      command.dumps.push_back(
          {what.substr(0, colon), colon == std::string::npos ? ~uint64_t{0} : parse_unsigned(what.substr(colon + 1))});
    } else if (word == "--save") {
      const std::string& what = value();
      const size_t equals = what.find('=');
      if (equals == std::string::npos) throw std::invalid_argument("--save NAME=FILE, found " + what);
      command.saves.push_back({what.substr(0, equals), what.substr(equals + 1)});
    } else if (word.rfind("--", 0) == 0) {
      throw std::invalid_argument("unknown option " + word + "; see gpusim --help");
    } else if (names.size() < 2) {
      names.push_back(word);
    } else {
      parse_argument(word, command);
    }
  }
  if (names.size() < 2) throw std::invalid_argument("expected FILE.ptx and KERNEL; see gpusim --help");
  if (!has_grid || !has_block) throw std::invalid_argument("--grid and --block are needed");
  command.ptx_file = names[0];
  command.kernel = names[1];
  return command;
}

}  // namespace winnow::gpusim
