// Graphs: nodes added by hand or captured, executable copies of them, launches.
#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "driver/cuda_api.h"
#include "driver/launch.h"
#include "driver/simulator.h"

namespace winnow::gpusim {
namespace {

using ContextPtr = std::shared_ptr<Context>;

std::shared_ptr<Graph> find_graph(Simulator& simulator, CUgraph handle) {
  auto found = simulator.graphs.find(handle);
  if (!found) fail(CUDA_ERROR_INVALID_VALUE, "no such graph, or it has been destroyed");
  return found;
}

GraphNodePtr find_node(Simulator& simulator, CUgraphNode handle) {
  auto found = simulator.graph_nodes.find(handle);
  if (!found) fail(CUDA_ERROR_INVALID_VALUE, "no such node, or its graph has been destroyed");
  return found;
}

std::shared_ptr<GraphExec> find_exec(Simulator& simulator, CUgraphExec handle) {
  auto found = simulator.graph_execs.find(handle);
  if (!found) fail(CUDA_ERROR_INVALID_VALUE, "no such executable graph, or it has been destroyed");
  return found;
}

CUgraphNodeType type_of(const Work& work) {
  if (std::holds_alternative<KernelWork>(work)) return CU_GRAPH_NODE_TYPE_KERNEL;
  if (std::holds_alternative<CopyWork>(work)) return CU_GRAPH_NODE_TYPE_MEMCPY;
  if (std::holds_alternative<FillWork>(work)) return CU_GRAPH_NODE_TYPE_MEMSET;
  if (std::holds_alternative<HostWork>(work)) return CU_GRAPH_NODE_TYPE_HOST;
  return CU_GRAPH_NODE_TYPE_EMPTY;
}

KernelWork kernel_work(Simulator& simulator, const CUDA_KERNEL_NODE_PARAMS& p) {
  return kernel_work(simulator, p.func, {p.gridDimX, p.gridDimY, p.gridDimZ}, {p.blockDimX, p.blockDimY, p.blockDimZ},
                     p.sharedMemBytes, p.kernelParams, p.extra);
}

CUresult add_node(const char* call, CUgraphNode* handle, CUgraph graph_handle, const CUgraphNode* dependencies,
                  size_t num_dependencies, const void* parameters, const std::function<Work(Simulator&)>& make) {
  return context_call(call, [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(handle, "node");
    require_pointer(parameters, "parameters");
    const auto graph = find_graph(simulator, graph_handle);
    auto node = std::make_shared<GraphNode>();
    for (size_t i = 0; i < num_dependencies; ++i) {
      node->dependencies.push_back(find_node(simulator, dependencies[i]));
      if (node->dependencies.back()->graph.lock() != graph) {
        fail(CUDA_ERROR_INVALID_VALUE, "a dependency belongs to another graph");
      }
    }
    node->work = std::make_shared<const Work>(make(simulator));
    node->graph = graph;
    node->call = call;
    *handle = simulator.graph_nodes.add(node);
    graph->nodes.push_back(node);
  });
}

// One row of contiguous bytes between linear memories: all that the stand-in copies.
CopyWork copy_work(Simulator& simulator, const CUDA_MEMCPY3D& p) {
  const auto linear = [](CUmemorytype type) { return type == CU_MEMORYTYPE_HOST || type == CU_MEMORYTYPE_DEVICE; };
  if (p.Height != 1 || p.Depth != 1 || p.srcY || p.srcZ || p.dstY || p.dstZ || !linear(p.srcMemoryType) ||
      !linear(p.dstMemoryType) || (p.srcMemoryType == CU_MEMORYTYPE_HOST && p.dstMemoryType == CU_MEMORYTYPE_HOST)) {
    fail(CUDA_ERROR_NOT_SUPPORTED, "a copy of more than one row, of arrays, or from host to host");
  }
  CopyWork work;
  work.num_bytes = p.WidthInBytes;
  work.from =
      p.srcXInBytes + (p.srcMemoryType == CU_MEMORYTYPE_HOST ? reinterpret_cast<uint64_t>(p.srcHost) : p.srcDevice);
  work.to =
      p.dstXInBytes + (p.dstMemoryType == CU_MEMORYTYPE_HOST ? reinterpret_cast<uint64_t>(p.dstHost) : p.dstDevice);
  work.kind = p.srcMemoryType == CU_MEMORYTYPE_HOST   ? CopyKind::kHostToDevice
              : p.dstMemoryType == CU_MEMORYTYPE_HOST ? CopyKind::kDeviceToHost
                                                      : CopyKind::kDeviceToDevice;
  for (const Range& range : {host_source(work), host_target(work)}) {
    if (range.num_bytes && simulator.host.state(range) != HostMemory::State::kPinned) {
      fail(CUDA_ERROR_NOT_SUPPORTED, "a copy node with pageable host memory");
    }
  }
  return work;
}

std::vector<GraphExec::Node> executable_nodes(const Graph& graph) {
  std::unordered_map<const GraphNode*, size_t> index;
  std::vector<GraphExec::Node> nodes;
  for (const GraphNodePtr& node : graph.nodes) {
    index[node.get()] = nodes.size();
    nodes.push_back({node->handle, node->work, node->call, {}});
    for (const GraphNodePtr& before : node->dependencies) nodes.back().dependencies.push_back(index.at(before.get()));
  }
  return nodes;
}

// Writes as many handles as the caller has room for, and how many there are.
void answer(const std::vector<CUgraphNode>& found, CUgraphNode* handles, size_t* count) {
  require_pointer(count, "count");
  if (handles) {
    for (size_t i = 0; i < *count; ++i) handles[i] = i < found.size() ? found[i] : nullptr;
    *count = std::min(*count, found.size());
  } else {
    *count = found.size();
  }
}

void instantiate(Simulator& simulator, const ContextPtr& context, CUgraphExec* handle, CUgraph graph) {
  require_pointer(handle, "executable");
  auto executable = std::make_shared<GraphExec>();
  executable->nodes = executable_nodes(*find_graph(simulator, graph));
  executable->context = context;
  *handle = simulator.graph_execs.add(executable);
}

}  // namespace

extern "C" {

CUresult cuGraphCreate(CUgraph* handle, unsigned flags) {
  return driver_call("cuGraphCreate", [&](Simulator& simulator) {
    require_pointer(handle, "graph");
    if (flags != 0) fail(CUDA_ERROR_INVALID_VALUE, "flags are " + std::to_string(flags));
    *handle = simulator.graphs.add(std::make_shared<Graph>());
  });
}

CUresult cuGraphDestroy(CUgraph handle) {
  return driver_call("cuGraphDestroy", [&](Simulator& simulator) {
    const auto graph = find_graph(simulator, handle);
    for (const GraphNodePtr& node : graph->nodes) simulator.graph_nodes.remove(node->handle);
    simulator.graphs.remove(handle);
  });
}

CUresult cuGraphClone(CUgraph* handle, CUgraph original) {
  return driver_call("cuGraphClone", [&](Simulator& simulator) {
    require_pointer(handle, "clone");
    const auto source = find_graph(simulator, original);
    auto graph = std::make_shared<Graph>();
    std::unordered_map<const GraphNode*, GraphNodePtr> copies;
    for (const GraphNodePtr& node : source->nodes) {
      auto copy = std::make_shared<GraphNode>();
      copy->graph = graph;
      copy->work = node->work;
      copy->call = node->call;
      for (const GraphNodePtr& before : node->dependencies) copy->dependencies.push_back(copies.at(before.get()));
      simulator.graph_nodes.add(copy);
      copies[node.get()] = copy;
      graph->nodes.push_back(copy);
    }
    *handle = simulator.graphs.add(graph);
  });
}

CUresult cuGraphAddKernelNode_v2(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                                 size_t num_dependencies, const CUDA_KERNEL_NODE_PARAMS* parameters) {
  return add_node("cuGraphAddKernelNode", node, graph, dependencies, num_dependencies, parameters,
                  [&](Simulator& simulator) { return kernel_work(simulator, *parameters); });
}

CUresult cuGraphAddMemcpyNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                              size_t num_dependencies, const CUDA_MEMCPY3D* parameters, CUcontext) {
  return add_node("cuGraphAddMemcpyNode", node, graph, dependencies, num_dependencies, parameters,
                  [&](Simulator& simulator) { return copy_work(simulator, *parameters); });
}

CUresult cuGraphAddMemsetNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                              size_t num_dependencies, const CUDA_MEMSET_NODE_PARAMS* parameters, CUcontext) {
  return add_node(
      "cuGraphAddMemsetNode", node, graph, dependencies, num_dependencies, parameters, [&](Simulator& simulator) {
        const CUDA_MEMSET_NODE_PARAMS& p = *parameters;
        if (p.height != 1) fail(CUDA_ERROR_NOT_SUPPORTED, "a fill of more than one row");
        if (p.elementSize != 1 && p.elementSize != 2 && p.elementSize != 4) {
          fail(CUDA_ERROR_INVALID_VALUE, "elements of " + std::to_string(p.elementSize) + " bytes");
        }
        simulator.require_device_range("cuGraphAddMemsetNode", {p.dst, p.width * p.elementSize}, "target of a fill");
        return FillWork{p.dst, p.width, p.value, p.elementSize};
      });
}

