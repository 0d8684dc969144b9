// Opaque handles: numbers that look like pointers, never used twice and not dereferenceable, so that a stale or foreign
// handle is found instead of followed.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

namespace winnow::gpusim {

inline uintptr_t next_handle() {
  static uintptr_t last = 0x5100'0000'0000;
  return last += 16;
}

template <typename Handle, typename Object>
class Handles {
 public:
  Handle add(const std::shared_ptr<Object>& object) {
    const uintptr_t number = next_handle();
    objects_.emplace(number, object);
    return object->handle = reinterpret_cast<Handle>(number);
  }
  std::shared_ptr<Object> find(Handle handle) const {  // null when there is none
    const auto found = objects_.find(reinterpret_cast<uintptr_t>(handle));
    return found == objects_.end() ? nullptr : found->second;
  }
  void remove(Handle handle) { objects_.erase(reinterpret_cast<uintptr_t>(handle)); }
  template <typename Condition>
  void remove_if(Condition condition) {
    for (auto i = objects_.begin(); i != objects_.end();) i = condition(*i->second) ? objects_.erase(i) : std::next(i);
  }
  template <typename Action>
  void for_each(Action action) const {
    for (const auto& [number, object] : objects_) action(object);
  }

 private:
  std::unordered_map<uintptr_t, std::shared_ptr<Object>> objects_;
};

}  // namespace winnow::gpusim
