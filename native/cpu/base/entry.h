// Makes a C++ kernel an operation of the C interface. Only this file converts exceptions to statuses.
#pragma once

#include <stdexcept>
#include <type_traits>

#include "winnow/base/operation.h"

namespace winnow {

// Result of a kernel that does not throw. Kernels that return no number return void.
struct Outcome {
  winnow_status status = WINNOW_DONE;
  int64_t detail = 0;
};

// Called in a catch block: returns the status of the exception and keeps its text for winnow_last_error().
winnow_status status_of_current_exception() noexcept;

// The body of an entry point: kKernel is `void or Outcome <op>_cpu(const winnow_<op>_arguments&, winnow_cpu&)`.
template <auto kKernel, typename Arguments>
winnow_status enter(const Arguments* arguments, winnow_cpu* cpu, int64_t* detail) noexcept {
  Outcome outcome;
  try {
    if (arguments == nullptr) throw std::invalid_argument("arguments must not be null");
    if (cpu == nullptr) throw std::invalid_argument("cpu must not be null");
    if constexpr (std::is_void_v<decltype(kKernel(*arguments, *cpu))>) {
      kKernel(*arguments, *cpu);
    } else {
      outcome = kKernel(*arguments, *cpu);
    }
  } catch (...) {
    outcome.status = status_of_current_exception();
  }
  if (detail != nullptr) *detail = outcome.detail;
  return outcome.status;
}

}  // namespace winnow

// Defines winnow_<op> over winnow::<op>_cpu.
#define WINNOW_OPERATION(op)                                                                              \
  winnow_status winnow_##op(const winnow_##op##_arguments* arguments, winnow_cpu* cpu, int64_t* detail) { \
    return winnow::enter<winnow::op##_cpu>(arguments, cpu, detail);                                       \
  }