CUresult cuGraphAddHostNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies, size_t num_dependencies,
                            const CUDA_HOST_NODE_PARAMS* parameters) {
  return add_node("cuGraphAddHostNode", node, graph, dependencies, num_dependencies, parameters, [&](Simulator&) {
    if (!parameters->fn) fail(CUDA_ERROR_INVALID_VALUE, "the function is null");
    return HostWork{parameters->fn, parameters->userData};
  });
}

CUresult cuGraphAddEmptyNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                             size_t num_dependencies) {
  return add_node("cuGraphAddEmptyNode", node, graph, dependencies, num_dependencies, "",
                  [](Simulator&) { return EmptyWork(); });
}

CUresult cuGraphGetNodes(CUgraph handle, CUgraphNode* nodes, size_t* num_nodes) {
  return driver_call("cuGraphGetNodes", [&](Simulator& simulator) {
    std::vector<CUgraphNode> found;
    for (const GraphNodePtr& node : find_graph(simulator, handle)->nodes) found.push_back(node->handle);
    answer(found, nodes, num_nodes);
  });
}

CUresult cuGraphGetRootNodes(CUgraph handle, CUgraphNode* nodes, size_t* num_nodes) {
  return driver_call("cuGraphGetRootNodes", [&](Simulator& simulator) {
    std::vector<CUgraphNode> found;
    for (const GraphNodePtr& node : find_graph(simulator, handle)->nodes) {
      if (node->dependencies.empty()) found.push_back(node->handle);
    }
    answer(found, nodes, num_nodes);
  });
}

