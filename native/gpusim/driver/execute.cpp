// Executing queued work: what the device would do.
#include <cstring>

#include "driver/simulator.h"

namespace winnow::gpusim {

void Simulator::execute(Operation& operation) {
  Context& context = *operation.context;
  if (context.error != CUDA_SUCCESS) return;  // a device that has faulted runs nothing any more
  try {
    if (const auto* kernel = std::get_if<KernelWork>(operation.work.get())) {
      execute_kernel(*kernel, context, operation);
    } else if (const auto* copy = std::get_if<CopyWork>(operation.work.get())) {
      execute_copy(*copy, operation);
    } else if (const auto* fill = std::get_if<FillWork>(operation.work.get())) {
      const uint64_t num_bytes = fill->count * fill->element_bytes;
      if (fill->element_bytes == 1) {
        memory.fill(fill->to, static_cast<uint8_t>(fill->value), num_bytes);
      } else {
        std::vector<uint8_t> pattern(num_bytes);
        for (uint64_t i = 0; i < num_bytes; i += fill->element_bytes) {
          std::memcpy(pattern.data() + i, &fill->value, fill->element_bytes);
        }
        memory.write(fill->to, pattern.data(), num_bytes);
      }
    } else if (const auto* host_work = std::get_if<HostWork>(operation.work.get())) {
      in_host_function = true;
      host_work->function(host_work->user_data);
      in_host_function = false;
    }
  } catch (const MemoryError& error) {
    lose(context, operation, CUDA_ERROR_ILLEGAL_ADDRESS, error.what());
  } catch (const std::exception& error) {
    lose(context, operation, CUDA_ERROR_LAUNCH_FAILED, error.what());
  }
}

void Simulator::lose(Context& context, const Operation& operation, CUresult error, const std::string& message) {
  context.error = error;
  context.error_message = describe(operation) + ": " + message;
  log.found(operation.call, context.error_message);
}

void Simulator::execute_kernel(const KernelWork& work, Context& context, const Operation& operation) {
  if (!work.function->module->loaded) {
    return lose(context, operation, CUDA_ERROR_LAUNCH_FAILED, "its module has been unloaded");
  }
  Options options;
  options.seed = configuration.seed;
  options.lazy_async_copies = configuration.lazy_async_copies;
  options.check_races = options.check_initialised = configuration.checks;
  LaunchReport report = run(memory, *work.function->module->module, *work.function->kernel, work.grid, work.block,
                            work.dynamic_shared_bytes, work.arguments.data(), work.arguments.size(), options);
  if (report.error != 0) {
    context.error = static_cast<CUresult>(report.error);
    context.error_message =
        describe(operation) + (report.findings.empty() ? "" : ": " + gpusim::describe(report.findings.front()));
  }
  log.launches.push_back(std::move(report));
}

void Simulator::execute_copy(const CopyWork& work, const Operation& operation) {
  switch (work.kind) {
    case CopyKind::kHostToDevice: {
      const void* source = work.staged ? work.staged->data() : reinterpret_cast<const void*>(work.from);
      if (operation.check_source && checksum(source, work.num_bytes) != operation.source_checksum) {
        log.found(operation.call, describe(operation) + ": the pinned source was written before the copy had read it");
      }
      memory.write(work.to, source, work.num_bytes);
      copied_to_device_bytes += work.num_bytes;
      break;
    }
    case CopyKind::kDeviceToHost:
      memory.read(work.from, reinterpret_cast<void*>(work.to), work.num_bytes);
      break;
    case CopyKind::kDeviceToDevice:
      memory.copy(work.to, work.from, work.num_bytes);
      break;
  }
}

}  // namespace winnow::gpusim
