// The command `gpusim`: one kernel of a .ptx, run and judged from the command line. See kHelp.
#include "gpusim.h"

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "stat/report.h"
#include "tool/command_line.h"
#include "tool/number.h"

namespace winnow::gpusim {
namespace {

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::invalid_argument("cannot read " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Buffers by name, and the addresses that arguments give.
class Buffers {
 public:
  Buffers(Memory& memory, std::vector<Buffer>& buffers) : memory_(memory) {
    for (Buffer& buffer : buffers) {
      buffer.address = memory.allocate(buffer.total_bytes());
      if (!buffer.bytes.empty()) memory.write(buffer.address, buffer.bytes.data(), buffer.bytes.size());
      if (!by_name_.emplace(buffer.name, &buffer).second)
        throw std::invalid_argument("two buffers named " + buffer.name);
    }
  }

  const Buffer& named(const std::string& name) const {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) throw std::invalid_argument("no buffer named " + name);
    return *found->second;
  }

  std::vector<uint8_t> bytes_of(const Argument& argument) const {
    if (!argument.scalar.empty()) return argument.scalar;
    if (!argument.fields.empty()) return struct_of(argument.fields);
    std::vector<uint64_t> addresses;
    for (const std::string& place : argument.places) addresses.push_back(address_of(place));
    uint64_t value = addresses[0];
    if (argument.table) {
      value = memory_.allocate(addresses.size() * 8);
      memory_.write(value, addresses.data(), addresses.size() * 8);
    }
    std::vector<uint8_t> bytes(8);
    std::memcpy(bytes.data(), &value, 8);
    return bytes;
  }

 private:
  // Every field aligned to its size, as in C.
  std::vector<uint8_t> struct_of(const std::vector<Argument>& fields) const {
    std::vector<uint8_t> bytes;
    size_t alignment = 1;
    const auto align = [&](size_t to) { bytes.resize((bytes.size() + to - 1) / to * to); };
    for (const Argument& field : fields) {
      const std::vector<uint8_t> value = bytes_of(field);
      align(value.size());
      alignment = std::max(alignment, value.size());
      bytes.insert(bytes.end(), value.begin(), value.end());
    }
    align(alignment);
    return bytes;
  }

  uint64_t address_of(const std::string& place) const {
    if (place == "0") return 0;
    const size_t plus = place.find('+');
    const uint64_t offset = plus == std::string::npos ? 0 : parse_unsigned(place.substr(plus + 1));
    return named(place.substr(0, plus)).address + offset;
  }

  Memory& memory_;
  std::map<std::string, const Buffer*> by_name_;
};

std::vector<uint8_t> pack(const Kernel& kernel, const std::vector<Argument>& arguments, const Buffers& buffers) {
  if (arguments.size() != kernel.parameters.size()) {
    throw std::invalid_argument(kernel.name + " takes " + std::to_string(kernel.parameters.size()) +
                                " arguments, found " + std::to_string(arguments.size()));
  }
  std::vector<uint8_t> packed(kernel.parameter_bytes);
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Parameter& parameter = kernel.parameters[i];
    const std::vector<uint8_t> bytes = buffers.bytes_of(arguments[i]);
    if (bytes.size() != parameter.size_bytes) {
      throw std::invalid_argument("argument " + std::to_string(i) + " of " + kernel.name + " has " +
                                  std::to_string(parameter.size_bytes) + " bytes, found " +
                                  std::to_string(bytes.size()));
    }
    std::copy(bytes.begin(), bytes.end(), packed.begin() + parameter.offset);
  }
  return packed;
}

void show(const RunCommand& command, const Memory& memory, const Buffers& buffers) {
  for (const Dump& dump : command.dumps) {
    const Buffer& buffer = buffers.named(dump.buffer);
    std::vector<uint8_t> bytes(buffer.total_bytes());
    memory.read(buffer.address, bytes.data(), bytes.size());
    std::printf("%s =", buffer.name.c_str());
    for (uint64_t i = 0; i < std::min(buffer.count, dump.count); ++i) {
      std::printf(" %.9g", get(buffer.type, &bytes[i * size_bytes(buffer.type)]));
    }
    std::printf("\n");
  }
  for (const Save& save : command.saves) {
    const Buffer& buffer = buffers.named(save.buffer);
    std::vector<uint8_t> bytes(buffer.total_bytes());
    memory.read(buffer.address, bytes.data(), bytes.size());
    std::ofstream file(save.file, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!file) throw std::invalid_argument("cannot write " + save.file);
  }
}

double cpu_seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The command, executed in a memory of its own.
struct Run {
  explicit Run(RunCommand& command)
      : module(Module::load(read_text(command.ptx_file), memory)), buffers(memory, command.buffers) {
    const Kernel* kernel = module->kernel(command.kernel);
    if (kernel == nullptr) {
      std::string known;
      for (const Kernel* other : module->kernels()) known += " " + other->name;
      throw std::invalid_argument(command.ptx_file + " has no kernel " + command.kernel + "; it has" + known);
    }
    const std::vector<uint8_t> arguments = pack(*kernel, command.arguments, buffers);
    const double begin = cpu_seconds();
    report = run(memory, *module, *kernel, command.grid, command.block, command.dynamic_shared_bytes, arguments.data(),
                 arguments.size(), command.options);
    seconds = cpu_seconds() - begin;
  }

