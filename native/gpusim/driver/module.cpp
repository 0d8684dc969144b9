// Modules: PTX text only, as the interpreter executes nothing else. Functions, their attributes, occupancy.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include "driver/architecture.h"
#include "driver/cuda_api.h"
#include "driver/simulator.h"

namespace winnow::gpusim {
namespace {

using ContextPtr = std::shared_ptr<Context>;

constexpr unsigned char kElf[] = {0x7f, 'E', 'L', 'F'};
constexpr unsigned char kFatBinary[] = {0x50, 0xed, 0x55, 0xba};

// The number after a directive such as ".version 9.0" or ".target sm_80", times ten where it has a decimal; 0 if
// absent.
int directive(const std::string& ptx, const std::string& name) {
  const size_t at = ptx.find(name);
  if (at == std::string::npos) return 0;
  const size_t begin = ptx.find_first_of("0123456789", at + name.size());
  if (begin == std::string::npos) return 0;
  const int whole = std::atoi(ptx.c_str() + begin);
  const size_t end = ptx.find_first_not_of("0123456789", begin);
  return end != std::string::npos && ptx[end] == '.' ? 10 * whole + std::atoi(ptx.c_str() + end + 1) : whole;
}

// Tests load the same modules again and again: for each backend that they make.
std::shared_ptr<const Module> decode(Simulator& simulator, const std::string& ptx) {
  const auto known = simulator.decoded.find(ptx);
  if (known != simulator.decoded.end()) return known->second;
  std::shared_ptr<const Module> module = Module::load(ptx, simulator.memory);
  if (!module->has_globals()) simulator.decoded.emplace(ptx, module);
  return module;
}

std::shared_ptr<LoadedModule> load(Simulator& simulator, const ContextPtr& context, const void* image) {
  require_pointer(image, "image");
  if (std::memcmp(image, kElf, sizeof(kElf)) == 0 || std::memcmp(image, kFatBinary, sizeof(kFatBinary)) == 0) {
    fail(CUDA_ERROR_NO_BINARY_FOR_GPU, "the image is binary, the stand-in takes PTX text");
  }
  const std::string ptx(static_cast<const char*>(image));
  const int version = directive(ptx, ".version"), target = directive(ptx, ".target");
  if (version > kNewestPtx) {
    fail(CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
         "PTX ISA " + std::to_string(version / 10) + "." + std::to_string(version % 10) + ", this driver knows " +
             std::to_string(kNewestPtx / 10) + "." + std::to_string(kNewestPtx % 10));
  }
  if (target > simulator.configuration.compute_capability) {
    fail(CUDA_ERROR_INVALID_PTX, "PTX for sm_" + std::to_string(target) + ", the device is sm_" +
                                     std::to_string(simulator.configuration.compute_capability));
  }
  auto loaded = std::make_shared<LoadedModule>();
  try {
    loaded->module = decode(simulator, ptx);
  } catch (const PtxError& error) {
    fail(CUDA_ERROR_INVALID_PTX, error.what());
  }
  loaded->context = context;
  simulator.modules.add(loaded);
  for (const Kernel* kernel : loaded->module->kernels()) {
    auto function = std::make_shared<Function>();
    simulator.functions.add(function);
    function->module = loaded;
    function->kernel = kernel;
    function->max_dynamic_shared_bytes = std::max(0, kSharedPerBlock - static_cast<int>(kernel->static_shared_bytes));
    loaded->functions[kernel->name] = function;
  }
  return loaded;
}

// What the program passed for logs: a text buffer, and its size in the next option, which becomes the length written.
void write_log(unsigned num_options, const CUjit_option* options, void** values, const std::string& text) {
  for (unsigned i = 0; i < num_options; ++i) {
    if (options[i] != CU_JIT_ERROR_LOG_BUFFER || !values[i]) continue;
    for (unsigned j = 0; j < num_options; ++j) {
      if (options[j] != CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES) continue;
      const size_t size = static_cast<unsigned>(reinterpret_cast<uintptr_t>(values[j]));
      if (size == 0) return;
      const size_t length = std::min(size - 1, text.size());
      std::memcpy(values[i], text.data(), length);
      static_cast<char*>(values[i])[length] = '\0';
      values[j] = reinterpret_cast<void*>(length + 1);
    }
  }
}

std::shared_ptr<LoadedModule> find_module(Simulator& simulator, CUmodule handle) {
  auto found = simulator.modules.find(handle);
  if (!found) fail(CUDA_ERROR_INVALID_HANDLE, "no such module, or it has been unloaded");
  return found;
}

CUresult load_call(const char* call, CUmodule* module, const void* image, unsigned num_options, CUjit_option* options,
                   void** values) {
  return context_call(call, [&](Simulator& simulator, const ContextPtr& context) {
    simulator.forbid_during_capture(call);
    require_pointer(module, "module");
    if (num_options && (!options || !values)) fail(CUDA_ERROR_INVALID_VALUE, "options without their arrays");
    try {
      *module = load(simulator, context, image)->handle;
    } catch (const DriverError& error) {
      write_log(num_options, options, values, error.what());
      throw;
    }
  });
}

int max_threads(const Kernel& kernel) {
  return kernel.max_threads_per_block ? static_cast<int>(kernel.max_threads_per_block) : kMaxThreadsPerBlock;
}

// ptxas has not run, so this is a bound: what a block of the largest permitted size leaves each thread.
int registers(const Kernel& kernel) { return std::min(255, kRegistersPerMultiprocessor / max_threads(kernel)); }

int blocks_per_multiprocessor(const Simulator& simulator, const Kernel& kernel, int block_size, size_t dynamic_bytes) {
  const Architecture limits = architecture(simulator.configuration.compute_capability);
  const size_t shared = kernel.static_shared_bytes + dynamic_bytes;
  if (block_size <= 0) fail(CUDA_ERROR_INVALID_VALUE, "block_size is " + std::to_string(block_size));
  if (block_size > max_threads(kernel) || shared > static_cast<size_t>(limits.shared_per_block_opt_in)) return 0;
  const int warps = (block_size + kWarpSize - 1) / kWarpSize;
  return std::min({limits.max_blocks_per_multiprocessor, limits.max_threads_per_multiprocessor / (warps * kWarpSize),
                   static_cast<int>(limits.shared_per_multiprocessor / (shared + kReservedSharedPerBlock))});
}

}  // namespace

extern "C" {

CUresult cuModuleLoad(CUmodule* module, const char* path) {
  if (!path) return CUDA_ERROR_INVALID_VALUE;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return driver_call("cuModuleLoad", [&](Simulator&) { fail(CUDA_ERROR_FILE_NOT_FOUND, path); });
  }
  const std::string image((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return load_call("cuModuleLoad", module, image.c_str(), 0, nullptr, nullptr);
}

CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  return load_call("cuModuleLoadData", module, image, 0, nullptr, nullptr);
}

CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned num_options, CUjit_option* options,
                            void** values) {
  return load_call("cuModuleLoadDataEx", module, image, num_options, options, values);
}

CUresult cuModuleLoadFatBinary(CUmodule* module, const void* image) {
  return load_call("cuModuleLoadFatBinary", module, image, 0, nullptr, nullptr);
}

CUresult cuModuleUnload(CUmodule handle) {
  return context_call("cuModuleUnload", [&](Simulator& simulator, const ContextPtr&) {
    simulator.forbid_during_capture("cuModuleUnload");
    const auto module = find_module(simulator, handle);
    simulator.queue.run_all(*module->context);
    for (const auto& [name, function] : module->functions) simulator.functions.remove(function->handle);
    module->functions.clear();
    module->loaded = false;
    simulator.modules.remove(handle);
    require_healthy(*module->context);
  });
}

CUresult cuModuleGetLoadingMode(int* mode) {
  return driver_call("cuModuleGetLoadingMode", [&](Simulator&) {
    require_pointer(mode, "mode");
    *mode = 1;  // eager
  });
}

CUresult cuModuleGetFunction(CUfunction* function, CUmodule handle, const char* name) {
  return context_call("cuModuleGetFunction", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(function, "function");
    require_pointer(name, "name");
    const auto module = find_module(simulator, handle);
    const auto found = module->functions.find(name);
    if (found == module->functions.end()) fail(CUDA_ERROR_NOT_FOUND, std::string("the module has no kernel ") + name);
    *function = found->second->handle;
  });
}

