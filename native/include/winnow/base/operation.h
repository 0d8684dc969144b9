// What all operations share: the form of an entry point, and what it returns.
//
// Every contract declares one struct and one function:
//
//   winnow_status winnow_<op>(const winnow_<op>_arguments* arguments, winnow_cpu* cpu, int64_t* detail);
//
// The CUDA kernels of an operation take the same struct by value. Pointers are then addresses of the device's memory.
// An operation checks what it says it refuses, and that arguments and cpu are not null (WINNOW_INVALID_ARGUMENT). It
// trusts the rest: shapes and types are the caller's business.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
#define WINNOW_C extern "C"
#else
#define WINNOW_C
#endif

// How a call ended. `detail` receives the number that a status explains; it may be null.
typedef int32_t winnow_status;
enum {
  WINNOW_DONE = 0,              // detail: what the contract says the operation returns, or 0
  WINNOW_REFUSED = 1,           // contents that the contract refuses; detail: which, as the contract says
  WINNOW_NOT_WAITED = 2,        // a device has not finished, so that the number is not known yet; never on the CPU
  WINNOW_INVALID_ARGUMENT = 3,  // winnow_last_error() has the text, as for the next three
  WINNOW_OUT_OF_RANGE = 4,
  WINNOW_OUT_OF_MEMORY = 5,
  WINNOW_FAILED = 6,
};

// Where operations run: an instruction set and a team of threads, winnow/base/cpu.h.
typedef struct winnow_cpu winnow_cpu;

// Why the last call on this thread ended with one of the last four statuses. Valid until the thread's next call.
WINNOW_C const char* winnow_last_error(void);
