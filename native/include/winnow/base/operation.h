// Common parts of all operations: the form of an entry point and its results.
//
// Every contract declares one struct and one function:
//
//   winnow_status winnow_<op>(const winnow_<op>_arguments* arguments, winnow_cpu* cpu, int64_t* detail);
//
// The CUDA kernels of an operation take the same struct by value. Its pointers are then addresses in the device's
// memory. An operation checks that its pointers to arguments and cpu are not null (WINNOW_INVALID_ARGUMENT), and what its
// contract says it refuses. The caller must check everything else, such as shapes and types.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
#define WINNOW_C extern "C"
#else
#define WINNOW_C
#endif

// Result of a call. *detail receives a number whose meaning depends on the status; detail may be null.
typedef int32_t winnow_status;
enum {
  WINNOW_DONE = 0,              // detail: the result that the contract names, or 0
  WINNOW_REFUSED = 1,           // the contract forbids an input's contents; detail: where, see the contract
  WINNOW_NOT_WAITED = 2,        // a device is still running, so the number is not known yet; never on the CPU
  WINNOW_INVALID_ARGUMENT = 3,  // winnow_last_error() has the text; so it has for the next three
  WINNOW_OUT_OF_RANGE = 4,
  WINNOW_OUT_OF_MEMORY = 5,
  WINNOW_FAILED = 6,
};

// The CPU context that operations run on: an instruction set and a team of threads, see winnow/base/cpu.h.
typedef struct winnow_cpu winnow_cpu;

// The reason for the last status of this thread, if it was one of the last four. Valid until the thread's next call.
WINNOW_C const char* winnow_last_error(void);
