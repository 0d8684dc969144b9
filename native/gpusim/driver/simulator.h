// The state behind the driver API: devices, contexts, memory, queued work. There is one per process. One lock guards
// it, and every call takes this lock. Kernels and host functions run under the lock, on the thread whose call
// synchronises.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "driver/cuda_types.h"
#include "driver/handles.h"
#include "driver/host_memory.h"
#include "driver/report_log.h"
#include "driver/work_queue.h"
#include "gpusim.h"

namespace winnow::gpusim {

struct Configuration {
  uint64_t seed = 0;  // of the order of queued work and, in the interpreter, of warps
  bool lazy_async_copies = true;
  bool checks = true;  // races, uninitialised reads
  int num_devices = 1;
  int compute_capability = 80;
  uint64_t memory_bytes = uint64_t{4} << 30;  // per device
};

// Thrown inside a call: its status, and the reason for the log.
struct DriverError : std::runtime_error {
  DriverError(CUresult code, const std::string& message) : std::runtime_error(message), code(code) {}
  CUresult code;
};
[[noreturn]] inline void fail(CUresult code, const std::string& message) { throw DriverError(code, message); }

struct Stream;

struct Context {
  CUcontext handle = nullptr;
  int device = 0;
  unsigned flags = 0;
  bool primary = false;
  int num_retained = 0;  // of a primary context
  bool alive = true;
  CUresult error = CUDA_SUCCESS;  // sticky: returned by every call until the context is reset
  std::string error_message;
  std::shared_ptr<Stream> legacy;
  std::map<std::thread::id, std::shared_ptr<Stream>> per_thread;
  std::vector<std::shared_ptr<Stream>> blocking_streams;  // those that the legacy stream waits for and makes wait
  std::map<int, size_t> limits;
};

struct LoadedModule {
  CUmodule handle = nullptr;
  std::shared_ptr<Context> context;
  std::shared_ptr<const Module> module;  // of all modules loaded from this text, unless it has global variables
  std::map<std::string, std::shared_ptr<Function>> functions;
  bool loaded = true;
};

struct Function {
  CUfunction handle = nullptr;
  std::shared_ptr<LoadedModule> module;
  const Kernel* kernel = nullptr;
  int max_dynamic_shared_bytes = 0;
};

struct Graph;
struct GraphNode;
using GraphNodePtr = std::shared_ptr<GraphNode>;

struct Capture {
  uint64_t id = 0;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  std::thread::id thread;
  bool invalidated = false;
  std::string reason;
  std::shared_ptr<Graph> graph;
  std::shared_ptr<Context> context;
  const Stream* origin = nullptr;
};

struct Stream {
  CUstream handle = nullptr;
  uint64_t id = 0;
  std::shared_ptr<Context> context;
  unsigned flags = 0;
  int priority = 0;
  bool destroyed = false;  // what it had queued goes on
  OperationPtr tail;
  std::shared_ptr<Capture> capture;
  std::vector<GraphNodePtr> capture_dependencies;
  bool legacy() const { return context->legacy.get() == this; }
  bool blocking() const { return !(flags & CU_STREAM_NON_BLOCKING); }
};
using StreamPtr = std::shared_ptr<Stream>;

struct Event {
  CUevent handle = nullptr;
  std::shared_ptr<Context> context;
  unsigned flags = 0;
  OperationPtr record;               // the latest, null before the first
  std::shared_ptr<Capture> capture;  // set when the latest record was captured
  std::vector<GraphNodePtr> capture_dependencies;
};

struct GraphNode {
  CUgraphNode handle = nullptr;
  std::weak_ptr<Graph> graph;
  std::shared_ptr<const Work> work;
  std::string call;
  std::vector<GraphNodePtr> dependencies;
  std::vector<const void*> parameter_pointers;  // into the work's arguments, for cuGraphKernelNodeGetParams
};

struct Graph {
  CUgraph handle = nullptr;
  std::vector<GraphNodePtr> nodes;  // each after its dependencies
};

struct GraphExec {
  CUgraphExec handle = nullptr;
  std::shared_ptr<Context> context;
  struct Node {
    CUgraphNode source;
    std::shared_ptr<const Work> work;
    std::string call;
    std::vector<size_t> dependencies;
  };
  std::vector<Node> nodes;
  OperationPtr last_launch;
};

struct DeviceAllocation {
  std::shared_ptr<Context> context;
  uint64_t num_bytes;
};

class Simulator {
 public:
  static Simulator& instance();

  // Environment: WINNOW_GPUSIM_DEVICES, WINNOW_GPUSIM_COMPUTE_CAPABILITY, WINNOW_GPUSIM_MEMORY_BYTES,
  // WINNOW_GPUSIM_SEED.
  void configure(const Configuration& configuration);
  void reset_devices();  // all contexts are lost

