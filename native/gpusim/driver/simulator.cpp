#include "driver/simulator.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace winnow::gpusim {

thread_local bool in_host_function = false;
thread_local std::vector<std::shared_ptr<Context>> context_stack;
thread_local CUstreamCaptureMode thread_capture_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

Simulator& Simulator::instance() {
  static auto* simulator = new Simulator();  // never destroyed: other threads may call until the process ends
  return *simulator;
}

Simulator::Simulator() {
  const auto number = [](const char* variable, uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
  };
  Configuration first;
  first.seed = number("WINNOW_GPUSIM_SEED", first.seed);
  first.num_devices = static_cast<int>(number("WINNOW_GPUSIM_DEVICES", first.num_devices));
  first.compute_capability = static_cast<int>(number("WINNOW_GPUSIM_COMPUTE_CAPABILITY", first.compute_capability));
  first.memory_bytes = number("WINNOW_GPUSIM_MEMORY_BYTES", first.memory_bytes);
  configure(first);
}

void Simulator::configure(const Configuration& next) {
  configuration = next;
  primaries.resize(next.num_devices);
  used_bytes.resize(next.num_devices);
  queue.seed(next.seed);
}

void Simulator::reset_devices() {
  std::vector<std::shared_ptr<Context>> all;
  contexts.for_each([&](const std::shared_ptr<Context>& context) { all.push_back(context); });
  for (const auto& context : all) destroy(context);
  std::fill(primaries.begin(), primaries.end(), nullptr);
}

std::vector<OperationPtr> Simulator::prerequisites(const Stream& stream) {
  std::vector<OperationPtr> before{stream.tail};
  if (stream.legacy()) {
    auto& blocking = stream.context->blocking_streams;
    const auto gone = [](const StreamPtr& s) { return s->destroyed && (!s->tail || s->tail->done); };
    blocking.erase(std::remove_if(blocking.begin(), blocking.end(), gone), blocking.end());
    for (const StreamPtr& other : blocking) before.push_back(other->tail);
  } else if (stream.blocking()) {
    before.push_back(stream.context->legacy->tail);
  }
  return before;
}

void Simulator::submit(const char* call, const StreamPtr& stream, Work work) {
  if (stream->capture) {
    if (stream->capture->invalidated) fail(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, stream->capture->reason);
    auto node = std::make_shared<GraphNode>();
    graph_nodes.add(node);
    node->graph = stream->capture->graph;
    node->work = std::make_shared<const Work>(std::move(work));
    node->call = call;
    node->dependencies = stream->capture_dependencies;
    stream->capture->graph->nodes.push_back(node);
    stream->capture_dependencies = {node};
    return;
  }
  if (stream->legacy()) {
    for (const auto& capture : captures) {
      if (capture->context == stream->context && !capture->invalidated && capture->origin->blocking()) {
        invalidate(*capture, std::string(call) + " in the legacy stream");
        fail(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "the legacy stream would depend on a blocking stream that captures");
      }
    }
  }
  stream->tail = enqueue(call, stream, std::make_shared<const Work>(std::move(work)), prerequisites(*stream));
}

OperationPtr Simulator::enqueue(const char* call, const StreamPtr& stream, std::shared_ptr<const Work> work,
                                const std::vector<OperationPtr>& before) {
  auto operation = std::make_shared<Operation>();
  operation->call = call;
  operation->stream_id = stream->id;
  operation->context = stream->context;
  operation->work = std::move(work);
  const Range source = host_source(*operation->work), target = host_target(*operation->work);
  bool source_changes = false, target_is_read = false;  // by work that is queued already and may run before this
  for (const auto& [number, other] : queue.pending()) {
    if (!source.num_bytes && !target.num_bytes) break;
    const bool any = std::holds_alternative<HostWork>(*other->work);
    source_changes |= any || source.overlaps(host_target(*other->work));
    target_is_read |= any || target.overlaps(host_source(*other->work));
  }
  if (source.num_bytes && !source_changes) {
    operation->check_source = true;
    operation->source_checksum = checksum(reinterpret_cast<const void*>(source.address), source.num_bytes);
  }
  // Until the copy is done its target holds nothing that the host may rely on.
  if (target.num_bytes && !target_is_read) {
    std::memset(reinterpret_cast<void*>(target.address), HostMemory::kPoison, target.num_bytes);
  }
  queue.add(operation, before);
  return operation;
}