CUresult cuGraphGetEdges_v2(CUgraph handle, CUgraphNode* from, CUgraphNode* to, CUgraphEdgeData* edges,
                            size_t* num_edges) {
  return driver_call("cuGraphGetEdges", [&](Simulator& simulator) {
    require_pointer(num_edges, "num_edges");
    if (!from != !to) fail(CUDA_ERROR_INVALID_VALUE, "one of from and to is null");
    std::vector<CUgraphNode> starts, ends;
    for (const GraphNodePtr& node : find_graph(simulator, handle)->nodes) {
      for (const GraphNodePtr& before : node->dependencies) {
        starts.push_back(before->handle);
        ends.push_back(node->handle);
      }
    }
    size_t room = *num_edges;
    answer(starts, from, num_edges);
    answer(ends, to, &room);
    if (edges) std::memset(edges, 0, *num_edges * sizeof(CUgraphEdgeData));
  });
}

CUresult cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType* type) {
  return driver_call("cuGraphNodeGetType", [&](Simulator& simulator) {
    require_pointer(type, "type");
    *type = type_of(*find_node(simulator, handle)->work);
  });
}

CUresult cuGraphNodeGetDependencies_v2(CUgraphNode handle, CUgraphNode* dependencies, CUgraphEdgeData* edges,
                                       size_t* num_dependencies) {
  return driver_call("cuGraphNodeGetDependencies", [&](Simulator& simulator) {
    std::vector<CUgraphNode> found;
    for (const GraphNodePtr& before : find_node(simulator, handle)->dependencies) found.push_back(before->handle);
    answer(found, dependencies, num_dependencies);
    if (edges) std::memset(edges, 0, *num_dependencies * sizeof(CUgraphEdgeData));
  });
}

CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode handle, CUDA_KERNEL_NODE_PARAMS* parameters) {
  return driver_call("cuGraphKernelNodeGetParams", [&](Simulator& simulator) {
    require_pointer(parameters, "parameters");
    const auto node = find_node(simulator, handle);
    const auto* work = std::get_if<KernelWork>(node->work.get());
    if (!work) fail(CUDA_ERROR_INVALID_VALUE, "not a kernel node");
    node->parameter_pointers.clear();
    for (const Parameter& parameter : work->function->kernel->parameters) {
      node->parameter_pointers.push_back(work->arguments.data() + parameter.offset);
    }
    *parameters = {};
    parameters->func = work->function->handle;
    parameters->gridDimX = work->grid.x, parameters->gridDimY = work->grid.y, parameters->gridDimZ = work->grid.z;
    parameters->blockDimX = work->block.x, parameters->blockDimY = work->block.y, parameters->blockDimZ = work->block.z;
    parameters->sharedMemBytes = work->dynamic_shared_bytes;
    parameters->kernelParams = const_cast<void**>(node->parameter_pointers.data());
    parameters->ctx = work->function->module->context->handle;
  });
}

CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode handle, const CUDA_KERNEL_NODE_PARAMS* parameters) {
  return context_call("cuGraphKernelNodeSetParams", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(parameters, "parameters");
    const auto node = find_node(simulator, handle);
    if (!std::holds_alternative<KernelWork>(*node->work)) fail(CUDA_ERROR_INVALID_VALUE, "not a kernel node");
    node->work = std::make_shared<const Work>(kernel_work(simulator, *parameters));
  });
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph graph, unsigned long long) {
  return context_call("cuGraphInstantiate", [&](Simulator& simulator, const ContextPtr& context) {
    instantiate(simulator, context, executable, graph);
  });
}