  Memory memory;
  std::unique_ptr<Module> module;
  Buffers buffers;
  LaunchReport report;
  double seconds;  // of processor time, all threads
};

int run_command(const std::vector<std::string>& words) {
  RunCommand command = parse_run(words);
  auto last = std::make_unique<Run>(command);
  double best = last->seconds;
  for (int i = 1; i < command.num_timed_runs; ++i) {
    last = std::make_unique<Run>(command);
    best = std::min(best, last->seconds);
  }
  const LaunchReport& report = last->report;
  if (command.json) {
    std::printf("%s\n", to_json(report).c_str());
  } else {
    for (const Buffer& buffer : command.buffers) {
      std::printf("0x%llx %s\n", static_cast<unsigned long long>(buffer.address), buffer.name.c_str());
    }
    std::printf("%s", to_text(report).c_str());
  }
  show(command, last->memory, last->buffers);
  if (command.num_timed_runs > 0) {
    const auto instructions = static_cast<double>(report.counters.thread_instructions);
    std::fprintf(stderr, "%.1f million thread instructions in %.4f s of processor time, best of %d: %.0f million/s\n",
                 1e-6 * instructions, best, command.num_timed_runs, 1e-6 * instructions / best);
  }
  return report.findings.empty() && report.error == 0 ? 0 : 1;
}

int lint(const std::vector<std::string>& files) {
  if (files.empty()) throw std::invalid_argument("lint needs files; see gpusim --help");
  int code = 0;
  for (const std::string& file : files) {
    const std::string text = read_text(file);
    const std::vector<PtxError> unsupported = find_unsupported(text);
    for (const PtxError& error : unsupported) std::printf("%s: %s\n", file.c_str(), error.what());
    if (unsupported.empty()) {
      Memory memory;
      std::printf("%s: %zu kernels, all supported\n", file.c_str(), Module::load(text, memory)->kernels().size());
    } else {
      code = 1;
    }
  }
  return code;
}

}  // namespace
}  // namespace winnow::gpusim

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || words[0] == "--help" || words[0] == "help") {
    std::printf("%s", winnow::gpusim::kHelp);
    return words.empty() ? 2 : 0;
  }
  try {
    const std::vector<std::string> rest(words.begin() + 1, words.end());
    if (words[0] == "run") return winnow::gpusim::run_command(rest);
    if (words[0] == "lint") return winnow::gpusim::lint(rest);
    throw std::invalid_argument("run or lint, found " + words[0] + "; see gpusim --help");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "gpusim: %s\n", e.what());
    return 2;
  }
}
