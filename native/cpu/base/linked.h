// Calls of one operation that are linked by their argument `next` and run as one.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace winnow {

// Throws std::invalid_argument if more than `most` are linked.
template <typename Arguments>
void require_linked(const Arguments& first, int64_t most) {
  int64_t left = most;
  for (const Arguments* next = &first; next != nullptr; next = next->next)
    if (left-- == 0)
      throw std::invalid_argument("a call links at most " + std::to_string(most) + " structs of arguments");
}

// Calls body(arguments) for each, in order.
template <typename Arguments, typename Body>
void for_each_linked(const Arguments& first, const Body& body) {
  for (const Arguments* next = &first; next != nullptr; next = next->next) body(*next);
}

}  // namespace winnow
