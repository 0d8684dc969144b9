// Contexts: the primary ones, created ones, and which is current in a thread.
#include "driver/architecture.h"
#include "driver/cuda_api.h"
#include "driver/simulator.h"

namespace winnow::gpusim {
namespace {

std::shared_ptr<Context> find_context(Simulator& simulator, CUcontext handle) {
  auto found = simulator.contexts.find(handle);
  if (!found) fail(CUDA_ERROR_INVALID_CONTEXT, "no such context, or it has been destroyed");
  return found;
}

void synchronise(Simulator& simulator, const char* call, const std::shared_ptr<Context>& context) {
  for (const auto& capture : simulator.captures) {
    if (capture->context != context) continue;
    simulator.invalidate(*capture, std::string(call) + " during the capture");
    fail(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "a stream of the context captures");
  }
  simulator.queue.run_all(*context);
  require_healthy(*context);
}

}  // namespace

extern "C" {

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  return driver_call("cuDevicePrimaryCtxRetain", [&](Simulator& simulator) {
    require_pointer(context, "context");
    simulator.require_device(device);
    auto& primary = simulator.primaries[device];
    if (!primary) primary = simulator.new_context(device, 0, true);
    ++primary->num_retained;
    *context = primary->handle;
  });
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  return driver_call("cuDevicePrimaryCtxRelease", [&](Simulator& simulator) {
    simulator.require_device(device);
    auto& primary = simulator.primaries[device];
    if (!primary) fail(CUDA_ERROR_INVALID_CONTEXT, "the primary context is not retained");
    if (--primary->num_retained > 0) return;
    simulator.queue.run_all(*primary);
    simulator.destroy(primary);
    primary = nullptr;
  });
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
  return driver_call("cuDevicePrimaryCtxReset", [&](Simulator& simulator) {
    simulator.require_device(device);
    auto& primary = simulator.primaries[device];
    if (!primary) return;
    simulator.destroy(primary);
    primary = nullptr;
  });
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
  return driver_call("cuDevicePrimaryCtxSetFlags", [&](Simulator& simulator) {
    simulator.require_device(device);
    if (simulator.primaries[device]) simulator.primaries[device]->flags = flags;
  });
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
  return driver_call("cuDevicePrimaryCtxGetState", [&](Simulator& simulator) {
    require_pointer(flags, "flags");
    require_pointer(active, "active");
    simulator.require_device(device);
    const auto& primary = simulator.primaries[device];
    *active = primary ? 1 : 0;
    *flags = primary ? primary->flags : 0;
  });
}

CUresult cuCtxCreate_v4(CUcontext* context, void* parameters, unsigned flags, CUdevice device) {
  return driver_call("cuCtxCreate", [&](Simulator& simulator) {
    require_pointer(context, "context");
    simulator.require_device(device);
    if (parameters) fail(CUDA_ERROR_NOT_SUPPORTED, "parameters must be null");
    context_stack.push_back(simulator.new_context(device, flags, false));
    *context = context_stack.back()->handle;
  });
}

CUresult cuCtxDestroy_v2(CUcontext handle) {
  return driver_call("cuCtxDestroy", [&](Simulator& simulator) {
    const auto context = find_context(simulator, handle);
    if (context->primary) fail(CUDA_ERROR_INVALID_CONTEXT, "a primary context is released, not destroyed");
    simulator.queue.run_all(*context);
    simulator.destroy(context);
    if (!context_stack.empty() && context_stack.back() == context) context_stack.pop_back();
  });
}

CUresult cuCtxSetCurrent(CUcontext handle) {
  return driver_call("cuCtxSetCurrent", [&](Simulator& simulator) {
    const auto context = handle ? find_context(simulator, handle) : nullptr;
    if (!context_stack.empty()) context_stack.pop_back();
    if (context) context_stack.push_back(context);
  });
}

CUresult cuCtxGetCurrent(CUcontext* handle) {
  return driver_call("cuCtxGetCurrent", [&](Simulator&) {
    require_pointer(handle, "context");
    *handle = context_stack.empty() ? nullptr : context_stack.back()->handle;
  });
}

CUresult cuCtxPushCurrent_v2(CUcontext handle) {
  return driver_call("cuCtxPushCurrent",
                     [&](Simulator& simulator) { context_stack.push_back(find_context(simulator, handle)); });
}

CUresult cuCtxPopCurrent_v2(CUcontext* handle) {
  return driver_call("cuCtxPopCurrent", [&](Simulator&) {
    if (context_stack.empty()) fail(CUDA_ERROR_INVALID_CONTEXT, "the thread has no current context");
    if (handle) *handle = context_stack.back()->handle;
    context_stack.pop_back();
  });
}

CUresult cuCtxGetDevice(CUdevice* device) {
  return driver_call("cuCtxGetDevice", [&](Simulator&) {
    require_pointer(device, "device");
    *device = current_context()->device;
  });
}

CUresult cuCtxGetDevice_v2(CUdevice* device, CUcontext context) {
  return driver_call("cuCtxGetDevice", [&](Simulator& simulator) {
    require_pointer(device, "device");
    *device = context ? find_context(simulator, context)->device : current_context()->device;
  });
}

CUresult cuCtxGetFlags(unsigned* flags) {
  return driver_call("cuCtxGetFlags", [&](Simulator&) {
    require_pointer(flags, "flags");
    *flags = current_context()->flags;
  });
}

CUresult cuCtxGetId(CUcontext context, unsigned long long* id) {
  return driver_call("cuCtxGetId", [&](Simulator& simulator) {
    require_pointer(id, "id");
    *id = reinterpret_cast<uintptr_t>(context ? find_context(simulator, context)->handle : current_context()->handle);
  });
}

CUresult cuCtxGetApiVersion(CUcontext context, unsigned* version) {
  return driver_call("cuCtxGetApiVersion", [&](Simulator& simulator) {
    require_pointer(version, "version");
    if (context) find_context(simulator, context);
    *version = kDriverVersion;
  });
}

CUresult cuCtxSynchronize() {
  return context_call("cuCtxSynchronize", [&](Simulator& simulator, const std::shared_ptr<Context>& context) {
    synchronise(simulator, "cuCtxSynchronize", context);
  });
}

CUresult cuCtxSynchronize_v2(CUcontext handle) {
  return driver_call("cuCtxSynchronize", [&](Simulator& simulator) {
    const auto context = handle ? find_context(simulator, handle) : current_context();
    require_healthy(*context);
    synchronise(simulator, "cuCtxSynchronize", context);
  });
}

CUresult cuCtxGetLimit(size_t* value, int limit) {
  return context_call("cuCtxGetLimit", [&](Simulator&, const std::shared_ptr<Context>& context) {
    require_pointer(value, "value");
    const auto found = context->limits.find(limit);
    *value = found == context->limits.end() ? 0 : found->second;
  });
}

CUresult cuCtxSetLimit(int limit, size_t value) {
  return context_call("cuCtxSetLimit", [&](Simulator&, const std::shared_ptr<Context>& context) {
    if (limit < 0) fail(CUDA_ERROR_INVALID_VALUE, "limit is " + std::to_string(limit));
    context->limits[limit] = value;
  });
}

CUresult cuCtxGetCacheConfig(int* config) {
  return context_call("cuCtxGetCacheConfig", [&](Simulator&, const std::shared_ptr<Context>&) {
    require_pointer(config, "config");
    *config = 0;  // no preference: the architectures have one memory for both
  });
}

CUresult cuCtxSetCacheConfig(int) {
  return context_call("cuCtxSetCacheConfig", [](Simulator&, const std::shared_ptr<Context>&) {});
}

CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  return context_call("cuCtxGetStreamPriorityRange", [&](Simulator&, const std::shared_ptr<Context>&) {
    if (least) *least = 0;
    if (greatest) *greatest = -5;
  });
}

}  // extern "C"
}  // namespace winnow::gpusim
