// Runs kernels of a test: buffers on the device, arguments packed by their alignment, findings as text.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "gpusim.h"
#include "stat/report.h"

namespace winnow::gpusim {

// Skips the running test when the .cu files of test/kernels have not been compiled.
#ifdef WINNOW_TEST_KERNELS
#define NEEDS_COMPILED_KERNELS() static_cast<void>(0)
inline std::string compiled_kernels(const std::string& name) {
  std::ifstream file(std::string(WINNOW_TEST_KERNELS) + "/" + name + ".ptx");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}
#else
#define NEEDS_COMPILED_KERNELS() GTEST_SKIP() << "no nvcc when this was built"
inline std::string compiled_kernels(const std::string&) { return {}; }
#endif

class Arguments {
 public:
  template <typename T>
  Arguments& add(T value) {
    bytes_.resize((bytes_.size() + sizeof(T) - 1) / sizeof(T) * sizeof(T));
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    std::memcpy(&bytes_[at], &value, sizeof(T));
    return *this;
  }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

class KernelRunner {
 public:
  explicit KernelRunner(const std::string& ptx) : module_(Module::load(ptx, memory)) {}

  Memory memory;
  Options options;

  template <typename T>
  uint64_t buffer(const std::vector<T>& values) {
    const uint64_t address = memory.allocate(values.size() * sizeof(T));
    memory.write(address, values.data(), values.size() * sizeof(T));
    return address;
  }
  template <typename T>
  uint64_t unwritten(size_t count) {
    return memory.allocate(count * sizeof(T));
  }
  template <typename T>
  std::vector<T> read(uint64_t address, size_t count) const {
    std::vector<T> values(count);
    memory.read(address, values.data(), count * sizeof(T));
    return values;
  }

  LaunchReport run(const std::string& kernel, Dim3 grid, Dim3 block, const Arguments& arguments,
                   uint32_t dynamic_shared_bytes = 0) {
    const Kernel* found = module_->kernel(kernel);
    if (found == nullptr) throw std::invalid_argument("no kernel " + kernel);
    return gpusim::run(memory, *module_, *found, grid, block, dynamic_shared_bytes, arguments.bytes().data(),
                       arguments.bytes().size(), options);
  }

 private:
  std::unique_ptr<Module> module_;
};

inline std::string findings_of(const LaunchReport& report) {
  std::string text;
  for (const Finding& finding : report.findings) text += describe(finding) + "\n";
  return text;
}

}  // namespace winnow::gpusim
