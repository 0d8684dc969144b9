// ld and st in every state space. Cache hints change nothing here.
#include <cstring>

#include "decode/encoder.h"
#include "exec/access.h"
#include "exec/elementwise.h"

namespace winnow::gpusim {
namespace {

// list[k][lane] = element k at the lane's address; T in memory, D in the register, which extends it by T's sign.
template <class T, class D>
void load(Warp& w, const Instruction& i, uint32_t lanes) {
  Lanes from;
  resolve(w, i, lanes, 0, i.bytes, AccessKind::kLoad, from);
  for (int k = 0; k < i.num_list; ++k) {
    const auto offset = static_cast<size_t>(k) * sizeof(T);
    for_lanes(w, lanes, w.at<D>(i.list[k]), [&](int l) {
      T value;
      std::memcpy(&value, from.pointer[l] + offset, sizeof value);
      return static_cast<D>(value);
    });
  }
}

// The same for one element as wide as its register: a warp that reads 32 neighbours copies them at once.
template <class T>
void load_one(Warp& w, const Instruction& i, uint32_t lanes) {
  Lanes from;
  resolve(w, i, lanes, 0, sizeof(T), AccessKind::kLoad, from);
  T* d = w.at<T>(i.list[0]);
  if (lanes == kAllLanes) {
    uintptr_t apart = 0;
    for (uintptr_t l = 0; l < kWarpSize; ++l)
      apart |=
          reinterpret_cast<uintptr_t>(from.pointer[l]) - reinterpret_cast<uintptr_t>(from.pointer[0]) - l * sizeof(T);
    if (apart == 0) {
      std::memcpy(d, from.pointer[0], kWarpSize * sizeof(T));
      return;
    }
  }
  for_lanes(w, lanes, d, [&](int l) {
    T value;
    std::memcpy(&value, from.pointer[l], sizeof value);
    return value;
  });
}

// Parameters at a fixed offset are the same for every lane.
template <class T, class D>
void load_parameter(Warp& w, const Instruction& i, uint32_t lanes) {
  for (int k = 0; k < i.num_list; ++k) {
    T value;
    std::memcpy(&value, w.block->launch.parameters + i.immediate + static_cast<size_t>(k) * sizeof(T), sizeof value);
    for_lanes(w, lanes, w.at<D>(i.list[k]), [=](int) { return static_cast<D>(value); });
  }
}

template <class T, class S>
void store(Warp& w, const Instruction& i, uint32_t lanes) {
  Lanes to;
  if (w.block->monitor) {  // it compares what is there with what comes
    alignas(16) uint8_t values[kWarpSize * 16];
    for (int k = 0; k < i.num_list; ++k) {
      const S* a = w.at<S>(i.list[k]);
      for (int l = 0; l < kWarpSize; ++l) {
        const T value = static_cast<T>(a[l]);
        std::memcpy(values + l * i.bytes + static_cast<size_t>(k) * sizeof(T), &value, sizeof value);
      }
    }
    resolve(w, i, lanes, 0, i.bytes, AccessKind::kStore, to, values);
  } else {
    resolve(w, i, lanes, 0, i.bytes, AccessKind::kStore, to);
  }
  if (lanes == kAllLanes) {
    for (int k = 0; k < i.num_list; ++k) {
      const S* a = w.at<S>(i.list[k]);
      for (int l = 0; l < kWarpSize; ++l) {
        const T value = static_cast<T>(a[l]);
        std::memcpy(to.pointer[l] + static_cast<size_t>(k) * sizeof(T), &value, sizeof value);
      }
    }
    return;
  }
  for (int k = 0; k < i.num_list; ++k) {
    const S* a = w.at<S>(i.list[k]);
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
      const int l = __builtin_ctz(rest);
      const T value = static_cast<T>(a[l]);
      std::memcpy(to.pointer[l] + static_cast<size_t>(k) * sizeof(T), &value, sizeof value);
    }
  }
}

template <class F>
Handler for_memory_type(Type type, F f) {
  switch (type) {
    case Type::kU8:
    case Type::kB8:
      return f(uint8_t{});
    case Type::kS8:
      return f(int8_t{});
    case Type::kF32:
      return f(uint32_t{});
    case Type::kF64:
      return f(uint64_t{});
    default:
      return for_integer(type, f);
  }
}

template <class F>
Handler for_register(uint32_t bytes, F f) {
  return bytes == 2 ? f(uint16_t{}) : bytes == 4 ? f(uint32_t{}) : f(uint64_t{});
}

template <class T, class D>
Handler choose_load(bool parameter, int elements) {
  if constexpr (sizeof(T) > sizeof(D)) {
    return nullptr;
  } else {
    if (parameter) return load_parameter<T, D>;
    if constexpr (sizeof(T) == sizeof(D)) {
      if (elements == 1) return load_one<D>;
    }
    return load<T, D>;
  }
}

AddressSpace space_of(std::string_view name) {
  if (name == ".global" || name == ".const") return AddressSpace::kGlobal;
  if (name == ".shared" || name == ".shared::cta") return AddressSpace::kShared;
  if (name == ".local") return AddressSpace::kLocal;
  if (name == ".param" || name == ".param::entry" || name == ".param::func") return AddressSpace::kParam;
  return AddressSpace::kGeneric;
}

AddressSpace space_of(const Match& m) {
  for (int g = 0; g < m.num_groups; ++g) {
    const AddressSpace space = space_of(m.groups[g]);
    if (space != AddressSpace::kGeneric) return space;
  }
  return AddressSpace::kGeneric;
}

// How many registers the vector modifier asks for.
size_t elements_of(const Match& m) { return m.has(".v2") ? 2 : m.has(".v4") ? 4 : 1; }

MemoryOrder order_of(const Match& m) {
  if (m.has(".acquire")) return MemoryOrder::kAcquire;
  if (m.has(".release")) return MemoryOrder::kRelease;
  return m.has(".relaxed") || m.has(".volatile") ? MemoryOrder::kRelaxed : MemoryOrder::kWeak;
}

void set_width(Encoder& e, const Operand& data, Type type) {
  const size_t elements = elements_of(e.match);
  const size_t found = data.kind == Operand::kVector ? data.elements.size() : 1;
  if (found != elements) e.fail("expected " + std::to_string(elements) + " registers, found " + std::to_string(found));
  if (elements * size_bytes(type) > 16) e.fail("a vector has at most 16 bytes");
  e.out.bytes = static_cast<uint8_t>(elements * size_bytes(type));
  e.out.order = order_of(e.match);
}

uint32_t data_bytes(const Encoder& e, const Operand& data, Type type) {
  uint32_t bytes = 0;
  if (data.kind != Operand::kVector) {
    bytes = e.register_bytes(data);
  } else {
    for (const Operand& o : data.elements) {
      const uint32_t width = e.register_bytes(o);
      if (width == 0) continue;
      if (bytes != 0 && bytes != width) e.fail("the registers of a vector must have one width");
      bytes = width;
    }
  }
  return bytes == 0 ? storage_bytes(type) : bytes;
}

// Besides data and address, a hint has its cache policy, which changes nothing here.
void require_policy(Encoder& e) {
  const bool hint = e.match.has(".L2::cache_hint");
  e.require_operands(hint ? 3 : 2, hint ? 3 : 2);
  if (hint) e.use(1, e.operand(2), Type::kB64);
}

void encode_load(Encoder& e) {
  require_policy(e);
  const Type type = e.match.type();
  const Operand& data = e.operand(0);
  set_width(e, data, type);
  e.address(0, e.operand(1), space_of(e.match));
  const uint32_t bytes = data_bytes(e, data, type);
  const Type storage = bytes == 2 ? Type::kB16 : bytes == 4 ? Type::kB32 : Type::kB64;
  if (size_bytes(type) > bytes) e.fail("the register is narrower than the type");
  e.define_list(data, storage);
  const bool parameter = e.out.space == AddressSpace::kParam && e.out.op[0] == kZero64;
  if (parameter && static_cast<uint64_t>(e.out.immediate) + e.out.bytes > e.program().parameter_bytes)
    e.fail("reads past the parameters");
  const int elements = e.out.num_list;
  e.out.run = for_memory_type(type, [&](auto t) {
    return for_register(bytes, [&](auto d) { return choose_load<decltype(t), decltype(d)>(parameter, elements); });
  });
}

void encode_store(Encoder& e) {
  require_policy(e);
  const Type type = e.match.type();
  const Operand& data = e.operand(1);
  set_width(e, data, type);
  e.address(0, e.operand(0), space_of(e.match));
  if (e.out.space == AddressSpace::kParam) e.fail("a kernel's parameters cannot be written");
  const uint32_t bytes = data_bytes(e, data, type);
  if (size_bytes(type) > bytes) e.fail("the register is narrower than the type");
  const Type storage = type == Type::kF32 || type == Type::kF64 ? type
                       : bytes == 2                             ? Type::kB16
                       : bytes == 4                             ? Type::kB32
                                                                : Type::kB64;
  e.use_list(data, storage);
  e.out.run = for_width(size_bytes(type) == 1 ? Type::kB16 : type, [&](auto t) {
    return for_register(bytes, [&](auto s) -> Handler {
      if (size_bytes(type) == 1) return store<uint8_t, decltype(s)>;
      return store<decltype(t), decltype(s)>;
    });
  });
}

// prefetch and the like: a hint, no access.
void no_effect(Warp&, const Instruction&, uint32_t) {}
void encode_hint(Encoder& e) {
  e.require_operands(1, 1);
  e.address(0, e.operand(0), AddressSpace::kGeneric);
  e.out.run = no_effect;
}

}  // namespace

