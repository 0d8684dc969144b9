// Stream capture: work is recorded as graph nodes; a call that a device could not replay spoils the capture.
#include <algorithm>
#include <unordered_set>

#include "driver/cuda_api.h"
#include "driver/simulator.h"

namespace winnow::gpusim {

using ContextPtr = std::shared_ptr<Context>;

void Simulator::invalidate(Capture& capture, const std::string& reason) {
  if (capture.invalidated) return;
  capture.invalidated = true;
  capture.reason = "the capture was invalidated by " + reason;
}

void Simulator::forbid_during_capture(const char* call) {
  if (thread_capture_mode == CU_STREAM_CAPTURE_MODE_RELAXED) return;
  for (const auto& capture : captures) {
    const bool own = capture->thread == std::this_thread::get_id();
    const bool forbidden =
        own ? capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED
            : capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL && thread_capture_mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
    if (!forbidden) continue;
    invalidate(*capture, std::string(call) + " during the capture");
    fail(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "not allowed while a stream captures");
  }
}

void Simulator::forbid_in_capturing_stream(const char* call, const Stream& stream) {
  if (stream.capture) {
    invalidate(*stream.capture, std::string(call) + " on a capturing stream");
    fail(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "the stream captures");
  }
  if (!stream.legacy()) return;
  for (const auto& capture : captures) {
    if (capture->context != stream.context || !capture->origin->blocking()) continue;
    invalidate(*capture, std::string(call) + " on the legacy stream");
    fail(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "the legacy stream would depend on a blocking stream that captures");
  }
}

void Simulator::join_capture(Stream& stream, const Event& event) {
  if (event.capture->invalidated) fail(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, event.capture->reason);
  if (std::find(captures.begin(), captures.end(), event.capture) == captures.end()) {
    fail(CUDA_ERROR_INVALID_VALUE, "the event was recorded in a capture that has ended");
  }
  if (stream.legacy()) {
    invalidate(*event.capture, "cuStreamWaitEvent in the legacy stream");
    fail(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "the legacy stream cannot join a capture");
  }
  if (stream.capture && stream.capture != event.capture) {
    invalidate(*stream.capture, "cuStreamWaitEvent on an event of another capture");
    invalidate(*event.capture, "cuStreamWaitEvent in a stream of another capture");
    fail(CUDA_ERROR_STREAM_CAPTURE_MERGE, "two captures would be merged");
  }
  stream.capture = event.capture;
  for (const GraphNodePtr& node : event.capture_dependencies) {
    auto& known = stream.capture_dependencies;
    if (std::find(known.begin(), known.end(), node) == known.end()) known.push_back(node);
  }
}

namespace {

// Whether every node leads to one of `ends`: work in other streams has been joined.
bool all_joined(const Graph& graph, const std::vector<GraphNodePtr>& ends) {
  std::unordered_set<const GraphNode*> reached;
  std::vector<const GraphNode*> open;
  for (const GraphNodePtr& node : ends) open.push_back(node.get());
  while (!open.empty()) {
    const GraphNode* node = open.back();
    open.pop_back();
    if (!reached.insert(node).second) continue;
    for (const GraphNodePtr& before : node->dependencies) open.push_back(before.get());
  }
  return reached.size() == graph.nodes.size();
}

void end_capture(Simulator& simulator, const std::shared_ptr<Capture>& capture) {
  simulator.streams.for_each([&](const StreamPtr& stream) {
    if (stream->capture != capture) return;
    stream->capture = nullptr;
    stream->capture_dependencies.clear();
  });
  for (const auto& [thread, stream] : capture->context->per_thread) {
    if (stream->capture != capture) continue;
    stream->capture = nullptr;
    stream->capture_dependencies.clear();
  }
  auto& captures = simulator.captures;
  captures.erase(std::find(captures.begin(), captures.end(), capture));
}

void drop_graph(Simulator& simulator, const Graph& graph) {
  for (const GraphNodePtr& node : graph.nodes) simulator.graph_nodes.remove(node->handle);
  simulator.graphs.remove(graph.handle);
}

}  // namespace

extern "C" {

CUresult cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
  return context_call("cuStreamBeginCapture", [&](Simulator& simulator, const ContextPtr& context) {
    const auto stream = simulator.stream(handle, context);
    if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED) {
      fail(CUDA_ERROR_INVALID_VALUE, "mode is " + std::to_string(mode));
    }
    if (stream->legacy()) fail(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "the legacy stream cannot capture");
    if (stream->capture) fail(CUDA_ERROR_ILLEGAL_STATE, "the stream captures already");
    auto capture = std::make_shared<Capture>();
    capture->id = simulator.next_id++;
    capture->mode = mode;
    capture->thread = std::this_thread::get_id();
    capture->graph = std::make_shared<Graph>();
    capture->context = context;
    capture->origin = stream.get();
    simulator.graphs.add(capture->graph);
    stream->capture = capture;
    simulator.captures.push_back(capture);
  });
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph* graph) {
  return context_call("cuStreamEndCapture", [&](Simulator& simulator, const ContextPtr& context) {
    require_pointer(graph, "graph");
    *graph = nullptr;
    const auto stream = simulator.stream(handle, context);
    const auto capture = stream->capture;
    if (!capture) fail(CUDA_ERROR_ILLEGAL_STATE, "the stream does not capture");
    if (capture->origin != stream.get()) {
      simulator.invalidate(*capture, "cuStreamEndCapture in a stream that did not begin it");
      fail(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "the capture began in another stream");
    }
    if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->thread != std::this_thread::get_id()) {
      fail(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "the capture began in another thread");
    }
    const bool joined = all_joined(*capture->graph, stream->capture_dependencies);
    end_capture(simulator, capture);
    if (capture->invalidated || !joined) drop_graph(simulator, *capture->graph);
    if (capture->invalidated) fail(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, capture->reason);
    if (!joined) fail(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "a stream that joined the capture was not waited for");
    *graph = capture->graph->handle;
  });
}

CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus* status) {
  return context_call("cuStreamIsCapturing", [&](Simulator& simulator, const ContextPtr& context) {
    require_pointer(status, "status");
    const auto stream = simulator.stream(handle, context);
    *status = !stream->capture               ? CU_STREAM_CAPTURE_STATUS_NONE
              : stream->capture->invalidated ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                             : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  });
}

CUresult cuStreamGetCaptureInfo_v3(CUstream handle, CUstreamCaptureStatus* status, uint64_t* id, CUgraph* graph,
                                   const CUgraphNode** dependencies, const CUgraphEdgeData** edges,
                                   size_t* num_dependencies) {
  return context_call("cuStreamGetCaptureInfo", [&](Simulator& simulator, const ContextPtr& context) {
    require_pointer(status, "status");
    const auto stream = simulator.stream(handle, context);
    *status = !stream->capture               ? CU_STREAM_CAPTURE_STATUS_NONE
              : stream->capture->invalidated ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                             : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    if (*status != CU_STREAM_CAPTURE_STATUS_ACTIVE) return;
    static thread_local std::vector<CUgraphNode> handles;  // valid until this thread asks again
    static thread_local std::vector<CUgraphEdgeData> full_edges;
    handles.clear();
    for (const GraphNodePtr& node : stream->capture_dependencies) handles.push_back(node->handle);
    full_edges.assign(handles.size(), {});
    if (id) *id = stream->capture->id;
    if (graph) *graph = stream->capture->graph->handle;
    if (dependencies) *dependencies = handles.data();
    if (edges) *edges = full_edges.data();
    if (num_dependencies) *num_dependencies = handles.size();
  });
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  return driver_call("cuThreadExchangeStreamCaptureMode", [&](Simulator&) {
    require_pointer(mode, "mode");
    if (*mode < CU_STREAM_CAPTURE_MODE_GLOBAL || *mode > CU_STREAM_CAPTURE_MODE_RELAXED) {
      fail(CUDA_ERROR_INVALID_VALUE, "mode is " + std::to_string(*mode));
    }
    std::swap(*mode, thread_capture_mode);
  });
}

}  // extern "C"
}  // namespace winnow::gpusim
