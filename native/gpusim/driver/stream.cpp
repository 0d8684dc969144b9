// Streams and events. Their order is the operations' prerequisites; nothing here executes before something
// synchronises.
#include "driver/cuda_api.h"
#include "driver/simulator.h"

namespace winnow::gpusim {
namespace {

using ContextPtr = std::shared_ptr<Context>;

std::shared_ptr<Event> find_event(Simulator& simulator, CUevent handle) {
  auto found = simulator.events.find(handle);
  if (!found) fail(CUDA_ERROR_INVALID_HANDLE, "no such event, or it has been destroyed");
  return found;
}

void create_stream(Simulator& simulator, const ContextPtr& context, CUstream* handle, unsigned flags, int priority) {
  require_pointer(handle, "stream");
  if (flags & ~CU_STREAM_NON_BLOCKING) fail(CUDA_ERROR_INVALID_VALUE, "flags are " + std::to_string(flags));
  auto stream = std::make_shared<Stream>();
  *handle = simulator.streams.add(stream);
  stream->id = simulator.next_id++;
  stream->context = context;
  stream->flags = flags;
  stream->priority = std::min(0, std::max(-5, priority));
  if (stream->blocking()) context->blocking_streams.push_back(stream);
}

// Recorded while a stream captures: its node is no operation, so the host cannot wait for it.
void require_not_captured(Simulator& simulator, const char* call, const Event& event) {
  if (!event.capture) return;
  simulator.invalidate(*event.capture, std::string(call) + " on an event recorded in the capture");
  fail(CUDA_ERROR_CAPTURED_EVENT, "the event was last recorded in a capturing stream");
}

CUresult record(const char* call, CUevent handle, CUstream stream_handle) {
  return context_call(call, [&](Simulator& simulator, const ContextPtr& context) {
    const auto event = find_event(simulator, handle);
    const auto stream = simulator.stream(stream_handle, context);
    if (event->context != context) fail(CUDA_ERROR_INVALID_HANDLE, "event and stream belong to different contexts");
    if (stream->capture) {
      if (stream->capture->invalidated) fail(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, stream->capture->reason);
      event->capture = stream->capture;
      event->capture_dependencies = stream->capture_dependencies;
      return;
    }
    simulator.submit(call, stream, EmptyWork());
    event->record = stream->tail;
    event->capture = nullptr;
    event->capture_dependencies.clear();
  });
}

template <typename Read>
CUresult stream_property(const char* call, CUstream handle, const void* out, Read read) {
  return context_call(call, [&](Simulator& simulator, const ContextPtr& context) {
    require_pointer(out, "result");
    read(*simulator.stream(handle, context));
  });
}

}  // namespace

extern "C" {

CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
  return context_call("cuStreamCreate", [&](Simulator& simulator, const ContextPtr& context) {
    create_stream(simulator, context, stream, flags, 0);
  });
}

CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int priority) {
  return context_call("cuStreamCreateWithPriority", [&](Simulator& simulator, const ContextPtr& context) {
    create_stream(simulator, context, stream, flags, priority);
  });
}

CUresult cuStreamDestroy_v2(CUstream handle) {
  return context_call("cuStreamDestroy", [&](Simulator& simulator, const ContextPtr& context) {
    if (reinterpret_cast<uintptr_t>(handle) <= CU_STREAM_PER_THREAD) {
      fail(CUDA_ERROR_INVALID_HANDLE, "the default streams are not destroyed");
    }
    const auto stream = simulator.stream(handle, context);
    simulator.forbid_in_capturing_stream("cuStreamDestroy", *stream);
    stream->destroyed = true;
    simulator.streams.remove(handle);
  });
}

CUresult cuStreamGetFlags(CUstream stream, unsigned* flags) {
  return stream_property("cuStreamGetFlags", stream, flags, [&](const Stream& s) { *flags = s.flags; });
}
CUresult cuStreamGetPriority(CUstream stream, int* priority) {
  return stream_property("cuStreamGetPriority", stream, priority, [&](const Stream& s) { *priority = s.priority; });
}
CUresult cuStreamGetId(CUstream stream, unsigned long long* id) {
  return stream_property("cuStreamGetId", stream, id, [&](const Stream& s) { *id = s.id; });
}
CUresult cuStreamGetCtx(CUstream stream, CUcontext* context) {
  return stream_property("cuStreamGetCtx", stream, context, [&](const Stream& s) { *context = s.context->handle; });
}
CUresult cuStreamGetCtx_v2(CUstream stream, CUcontext* context, CUgreenCtx* green_context) {
  if (green_context) *green_context = nullptr;
  return cuStreamGetCtx(stream, context);
}
CUresult cuStreamGetDevice(CUstream stream, CUdevice* device) {
  return stream_property("cuStreamGetDevice", stream, device, [&](const Stream& s) { *device = s.context->device; });
}