#define WINNOW_TYPES "(.b8,.b16,.b32,.b64,.u8,.u16,.u32,.u64,.s8,.s16,.s32,.s64,.f32,.f64)"
#define WINNOW_HINTS                                                                           \
  "{.L1::evict_normal,.L1::evict_unchanged,.L1::evict_first,.L1::evict_last,.L1::no_allocate}" \
  "{.L2::cache_hint}{.L2::64B,.L2::128B,.L2::256B}"

const Forms& memory_forms() {
  static const Forms forms = {
      {"ld{.volatile}{.global,.const,.shared,.shared::cta,.local,.param,.param::entry,.param::func}{.ca,.cg,.cs,.lu,."
       "cv}" WINNOW_HINTS "{.v2,.v4}" WINNOW_TYPES,
       nullptr, nullptr, encode_load},
      {"ld(.relaxed,.acquire)(.cta,.gpu,.sys){.global,.shared,.shared::cta}" WINNOW_HINTS "{.v2,.v4}" WINNOW_TYPES,
       nullptr, nullptr, encode_load},
      {"ld(.global){.ca,.cg,.cs}.nc" WINNOW_HINTS "{.v2,.v4}" WINNOW_TYPES, nullptr, nullptr, encode_load},
      {"ldu(.global){.v2,.v4}" WINNOW_TYPES, nullptr, nullptr, encode_load},
      {"st{.volatile}{.global,.shared,.shared::cta,.local,.param,.param::func}{.wb,.cg,.cs,.wt}" WINNOW_HINTS
       "{.v2,.v4}" WINNOW_TYPES,
       nullptr, nullptr, encode_store},
      {"st(.relaxed,.release)(.cta,.gpu,.sys){.global,.shared,.shared::cta}" WINNOW_HINTS "{.v2,.v4}" WINNOW_TYPES,
       nullptr, nullptr, encode_store},
      {"prefetch{.global,.local}(.L1,.L2)", nullptr, nullptr, encode_hint},
      {"prefetch.global(.L2::evict_last,.L2::evict_normal)", nullptr, nullptr, encode_hint},
      {"prefetchu.L1", nullptr, nullptr, encode_hint},
  };
  return forms;
}

}  // namespace winnow::gpusim