CUresult cuModuleGetFunctionCount(unsigned* count, CUmodule handle) {
  return context_call("cuModuleGetFunctionCount", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(count, "count");
    *count = static_cast<unsigned>(find_module(simulator, handle)->functions.size());
  });
}

CUresult cuModuleEnumerateFunctions(CUfunction* functions, unsigned count, CUmodule handle) {
  return context_call("cuModuleEnumerateFunctions", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(functions, "functions");
    for (const auto& [name, function] : find_module(simulator, handle)->functions) {
      if (count-- == 0) break;
      *functions++ = function->handle;
    }
  });
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, CUmodule handle, const char* name) {
  return context_call("cuModuleGetGlobal", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(name, "name");
    const Global* global = find_module(simulator, handle)->module->global(name);
    if (!global) fail(CUDA_ERROR_NOT_FOUND, std::string("the module has no variable ") + name);
    if (address) *address = global->address;
    if (bytes) *bytes = global->size_bytes;
  });
}

CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction handle) {
  return context_call("cuFuncGetAttribute", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(value, "value");
    const auto function = simulator.function(handle);
    const Kernel& kernel = *function->kernel;
    const int capability = simulator.configuration.compute_capability;
    switch (attribute) {
      case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
        *value = max_threads(kernel);
        return;
      case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
        *value = static_cast<int>(kernel.static_shared_bytes);
        return;
      case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
        *value = static_cast<int>(kernel.local_bytes);
        return;
      case CU_FUNC_ATTRIBUTE_NUM_REGS:
        *value = registers(kernel);
        return;
      case CU_FUNC_ATTRIBUTE_PTX_VERSION:
      case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
        *value = capability;
        return;
      case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        *value = function->max_dynamic_shared_bytes;
        return;
      case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        *value = -1;
        return;
      case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
      case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
        *value = 0;
        return;
    }
    fail(CUDA_ERROR_INVALID_VALUE, "attribute " + std::to_string(attribute));
  });
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
  return context_call("cuFuncSetAttribute", [&](Simulator& simulator, const ContextPtr&) {
    const auto function = simulator.function(handle);
    if (attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT) return;  // a hint
    if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) {
      fail(CUDA_ERROR_INVALID_VALUE, "attribute " + std::to_string(attribute) + " cannot be set");
    }
    const int limit = architecture(simulator.configuration.compute_capability).shared_per_block_opt_in -
                      static_cast<int>(function->kernel->static_shared_bytes);
    if (value < 0 || value > limit) {
      fail(CUDA_ERROR_INVALID_VALUE, std::to_string(value) + " bytes of dynamic shared memory, the device has " +
                                         std::to_string(limit) + " beside the static ones of " +
                                         function->kernel->name);
    }
    function->max_dynamic_shared_bytes = value;
  });
}