CUresult cuGraphInstantiateWithParams(CUgraphExec* executable, CUgraph graph,
                                      CUDA_GRAPH_INSTANTIATE_PARAMS* parameters) {
  return context_call("cuGraphInstantiateWithParams", [&](Simulator& simulator, const ContextPtr& context) {
    require_pointer(parameters, "parameters");
    instantiate(simulator, context, executable, graph);
    parameters->hErrNode_out = nullptr;
    parameters->result_out = 0;
  });
}

CUresult cuGraphExecDestroy(CUgraphExec handle) {
  return driver_call("cuGraphExecDestroy", [&](Simulator& simulator) {
    find_exec(simulator, handle);
    simulator.graph_execs.remove(handle);  // a launch that is queued holds its work
  });
}

CUresult cuGraphExecUpdate_v2(CUgraphExec handle, CUgraph graph, CUgraphExecUpdateResultInfo* result) {
  return context_call("cuGraphExecUpdate", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(result, "result");
    const auto executable = find_exec(simulator, handle);
    auto next = executable_nodes(*find_graph(simulator, graph));
    const auto refuse = [&](CUgraphExecUpdateResult why, CUgraphNode node, const std::string& message) {
      *result = {why, node, nullptr};
      fail(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, message);
    };
    if (next.size() != executable->nodes.size()) {
      refuse(CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, nullptr,
             std::to_string(next.size()) + " nodes instead of " + std::to_string(executable->nodes.size()));
    }
    for (size_t i = 0; i < next.size(); ++i) {
      const GraphExec::Node& old = executable->nodes[i];
      if (type_of(*next[i].work) != type_of(*old.work)) {
        refuse(CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED, next[i].source,
               "node " + std::to_string(i) + " has another type");
      }
      if (next[i].dependencies != old.dependencies) {
        refuse(CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, next[i].source,
               "node " + std::to_string(i) + " has other dependencies");
      }
    }
    for (size_t i = 0; i < next.size(); ++i) next[i].source = executable->nodes[i].source;
    executable->nodes = std::move(next);
    *result = {CU_GRAPH_EXEC_UPDATE_SUCCESS, nullptr, nullptr};
  });
}

CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec handle, CUgraphNode source,
                                           const CUDA_KERNEL_NODE_PARAMS* parameters) {
  return context_call("cuGraphExecKernelNodeSetParams", [&](Simulator& simulator, const ContextPtr&) {
    require_pointer(parameters, "parameters");
    for (GraphExec::Node& node : find_exec(simulator, handle)->nodes) {
      if (node.source != source) continue;
      if (!std::holds_alternative<KernelWork>(*node.work)) fail(CUDA_ERROR_INVALID_VALUE, "not a kernel node");
      node.work = std::make_shared<const Work>(kernel_work(simulator, *parameters));
      return;
    }
    fail(CUDA_ERROR_INVALID_VALUE, "the executable graph was not made from that node's graph");
  });
}

CUresult cuGraphUpload(CUgraphExec handle, CUstream stream) {
  return context_call("cuGraphUpload", [&](Simulator& simulator, const ContextPtr& context) {
    find_exec(simulator, handle);
    simulator.stream(stream, context);
  });
}

CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream_handle) {
  return context_call("cuGraphLaunch", [&](Simulator& simulator, const ContextPtr& context) {
    const auto executable = find_exec(simulator, handle);
    const StreamPtr stream = simulator.stream(stream_handle, context);
    if (stream->capture) {
      simulator.invalidate(*stream->capture, "cuGraphLaunch: child graphs are not implemented");
      fail(CUDA_ERROR_NOT_SUPPORTED, "child graphs are not implemented");
    }
    ++simulator.log.graph_launches;
    // After what the stream has and after the graph's previous launch; the stream goes on after all nodes.
    std::vector<OperationPtr> start = simulator.prerequisites(*stream), operations;
    start.push_back(executable->last_launch);
    for (const GraphExec::Node& node : executable->nodes) {
      std::vector<OperationPtr> before;
      for (size_t i : node.dependencies) before.push_back(operations[i]);
      operations.push_back(simulator.enqueue(node.call.c_str(), stream, node.work, before.empty() ? start : before));
    }
    operations.insert(operations.end(), start.begin(), start.end());
    stream->tail = executable->last_launch =
        simulator.enqueue("cuGraphLaunch", stream, std::make_shared<const Work>(EmptyWork()), operations);
  });
}

}  // extern "C"
}  // namespace winnow::gpusim