  // work --------------------------------------------------------------------------------------------------------------
  // Queues the work behind what the stream already has, or records it while the stream captures.
  void submit(const char* call, const StreamPtr& stream, Work work);
  // Queues it whatever the stream's state; a null work is a marker.
  OperationPtr enqueue(const char* call, const StreamPtr& stream, std::shared_ptr<const Work> work,
                       const std::vector<OperationPtr>& prerequisites);
  std::vector<OperationPtr> prerequisites(const Stream& stream);
  void synchronise(const Stream& stream) { queue.run(prerequisites(stream)); }
  void execute(Operation& operation);

  // look-up; each fails with the API's error --------------------------------------------------------------------------
  StreamPtr stream(CUstream handle, const std::shared_ptr<Context>& context);
  std::shared_ptr<Function> function(CUfunction handle);
  void require_device(CUdevice device) const;
  void require_device_range(const char* call, const Range& range, const char* role);

  // contexts ----------------------------------------------------------------------------------------------------------
  std::shared_ptr<Context> new_context(int device, unsigned flags, bool primary);
  void destroy(const std::shared_ptr<Context>& context);

  // capture -----------------------------------------------------------------------------------------------------------
  // cuStreamWaitEvent on an event that was recorded in a capture: the stream takes part in it from now on.
  void join_capture(Stream& stream, const Event& event);
  void invalidate(Capture& capture, const std::string& reason);
  // For calls that are not allowed while a capture of this thread (or a global one of another) goes on.
  void forbid_during_capture(const char* call);
  void forbid_in_capturing_stream(const char* call, const Stream& stream);

  std::mutex mutex;
  bool initialised = false;
  Configuration configuration;
  Memory memory;
  HostMemory host;
  ReportLog log;
  WorkQueue queue{[this](Operation& operation) { execute(operation); }};
  std::map<uint64_t, DeviceAllocation> allocations;
  std::vector<uint64_t> used_bytes;  // per device
  uint64_t copied_to_device_bytes = 0;
  uint64_t next_id = 1;

  Handles<CUcontext, Context> contexts;
  Handles<CUmodule, LoadedModule> modules;
  std::map<std::string, std::shared_ptr<const Module>> decoded;  // by text, those without global variables
  Handles<CUfunction, Function> functions;
  Handles<CUstream, Stream> streams;
  Handles<CUevent, Event> events;
  Handles<CUgraph, Graph> graphs;
  Handles<CUgraphNode, GraphNode> graph_nodes;
  Handles<CUgraphExec, GraphExec> graph_execs;
  std::vector<std::shared_ptr<Context>> primaries;  // per device
  std::vector<std::shared_ptr<Capture>> captures;   // going on

 private:
  Simulator();
  void execute_kernel(const KernelWork& work, Context& context, const Operation& operation);
  void execute_copy(const CopyWork& work, const Operation& operation);
  // The context's error from now on, and a finding.
  void lose(Context& context, const Operation& operation, CUresult error, const std::string& message);
};

// Set while a host function runs: it must not call the driver.
extern thread_local bool in_host_function;
extern thread_local std::vector<std::shared_ptr<Context>> context_stack;
extern thread_local CUstreamCaptureMode thread_capture_mode;

uint64_t checksum(const void* bytes, size_t num_bytes);

// Runs the body of a call under the lock. An exception becomes the status and an entry of the log. Calls that work
// without a context use this function, all others use context_call.
template <typename Body>
CUresult driver_call(const char* call, Body body) {
  Simulator& simulator = Simulator::instance();
  if (in_host_function) {  // this thread holds the lock
    simulator.log.found(call, "called from a host function, which must not use the driver");
    return CUDA_ERROR_NOT_PERMITTED;
  }
  std::lock_guard<std::mutex> lock(simulator.mutex);
  try {
    if (!simulator.initialised) fail(CUDA_ERROR_NOT_INITIALIZED, "cuInit has not been called");
    body(simulator);
    return CUDA_SUCCESS;
  } catch (const DriverError& error) {
    if (error.code != CUDA_ERROR_NOT_READY) simulator.log.refused.push_back({call, error.code, error.what()});
    return error.code;
  } catch (const std::bad_alloc&) {
    simulator.log.refused.push_back({call, CUDA_ERROR_OUT_OF_MEMORY, "the host has no memory"});
    return CUDA_ERROR_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    simulator.log.refused.push_back({call, CUDA_ERROR_UNKNOWN, error.what()});
    return CUDA_ERROR_UNKNOWN;
  }
}

// Fails where the context has a sticky error.
void require_healthy(const Context& context);
std::shared_ptr<Context> current_context();  // fails when the thread has none

template <typename Body>
CUresult context_call(const char* call, Body body) {
  return driver_call(call, [&](Simulator& simulator) {
    const std::shared_ptr<Context> context = current_context();
    require_healthy(*context);
    body(simulator, context);
  });
}

inline void require_pointer(const void* pointer, const char* name) {
  if (!pointer) fail(CUDA_ERROR_INVALID_VALUE, std::string(name) + " is null");
}

}  // namespace winnow::gpusim