StreamPtr Simulator::stream(CUstream handle, const std::shared_ptr<Context>& context) {
  const auto number = reinterpret_cast<uintptr_t>(handle);
  if (number == 0 || number == CU_STREAM_LEGACY) return context->legacy;
  if (number == CU_STREAM_PER_THREAD) {
    StreamPtr& own = context->per_thread[std::this_thread::get_id()];
    if (!own) {
      own = std::make_shared<Stream>();
      own->handle = handle;
      own->id = next_id++;
      own->context = context;
      context->blocking_streams.push_back(own);
    }
    return own;
  }
  StreamPtr found = streams.find(handle);
  if (!found) fail(CUDA_ERROR_INVALID_HANDLE, "no such stream, or it has been destroyed");
  if (found->context != context) fail(CUDA_ERROR_INVALID_HANDLE, "the stream belongs to another context");
  return found;
}

std::shared_ptr<Function> Simulator::function(CUfunction handle) {
  auto found = functions.find(handle);
  if (!found) fail(CUDA_ERROR_INVALID_HANDLE, "no such function, or its module has been unloaded");
  return found;
}

void Simulator::require_device(CUdevice device) const {
  if (device < 0 || device >= configuration.num_devices) {
    fail(CUDA_ERROR_INVALID_DEVICE,
         "device " + std::to_string(device) + " of " + std::to_string(configuration.num_devices));
  }
}

void Simulator::require_device_range(const char* call, const Range& range, const char* role) {
  try {
    memory.host(range.address, range.num_bytes, role);
  } catch (const MemoryError& error) {
    log.found(call, error.what());
    fail(CUDA_ERROR_INVALID_VALUE, error.what());
  }
}

std::shared_ptr<Context> Simulator::new_context(int device, unsigned flags, bool primary) {
  auto context = std::make_shared<Context>();
  contexts.add(context);
  context->device = device;
  context->flags = flags;
  context->primary = primary;
  context->legacy = std::make_shared<Stream>();
  context->legacy->context = context;
  return context;
}

void Simulator::destroy(const std::shared_ptr<Context>& context) {
  queue.discard(*context);
  const auto belongs = [&](const auto& object) { return object.context == context; };
  captures.erase(std::remove_if(captures.begin(), captures.end(), [&](const auto& c) { return belongs(*c); }),
                 captures.end());
  streams.remove_if(belongs);
  events.remove_if(belongs);
  graph_execs.remove_if(belongs);
  functions.remove_if([&](const Function& function) { return belongs(*function.module); });
  modules.for_each([&](const std::shared_ptr<LoadedModule>& module) {
    if (!belongs(*module)) return;
    module->loaded = false;
    module->functions.clear();
  });
  modules.remove_if(belongs);
  for (auto i = allocations.begin(); i != allocations.end();) {
    if (i->second.context != context) {
      ++i;
      continue;
    }
    memory.free(i->first);
    used_bytes[context->device] -= i->second.num_bytes;
    i = allocations.erase(i);
  }
  context->alive = false;
  context->legacy = nullptr;  // these hold the context
  context->blocking_streams.clear();
  context->per_thread.clear();
  contexts.remove(context->handle);
}

void require_healthy(const Context& context) {
  if (!context.alive) fail(CUDA_ERROR_CONTEXT_IS_DESTROYED, "the context has been destroyed or reset");
  if (context.error != CUDA_SUCCESS) fail(context.error, "since an earlier error: " + context.error_message);
}

std::shared_ptr<Context> current_context() {
  if (context_stack.empty() || !context_stack.back()) {
    fail(CUDA_ERROR_INVALID_CONTEXT, "the thread has no current context");
  }
  return context_stack.back();
}

uint64_t checksum(const void* bytes, size_t num_bytes) {
  // Four independent FNV-1a style lanes of eight bytes: only changes are to be seen, speed matters more than quality.
  constexpr uint64_t kPrime = 0x9E3779B97F4A7C15;
  uint64_t lanes[4] = {1, 2, 3, 4};
  const auto* at = static_cast<const uint8_t*>(bytes);
  size_t i = 0;
  for (; i + 32 <= num_bytes; i += 32) {
    for (int lane = 0; lane < 4; ++lane) {
      uint64_t word;
      std::memcpy(&word, at + i + 8 * lane, 8);
      lanes[lane] = (lanes[lane] ^ word) * kPrime;
    }
  }
  uint64_t sum = lanes[0] ^ (lanes[1] << 1) ^ (lanes[2] << 2) ^ (lanes[3] << 3);
  for (; i < num_bytes; ++i) sum = (sum ^ at[i]) * kPrime;
  return sum;
}

}  // namespace winnow::gpusim
