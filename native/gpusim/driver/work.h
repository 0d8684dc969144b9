// The work of a stream or a graph node, as values. It is submitted once and executed at a later synchronisation point.
// A graph may execute it many times.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "driver/cuda_types.h"
#include "gpusim.h"

namespace winnow::gpusim {

struct Function;

struct KernelWork {
  std::shared_ptr<Function> function;
  Dim3 grid, block;
  uint32_t dynamic_shared_bytes = 0;
  std::vector<uint8_t> arguments;  // packed, parameter_bytes of the kernel
};

enum class CopyKind { kHostToDevice, kDeviceToHost, kDeviceToDevice };

struct CopyWork {
  CopyKind kind = CopyKind::kDeviceToDevice;
  uint64_t to = 0, from = 0, num_bytes = 0;
  std::shared_ptr<const std::vector<uint8_t>> staged;  // the source of a copy from pageable memory, taken at the call
};

struct FillWork {
  uint64_t to = 0, count = 0;
  uint32_t value = 0, element_bytes = 1;
};

struct HostWork {
  CUhostFn function = nullptr;
  void* user_data = nullptr;
};

struct EmptyWork {};

using Work = std::variant<KernelWork, CopyWork, FillWork, HostWork, EmptyWork>;

struct Range {
  uint64_t address = 0, num_bytes = 0;
  bool overlaps(const Range& other) const {
    return num_bytes && other.num_bytes && address < other.address + other.num_bytes &&
           other.address < address + num_bytes;
  }
};

// The pinned host bytes that the work reads or writes when it executes; empty where it touches none.
Range host_source(const Work& work);
Range host_target(const Work& work);
// Whether the work names a byte of the device range: an end of a copy or fill, or a kernel argument that points into
// it.
bool names_device_memory(const Work& work, const Range& range);
std::string describe(const Work& work);  // "copy of 12 bytes to the device", "kernel add_f32"

}  // namespace winnow::gpusim