CUresult cuStreamQuery(CUstream handle) {
  return context_call("cuStreamQuery", [&](Simulator& simulator, const ContextPtr& context) {
    const auto stream = simulator.stream(handle, context);
    simulator.forbid_in_capturing_stream("cuStreamQuery", *stream);
    const bool done = simulator.queue.advance(simulator.prerequisites(*stream));
    require_healthy(*context);
    if (!done) fail(CUDA_ERROR_NOT_READY, "work is queued");
  });
}

CUresult cuStreamSynchronize(CUstream handle) {
  return context_call("cuStreamSynchronize", [&](Simulator& simulator, const ContextPtr& context) {
    const auto stream = simulator.stream(handle, context);
    simulator.forbid_in_capturing_stream("cuStreamSynchronize", *stream);
    simulator.synchronise(*stream);
    require_healthy(*context);
  });
}

CUresult cuStreamWaitEvent(CUstream handle, CUevent event_handle, unsigned flags) {
  return context_call("cuStreamWaitEvent", [&](Simulator& simulator, const ContextPtr& context) {
    if (flags != 0) fail(CUDA_ERROR_NOT_SUPPORTED, "flags are " + std::to_string(flags));
    const auto stream = simulator.stream(handle, context);
    const auto event = find_event(simulator, event_handle);
    if (event->capture) {
      simulator.join_capture(*stream, *event);
    } else if (stream->capture) {
      simulator.invalidate(*stream->capture, "cuStreamWaitEvent on an event recorded outside the capture");
      fail(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "the event was recorded outside the capture");
    } else if (event->record && !event->record->done) {
      auto before = simulator.prerequisites(*stream);
      before.push_back(event->record);
      stream->tail = simulator.enqueue("cuStreamWaitEvent", stream, std::make_shared<const Work>(EmptyWork()), before);
    }
  });
}

CUresult cuEventCreate(CUevent* handle, unsigned flags) {
  return context_call("cuEventCreate", [&](Simulator& simulator, const ContextPtr& context) {
    require_pointer(handle, "event");
    if (flags & CU_EVENT_INTERPROCESS) fail(CUDA_ERROR_NOT_SUPPORTED, "events of several processes");
    if (flags & ~(CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING)) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags are " + std::to_string(flags));
    }
    auto event = std::make_shared<Event>();
    *handle = simulator.events.add(event);
    event->context = context;
    event->flags = flags;
  });
}

CUresult cuEventDestroy_v2(CUevent handle) {
  return context_call("cuEventDestroy", [&](Simulator& simulator, const ContextPtr&) {
    find_event(simulator, handle);
    simulator.events.remove(handle);  // work that waits for the record goes on waiting for it
  });
}

CUresult cuEventRecord(CUevent event, CUstream stream) { return record("cuEventRecord", event, stream); }

CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned flags) {
  if (flags != 0) {
    return driver_call("cuEventRecordWithFlags",
                       [&](Simulator&) { fail(CUDA_ERROR_NOT_SUPPORTED, "flags are " + std::to_string(flags)); });
  }
  return record("cuEventRecordWithFlags", event, stream);
}

CUresult cuEventQuery(CUevent handle) {
  return context_call("cuEventQuery", [&](Simulator& simulator, const ContextPtr& context) {
    const auto event = find_event(simulator, handle);
    require_not_captured(simulator, "cuEventQuery", *event);
    simulator.forbid_during_capture("cuEventQuery");
    const bool done = simulator.queue.advance({event->record});
    require_healthy(*context);
    if (!done) fail(CUDA_ERROR_NOT_READY, "the event is not reached");
  });
}

CUresult cuEventSynchronize(CUevent handle) {
  return context_call("cuEventSynchronize", [&](Simulator& simulator, const ContextPtr& context) {
    const auto event = find_event(simulator, handle);
    require_not_captured(simulator, "cuEventSynchronize", *event);
    simulator.forbid_during_capture("cuEventSynchronize");
    simulator.queue.run({event->record});
    require_healthy(*context);
  });
}

CUresult cuEventElapsedTime_v2(float* milliseconds, CUevent start_handle, CUevent end_handle) {
  return context_call("cuEventElapsedTime", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(milliseconds, "milliseconds");
    const auto start = find_event(simulator, start_handle), end = find_event(simulator, end_handle);
    for (const auto& event : {start, end}) {
      if (event->flags & CU_EVENT_DISABLE_TIMING)
        fail(CUDA_ERROR_INVALID_HANDLE, "an event was created without timing");
      if (!event->record || event->capture) fail(CUDA_ERROR_INVALID_HANDLE, "an event has not been recorded");
    }
    for (const auto& event : {start, end}) {
      if (!event->record->done) fail(CUDA_ERROR_NOT_READY, "an event is not reached");
    }
    *milliseconds = static_cast<float>(end->record->completed_ms - start->record->completed_ms);
  });
}

}  // extern "C"
}  // namespace winnow::gpusim
