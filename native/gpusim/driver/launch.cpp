#include "driver/launch.h"

#include <algorithm>
#include <cstring>

#include "driver/architecture.h"
#include "driver/cuda_api.h"

namespace winnow::gpusim {
namespace {

using ContextPtr = std::shared_ptr<Context>;

std::string text(const Dim3& d) {
  return "(" + std::to_string(d.x) + ", " + std::to_string(d.y) + ", " + std::to_string(d.z) + ")";
}

void require_shape(const Simulator& simulator, const Function& function, Dim3 grid, Dim3 block,
                   unsigned dynamic_bytes) {
  const Kernel& kernel = *function.kernel;
  if (!grid.x || !grid.y || !grid.z || grid.x > kMaxGridX || grid.y > kMaxGridYz || grid.z > kMaxGridYz) {
    fail(CUDA_ERROR_INVALID_VALUE, kernel.name + ": grid " + text(grid));
  }
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (!threads || block.x > kMaxThreadsPerBlock || block.y > kMaxThreadsPerBlock || block.z > kMaxBlockZ ||
      threads > kMaxThreadsPerBlock) {
    fail(CUDA_ERROR_INVALID_VALUE, kernel.name + ": block " + text(block));
  }
  if (kernel.max_threads_per_block && threads > kernel.max_threads_per_block) {
    fail(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, kernel.name + ": " + std::to_string(threads) +
                                                 " threads, it states at most " +
                                                 std::to_string(kernel.max_threads_per_block));
  }
  if (kernel.required_block.x && !(block == kernel.required_block)) {
    fail(CUDA_ERROR_INVALID_VALUE,
         kernel.name + ": block " + text(block) + ", it states " + text(kernel.required_block));
  }
  if (dynamic_bytes > static_cast<unsigned>(function.max_dynamic_shared_bytes)) {
    fail(CUDA_ERROR_INVALID_VALUE,
         kernel.name + ": " + std::to_string(dynamic_bytes) + " bytes of dynamic shared memory, " +
             std::to_string(function.max_dynamic_shared_bytes) +
             " are allowed; more needs cuFuncSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)");
  }
  const int limit = architecture(simulator.configuration.compute_capability).shared_per_block_opt_in;
  if (kernel.static_shared_bytes + dynamic_bytes > static_cast<unsigned>(limit)) {
    fail(CUDA_ERROR_INVALID_VALUE, kernel.name + ": " + std::to_string(kernel.static_shared_bytes + dynamic_bytes) +
                                       " bytes of shared memory, the device has " + std::to_string(limit));
  }
}

// {CU_LAUNCH_PARAM_BUFFER_POINTER, buffer, CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END}, in either order.
std::vector<uint8_t> packed_arguments(const Kernel& kernel, void** extra) {
  const uint8_t* buffer = nullptr;
  size_t size = 0;
  for (; reinterpret_cast<uintptr_t>(*extra) != CU_LAUNCH_PARAM_END; extra += 2) {
    const auto option = reinterpret_cast<uintptr_t>(extra[0]);
    if (option == CU_LAUNCH_PARAM_BUFFER_POINTER) {
      buffer = static_cast<const uint8_t*>(extra[1]);
    } else if (option == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[1]) {
      size = *static_cast<const size_t*>(extra[1]);
    } else {
      fail(CUDA_ERROR_INVALID_VALUE, kernel.name + ": option " + std::to_string(option) + " in extra");
    }
  }
  uint32_t alignment = 1;
  for (const Parameter& parameter : kernel.parameters) alignment = std::max(alignment, parameter.alignment);
  const size_t padded = (kernel.parameter_bytes + alignment - 1) / alignment * alignment;
  if ((size && !buffer) || size < kernel.parameter_bytes || size > padded) {
    fail(CUDA_ERROR_INVALID_VALUE, kernel.name + ": a buffer of " + std::to_string(size) +
                                       " bytes, its parameters take " + std::to_string(kernel.parameter_bytes));
  }
  return std::vector<uint8_t>(buffer, buffer + kernel.parameter_bytes);
}

std::vector<uint8_t> gathered_arguments(const Kernel& kernel, void** parameters) {
  std::vector<uint8_t> packed(kernel.parameter_bytes);
  if (!kernel.parameters.empty() && !parameters) fail(CUDA_ERROR_INVALID_VALUE, kernel.name + ": no arguments");
  for (size_t i = 0; i < kernel.parameters.size(); ++i) {
    if (!parameters[i]) fail(CUDA_ERROR_INVALID_VALUE, kernel.name + ": argument " + std::to_string(i) + " is null");
    std::memcpy(packed.data() + kernel.parameters[i].offset, parameters[i], kernel.parameters[i].size_bytes);
  }
  return packed;
}

// A kernel cannot reach another device's memory: peer access is not offered.
void require_own_memory(Simulator& simulator, const char* call, const KernelWork& work, const Context& context) {
  for (const auto& [address, allocation] : simulator.allocations) {
    if (allocation.context->device == context.device) continue;
    if (!names_device_memory(Work(work), {address, allocation.num_bytes})) continue;
    simulator.log.found(call, work.function->kernel->name + ": an argument points into the memory of device " +
                                  std::to_string(allocation.context->device));
  }
}

void launch(Simulator& simulator, const char* call, const ContextPtr& context, CUfunction function, Dim3 grid,
            Dim3 block, unsigned dynamic_shared_bytes, CUstream stream, void** parameters, void** extra) {
  const StreamPtr target = simulator.stream(stream, context);
  KernelWork work = kernel_work(simulator, function, grid, block, dynamic_shared_bytes, parameters, extra);
  if (work.function->module->context != context) {
    fail(CUDA_ERROR_INVALID_HANDLE, work.function->kernel->name + " was loaded in another context");
  }
  if (simulator.configuration.num_devices > 1) require_own_memory(simulator, call, work, *context);
  simulator.submit(call, target, std::move(work));
}

}  // namespace

KernelWork kernel_work(Simulator& simulator, CUfunction handle, Dim3 grid, Dim3 block, unsigned dynamic_shared_bytes,
                       void** parameters, void** extra) {
  const auto function = simulator.function(handle);
  if (parameters && extra) fail(CUDA_ERROR_INVALID_VALUE, "both kernelParams and extra are given");
  require_shape(simulator, *function, grid, block, dynamic_shared_bytes);
  return {function, grid, block, dynamic_shared_bytes,
          extra ? packed_arguments(*function->kernel, extra) : gathered_arguments(*function->kernel, parameters)};
}

extern "C" {

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned dynamic_shared_bytes, CUstream stream,
                        void** parameters, void** extra) {
  return context_call("cuLaunchKernel", [&](Simulator& simulator, const ContextPtr& context) {
    launch(simulator, "cuLaunchKernel", context, function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z},
           dynamic_shared_bytes, stream, parameters, extra);
  });
}

CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** parameters, void** extra) {
  return context_call("cuLaunchKernelEx", [&](Simulator& simulator, const ContextPtr& context) {
    require_pointer(config, "config");
    for (unsigned i = 0; i < config->numAttrs; ++i) {
      const int id = config->attrs[i].id;  // 0 is CU_LAUNCH_ATTRIBUTE_IGNORE
      if (id != 0) fail(CUDA_ERROR_NOT_SUPPORTED, "launch attribute " + std::to_string(id));
    }
    launch(simulator, "cuLaunchKernelEx", context, function, {config->gridDimX, config->gridDimY, config->gridDimZ},
           {config->blockDimX, config->blockDimY, config->blockDimZ}, config->sharedMemBytes, config->hStream,
           parameters, extra);
  });
}

CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void* user_data) {
  return context_call("cuLaunchHostFunc", [&](Simulator& simulator, const ContextPtr& context) {
    if (!function) fail(CUDA_ERROR_INVALID_VALUE, "the function is null");
    simulator.submit("cuLaunchHostFunc", simulator.stream(stream, context), HostWork{function, user_data});
  });
}

}  // extern "C"
}  // namespace winnow::gpusim
