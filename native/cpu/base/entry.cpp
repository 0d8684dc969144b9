#include "entry.h"

#include <cstdio>
#include <new>

namespace winnow {

namespace {

thread_local char last_error[512] = "";  // a fixed buffer: keeping the text must not allocate

winnow_status keep(winnow_status status, const char* text) noexcept {
  std::snprintf(last_error, sizeof last_error, "%s", text);
  return status;
}

}  // namespace

winnow_status status_of_current_exception() noexcept {
  try {
    throw;
  } catch (const std::invalid_argument& e) {
    return keep(WINNOW_INVALID_ARGUMENT, e.what());
  } catch (const std::out_of_range& e) {
    return keep(WINNOW_OUT_OF_RANGE, e.what());
  } catch (const std::bad_alloc&) {
    return keep(WINNOW_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& e) {
    return keep(WINNOW_FAILED, e.what());
  } catch (...) {
    return keep(WINNOW_FAILED, "an exception of an unknown type");
  }
}

}  // namespace winnow

const char* winnow_last_error(void) { return winnow::last_error; }