CUresult cuFuncSetCacheConfig(CUfunction handle, int) {
  return context_call("cuFuncSetCacheConfig",
                      [&](Simulator& simulator, const ContextPtr&) { simulator.function(handle); });
}

CUresult cuFuncGetModule(CUmodule* module, CUfunction handle) {
  return context_call("cuFuncGetModule", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(module, "module");
    *module = simulator.function(handle)->module->handle;
  });
}

CUresult cuFuncGetName(const char** name, CUfunction handle) {
  return context_call("cuFuncGetName", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(name, "name");
    *name = simulator.function(handle)->kernel->name.c_str();
  });
}

CUresult cuFuncGetParamInfo(CUfunction handle, size_t index, size_t* offset, size_t* bytes) {
  return context_call("cuFuncGetParamInfo", [&](Simulator& simulator, const ContextPtr&) {
    const auto& parameters = simulator.function(handle)->kernel->parameters;
    if (index >= parameters.size()) fail(CUDA_ERROR_INVALID_VALUE, "parameter " + std::to_string(index));
    if (offset) *offset = parameters[index].offset;
    if (bytes) *bytes = parameters[index].size_bytes;
  });
}

CUresult cuFuncIsLoaded(int* state, CUfunction handle) {
  return context_call("cuFuncIsLoaded", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(state, "state");
    simulator.function(handle);
    *state = 1;
  });
}

