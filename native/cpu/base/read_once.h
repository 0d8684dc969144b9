// Reads of memory that another thread of the caller may write while an operation runs.
//
// A value that decides an address, a bound or a pointer is checked, then used. A compiler may read plain memory again
// for the use, so that the value that was checked is not the one that is used. Such values are read through here, once,
// into a local or into a copy of the call. Results may then be wrong; no access leaves its buffers.
#pragma once

namespace winnow {

template <typename T>
static inline T read_once(const T& value) {
  T result;
  __atomic_load(&value, &result, __ATOMIC_RELAXED);
  return result;
}

}  // namespace winnow