CUresult cuFuncLoad(CUfunction handle) {
  return context_call("cuFuncLoad", [&](Simulator& simulator, const ContextPtr&) { simulator.function(handle); });
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* num_blocks, CUfunction handle, int block_size,
                                                     size_t dynamic_shared_bytes) {
  return context_call("cuOccupancyMaxActiveBlocksPerMultiprocessor", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(num_blocks, "num_blocks");
    const auto function = simulator.function(handle);
    *num_blocks = blocks_per_multiprocessor(simulator, *function->kernel, block_size, dynamic_shared_bytes);
  });
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* num_blocks, CUfunction function, int block_size,
                                                              size_t dynamic_shared_bytes, unsigned) {
  return cuOccupancyMaxActiveBlocksPerMultiprocessor(num_blocks, function, block_size, dynamic_shared_bytes);
}

CUresult cuOccupancyMaxPotentialBlockSize(int* min_grid_size, int* block_size, CUfunction handle,
                                          CUoccupancyB2DSize dynamic_shared_bytes_of, size_t dynamic_shared_bytes,
                                          int block_size_limit) {
  return context_call("cuOccupancyMaxPotentialBlockSize", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(min_grid_size, "min_grid_size");
    require_pointer(block_size, "block_size");
    const auto function = simulator.function(handle);
    const int largest = max_threads(*function->kernel);
    int best_threads = 0;
    *block_size = *min_grid_size = 0;
    for (int size = block_size_limit > 0 ? std::min(largest, block_size_limit) : largest; size > 0;
         size = (size - 1) / kWarpSize * kWarpSize) {
      const size_t dynamic = dynamic_shared_bytes_of ? dynamic_shared_bytes_of(size) : dynamic_shared_bytes;
      const int blocks = blocks_per_multiprocessor(simulator, *function->kernel, size, dynamic);
      if (blocks * size <= best_threads) continue;
      best_threads = blocks * size;
      *block_size = size;
      *min_grid_size = blocks * kNumMultiprocessors;
    }
  });
}

CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int* min_grid_size, int* block_size, CUfunction function,
                                                   CUoccupancyB2DSize dynamic_shared_bytes_of,
                                                   size_t dynamic_shared_bytes, int block_size_limit, unsigned) {
  return cuOccupancyMaxPotentialBlockSize(min_grid_size, block_size, function, dynamic_shared_bytes_of,
                                          dynamic_shared_bytes, block_size_limit);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t* dynamic_shared_bytes, CUfunction handle, int num_blocks,
                                                 int block_size) {
  return context_call("cuOccupancyAvailableDynamicSMemPerBlock", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(dynamic_shared_bytes, "dynamic_shared_bytes");
    const auto function = simulator.function(handle);
    if (num_blocks <= 0 || blocks_per_multiprocessor(simulator, *function->kernel, block_size, 0) < num_blocks) {
      fail(CUDA_ERROR_INVALID_VALUE, std::to_string(num_blocks) + " blocks of " + std::to_string(block_size) +
                                         " threads do not fit a multiprocessor");
    }
    const Architecture limits = architecture(simulator.configuration.compute_capability);
    const int each = std::min(limits.shared_per_block_opt_in,
                              limits.shared_per_multiprocessor / num_blocks - kReservedSharedPerBlock);
    *dynamic_shared_bytes = std::max(0, each - static_cast<int>(function->kernel->static_shared_bytes));
  });
}

}  // extern "C"
}  // namespace winnow::gpusim
